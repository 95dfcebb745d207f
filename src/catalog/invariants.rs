//! What must hold for every row. Part of `build.rs` alone: a row with a fault fails the build.

use super::row::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};

/// One file of `catalog/`: an area of one product.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    pub product: Product,
    /// Heading of the area in the reference pages.
    pub area: String,
    #[serde(default)]
    pub cmdlet: Vec<Cmdlet>,
}

/// PowerShell's approved verbs that the two products use (`Get-Verb`).
const VERBS: &[&str] = &[
    "Add",
    "Approve",
    "Clear",
    "Compare",
    "Connect",
    "Copy",
    "Disable",
    "Disconnect",
    "Enable",
    "Export",
    "Get",
    "Import",
    "Invoke",
    "Move",
    "New",
    "Remove",
    "Rename",
    "Reset",
    "Search",
    "Set",
    "Start",
    "Stop",
    "Switch",
    "Sync",
    "Test",
    "Watch",
];

/// Every fault found, as lines that name the row.
pub fn check(areas: &[Area], lookups: &Lookups) -> Vec<String> {
    let mut faults = Vec::new();
    let mut names = HashSet::new();
    for area in areas {
        for cmdlet in &area.cmdlet {
            for name in std::iter::once(&cmdlet.name).chain(&cmdlet.aliases) {
                if !names.insert(name.to_lowercase()) {
                    faults.push(format!("{name}: declared twice"));
                }
            }
            let before = faults.len();
            check_cmdlet(cmdlet, area.product, lookups, &mut faults);
            for fault in &mut faults[before..] {
                *fault = format!("{}: {fault}", cmdlet.name);
            }
        }
    }
    faults
}

fn check_cmdlet(cmdlet: &Cmdlet, product: Product, lookups: &Lookups, faults: &mut Vec<String>) {
    let mut fault = |text: String| faults.push(text);
    let (verb, noun) = cmdlet.name.split_once('-').unwrap_or(("", ""));
    if !VERBS.contains(&verb) {
        fault(format!("{verb} is not one of the approved verbs listed in invariants.rs"));
    }
    let prefix = match product {
        Product::Jim => "JIM",
        Product::Ndm => "NDM",
    };
    if !noun.starts_with(prefix) {
        fault(format!("the noun must start with {prefix}"));
    }
    for (what, text) in
        [("synopsis", &cmdlet.synopsis), ("description", &cmdlet.description), ("action", &cmdlet.action)]
    {
        if text.trim().is_empty() {
            fault(format!("no {what}"));
        }
    }
    if cmdlet.example.len() < 2 {
        fault("fewer than two examples".into());
    }
    if cmdlet.request.is_empty() && cmdlet.handler.is_none() {
        fault("neither a request nor a handler".into());
    }
    let changes = cmdlet.request.iter().any(|r| r.method != Method::Get && !r.read_only);
    if changes && cmdlet.impact.is_none() {
        fault("sends a changing request but has no impact, so no ShouldProcess".into());
    }
    let sets = set_names(cmdlet);
    if let Some(default) = &cmdlet.default_set
        && !sets.contains(default.as_str())
        && !cmdlet.request.iter().any(|r| r.when.set.contains(default))
    {
        fault(format!("default set {default} has neither a parameter nor a request"));
    }
    check_parameters(cmdlet, faults);
    check_variables(cmdlet, lookups, faults);
}

fn check_parameters(cmdlet: &Cmdlet, faults: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for parameter in &cmdlet.parameter {
        for name in std::iter::once(&parameter.name).chain(&parameter.aliases) {
            if !seen.insert(name.to_lowercase()) {
                faults.push(format!("-{name} is declared twice"));
            }
        }
        if parameter.help.trim().is_empty() {
            faults.push(format!("-{} has no help", parameter.name));
        }
        if parameter.sets.is_empty() {
            faults.push(format!("-{} is in no parameter set", parameter.name));
        }
        if parameter.max.is_some() && parameter.min.is_none() {
            faults.push(format!("-{} has an upper limit but no lower one", parameter.name));
        }
        for (what, others) in [("requires", &parameter.requires), ("excludes", &parameter.excludes)] {
            for other in others {
                if !cmdlet.parameter.iter().any(|p| p.name == *other) {
                    faults.push(format!("-{} {what} -{other}, which doesn't exist", parameter.name));
                }
            }
        }
        if parameter.kind == Kind::PsObject && parameter.provides.is_empty() && cmdlet.handler.is_none() {
            faults.push(format!("-{} provides no variable", parameter.name));
        }
    }
    let passes = cmdlet.parameter.iter().any(|p| p.name == "PassThru");
    if passes != matches!(cmdlet.emit, Emit::PassThru | Emit::PassThruBefore) && cmdlet.handler.is_none() {
        faults.push("-PassThru and `emit` don't agree".into());
    }
}

