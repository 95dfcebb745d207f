//! `Start-JIMSchedule`: starts an execution of all steps, and with `-Wait` reports how it ended.

use super::super::Context;
use super::super::declared::{self, send, subject, worded};
use super::super::session::Connected;
use super::activity_run::{FIRST_LOOK, ended};
use super::poll::{self, Watch, Watched};
use crate::api::{Method, Request, Response, encode_segment};
use crate::binding::Variables;
use crate::failure::{Awaited, Failure};
use crate::protocol::{Confirm, Progress};
use crate::shape;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Steps take minutes: looking more often tells nothing more.
const INTERVAL: Duration = Duration::from_secs(5);
const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);

/// The 202 of a run request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    execution_id: String,
}

/// `GET /api/v1/schedule-executions/{id}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Execution {
    status: String,
    #[serde(default)]
    current_step_index: i64,
    #[serde(default)]
    total_steps: i64,
    #[serde(default)]
    steps: Vec<Step>,
    error_message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    step_index: i64,
    name: Option<String>,
    #[serde(default)]
    status: String,
    error_message: Option<String>,
}

impl Watched for Execution {
    fn has_ended(&self) -> bool {
        !["Queued", "InProgress"].iter().any(|status| status.eq_ignore_ascii_case(&self.status))
    }

    fn shown(&self, title: &str) -> Progress {
        let now = self.steps.iter().filter(|step| step.step_index == self.current_step_index);
        let names: Vec<&str> = now.filter_map(|step| step.name.as_deref()).collect();
        let done = self.steps.iter().filter(|step| step.status.eq_ignore_ascii_case("Completed")).count();
        let (step, steps) = (self.current_step_index + 1, self.total_steps);
        let mut status = format!("{} - Step {step} of {steps}", self.status);
        if !names.is_empty() {
            status.push_str(&format!(": {}", names.join(", ")));
        }
        let percent =
            if self.steps.is_empty() { -1 } else { i32::try_from(done * 100 / self.steps.len()).unwrap_or(-1) };
        Progress { activity: title.to_owned(), status, percent, seconds_remaining: -1, ..Progress::default() }
    }
}

impl Execution {
    /// Why it failed, as far as it says.
    fn reason(&self) -> String {
        let of_steps = self.steps.iter().filter_map(|step| step.error_message.clone());
        let texts: Vec<String> =
            self.error_message.clone().into_iter().chain(of_steps).filter(|t| !t.trim().is_empty()).collect();
        if texts.is_empty() { "The execution gives no reason.".into() } else { texts.join(" ") }
    }
}

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let connected = context.session.connection()?;
    let variables = declared::prepared(context).await?;
    let failed = |f| worded(context, f, &variables);
    if context.output.preferences.ask && !confirmed(context, &connected, &variables).await {
        return Ok(());
    }
    let request = Request::new(Method::Post, variables.path("/api/v1/schedules/{Id}/run"));
    let answer = send(context, &connected, &request).await.map_err(failed)?;
    let started: Started = answer.json().map_err(|e| failed(Failure::Request { error: Box::new(e) }))?;
    if context.arguments.flag("Wait") {
        return wait(context, &connected, &variables, &started.execution_id).await;
    }
    if context.arguments.flag("PassThru") {
        let answer = read(context, &connected, &started.execution_id).await.map_err(failed)?;
        write(context, &answer).await.map_err(failed)?;
    }
    Ok(())
}

async fn confirmed(context: &Context<'_>, connected: &Connected, variables: &Variables<'_>) -> bool {
    let request = Request::new(Method::Get, variables.path(super::schedule::PATH));
    // The name in the question is a courtesy; starting it will say what is wrong.
    let schedule = send(context, connected, &request).await.ok();
    let before = schedule.as_ref().and_then(|answer| answer.json::<&RawValue>().ok());
    let confirm: Confirm = declared::question(context, variables, before, None, &[]);
    context.output.confirm(&confirm).await
}

async fn read(context: &Context<'_>, connected: &Connected, execution: &str) -> Result<Response, Failure> {
    let path = format!("/api/v1/schedule-executions/{}", encode_segment(execution));
    send(context, connected, &Request::new(Method::Get, path).about(format!("schedule execution {execution}"))).await
}

