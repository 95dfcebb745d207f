//! Connected systems, their parts and the connectors they use.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::body::Body;
use super::paging::{Page, arrange};
use super::state::{Change, ConnectedSystem, World};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{clock, errors, pending_exports, people, seed, sync_rules};

const CREATE: &str = "JIM.Web.Models.Api.CreateConnectedSystemRequest";
const UPDATE: &str = "JIM.Web.Models.Api.UpdateConnectedSystemRequest";
/// The setting that names a file connector's file.
const FILE_PATH_SETTING: &str = "31";

/// `segments` begin after `/api/v1`.
pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["synchronisation", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", ["connected-systems"]) => list(world, call),
        ("POST", ["connected-systems"]) => create(world, call),
        ("GET", ["connected-systems", id]) => get(world, call, int(id)?),
        ("PUT", ["connected-systems", id]) => update(world, call, int(id)?),
        ("DELETE", ["connected-systems", id]) => delete(world, call, int(id)?),
        ("GET", ["connected-systems", id, "object-types"]) => {
            found(world, call, int(id)?).map(|system| Reply::ok(&object_types(system)))
        }
        ("GET", ["connected-systems", id, "partitions"]) => {
            found(world, call, int(id)?).map(|system| Reply::ok(&partitions(system)))
        }
        ("PUT", ["connected-systems", id, "partitions", partition]) => {
            select_partition(world, call, int(id)?, int(partition)?)
        }
        ("GET", ["connected-systems", id, "deletion-preview"]) => deletion_preview(world, call, int(id)?),
        _ => return None,
    })
}

pub(super) fn found<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a ConnectedSystem, Reply> {
    world.system(id).ok_or_else(|| errors::not_found(call, missing(id)))
}

pub(super) fn missing(id: i64) -> String {
    format!("Connected System with ID {id} not found.")
}

fn list(world: &World, call: &Call) -> Handled {
    let page = Page::of(call, 25)?;
    let mut systems: Vec<&ConnectedSystem> = world.systems.iter().collect();
    // No text is made for comparing: lists of 200,000 are read page by page.
    systems.sort_by(|a, b| lower(&a.name).cmp(lower(&b.name)));
    if call.param("sortBy").is_none() && call.params("filter").next().is_none() {
        return Ok(Reply::ok(&page.envelope(&systems, |system| header(world, system))));
    }
    let mut rows: Vec<Value> = systems.into_iter().map(|system| header(world, system)).collect();
    arrange(call, &mut rows);
    Ok(Reply::ok(&page.envelope(&rows, Value::clone)))
}

fn lower(name: &str) -> impl Iterator<Item = char> {
    name.chars().flat_map(char::to_lowercase)
}

fn header(world: &World, system: &ConnectedSystem) -> Value {
    json!({
        "id": system.id,
        "name": system.name,
        "description": system.description,
        "created": clock::stored(system.created),
        "status": "Active",
        "objectCount": system.objects,
        "connectorsCount": if system.last_full_sync.is_some() { system.objects } else { 0 },
        "pendingExportObjectsCount": pending_exports::count(world, system.id),
        "connectorName": system.connector.name,
        "connectorId": system.connector.id,
    })
}

/// `full`: as GET shows it; answers to changes leave the computed fields null.
pub(super) fn detail(world: &World, system: &ConnectedSystem, full: bool) -> Value {
    let drift = json!({
        "hasPendingChanges": false,
        "isDeterminable": system.last_full_sync.is_some(),
        "neverFullySynchronised": system.last_full_sync.is_none(),
        "trackingDisabled": false,
        "lastFullSynchronisation": system.last_full_sync.map(clock::stored),
        "mostRecentChange": null,
        "changeCount": 0,
        "highestChangeClass": "NotClassified",
    });
    json!({
        "id": system.id,
        "name": system.name,
        "description": system.description,
        "created": clock::stored(system.created),
        "lastUpdated": system.updated.map(clock::stored),
        "status": "Active",
        "settingValuesValid": system.settings_valid,
        "connector": {"id": system.connector.id, "name": system.connector.name},
        "objectTypes": object_types(system),
        "objectCount": system.objects,
        "pendingExportCount": pending_exports::count(world, system.id),
        "maxExportParallelism": system.max_export_parallelism,
        "initialPasswordTimeToLive": system.initial_password_ttl,
        "requireSecureTransport": system.secure_transport,
        "unresolvedReferenceHandling": system.unresolved_references,
        "configurationDrift": full.then_some(drift),
        "parkedInitialPasswordCount": full.then_some(0),
        "expiredInitialPasswordCount": full.then_some(0),
    })
}

