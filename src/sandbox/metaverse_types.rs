//! Object types of the metaverse: which kinds of objects there are, and when they are deleted.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::state::World;
use super::tables::{Form, Kind, Row, merge, note, number, numbers, paged, pick, text};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{clock, errors, metaverse, metaverse_attributes};

pub(super) const TABLE: &str = "metaverse-object-types";
const RULES: &[&str] = &["Manual", "WhenLastConnectorDisconnected", "WhenAuthoritativeSourceDisconnected"];
const TRIGGERS: &[&str] = &["AllSourcesDisconnect", "SpecificSourcesDisconnect"];
const FORM: Form = Form {
    model: "JIM.Web.Models.Api.MetaverseObjectTypeRequest",
    required: &[("name", Kind::Text(200)), ("pluralName", Kind::Text(200))],
    optional: &[
        ("icon", Kind::Text(200)),
        ("attributeIds", Kind::Any),
        ("deletionRule", Kind::OneOf("JIM.Models.Core.MetaverseObjectDeletionRule", RULES)),
        ("deletionGracePeriod", Kind::Text(50)),
        ("deletionTriggerMode", Kind::OneOf("JIM.Models.Core.AuthoritativeSourceTriggerMode", TRIGGERS)),
        ("deletionTriggerConnectedSystemIds", Kind::Any),
    ],
};

/// The two that the server has built in, and one that an administrator might have made.
pub(super) fn seed(world: &mut World) {
    let created = clock::stored(world.started);
    for (name, built_in, icon) in [("User", true, "Person"), ("Group", true, "Groups"), ("Person", false, "Person")] {
        world.tables.add(
            TABLE,
            json!({
                "id": 0,
                "name": name,
                "pluralName": if name == "Person" { "People".to_owned() } else { format!("{name}s") },
                "created": created,
                "builtIn": built_in,
                "icon": icon,
                "deletionRule": "WhenLastConnectorDisconnected",
                "deletionGracePeriod": null,
                "deletionTriggerMode": "AllSourcesDisconnect",
                "deletionTriggerConnectedSystemIds": [],
            }),
        );
    }
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["metaverse", "object-types", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", []) => list(world, call),
        ("POST", []) => create(world, call),
        ("GET", ["name-availability"]) => Ok(availability(world, call)),
        ("GET", [id]) => {
            let id = int(id)?;
            found(world, call, id).map(|row| Reply::ok(&detail(world, row)))
        }
        ("PUT", [id]) => update(world, call, int(id)?),
        ("DELETE", [id]) => delete(world, call, int(id)?),
        ("GET", [id, "delete-preview"]) => {
            let id = int(id)?;
            found(world, call, id).map(|row| Reply::ok(&impact(world, row, false)))
        }
        _ => return None,
    })
}

pub(super) fn found<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a Row, Reply> {
    world.tables.get(TABLE, id).ok_or_else(|| errors::not_found(call, missing(id)))
}

pub(super) fn missing(id: i64) -> String {
    format!("Metaverse Object Type with ID {id} not found.")
}

/// A type's name; unknown ids have none.
pub(super) fn name(world: &World, id: i64) -> Option<&str> {
    world.tables.get(TABLE, id).map(|row| text(row, "name"))
}

fn list(world: &World, call: &Call) -> Handled {
    let with_attributes = call.param("includeChildObjects").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let mut rows: Vec<Value> = world.tables.rows(TABLE).iter().map(|row| header(world, row, with_attributes)).collect();
    rows.sort_by_key(|row| row["name"].as_str().map(str::to_lowercase));
    paged(call, rows, 25)
}

