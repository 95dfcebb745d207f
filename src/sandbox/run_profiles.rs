//! Run profiles and their execution.

use serde_json::{Value, json};
use uuid::Uuid;

use super::body::Body;
use super::connected_systems::{found, missing, required_name};
use super::errors;
use super::runs::Run;
use super::state::{Activity, Actor, Change, ConnectedSystem, RunProfile, ScheduleLink, World, shown};
use super::wire::{Call, Handled, Reply, Routed, int};

const CREATE: &str = "JIM.Web.Models.Api.CreateRunProfileRequest";
const UPDATE: &str = "JIM.Web.Models.Api.UpdateRunProfileRequest";
const RUN_TYPE: &str = "JIM.Models.Staging.ConnectedSystemRunType";
const RUN_TYPES: [&str; 6] =
    ["NotSet", "FullImport", "DeltaImport", "FullSynchronisation", "DeltaSynchronisation", "Export"];
const DEFAULT_PAGE_SIZE: i64 = 100;

/// `segments` begin after `/api/v1`. There is no route for reading one profile.
pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["synchronisation", "connected-systems", system, "run-profiles", rest @ ..] = segments else {
        return None;
    };
    let system = int(system)?;
    Some(match (call.method.as_str(), rest) {
        ("GET", []) => list(world, call, system),
        ("POST", []) => create(world, call, system),
        ("PUT", [id]) => update(world, call, system, int(id)?),
        ("DELETE", [id]) => delete(world, call, system, int(id)?),
        ("POST", [id, "execute"]) => execute(world, call, system, int(id)?),
        _ => return None,
    })
}

/// A bare array, not paged.
fn list(world: &World, call: &Call, system: i64) -> Handled {
    found(world, call, system)?;
    let profiles: Vec<&RunProfile> =
        world.profiles.iter().filter(|profile| profile.connected_system_id == system).collect();
    Ok(Reply::ok(&shown(&profiles)))
}

/// What a body may set, in both POST and PUT.
struct Sent {
    name: Option<String>,
    page_size: Option<i64>,
    partition: Option<i64>,
    file_path: Option<String>,
    verify: Option<bool>,
}

impl Sent {
    fn of(body: &Body<'_>, nullable: bool) -> Result<Self, Reply> {
        Ok(Self {
            name: body.text("name")?,
            page_size: body.int("pageSize", nullable)?,
            partition: body.int("partitionId", true)?,
            file_path: body.text("filePath")?,
            verify: body.flag("verifyImportContentHashes", nullable)?,
        })
    }

    /// All of the model's complaints at once, in the order of its properties.
    fn check(&self, call: &Call, creating: bool) -> Result<(), Reply> {
        let mut wrong = Vec::new();
        let mut name = Vec::new();
        let text = self.name.as_deref();
        if creating && text.is_none_or(|text| text.trim().is_empty()) {
            name.push("The Name field is required.".to_owned());
        }
        if text.is_some_and(|text| text.is_empty() || text.encode_utf16().count() > 200) {
            name.push(
                "The field Name must be a string with a minimum length of 1 and a maximum length of 200.".to_owned(),
            );
        }
        if !name.is_empty() {
            wrong.push(("Name".to_owned(), name));
        }
        if self.file_path.as_deref().is_some_and(|path| path.encode_utf16().count() > 500) {
            wrong.push((
                "FilePath".to_owned(),
                vec!["The field FilePath must be a string with a maximum length of 500.".to_owned()],
            ));
        }
        if self.page_size.is_some_and(|size| !(1..=10_000).contains(&size)) {
            wrong.push(("PageSize".to_owned(), vec!["The field PageSize must be between 1 and 10000.".to_owned()]));
        }
        if !wrong.is_empty() {
            return Err(errors::invalid(wrong));
        }
        // The database refuses U+0000, and nobody catches that.
        if text.is_some_and(|text| text.contains('\0')) {
            return Err(errors::internal(call));
        }
        Ok(())
    }
}

fn partition_of(call: &Call, system: &ConnectedSystem, id: i64) -> Result<(String, bool), Reply> {
    system
        .partitions
        .iter()
        .find(|partition| partition.id == id)
        .map(|partition| (partition.name.clone(), partition.selected))
        .ok_or_else(|| errors::bad_request(call, format!("Partition with ID {id} not found.")))
}

