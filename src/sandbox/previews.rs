//! Previews: what a change of the configuration would come to. A preview takes about two seconds at speed 1; its
//! results are the same for every question: some attribute flows for the people there are.

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::Body;
use super::people::{everyone, part_id};
use super::state::{Change, World};
use super::tables::{paged, text};
use super::wire::{Call, Handled, Reply, Routed, guid, int};
use super::{connected_systems, errors, metaverse_types, sync_rules};

const TABLE: &str = "previews";

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    Some(match (call.method.as_str(), segments) {
        ("GET", ["previews", id]) => get(world, call, guid(id)?),
        ("GET", ["previews", id, "deltas"]) => deltas(world, call, guid(id)?),
        ("DELETE", ["previews", id]) => stop(world, call, guid(id)?),
        ("POST", ["metaverse", "object-types", id, "deletion-settings", "preview"]) => {
            let id = int(id)?;
            let name = metaverse_types::found(world, call, id).map(|row| text(row, "name").to_owned());
            start(world, call, ("MetaverseObjectType", "ObjectTypeDeletionSettings"), name)
        }
        ("POST", ["synchronisation", "sync-rules", id, surface, "preview"]) => {
            let surface = match *surface {
                "behaviour" => "SyncRuleBehaviour",
                "destructive-toggles" => "SyncRuleDestructiveToggles",
                "scoping-criteria" => "SyncRuleScoping",
                "mappings" => "SyncRuleAttributeFlow",
                _ => return None,
            };
            let id = int(id)?;
            let name = sync_rules::found(world, call, id).map(|row| text(row, "name").to_owned());
            start(world, call, ("SynchronisationRule", surface), name)
        }
        ("POST", ["synchronisation", "connected-systems", id, surface, "preview"]) => {
            let surface = match *surface {
                "matching-rules" => "ObjectMatching",
                "scope-selection" => "ConnectedSystemScopeSelection",
                "schema-selection" => "ConnectedSystemSchema",
                _ => return None,
            };
            let id = int(id)?;
            let name = connected_systems::found(world, call, id).map(|system| system.name.clone());
            start(world, call, ("ConnectedSystem", surface), name)
        }
        _ => return None,
    })
}

fn start(
    world: &mut World,
    call: &Call,
    (target, surface): (&'static str, &'static str),
    name: Result<String, Reply>,
) -> Handled {
    Body::optional(call, "JIM.Web.Models.Api.StartPreviewRequest")?;
    let name = name?;
    let id = world.note(Change::new(target, "Preview", &name, call));
    let millis = 2000.0 / world.speed.max(0.01);
    if let Some(activity) = world.activities.last_mut() {
        activity.took = TimeDelta::milliseconds(millis as i64);
    }
    let affected = everyone(world).count();
    let row = json!({"id": id, "surface": surface, "affected": affected});
    world.tables.add(TABLE, row);
    Ok(Reply::accepted(&json!({
        "activityId": id,
        "validationFindings": [],
        "isBlocked": false,
        "failed": false,
        "estimatedAffectedObjects": affected,
        "estimatedDeltaRows": affected,
    })))
}

fn missing() -> Reply {
    errors::problem(StatusCode::NOT_FOUND, "15.5.5").with("api-supported-versions", "1.0")
}

/// The stored preview, when it ends, and whether it was stopped.
fn found(world: &World, id: Uuid) -> Result<(&Value, DateTime<Utc>, bool), Reply> {
    let mut rows = world.tables.rows(TABLE).iter();
    let row = rows.find(|row| row["id"] == json!(id)).ok_or_else(missing)?;
    let mut activities = world.activities.iter();
    let activity = activities.find(|activity| activity.id == id).ok_or_else(missing)?;
    Ok((row, activity.created + activity.took, activity.cancelled))
}

