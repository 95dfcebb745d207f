//! Writes XML, as far as help and view files need it: elements, attributes, text. It can't fail and
//! can't write anything malformed, since tags are closed by scope and all text is escaped.

/// A document under way.
#[derive(Debug)]
pub struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    pub fn new() -> Self {
        Self { text: String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"), depth: 0 }
    }

    /// A comment. XML forbids `--` in it, so dashes are set apart (twice, for runs of three).
    pub fn comment(&mut self, text: &str) {
        self.indent();
        self.text.push_str("<!-- ");
        self.text.push_str(&text.replace("--", "- -").replace("--", "- -"));
        self.text.push_str(" -->\n");
    }

    /// An element with others inside.
    pub fn element(&mut self, name: &str, attributes: &[(&str, &str)], inside: impl FnOnce(&mut Self)) {
        self.open(name, attributes);
        self.text.push_str(">\n");
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.indent();
        self.close(name);
    }

    /// An element with text alone. White space in the text is kept: nothing is added around it.
    pub fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        if text.is_empty() {
            self.text.push_str(" />\n");
            return;
        }
        self.text.push('>');
        escape(text, &mut self.text);
        self.close(name);
    }

    pub fn finish(self) -> String {
        self.text
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (name, value) in attributes {
            self.text.push(' ');
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
        }
    }

    fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push_str(">\n");
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }
}

/// Control characters that XML 1.0 has no way to write are left out.
fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '&' => into.push_str("&amp;"),
            '"' => into.push_str("&quot;"),
            '\t' | '\n' => into.push(character),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_and_attributes_come_back_as_they_were() {
        let hard = "a < b && c > \"d\" 'e' ]]> --";
        let mut xml = Xml::new();
        xml.comment("not -- closed ---> here");
        xml.element("root", &[("at", hard)], |xml| {
            xml.leaf("text", &[], hard);
            xml.leaf("lines", &[], "one\n  two\u{0}\u{b}");
            xml.leaf("none", &[], "");
        });
        let text = xml.finish();
        let document = roxmltree::Document::parse(&text).unwrap();
        let root = document.root_element();
        let of = |name| root.children().find(|n| n.has_tag_name(name)).unwrap().text();
        assert_eq!(root.attribute("at"), Some(hard));
        assert_eq!(of("text"), Some(hard));
        assert_eq!(of("lines"), Some("one\n  two"));
        assert_eq!(of("none"), None);
    }
}
