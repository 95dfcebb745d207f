//! Passwords of accounts: the policy a system was found to have, generated passwords, and which systems take part in
//! password synchronisation. Nothing keeps a password.

use serde_json::{Value, json};

use super::body::Body;
use super::connected_systems::found;
use super::state::World;
use super::tables::{Form, Kind, merge, note};
use super::wire::{Call, Handled, Reply, Routed, guid, int};
use super::{clock, errors, people};

const TABLE: &str = "password-synchronisation";
const EXPIRY: &[&str] = &["RequireChangeAtNextSignIn", "ExpiresAccordingToTargetPolicy", "NeverExpires"];
const FORM: Form = Form {
    model: "JIM.Web.Models.Api.UpdateConnectedSystemPasswordSynchronisationRequest",
    required: &[],
    optional: &[
        ("enabled", Kind::Flag),
        ("targetObjectTypeId", Kind::Int),
        ("maxRetries", Kind::Int),
        ("retryBackoffBase", Kind::Text(50)),
    ],
};

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["synchronisation", "connected-systems", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("POST", ["generate-password"]) => generate_for(world, call),
        ("POST", [id, "generate-password"]) => {
            let id = int(id)?;
            found(world, call, id).map(|_| Reply::ok(&generated(world, &[id])))
        }
        ("GET", [id, "password-policy"]) => {
            let id = int(id)?;
            found(world, call, id).map(|_| Reply::ok(&policy(world, id)))
        }
        ("GET", [id, "password-synchronisation"]) => {
            let id = int(id)?;
            found(world, call, id).map(|_| Reply::ok(&synchronisation(world, id)))
        }
        ("PUT", [id, "password-synchronisation"]) => update(world, call, int(id)?),
        ("POST", [id, "connector-space", object, "password"]) => set(world, call, int(id)?, guid(object)?),
        _ => return None,
    })
}

/// Directories take passwords, files do not.
fn supported(world: &World, id: i64) -> bool {
    world.system(id).is_some_and(|system| system.connector.partitions)
}

/// Whether passwords of people are sent to a system.
pub(super) fn synchronises(world: &World, id: i64) -> bool {
    let mut rows = world.tables.of(TABLE, "id", id);
    rows.next().is_some_and(|row| row["enabled"] == true)
}