fn object_types(system: &ConnectedSystem) -> Value {
    Value::Array(system.object_type.iter().cloned().collect())
}

/// The object type, when it is this system's.
pub(super) fn object_type<'a>(world: &'a World, call: &Call, system: i64, id: i64) -> Result<&'a Value, Reply> {
    let kind = found(world, call, system)?.object_type.as_ref();
    kind.filter(|kind| kind["id"] == id)
        .ok_or_else(|| errors::not_found(call, format!("Object type with ID {id} not found.")))
}

/// An attribute of whichever system has it.
pub(super) fn attribute(world: &World, id: i64) -> Option<&Value> {
    world
        .systems
        .iter()
        .filter_map(|system| system.object_type.as_ref()?["attributes"].as_array())
        .flatten()
        .find(|attribute| attribute["id"] == id)
}

/// The one object type that a source has here, with its attributes numbered from `first` on.
pub(super) fn new_object_type(id: i64, first: i64, created: DateTime<Utc>) -> Value {
    let created = clock::stored(created);
    let attributes: Vec<Value> = (first..)
        .zip(people::ATTRIBUTES)
        .map(|(id, (name, _))| {
            json!({
                "id": id,
                "name": name,
                "description": null,
                "className": null,
                "created": created,
                "type": "Text",
                "typeSetByAdministrator": false,
                "attributePlurality": "SingleValued",
                "selected": true,
                "isExternalId": name == "employeeId",
                "isSecondaryExternalId": false,
                "selectionLocked": false,
                "writability": "Writable",
                "referencedObjectTypeId": null,
                "referencedObjectTypeName": null,
            })
        })
        .collect();
    json!({
        "id": id,
        "name": "person",
        "created": created,
        "selected": true,
        "removeContributedAttributesOnObsoletion": true,
        "attributeCount": attributes.len(),
        "tags": [],
        "isInternal": false,
        "attributes": attributes,
    })
}

fn partitions(system: &ConnectedSystem) -> Value {
    Value::Array(system.partitions.iter().map(|partition| partition_dto(system, partition)).collect())
}

fn partition_dto(system: &ConnectedSystem, partition: &super::state::Partition) -> Value {
    json!({
        "id": partition.id,
        "name": partition.name,
        "externalId": partition.name,
        "selected": partition.selected,
        "connectedSystemId": system.id,
        "containers": partition.containers,
    })
}

fn select_partition(world: &mut World, call: &Call, id: i64, partition: i64) -> Handled {
    let selected =
        Body::of(call, "JIM.Web.Models.Api.UpdateConnectedSystemPartitionRequest")?.flag("selected", true)?;
    let system =
        world.systems.iter_mut().find(|system| system.id == id).ok_or_else(|| errors::not_found(call, missing(id)))?;
    let chosen = system
        .partitions
        .iter_mut()
        .find(|one| one.id == partition)
        .ok_or_else(|| errors::not_found(call, format!("Partition with ID {partition} not found.")))?;
    chosen.selected = selected.unwrap_or(chosen.selected);
    let (name, now_selected) = (chosen.name.clone(), chosen.selected);
    for profile in world.profiles.iter_mut().filter(|profile| profile.partition_id == Some(partition)) {
        profile.targets_deselected_partition = !now_selected;
    }
    world.note(Change { system_id: Some(id), ..Change::new("ConnectedSystem", "Update", &name, call) });
    let system = found(world, call, id)?;
    let dto = system.partitions.iter().find(|one| one.id == partition).map(|one| partition_dto(system, one));
    Ok(Reply::ok(&dto.unwrap_or_default()))
}

fn get(world: &World, call: &Call, id: i64) -> Handled {
    found(world, call, id).map(|system| Reply::ok(&detail(world, system, true)))
}

