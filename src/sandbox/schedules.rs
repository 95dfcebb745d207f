//! Schedules. Nothing starts by the clock here: a sandbox runs what it is told to run.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::Body;
use super::paging::{Page, arrange};
use super::state::{Change, World};
use super::wire::{Call, Handled, Reply, Routed, guid};
use super::{clock, connected_systems, errors, executions};

#[derive(Debug, Clone)]
pub(super) struct Schedule {
    id: Uuid,
    pub(super) name: String,
    description: Option<String>,
    trigger: &'static str,
    cron: Option<String>,
    enabled: bool,
    pub(super) steps: Vec<Step>,
    created: DateTime<Utc>,
    updated: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) id: Uuid,
    pub(super) index: i64,
    pub(super) name: Option<String>,
    pub(super) mode: &'static str,
    pub(super) continue_on_failure: bool,
    pub(super) timeout: Option<i64>,
    pub(super) system: Option<i64>,
    pub(super) profile: Option<i64>,
}

impl Schedule {
    #[cfg(test)]
    pub(super) fn id(&self) -> Uuid {
        self.id
    }
}

/// One schedule, off, as on the observed server.
pub(super) fn seed(world: &mut World) {
    let step = |index, name: &str, profile| Step {
        id: Uuid::new_v4(),
        index,
        name: Some(name.to_owned()),
        mode: "Sequential",
        continue_on_failure: false,
        timeout: None,
        system: Some(1),
        profile: Some(profile),
    };
    if world.profile(1, 2).is_none() {
        return;
    }
    world.schedules.push(Schedule {
        // Fixed, so that examples can name it.
        id: Uuid::from_u128(0x1621_67b8_2251_4de9_9d96_72d9_6968_edd3),
        name: "Nightly HR".to_owned(),
        description: Some("Import then synchronise".to_owned()),
        trigger: "Cron",
        cron: Some("0 2 * * *".to_owned()),
        enabled: false,
        steps: vec![step(0, "Import", 1), step(1, "Synchronise", 2)],
        created: world.started,
        updated: None,
    });
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    Some(match (call.method.as_str(), segments) {
        ("GET", ["schedules"]) => list(world, call),
        ("POST", ["schedules"]) => create(world, call),
        ("GET", ["schedules", id]) => {
            let found = position(world, call, guid(id)?);
            found.map(|index| Reply::ok(&detail(world, &world.schedules[index], true)))
        }
        ("PUT", ["schedules", id]) => update(world, call, guid(id)?),
        ("DELETE", ["schedules", id]) => delete(world, call, guid(id)?),
        ("POST", ["schedules", id, switch @ ("enable" | "disable")]) => {
            toggle(world, call, guid(id)?, *switch == "enable")
        }
        ("POST", ["schedules", id, "run"]) => executions::run(world, call, guid(id)?),
        (_, ["schedule-executions", rest @ ..]) => return executions::route(world, call, rest),
        _ => return None,
    })
}

pub(super) fn refused(call: &Call, message: impl Into<String>) -> Reply {
    errors::business(call, StatusCode::BAD_REQUEST, "", message)
}

pub(super) fn position(world: &World, call: &Call, id: Uuid) -> Result<usize, Reply> {
    world
        .schedules
        .iter()
        .position(|schedule| schedule.id == id)
        .ok_or_else(|| errors::business(call, StatusCode::NOT_FOUND, "", format!("Schedule not found: {id}")))
}

/// This controller checks the depth by itself, and says so in another shape than the rest.
pub(super) fn page(call: &Call) -> Result<Page, Reply> {
    let page = Page::sizes(call, 20)?;
    match page.too_deep() {
        Some(text) => {
            let mut reply = errors::rejected(call, &text, json!({"page": [text]}));
            reply.headers.retain(|(name, _)| name.as_str() != "api-supported-versions");
            Err(reply)
        }
        None => Ok(page),
    }
}

fn list(world: &World, call: &Call) -> Handled {
    let page = page(call)?;
    let search = call.param("search").map(str::to_lowercase);
    let mut rows: Vec<Value> = world
        .schedules
        .iter()
        .filter(|schedule| search.as_ref().is_none_or(|text| schedule.name.to_lowercase().contains(text)))
        .map(|schedule| detail(world, schedule, false))
        .collect();
    arrange(call, &mut rows);
    Ok(Reply::ok(&page.envelope(&rows, Value::clone)))
}