/// Attributes are counted only where they were asked for (observed).
fn header(world: &World, row: &Row, with_attributes: bool) -> Value {
    let id = number(row, "id");
    let attributes = if with_attributes { metaverse_attributes::of_type(world, id).count() } else { 0 };
    let searches = world.tables.of("predefined-searches", "metaverseObjectTypeId", id).next();
    json!({
        "id": id,
        "name": row["name"],
        "pluralName": row["pluralName"],
        "created": row["created"],
        "attributesCount": attributes,
        "builtIn": row["builtIn"],
        "icon": row["icon"],
        "hasPredefinedSearches": searches.is_some(),
        "deletionRule": row["deletionRule"],
        "deletionTriggerMode": row["deletionTriggerMode"],
        "deletionGracePeriod": row["deletionGracePeriod"],
    })
}

fn detail(world: &World, row: &Row) -> Value {
    let mut shown = row.clone();
    let attributes = metaverse_attributes::of_type(world, number(row, "id"))
        .map(|attribute| pick(attribute, &["id", "name", "type", "attributePlurality", "builtIn"]));
    shown["attributes"] = attributes.collect();
    shown
}

fn taken(world: &World, field: &str, wanted: &str, except: i64) -> bool {
    world
        .tables
        .rows(TABLE)
        .iter()
        .any(|row| number(row, "id") != except && text(row, field).eq_ignore_ascii_case(wanted))
}

fn availability(world: &World, call: &Call) -> Reply {
    let except = call.param("excludeId").and_then(int).unwrap_or_default();
    let free = |field: &str| call.param(field).map(|wanted| !taken(world, field, wanted, except));
    Reply::ok(&json!({
        "name": call.param("name"),
        "nameAvailable": free("name"),
        "pluralName": call.param("pluralName"),
        "pluralNameAvailable": free("pluralName"),
    }))
}

fn check(world: &World, call: &Call, fields: &Row, except: i64) -> Result<(), Reply> {
    for field in ["name", "pluralName"] {
        let wanted = text(fields, field);
        if !wanted.is_empty() && taken(world, field, wanted, except) {
            return Err(errors::bad_request(call, format!("A Metaverse Object Type named '{wanted}' already exists.")));
        }
    }
    for id in numbers(&fields["deletionTriggerConnectedSystemIds"]) {
        if world.system(id).is_none() {
            return Err(errors::bad_request(call, super::connected_systems::missing(id)));
        }
    }
    Ok(())
}

fn create(world: &mut World, call: &Call) -> Handled {
    let mut sent = FORM.create(call)?;
    check(world, call, &sent.fields, 0)?;
    let attributes = numbers(&sent.take("attributeIds"));
    for id in &attributes {
        if world.tables.get(metaverse_attributes::TABLE, *id).is_none() {
            return Err(errors::bad_request(call, metaverse_attributes::missing(*id)));
        }
    }
    let mut row = json!({
        "id": 0,
        "name": null,
        "pluralName": null,
        "created": clock::fresh(call.now),
        "builtIn": false,
        "icon": null,
        "deletionRule": "Manual",
        "deletionGracePeriod": null,
        "deletionTriggerMode": "AllSourcesDisconnect",
        "deletionTriggerConnectedSystemIds": [],
    });
    merge(&mut row, sent.fields);
    let id = world.tables.add(TABLE, row);
    for attribute in attributes {
        metaverse_attributes::bind(world, attribute, id);
    }
    let answer = detail(world, found(world, call, id)?);
    let name = answer["name"].as_str().unwrap_or_default();
    note(world, call, ("MetaverseObjectType", "Create"), name, sent.reason);
    Ok(Reply::created(&answer, format!("/api/v1/metaverse/object-types/{id}")))
}

fn update(world: &mut World, call: &Call, id: i64) -> Handled {
    let mut sent = FORM.update(call)?;
    let built_in = found(world, call, id)?["builtIn"] == true;
    check(world, call, &sent.fields, id)?;
    if built_in && (sent.has("name") || sent.has("pluralName")) {
        return Err(errors::bad_request(call, "Built-in Metaverse Object Types can't be renamed."));
    }
    sent.take("attributeIds");
    if let Some(row) = world.tables.get_mut(TABLE, id) {
        merge(row, sent.fields);
    }
    let answer = detail(world, found(world, call, id)?);
    let name = answer["name"].as_str().unwrap_or_default();
    note(world, call, ("MetaverseObjectType", "Update"), name, sent.reason);
    Ok(Reply::ok(&answer))
}

