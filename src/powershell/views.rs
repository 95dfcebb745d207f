//! The view file of the module (`JimHost.Format.ps1xml`): table views from `catalog/views.toml`.
//! Lists need no view: `Format-List` shows every property in order.

use super::xml::Xml;
use crate::catalog::row::{Align, Cmdlet, Column, View, Views};
use crate::catalog::{self, Row};
use std::collections::HashSet;

/// The text of `JimHost.Format.ps1xml`: a view for each type that one of these cmdlets writes.
pub fn format_ps1xml(rows: &[Row]) -> String {
    let types: HashSet<&str> = rows.iter().flat_map(|r| written(&r.cmdlet)).collect();
    let mut xml = Xml::new();
    xml.element("Configuration", &[], |xml| {
        xml.comment("Written by `jimhost generate` from catalog/views.toml. Change it there.");
        xml.element("ViewDefinitions", &[], |xml| {
            for (name, view) in catalog::views().view.iter().filter(|(name, _)| types.contains(name.as_str())) {
                table(xml, name, view);
            }
        });
    });
    xml.finish()
}

/// Views that no cmdlet writes, and columns of properties its output doesn't have. Not a rule of
/// the build, since a view may be written before its cmdlet; generating the module should refuse.
pub fn faults(rows: &[Row]) -> Vec<String> {
    faults_of(catalog::views(), rows)
}

fn faults_of(views: &Views, rows: &[Row]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, view) in &views.view {
        let cmdlets = || rows.iter().map(|r| &r.cmdlet).filter(|c| c.output.as_deref() == Some(name));
        if !rows.iter().flat_map(|r| written(&r.cmdlet)).any(|written| written == name) {
            faults.push(format!("view {name}: no cmdlet writes this type"));
            continue;
        }
        let known: HashSet<String> = cmdlets().flat_map(|c| &c.output_properties).map(|p| p.to_lowercase()).collect();
        for column in &view.column {
            let property = column.property.split('.').next().unwrap_or_default();
            if !known.is_empty() && !known.contains(&property.to_lowercase()) {
                faults.push(format!("view {name}: no cmdlet lists the property {property}"));
            }
        }
    }
    faults
}

/// The types a cmdlet writes: its own, and those of single requests.
fn written(cmdlet: &Cmdlet) -> impl Iterator<Item = &str> {
    cmdlet.output.as_deref().into_iter().chain(cmdlet.request.iter().filter_map(|r| r.output.as_deref()))
}

fn table(xml: &mut Xml, name: &str, view: &View) {
    xml.element("View", &[], |xml| {
        xml.leaf("Name", &[], name);
        xml.element("ViewSelectedBy", &[], |xml| xml.leaf("TypeName", &[], name));
        xml.element("TableControl", &[], |xml| {
            xml.element("TableHeaders", &[], |xml| {
                view.column.iter().for_each(|column| header(xml, column));
            });
            xml.element("TableRowEntries", &[], |xml| {
                xml.element("TableRowEntry", &[], |xml| {
                    xml.element("TableColumnItems", &[], |xml| {
                        view.column.iter().for_each(|column| item(xml, column));
                    });
                });
            });
        });
    });
}

fn header(xml: &mut Xml, column: &Column) {
    xml.element("TableColumnHeader", &[], |xml| {
        if let Some(label) = column.label.as_ref().or(column.property.contains('.').then_some(&column.property)) {
            xml.leaf("Label", &[], label);
        }
        if let Some(width) = column.width {
            xml.leaf("Width", &[], &width.to_string());
        }
        if let Some(align) = column.align {
            let name = match align {
                Align::Left => "Left",
                Align::Right => "Right",
                Align::Center => "Center",
            };
            xml.leaf("Alignment", &[], name);
        }
    });
}

fn item(xml: &mut Xml, column: &Column) {
    xml.element("TableColumnItem", &[], |xml| {
        if column.property.contains('.') {
            xml.leaf("ScriptBlock", &[], &format!("$_.{}", column.property));
        } else {
            xml.leaf("PropertyName", &[], &column.property);
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_view_of_a_known_type_is_written_and_well_formed() {
        let rows: Vec<Row> = catalog::all().collect();
        let text = format_ps1xml(&rows);
        let document = roxmltree::Document::parse(&text).unwrap();
        let types: Vec<_> =
            document.descendants().filter(|n| n.has_tag_name("TypeName")).filter_map(|n| n.text()).collect();
        assert!(types.contains(&"JIM.RunProfile"), "{types:?}");
        for name in types {
            assert!(rows.iter().flat_map(|r| written(&r.cmdlet)).any(|written| written == name), "{name}");
        }
        for view in document.descendants().filter(|n| n.has_tag_name("View")) {
            let count = |name| view.descendants().filter(|n| n.has_tag_name(name)).count();
            assert_eq!(count("TableColumnHeader"), count("TableColumnItem"));
        }
    }

    #[test]
    fn a_view_of_an_unknown_type_or_property_is_named() {
        let rows: Vec<Row> = catalog::all().collect();
        let column = |property: &str| Column { property: property.into(), width: None, align: None, label: None };
        let mut views = Views::default();
        views.view.insert("JIM.Nothing".into(), View { column: vec![column("Id")] });
        views.view.insert("JIM.RunProfile".into(), View { column: vec![column("id"), column("Colour.Name")] });
        let faults = faults_of(&views, &rows);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("JIM.Nothing") && faults[1].contains("Colour"), "{faults:?}");
    }

    #[test]
    fn a_nested_property_becomes_a_script_block_with_a_label() {
        let mut xml = Xml::new();
        let column = Column { property: "Connector.Name".into(), width: None, align: Some(Align::Right), label: None };
        table(&mut xml, "X", &View { column: vec![column] });
        let text = xml.finish();
        assert!(text.contains("<ScriptBlock>$_.Connector.Name</ScriptBlock>"), "{text}");
        assert!(text.contains("<Label>Connector.Name</Label>"), "{text}");
    }
}
