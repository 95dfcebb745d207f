//! Text copied from the product's web pages: its indentation is made of no-break spaces, which no
//! JSON parser accepts, and they are inside values too.

use super::node::{Node, nested};
use super::path::Path;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Lines stay where they were.
    pub text: String,
    /// Characters outside strings that became spaces.
    pub outside: usize,
    /// Strings that hold no-break spaces, and how many: left alone, since only a person knows whether
    /// they belong there. Empty when the text is no JSON even now.
    pub inside: Vec<(Path, usize)>,
}

/// Replaces the spaces of web pages by plain ones where JSON allows only plain ones.
pub fn repair(text: &str) -> Repaired {
    let mut repaired = String::with_capacity(text.len());
    let (mut outside, mut in_string, mut escaped) = (0, false, false);
    for (at, character) in text.chars().enumerate() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            repaired.push(character);
        } else if at == 0 && character == '\u{feff}' {
            // A byte order mark is no mistake of the copying.
        } else if matches!(character, '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{feff}') {
            outside += 1;
            repaired.push(' ');
        } else {
            in_string = character == '"';
            repaired.push(character);
        }
    }
    let mut inside = Vec::new();
    if let Ok(root) = Node::parse(&repaired) {
        count(&root, &Path::default(), &mut inside);
    }
    Repaired { text: repaired, outside, inside }
}

fn count(node: &Node, path: &Path, found: &mut Vec<(Path, usize)>) {
    match node {
        Node::Object(members) => {
            for member in members {
                let path = path.member(&member.name);
                note(&member.name, &path, found);
                count(&member.value, &path, found);
            }
        }
        Node::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                count(item, &path.index(index), found);
            }
        }
        Node::Leaf(_) => note(&node.text().unwrap_or_default(), path, found),
    }
}

fn note(text: &str, path: &Path, found: &mut Vec<(Path, usize)>) {
    let spaces = text.matches('\u{a0}').count();
    if spaces > 0 {
        found.push((path.clone(), spaces));
    }
}

/// Whether a string is JSON but for its no-break spaces.
pub fn damaged_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && nested(text).is_none() && nested(&repair(text).text).is_some()
}
