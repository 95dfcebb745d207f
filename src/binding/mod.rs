//! Wire arguments → a checked call. PowerShell has bound the parameters already; other clients
//! haven't, so names, types, limits and the parameter set are checked here for all of them.

mod template;

pub use template::{Built, Variables, built, filled, plain};

use crate::catalog::row::{Cmdlet, Condition, Kind, Parameter};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use thiserror::Error;

/// The arguments of one call, checked against the row.
#[derive(Debug)]
pub struct Arguments {
    /// The parameter set in force; empty for cmdlets without named sets.
    pub set: String,
    bound: Map<String, Value>,
    defaults: Map<String, Value>,
}

#[derive(Debug, Error, PartialEq)]
pub enum BindError {
    #[error("{cmdlet} has no parameter -{name}")]
    UnknownParameter { cmdlet: String, name: String },
    #[error("-{name} takes {expected}, not {given}")]
    WrongType { name: String, expected: &'static str, given: String },
    #[error("-{name} must be {limits}; it was {given}")]
    OutOfRange { name: String, limits: String, given: String },
    #[error("-{name} is one of {choices}; it was {given}")]
    NotAChoice { name: String, choices: String, given: String },
    #[error("-{name} must not be empty")]
    Empty { name: String },
    #[error("{cmdlet} needs -{name}")]
    Missing { cmdlet: String, name: String },
    #[error("-{name} needs -{other} as well")]
    Apart { name: String, other: String },
    /// A value that its type alone doesn't rule out: "-Id must be a GUID for type Schedule".
    #[error("-{name} {problem}")]
    Unfit { name: String, problem: String },
    #[error("-{name} and -{other} exclude each other: give one of them")]
    Together { name: String, other: String },
    #[error("these parameters of {cmdlet} don't go together: {names}")]
    Ambiguous { cmdlet: String, names: String },
}

impl Arguments {
    /// Checks what came over the wire. `set` is PowerShell's own choice where there was one.
    pub fn bind(cmdlet: &Cmdlet, set: Option<&str>, given: Map<String, Value>) -> Result<Self, BindError> {
        let mut bound = Map::with_capacity(given.len());
        for (name, value) in given {
            let parameter = find(cmdlet, &name)
                .ok_or_else(|| BindError::UnknownParameter { cmdlet: cmdlet.name.clone(), name: name.clone() })?;
            check(parameter, &value)?;
            bound.insert(parameter.name.clone(), value);
        }
        let set = match set {
            Some(set) => set.to_owned(),
            None => choose_set(cmdlet, &bound)?,
        };
        let mut defaults = Map::new();
        for parameter in &cmdlet.parameter {
            if bound.contains_key(&parameter.name)
                && let Some(other) = parameter.requires.iter().find(|other| !bound.contains_key(*other))
            {
                return Err(BindError::Apart { name: parameter.name.clone(), other: other.clone() });
            }
            if counts(parameter, &bound)
                && let Some(other) =
                    cmdlet.parameter.iter().find(|p| parameter.excludes.contains(&p.name) && counts(p, &bound))
            {
                return Err(BindError::Together { name: parameter.name.clone(), other: other.name.clone() });
            }
            if let Some(text) = &parameter.default
                && !bound.contains_key(&parameter.name)
                && in_set(parameter, &set)
            {
                defaults.insert(parameter.name.clone(), default_value(parameter.kind, text));
            }
        }
        Ok(Self { set, bound, defaults })
    }

    /// The value the user gave, or the default.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.bound.get(name).or_else(|| self.defaults.get(name))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }

    /// A list of whole numbers; absent is none.
    pub fn integers(&self, name: &str) -> Vec<i64> {
        self.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64).collect()
    }

    /// A switch or bool; absent is false.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Did the user give it?
    pub fn is_bound(&self, name: &str) -> bool {
        self.bound.contains_key(name)
    }

    /// Given and neither empty, zero nor false, as PowerShell's `if ($X)` sees it.
    pub fn is_truthy(&self, name: &str) -> bool {
        self.get(name).is_some_and(truthy)
    }

    pub fn holds(&self, condition: &Condition) -> bool {
        (condition.set.is_empty() || condition.set.contains(&self.set))
            && condition.bound.iter().all(|n| self.is_bound(n))
            && !condition.unbound.iter().any(|n| self.is_bound(n))
            && condition.truthy.iter().all(|n| self.is_truthy(n))
            && !condition.falsy.iter().any(|n| self.is_truthy(n))
            && condition.pattern.iter().all(|n| self.text(n).is_some_and(|t| t.contains(['*', '?', '['])))
            && condition.equals.iter().all(|(n, v)| self.text(n).is_some_and(|t| t.eq_ignore_ascii_case(v)))
    }
}

/// Given; a switch must be on too.
fn counts(parameter: &Parameter, bound: &Map<String, Value>) -> bool {
    bound.get(&parameter.name).is_some_and(|value| parameter.kind != Kind::Switch || truthy(value))
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(_) => true,
    }
}

