//! Worker tasks: the runs that have not ended. A finished task is gone (404); its activity stays.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::paging::Page;
use super::state::{Activity, World};
use super::wire::{Call, Handled, Reply, Routed, guid};
use super::{clock, errors};

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["worker-tasks", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", []) => list(world, call),
        ("GET", [id]) => get(world, call, guid(id)?),
        ("POST", [id, "cancel"]) => cancel(world, call, guid(id)?),
        _ => return None,
    })
}

fn list(world: &World, call: &Call) -> Handled {
    let page = Page::of(call, 50)?;
    // Newest first (observed).
    let tasks: Vec<&Activity> = world.activities.iter().rev().filter(|activity| waiting(activity, call)).collect();
    Ok(Reply::ok(&page.envelope(&tasks, |activity| task(activity, call))))
}

fn waiting(activity: &Activity, call: &Call) -> bool {
    activity.run.as_ref().is_some_and(|run| !run.over(call.now))
}

fn missing(call: &Call, id: Uuid) -> Reply {
    errors::not_found(call, format!("Worker task with ID {id} not found."))
}

fn get(world: &World, call: &Call, id: Uuid) -> Handled {
    world
        .activities
        .iter()
        .find(|activity| waiting(activity, call) && activity.run.as_ref().is_some_and(|run| run.task == id))
        .map(|activity| Reply::ok(&task(activity, call)))
        .ok_or_else(|| missing(call, id))
}

fn task(activity: &Activity, call: &Call) -> Value {
    let Some(run) = &activity.run else {
        return Value::Null;
    };
    let link = activity.schedule.as_ref();
    let queued = run.queued_at(call.now);
    json!({
        "id": run.task,
        "name": format!(
            "{} - {}",
            activity.target_context.as_deref().unwrap_or_default(),
            activity.target_name.as_deref().unwrap_or_default(),
        ),
        "type": "Synchronisation Worker Task",
        "timestamp": clock::stored(activity.created),
        "status": if queued { "Queued" } else { "Processing" },
        "initiatedByType": activity.actor.kind,
        "initiatedById": activity.actor.id,
        "initiatedByName": activity.actor.name,
        "activityId": activity.id,
        "objectsToProcess": run.to_process(call.now),
        "objectsProcessed": run.processed(call.now),
        "progressMessage": run.message(call.now),
        "steps": null,
        "scheduleExecutionId": link.map(|link| link.execution),
        "scheduleExecutionName": link.map(|link| &link.name),
        "scheduleStepIndex": link.map(|link| link.step),
        "scheduleTotalSteps": null,
        "scheduleCurrentStepIndex": null,
    })
}

/// 202; the answer's body has not been observed.
fn cancel(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let run = world
        .activities
        .iter_mut()
        .filter_map(|activity| activity.run.as_mut())
        .find(|run| run.task == id && !run.over(call.now))
        .ok_or_else(|| missing(call, id))?;
    run.cancelled = Some(call.now);
    Ok(Reply::json(
        StatusCode::ACCEPTED,
        &json!({"message": format!("Cancellation of worker task {id} has been requested.")}),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::{TimeDelta, Utc};

    use super::super::tests::{ask, ask_at, world};

    #[test]
    fn a_task_can_be_cancelled_once_and_is_gone_then() {
        let mut world = world();
        let (_, queued) = ask(&mut world, "POST", "/synchronisation/connected-systems/1/run-profiles/1/execute", "");
        let (task, activity) = (queued["taskId"].as_str().unwrap(), queued["activityId"].as_str().unwrap());
        let path = format!("/worker-tasks/{task}");
        assert_eq!(ask(&mut world, "GET", &path, "").1["status"], "Queued");
        let soon = Utc::now() + TimeDelta::seconds(2);
        assert_eq!(ask_at(&mut world, soon, "GET", &path, "").1["status"], "Processing");
        assert_eq!(ask_at(&mut world, soon, "POST", &format!("{path}/cancel"), "").0, 202);
        assert_eq!(ask_at(&mut world, soon, "POST", &format!("{path}/cancel"), "").0, 404);
        assert_eq!(ask(&mut world, "GET", &format!("/activities/{activity}"), "").1["status"], "Cancelled");
    }
}
