//! The reference pages in `docs/cmdlets/`: an index, and one page per area. Every word about a
//! cmdlet comes from its row, so the pages say what the help says.

use super::syntax;
use crate::catalog::Row;
use crate::catalog::row::{Cmdlet, Kind, Parameter, Product};
use std::collections::BTreeMap;
use std::fmt::Display;

const MARK: &str = "<!-- Written by `jimhost generate` from catalog/. Change it there. -->\n";

/// Product → area → its cmdlets. Products stand in the order people meet them, areas by name.
type Areas<'a> = BTreeMap<(usize, &'a str), Vec<&'a Row>>;

/// Path below `docs/`, with `/`, and text of each page.
pub fn pages(rows: &[Row]) -> Vec<(String, String)> {
    let mut areas = Areas::new();
    for row in rows {
        areas.entry((product(row.product).0, row.area)).or_default().push(row);
    }
    let mut pages = vec![("cmdlets/README.md".into(), index(&areas))];
    for ((_, area), rows) in &areas {
        if let Some(first) = rows.first() {
            pages.push((format!("cmdlets/{}", path(first)), page(area, rows)));
        }
    }
    pages
}

fn index(areas: &Areas) -> String {
    let mut page = Page::new("Cmdlets");
    let mut last = None;
    for ((order, area), rows) in areas {
        let Some(first) = rows.first() else { continue };
        if last.replace(order) != Some(order) {
            page.block(format_args!("## {}", product(first.product).2));
        }
        page.block(format_args!("### [{}]({})", escape(area), path(first)));
        let lines = rows.iter().map(|r| [link(r, &path(r)), escape(&r.cmdlet.synopsis)]);
        page.table(["cmdlet", "what it does"], lines);
    }
    page.0
}

fn page(area: &str, rows: &[&Row]) -> String {
    let mut page = Page::new(area);
    page.table(["cmdlet", "what it does"], rows.iter().map(|r| [link(r, ""), escape(&r.cmdlet.synopsis)]));
    for row in rows {
        section(&mut page, &row.cmdlet);
    }
    page.0
}

fn section(page: &mut Page, cmdlet: &Cmdlet) {
    page.block(format_args!("## {}", cmdlet.name));
    page.block(escape(&cmdlet.synopsis));
    for paragraph in syntax::paragraphs(&cmdlet.description) {
        page.block(escape(&paragraph));
    }
    page.code(&syntax::lines(cmdlet).join("\n\n"));
    if !cmdlet.aliases.is_empty() {
        page.block(format_args!("Aliases: {}.", codes(&cmdlet.aliases)));
    }

    page.block("### Parameters");
    let parameters = syntax::parameters(cmdlet);
    let total = syntax::sets(cmdlet, &parameters).len();
    let lines = parameters.iter().map(|p| {
        let names: Vec<String> = std::iter::once(&p.name).chain(&p.aliases).map(|n| format!("-{n}")).collect();
        [codes(&names), format!("`{}`", syntax::type_name(p.kind)), required(p, total), default(p), takes(p), help(p)]
    });
    page.table(["parameter", "type", "required", "default", "from the pipeline", "meaning"], lines);

    page.block("### Output");
    let (name, when) = syntax::output(cmdlet);
    page.block(match (name.as_str(), when) {
        ("None", _) => "None.".into(),
        (_, "") => format!("`{name}`"),
        _ => format!("`{name}`. {when}"),
    });
    if !cmdlet.output_properties.is_empty() && name != "None" {
        page.block(format_args!("Properties: {}.", codes(&cmdlet.output_properties)));
        for other in &cmdlet.output_with {
            page.block(format_args!("Properties with {}: {}.", escape(&other.with), codes(&other.properties)));
        }
    }

    page.block("### Examples");
    for example in &cmdlet.example {
        for paragraph in syntax::paragraphs(&example.text) {
            page.block(escape(&paragraph));
        }
        page.code(example.code.trim());
    }
}

/// "yes", or the sets that demand it where not all do.
fn required(parameter: &Parameter, total: usize) -> String {
    let demanding: Vec<&String> = parameter.sets.iter().filter(|(_, m)| m.mandatory).map(|(s, _)| s).collect();
    if demanding.is_empty() {
        "no".into()
    } else if demanding.len() == total || demanding.iter().any(|s| *s == "*") {
        "yes".into()
    } else if demanding.len() == parameter.sets.len() {
        format!("in {}", codes(&demanding))
    } else {
        format!("in {}; else no", codes(&demanding))
    }
}

fn takes(parameter: &Parameter) -> String {
    let any = |test: fn(&crate::catalog::row::Membership) -> bool| parameter.sets.values().any(test);
    match (any(|m| m.by_value), any(|m| m.by_name)) {
        (false, false) => String::new(),
        (true, false) => "by value".into(),
        (false, true) => "by property name".into(),
        (true, true) => "by value, by property name".into(),
    }
}

fn default(parameter: &Parameter) -> String {
    match &parameter.default {
        Some(text) if parameter.kind != Kind::Switch => format!("`{}`", text.replace('|', "\\|")),
        _ => String::new(),
    }
}

