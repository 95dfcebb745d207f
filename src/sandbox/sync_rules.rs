//! Synchronisation rules: which objects of a system become which objects of the metaverse, or the other way round.

use serde_json::{Value, json};

use super::state::World;
use super::tables::{Form, Kind, Row, Sent, merge, note, number, paged, text};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{clock, connected_systems, criteria, errors, mappings, metaverse_types};

pub(super) const TABLE: &str = "sync-rules";
const DEPROVISION: Kind = Kind::OneOf("JIM.Models.Logic.OutboundDeprovisionAction", &["Disconnect", "Delete"]);
const CREATE: Form = Form {
    model: "JIM.Web.Models.Api.CreateSyncRuleRequest",
    required: &[
        ("name", Kind::Text(200)),
        ("connectedSystemId", Kind::Int),
        ("connectedSystemObjectTypeId", Kind::Int),
        ("metaverseObjectTypeId", Kind::Int),
        ("direction", Kind::OneOf("JIM.Models.Logic.SyncRuleDirection", &["Import", "Export"])),
    ],
    optional: &[
        ("description", Kind::Text(1000)),
        ("projectToMetaverse", Kind::Flag),
        ("provisionToConnectedSystem", Kind::Flag),
        ("enabled", Kind::Flag),
        ("enforceState", Kind::Flag),
        ("outboundDeprovisionAction", DEPROVISION),
    ],
};
const UPDATE: Form = Form {
    model: "JIM.Web.Models.Api.UpdateSyncRuleRequest",
    required: &[("name", Kind::Text(200))],
    optional: &[
        ("description", Kind::Text(1000)),
        ("projectToMetaverse", Kind::Flag),
        ("provisionToConnectedSystem", Kind::Flag),
        ("enabled", Kind::Flag),
        ("enforceState", Kind::Flag),
        ("outboundDeprovisionAction", DEPROVISION),
        (
            "inboundOutOfScopeAction",
            Kind::OneOf("JIM.Models.Logic.InboundOutOfScopeAction", &["RemainJoined", "Disconnect"]),
        ),
    ],
};
const PASSWORD: Form = Form {
    model: "JIM.Web.Models.Api.UpdateSyncRuleInitialPasswordRequest",
    required: &[],
    optional: &[
        ("enabled", Kind::Flag),
        ("source", Kind::OneOf("JIM.Models.Logic.InitialPasswordSource", &["Discovered", "Custom", "Static"])),
        ("customPolicy", Kind::Any),
        (
            "expiryBehaviour",
            Kind::OneOf(
                "JIM.Models.Core.PasswordExpiryBehaviour",
                &["RequireChangeAtNextSignIn", "ExpiresAccordingToTargetPolicy", "NeverExpires"],
            ),
        ),
        ("enableAccount", Kind::Flag),
        ("staticPassword", Kind::Text(256)),
    ],
};

/// One rule in, one out, one that is switched off.
pub(super) fn seed(world: &mut World) {
    for (name, system, direction, enabled) in [
        ("HR CSV Import Users", 1, "Import", true),
        ("Directory Export Users", 3, "Export", true),
        ("Directory Import Users", 3, "Import", false),
    ] {
        let Some(kind) = world.system(system).and_then(|system| system.object_type.as_ref()) else {
            continue;
        };
        let import = direction == "Import";
        let row = json!({
            "id": 0,
            "name": name,
            "description": null,
            "created": clock::stored(world.started),
            "connectedSystemId": system,
            "connectedSystemObjectTypeId": kind["id"],
            "metaverseObjectTypeId": 1,
            "direction": direction,
            "provisionToConnectedSystem": (!import).then_some(true),
            "projectToMetaverse": import.then_some(true),
            "enabled": enabled,
            "enforceState": true,
            "outboundDeprovisionAction": "Disconnect",
        });
        world.tables.add(TABLE, row);
    }
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["synchronisation", "sync-rules", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", []) => list(world, call),
        ("POST", []) => create(world, call),
        ("GET", [id]) => {
            let id = int(id)?;
            found(world, call, id).map(|row| Reply::ok(&shown(world, row)))
        }
        ("PUT", [id]) => update(world, call, int(id)?),
        ("DELETE", [id]) => delete(world, call, int(id)?),
        ("GET", [id, "initial-password"]) => {
            let id = int(id)?;
            found(world, call, id).map(|row| Reply::ok(&initial_password(row)))
        }
        ("PUT", [id, "initial-password"]) => set_initial_password(world, call, int(id)?),
        _ => return None,
    })
}

