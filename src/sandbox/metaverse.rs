//! Objects of the metaverse, to look at: the people that full synchronisations have projected, and the first
//! administrator; what changed them, and which of them are about to go.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::body::Body;
use super::people::{Person, everyone, part_id, row_id};
use super::state::World;
use super::tables::{note, number, paged, text};
use super::wire::{Call, Handled, Reply, Routed, guid, int};
use super::{clock, errors, metaverse_attributes, passwords};

/// Objects that wait for their deletion.
const DELETIONS: &str = "pending-deletions";

pub(super) fn seed(world: &mut World) {
    for (number, name, days, status) in
        [(1, "Isla Johnson", 3, "AwaitingGracePeriod"), (2, "Noah Davies", 24, "AwaitingGracePeriod")]
    {
        let gone = world.started - chrono::TimeDelta::days(30 - days);
        let row = json!({
            "id": Uuid::from_u64_pair(0x5a4d_b0c5_0000_4fff, 0x8000_0000_0000_0000 | number),
            "displayName": name,
            "type": {"id": 1, "name": "User"},
            "lastConnectorDisconnectedDate": clock::stored(gone),
            "deletionEligibleDate": clock::stored(world.started + chrono::TimeDelta::days(days)),
            "daysUntilDeletion": days,
            "gracePeriod": "30.00:00:00",
            "connectedSystemObjectCount": 0,
            "status": status,
            "deletionTriggeredBySystemId": null,
            "deletionTriggeredBySystemName": null,
        });
        world.tables.add(DELETIONS, row);
    }
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["metaverse", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", ["objects"]) => list(world, call, people(world, call)),
        ("GET", ["objects", "count"]) => Ok(Reply::ok(&json!(people(world, call).len()))),
        ("GET", ["objects", "search", _]) => search(world, call),
        ("GET", ["objects", id]) => found(world, call, guid(id)?).map(|person| Reply::ok(&detail(world, &person))),
        ("GET", ["objects", id, "change-history"]) => {
            let person = found(world, call, guid(id)?);
            person.and_then(|person| paged(call, vec![history(world, &person)], 25))
        }
        ("POST", ["objects", id, "password"]) => set_password(world, call, guid(id)?),
        ("GET", ["pending-deletions"]) => paged(call, deletions(world, call), 25),
        ("GET", ["pending-deletions", "count"]) => Ok(Reply::ok(&json!(deletions(world, call).len()))),
        ("GET", ["pending-deletions", "summary"]) => Ok(Reply::ok(&summary(world))),
        _ => return None,
    })
}

/// Everybody whom the query's filters let through.
fn people(world: &World, call: &Call) -> Vec<Person> {
    let search = call.param("search").map(str::to_lowercase);
    let filter = call
        .param("filterAttributeName")
        .zip(call.param("filterAttributeValue"))
        .map(|(name, value)| (attribute_named(world, name), value));
    // Everybody is a User.
    let of_type = call.param("objectTypeId").is_none_or(|id| id == "1");
    everyone(world)
        .filter(|person| {
            let named = search.as_ref().is_none_or(|text| person.name.to_lowercase().contains(text));
            let matches = filter.is_none_or(|(id, value)| {
                id.and_then(|id| person.attribute(id)).is_some_and(|known| known.eq_ignore_ascii_case(value))
            });
            of_type && named && matches
        })
        .collect()
}

fn attribute_named(world: &World, name: &str) -> Option<i64> {
    world
        .tables
        .rows(metaverse_attributes::TABLE)
        .iter()
        .find(|row| text(row, "name").eq_ignore_ascii_case(name))
        .map(|row| number(row, "id"))
}

/// Objects of a type.
pub(super) fn count_of_type(world: &World, id: i64) -> usize {
    if id == 1 { everyone(world).count() } else { 0 }
}

/// Objects that have a value of an attribute.
pub(super) fn values_of(world: &World, attribute: i64) -> usize {
    everyone(world).filter(|person| person.attribute(attribute).is_some()).count()
}

fn list(world: &World, call: &Call, people: Vec<Person>) -> Handled {
    let wanted: Vec<(&str, i64)> = call
        .params("attributes")
        .flat_map(|names| names.split(','))
        .filter_map(|name| Some((name, attribute_named(world, name)?)))
        .collect();
    let rows = people
        .into_iter()
        .map(|person| {
            let attributes: Map<String, Value> = wanted
                .iter()
                .filter_map(|(name, id)| Some(((*name).to_owned(), json!(person.attribute(*id)?))))
                .collect();
            json!({
                "id": person.id,
                "created": clock::stored(person.created),
                "displayName": person.name,
                "status": "Normal",
                "type": {"id": 1, "name": "User"},
                "attributes": attributes,
            })
        })
        .collect();
    paged(call, rows, 25)
}

