//! The module's metadata, as the real engine reports it, against the official module's: every cmdlet,
//! parameter, type, alias, set, position, validation. The differences we chose stand with their reasons in
//! the last table of `docs/compatibility.md`; one that isn't there fails, and so does a row without a difference.
//!
//! `JIMHOST_CMDLETS` names the description of the official module (JSON). Without it there is nothing to
//! compare with, and the test says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use support::Pwsh;

/// What a cmdlet is, as texts that can be compared: what → value.
type Facts = BTreeMap<String, String>;

/// A cmdlet, whichever side it comes from.
#[derive(Default)]
struct Cmdlet {
    aliases: Vec<String>,
    default_set: String,
    impact: String,
    output: Vec<String>,
    /// In order of declaration.
    parameters: Vec<Parameter>,
}

#[derive(Default)]
struct Parameter {
    name: String,
    kind: String,
    aliases: Vec<String>,
    validation: Vec<String>,
    default: String,
    /// Set → part; `*` where the parameter is in every set.
    sets: BTreeMap<String, Part>,
}

#[derive(Clone, Default)]
struct Part {
    mandatory: bool,
    by_value: bool,
    by_name: bool,
    position: Option<i64>,
}

const ABSENT: &str = "-";
const EVERY: &str = "*";

/// What the engine knows of our cmdlets, as JSON of the same shape as the official description.
const COLLECT: &str = r#"
$common = [System.Management.Automation.Cmdlet]::CommonParameters + 'WhatIf' + 'Confirm' + 'ProgressAction'
$aliases = @(Get-Command -Module JimHost -CommandType Alias)
$all = foreach ($command in Get-Command -Module JimHost -CommandType Function | Where-Object Noun -Like 'JIM*') {
    $data = [System.Management.Automation.CommandMetadata]::new($command)
    $defaults = @{}
    foreach ($declared in $command.ScriptBlock.Ast.Body.ParamBlock.Parameters) {
        if ($declared.DefaultValue) { $defaults[$declared.Name.VariablePath.UserPath] = $declared.DefaultValue.Extent.Text }
    }
    @{
        name = $command.Name
        aliases = @($aliases | Where-Object { $_.ReferencedCommand.Name -eq $command.Name } | ForEach-Object Name)
        defaultParameterSet = $data.DefaultParameterSetName
        confirmImpact = if ($data.SupportsShouldProcess) { "$($data.ConfirmImpact)" } else { $null }
        outputTypes = @($command.OutputType | ForEach-Object Name)
        parameters = @(foreach ($declared in $command.ScriptBlock.Ast.Body.ParamBlock.Parameters) {
            $parameter = $command.Parameters[$declared.Name.VariablePath.UserPath]
            if ($parameter.Name -in $common) { continue }
            $sets = @{}
            foreach ($set in $parameter.ParameterSets.GetEnumerator()) {
                $part = @{ mandatory = $set.Value.IsMandatory; pipelineByValue = $set.Value.ValueFromPipeline; pipelineByPropertyName = $set.Value.ValueFromPipelineByPropertyName }
                if ($set.Value.Position -ge 0) { $part.position = $set.Value.Position }
                $sets[($set.Key -replace '^__AllParameterSets$', '*')] = $part
            }
            @{
                name = $parameter.Name; type = $parameter.ParameterType.Name; aliases = @($parameter.Aliases); sets = $sets; default = $defaults[$parameter.Name]
                validation = @(foreach ($attribute in $parameter.Attributes) {
                    $kind = $attribute.GetType().Name -replace 'Attribute$'
                    switch ($kind) {
                        'Parameter' { }
                        'Alias' { }
                        'ArgumentCompleter' { }
                        'ArgumentTypeConverter' { }
                        'ValidateRange' { @{ kind = $kind; args = @("$($attribute.MinRange)", "$($attribute.MaxRange)") } }
                        'ValidateSet' { @{ kind = $kind; values = @($attribute.ValidValues) } }
                        'ValidatePattern' { @{ kind = $kind; values = @($attribute.RegexPattern) } }
                        'ValidateCount' { @{ kind = $kind; args = @("$($attribute.MinLength)", "$($attribute.MaxLength)") } }
                        'ValidateLength' { @{ kind = $kind; args = @("$($attribute.MinLength)", "$($attribute.MaxLength)") } }
                        default { @{ kind = $kind } }
                    }
                })
            }
        })
    }
}
ConvertTo-Json -InputObject @{ cmdlets = @($all) } -Depth 8 -Compress
"#;