pub(super) fn found<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a Row, Reply> {
    world
        .tables
        .get(TABLE, id)
        .ok_or_else(|| errors::not_found(call, format!("Synchronisation Rule with ID {id} not found.")))
}

/// What a rule does first of all, as lists filter by it.
fn action(row: &Row) -> &'static str {
    if row["projectToMetaverse"] == true {
        "Projects"
    } else if row["provisionToConnectedSystem"] == true {
        "Provisions"
    } else {
        "FlowOnly"
    }
}

fn list(world: &World, call: &Call) -> Handled {
    let named = |name: &str, value: &str| {
        let mut wanted = call.params(name).peekable();
        wanted.peek().is_none() || wanted.any(|one| one.eq_ignore_ascii_case(value))
    };
    let search = call.param("search").map(str::to_lowercase);
    let mut rows: Vec<Value> = world
        .tables
        .rows(TABLE)
        .iter()
        .filter(|row| {
            let status = if row["enabled"] == true { "Enabled" } else { "Disabled" };
            named("connectedSystemIds", &number(row, "connectedSystemId").to_string())
                && named("directions", text(row, "direction"))
                && named("actionTypes", action(row))
                && named("statuses", status)
                && search.as_ref().is_none_or(|part| text(row, "name").to_lowercase().contains(part))
        })
        .map(|row| shown(world, row))
        .collect();
    rows.sort_by_key(|row| row["name"].as_str().map(str::to_lowercase));
    paged(call, rows, 25)
}

fn shown(world: &World, row: &Row) -> Value {
    let system = world.system(number(row, "connectedSystemId"));
    let kind = system.and_then(|system| system.object_type.as_ref());
    json!({
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "created": row["created"],
        "connectedSystemId": row["connectedSystemId"],
        "connectedSystemName": system.map(|system| &system.name),
        "connectedSystemObjectTypeId": row["connectedSystemObjectTypeId"],
        "connectedSystemObjectTypeName": kind.map(|kind| &kind["name"]),
        "metaverseObjectTypeId": row["metaverseObjectTypeId"],
        "metaverseObjectTypeName":
            metaverse_types::name(world, number(row, "metaverseObjectTypeId")),
        "direction": row["direction"],
        "provisionToConnectedSystem": row["provisionToConnectedSystem"],
        "projectToMetaverse": row["projectToMetaverse"],
        "enabled": row["enabled"],
        "enforceState": row["enforceState"],
        "outboundDeprovisionAction": row["outboundDeprovisionAction"],
    })
}