/// `with_steps`: the steps come first, as the server writes derived types.
fn detail(world: &World, schedule: &Schedule, with_steps: bool) -> Value {
    let last = world.executions.iter().rev().find(|execution| execution.schedule == schedule.id);
    let fields = json!({
        "id": schedule.id,
        "name": schedule.name,
        "description": schedule.description,
        "triggerType": schedule.trigger,
        "cronExpression": schedule.cron,
        "patternType": "SpecificTimes",
        "daysOfWeek": null,
        "runTimes": null,
        "intervalValue": null,
        "intervalUnit": null,
        "intervalWindowStart": null,
        "intervalWindowEnd": null,
        "isEnabled": schedule.enabled,
        "lastRunTime": last.map(|last| clock::stored(last.queued)),
        "nextRunTime": null,
        "stepCount": schedule.steps.len(),
        "created": clock::stored(schedule.created),
        "lastUpdated": schedule.updated.map(clock::stored),
        "lastExecutionId": last.map(|last| last.id),
        "lastExecutionStatus": last.map(|last| last.status),
        "lastExecutionCurrentStepIndex": last.map(|last| last.current),
        "lastExecutionTotalSteps": last.map(|last| last.steps.len()),
        "lastExecutionCompletedAt": last.and_then(|last| last.completed).map(clock::stored),
        "lastExecutionErrorMessage": last.and_then(|last| last.error.as_ref()),
    });
    if !with_steps {
        return fields;
    }
    let steps: Vec<Value> = schedule.steps.iter().map(step_dto).collect();
    before(json!({"steps": steps}), fields)
}

pub(super) fn before(mut first: Value, rest: Value) -> Value {
    if let (Some(first), Value::Object(rest)) = (first.as_object_mut(), rest) {
        first.extend(rest);
    }
    first
}

fn step_dto(step: &Step) -> Value {
    json!({
        "id": step.id,
        "stepIndex": step.index,
        "name": step.name,
        "executionMode": step.mode,
        "stepType": "RunProfile",
        "continueOnFailure": step.continue_on_failure,
        "timeoutSeconds": step.timeout,
        "connectedSystemId": step.system,
        "runProfileId": step.profile,
        "scriptPath": null,
        "executablePath": null,
        "workingDirectory": null,
        "arguments": null,
        "sqlConnectionString": null,
        "sqlScriptPath": null,
    })
}

/// Cron texts and run profile ids are not checked; pattern, day and interval fields are dropped (observed).
fn sent(call: &Call, model: &str) -> Result<(Schedule, Option<String>), Reply> {
    let body = Body::of(call, model)?;
    let trigger = body.one_of("triggerType", "JIM.Models.Scheduling.ScheduleTriggerType", &["Cron", "Manual"])?;
    let (name, description, cron) = (body.text("name")?, body.text("description")?, body.text("cronExpression")?);
    let enabled = body.flag("isEnabled", false)?.unwrap_or_default();
    let reason = body.text("changeReason")?;
    let name = connected_systems::required_name(call, name)?;
    // What is left out differs: POST falls back to Manual, PUT to Cron (observed).
    let trigger = trigger.unwrap_or(if call.method == "PUT" { "Cron" } else { "Manual" });
    if trigger == "Cron" && cron.as_deref().is_none_or(str::is_empty) {
        return Err(refused(call, "Cron expression is required for scheduled triggers"));
    }
    let steps = body.value("steps").unwrap_or_default();
    let steps = steps.as_array().into_iter().flatten().map(|step| step_of(call, step)).collect::<Result<_, _>>()?;
    let schedule = Schedule {
        id: Uuid::new_v4(),
        name,
        description,
        trigger,
        cron,
        enabled,
        steps,
        created: call.now,
        updated: None,
    };
    Ok((schedule, reason))
}

fn step_of(call: &Call, step: &Value) -> Result<Step, Reply> {
    let number = |name: &str| step[name].as_i64().or_else(|| step[name].as_str()?.parse().ok());
    let system = number("connectedSystemId")
        .ok_or_else(|| refused(call, "Connected System ID is required for RunProfile steps"))?;
    let profile =
        number("runProfileId").ok_or_else(|| refused(call, "Run Profile ID is required for RunProfile steps"))?;
    let parallel = step["executionMode"].as_str().is_some_and(|mode| mode.to_ascii_lowercase().starts_with("parallel"));
    Ok(Step {
        id: step["id"].as_str().and_then(guid).unwrap_or_else(Uuid::new_v4),
        index: number("stepIndex").unwrap_or_default(),
        name: step["name"].as_str().map(str::to_owned),
        mode: if parallel { "ParallelWithPrevious" } else { "Sequential" },
        continue_on_failure: step["continueOnFailure"].as_bool().unwrap_or_default(),
        timeout: number("timeoutSeconds"),
        system: Some(system),
        profile: Some(profile),
    })
}

