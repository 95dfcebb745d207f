//! Executions of schedules: their steps run one after the other, as time passes.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run_profiles;
use super::schedules::{Step, before, page, position, refused};
use super::state::{Activity, Actor, ScheduleLink, World};
use super::wire::{Call, Handled, Reply, Routed, guid};
use super::{clock, errors};

#[derive(Debug, Clone)]
pub(super) struct Execution {
    pub(super) id: Uuid,
    pub(super) schedule: Uuid,
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) current: usize,
    pub(super) steps: Vec<Step>,
    pub(super) queued: DateTime<Utc>,
    pub(super) completed: Option<DateTime<Utc>>,
    pub(super) actor: Actor,
    pub(super) error: Option<String>,
}

/// `segments` begin after `/api/v1/schedule-executions`.
pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    Some(match (call.method.as_str(), segments) {
        ("GET", []) => executions(world, call),
        ("GET", ["active"]) => {
            let active = world.executions.iter().rev().filter(|one| one.completed.is_none());
            Ok(Reply::ok(&active.map(execution_row).collect()))
        }
        ("GET", [id]) => {
            let found = execution(world, call, guid(id)?);
            found.map(|index| Reply::ok(&execution_detail(world, &world.executions[index], call.now)))
        }
        ("POST", [id, "cancel"]) => cancel(world, call, guid(id)?),
        _ => return None,
    })
}

fn execution(world: &World, call: &Call, id: Uuid) -> Result<usize, Reply> {
    world
        .executions
        .iter()
        .position(|execution| execution.id == id)
        .ok_or_else(|| errors::business(call, StatusCode::NOT_FOUND, "", format!("Schedule execution not found: {id}")))
}

pub(super) fn run(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let schedule = world.schedules[position(world, call, id)?].clone();
    if schedule.steps.is_empty() {
        return Err(refused(call, "Cannot run a schedule with no steps"));
    }
    let gone = |step: &Step| world.profile(step.system.unwrap_or_default(), step.profile.unwrap_or_default()).is_none();
    if schedule.steps.iter().any(gone) {
        return Err(errors::uncaught(
            call,
            StatusCode::BAD_REQUEST,
            "BAD_REQUEST",
            "Sequence contains no matching element",
        ));
    }
    let execution = Execution {
        id: Uuid::now_v7(),
        schedule: id,
        name: schedule.name.clone(),
        status: "InProgress",
        current: 0,
        steps: schedule.steps,
        queued: call.now,
        completed: None,
        // The server says "User" for keys too (observed).
        actor: Actor { kind: "User", ..call.actor.clone() },
        error: None,
    };
    let answer = json!({
        "executionId": execution.id,
        "message": format!("Schedule '{}' started successfully", schedule.name),
    });
    world.executions.push(execution);
    advance(world, call.now);
    Ok(Reply::accepted(&answer))
}

/// Starts the steps whose turn has come, one after the other, and ends executions.
pub(super) fn advance(world: &mut World, now: DateTime<Utc>) {
    let mut executions = std::mem::take(&mut world.executions);
    for execution in executions.iter_mut().filter(|one| one.completed.is_none()) {
        // A step may end and the next begin within one look.
        while execution.completed.is_none() && take_turn(world, execution, now) {}
    }
    world.executions = executions;
}

/// False when there is nothing to do but wait.
fn take_turn(world: &mut World, execution: &mut Execution, now: DateTime<Utc>) -> bool {
    let Some(step) = execution.steps.get(execution.current).cloned() else {
        return false;
    };
    let Some(activity) = activity_of(world, execution, execution.current) else {
        let link = ScheduleLink {
            execution: execution.id,
            step: execution.current,
            schedule: execution.schedule,
            name: execution.name.clone(),
        };
        let ids = step.system.zip(step.profile);
        let started = ids.and_then(|(system, profile)| {
            run_profiles::start(world, now, &execution.actor, system, profile, Some(link))
        });
        if started.is_none() {
            fail(execution, "the run profile of this step no longer exists".to_owned(), now);
        }
        return started.is_some();
    };
    let Some(run) = activity.run.as_ref().filter(|run| run.over(now)) else {
        return false;
    };
    let (status, end) = (run.status(now), run.end());
    if matches!(status, "FailedWithError" | "Cancelled") && !step.continue_on_failure {
        let name = step.name.unwrap_or_else(|| execution.current.to_string());
        fail(execution, format!("Step '{name}' failed and ContinueOnFailure is false."), end);
    } else if execution.current + 1 == execution.steps.len() {
        (execution.status, execution.completed) = ("Complete", Some(end));
    } else {
        execution.current += 1;
    }
    true
}