fn create(world: &mut World, call: &Call) -> Handled {
    let sent = CREATE.create(call)?;
    let system_id = number(&sent.fields, "connectedSystemId");
    let kind_id = number(&sent.fields, "connectedSystemObjectTypeId");
    let type_id = number(&sent.fields, "metaverseObjectTypeId");
    let system =
        world.system(system_id).ok_or_else(|| errors::bad_request(call, connected_systems::missing(system_id)))?;
    if system.object_type.as_ref().is_none_or(|kind| kind["id"] != kind_id) {
        return Err(errors::bad_request(call, format!("Connected System Object Type with ID {kind_id} not found.")));
    }
    if metaverse_types::name(world, type_id).is_none() {
        return Err(errors::bad_request(call, metaverse_types::missing(type_id)));
    }
    let mut row = json!({
        "id": 0,
        "name": null,
        "description": null,
        "created": clock::fresh(call.now),
        "connectedSystemId": null,
        "connectedSystemObjectTypeId": null,
        "metaverseObjectTypeId": null,
        "direction": null,
        "provisionToConnectedSystem": null,
        "projectToMetaverse": null,
        "enabled": false,
        "enforceState": false,
        "outboundDeprovisionAction": "Disconnect",
    });
    merge(&mut row, sent.fields);
    let id = world.tables.add(TABLE, row);
    let answer = noted(world, call, id, "Create", sent.reason)?;
    Ok(Reply::created(&answer, format!("/api/v1/synchronisation/sync-rules/{id}")))
}

pub(super) fn noted(
    world: &mut World,
    call: &Call,
    id: i64,
    operation: &'static str,
    reason: Option<String>,
) -> Result<Value, Reply> {
    let answer = shown(world, found(world, call, id)?);
    let name = answer["name"].as_str().unwrap_or_default();
    note(world, call, ("SynchronisationRule", operation), name, reason);
    Ok(answer)
}

fn update(world: &mut World, call: &Call, id: i64) -> Handled {
    let Sent { fields, reason } = UPDATE.update(call)?;
    found(world, call, id)?;
    if let Some(row) = world.tables.get_mut(TABLE, id) {
        merge(row, fields);
    }
    noted(world, call, id, "Update", reason).map(|answer| Reply::ok(&answer))
}

fn delete(world: &mut World, call: &Call, id: i64) -> Handled {
    let name = text(found(world, call, id)?, "name").to_owned();
    remove(world, id);
    note(world, call, ("SynchronisationRule", "Delete"), &name, None);
    Ok(Reply::no_content())
}

/// Takes a rule and everything that belongs to it.
pub(super) fn remove(world: &mut World, id: i64) {
    world.tables.remove(TABLE, id);
    world.tables.retain(mappings::TABLE, |row| row["syncRuleId"] != id);
    world.tables.retain("matching-rules", |row| row["syncRuleId"] != id);
    criteria::remove_all(world, &criteria::SCOPING, id);
}

fn initial_password(row: &Row) -> Value {
    let kept = &row["initialPassword"];
    let or = |field: &str, default: Value| match &kept[field] {
        Value::Null => default,
        value => value.clone(),
    };
    let mut policy = json!({
        "style": "RandomCharacters",
        "length": 16,
        "minimumUppercase": 1,
        "minimumLowercase": 1,
        "minimumDigits": 1,
        "minimumSymbols": 1,
        "permittedSymbols": "!#$%*+-=?@_",
        "wordCount": 4,
        "wordSeparator": "Hyphen",
        "wordCapitalisation": "EachWord",
        "appendedDigitCount": 2,
        "appendSymbol": false,
        "excludeAmbiguousCharacters": true,
    });
    // Clients send the policy back in the names they show, which may be PascalCase.
    if let (Some(policy), Some(sent)) = (policy.as_object_mut(), kept["customPolicy"].as_object()) {
        for (name, value) in policy {
            let theirs = sent.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            if let Some((_, theirs)) = theirs.filter(|(_, value)| !value.is_null()) {
                *value = theirs.clone();
            }
        }
    }
    json!({
        "enabled": or("enabled", json!(false)),
        "source": or("source", json!("Discovered")),
        "customPolicy": policy,
        "expiryBehaviour": or("expiryBehaviour", json!("RequireChangeAtNextSignIn")),
        "enableAccount": or("enableAccount", json!(true)),
        "staticPasswordSet": kept["staticPasswordSetAt"].is_string(),
        "staticPasswordSetAt": kept["staticPasswordSetAt"],
        "parkedReasons": [],
        "parkedAccountCount": 0,
        "expiredAccountCount": 0,
    })
}