fn note(world: &mut World, call: &Call, operation: &'static str, name: &str, reason: Option<String>) {
    let change = Change::new("Schedule", operation, name, call);
    let reason = reason.or_else(|| change.reason.clone());
    world.note(Change { reason, ..change });
}

fn create(world: &mut World, call: &Call) -> Handled {
    let (schedule, reason) = sent(call, "JIM.Web.Models.Api.CreateScheduleRequest")?;
    // A unique index, and nobody who catches its violation (observed).
    if world.schedules.iter().any(|other| other.name == schedule.name) {
        return Err(errors::internal(call));
    }
    let (answer, id) = (detail(world, &schedule, true), schedule.id);
    note(world, call, "Create", &schedule.name, reason);
    world.schedules.push(schedule);
    Ok(Reply::created(&answer, format!("/api/v1/schedules/{id}")))
}

/// Replaces: a body without steps leaves none.
fn update(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let index = position(world, call, id)?;
    let (mut schedule, reason) = sent(call, "JIM.Web.Models.Api.UpdateScheduleRequest")?;
    let old = &world.schedules[index];
    (schedule.id, schedule.created, schedule.updated) = (id, old.created, Some(call.now));
    note(world, call, "Update", &schedule.name, reason);
    let answer = detail(world, &schedule, true);
    world.schedules[index] = schedule;
    Ok(Reply::ok(&answer))
}

fn delete(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let index = position(world, call, id)?;
    let schedule = world.schedules.remove(index);
    note(world, call, "Delete", &schedule.name, None);
    Ok(Reply::no_content())
}

fn toggle(world: &mut World, call: &Call, id: Uuid, enabled: bool) -> Handled {
    let index = position(world, call, id)?;
    let schedule = &mut world.schedules[index];
    (schedule.enabled, schedule.updated) = (enabled, Some(call.now));
    let schedule = schedule.clone();
    note(world, call, "Update", &schedule.name, None);
    let mut answer = detail(world, &schedule, false);
    // The server does not load the steps here, and counts none (observed).
    answer["stepCount"] = json!(0);
    answer["lastUpdated"] = json!(clock::fresh(call.now));
    Ok(Reply::ok(&answer))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;

    use super::super::tests::{ask, ask_at, world};
    use super::*;

    fn nightly(world: &World) -> Uuid {
        world.schedules[0].id
    }

    #[test]
    fn steps_run_one_after_the_other() {
        let mut world = world();
        let path = format!("/schedules/{}/run", nightly(&world));
        let (status, body) = ask(&mut world, "POST", &path, "");
        assert_eq!(status, 202);
        let path = format!("/schedule-executions/{}", body["executionId"].as_str().unwrap());
        let at =
            |world: &mut World, seconds| ask_at(world, Utc::now() + TimeDelta::seconds(seconds), "GET", &path, "").1;
        assert_eq!(at(&mut world, 3)["steps"][1]["status"], "Pending");
        let second = at(&mut world, 8);
        assert_eq!((&second["steps"][0]["status"], &second["currentStepIndex"]), (&json!("Completed"), &json!(1)));
        assert_eq!(at(&mut world, 16)["status"], "Complete");
        assert_eq!(ask(&mut world, "POST", &format!("{path}/cancel"), "").0, 400);
    }

    #[test]
    fn a_put_replaces_and_a_duplicate_name_is_500() {
        let mut world = world();
        let path = format!("/schedules/{}", nightly(&world));
        let (status, body) = ask(&mut world, "PUT", &path, r#"{"name": "Nightly HR", "triggerType": "Manual"}"#);
        assert_eq!((status, &body["steps"]), (200, &json!([])));
        assert_eq!(ask(&mut world, "POST", &format!("{path}/run"), "").0, 400);
        assert_eq!(ask(&mut world, "POST", "/schedules", r#"{"name": "Nightly HR"}"#).0, 500);
        assert_eq!(ask(&mut world, "PUT", &path, r#"{"name": "Only a name"}"#).1["code"], "");
    }

    #[test]
    fn a_schedule_whose_profile_is_gone_does_not_start() {
        let mut world = world();
        ask(&mut world, "DELETE", "/synchronisation/connected-systems/1/run-profiles/2", "");
        let path = format!("/schedules/{}/run", nightly(&world));
        assert_eq!(ask(&mut world, "POST", &path, "").0, 400);
    }
}
