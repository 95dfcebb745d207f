//! Change history of the configuration: each change of an entity is a version, with what it was before and after.
//!
//! No area knows of it. An entity is watched from outside: what its GET route answers before a successful change and
//! after it, which is also what the versions' snapshots and differences are made of.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};

use super::state::World;
use super::tables::paged;
use super::wire::{Call, Handled, Reply, Routed, guid, int};
use super::{areas, clock, errors};

/// Versions by the entity's path.
#[derive(Debug, Default)]
pub(super) struct History(HashMap<String, Vec<Version>>);

#[derive(Debug, Clone)]
struct Version {
    operation: &'static str,
    summary: String,
    after: Value,
    activity: Value,
    at: String,
    by: Value,
    reason: Value,
}

/// Path of each kind of entity: its segments, the kind's name and label, and how its ids look.
const KINDS: [(&[&str], &str, &str, Ids); 13] = [
    (&["synchronisation", "connected-systems"], "ConnectedSystem", "Connected System", Ids::Number),
    (&["synchronisation", "sync-rules"], "SynchronisationRule", "Synchronisation Rule", Ids::Number),
    (&["synchronisation", "connector-definitions"], "ConnectorDefinition", "Connector Definition", Ids::Number),
    (&["metaverse", "object-types"], "MetaverseObjectType", "Metaverse Object Type", Ids::Number),
    (&["metaverse", "attributes"], "MetaverseAttribute", "Metaverse Attribute", Ids::Number),
    (&["schedules"], "Schedule", "Schedule", Ids::Guid),
    (&["apikeys"], "ApiKey", "API Key", Ids::Guid),
    (&["certificates"], "TrustedCertificate", "Trusted Certificate", Ids::Guid),
    (&["security", "roles"], "Role", "Role", Ids::Number),
    (&["service-settings"], "ServiceSetting", "Service Setting", Ids::Key),
    (&["predefined-searches"], "PredefinedSearch", "Predefined Search", Ids::Number),
    (&["example-data", "templates"], "ExampleDataTemplate", "Example Data Template", Ids::Number),
    (&["example-data", "example-data-sets"], "ExampleDataSet", "Example Data Set", Ids::Number),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    Number,
    Guid,
    Key,
}

struct Entity<'a> {
    path: Vec<&'a str>,
    kind: &'static str,
    label: &'static str,
    rest: &'a [&'a str],
}

impl Entity<'_> {
    fn key(&self) -> String {
        self.path.join("/")
    }
}

