//! The help file of the module (MAML, the format `Get-Help` reads), for all cmdlets. Each function
//! of the module names it with `.EXTERNALHELP`, so help costs nothing until someone asks for it.

use super::syntax;
use super::xml::Xml;
use crate::catalog::Row;
use crate::catalog::row::{Cmdlet, Impact, Kind, Membership, Parameter};

/// The namespaces stand on each command, where every reader of MAML looks for them.
const NAMESPACES: &[(&str, &str)] = &[
    ("xmlns:maml", "http://schemas.microsoft.com/maml/2004/10"),
    ("xmlns:command", "http://schemas.microsoft.com/maml/dev/command/2004/10"),
    ("xmlns:dev", "http://schemas.microsoft.com/maml/dev/2004/10"),
];

/// The text of `en-US/JimHost-help.xml`.
pub fn maml(rows: &[Row]) -> String {
    let mut xml = Xml::new();
    xml.element("helpItems", &[("schema", "maml"), ("xmlns", "http://msh")], |xml| {
        xml.comment("Written by `jimhost generate` from catalog/. Change it there.");
        for row in rows {
            command(xml, row, rows);
        }
    });
    xml.finish()
}

fn command(xml: &mut Xml, row: &Row, rows: &[Row]) {
    let cmdlet = &row.cmdlet;
    let parameters = syntax::parameters(cmdlet);
    let (verb, noun) = cmdlet.name.split_once('-').unwrap_or((&cmdlet.name, ""));
    xml.element("command:command", NAMESPACES, |xml| {
        xml.element("command:details", &[], |xml| {
            xml.leaf("command:name", &[], &cmdlet.name);
            xml.leaf("command:verb", &[], verb);
            xml.leaf("command:noun", &[], noun);
            described(xml, std::slice::from_ref(&cmdlet.synopsis));
        });
        described(xml, &syntax::paragraphs(&cmdlet.description));
        syntax_items(xml, cmdlet, &parameters);
        xml.element("command:parameters", &[], |xml| {
            for parameter in &parameters {
                described_parameter(xml, parameter, &overall(parameter));
            }
        });
        inputs(xml, &parameters);
        outputs(xml, cmdlet);
        xml.element("maml:alertSet", &[], |xml| {
            xml.element("maml:alert", &[], |xml| paragraphs(xml, &notes(row, rows)));
        });
        examples(xml, cmdlet);
    });
}

fn syntax_items(xml: &mut Xml, cmdlet: &Cmdlet, parameters: &[Parameter]) {
    xml.element("command:syntax", &[], |xml| {
        for set in syntax::sets(cmdlet, parameters) {
            xml.element("command:syntaxItem", &[], |xml| {
                xml.leaf("maml:name", &[], &cmdlet.name);
                for (parameter, membership) in &set.parameters {
                    described_parameter(xml, parameter, membership);
                }
            });
        }
    });
}

/// A parameter, as it takes part in one set (syntax) or over all (list of parameters).
fn described_parameter(xml: &mut Xml, parameter: &Parameter, membership: &Membership) {
    let position = membership.position.map_or_else(|| "named".into(), |p| p.to_string());
    let aliases = if parameter.aliases.is_empty() { "none".into() } else { parameter.aliases.join(", ") };
    let kind = syntax::type_name(parameter.kind);
    let attributes = [
        ("required", truth(membership.mandatory)),
        ("variableLength", truth(takes_many(parameter.kind))),
        ("globbing", truth(parameter.wildcards)),
        ("pipelineInput", pipeline(membership)),
        ("position", &position),
        ("aliases", &aliases),
    ];
    xml.element("command:parameter", &attributes, |xml| {
        xml.leaf("maml:name", &[], &parameter.name);
        let mut text = syntax::paragraphs(&parameter.help);
        text.extend(syntax::accepted(parameter));
        described(xml, &text);
        if !parameter.one_of.is_empty() {
            xml.element("command:parameterValueGroup", &[], |xml| {
                for value in &parameter.one_of {
                    let attributes = [("required", "false"), ("variableLength", "false")];
                    xml.leaf("command:parameterValue", &attributes, value);
                }
            });
        }
        if parameter.kind != Kind::Switch {
            let attributes = [("required", "true"), ("variableLength", truth(takes_many(parameter.kind)))];
            xml.leaf("command:parameterValue", &attributes, &kind);
        }
        typed(xml, &kind);
        let default = parameter.default.as_deref();
        let none = if parameter.kind == Kind::Switch { "False" } else { "None" };
        xml.leaf("dev:defaultValue", &[], default.unwrap_or(none));
    });
}

