//! The connector space: the objects of a connected system as the last import found them.

use serde_json::{Value, json};
use uuid::Uuid;

use super::connected_systems::found;
use super::metaverse::value_change;
use super::paging::Page;
use super::people::{ATTRIBUTES, part_id, person_id, row_id, row_of, values};
use super::state::{ConnectedSystem, World};
use super::tables::{number, paged};
use super::wire::{Call, Handled, Reply, Routed, guid, int};
use super::{clock, errors};

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["synchronisation", "connected-systems", id, "connector-space", rest @ ..] = segments else {
        return None;
    };
    if call.method != "GET" {
        return None;
    }
    let system = match found(world, call, int(id)?) {
        Ok(system) => system,
        Err(refused) => return Some(Err(refused)),
    };
    Some(match rest {
        [] => list(system, call),
        ["count"] => {
            let kind = call.param("objectTypeId").and_then(int);
            let counted = kind.is_none_or(|kind| kind == type_id(system));
            Ok(Reply::ok(&json!(if counted { system.objects } else { 0 })))
        }
        ["unresolved-references", "count"] => Ok(Reply::ok(&json!(0))),
        [object] => object_of(system, call, guid(object)?).map(|index| Reply::ok(&detail(system, index))),
        [object, "change-history"] => {
            object_of(system, call, guid(object)?).and_then(|index| paged(call, vec![history(system, index)], 25))
        }
        [object, "attributes", name, "values"] => {
            // Unknown objects and attributes have no values; they are no errors here.
            let index = row_of(system, guid(object)?);
            let rows = index.map(|index| values_named(system, index, name));
            paged(call, rows.unwrap_or_default(), 50)
        }
        _ => return None,
    })
}

fn type_id(system: &ConnectedSystem) -> i64 {
    let kind = system.object_type.as_ref();
    kind.map_or(system.id, |kind| number(kind, "id"))
}

fn object_of(system: &ConnectedSystem, call: &Call, id: Uuid) -> Result<i64, Reply> {
    row_of(system, id)
        .ok_or_else(|| errors::not_found(call, format!("Connected System Object with ID {id} not found.")))
}

fn join_type(system: &ConnectedSystem) -> &'static str {
    if system.last_full_sync.is_some() { "Projected" } else { "NotJoined" }
}

fn header(system: &ConnectedSystem, index: i64) -> Value {
    let [_, name, _, employee, ..] = values(index);
    json!({
        "id": row_id(system.id, index),
        "connectedSystemId": system.id,
        "displayName": name,
        "externalIdValue": employee,
        "externalIdAttributeName": "employeeId",
        "secondaryExternalIdValue": null,
        "secondaryExternalIdAttributeName": null,
        "created": clock::stored(created(system, index)),
        "lastUpdated": null,
        "typeId": type_id(system),
        "typeName": "person",
        "status": "Normal",
        "joinType": join_type(system),
        "dateJoined": system.last_full_sync.map(clock::stored),
        "pendingDisplayName": null,
        "pendingExternalId": null,
        "pendingSecondaryExternalId": null,
        "hasPendingExport": false,
        "pendingExportId": null,
    })
}

/// The last row was stored last.
fn created(system: &ConnectedSystem, index: i64) -> chrono::DateTime<chrono::Utc> {
    system.created + chrono::TimeDelta::seconds(60) + chrono::TimeDelta::microseconds(index * 38)
}

fn list(system: &ConnectedSystem, call: &Call) -> Handled {
    let page = Page::of(call, 50)?;
    let among = |name: &str, value: &str| {
        let mut wanted = call.params(name).peekable();
        wanted.peek().is_none() || wanted.any(|one| one.eq_ignore_ascii_case(value))
    };
    let all = among("status", "Normal")
        && among("joinType", join_type(system))
        && among("objectTypeId", &type_id(system).to_string());
    let search = call.param("search").map(str::to_lowercase);
    let mut rows: Vec<Value> = (0..if all { system.objects } else { 0 })
        .map(|index| header(system, index))
        .filter(|row| {
            search.as_ref().is_none_or(|part| {
                ["displayName", "externalIdValue"]
                    .iter()
                    .any(|field| row[*field].as_str().is_some_and(|text| text.to_lowercase().contains(part)))
            })
        })
        .collect();
    if let Some(field) = call.param("sortBy") {
        let key = |row: &Value| {
            let fields = row.as_object().into_iter().flatten();
            let mut named = fields.filter(|(name, _)| name.eq_ignore_ascii_case(field));
            named.next().map(|(_, value)| value.to_string().to_lowercase())
        };
        rows.sort_by_key(key);
    }
    // Descending unless told otherwise.
    if call.param("sortDescending").is_none_or(|text| text.eq_ignore_ascii_case("true")) {
        rows.reverse();
    }
    Ok(Reply::ok(&page.envelope(&rows, Value::clone)))
}