fn entity<'a>(segments: &'a [&'a str]) -> Option<Entity<'a>> {
    KINDS.iter().find_map(|(prefix, kind, label, ids)| {
        let (id, rest) = segments.strip_prefix(*prefix)?.split_first()?;
        let valid = match ids {
            Ids::Number => int(id).is_some(),
            Ids::Guid => guid(id).is_some(),
            Ids::Key => true,
        };
        valid.then(|| Entity { path: prefix.iter().copied().chain([*id]).collect(), kind, label, rest })
    })
}

/// Carries a request out, and keeps a version when it changed an entity.
pub(super) fn watch(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    if call.method == Method::GET {
        return route(world, call, segments).or_else(|| areas::route(world, call, segments));
    }
    let changed = entity(segments).filter(|entity| !passing(entity.rest));
    let before = changed.as_ref().map(|entity| look(world, call, &entity.path)).unwrap_or_default();
    let reply = areas::route(world, call, segments)?;
    let Ok(answer) = &reply else {
        return Some(reply);
    };
    if let Some(entity) = changed {
        keep(world, call, &entity, before);
    } else if call.method == Method::POST && answer.status == 201 {
        // A new entity: its id is in the answer.
        let made: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let id = made["id"].as_str().map(str::to_owned);
        let id = id.unwrap_or_else(|| made["id"].to_string());
        let path: Vec<&str> = segments.iter().copied().chain([id.as_str()]).collect();
        if let Some(entity) = entity(&path).filter(|entity| entity.rest.is_empty()) {
            keep(world, call, &entity, Value::Null);
        }
    }
    Some(reply)
}

/// What is done to an entity without changing its configuration.
fn passing(rest: &[&str]) -> bool {
    rest.iter().any(|segment| {
        matches!(
            *segment,
            "execute"
                | "preview"
                | "run"
                | "password"
                | "generate-password"
                | "clear"
                | "server-certificate"
                | "connector-space"
        )
    })
}

/// The entity as its GET route shows it; null when there is none.
fn look(world: &mut World, call: &Call, path: &[&str]) -> Value {
    let get = Call { method: Method::GET, query: Vec::new(), body: Bytes::new(), ..call.clone() };
    match areas::route(world, &get, path) {
        Some(Ok(reply)) => serde_json::from_slice(&reply.body).unwrap_or_default(),
        _ => Value::Null,
    }
}

fn first(shown: Value, world: &World) -> Version {
    Version {
        operation: "Create",
        summary: "Created".to_owned(),
        after: shown,
        activity: json!(uuid::Uuid::nil()),
        at: clock::stored(world.started),
        by: json!(["System", null, "System"]),
        reason: Value::Null,
    }
}

fn keep(world: &mut World, call: &Call, entity: &Entity<'_>, before: Value) {
    let after = look(world, call, &entity.path);
    let operation = match (before.is_null(), after.is_null()) {
        (true, true) => return,
        (true, false) => "Create",
        (false, true) => "Delete",
        (false, false) => "Update",
    };
    let part = entity.rest.first().copied();
    let summary = part.map_or_else(|| summary_of(operation, &before, &after), title);
    let activity = world.activities.last();
    let version = Version {
        operation,
        summary,
        activity: json!(activity.map(|activity| activity.id)),
        at: clock::stored(call.now),
        by: json!([call.actor.kind, call.actor.id, call.actor.name]),
        reason: json!(activity.and_then(|activity| activity.change_reason.clone())),
        after: if after.is_null() { before.clone() } else { after },
    };
    let start = (!before.is_null()).then(|| first(before, world));
    let versions = world.history.0.entry(entity.key()).or_default();
    if versions.is_empty() {
        versions.extend(start);
    }
    versions.push(version);
}

/// `run-profiles` → `Run Profiles`
fn title(part: &str) -> String {
    let words = part.split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_uppercase() + rest
    });
    words.collect::<Vec<_>>().join(" ")
}

fn summary_of(operation: &str, before: &Value, after: &Value) -> String {
    let fields = before.as_object().into_iter().flatten();
    let changed: Vec<&str> =
        fields.filter(|(name, value)| after.get(name.as_str()) != Some(value)).map(|(name, _)| name.as_str()).collect();
    match operation {
        "Update" => changed.join(", "),
        other => format!("{other}d"),
    }
}

fn versions(world: &mut World, call: &Call, entity: &Entity<'_>) -> Vec<Version> {
    if let Some(known) = world.history.0.get(&entity.key()) {
        return known.clone();
    }
    let shown = look(world, call, &entity.path);
    if shown.is_null() { Vec::new() } else { vec![first(shown, world)] }
}

fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let entity = entity(segments)?;
    let ["change-history", rest @ ..] = entity.rest else {
        return None;
    };
    let all = versions(world, call, &entity);
    Some(match rest {
        [] => list(call, &entity, &all),
        ["compare"] => {
            let number = |name: &str| call.param(name).and_then(int).unwrap_or_default();
            let ends = (number("fromVersion"), number("toVersion"));
            match (at(&all, ends.0), at(&all, ends.1)) {
                (Some(old), Some(new)) => {
                    Ok(Reply::ok(&difference(&entity, (Some(ends.0), &old.after), (ends.1, &new.after))))
                }
                (None, _) => Err(missing(call, ends.0)),
                _ => Err(missing(call, ends.1)),
            }
        }
        [version] => {
            let number = int(version)?;
            at(&all, number)
                .map(|version| Reply::ok(&detail(&entity, &all, number, version)))
                .ok_or_else(|| missing(call, number))
        }
        _ => return None,
    })
}

fn missing(call: &Call, version: i64) -> Reply {
    errors::not_found(call, format!("Configuration change version {version} not found."))
}

fn at(all: &[Version], number: i64) -> Option<&Version> {
    all.get(usize::try_from(number - 1).ok()?)
}