fn find<'a>(cmdlet: &'a Cmdlet, name: &str) -> Option<&'a Parameter> {
    cmdlet
        .parameter
        .iter()
        .find(|p| p.name.eq_ignore_ascii_case(name) || p.aliases.iter().any(|a| a.eq_ignore_ascii_case(name)))
}

fn in_set(parameter: &Parameter, set: &str) -> bool {
    parameter.sets.contains_key("*") || parameter.sets.contains_key(set)
}

fn default_value(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Int | Kind::Long => text.parse::<i64>().map_or(Value::Null, Value::from),
        Kind::Bool | Kind::Switch => Value::Bool(text.eq_ignore_ascii_case("$true") || text == "true"),
        Kind::Strings | Kind::Ints | Kind::Guids | Kind::Objects | Kind::Array | Kind::Hashtables => {
            Value::Array(Vec::new())
        }
        _ => Value::String(text.trim_matches('\'').to_owned()),
    }
}

fn check(parameter: &Parameter, value: &Value) -> Result<(), BindError> {
    if value.is_null() {
        if parameter.allow_null || parameter.kind == Kind::NullableDateTime {
            return Ok(());
        }
        return Err(BindError::Empty { name: parameter.name.clone() });
    }
    let (fits, expected) = fits(parameter.kind, value);
    if !fits {
        return Err(BindError::WrongType { name: parameter.name.clone(), expected, given: shown(parameter, value) });
    }
    if parameter.not_empty && value.as_str().is_some_and(str::is_empty) {
        return Err(BindError::Empty { name: parameter.name.clone() });
    }
    let scalars: Vec<&Value> = value.as_array().map_or_else(|| vec![value], |a| a.iter().collect());
    for scalar in scalars {
        check_range(parameter, scalar)?;
        if !parameter.one_of.is_empty()
            && !scalar.as_str().is_some_and(|s| parameter.one_of.iter().any(|c| c.eq_ignore_ascii_case(s)))
        {
            return Err(BindError::NotAChoice {
                name: parameter.name.clone(),
                choices: parameter.one_of.join(", "),
                given: shown(parameter, scalar),
            });
        }
    }
    Ok(())
}

fn check_range(parameter: &Parameter, value: &Value) -> Result<(), BindError> {
    let (Some(min), Some(number)) = (parameter.min, value.as_f64()) else { return Ok(()) };
    let above = parameter.max.is_some_and(|max| number > max as f64);
    if number >= min as f64 && !above {
        return Ok(());
    }
    let limits = match parameter.max {
        Some(max) => format!("from {min} to {max}"),
        None => format!("{min} or more"),
    };
    Err(BindError::OutOfRange { name: parameter.name.clone(), limits, given: value.to_string() })
}

/// A value as it may be shown: secrets are not.
fn shown(parameter: &Parameter, value: &Value) -> String {
    match parameter.kind {
        Kind::Secret | Kind::SecureString | Kind::Credential => "something else".into(),
        // Objects may be whole documents, and maps secrets by name.
        Kind::Hashtable | Kind::Hashtables | Kind::PsObject | Kind::Object => match value {
            Value::String(_) => "a text".into(),
            Value::Array(_) => "a list".into(),
            Value::Object(_) => "an object".into(),
            _ => "a single value".into(),
        },
        _ => value.to_string(),
    }
}

fn fits(kind: Kind, value: &Value) -> (bool, &'static str) {
    let list_of = |test: fn(&Value) -> bool| value.as_array().is_some_and(|a| a.iter().all(test));
    match kind {
        Kind::Switch | Kind::Bool => (value.is_boolean(), "true or false"),
        Kind::Int => (value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()), "a whole number"),
        Kind::Long => (value.is_i64(), "a whole number"),
        Kind::Decimal => (value.is_number() || value.is_string(), "a number"),
        Kind::Ints => (list_of(Value::is_i64), "a list of whole numbers"),
        Kind::String => (value.is_string(), "a text"),
        Kind::Guid => (value.is_string(), "a GUID"),
        Kind::DateTime | Kind::NullableDateTime => (value.is_string(), "a date"),
        Kind::TimeSpan => (value.is_string(), "a time span"),
        Kind::Secret | Kind::SecureString => (value.is_string(), "a secret"),
        Kind::Credential => {
            let text = |name: &str| value.get(name).is_some_and(Value::is_string);
            (text("userName") && text("password"), "a user name and password")
        }
        Kind::Bytes => (value.is_string(), "bytes in base64"),
        Kind::Strings => (list_of(Value::is_string), "a list of texts"),
        Kind::Guids => (list_of(Value::is_string), "a list of GUIDs"),
        Kind::Hashtable | Kind::PsObject => (value.is_object(), "an object"),
        Kind::Hashtables => (list_of(Value::is_object), "a list of objects"),
        Kind::Objects | Kind::Array => (value.is_array(), "a list"),
        Kind::Object => (true, "a value"),
    }
}