fn get(world: &World, call: &Call, id: Uuid) -> Handled {
    let (row, end, cancelled) = found(world, id)?;
    let affected = row["affected"].as_i64().unwrap_or_default();
    let done = call.now >= end && !cancelled;
    let (stage, status) = match (done, cancelled) {
        (true, _) => ("Complete", "Complete"),
        (_, true) => ("NotStarted", "Cancelled"),
        _ => ("InProgress", "InProgress"),
    };
    let group = json!({
        "id": part_id(id, 1),
        "transitionType": "AttributeFlow",
        "metaverseObjectTypeId": 1,
        "metaverseObjectTypeName": "User",
        "connectedSystemId": null,
        "connectedSystemName": null,
        "attributeName": "Display Name",
        "oldValue": null,
        "newValue": null,
        "patternKey": null,
        "objectCount": affected,
        "deltasSampled": false,
    });
    let count = json!({
        "transitionType": "AttributeFlow",
        "objectCount": affected,
        "connectedSystemId": null,
        "metaverseObjectTypeId": 1,
    });
    Ok(Reply::ok(&json!({
        "activityId": id,
        "surface": row["surface"],
        "activityStatus": status,
        "message": null,
        "errorMessage": null,
        "objectsProcessed": if done { affected } else { 0 },
        "objectsToProcess": affected,
        "validationStatus": "Complete",
        "impactCountsStatus": stage,
        "summaryStatus": stage,
        "deltasStatus": stage,
        "isComplete": done,
        "hasFailed": false,
        "validationFindings": [],
        "impactCounts": if done { json!([count]) } else { json!([]) },
        "groups": if done { json!([group]) } else { json!([]) },
        "estimatedAffectedObjects": affected,
        "estimatedDeltaRows": affected,
        "deltaPersistence": "Full",
        "dispatchedToWorker": false,
        "stalenessBaseline": null,
    })))
}

fn deltas(world: &World, call: &Call, id: Uuid) -> Handled {
    let (row, end, cancelled) = found(world, id)?;
    let group = part_id(id, 1);
    let wanted = call.param("groupId").is_none_or(|wanted| guid(wanted) == Some(group));
    let shown = call.now >= end && !cancelled && wanted;
    let search = call.param("search").map(str::to_lowercase);
    let count = row["affected"].as_u64().and_then(|count| usize::try_from(count).ok());
    let rows = everyone(world)
        .take(if shown { count.unwrap_or_default() } else { 0 })
        .filter(|person| {
            let name = person.name.to_lowercase();
            search.as_ref().is_none_or(|part| name.contains(part))
        })
        .map(|person| {
            json!({
                "id": part_id(person.id, 0xde),
                "groupId": group,
                "transitionType": "AttributeFlow",
                "metaverseObjectId": person.id,
                "connectedSystemObjectId": null,
                "connectedSystemId": person.source.map(|source| source.1),
                "objectDisplayName": person.name,
                "objectTypeName": "User",
                "attributeName": "Display Name",
                "oldValue": person.name,
                "newValue": person.name.to_uppercase(),
                "patternKey": null,
            })
        })
        .collect();
    paged(call, rows, 25)
}

/// Only what still runs can be stopped.
fn stop(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let (_, end, cancelled) = found(world, id)?;
    if cancelled || call.now >= end {
        let reply = errors::problem(StatusCode::CONFLICT, "15.5.10");
        return Err(reply.with("api-supported-versions", "1.0"));
    }
    let mut activities = world.activities.iter_mut();
    if let Some(activity) = activities.find(|activity| activity.id == id) {
        activity.cancelled = true;
    }
    Ok(Reply::no_content())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, ask_at, world};
    use super::*;

    #[test]
    fn a_preview_runs_and_ends_and_one_that_runs_is_stopped() {
        let mut world = world();
        let begin = "/synchronisation/sync-rules/1/behaviour/preview";
        let (status, started) = ask(&mut world, "POST", begin, r#"{"enabled": false}"#);
        assert_eq!(status, 202);
        let path = format!("/previews/{}", text(&started, "activityId"));
        assert_eq!(ask(&mut world, "GET", &path, "").1["isComplete"], false);
        let (_, running) = ask(&mut world, "GET", "/activities?operation=Preview", "");
        assert!(running["totalCount"].as_i64() >= Some(1));
        let later = Utc::now() + TimeDelta::seconds(3);
        let (_, done) = ask_at(&mut world, later, "GET", &path, "");
        assert_eq!((&done["isComplete"], &done["activityStatus"]), (&json!(true), &json!("Complete")));
        let (_, deltas) = ask_at(&mut world, later, "GET", &format!("{path}/deltas"), "");
        assert_eq!(deltas["totalCount"], 1);
        assert_eq!(ask_at(&mut world, later, "DELETE", &path, "").0, 409);

        let (_, second) = ask(&mut world, "POST", begin, "{}");
        let path = format!("/previews/{}", text(&second, "activityId"));
        assert_eq!(ask(&mut world, "DELETE", &path, "").0, 204);
        assert_eq!(ask(&mut world, "GET", &path, "").1["activityStatus"], "Cancelled");
        assert_eq!(ask(&mut world, "GET", "/previews/00000000-0000-0000-0000-000000000001", "").0, 404);
        assert_eq!(ask(&mut world, "POST", &begin.replace("/1/", "/99/"), "{}").0, 404);
    }
}
