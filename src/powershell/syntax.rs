//! How a cmdlet is written down: its parameter sets in order, and one syntax line for each. Help and
//! reference pages both take it from here, so they can't differ.

use crate::catalog::row::{Cmdlet, Emit, Kind, Membership, Parameter};
use std::collections::BTreeMap;

/// One way to call a cmdlet.
#[derive(Debug)]
pub struct Set<'a> {
    /// In the order people read them: positional, mandatory, optional.
    pub parameters: Vec<(&'a Parameter, &'a Membership)>,
}

/// A cmdlet's own parameters, and those that ShouldProcess brings. The common ones are left out.
pub fn parameters(cmdlet: &Cmdlet) -> Vec<Parameter> {
    let mut all = cmdlet.parameter.clone();
    if cmdlet.impact.is_some() {
        all.push(switch("WhatIf", "wi", "Shows what would happen, and sends no change."));
        all.push(switch("Confirm", "cf", "Asks before each change."));
    }
    all
}

/// The parameter sets, the default one first. `parameters` are those of [`parameters`].
pub fn sets<'a>(cmdlet: &'a Cmdlet, parameters: &'a [Parameter]) -> Vec<Set<'a>> {
    let mut names: Vec<Option<&str>> = cmdlet.default_set.iter().map(|s| Some(s.as_str())).collect();
    for name in parameters.iter().flat_map(|p| p.sets.keys()).map(String::as_str).filter(|s| *s != "*") {
        if !names.contains(&Some(name)) {
            names.push(Some(name));
        }
    }
    if names.is_empty() {
        names.push(None);
    }
    names.into_iter().map(|name| Set { parameters: members(name, parameters) }).collect()
}

fn members<'a>(set: Option<&str>, parameters: &'a [Parameter]) -> Vec<(&'a Parameter, &'a Membership)> {
    let mut found: Vec<(&Parameter, &Membership)> = parameters
        .iter()
        .filter_map(|p| set.and_then(|s| p.sets.get(s)).or_else(|| p.sets.get("*")).map(|m| (p, m)))
        .collect();
    // Stable: within a group the order of the row stays.
    found.sort_by_key(|(_, m)| match m.position {
        Some(position) => (0, position),
        None => (if m.mandatory { 1 } else { 2 }, 0),
    });
    found
}

/// `Set-JIMRunProfile -ConnectedSystemId <int> … [-WhatIf] [-Confirm] [<CommonParameters>]`, for each set.
pub fn lines(cmdlet: &Cmdlet) -> Vec<String> {
    let parameters = parameters(cmdlet);
    sets(cmdlet, &parameters).iter().map(|set| line(&cmdlet.name, set)).collect()
}

fn line(name: &str, set: &Set) -> String {
    let mut line = name.to_owned();
    for (parameter, membership) in &set.parameters {
        let mut text = format!("-{}", parameter.name);
        if membership.position.is_some() {
            text = format!("[{text}]");
        }
        if let Some(value) = value(parameter) {
            text = format!("{text} {value}");
        }
        line.push_str(&if membership.mandatory { format!(" {text}") } else { format!(" [{text}]") });
    }
    line + " [<CommonParameters>]"
}

/// What stands after a parameter's name: its values, else its type. Nothing after a switch.
fn value(parameter: &Parameter) -> Option<String> {
    match parameter.kind {
        Kind::Switch => None,
        _ if parameter.one_of.is_empty() => Some(format!("<{}>", type_name(parameter.kind))),
        _ => Some(format!("{{{}}}", parameter.one_of.join(" | "))),
    }
}

/// A type as people read it: its PowerShell name, which is also its name in the catalogue.
pub fn type_name(kind: Kind) -> String {
    if kind == Kind::Secret {
        return "string or SecureString".into();
    }
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "object".into(),
    }
}

/// Type of the output and when it is written; the type is `None` for no output.
pub fn output(cmdlet: &Cmdlet) -> (String, &'static str) {
    let name = cmdlet.output.clone().unwrap_or_else(|| "object".into());
    match cmdlet.emit {
        Emit::Always => (name, ""),
        Emit::PassThru => (name, "With -PassThru only."),
        Emit::PassThruBefore => (name, "With -PassThru only, as it was before the change."),
        Emit::Never => ("None".into(), ""),
    }
}

/// "Accepted values: A, B.", where only some values are accepted.
pub fn accepted(parameter: &Parameter) -> Option<String> {
    (!parameter.one_of.is_empty()).then(|| format!("Accepted values: {}.", parameter.one_of.join(", ")))
}

/// The paragraphs of a text, each on one line.
pub fn paragraphs(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            all.push(String::new());
        } else if let Some(last) = all.last_mut() {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(line);
        }
    }
    all.retain(|p| !p.is_empty());
    all
}

fn switch(name: &str, alias: &str, help: &str) -> Parameter {
    Parameter {
        name: name.into(),
        kind: Kind::Switch,
        help: help.into(),
        aliases: vec![alias.into()],
        sets: BTreeMap::from([("*".into(), Membership::default())]),
        default: None,
        not_empty: false,
        not_null: false,
        min: None,
        max: None,
        one_of: Vec::new(),
        wildcards: false,
        allow_empty: false,
        allow_null: false,
        completes: None,
        provides: BTreeMap::new(),
        requires: Vec::new(),
        excludes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::catalog;

    #[test]
    fn the_default_set_comes_first_and_reads_like_powershell() {
        let row = catalog::find("Set-JIMRunProfile").unwrap();
        assert_eq!(
            lines(&row.cmdlet).first().unwrap(),
            "Set-JIMRunProfile -ConnectedSystemId <int> -RunProfileId <int> [-Name <string>] [-PageSize <int>] \
             [-PartitionId <int>] [-FilePath <string>] [-VerifyImportContentHashes <bool>] [-PassThru] \
             [-WhatIf] [-Confirm] [<CommonParameters>]"
        );
        assert_eq!(lines(&row.cmdlet).len(), 5);
    }

    #[test]
    fn positional_parameters_come_first_and_values_are_listed() {
        let row = catalog::find("New-JIMRunProfile").unwrap();
        assert_eq!(
            lines(&row.cmdlet).last().unwrap(),
            "New-JIMRunProfile [-Name] <string> -ConnectedSystemName <string> \
             -RunType {FullImport | DeltaImport | FullSynchronisation | DeltaSynchronisation | Export} \
             [-PageSize <int>] [-PartitionId <int>] [-FilePath <string>] [-VerifyImportContentHashes] [-PassThru] \
             [-WhatIf] [-Confirm] [<CommonParameters>]"
        );
    }

    #[test]
    fn types_have_the_names_people_know() {
        assert_eq!(type_name(Kind::Secret), "string or SecureString");
        assert_eq!(type_name(Kind::Ints), "int[]");
        assert_eq!(type_name(Kind::PsObject), "PSCustomObject");
    }

    #[test]
    fn a_blank_line_separates_paragraphs_and_a_line_end_does_not() {
        assert_eq!(paragraphs("one\ntwo\n\n\nthree\n"), ["one two", "three"]);
    }
}
