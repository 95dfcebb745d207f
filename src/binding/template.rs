//! A row's request templates filled in: paths, queries, bodies.

use super::Arguments;
use crate::catalog::row::{Field, FieldWhen, Form, Request};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a template may name: the arguments, and ids found meanwhile (look-ups, input objects).
#[derive(Debug)]
pub struct Variables<'a> {
    pub arguments: &'a Arguments,
    found: BTreeMap<String, Value>,
}

/// A request ready to send.
#[derive(Debug, PartialEq)]
pub struct Built {
    pub path: String,
    pub query: Vec<(String, String)>,
    /// `None` where the template has no body at all: such a POST sends no bytes.
    pub body: Option<Map<String, Value>>,
}

impl<'a> Variables<'a> {
    pub fn new(arguments: &'a Arguments) -> Self {
        Self { arguments, found: BTreeMap::new() }
    }

    pub fn set(&mut self, name: &str, value: Value) {
        self.found.insert(name.to_owned(), value);
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.found.get(name).or_else(|| self.arguments.get(name))
    }

    /// A value as text for messages; empty when there is none.
    pub fn text(&self, name: &str) -> String {
        self.get(name).map(plain).unwrap_or_default()
    }

    /// A path with its variables encoded as one segment each.
    pub fn path(&self, template: &str) -> String {
        self.fill(template, |value| crate::api::encode_segment(&value))
    }

    /// A sentence with its variables as plain text. A name stands in for an id nobody gave.
    pub fn sentence(&self, template: &str) -> String {
        self.fill(template, |value| value)
    }

    fn fill(&self, template: &str, encode: impl Fn(String) -> String) -> String {
        filled(template, |name| encode(self.text(name)))
    }
}

/// A text with each `{name}` replaced. What is empty takes the space before it along.
pub fn filled(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut text = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        let value = value(name);
        if value.is_empty() && text.ends_with(' ') {
            text.pop();
        }
        text.push_str(&value);
        rest = tail;
    }
    text.push_str(rest);
    text
}

/// The request of a template with these variables.
pub fn built(request: &Request, variables: &Variables<'_>) -> Built {
    let mut query = Vec::new();
    for field in &request.query {
        match value_of(field, variables) {
            None => {}
            Some(Value::Array(values)) => query.extend(values.iter().map(|v| (field.name.clone(), plain(v)))),
            Some(value) => query.push((field.name.clone(), plain(&value))),
        }
    }
    let body = (!request.body.is_empty())
        .then(|| request.body.iter().filter_map(|f| value_of(f, variables).map(|v| (f.name.clone(), v))).collect());
    Built { path: variables.path(&request.path), query, body }
}

fn value_of(field: &Field, variables: &Variables<'_>) -> Option<Value> {
    if !variables.arguments.holds(&field.only) {
        return None;
    }
    let Some(from) = &field.from else {
        let constant = field.value.as_ref()?;
        let Some(list) = &field.each else { return Some(inner(constant, &|name| variables.get(name).cloned())) };
        let items = variables.get(list).and_then(Value::as_array)?;
        let of = |item: &Value| {
            inner(constant, &|name| if name == list { Some(item.clone()) } else { variables.get(name).cloned() })
        };
        return Some(Value::Array(items.iter().map(of).collect()));
    };
    let value = variables.get(from);
    let sent = match field.when {
        FieldWhen::Bound => value.is_some(),
        FieldWhen::Truthy => value.is_some_and(super::truthy),
        FieldWhen::Always => true,
    };
    sent.then(|| formed(field.form, value.cloned().unwrap_or(Value::Bool(false))))
}

/// A constant with the variables in it filled in; one that nobody gave is null.
fn inner(constant: &Value, variable: &impl Fn(&str) -> Option<Value>) -> Value {
    match constant {
        Value::String(text) => match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            Some(name) => match name.split_once(" in ") {
                Some((item, list)) => {
                    let among = variable(list).zip(variable(item));
                    Value::Bool(among.is_some_and(|(list, item)| list.as_array().is_some_and(|l| l.contains(&item))))
                }
                None => variable(name).unwrap_or_default(),
            },
            None => constant.clone(),
        },
        Value::Array(items) => items.iter().map(|i| inner(i, variable)).collect(),
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), inner(v, variable))).collect(),
        other => other.clone(),
    }
}

fn formed(form: Form, value: Value) -> Value {
    match (form, value) {
        (Form::List, Value::Array(values)) => Value::Array(values),
        (Form::List, value) => Value::Array(vec![value]),
        (Form::AttributeType, Value::String(text)) if text.eq_ignore_ascii_case("Integer") => Value::from("Number"),
        (Form::TypedValues, Value::Object(settings)) => settings.into_iter().map(|(id, v)| (id, typed(v))).collect(),
        // Dates come over the wire in UTC, hashtable keys as text: JSON knows no others.
        (_, value) => value,
    }
}