fn check_variables(cmdlet: &Cmdlet, lookups: &Lookups, faults: &mut Vec<String>) {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for parameter in &cmdlet.parameter {
        known.insert(&parameter.name);
        known.extend(parameter.provides.keys().map(String::as_str));
    }
    for used in &cmdlet.lookup {
        match lookups.lookup.get(&used.find) {
            None => faults.push(format!("lookup {} is not in lookups.toml", used.find)),
            Some(lookup) => {
                for name in variables(&lookup.path) {
                    if !known.contains(name) {
                        faults.push(format!("lookup {} needs {{{name}}}, which nothing provides", used.find));
                    }
                }
            }
        }
        if !known.contains(used.by.as_str()) {
            faults.push(format!("lookup by {}, which is no parameter", used.by));
        }
        known.insert(&used.into);
    }
    known.extend(cmdlet.computed.iter().map(String::as_str));
    if !cmdlet.computed.is_empty() && cmdlet.handler.is_none() {
        faults.push("`computed` without a handler that computes".into());
    }
    let before = cmdlet.current.iter().flat_map(|c| c.provides.keys());
    known.extend(before.map(String::as_str));
    if let Some(current) = &cmdlet.current {
        for name in variables(&current.path).filter(|v| current.provides.contains_key(*v)) {
            faults.push(format!("current.path uses {{{name}}}, which only its answer provides"));
        }
    }
    let mut need = |name: &str, place: &str| {
        if !known.contains(name) {
            faults.push(format!("{place} uses {{{name}}}, which nothing provides"));
        }
    };
    for request in &cmdlet.request {
        variables(&request.path).for_each(|v| need(v, &request.path));
        for field in request.query.iter().chain(&request.body) {
            for name in field.from.iter().chain(&field.each) {
                need(name, &field.name);
            }
            for name in field.value.iter().flat_map(inner_variables) {
                need(&name, &field.name);
            }
        }
    }
    if let Some(current) = &cmdlet.current {
        variables(&current.path).for_each(|v| need(v, &current.path));
        if let Some(find) = &current.find {
            need(find, "current.find");
        }
    }
    cmdlet.add.values().for_each(|v| need(v, "add"));
    if let Some(hide) = &cmdlet.hide {
        need(&hide.unless, "hide.unless");
    }
    variables(&cmdlet.action).for_each(|v| need(v, "action"));
    for request in &cmdlet.request {
        for field in request.query.iter().chain(&request.body) {
            if field.from.is_some() == field.value.is_some() {
                faults.push(format!("field {} needs exactly one of `from` and `value`", field.name));
            }
        }
    }
}

/// The variables that a constant names.
fn inner_variables(value: &serde_json::Value) -> Vec<String> {
    use serde_json::Value;
    match value {
        Value::String(text) => variables(text).flat_map(|v| v.split(" in ")).map(str::to_owned).collect(),
        Value::Array(items) => items.iter().flat_map(inner_variables).collect(),
        Value::Object(fields) => fields.values().flat_map(inner_variables).collect(),
        _ => Vec::new(),
    }
}

/// The names in braces of a template.
pub fn variables(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|part| part.split('}').next())
}

/// Parameter sets a cmdlet has, `*` left out.
pub fn set_names(cmdlet: &Cmdlet) -> BTreeSet<&str> {
    cmdlet.parameter.iter().flat_map(|p| p.sets.keys()).map(String::as_str).filter(|s| *s != "*").collect()
}