fn fail(execution: &mut Execution, why: String, at: DateTime<Utc>) {
    (execution.status, execution.completed, execution.error) = ("Failed", Some(at), Some(why));
}

fn activity_of<'a>(world: &'a World, execution: &Execution, step: usize) -> Option<&'a Activity> {
    world.activities.iter().find(|activity| {
        activity.schedule.as_ref().is_some_and(|link| link.execution == execution.id && link.step == step)
    })
}

/// Newest first.
fn executions(world: &World, call: &Call) -> Handled {
    let page = page(call)?;
    let wanted = call.param("scheduleId").and_then(guid);
    let rows: Vec<&Execution> =
        world.executions.iter().rev().filter(|one| wanted.is_none_or(|id| one.schedule == id)).collect();
    Ok(Reply::ok(&page.envelope(&rows, |one| execution_row(one))))
}

fn execution_row(execution: &Execution) -> Value {
    json!({
        "id": execution.id,
        "scheduleId": execution.schedule,
        "scheduleName": execution.name,
        "status": execution.status,
        "currentStepIndex": execution.current,
        "totalSteps": execution.steps.len(),
        "queuedAt": clock::stored(execution.queued),
        "startedAt": clock::stored(execution.queued),
        "completedAt": execution.completed.map(clock::stored),
        "initiatedByType": execution.actor.kind,
        "initiatedById": execution.actor.id,
        "initiatedByName": execution.actor.name,
        "errorMessage": execution.error,
    })
}

fn execution_detail(world: &World, execution: &Execution, now: DateTime<Utc>) -> Value {
    let steps: Vec<Value> = (0..execution.steps.len()).map(|index| step_detail(world, execution, index, now)).collect();
    let summary: Vec<Value> = steps
        .iter()
        .map(|step| {
            json!({
                "stepIndex": step["stepIndex"],
                "name": format!(
                    "{} - {}",
                    step["connectedSystemName"].as_str().unwrap_or_default(),
                    step["runProfileName"].as_str().unwrap_or_default(),
                ),
                "status": step["status"],
                "taskStatuses": [step["status"]],
                "isParallel": false,
            })
        })
        .collect();
    let progress = json!({
        "currentStepNumber": execution.current + 1,
        "totalSteps": execution.steps.len(),
        "steps": summary,
    });
    before(json!({"steps": steps, "progress": progress}), execution_row(execution))
}

fn step_detail(world: &World, execution: &Execution, index: usize, now: DateTime<Utc>) -> Value {
    let Some(step) = execution.steps.get(index) else {
        return Value::Null;
    };
    let activity = activity_of(world, execution, index);
    let run = activity.and_then(|activity| activity.run.as_ref());
    let status = match run.map(|run| run.status(now)) {
        None => "Pending",
        Some("InProgress") => "Processing",
        Some("FailedWithError") => "Failed",
        Some("Cancelled") => "Cancelled",
        Some(_) => "Completed",
    };
    let (system, profile) = (step.system.unwrap_or_default(), step.profile.unwrap_or_default());
    json!({
        "stepIndex": step.index,
        "name": step.name,
        "stepType": "RunProfile",
        "executionMode": step.mode,
        "connectedSystemId": step.system,
        "status": status,
        "taskId": run.filter(|run| !run.over(now)).map(|run| run.task),
        "startedAt": run.filter(|run| now >= run.starts).map(|run| clock::stored(run.starts)),
        "completedAt": run.filter(|run| run.over(now)).map(|run| clock::stored(run.end())),
        "errorMessage": run.filter(|run| run.over(now)).and_then(|run| run.outcome.error.as_ref()).map(|error| &error.0),
        "activityId": activity.map(|activity| activity.id),
        "activityStatus": run.map(|run| run.status(now)),
        "connectedSystemName": world.system(system).map(|system| &system.name),
        "runProfileId": step.profile,
        "runProfileName": world.profile(system, profile).map(|profile| &profile.name),
        "continueOnFailure": step.continue_on_failure,
    })
}

fn cancel(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let index = execution(world, call, id)?;
    let execution = &mut world.executions[index];
    if execution.completed.is_some() {
        return Err(refused(call, format!("Cannot cancel execution with status: {}", execution.status)));
    }
    (execution.status, execution.completed) = ("Cancelled", Some(call.now));
    for activity in &mut world.activities {
        let mine = activity.schedule.as_ref().is_some_and(|link| link.execution == id);
        if let Some(run) = activity.run.as_mut().filter(|run| mine && !run.over(call.now)) {
            run.cancelled = Some(call.now);
        }
    }
    Ok(Reply::ok(&execution_row(&world.executions[index])))
}