fn create(world: &mut World, call: &Call) -> Handled {
    let body = Body::of(call, CREATE)?;
    let (name, description) = (body.text("name")?, body.text("description")?);
    let connector = body.int("connectorDefinitionId", false)?.unwrap_or_default();
    let name = required_name(call, name)?;
    let connector = seed::CONNECTORS
        .iter()
        .find(|known| known.id == connector)
        .ok_or_else(|| errors::bad_request(call, format!("Connector definition with ID {connector} not found.")))?;
    let id = world.new_system_id();
    let system = ConnectedSystem { description, ..seed::blank(id, &name, connector, call.now) };
    let answer = detail(world, &system, false);
    world.systems.push(system);
    let reason = body.text("changeReason")?;
    world.note(Change { system_id: Some(id), reason, ..Change::new("ConnectedSystem", "Create", &name, call) });
    Ok(Reply::created(&answer, format!("/api/v1/synchronisation/connected-systems/{id}")))
}

/// The checks of a name that has to be there; lengths are counted in UTF-16 units.
pub(super) fn required_name(call: &Call, name: Option<String>) -> Result<String, Reply> {
    let name = name.unwrap_or_default();
    if name.trim().is_empty() {
        return Err(errors::invalid_field("Name", "The Name field is required."));
    }
    if name.encode_utf16().count() > 200 {
        return Err(errors::invalid_field(
            "Name",
            "The field Name must be a string with a minimum length of 1 and a maximum length of 200.",
        ));
    }
    if name.contains('\0') {
        return Err(errors::internal(call));
    }
    Ok(name)
}

fn update(world: &mut World, call: &Call, id: i64) -> Handled {
    let body = Body::of(call, UPDATE)?;
    let name = body.text("name")?;
    let description = body.text("description")?;
    let parallelism = body.int("maxExportParallelism", true)?;
    let ttl = body.text("initialPasswordTimeToLive")?;
    let secure = body.flag("requireSecureTransport", true)?;
    let handling = body
        .value("unresolvedReferenceHandling")
        .map(|_| {
            body.one_of(
                "unresolvedReferenceHandling",
                "JIM.Models.Staging.UnresolvedReferenceHandling",
                &["Error", "Warn", "Ignore"],
            )
        })
        .transpose()?
        .flatten();
    let settings = body.value("settingValues");
    let reason = body.text("changeReason")?;
    if name.as_deref().is_some_and(|name| name.is_empty() || name.encode_utf16().count() > 200) {
        return Err(errors::invalid_field(
            "Name",
            "The field Name must be a string with a minimum length of 1 and a maximum length of 200.",
        ));
    }
    let system =
        world.systems.iter_mut().find(|system| system.id == id).ok_or_else(|| errors::not_found(call, missing(id)))?;
    if let Some(settings) = settings {
        check_settings(call, &settings)?;
        system.settings_valid = true;
    }
    // Merge: what is absent or null stays.
    system.name = name.unwrap_or_else(|| system.name.clone());
    system.description = description.or(system.description.take());
    system.max_export_parallelism = parallelism.or(system.max_export_parallelism);
    system.initial_password_ttl = ttl.or(system.initial_password_ttl.take());
    system.secure_transport = secure.unwrap_or(system.secure_transport);
    system.unresolved_references = handling.unwrap_or(system.unresolved_references);
    system.updated = Some(call.now);
    let name = system.name.clone();
    let answer = detail(world, found(world, call, id)?, false);
    world.note(Change { system_id: Some(id), reason, ..Change::new("ConnectedSystem", "Update", &name, call) });
    Ok(Reply::ok(&answer))
}

fn check_settings(call: &Call, settings: &Value) -> Result<(), Reply> {
    let path = settings[FILE_PATH_SETTING]["stringValue"].as_str();
    match path.filter(|path| !seed::file_exists(path)) {
        None => Ok(()),
        Some(path) => Err(errors::rejected(
            call,
            "One or more Connected System settings are invalid.",
            json!({"File Path": [format!("File not found: '{path}'. For Bidirectional mode, the file must exist. Check the path and ensure it maps to a Docker Volume.")]}),
        )),
    }
}

