//! `Add-` and `Remove-JIMScheduleStep`: the API knows steps only as part of the whole schedule.

use super::super::Context;
use super::super::declared::{self, send, worded};
use super::rewrite::{self, Entity, Rewrite};
use super::schedule::{FIELDS, body};
use crate::api::{Method, Request};
use crate::failure::Failure;
use crate::shape;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

const PATH: &str = "/api/v1/schedules/{ScheduleId}";
const PARALLEL: &str = "ParallelWithPrevious";
/// What a step has besides what every step has; sent only where it is set.
const RARE: &[&str] = &["timeoutSeconds", "sqlConnectionString", "sqlScriptPath"];
const PROGRAM: &[&str] = &["scriptPath", "executablePath", "workingDirectory", "arguments"];
const COMMON: &[&str] =
    &["stepIndex", "name", "executionMode", "stepType", "continueOnFailure", "connectedSystemId", "runProfileId"];

pub async fn add(context: &Context<'_>) -> Result<(), Failure> {
    change(context, |context, variables, schedule| {
        let mut steps: Vec<Value> = schedule.list("steps").iter().map(kept).collect();
        let (parallel, variable) = (context.arguments.flag("Parallel"), |name| variables.get(name).cloned());
        steps.push(json!({
            "stepIndex": next_index(schedule.list("steps"), parallel),
            "stepType": variable("StepType"),
            "executionMode": if parallel { PARALLEL } else { "Sequential" },
            "continueOnFailure": context.arguments.flag("ContinueOnFailure"),
            "connectedSystemId": variable("ConnectedSystemId"),
            "runProfileId": variable("RunProfileId"),
        }));
        Ok((steps, json!({ "stepCount": schedule.list("steps").len() + 1 })))
    })
    .await
}

pub async fn remove(context: &Context<'_>) -> Result<(), Failure> {
    let index = context.arguments.integer("StepIndex").unwrap_or_default();
    change(context, |_, _, schedule| {
        let (gone, left): (Vec<&Value>, Vec<&Value>) =
            schedule.list("steps").iter().partition(|step| step["stepIndex"].as_i64() == Some(index));
        if gone.is_empty() {
            return Err(Failure::EntityNotFound { noun: "schedule step".into(), id: index.to_string() });
        }
        // Steps that run side by side share an index, so they go together: the question names them all.
        let names: Vec<&str> = gone.iter().filter_map(|step| step["name"].as_str()).collect();
        Ok((renumbered(&left), json!({ "step": names.join(", "), "stepCount": left.len() })))
    })
    .await
}

type Steps = (Vec<Value>, Value);

/// Reads the schedule, works out its new steps (and what the question shows), sends it whole.
async fn change(
    context: &Context<'_>,
    steps: impl Fn(&Context<'_>, &crate::binding::Variables<'_>, &Entity) -> Result<Steps, Failure>,
) -> Result<(), Failure> {
    let connected = context.session.connection()?;
    let variables = declared::prepared(context).await?;
    let Some(schedule) = rewrite::read(context, &connected, &variables, PATH).await? else { return Ok(()) };
    let (steps, shown) = steps(context, &variables, &schedule)?;
    let changed = Map::from_iter([("steps".to_owned(), Value::Array(steps))]);
    let rewrite = Rewrite {
        shown: shown.as_object().cloned().unwrap_or_default(),
        body: body(context, &schedule, changed),
        carried: FIELDS,
    };
    let answer = rewrite::replace(context, &connected, &variables, &schedule, rewrite).await?;
    if answer.is_none() || !context.arguments.flag("PassThru") {
        return Ok(());
    }
    let failed = |f| worded(context, f, &variables);
    let again = send(context, &connected, &Request::new(Method::Get, schedule.path)).await.map_err(failed)?;
    let raw: &RawValue = again.json().map_err(|e| failed(Failure::Request { error: Box::new(e) }))?;
    context.output.item(context.type_name(), shape::output(raw, &[])).await;
    Ok(())
}

/// A step that stays what it is, with its id.
fn kept(step: &Value) -> Value {
    let always = ["id"].iter().chain(COMMON).chain(PROGRAM);
    let set = RARE.iter().filter(|name| !step[**name].is_null());
    Value::Object(always.chain(set).map(|name| ((*name).to_owned(), step[*name].clone())).collect())
}

/// After the last; side by side with the last when parallel.
fn next_index(steps: &[Value], parallel: bool) -> i64 {
    let last = steps.iter().filter_map(|step| step["stepIndex"].as_i64()).max();
    last.map_or(0, |last| if parallel { last } else { last + 1 })
}

/// The steps counted anew; one that runs side by side with its predecessor shares its index. Without
/// ids, the server takes them for new ones in place of the old.
fn renumbered(steps: &[&Value]) -> Vec<Value> {
    let mut index = -1;
    let mut ordered = steps.to_vec();
    ordered.sort_by_key(|step| step["stepIndex"].as_i64().unwrap_or_default());
    let number = |step: &&Value| {
        if index < 0 || step["executionMode"].as_str() != Some(PARALLEL) {
            index += 1;
        }
        let set = RARE.iter().chain(PROGRAM).filter(|name| !step[**name].is_null());
        let mut fields: Map<String, Value> =
            COMMON.iter().chain(set).map(|name| ((*name).to_owned(), step[*name].clone())).collect();
        fields.insert("stepIndex".into(), index.into());
        Value::Object(fields)
    };
    ordered.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(index: i64, mode: &str) -> Value {
        json!({"id": "x", "stepIndex": index, "executionMode": mode, "name": index.to_string(), "timeoutSeconds": 60})
    }

    #[test]
    fn a_new_step_comes_last_or_beside_the_last() {
        let steps = [step(0, "Sequential"), step(0, PARALLEL), step(1, "Sequential")];
        assert_eq!((next_index(&steps, false), next_index(&steps, true)), (2, 1));
        assert_eq!((next_index(&[], false), next_index(&[], true)), (0, 0));
    }

    #[test]
    fn the_steps_behind_move_up_and_groups_stay_together() {
        let steps = [step(4, "Sequential"), step(1, "Sequential"), step(2, PARALLEL), step(5, PARALLEL)];
        let left = renumbered(&steps.iter().collect::<Vec<_>>());
        let seen: Vec<_> = left.iter().map(|s| (s["name"].as_str(), s["stepIndex"].as_i64())).collect();
        assert_eq!(seen, [(Some("1"), Some(0)), (Some("2"), Some(0)), (Some("4"), Some(1)), (Some("5"), Some(1))]);
        assert!(left.iter().all(|s| s.get("id").is_none() && s["timeoutSeconds"] == 60));
    }

    #[test]
    fn a_parallel_step_may_become_the_first() {
        let steps = [step(1, PARALLEL), step(2, "Sequential")];
        let left = renumbered(&steps.iter().collect::<Vec<_>>());
        assert_eq!((&left[0]["stepIndex"], &left[1]["stepIndex"]), (&json!(0), &json!(1)));
    }
}