fn before(all: &[Version], number: i64) -> (Option<i64>, &Value) {
    match at(all, number - 1) {
        Some(version) => (Some(number - 1), &version.after),
        None => (None, &Value::Null),
    }
}

fn now(version: &Version) -> &Value {
    if version.operation == "Delete" { &Value::Null } else { &version.after }
}

/// Newest first.
fn list(call: &Call, entity: &Entity<'_>, all: &[Version]) -> Handled {
    let mut rows: Vec<Value> = (1..)
        .zip(all)
        .map(|(number, version)| {
            json!({
                "activityId": version.activity,
                "version": number,
                "operation": version.operation,
                "initiatedByType": version.by[0],
                "initiatedById": version.by[1],
                "initiatedByName": version.by[2],
                "when": version.at,
                "reason": version.reason,
                "summary": version.summary,
                "diff": difference(entity, before(all, number), (number, now(version))),
            })
        })
        .collect();
    rows.reverse();
    paged(call, rows, 25)
}

fn detail(entity: &Entity<'_>, all: &[Version], number: i64, version: &Version) -> Value {
    let (id, guid_id, name) = identity(&version.after);
    json!({
        "activityId": version.activity,
        "version": number,
        "operation": version.operation,
        "initiatedByType": version.by[0],
        "initiatedByName": version.by[2],
        "when": version.at,
        "reason": version.reason,
        "snapshot": {
            "schemaVersion": 1,
            "objectType": entity.kind,
            "objectId": id,
            "objectGuidId": guid_id,
            "objectKey": version.after["key"],
            "objectName": name,
            "root": snapshot(&camel(entity.kind), entity.label, &version.after, 0),
        },
        "diff": difference(entity, before(all, number), (number, now(version))),
    })
}

fn identity(shown: &Value) -> (i64, Value, Value) {
    let name = match &shown["name"] {
        Value::Null => shown["key"].clone(),
        name => name.clone(),
    };
    let guid_id = if shown["id"].is_string() { shown["id"].clone() } else { Value::Null };
    (shown["id"].as_i64().unwrap_or_default(), guid_id, name)
}

fn camel(name: &str) -> String {
    let (first, rest) = name.split_at_checked(1).unwrap_or((name, ""));
    first.to_lowercase() + rest
}

/// `runType` → `Run type`
fn label(key: &str) -> String {
    let mut text = String::new();
    for (place, letter) in key.chars().enumerate() {
        if place == 0 {
            text.extend(letter.to_uppercase());
        } else if letter.is_uppercase() {
            text.push(' ');
            text.extend(letter.to_lowercase());
        } else {
            text.push(letter);
        }
    }
    text
}

fn parts(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "id" | "created" | "lastUpdated" | "lastUsedAt"))
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        Value::Array(items) => items.iter().map(|item| (item["id"].to_string(), item)).collect(),
        _ => Vec::new(),
    }
}

fn scalar(value: &Value) -> Value {
    match value {
        Value::Null | Value::Object(_) | Value::Array(_) => Value::Null,
        Value::String(text) => json!(text),
        other => json!(other.to_string()),
    }
}

fn node_type(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "Object",
        Value::Array(_) => "Collection",
        _ => "Scalar",
    }
}

fn snapshot(key: &str, label_text: &str, value: &Value, depth: usize) -> Value {
    let children: Vec<Value> = parts(value)
        .iter()
        .filter(|_| depth < 6)
        .map(|(name, part)| snapshot(name, &label(name), part, depth + 1))
        .collect();
    json!({
        "key": key,
        "label": label_text,
        "nodeType": node_type(value),
        "value": scalar(value),
        "displayValue": null,
        "isSecret": false,
        "itemId": value["id"].as_i64(),
        "itemGuidId": value["id"].as_str(),
        "children": (node_type(value) != "Scalar").then_some(children),
    })
}