fn all_values(system: &ConnectedSystem, index: i64) -> Vec<Value> {
    let first = (system.id - 1) * 7 + 1;
    let object = row_id(system.id, index);
    (first..)
        .zip(ATTRIBUTES)
        .zip(values(index))
        .map(|((id, (name, _)), value)| {
            json!({
                "id": part_id(object, id - first + 1),
                "attributeId": id,
                "attributeName": name,
                "stringValue": value,
                "dateTimeValue": null,
                "intValue": null,
                "longValue": null,
                "decimalValue": null,
                "byteValue": null,
                "guidValue": null,
                "boolValue": null,
                "referenceValueId": null,
            })
        })
        .collect()
}

fn values_named(system: &ConnectedSystem, index: i64, name: &str) -> Vec<Value> {
    let mut values = all_values(system, index);
    values.retain(|value| value["attributeName"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name)));
    values
}

fn detail(system: &ConnectedSystem, index: i64) -> Value {
    let [_, name, ..] = values(index);
    let joined = system.last_full_sync.is_some();
    let summaries: Vec<Value> = ATTRIBUTES
        .iter()
        .map(|(name, _)| {
            json!({
                "attributeName": name, "totalCount": 1, "returnedCount": 1, "hasMore": false,
            })
        })
        .collect();
    json!({
        "id": row_id(system.id, index),
        "created": clock::stored(created(system, index)),
        "lastUpdated": null,
        "status": "Normal",
        "joinType": join_type(system),
        "dateJoined": system.last_full_sync.map(clock::stored),
        "displayName": name,
        "connectedSystemId": system.id,
        // Empty on the real server too (observed).
        "connectedSystemName": "",
        "typeId": type_id(system),
        "typeName": "person",
        "metaverseObjectId": joined.then(|| person_id(system.id, index)),
        "metaverseObjectDisplayName": joined.then_some(name),
        "attributeValues": all_values(system, index),
        "attributeValueSummaries": summaries,
    })
}

/// The import that brought it.
fn history(system: &ConnectedSystem, index: i64) -> Value {
    let changes: Vec<Value> = ATTRIBUTES
        .iter()
        .zip(values(index))
        .map(|((name, _), value)| {
            json!({
                "attributeName": name,
                "attributeType": "Text",
                "attributePlurality": "SingleValued",
                "valueChanges": [value_change(&value)],
            })
        })
        .collect();
    json!({
        "id": part_id(row_id(system.id, index), 0xff),
        "changeType": "Added",
        "changeTime": clock::stored(created(system, index)),
        "initiatedByType": "System",
        "initiatedById": null,
        "initiatedByName": "System",
        "activityRunProfileExecutionItemId": null,
        "runProfileName": "Full Import",
        "attributeChanges": changes,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{ask, world};
    use super::*;

    const BASE: &str = "/synchronisation/connected-systems/1/connector-space";

    #[test]
    fn objects_are_listed_searched_and_read() {
        let mut world = world();
        world.systems[0].objects = 40;
        let (_, page) = ask(&mut world, "GET", &format!("{BASE}?pageSize=2"), "");
        assert_eq!((&page["totalCount"], &page["items"][0]["externalIdValue"]), (&json!(40), &json!("E00040")));
        let mut count = |query: &str| ask(&mut world, "GET", &format!("{BASE}?{query}"), "").1["totalCount"].clone();
        assert_eq!(
            (count("search=e0000"), count("joinType=Joined&joinType=NotJoined"), count("status=Obsolete")),
            (json!(9), json!(40), json!(0))
        );
        let path = format!("{BASE}/{}", page["items"][0]["id"].as_str().unwrap());
        let (_, one) = ask(&mut world, "GET", &path, "");
        assert_eq!(one["attributeValues"].as_array().unwrap().len(), 7);
        let (_, values) = ask(&mut world, "GET", &format!("{path}/attributes/EMail/values"), "");
        assert_eq!(values["totalCount"], 1);
        let (_, history) = ask(&mut world, "GET", &format!("{path}/change-history"), "");
        assert_eq!(history["items"][0]["changeType"], "Added");
        let unknown = format!("{BASE}/00000000-0000-0000-0000-000000000001");
        assert_eq!(ask(&mut world, "GET", &unknown, "").0, 404);
    }
}