fn impact(world: &World, row: &Row, deleted: bool) -> Value {
    let id = number(row, "id");
    let objects = metaverse::count_of_type(world, id);
    let rules: Vec<Value> = world
        .tables
        .of("sync-rules", "metaverseObjectTypeId", id)
        .map(|rule| json!({"kind": "SynchronisationRule", "description": rule["name"]}))
        .collect();
    let searches: Vec<Value> = world
        .tables
        .of("predefined-searches", "metaverseObjectTypeId", id)
        .map(|search| json!({"kind": "PredefinedSearch", "description": search["name"]}))
        .collect();
    let blocked = objects > 0 || !rules.is_empty() || row["builtIn"] == true;
    json!({
        "objectTypeId": id,
        "objectTypeName": row["name"],
        "builtIn": row["builtIn"],
        "metaverseObjectCount": objects,
        "synchronisationRules": rules,
        "cascadeReferences": searches,
        "deleted": deleted,
        "blockedByObjects": objects > 0,
        "blockedBySynchronisationRules": !rules.is_empty(),
        "blocked": blocked,
        "requiresConfirmation": !searches.is_empty(),
    })
}

/// Built-in: 400. In use, or without the name that confirms it: 409 with what is in the way.
fn delete(world: &mut World, call: &Call, id: i64) -> Handled {
    let row = found(world, call, id)?;
    let name = text(row, "name").to_owned();
    if row["builtIn"] == true {
        return Err(errors::bad_request(
            call,
            format!("Metaverse Object Type '{name}' is built in and can't be deleted."),
        ));
    }
    let plan = impact(world, row, false);
    let confirmed = call.param("confirmationName") == Some(name.as_str());
    if plan["blocked"] == true || (plan["requiresConfirmation"] == true && !confirmed) {
        return Err(Reply::json(StatusCode::CONFLICT, &plan));
    }
    let done = impact(world, row, true);
    world.tables.remove(TABLE, id);
    world.tables.retain("predefined-searches", |row| row["metaverseObjectTypeId"] != id);
    metaverse_attributes::unbind_all(world, id);
    note(world, call, ("MetaverseObjectType", "Delete"), &name, None);
    Ok(Reply::ok(&done))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    const BASE: &str = "/metaverse/object-types";

    #[test]
    fn a_type_is_made_changed_and_deleted() {
        let mut world = world();
        let body = r#"{"name": "Device", "pluralName": "Devices", "deletionRule": "manual", "attributeIds": [3]}"#;
        let (status, made) = ask(&mut world, "POST", BASE, body);
        assert_eq!(
            (status, &made["deletionRule"], &made["attributes"][0]["name"]),
            (201, &json!("Manual"), &json!("Display Name"))
        );
        assert_eq!(ask(&mut world, "POST", BASE, body).0, 400, "the name is taken");
        let path = format!("{BASE}/{}", made["id"]);
        let (_, changed) = ask(&mut world, "PUT", &path, r#"{"deletionGracePeriod": "30.00:00:00"}"#);
        assert_eq!((&changed["deletionGracePeriod"], &changed["name"]), (&json!("30.00:00:00"), &json!("Device")));
        let (status, gone) = ask(&mut world, "DELETE", &path, "");
        assert_eq!((status, &gone["deleted"]), (200, &json!(true)));
        assert_eq!(ask(&mut world, "GET", &path, "").0, 404);
    }

    #[test]
    fn a_type_in_use_stays() {
        let mut world = world();
        assert_eq!(ask(&mut world, "DELETE", "/metaverse/object-types/1", "").0, 400);
        let (_, plan) = ask(&mut world, "GET", "/metaverse/object-types/1/delete-preview", "");
        assert_eq!((&plan["blocked"], &plan["metaverseObjectCount"]), (&json!(true), &json!(1)));
    }
}