fn create(world: &mut World, call: &Call, system_id: i64) -> Handled {
    let body = Body::of(call, CREATE)?;
    let run_type = body.one_of("runType", RUN_TYPE, &RUN_TYPES)?.unwrap_or("NotSet");
    let sent = Sent::of(&body, false)?;
    sent.check(call, true)?;
    let system = found(world, call, system_id)?;
    let (system_name, supported) = (system.name.clone(), supports(system, run_type));
    let partition = sent.partition.map(|id| partition_of(call, system, id)).transpose()?;
    if !supported {
        return Err(errors::bad_request(call, "Run Profile is not valid for the Connector!"));
    }
    check_hashes(call, run_type, sent.verify)?;
    let name = required_name(call, sent.name)?;
    let mut profile = RunProfile {
        id: world.new_profile_id(),
        name,
        connected_system_id: system_id,
        run_type,
        page_size: sent.page_size.unwrap_or(DEFAULT_PAGE_SIZE),
        partition_name: None,
        targets_deselected_partition: false,
        file_path: sent.file_path,
        verify_import_content_hashes: sent.verify.unwrap_or_default(),
        partition_id: sent.partition,
    };
    // Answered before the partition is known: it appears when the list is read again (observed).
    let answer = shown(&profile);
    if let Some((name, selected)) = partition {
        profile.partition_name = Some(name);
        profile.targets_deselected_partition = !selected;
    }
    note(world, call, "Create", &profile.name, &system_name, body.text("changeReason")?, system_id);
    world.profiles.push(profile);
    Ok(Reply::created(&answer, format!("/api/v1/synchronisation/connected-systems/{system_id}/run-profiles")))
}

fn supports(system: &ConnectedSystem, run_type: &str) -> bool {
    run_type != "DeltaImport" || system.connector.delta_import
}

fn check_hashes(call: &Call, run_type: &str, verify: Option<bool>) -> Result<(), Reply> {
    if verify == Some(true) && run_type != "FullImport" {
        return Err(errors::bad_request(
            call,
            "VerifyImportContentHashes can only be enabled on a Full Import Run Profile.",
        ));
    }
    Ok(())
}

fn no_profile(call: &Call, system: i64, id: i64) -> Reply {
    errors::not_found(call, format!("Run Profile with ID {id} not found for Connected System {system}."))
}

/// Merges: absent and null fields stay, the run type can't be changed, an empty path is kept as such. The row moves
/// to the end of the list.
fn update(world: &mut World, call: &Call, system_id: i64, id: i64) -> Handled {
    let body = Body::of(call, UPDATE)?;
    let sent = Sent::of(&body, true)?;
    sent.check(call, false)?;
    let system = found(world, call, system_id)?;
    let system_name = system.name.clone();
    let current = world.profile(system_id, id).ok_or_else(|| no_profile(call, system_id, id))?;
    let partition = sent.partition.map(|id| partition_of(call, system, id)).transpose()?;
    check_hashes(call, current.run_type, sent.verify)?;
    let mut profile = current.clone();
    if let Some(name) = sent.name {
        profile.name = name;
    }
    profile.page_size = sent.page_size.unwrap_or(profile.page_size);
    profile.file_path = sent.file_path.or(profile.file_path);
    profile.verify_import_content_hashes = sent.verify.unwrap_or(profile.verify_import_content_hashes);
    if let Some((name, selected)) = partition {
        profile.partition_id = sent.partition;
        profile.partition_name = Some(name);
        profile.targets_deselected_partition = !selected;
    }
    let answer = shown(&profile);
    note(world, call, "Update", &profile.name, &system_name, body.text("changeReason")?, system_id);
    world.profiles.retain(|other| other.id != id);
    world.profiles.push(profile);
    Ok(Reply::ok(&answer))
}

/// Also while it runs or a schedule uses it (observed).
fn delete(world: &mut World, call: &Call, system_id: i64, id: i64) -> Handled {
    let system_name = found(world, call, system_id)?.name.clone();
    let profile = world.profile(system_id, id).ok_or_else(|| no_profile(call, system_id, id))?;
    let name = profile.name.clone();
    world.profiles.retain(|other| other.id != id);
    for run in world.activities.iter_mut().filter_map(|activity| activity.run.as_mut()) {
        if run.profile_id == Some(id) {
            run.orphan(call.now);
        }
    }
    note(world, call, "Delete", &name, &system_name, None, system_id);
    Ok(Reply::no_content())
}

fn note(
    world: &mut World,
    call: &Call,
    operation: &'static str,
    name: &str,
    system: &str,
    reason: Option<String>,
    id: i64,
) {
    let change = Change::new("ConnectedSystemRunProfile", operation, name, call);
    let reason = reason.or_else(|| change.reason.clone());
    world.note(Change { context: Some(system), system_id: Some(id), reason, ..change });
}

fn execute(world: &mut World, call: &Call, system_id: i64, id: i64) -> Handled {
    found(world, call, system_id)?;
    let profile = world.profile(system_id, id).ok_or_else(|| no_profile(call, system_id, id))?;
    let name = profile.name.clone();
    let warnings = warnings(profile);
    check_partitions(world, call, system_id, id)?;
    let started = start(world, call.now, &call.actor, system_id, id, None)
        .ok_or_else(|| errors::not_found(call, missing(system_id)))?;
    Ok(Reply::accepted(&json!({
        "activityId": started.0,
        "taskId": started.1,
        "message": format!("Run Profile '{name}' has been queued for execution."),
        "warnings": warnings,
    })))
}

