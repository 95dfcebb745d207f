//! Entities as JSON objects in tables: numbering, look-ups, and the reading of request bodies into their fields.
//!
//! An area describes its bodies as a `Form` and its rows with the fields of the server's own answers (plus a few that
//! are not shown), and needs no code of its own for storage or for the checks that all areas share.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::body::Body;
use super::errors;
use super::paging::{Page, arrange};
use super::state::{Change, World};
use super::wire::{Call, Handled, Reply};

/// Always an object; a field it lacks reads as null.
pub(super) type Row = Value;

#[derive(Debug, Default)]
struct Table {
    rows: Vec<Row>,
    last: i64,
}

/// Every table by its name. Tables begin empty and appear when something is added.
#[derive(Debug, Default)]
pub(super) struct Tables(HashMap<&'static str, Table>);

impl Tables {
    pub(super) fn rows(&self, table: &str) -> &[Row] {
        self.0.get(table).map_or(&[], |table| table.rows.as_slice())
    }

    pub(super) fn get(&self, table: &str, id: i64) -> Option<&Row> {
        self.rows(table).iter().find(|row| row["id"] == id)
    }

    pub(super) fn get_mut(&mut self, table: &str, id: i64) -> Option<&mut Row> {
        let table = self.0.get_mut(table)?;
        table.rows.iter_mut().find(|row| row["id"] == id)
    }

    pub(super) fn rows_mut(&mut self, table: &str) -> &mut [Row] {
        self.0.get_mut(table).map_or(&mut [], |table| table.rows.as_mut_slice())
    }

    /// Rows that belong to another entity: those whose `field` is its id.
    pub(super) fn of<'a>(&'a self, table: &str, field: &'a str, id: i64) -> impl Iterator<Item = &'a Row> {
        self.rows(table).iter().filter(move |row| row.get(field).is_some_and(|value| *value == id))
    }

    /// The next number of a table; numbers are not used twice.
    pub(super) fn next_id(&mut self, table: &'static str) -> i64 {
        let table = self.0.entry(table).or_default();
        table.last += 1;
        table.last
    }

    /// Adds a row under its own number, or under the next one when it has none (0).
    pub(super) fn add(&mut self, table: &'static str, row: Value) -> i64 {
        let mut row = row;
        let own = number(&row, "id");
        let id = if own > 0 { own } else { self.next_id(table) };
        let table = self.0.entry(table).or_default();
        table.last = table.last.max(id);
        if !row["id"].is_string() {
            row["id"] = json!(id);
        }
        table.rows.push(row);
        id
    }

    pub(super) fn remove(&mut self, table: &str, id: i64) {
        self.retain(table, |row| row["id"] != id);
    }

    pub(super) fn retain(&mut self, table: &str, keep: impl FnMut(&Row) -> bool) {
        if let Some(table) = self.0.get_mut(table) {
            table.rows.retain(keep);
        }
    }
}

/// A field's text, or nothing.
pub(super) fn text<'a>(row: &'a Row, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(row: &Row, field: &str) -> i64 {
    row.get(field).and_then(Value::as_i64).unwrap_or_default()
}

pub(super) fn flag(row: &Row, field: &str) -> bool {
    row.get(field).and_then(Value::as_bool).unwrap_or_default()
}

/// The named fields in this order; what a row lacks is null.
pub(super) fn pick(row: &Row, fields: &[&str]) -> Value {
    let fields = fields.iter().map(|field| ((*field).to_owned(), row.get(*field).cloned().unwrap_or_default()));
    Value::Object(fields.collect())
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// With its greatest length in UTF-16 units.
    Text(usize),
    Int,
    Flag,
    /// The server's name for the enum, and its members.
    OneOf(&'static str, &'static [&'static str]),
    /// A list or an object, taken as it is.
    Any,
}

/// What a request's body may hold.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) model: &'static str,
    /// Those that a new entity must have come first.
    pub(super) required: &'static [(&'static str, Kind)],
    pub(super) optional: &'static [(&'static str, Kind)],
}

/// The fields that were sent: missing and null are the same and are not here.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) fields: Row,
    pub(super) reason: Option<String>,
}

impl Sent {
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some()
    }

    /// Takes a field out; null when it was not sent.
    pub(super) fn take(&mut self, name: &str) -> Value {
        let fields = self.fields.as_object_mut();
        fields.and_then(|fields| fields.shift_remove(name)).unwrap_or_default()
    }
}

/// The numbers in a list; anything else has none.
pub(super) fn numbers(value: &Value) -> Vec<i64> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(Value::as_i64).collect()
}

impl Form {
    /// For a new entity: what is required has to be there.
    pub(super) fn create(&self, call: &Call) -> Result<Sent, Reply> {
        let mut sent = self.read(call)?;
        let mut errors = Vec::new();
        for (name, kind) in self.required {
            match (kind, sent.fields.get(*name)) {
                (Kind::Text(_), Some(Value::String(text))) if !text.trim().is_empty() => {}
                // A number that is left out is 0 to the server, not missing (observed).
                (Kind::Int, None) => {
                    sent.fields[*name] = json!(0);
                }
                (Kind::Text(_), _) | (_, None) => {
                    errors.push((pascal(name), vec![format!("The {} field is required.", pascal(name))]))
                }
                _ => {}
            }
        }
        errors.extend(self.lengths(&sent.fields, 0));
        refuse(errors)?;
        unstorable(call, &sent.fields)?;
        Ok(sent)
    }