fn difference(entity: &Entity<'_>, old: (Option<i64>, &Value), new: (i64, &Value)) -> Value {
    let mut counts = [0_i64; 3];
    let shown = if new.1.is_null() { old.1 } else { new.1 };
    let root = node(&camel(entity.kind), entity.label, (old.1, new.1), 0, &mut counts);
    let (id, guid_id, name) = identity(shown);
    json!({
        "objectType": entity.kind,
        "objectId": id,
        "objectGuidId": guid_id,
        "objectName": name,
        "oldVersion": old.0,
        "newVersion": new.0,
        "root": root,
        "addedCount": counts[0],
        "removedCount": counts[1],
        "modifiedCount": counts[2],
        "hasChanges": counts.iter().any(|count| *count > 0),
    })
}

fn node(key: &str, label_text: &str, (old, new): (&Value, &Value), depth: usize, counts: &mut [i64; 3]) -> Value {
    let change = match (old.is_null(), new.is_null()) {
        _ if old == new => "Unchanged",
        (true, false) => "Added",
        (false, true) => "Removed",
        _ => "Modified",
    };
    let shape = if new.is_null() { old } else { new };
    let leaf = node_type(shape) == "Scalar";
    if leaf || depth == 0 && change != "Modified" {
        match change {
            "Added" => counts[0] += 1,
            "Removed" => counts[1] += 1,
            "Modified" => counts[2] += 1,
            _ => {}
        }
    }
    let mut names: Vec<String> = parts(shape).into_iter().map(|(name, _)| name).collect();
    for (name, _) in parts(old) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let find = |value: &Value, wanted: &str| -> Value {
        let all = parts(value);
        let found = all.iter().find(|(name, _)| name == wanted);
        found.map(|(_, part)| (*part).clone()).unwrap_or_default()
    };
    let children: Vec<Value> = names
        .iter()
        .filter(|_| depth < 6)
        .map(|name| {
            let pair = (find(old, name), find(new, name));
            node(name, &label(name), (&pair.0, &pair.1), depth + 1, counts)
        })
        .collect();
    json!({
        "key": key,
        "label": label_text,
        "nodeType": node_type(shape),
        "changeType": change,
        "oldValue": scalar(old),
        "newValue": scalar(new),
        "oldDisplayValue": null,
        "newDisplayValue": null,
        "isSecret": false,
        "itemId": if depth > 0 { json!(shape["id"].as_i64()) } else { Value::Null },
        "itemGuidId": if depth > 0 { json!(shape["id"].as_str()) } else { Value::Null },
        "children": (!leaf).then_some(children),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn every_change_is_a_version_with_its_difference() {
        let mut world = world();
        let path = "/synchronisation/sync-rules/1";
        let history = format!("{path}/change-history");
        assert_eq!(ask(&mut world, "GET", &history, "").1["totalCount"], 1, "the seeded one");
        ask(&mut world, "PUT", path, r#"{"name": "Renamed", "changeReason": "CHG-1"}"#);
        ask(&mut world, "POST", &format!("{path}/scoping-criteria"), r#"{"type": "All"}"#);
        let (_, page) = ask(&mut world, "GET", &history, "");
        assert_eq!(
            (&page["totalCount"], &page["items"][0]["summary"], &page["items"][1]["reason"]),
            (&json!(3), &json!("Scoping Criteria"), &json!("CHG-1"))
        );
        assert_eq!(page["items"][1]["diff"]["modifiedCount"], 1);
        let (_, one) = ask(&mut world, "GET", &format!("{history}/2"), "");
        assert_eq!(one["snapshot"]["objectName"], "Renamed");
        let (status, compared) = ask(&mut world, "GET", &format!("{history}/compare?fromVersion=1&toVersion=2"), "");
        assert_eq!((status, &compared["hasChanges"]), (200, &json!(true)));
        assert_eq!(ask(&mut world, "GET", &format!("{history}/9"), "").0, 404);
    }

    #[test]
    fn new_and_deleted_entities_have_a_history_too() {
        let mut world = world();
        let base = "/example-data/example-data-sets";
        let (_, made) = ask(&mut world, "POST", base, r#"{"name": "S", "culture": "en"}"#);
        let path = format!("{base}/{}", made["id"]);
        ask(&mut world, "DELETE", &path, "");
        let (_, page) = ask(&mut world, "GET", &format!("{path}/change-history"), "");
        assert_eq!(
            (&page["items"][0]["operation"], &page["items"][1]["operation"]),
            (&json!("Delete"), &json!("Create"))
        );
    }
}