/// The search's name may be in mixed case: it is read from the path as sent.
fn search(world: &World, call: &Call) -> Handled {
    let uri = call.segments.last().map_or("", String::as_str);
    let search = world
        .tables
        .rows("predefined-searches")
        .iter()
        .find(|row| text(row, "uri").eq_ignore_ascii_case(uri) && row["isEnabled"] == true)
        .ok_or_else(|| errors::not_found(call, format!("Predefined search with URI '{uri}' not found.")))?;
    let mut people = people(world, call);
    if search["metaverseObjectTypeId"] != 1 {
        people.clear();
    }
    if let Some(id) = call.param("hasAttribute").and_then(|name| attribute_named(world, name)) {
        people.retain(|person| person.attribute(id).is_some());
    }
    list(world, call, people)
}

fn found(world: &World, call: &Call, id: Uuid) -> Result<Person, Reply> {
    everyone(world)
        .find(|person| person.id == id)
        .ok_or_else(|| errors::not_found(call, format!("Metaverse object with ID {id} not found.")))
}

fn detail(world: &World, person: &Person) -> Value {
    let values: Vec<Value> = person.attributes().iter().map(|(id, text)| value(world, person, *id, text)).collect();
    let rows: Vec<Value> = person
        .source
        .iter()
        .map(|(index, system)| {
            json!({
                "id": row_id(*system, *index),
                "connectedSystemId": system,
                "connectedSystemName": world.system(*system).map(|system| &system.name),
                "displayName": person.name,
            })
        })
        .collect();
    json!({
        "id": person.id,
        "created": clock::stored(person.created),
        "lastUpdated": null,
        "displayName": person.name,
        "status": "Normal",
        "origin": if person.source.is_some() { "Projected" } else { "Internal" },
        "lastConnectorDisconnectedDate": null,
        "isPendingDeletion": false,
        "deletionEligibleDate": null,
        "type": {"id": 1, "name": "User"},
        "attributeValues": values,
        "connectedSystemObjects": rows,
    })
}

fn value(world: &World, person: &Person, attribute: i64, text: &str) -> Value {
    let system = person.source.and_then(|source| world.system(source.1));
    let rule = system.and_then(|system| import_rule(world, system.id));
    json!({
        "id": part_id(person.id, attribute),
        "attributeId": attribute,
        "attributeName": metaverse_attributes::name(world, attribute),
        "attributeType": "Text",
        "attributePlurality": "SingleValued",
        "stringValue": text,
        "dateTimeValue": null,
        "intValue": null,
        "longValue": null,
        "decimalValue": null,
        "byteValue": null,
        "guidValue": null,
        "boolValue": null,
        "referenceValueId": null,
        "referenceValueDisplayName": null,
        "contributedBySystemId": system.map(|system| system.id),
        "contributedBySystemName": system.map(|system| &system.name),
        "contributedBySyncRuleId": rule.map(|rule| &rule["id"]),
        "contributedBySyncRuleName": rule.map(|rule| &rule["name"]),
        "nullValue": false,
    })
}

/// The rule by which a system's people came.
fn import_rule(world: &World, system: i64) -> Option<&Value> {
    world.tables.of("sync-rules", "connectedSystemId", system).find(|rule| rule["direction"] == "Import")
}

/// The projection, which is all that happens to people here.
fn history(world: &World, person: &Person) -> Value {
    let changes: Vec<Value> = person
        .attributes()
        .iter()
        .map(|(id, text)| {
            json!({
                "attributeName": metaverse_attributes::name(world, *id),
                "attributeType": "Text",
                "attributePlurality": "SingleValued",
                "valueChanges": [value_change(text)],
            })
        })
        .collect();
    let system = person.source.and_then(|source| world.system(source.1));
    let rule = system.and_then(|system| import_rule(world, system.id));
    json!({
        "id": part_id(person.id, 0xff),
        "changeType": if system.is_some() { "Projected" } else { "Added" },
        "changeTime": clock::stored(person.created),
        "initiatedByType": "System",
        "initiatedById": null,
        "initiatedByName": "System",
        "changeInitiatorType": if system.is_some() { "SynchronisationRule" } else { "System" },
        "syncRuleId": rule.map(|rule| &rule["id"]),
        "syncRuleName": rule.map(|rule| &rule["name"]),
        "activityRunProfileExecutionItemId": null,
        "csoId": person.source.map(|(index, system)| row_id(system, index)),
        "csoExternalId": person.attribute(35),
        "connectedSystemId": system.map(|system| system.id),
        "connectedSystemName": system.map(|system| &system.name),
        "runProfileName": system.map(|_| "Full Synchronisation"),
        "connectedSystemRunType": system.map(|_| "FullSynchronisation"),
        "attributeChanges": changes,
    })
}

pub(super) fn value_change(text: &str) -> Value {
    json!({
        "valueChangeType": "Add",
        "stringValue": text,
        "dateTimeValue": null,
        "intValue": null,
        "longValue": null,
        "decimalValue": null,
        "byteValueLength": null,
        "guidValue": null,
        "boolValue": null,
        "referenceValue": null,
    })
}