/// 200 with a body; an unknown system is 400 here, not 404 (observed). A running one may go too.
fn delete(world: &mut World, call: &Call, id: i64) -> Handled {
    let Some(index) = world.systems.iter().position(|system| system.id == id) else {
        return Err(errors::bad_request(call, missing(id)));
    };
    let system = world.systems.remove(index);
    world.profiles.retain(|profile| profile.connected_system_id != id);
    let rules: Vec<i64> = rules_of(world, id);
    for rule in rules {
        sync_rules::remove(world, rule);
    }
    pending_exports::clear(world, id);
    world.tables.retain("matching-rules", |row| row["connectedSystemId"] != id);
    for run in world.activities.iter_mut().filter_map(|activity| activity.run.as_mut()) {
        if run.system_id == id {
            run.orphan(call.now);
        }
    }
    let activity = world.note(Change::new("ConnectedSystem", "Delete", &system.name, call));
    Ok(Reply::ok(&json!({
        "success": true,
        "outcome": "CompletedImmediately",
        "errorMessage": null,
        "workerTaskId": null,
        "activityId": activity,
    })))
}

fn rules_of(world: &World, id: i64) -> Vec<i64> {
    let rules = world.tables.of("sync-rules", "connectedSystemId", id);
    rules.filter_map(|rule| rule["id"].as_i64()).collect()
}

fn deletion_preview(world: &World, call: &Call, id: i64) -> Handled {
    let system = found(world, call, id)?;
    let mine = |context: &Option<String>| context.as_deref() == Some(system.name.as_str());
    let running = world
        .activities
        .iter()
        .filter_map(|activity| activity.run.as_ref())
        .any(|run| run.system_id == id && !run.over(call.now));
    let profiles = world.profiles.iter().filter(|profile| profile.connected_system_id == id).count();
    let activities = world
        .activities
        .iter()
        .filter(|one| mine(&one.target_context) || one.target_name.as_deref() == Some(&system.name))
        .count();
    let joined = if system.last_full_sync.is_some() { system.objects } else { 0 };
    let warnings: Vec<String> =
        (joined > 0).then(|| format!("{joined} Metaverse Object(s) will be disconnected.")).into_iter().collect();
    Ok(Reply::ok(&json!({
        "connectedSystemId": id,
        "connectedSystemName": system.name,
        "connectedSystemObjectCount": system.objects,
        "syncRuleCount": rules_of(world, id).len(),
        "runProfileCount": profiles,
        "partitionCount": system.partitions.len(),
        "containerCount": 0,
        "pendingExportCount": pending_exports::count(world, id),
        "activityCount": activities,
        "joinedMvoCount": joined,
        "mvosWithOtherConnectorsCount": 0,
        "mvosWithDeletionRuleCount": 0,
        "mvosWithGracePeriodCount": 0,
        "warnings": warnings,
        "estimatedDeletionTime": "00:00:01",
        "willRunAsBackgroundJob": false,
        "hasRunningSyncOperation": running,
    })))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn a_put_merges_and_an_unknown_delete_is_400() {
        let mut world = world();
        let before = ask(&mut world, "GET", "/synchronisation/connected-systems/2", "").1;
        let (status, after) =
            ask(&mut world, "PUT", "/synchronisation/connected-systems/2", r#"{"description":"new","name":null}"#);
        assert_eq!((status, &after["name"], &after["description"]), (200, &before["name"], &json!("new")));
        assert_eq!(ask(&mut world, "DELETE", "/synchronisation/connected-systems/9999", "").0, 400);
        assert_eq!(ask(&mut world, "GET", "/synchronisation/connected-systems/9999", "").0, 404);
    }

    #[test]
    fn deleting_a_system_takes_its_profiles() {
        let mut world = world();
        let (status, body) = ask(&mut world, "DELETE", "/synchronisation/connected-systems/1", "");
        assert_eq!((status, &body["outcome"]), (200, &json!("CompletedImmediately")));
        assert_eq!(ask(&mut world, "GET", "/synchronisation/connected-systems/1/run-profiles", "").0, 404);
    }

    #[test]
    fn a_deselected_partition_marks_its_profiles() {
        let mut world = world();
        ask(&mut world, "PUT", "/synchronisation/connected-systems/3/partitions/2", r#"{"selected":true}"#);
        let profiles = ask(&mut world, "GET", "/synchronisation/connected-systems/3/run-profiles", "").1;
        assert!(profiles.as_array().unwrap().iter().all(|profile| profile["targetsDeselectedPartition"] == false));
    }
}
