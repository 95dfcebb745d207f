//! The metaverse, to look at: the people that full synchronisations have projected, and the first administrator.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::paging::{Page, arrange};
use super::seed;
use super::state::World;
use super::wire::{Call, Handled, Reply, Routed, guid};
use super::{clock, errors};

pub(super) fn route(world: &World, call: &Call, segments: &[&str]) -> Routed {
    let ["metaverse", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", ["objects"]) => list(world, call),
        ("GET", ["objects", "count"]) => Ok(Reply::ok(&json!(people(world, call).count()))),
        ("GET", ["objects", id]) => get(world, call, guid(id)?),
        ("GET", ["object-types"]) => {
            let types = [object_type(world, 2, "Group"), object_type(world, 1, "User")];
            Page::of(call, 25).map(|page| Reply::ok(&page.envelope(&types, Value::clone)))
        }
        _ => return None,
    })
}

/// One person; nothing is stored, all of it follows from the systems.
struct Person {
    id: Uuid,
    created: DateTime<Utc>,
    name: String,
    /// Number and system of the import; the administrator has none.
    employee: Option<(i64, i64, String)>,
}

fn people<'a>(world: &'a World, call: &'a Call) -> impl Iterator<Item = Person> + 'a {
    let admin = Person {
        id: world.identities.user(),
        created: world.started,
        name: "Initial Admin".to_owned(),
        employee: None,
    };
    let projected = world.systems.iter().filter_map(|system| Some((system, system.last_full_sync?)));
    let employees = projected.flat_map(|(system, synchronised)| {
        (0..system.objects).map(move |index| Person {
            id: person_id(system.id, index),
            created: synchronised,
            name: seed::person(index),
            employee: Some((index + 1, system.id, system.name.clone())),
        })
    });
    let search = call.param("search").map(str::to_lowercase);
    std::iter::once(admin)
        .chain(employees)
        .filter(move |person| search.as_ref().is_none_or(|text| person.name.to_lowercase().contains(text)))
}

/// The same person has the same id at every look.
fn person_id(system: i64, index: i64) -> Uuid {
    let high = 0x5a4d_b0c5_0000_4000 | (system.unsigned_abs() & 0xfff);
    Uuid::from_u64_pair(high, 0x8000_0000_0000_0000 | index.unsigned_abs())
}

fn list(world: &World, call: &Call) -> Handled {
    let page = Page::of(call, 25)?;
    let mut rows: Vec<Value> = people(world, call)
        .map(|person| {
            json!({
                "id": person.id,
                "created": clock::stored(person.created),
                "displayName": person.name,
                "status": "Normal",
                "type": {"id": 1, "name": "User"},
                "attributes": {},
            })
        })
        .collect();
    arrange(call, &mut rows);
    Ok(Reply::ok(&page.envelope(&rows, Value::clone)))
}

fn get(world: &World, call: &Call, id: Uuid) -> Handled {
    let person = people(world, call)
        .find(|person| person.id == id)
        .ok_or_else(|| errors::not_found(call, format!("Metaverse object with ID {id} not found.")))?;
    let mut values = vec![value(&person, 3, "Display Name", &person.name)];
    if let Some((number, ..)) = person.employee {
        values.push(value(&person, 35, "Employee ID", &format!("E{number:05}")));
    }
    Ok(Reply::ok(&json!({
        "id": id,
        "created": clock::stored(person.created),
        "lastUpdated": null,
        "displayName": person.name,
        "status": "Normal",
        "origin": if person.employee.is_some() { "Projected" } else { "Internal" },
        "lastConnectorDisconnectedDate": null,
        "isPendingDeletion": false,
        "deletionEligibleDate": null,
        "type": {"id": 1, "name": "User"},
        "attributeValues": values,
        "connectedSystemObjects": [],
    })))
}

fn value(person: &Person, attribute: u64, name: &str, text: &str) -> Value {
    let source = person.employee.as_ref();
    let (high, low) = person.id.as_u64_pair();
    json!({
        "id": Uuid::from_u64_pair(high, low ^ (attribute << 32)),
        "attributeId": attribute,
        "attributeName": name,
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
        "contributedBySystemId": source.map(|source| source.1),
        "contributedBySystemName": source.map(|source| &source.2),
        "contributedBySyncRuleId": null,
        "contributedBySyncRuleName": null,
        "nullValue": false,
    })
}

fn object_type(world: &World, id: i64, name: &str) -> Value {
    json!({
        "id": id,
        "name": name,
        "pluralName": format!("{name}s"),
        "created": clock::stored(world.started),
        "attributesCount": 0,
        "builtIn": true,
        "icon": if id == 1 { "Person" } else { "Groups" },
        "hasPredefinedSearches": true,
        "deletionRule": "WhenLastConnectorDisconnected",
        "deletionTriggerMode": "AllSourcesDisconnect",
        "deletionGracePeriod": null,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;

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
}