/// The password of a body, if it may be one; its text is not kept.
pub(super) fn checked(body: &Body<'_>) -> Result<&'static str, Reply> {
    let given = body.text("password")?;
    if given.is_none_or(|text| text.is_empty()) {
        return Err(errors::invalid_field("Password", "The Password field is required."));
    }
    let expiry = match body.value("expiryBehaviour") {
        Some(_) => body.one_of("expiryBehaviour", "JIM.Models.Core.PasswordExpiryBehaviour", EXPIRY)?,
        None => None,
    };
    Ok(expiry.unwrap_or(EXPIRY[0]))
}

fn set(world: &mut World, call: &Call, id: i64, object: uuid::Uuid) -> Handled {
    let body = Body::of(call, "JIM.Web.Models.Api.SetConnectedSystemObjectPasswordRequest")?;
    let expiry = checked(&body)?;
    let system = found(world, call, id)?;
    let Some(index) = people::row_of(system, object) else {
        return Err(errors::not_found(call, format!("Connected System Object with ID {object} not found.")));
    };
    if !supported(world, id) {
        return Err(errors::bad_request(
            call,
            "The connector of this Connected System does not support setting passwords.",
        ));
    }
    let name = super::seed::person(index);
    note(world, call, ("ConnectedSystemObject", "Update"), &name, None);
    Ok(Reply::ok(&json!({
        "appliedExpiryBehaviour": expiry,
        "expiryBehaviourWarning": null,
    })))
}

fn policy(world: &World, id: i64) -> Value {
    let known = supported(world, id);
    let classes: &[&str] = if known { &["Uppercase", "Lowercase", "Digit", "Symbol"] } else { &[] };
    json!({
        "discovered": known.then(|| clock::stored(world.started)),
        "minimumLength": known.then_some(12),
        "complexityRequired": known.then_some(true),
        "requiredCharacterClassCount": known.then_some(3),
        "recognisedCharacterClasses": classes,
        "passwordHistoryLength": known.then_some(24),
        "maximumPasswordAgeDays": known.then_some(90),
        "minimumPasswordAgeDays": known.then_some(1),
        "fineGrainedPolicySignal": "None",
        "hasAnyDiscoveredConstraint": known,
    })
}

fn synchronisation(world: &World, id: i64) -> Value {
    let row = world.tables.of(TABLE, "id", id).next();
    let of = |field: &str| row.map_or(&Value::Null, |row| &row[field]);
    let kind = world.system(id).and_then(|system| system.object_type.as_ref());
    let retries = of("maxRetries").as_i64().unwrap_or_default();
    let backoff = of("retryBackoffBase").as_str().unwrap_or("00:00:00");
    json!({
        "configured": row.is_some(),
        "connectorSupportsPasswordSet": supported(world, id),
        "enabled": of("enabled") == true,
        "targetObjectTypeId": of("targetObjectTypeId").as_i64().unwrap_or_default(),
        "targetObjectTypeName": row.and(kind).map(|kind| &kind["name"]),
        "maxRetries": retries,
        "effectiveMaxRetries": if retries > 0 { retries } else { 10 },
        "retryBackoffBase": backoff,
        "effectiveRetryBackoffBase": if backoff == "00:00:00" { "00:01:00" } else { backoff },
        "requireSecureTransport": world.system(id).is_some_and(|system| system.secure_transport),
        "effectiveTimeToLive": "1.00:00:00",
    })
}

fn update(world: &mut World, call: &Call, id: i64) -> Handled {
    let sent = FORM.update(call)?;
    let system = found(world, call, id)?;
    let (name, kind) = (system.name.clone(), system.object_type.clone());
    let known = kind.map_or(0, |kind| super::tables::number(&kind, "id"));
    if !supported(world, id) {
        return Err(errors::bad_request(
            call,
            "The connector of this Connected System does not support setting passwords.",
        ));
    }
    if sent.has("targetObjectTypeId") && sent.fields["targetObjectTypeId"] != known {
        return Err(errors::bad_request(
            call,
            format!("Object type with ID {} not found in this Connected System.", sent.fields["targetObjectTypeId"]),
        ));
    }
    if world.tables.get(TABLE, id).is_none() {
        world.tables.add(TABLE, json!({"id": id, "targetObjectTypeId": known}));
    }
    if let Some(row) = world.tables.get_mut(TABLE, id) {
        merge(row, sent.fields);
    }
    note(world, call, ("ConnectedSystem", "Update"), &name, sent.reason);
    Ok(Reply::ok(&synchronisation(world, id)))
}

fn generate_for(world: &World, call: &Call) -> Handled {
    let body = Body::of(call, "JIM.Web.Models.Api.GeneratePasswordForSystemsRequest")?;
    let ids = super::tables::numbers(&body.value("connectedSystemIds").unwrap_or_default());
    if ids.is_empty() {
        return Err(errors::bad_request(call, "At least one Connected System is required."));
    }
    for id in &ids {
        found(world, call, *id)?;
    }
    Ok(Reply::ok(&generated(world, &ids)))
}

/// Twenty characters with one of each class, so that any policy seeded here is met.
fn generated(world: &World, systems: &[i64]) -> Value {
    const CLASSES: [&[u8]; 4] = [b"ABCDEFGHJKLMNPQRSTUVWXYZ", b"abcdefghijkmnopqrstuvwxyz", b"23456789", b"!#%+-=?@_"];
    let letters: String = (0..20)
        .map(|place| {
            let class = CLASSES[place % 4];
            char::from(class[fastrand::usize(..class.len())])
        })
        .collect();
    let without: Vec<&str> = systems
        .iter()
        .filter(|id| !supported(world, **id))
        .filter_map(|id| world.system(*id).map(|system| system.name.as_str()))
        .collect();
    json!({
        "password": letters,
        "guaranteedMinimumLength": 20,
        "guaranteedCharacterClassCount": 4,
        "guaranteedCharacterClasses": ["Uppercase", "Lowercase", "Digit", "Symbol"],
        "entropyBits": 92.8,
        "satisfiesDiscoveredPolicy": true,
        "problems": [],
        "systemsWithNoDiscoveredPolicy": without,
        "constraints": [],
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    const BASE: &str = "/synchronisation/connected-systems";

    #[test]
    fn a_directory_takes_part_in_password_synchronisation_and_a_file_does_not() {
        let mut world = world();
        let path = format!("{BASE}/3/password-synchronisation");
        assert_eq!(ask(&mut world, "GET", &path, "").1["configured"], false);
        let (status, set) = ask(&mut world, "PUT", &path, r#"{"enabled": true, "maxRetries": 5}"#);
        assert_eq!((status, &set["enabled"], &set["effectiveMaxRetries"]), (200, &json!(true), &json!(5)));
        assert!(synchronises(&world, 3));
        let file = format!("{BASE}/1/password-synchronisation");
        assert_eq!(ask(&mut world, "PUT", &file, r#"{"enabled": true}"#).0, 400);
        assert_eq!(ask(&mut world, "GET", &format!("{BASE}/99/password-policy"), "").0, 404);
    }

    #[test]
    fn generated_passwords_are_not_the_same_twice() {
        let mut world = world();
        let mut one = || ask(&mut world, "POST", &format!("{BASE}/3/generate-password"), "").1;
        assert_ne!(one()["password"], one()["password"]);
        let (_, some) =
            ask(&mut world, "POST", &format!("{BASE}/generate-password"), r#"{"connectedSystemIds": [1, 3]}"#);
        assert_eq!(some["systemsWithNoDiscoveredPolicy"], json!(["HR CSV Source"]));
    }
}