/// What pipeline binding accepts: whole objects, and properties by name.
fn inputs(xml: &mut Xml, parameters: &[Parameter]) {
    xml.element("command:inputTypes", &[], |xml| {
        let mut any = false;
        for parameter in parameters {
            let taken = overall(parameter);
            let mut text = Vec::new();
            if taken.by_value {
                text.push(format!("Binds to -{}. {}", parameter.name, parameter.help));
            }
            if taken.by_name {
                let names = [std::slice::from_ref(&parameter.name), &parameter.aliases].concat().join(" or ");
                text.push(format!("The property {names} of a piped object binds to -{}.", parameter.name));
            }
            if !text.is_empty() {
                any = true;
                xml.element("command:inputType", &[], |xml| {
                    typed(xml, &syntax::type_name(parameter.kind));
                    described(xml, &text);
                });
            }
        }
        if !any {
            xml.element("command:inputType", &[], |xml| typed(xml, "None"));
        }
    });
}

fn outputs(xml: &mut Xml, cmdlet: &Cmdlet) {
    let (name, when) = syntax::output(cmdlet);
    let mut text = Vec::new();
    if !when.is_empty() {
        text.push(when.to_owned());
    }
    if !cmdlet.output_properties.is_empty() && name != "None" {
        text.push(format!("Properties: {}.", cmdlet.output_properties.join(", ")));
        let others = cmdlet.output_with.iter();
        text.extend(others.map(|other| format!("Properties with {}: {}.", other.with, other.properties.join(", "))));
    }
    xml.element("command:returnValues", &[], |xml| {
        xml.element("command:returnValue", &[], |xml| {
            typed(xml, &name);
            described(xml, &text);
        });
    });
}

/// What holds for many cmdlets alike, so that no row needs to say it.
fn notes(row: &Row, rows: &[Row]) -> Vec<String> {
    let mut notes = Vec::new();
    if row.cmdlet.session {
        let connects = |r: &&Row| r.product == row.product && r.cmdlet.name.starts_with("Connect-");
        notes.push(match rows.iter().find(connects) {
            Some(connect) => format!("Needs a connection: run {} first.", connect.cmdlet.name),
            None => "Needs a connection.".into(),
        });
    }
    let force = row.cmdlet.parameter.iter().any(|p| p.name == "Force");
    match row.cmdlet.impact {
        Some(Impact::High) if force => {
            notes.push("Asks before it acts, unless -Force or -Confirm:$false is given.".into())
        }
        Some(Impact::High) => notes.push("Asks before it acts, unless -Confirm:$false is given.".into()),
        _ => {}
    }
    if !row.cmdlet.aliases.is_empty() {
        notes.push(format!("Also known as {}.", row.cmdlet.aliases.join(", ")));
    }
    notes
}

fn examples(xml: &mut Xml, cmdlet: &Cmdlet) {
    xml.element("command:examples", &[], |xml| {
        for (number, example) in (1..).zip(&cmdlet.example) {
            xml.element("command:example", &[], |xml| {
                // `Get-Help` prints the title as it is; with this line it looks as help in a script does.
                let line = "-".repeat(26);
                xml.leaf("maml:title", &[], &format!("{line} Example {number} {line}"));
                xml.leaf("dev:code", &[], example.code.trim());
                // The empty paragraph keeps the next title apart.
                let mut remarks = syntax::paragraphs(&example.text);
                remarks.push(String::new());
                xml.element("dev:remarks", &[], |xml| paragraphs(xml, &remarks));
            });
        }
    });
}

fn described(xml: &mut Xml, text: &[String]) {
    xml.element("maml:description", &[], |xml| paragraphs(xml, text));
}

fn paragraphs(xml: &mut Xml, text: &[String]) {
    for paragraph in text {
        xml.leaf("maml:para", &[], paragraph);
    }
}