/// A setting's value under the name for its type; what already has one stays.
fn typed(value: Value) -> Value {
    match value {
        Value::Object(_) => value,
        Value::Bool(_) => serde_json::json!({ "checkboxValue": value }),
        Value::Number(ref number) if number.is_i64() => serde_json::json!({ "intValue": value }),
        Value::Null => serde_json::json!({ "stringValue": null }),
        other => serde_json::json!({ "stringValue": plain(&other) }),
    }
}

/// A value as text, strings without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn built_of(cmdlet: &str, given: Value) -> Built {
        let row = crate::catalog::find(cmdlet).unwrap();
        let arguments = Arguments::bind(&row.cmdlet, None, given.as_object().unwrap().clone()).unwrap();
        built(&row.cmdlet.request[0], &Variables::new(&arguments))
    }

    #[test]
    fn a_body_holds_only_what_was_given() {
        let put = built_of(
            "Set-JIMRunProfile",
            json!({"ConnectedSystemId": 3, "RunProfileId": 12, "FilePath": "", "PageSize": 5}),
        );
        assert_eq!(put.path, "/api/v1/synchronisation/connected-systems/3/run-profiles/12");
        assert_eq!(Value::Object(put.body.unwrap()), json!({"pageSize": 5, "filePath": ""}));
    }

    #[test]
    fn a_body_holds_defaults_and_truthy_fields() {
        let post = built_of(
            "New-JIMRunProfile",
            json!({"ConnectedSystemId": 3, "Name": "x", "RunType": "Export", "FilePath": ""}),
        );
        assert_eq!(Value::Object(post.body.unwrap()), json!({"name": "x", "runType": "Export", "pageSize": 100}));
    }

    #[test]
    fn variables_stand_for_their_values_inside_constants() {
        let given = json!({"ConnectedSystemId": 1, "Id": 2, "SourceAttributeId": 7});
        let put = built_of("Set-JIMMatchingRule", given);
        assert_eq!(
            Value::Object(put.body.unwrap()),
            json!({"sources": [{"order": 0, "connectedSystemAttributeId": 7}]})
        );
        let put = built_of("Set-JIMMatchingRule", json!({"ConnectedSystemId": 1, "Id": 2, "Order": 0}));
        assert_eq!(Value::Object(put.body.unwrap()), json!({"order": 0}));
    }

    #[test]
    fn a_constant_is_written_for_each_item_of_a_list() {
        let order = |given| Value::Object(built_of("Set-JIMMetaverseAttributePriority", given).body.unwrap());
        assert_eq!(
            order(json!({"AttributeId": 1, "ObjectTypeId": 1, "MappingId": [72, 71], "NullIsValueMappingId": [71]})),
            json!({"contributors": [{"mappingId": 72, "nullIsValue": false}, {"mappingId": 71, "nullIsValue": true}]})
        );
        assert_eq!(
            order(json!({"AttributeId": 1, "ObjectTypeId": 1, "MappingId": [72]})),
            json!({"contributors": [{"mappingId": 72, "nullIsValue": false}]})
        );
    }

    #[test]
    fn settings_go_where_their_type_belongs() {
        let settings = json!({"1": "x", "2": 443, "3": true, "4": 1.5, "5": null, "6": {"stringValue": "y"}});
        let post = built_of(
            "Approve-JIMConnectedSystemServerCertificate",
            json!({"ConnectedSystemId": 1, "Thumbprint": "8F", "SettingValues": settings}),
        );
        assert_eq!(
            post.body.unwrap()["settingValues"],
            json!({
                "1": {"stringValue": "x"}, "2": {"intValue": 443}, "3": {"checkboxValue": true},
                "4": {"stringValue": "1.5"}, "5": {"stringValue": null}, "6": {"stringValue": "y"},
            })
        );
    }

    #[test]
    fn what_is_absent_leaves_no_gap_in_a_sentence() {
        let text = |name: &str| if name == "Name" { "x".to_owned() } else { String::new() };
        assert_eq!(filled("change attribute {Id} of {Name}", text), "change attribute of x");
        assert_eq!(filled("test '{Id}' {Id}", text), "test ''");
    }

    #[test]
    fn path_variables_are_one_segment() {
        let row = crate::catalog::find("Get-JIMRunProfile").unwrap();
        let arguments =
            Arguments::bind(&row.cmdlet, None, json!({"ConnectedSystemName": "x"}).as_object().unwrap().clone())
                .unwrap();
        let mut variables = Variables::new(&arguments);
        variables.set("ConnectedSystemId", json!("a/b ?-_."));
        assert_eq!(variables.path("/x/{ConnectedSystemId}/y"), "/x/a%2Fb%20%3F-_./y");
    }
}