fn help(parameter: &Parameter) -> String {
    let mut text = syntax::paragraphs(&parameter.help);
    text.extend(syntax::accepted(parameter));
    escape(&text.join(" "))
}

/// Place among the products, folder, name for people.
fn product(product: Product) -> (usize, &'static str, &'static str) {
    match product {
        Product::Jim => (0, "jim", "JIM"),
        Product::Ndm => (1, "ndm", "Netwrix Directory Manager"),
    }
}

/// Page of a row's area, below `docs/cmdlets/`.
fn path(row: &Row) -> String {
    let mut slug = String::new();
    for word in row.area.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word.to_lowercase());
    }
    format!("{}/{slug}.md", product(row.product).1)
}

/// A link to a cmdlet's section on a page; `""` is the same page.
fn link(row: &Row, page: &str) -> String {
    format!("[{}]({page}#{})", row.cmdlet.name, row.cmdlet.name.to_lowercase())
}

fn codes(names: &[impl Display]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// Plain text as Markdown. What stands between backticks is code already and stays.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut code = false;
    for character in text.chars() {
        match character {
            '`' => code = !code,
            '|' => escaped.push('\\'),
            '*' | '_' | '[' | ']' | '<' | '>' | '\\' if !code => escaped.push('\\'),
            _ => {}
        }
        escaped.push(character);
    }
    escaped
}

/// A page under way: blocks with an empty line between them.
struct Page(String);

impl Page {
    fn new(title: &str) -> Self {
        let mut page = Self(MARK.into());
        page.block(format_args!("# {}", escape(title)));
        page
    }

    fn block(&mut self, text: impl Display) {
        self.0.push_str(&format!("\n{text}\n"));
    }

    fn code(&mut self, text: &str) {
        self.block(format_args!("```powershell\n{text}\n```"));
    }

    /// Columns with nothing in them are left out, and so is a table without lines.
    fn table<const N: usize>(&mut self, heads: [&str; N], lines: impl Iterator<Item = [String; N]>) {
        let lines: Vec<[String; N]> = lines.collect();
        if lines.is_empty() {
            self.block("None.");
            return;
        }
        let used: Vec<usize> =
            (0..N).filter(|&i| lines.iter().any(|l| l.get(i).is_some_and(|c| !c.is_empty()))).collect();
        let line = |cells: Vec<&str>| format!("| {} |", cells.join(" | "));
        let pick = |cells: [&str; N]| line(used.iter().filter_map(|&i| cells.get(i).copied()).collect());
        let mut text = vec![pick(heads), line(vec!["---"; used.len()])];
        text.extend(lines.iter().map(|cells| pick(std::array::from_fn(|i| cells.get(i).map_or("", String::as_str)))));
        self.block(text.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::catalog;

    #[test]
    fn every_cmdlet_is_in_the_index_and_on_the_page_it_links_to() {
        let rows: Vec<Row> = catalog::all().collect();
        let pages: BTreeMap<String, String> = pages(&rows).into_iter().collect();
        let index = &pages["cmdlets/README.md"];
        for row in &rows {
            let name = &row.cmdlet.name;
            assert!(
                index.contains(&format!("| {} | {} |", link(row, &path(row)), escape(&row.cmdlet.synopsis))),
                "{name}"
            );
            let page = &pages[&format!("cmdlets/{}", path(row))];
            assert!(page.contains(&format!("\n## {name}\n")), "{name}");
            for line in syntax::lines(&row.cmdlet) {
                assert!(page.contains(&format!("\n{line}\n")), "{line}");
            }
            for parameter in &row.cmdlet.parameter {
                assert!(page.contains(&help(parameter)), "{name} -{}", parameter.name);
            }
        }
    }

    #[test]
    fn run_profiles_have_their_page_by_name() {
        let rows: Vec<Row> = catalog::all().collect();
        assert!(pages(&rows).iter().any(|(path, _)| path == "cmdlets/jim/run-profiles.md"));
    }

    #[test]
    fn markup_is_shown_and_not_interpreted() {
        assert_eq!(escape("A|B <x> `HR*|` *"), "A\\|B \\<x\\> `HR*\\|` \\*");
    }

    #[test]
    fn required_names_the_sets_where_not_all_demand_it() {
        let row = catalog::find("Set-JIMRunProfile").unwrap();
        let of = |name: &str| required(row.cmdlet.parameter.iter().find(|p| p.name == name).unwrap(), 5);
        assert_eq!(of("ConnectedSystemId"), "in `ById`, `ByIdAndProfileName`");
        assert_eq!(of("PageSize"), "no");
        let row = catalog::find("New-JIMRunProfile").unwrap();
        assert_eq!(required(row.cmdlet.parameter.iter().find(|p| p.name == "Name").unwrap(), 2), "yes");
    }

    #[test]
    fn a_column_nobody_fills_is_left_out() {
        let mut page = Page(String::new());
        page.table(["a", "b"], [["1".to_owned(), String::new()]].into_iter());
        assert_eq!(page.0, "\n| a |\n| --- |\n| 1 |\n");
    }
}