/// Keeps that there is a static password, and not the password.
fn set_initial_password(world: &mut World, call: &Call, id: i64) -> Handled {
    let mut sent = PASSWORD.update(call)?;
    let rule = found(world, call, id)?;
    if rule["direction"] != "Export" {
        return Err(errors::bad_request(
            call,
            "Initial passwords can only be configured on export Synchronisation Rules.",
        ));
    }
    let known = initial_password(rule)["staticPasswordSet"] == true;
    let secret = sent.take("staticPassword");
    if sent.fields["source"] == "Static" && secret.is_null() && !known {
        return Err(errors::bad_request(call, "A static password is required when the source is Static."));
    }
    if let Some(row) = world.tables.get_mut(TABLE, id) {
        if row["initialPassword"].is_null() {
            row["initialPassword"] = json!({});
        }
        merge(&mut row["initialPassword"], sent.fields);
        if !secret.is_null() {
            row["initialPassword"]["staticPasswordSetAt"] = json!(clock::stored(call.now));
        }
    }
    noted(world, call, id, "Update", sent.reason)?;
    found(world, call, id).map(|row| Reply::ok(&initial_password(row)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    const BASE: &str = "/synchronisation/sync-rules";

    #[test]
    fn a_rule_is_made_switched_off_and_deleted_with_its_parts() {
        let mut world = world();
        let body = r#"{"name": "In", "connectedSystemId": 1, "connectedSystemObjectTypeId": 1,
            "metaverseObjectTypeId": 1, "direction": "import", "projectToMetaverse": true, "enabled": true}"#;
        let (status, made) = ask(&mut world, "POST", BASE, body);
        assert_eq!(
            (status, &made["connectedSystemName"], &made["direction"]),
            (201, &json!("HR CSV Source"), &json!("Import"))
        );
        let path = format!("{BASE}/{}", made["id"]);
        let (_, off) = ask(&mut world, "PUT", &path, r#"{"enabled": false}"#);
        assert_eq!((&off["enabled"], &off["name"]), (&json!(false), &json!("In")));
        let wrong = body.replace("\"connectedSystemId\": 1", "\"connectedSystemId\": 77");
        assert_eq!(ask(&mut world, "POST", BASE, &wrong).0, 400);
        assert_eq!(ask(&mut world, "DELETE", &path, "").0, 204);
        assert_eq!(ask(&mut world, "DELETE", &path, "").0, 404);
        ask(&mut world, "DELETE", &format!("{BASE}/1"), "");
        assert_eq!(world.tables.of(mappings::TABLE, "syncRuleId", 1).count(), 0);
    }

    #[test]
    fn rules_are_filtered_by_repeated_keys() {
        let mut world = world();
        let mut count = |query: &str| ask(&mut world, "GET", &format!("{BASE}?{query}"), "").1["totalCount"].clone();
        assert_eq!(count("directions=Import"), 2);
        assert_eq!(count("directions=Import&directions=Export"), 3);
        assert_eq!(count("statuses=disabled"), 1);
        assert_eq!(count("actionTypes=Provisions&connectedSystemIds=3"), 1);
        assert_eq!(count("search=csv"), 1);
    }

    #[test]
    fn an_initial_password_is_never_shown() {
        let mut world = world();
        let path = format!("{BASE}/2/initial-password");
        let body =
            r#"{"enabled": true, "source": "Static", "staticPassword": "hunter2", "customPolicy": {"Length": 24}}"#;
        let (status, set) = ask(&mut world, "PUT", &path, body);
        assert_eq!(
            (status, &set["staticPasswordSet"], &set["customPolicy"]["length"]),
            (200, &json!(true), &json!(24))
        );
        assert!(!format!("{world:?}").contains("hunter2"));
        assert_eq!(ask(&mut world, "PUT", &format!("{BASE}/1/initial-password"), "{}").0, 400);
    }
}