async fn write(context: &Context<'_>, answer: &Response) -> Result<(), Failure> {
    let raw: &RawValue = answer.json().map_err(|e| Failure::Request { error: Box::new(e) })?;
    context.output.item(context.type_name(), shape::output(raw, &[])).await;
    Ok(())
}

/// Waits, writes the execution as it then is, and says when it didn't succeed.
async fn wait(
    context: &Context<'_>,
    connected: &Connected,
    variables: &Variables<'_>,
    id: &str,
) -> Result<(), Failure> {
    let failed = |f| worded(context, f, variables);
    let what = format!("The execution of {}", subject(context, variables));
    let watch = Watch {
        awaited: Awaited::ScheduleExecution(id.to_owned()),
        title: "Executing Schedule",
        what: &what,
        interval: INTERVAL,
        first: FIRST_LOOK,
        timeout: Some(context.arguments.text("Timeout").and_then(time_span).unwrap_or(HALF_AN_HOUR)),
        most_polls: None,
        sentinel: None,
    };
    let (execution, answer) = match poll::watch::<Execution>(context, connected, &watch).await {
        Ok(outcome) => ended(outcome)?,
        // A warning, as in the official module: the execution goes on, and scripts get it as it is now.
        Err(failure @ Failure::WaitTimedOut { .. }) => {
            context.output.warning(&failure.to_string()).await;
            let answer = read(context, connected, id).await.map_err(failed)?;
            return write(context, &answer).await.map_err(failed);
        }
        Err(failure) => return Err(failure),
    };
    write(context, &answer).await.map_err(failed)?;
    match execution.status.to_ascii_lowercase().as_str() {
        "complete" => Ok(()),
        "failed" | "cancelled" => Err(Failure::RunFailed {
            action: context.action(variables),
            awaited: watch.awaited,
            status: execution.status.clone(),
            text: execution.reason(),
        }),
        status => {
            let text = execution.reason();
            context.output.warning(&format!("{what} ended with {status} (execution {id}): {text}")).await;
            Ok(())
        }
    }
}

/// A .NET time span, `[d.]hh:mm:ss[.fffffff]`. Nothing for one that isn't positive.
fn time_span(text: &str) -> Option<Duration> {
    let (days, clock) = match text.split_once('.') {
        Some((days, rest)) if rest.contains(':') => (days.parse::<u64>().ok()?, rest),
        _ => (0, text),
    };
    let mut parts = clock.split(':');
    let (hours, minutes) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?);
    let seconds: f64 = parts.next()?.parse().ok()?;
    let whole = Duration::from_secs(days * 86_400 + hours * 3600 + minutes * 60);
    Some(whole + Duration::try_from_secs_f64(seconds).ok()?).filter(|span| !span.is_zero())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn time_spans() {
        assert_eq!(time_span("00:00:30"), Some(Duration::from_secs(30)));
        assert_eq!(time_span("1.02:00:00.5000000"), Some(Duration::from_millis(26 * 3_600_000 + 500)));
        assert_eq!(time_span("00:00:00"), None);
        assert_eq!(time_span("-00:01:00"), None);
        assert_eq!(time_span("soon"), None);
    }

    #[test]
    fn progress_names_the_steps_that_run() {
        let execution: Execution = serde_json::from_str(
            r#"{"status":"InProgress","currentStepIndex":1,"totalSteps":2,"steps":[
            {"stepIndex":0,"name":"Import","status":"Completed"},
            {"stepIndex":1,"name":"A","status":"Running"},{"stepIndex":1,"name":"B","status":"Running"}]}"#,
        )
        .unwrap();
        let record = execution.shown("x");
        assert_eq!((record.status.as_str(), record.percent), ("InProgress - Step 2 of 2: A, B", 33));
        assert!(!execution.has_ended());
    }

    #[test]
    fn the_reason_is_the_executions_and_its_steps() {
        let execution: Execution = serde_json::from_str(
            r#"{"status":"Failed","errorMessage":"Step 'A' failed.","steps":[{"stepIndex":0,"name":"A","errorMessage":"No file."}]}"#,
        )
        .unwrap();
        assert_eq!(execution.reason(), "Step 'A' failed. No file.");
        assert!(execution.has_ended());
    }
}