    /// For a change: nothing is required, but what must not be empty can't be emptied.
    pub(super) fn update(&self, call: &Call) -> Result<Sent, Reply> {
        let sent = self.read(call)?;
        refuse(self.lengths(&sent.fields, 1))?;
        unstorable(call, &sent.fields)?;
        Ok(sent)
    }

    fn read(&self, call: &Call) -> Result<Sent, Reply> {
        let body = Body::of(call, self.model)?;
        let mut fields = Map::new();
        for (name, kind) in self.required.iter().chain(self.optional) {
            let value = match kind {
                Kind::Text(_) => body.text(name)?.map(Value::String),
                Kind::Int => body.int(name, true)?.map(Value::from),
                Kind::Flag => body.flag(name, true)?.map(Value::from),
                Kind::OneOf(clr, names) => match body.value(name) {
                    Some(_) => body.one_of(name, clr, names)?.map(Value::from),
                    None => None,
                },
                Kind::Any => body.value(name),
            };
            if let Some(value) = value {
                fields.insert((*name).to_owned(), value);
            }
        }
        Ok(Sent { fields: Value::Object(fields), reason: body.text("changeReason")? })
    }

    fn lengths(&self, fields: &Row, least: usize) -> Vec<(String, Vec<String>)> {
        let mut errors = Vec::new();
        let rules =
            self.required.iter().map(|field| (field, least)).chain(self.optional.iter().map(|field| (field, 0)));
        for ((name, kind), least) in rules {
            if let (Kind::Text(most), Some(Value::String(text))) = (kind, fields.get(*name)) {
                let length = text.encode_utf16().count();
                if length > *most || length < least {
                    errors.push((
                        pascal(name),
                        vec![format!(
                            "The field {} must be a string with a minimum length of {} and a maximum length of {most}.",
                            pascal(name),
                            usize::from(self.required.iter().any(|(known, _)| known == name))
                        )],
                    ));
                }
            }
        }
        errors
    }
}

fn refuse(errors: Vec<(String, Vec<String>)>) -> Result<(), Reply> {
    if errors.is_empty() { Ok(()) } else { Err(errors::invalid(errors)) }
}

/// The server's database refuses U+0000.
fn unstorable(call: &Call, fields: &Row) -> Result<(), Reply> {
    let nul = fields
        .as_object()
        .into_iter()
        .flat_map(Map::values)
        .any(|value| value.as_str().is_some_and(|text| text.contains('\0')));
    if nul { Err(errors::internal(call)) } else { Ok(()) }
}

/// `objectTypeId` → `ObjectTypeId`
fn pascal(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// Overwrites what was sent.
pub(super) fn merge(row: &mut Row, sent: Row) {
    if let (Some(row), Value::Object(sent)) = (row.as_object_mut(), sent) {
        row.extend(sent);
    }
}

/// A sorted, filtered page of rows that are in their default order.
pub(super) fn paged(call: &Call, mut rows: Vec<Value>, size: i64) -> Handled {
    let page = Page::of(call, size)?;
    arrange(call, &mut rows);
    Ok(Reply::ok(&page.envelope(&rows, Value::clone)))
}

/// Notes a change of an entity as an activity.
pub(super) fn note(
    world: &mut World,
    call: &Call,
    what: (&'static str, &'static str),
    name: &str,
    reason: Option<String>,
) -> uuid::Uuid {
    let change = Change::new(what.0, what.1, name, call);
    let reason = reason.or_else(|| change.reason.clone());
    world.note(Change { reason, ..change })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::bare_call;
    use super::*;

    const FORM: Form = Form {
        model: "M",
        required: &[("name", Kind::Text(5)), ("count", Kind::Int), ("kind", Kind::OneOf("E", &["One", "Two"]))],
        optional: &[("notes", Kind::Text(3)), ("on", Kind::Flag)],
    };

    fn errors_of(reply: Reply) -> Value {
        serde_json::from_slice::<Value>(&reply.body).unwrap()["errors"].clone()
    }

    #[test]
    fn a_new_entity_has_what_is_required() {
        let read = |body: &str| FORM.create(&bare_call("POST", "/x", body));
        let sent = read(r#"{"Name": "a", "kind": "two", "notes": null, "changeReason": "why"}"#).unwrap();
        assert_eq!(sent.fields, json!({"name": "a", "count": 0, "kind": "Two"}));
        assert_eq!(sent.reason.as_deref(), Some("why"));
        assert_eq!(
            errors_of(read(r#"{"name": " ", "notes": "long"}"#).unwrap_err()),
            json!({
                "Name": ["The Name field is required."],
                "Kind": ["The Kind field is required."],
                "Notes": ["The field Notes must be a string with a minimum length of 0 and a maximum length of 3."],
            })
        );
        assert!(read(r#"{"name": "a", "kind": 1}"#).is_err());
    }

    #[test]
    fn a_change_may_leave_everything_out_but_not_empty_a_name() {
        let read = |body: &str| FORM.update(&bare_call("PUT", "/x", body));
        assert!(read("{}").unwrap().fields == json!({}));
        assert_eq!(
            errors_of(read(r#"{"name": ""}"#).unwrap_err())["Name"][0],
            "The field Name must be a string with a minimum length of 1 and a maximum length of 5."
        );
    }

    #[test]
    fn numbers_are_not_used_twice() {
        let mut tables = Tables::default();
        assert_eq!(tables.add("t", json!({"name": "a"})), 1);
        assert_eq!(tables.add("t", json!({"id": 35})), 35);
        tables.remove("t", 35);
        assert_eq!(tables.add("t", json!({})), 36);
    }
}