/// PowerShell's rule in short: the sets that have every bound parameter and miss no mandatory one;
/// the default set wins a tie.
fn choose_set(cmdlet: &Cmdlet, bound: &Map<String, Value>) -> Result<String, BindError> {
    let names: BTreeSet<&str> =
        cmdlet.parameter.iter().flat_map(|p| p.sets.keys()).map(String::as_str).filter(|s| *s != "*").collect();
    let default = cmdlet.default_set.as_deref().unwrap_or_default();
    let all: Vec<&str> = if names.is_empty() { vec![""] } else { names.into_iter().collect() };
    let fitting: Vec<&str> = all
        .into_iter()
        .filter(|set| cmdlet.parameter.iter().filter(|p| bound.contains_key(&p.name)).all(|p| in_set(p, set)))
        .collect();
    if fitting.is_empty() {
        let names: Vec<String> = bound.keys().map(|n| format!("-{n}")).collect();
        return Err(BindError::Ambiguous { cmdlet: cmdlet.name.clone(), names: names.join(", ") });
    }
    let missing = |set: &str| {
        cmdlet.parameter.iter().find(|p| {
            let member = p.sets.get(set).or_else(|| p.sets.get("*"));
            member.is_some_and(|m| m.mandatory) && !bound.contains_key(&p.name)
        })
    };
    let complete: Vec<&str> = fitting.iter().copied().filter(|set| missing(set).is_none()).collect();
    if let Some(set) = preferred(&complete, default) {
        return Ok(set.to_owned());
    }
    let set = preferred(&fitting, default).unwrap_or_default();
    let name = missing(set).map(|p| p.name.clone()).unwrap_or_default();
    Err(BindError::Missing { cmdlet: cmdlet.name.clone(), name })
}

fn preferred<'a>(sets: &[&'a str], default: &str) -> Option<&'a str> {
    sets.iter().copied().find(|set| *set == default).or_else(|| sets.first().copied())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn bind(cmdlet: &str, given: Value) -> Result<Arguments, BindError> {
        let row = crate::catalog::find(cmdlet).unwrap();
        Arguments::bind(&row.cmdlet, None, given.as_object().unwrap().clone())
    }

    #[test]
    fn the_set_follows_from_the_arguments() {
        let by_name = bind("Set-JIMRunProfile", json!({"connectedsystemname": "HR", "RunProfileId": 1, "PageSize": 5}));
        assert_eq!(by_name.unwrap().set, "ByName");
        let by_id = bind("Set-JIMRunProfile", json!({"ConnectedSystemId": 1, "Id": 1})).unwrap();
        assert_eq!((by_id.set.as_str(), by_id.integer("RunProfileId")), ("ById", Some(1)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = |given| bind("Set-JIMRunProfile", given).unwrap_err().to_string();
        assert_eq!(text(json!({"ConnectedSystemId": 1})), "Set-JIMRunProfile needs -RunProfileId");
        assert_eq!(text(json!({"Colour": 1})), "Set-JIMRunProfile has no parameter -Colour");
        assert_eq!(text(json!({"PageSize": 0})), "-PageSize must be from 1 to 10000; it was 0");
        assert_eq!(text(json!({"PageSize": "x"})), "-PageSize takes a whole number, not \"x\"");
        assert_eq!(text(json!({"Name": ""})), "-Name must not be empty");
        assert!(text(json!({"ConnectedSystemId": 1, "ConnectedSystemName": "x"})).contains("don't go together"));
    }

    #[test]
    fn a_document_that_came_as_text_is_not_quoted() {
        let error = bind("Set-NDMJobCollection", json!({"InputObject": "{\"password\":\"x\"}"})).unwrap_err();
        assert_eq!(error.to_string(), "-InputObject takes an object, not a text");
        let error = bind("Set-NDMJobCollection", json!({"Id": 1, "Secret": "hidden"})).unwrap_err();
        assert_eq!(error.to_string(), "-Secret takes an object, not a text");
    }

    #[test]
    fn some_parameters_exclude_each_other() {
        let import = |given| bind("Import-JIMConnectedSystemSchema", given);
        let both = import(json!({"Id": 1, "RemoveDependents": true, "DisableDependents": true})).unwrap_err();
        assert!(both.to_string().contains("exclude each other"));
        assert!(import(json!({"Id": 1, "RemoveDependents": true, "DisableDependents": false})).is_ok());
    }

    #[test]
    fn a_condition_can_look_for_wildcards() {
        let condition = Condition { pattern: vec!["Uri".into()], ..Condition::default() };
        let holds = |uri| bind("Get-JIMPredefinedSearch", json!({ "Uri": uri })).unwrap().holds(&condition);
        assert!(holds("peo*") && holds("p?ople") && holds("[pg]eople"));
        assert!(!holds("people"));
    }

    #[test]
    fn defaults_count_only_where_the_user_gave_nothing() {
        let profile = json!({"ConnectedSystemId": 1, "Name": "x", "RunType": "export"});
        let arguments = bind("New-JIMRunProfile", profile).unwrap();
        assert_eq!(arguments.integer("PageSize"), Some(100));
        assert!(!arguments.is_bound("PageSize"));
    }
}