#[test]
fn every_difference_to_the_official_metadata_is_listed_with_its_reason() {
    let Some(path) = std::env::var_os("JIMHOST_CMDLETS") else {
        eprintln!("JIMHOST_CMDLETS is not set: no description of the official module to compare with");
        return;
    };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("JIMHOST_CMDLETS {}: {e}", path.display()));
    let official = read(&serde_json::from_str(&text).unwrap(), true);
    assert!(official.len() >= 150, "{} cmdlets in the description", official.len());
    let run = Pwsh::new("").run(COLLECT);
    assert_eq!(run.code, Some(0), "{}", run.text());
    let ours = read(&run.json(), false);

    let differences = compare(&official, &ours);
    let rows = listed();
    let mut used = BTreeSet::new();
    let mut unlisted = Vec::new();
    for difference in &differences {
        let matching: Vec<usize> = (0..rows.len()).filter(|i| covers(&rows[*i], difference)).collect();
        if matching.is_empty() {
            unlisted.push(format!("| {} | why? |", difference.join(" | ")));
        }
        used.extend(matching);
    }
    let stale: Vec<String> = (0..rows.len()).filter(|i| !used.contains(i)).map(|i| rows[i].join(" | ")).collect();
    assert!(
        unlisted.is_empty() && stale.is_empty(),
        "{} differences aren't listed in docs/compatibility.md:\n{}\n{} rows there have no difference:\n{}",
        unlisted.len(),
        unlisted.join("\n"),
        stale.len(),
        stale.join("\n")
    );
}

/// Both descriptions have one shape; the official one has lost its zeros.
fn read(description: &Value, official: bool) -> BTreeMap<String, Cmdlet> {
    description["cmdlets"]
        .as_array()
        .expect("cmdlets")
        .iter()
        .map(|value| {
            let mut cmdlet = Cmdlet {
                aliases: texts(&value["aliases"]),
                default_set: text(&value["defaultParameterSet"]),
                impact: text(&value["confirmImpact"]).replace(" (default)", ""),
                output: texts(&value["outputTypes"]),
                parameters: value["parameters"].as_array().unwrap().iter().map(parameter).collect(),
            };
            if official {
                restore_zeros(&mut cmdlet);
            }
            (text(&value["name"]), cmdlet)
        })
        .collect()
}

fn parameter(value: &Value) -> Parameter {
    let sets = value["sets"].as_object().unwrap().iter().map(|(set, part)| {
        let part = Part {
            mandatory: part["mandatory"] == true,
            by_value: part["pipelineByValue"] == true,
            by_name: part["pipelineByPropertyName"] == true,
            position: part["position"].as_i64(),
        };
        (set.clone(), part)
    });
    let validation =
        value["validation"].as_array().map(|list| list.iter().map(validation).collect()).unwrap_or_default();
    Parameter {
        name: text(&value["name"]),
        kind: type_name(&text(&value["type"])),
        aliases: texts(&value["aliases"]),
        validation,
        // Half an hour, written in two ways.
        default: text(&value["default"]).trim_matches('\'').replace("[TimeSpan]::FromMinutes(30)", "00:30:00"),
        sets: sets.collect(),
    }
}

fn validation(value: &Value) -> String {
    let arguments: Vec<String> = texts(if value["values"].is_array() { &value["values"] } else { &value["args"] })
        .iter()
        .map(|argument| argument.replace("[int]::MaxValue", &i32::MAX.to_string()))
        .collect();
    let kind = text(&value["kind"]);
    if arguments.is_empty() { kind } else { format!("{kind}({})", arguments.join(", ")) }
}

/// One name per type: `System.Int32` is `int`.
fn type_name(name: &str) -> String {
    let name = name.to_lowercase();
    let (name, list) = name.strip_suffix("[]").map_or((name.as_str(), ""), |name| (name, "[]"));
    let short = match name {
        "int32" => "int",
        "int64" => "long",
        "boolean" => "bool",
        "switchparameter" => "switch",
        "pscustomobject" => "psobject",
        "nullable`1" => "nullable[datetime]",
        other => other,
    };
    format!("{short}{list}")
}

/// The description has lost every position 0. It is certain where it belongs when other parameters of
/// the set have positions, or when the engine gives positions by itself, which it does without named sets.
fn restore_zeros(cmdlet: &mut Cmdlet) {
    let named = !set_names(cmdlet).is_empty();
    let positions: BTreeMap<String, Vec<i64>> = cmdlet.parameters.iter().flat_map(|p| &p.sets).fold(
        BTreeMap::new(),
        |mut all: BTreeMap<String, Vec<i64>>, (set, part)| {
            all.entry(set.clone()).or_default().extend(part.position);
            all
        },
    );
    for (set, positions) in positions {
        let certain = if named { !positions.is_empty() } else { true };
        if !certain || positions.contains(&0) {
            continue;
        }
        let first = cmdlet.parameters.iter_mut().filter(|p| p.kind != "switch").find_map(|p| {
            let part = p.sets.get_mut(&set)?;
            part.position.is_none().then_some(part)
        });
        if let Some(part) = first {
            part.position = Some(0);
        }
    }
}

fn set_names(cmdlet: &Cmdlet) -> BTreeSet<String> {
    let declared = cmdlet.parameters.iter().flat_map(|p| p.sets.keys());
    declared.chain([&cmdlet.default_set]).filter(|set| *set != EVERY && !set.is_empty()).cloned().collect()
}