fn typed(xml: &mut Xml, name: &str) {
    xml.element("dev:type", &[], |xml| {
        xml.leaf("maml:name", &[], name);
        xml.leaf("maml:uri", &[], "");
    });
}

/// One membership for a parameter whose sets differ: mandatory where all sets demand it, and bound
/// from the pipeline where any set allows it.
fn overall(parameter: &Parameter) -> Membership {
    let sets = || parameter.sets.values();
    Membership {
        mandatory: sets().all(|m| m.mandatory),
        position: sets().find_map(|m| m.position),
        by_name: sets().any(|m| m.by_name),
        by_value: sets().any(|m| m.by_value),
    }
}

fn pipeline(membership: &Membership) -> &'static str {
    match (membership.by_value, membership.by_name) {
        (false, false) => "False",
        (true, false) => "True (ByValue)",
        (false, true) => "True (ByPropertyName)",
        (true, true) => "True (ByValue, ByPropertyName)",
    }
}

fn takes_many(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Ints | Kind::Strings | Kind::Guids | Kind::Hashtables | Kind::Objects | Kind::Array | Kind::Bytes
    )
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::catalog;
    use roxmltree::{Document, Node};

    fn text_of<'a>(node: Node<'a, 'a>, path: &[&str]) -> Option<&'a str> {
        let mut node = node;
        for name in path {
            node = node.children().find(|n| n.tag_name().name() == *name)?;
        }
        node.text()
    }

    fn under<'a>(node: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
        node.descendants().filter(move |n| n.tag_name().name() == name)
    }

    #[test]
    fn every_cmdlet_and_parameter_is_in_the_help() {
        let rows: Vec<Row> = catalog::all().collect();
        let text = maml(&rows);
        let document = Document::parse(&text).unwrap();
        let commands: Vec<_> = under(document.root(), "command").collect();
        assert_eq!(commands.len(), rows.len());
        for (row, command) in rows.iter().zip(commands) {
            let cmdlet = &row.cmdlet;
            assert_eq!(text_of(command, &["details", "name"]), Some(cmdlet.name.as_str()));
            assert_eq!(text_of(command, &["details", "description", "para"]), Some(cmdlet.synopsis.as_str()));
            assert_eq!(under(command, "syntaxItem").count(), syntax::lines(cmdlet).len());
            assert_eq!(under(command, "example").count(), cmdlet.example.len());
            let list = command.children().find(|n| n.tag_name().name() == "parameters").unwrap();
            let names: Vec<_> = list.children().filter_map(|p| text_of(p, &["name"])).collect();
            let expected = syntax::parameters(cmdlet);
            assert_eq!(names, expected.iter().map(|p| p.name.as_str()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn markup_in_a_help_text_survives() {
        let hard = "Less (<), \"more\" & 'quoted' <tag/>.";
        let mut row = catalog::all().find(|r| r.cmdlet.name == "Set-JIMRunProfile").unwrap();
        row.cmdlet.parameter[0].help = hard.into();
        row.cmdlet.example[0].code = "Get-X |\n  Where-Object { $_.A -lt '<' }".into();
        let text = maml(std::slice::from_ref(&row));
        let document = Document::parse(&text).unwrap();
        let parameter = under(document.root(), "parameter").next().unwrap();
        assert_eq!(text_of(parameter, &["description", "para"]), Some(hard));
        let code = under(document.root(), "code").next().unwrap();
        assert_eq!(code.text(), Some(row.cmdlet.example[0].code.as_str()));
    }

    #[test]
    fn should_process_parameters_come_with_the_impact_only() {
        let rows: Vec<Row> = catalog::all().filter(|r| r.cmdlet.name == "Get-JIMRunProfile").collect();
        assert!(!maml(&rows).contains("WhatIf"));
    }

    #[test]
    fn a_parameter_is_required_only_where_every_set_demands_it() {
        let row = catalog::find("Set-JIMRunProfile").unwrap();
        let of = |name: &str| overall(row.cmdlet.parameter.iter().find(|p| p.name == name).unwrap());
        assert!(of("ConnectedSystemId").mandatory);
        assert!(of("ConnectedSystemId").by_name);
        assert!(!of("PageSize").mandatory);
    }
}