/// Goes to every account of the person in a system that synchronises passwords.
fn set_password(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let body = Body::of(call, "JIM.Web.Models.Api.SynchroniseMetaverseObjectPasswordRequest")?;
    passwords::checked(&body)?;
    let person = found(world, call, id)?;
    let targets: Vec<Value> = person
        .source
        .iter()
        .filter(|(_, system)| passwords::synchronises(world, *system))
        .map(|(index, system)| {
            json!({
                "connectedSystemId": system,
                "connectedSystemName": world.system(*system).map(|system| &system.name),
                "connectedSystemObjectId": row_id(*system, *index),
            })
        })
        .collect();
    let activity = note(world, call, ("MetaverseObject", "Update"), &person.name, None);
    Ok(Reply::ok(&json!({
        "activityId": activity,
        "queuedForNoSystems": targets.is_empty(),
        "targets": targets,
    })))
}

fn deletions(world: &World, call: &Call) -> Vec<Value> {
    let wanted = call.param("objectTypeId").and_then(int);
    world.tables.rows(DELETIONS).iter().filter(|row| wanted.is_none_or(|id| row["type"]["id"] == id)).cloned().collect()
}

fn summary(world: &World) -> Value {
    let rows = world.tables.rows(DELETIONS);
    let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
    json!({
        "totalCount": rows.len(),
        "deprovisioningCount": count("Deprovisioning"),
        "awaitingGracePeriodCount": count("AwaitingGracePeriod"),
        "readyForDeletionCount": count("ReadyForDeletion"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::{TimeDelta, Utc};

    use super::super::tests::{ask, ask_at, world};
    use super::*;

    #[test]
    fn people_appear_with_the_first_full_synchronisation() {
        let mut world = world();
        assert_eq!(ask(&mut world, "GET", "/metaverse/objects/count", "").1, 1);
        for (seconds, profile) in [(0, 1), (8, 2)] {
            let path = format!("/synchronisation/connected-systems/1/run-profiles/{profile}/execute");
            assert_eq!(ask_at(&mut world, Utc::now() + TimeDelta::seconds(seconds), "POST", &path, "").0, 202);
        }
        let later = Utc::now() + TimeDelta::seconds(16);
        let (_, page) = ask_at(&mut world, later, "GET", "/metaverse/objects?pageSize=10&page=5", "");
        assert_eq!((&page["totalCount"], page["items"].as_array().unwrap().len()), (&json!(41), 1));
        let id = page["items"][0]["id"].as_str().unwrap();
        let (status, one) = ask_at(&mut world, later, "GET", &format!("/metaverse/objects/{id}"), "");
        assert_eq!((status, &one["displayName"]), (200, &page["items"][0]["displayName"]));
    }

    /// A world in which the first system's people are in the metaverse, and the time at which it is so.
    fn populated() -> (World, chrono::DateTime<Utc>) {
        let mut world = world();
        for (seconds, profile) in [(0, 1), (8, 2)] {
            let path = format!("/synchronisation/connected-systems/1/run-profiles/{profile}/execute");
            let at = Utc::now() + TimeDelta::seconds(seconds);
            assert_eq!(ask_at(&mut world, at, "POST", &path, "").0, 202);
        }
        (world, Utc::now() + TimeDelta::seconds(16))
    }

    #[test]
    fn objects_are_searched_filtered_and_explained() {
        let (mut world, at) = populated();
        let mut get = |path: &str| ask_at(&mut world, at, "GET", path, "");
        let (_, found) = get(
            "/metaverse/objects?filterAttributeName=Department&filterAttributeValue=finance&attributes=Email&pageSize=1",
        );
        assert_eq!(found["totalCount"], 10);
        assert!(found["items"][0]["attributes"]["Email"].is_string(), "{found}");
        assert_eq!(get("/metaverse/objects/count?objectTypeId=2").1, 0);
        assert_eq!(get("/metaverse/objects/search/People").1["totalCount"], 41);
        assert_eq!(get("/metaverse/objects/search/nonesuch").0, 404);
        let id = found["items"][0]["id"].as_str().unwrap();
        let (_, history) = get(&format!("/metaverse/objects/{id}/change-history"));
        assert_eq!(history["items"][0]["syncRuleName"], "HR CSV Import Users");
    }

    #[test]
    fn a_password_goes_nowhere_unless_a_system_synchronises_passwords() {
        let (mut world, at) = populated();
        let (_, found) = ask_at(&mut world, at, "GET", "/metaverse/objects?search=Isla", "");
        let path = format!("/metaverse/objects/{}/password", found["items"][0]["id"].as_str().unwrap());
        let (status, answer) = ask_at(&mut world, at, "POST", &path, r#"{"password": "s"}"#);
        assert_eq!((status, &answer["queuedForNoSystems"]), (200, &json!(true)));
        assert_eq!(ask_at(&mut world, at, "POST", &path, "{}").0, 400);
    }

    #[test]
    fn pending_deletions_are_counted() {
        let mut world = world();
        let (_, summary) = ask(&mut world, "GET", "/metaverse/pending-deletions/summary", "");
        let (_, count) = ask(&mut world, "GET", "/metaverse/pending-deletions/count?objectTypeId=1", "");
        assert_eq!((&summary["totalCount"], &count), (&json!(2), &json!(2)));
    }
}