/// Cmdlet, what, official, here.
type Difference = [String; 4];

fn compare(official: &BTreeMap<String, Cmdlet>, ours: &BTreeMap<String, Cmdlet>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for name in official.keys().chain(ours.keys()).collect::<BTreeSet<_>>() {
        let mut add = |what: &str, there: &str, here: &str| {
            if there != here {
                differences.push([name.clone(), what.to_owned(), there.to_owned(), here.to_owned()]);
            }
        };
        match (official.get(name), ours.get(name)) {
            (Some(there), Some(here)) => {
                let shared = shared_sets(there, here);
                let (left, right) = (facts(there, &shared, true), facts(here, &shared, false));
                for what in left.keys().chain(right.keys()).collect::<BTreeSet<_>>() {
                    // Of a parameter that one side lacks, its name says enough.
                    let owner = what.split(' ').next().unwrap_or_default();
                    let known = !owner.starts_with('-') || (left.contains_key(owner) && right.contains_key(owner));
                    if known || what == owner {
                        add(what, value(&left, what), value(&right, what));
                    }
                }
            }
            (there, here) => add("cmdlet", presence(there.is_some()), presence(here.is_some())),
        }
    }
    differences
}

fn value<'a>(facts: &'a Facts, what: &str) -> &'a str {
    facts.get(what).map_or(ABSENT, String::as_str)
}

fn presence(there: bool) -> &'static str {
    if there { "present" } else { ABSENT }
}

/// Pairs of sets that can be compared: those of one name; and where the official cmdlet has no named
/// sets, its nameless one with our default.
fn shared_sets(official: &Cmdlet, ours: &Cmdlet) -> Vec<(String, String)> {
    let (there, here) = (set_names(official), set_names(ours));
    match (there.is_empty(), here.is_empty()) {
        (true, true) => vec![(EVERY.into(), EVERY.into())],
        (true, false) => vec![(EVERY.into(), ours.default_set.clone())],
        (false, true) => there.into_iter().map(|set| (set, EVERY.into())).collect(),
        (false, false) => there.intersection(&here).map(|set| (set.clone(), set.clone())).collect(),
    }
}

fn facts(cmdlet: &Cmdlet, shared: &[(String, String)], official: bool) -> Facts {
    let mut facts = Facts::new();
    facts.extend(cmdlet.aliases.iter().map(|alias| (format!("alias {alias}"), "present".to_owned())));
    facts.extend(set_names(cmdlet).into_iter().map(|set| (format!("set {set}"), "present".to_owned())));
    let mut say = |what: String, value: String| {
        if !value.is_empty() {
            facts.insert(what, value);
        }
    };
    say("default set".into(), cmdlet.default_set.clone());
    say("ShouldProcess".into(), cmdlet.impact.clone());
    say("output type".into(), cmdlet.output.join(", "));
    for parameter in &cmdlet.parameters {
        let name = format!("-{}", parameter.name);
        say(name.clone(), "present".into());
        say(format!("{name} type"), parameter.kind.clone());
        say(format!("{name} alias"), sorted(&parameter.aliases));
        say(format!("{name} validation"), sorted(&parameter.validation));
        say(format!("{name} default"), parameter.default.clone());
        for (there, here) in shared {
            let own = if official { there } else { here };
            let Some(part) = parameter.sets.get(own).or_else(|| parameter.sets.get(EVERY)) else { continue };
            say(format!("{name} in {there}"), part.words());
            say(format!("{name} position in {there}"), part.position.map(|p| p.to_string()).unwrap_or_default());
        }
    }
    facts
}

impl Part {
    fn words(&self) -> String {
        let mut words = vec![if self.mandatory { "mandatory" } else { "optional" }];
        words.extend(self.by_value.then_some("by value"));
        words.extend(self.by_name.then_some("by name"));
        words.join(", ")
    }
}

fn sorted(list: &[String]) -> String {
    let mut list = list.to_vec();
    list.sort();
    list.join(", ")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().map(|list| list.iter().map(text).collect()).unwrap_or_default()
}

/// The rows of the table under "Metadata, row by row".
fn listed() -> Vec<Vec<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, table) = page.split_once("\n## Metadata, row by row\n").expect("the section of the table");
    let rows: Vec<Vec<String>> = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim().trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect())
        .collect();
    for row in &rows {
        assert!(row.len() == 5 && row.iter().all(|cell| !cell.is_empty()), "five cells: {row:?}");
    }
    rows
}

/// A cell may name several, separated by a comma and a space, and use `*`.
fn covers(row: &[String], difference: &Difference) -> bool {
    difference.iter().zip(row).all(|(value, cell)| like(value, cell) || cell.split(", ").any(|one| like(value, one)))
}

fn like(value: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => value == pattern,
        Some((head, rest)) => value.strip_prefix(head).is_some_and(|tail| {
            rest.is_empty() || tail.char_indices().map(|(i, _)| i).chain([tail.len()]).any(|i| like(&tail[i..], rest))
        }),
    }
}