/// The server's words for this have not been observed.
fn warnings(profile: &RunProfile) -> Vec<Value> {
    match &profile.partition_name {
        Some(partition) if profile.targets_deselected_partition => vec![json!(format!(
            "Run Profile '{}' targets partition '{partition}', which is not selected. No objects will be imported from it.",
            profile.name
        ))],
        _ => Vec::new(),
    }
}

fn check_partitions(world: &World, call: &Call, system_id: i64, id: i64) -> Result<(), Reply> {
    let system = found(world, call, system_id)?;
    let import = world.profile(system_id, id).is_some_and(|profile| profile.run_type.ends_with("Import"));
    if import && system.connector.partitions && system.partitions.is_empty() {
        return Err(errors::bad_request(
            call,
            format!(
                "Connected System '{}' has incomplete partition configuration: the partition hierarchy has not been imported: run a partition hierarchy import before selecting partitions. Import operations will return no objects. Please configure partition and container selections on the Connected System's Partitions & Containers tab.",
                system.name
            ),
        ));
    }
    Ok(())
}

/// Queues a run; the activity's and the task's id. `None`: no such profile.
///
/// Runs of one system wait for each other.
pub(super) fn start(
    world: &mut World,
    now: chrono::DateTime<chrono::Utc>,
    actor: &Actor,
    system_id: i64,
    profile_id: i64,
    schedule: Option<ScheduleLink>,
) -> Option<(Uuid, Uuid)> {
    let (profile, system) = (world.profile(system_id, profile_id)?, world.system(system_id)?);
    let free_from = world
        .activities
        .iter()
        .filter_map(|activity| activity.run.as_ref())
        .filter(|run| run.system_id == system_id && !run.over(now))
        .map(|run| run.ends)
        .max()
        .unwrap_or(now);
    let run = Run::queue(profile, system, now, free_from, world.speed);
    let ids = (Uuid::now_v7(), run.task);
    let activity = Activity {
        id: ids.0,
        created: now,
        target_type: "ConnectedSystemRunProfile",
        operation: "Execute",
        target_name: Some(profile.name.clone()),
        target_context: Some(system.name.clone()),
        message: None,
        actor: actor.clone(),
        change_reason: None,
        system_id: Some(system_id),
        took: chrono::TimeDelta::zero(),
        cancelled: false,
        run: Some(run),
        schedule,
    };
    world.activities.push(activity);
    Some(ids)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{ask, world};
    use super::*;

    const PROFILES: &str = "/synchronisation/connected-systems/1/run-profiles";

    #[test]
    fn a_put_merges_ignores_the_run_type_and_moves_the_row_to_the_end() {
        let mut world = world();
        let path = format!("{PROFILES}/1");
        let (status, body) = ask(&mut world, "PUT", &path, r#"{"pageSize": 7, "runType": "Export", "name": null}"#);
        assert_eq!(
            (status, &body["pageSize"], &body["runType"], &body["name"]),
            (200, &json!(7), &json!("FullImport"), &json!("Full Import"))
        );
        let list = ask(&mut world, "GET", PROFILES, "").1;
        assert_eq!(
            list.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>(),
            [2, 3, 1]
        );
        assert_eq!(ask(&mut world, "PUT", &path, "{}").0, 200);
        assert_eq!(ask(&mut world, "PUT", &path, r#"{"filePath": ""}"#).1["filePath"], "");
    }

    #[test]
    fn all_complaints_come_at_once() {
        let long = "x".repeat(201);
        let body = format!(r#"{{"name": "{long}", "pageSize": 0, "filePath": "{}"}}"#, "y".repeat(501));
        let (status, body) = ask(&mut world(), "PUT", &format!("{PROFILES}/1"), &body);
        let fields: Vec<&String> = body["errors"].as_object().unwrap().keys().collect();
        assert_eq!(status, 400);
        assert_eq!(fields, ["Name", "FilePath", "PageSize"]);
    }

    #[test]
    fn a_partition_shows_on_the_second_look() {
        let mut world = world();
        let path = "/synchronisation/connected-systems/3/run-profiles";
        let (status, body) =
            ask(&mut world, "POST", path, r#"{"name": "p", "runType": "FullImport", "partitionId": 2}"#);
        assert_eq!((status, &body["partitionName"]), (201, &Value::Null));
        let list = ask(&mut world, "GET", path, "").1;
        assert_eq!(list.as_array().unwrap().last().unwrap()["targetsDeselectedPartition"], true);
    }

    #[test]
    fn a_profile_on_a_deselected_partition_warns() {
        let mut world = world();
        let lab = world.profiles.iter().find(|profile| profile.targets_deselected_partition).unwrap().id;
        let (status, body) =
            ask(&mut world, "POST", &format!("/synchronisation/connected-systems/3/run-profiles/{lab}/execute"), "");
        assert_eq!((status, body["warnings"].as_array().unwrap().len()), (202, 1));
    }
}
