//! Watching an activity, a schedule execution or a preview: one polling loop for every cmdlet that waits.

use super::super::Context;
use super::super::declared::send;
use super::super::session::Connected;
use crate::api::{Method, Request, Response, encode_segment};
use crate::failure::{Awaited, Failure};
use crate::protocol::Progress;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Failures in a row after which the waiting ends: by then it isn't a hiccup.
const MOST_FAILURES: u32 = 10;
/// Refused credentials in a row after which the waiting ends, as in the official module.
const MOST_REFUSALS: u32 = 3;
/// How often the sentinel file is looked at while waiting.
const SENTINEL_EVERY: Duration = Duration::from_secs(1);
const FINAL: &[&str] = &["Complete", "CompleteWithWarning", "CompleteWithError", "FailedWithError", "Cancelled"];

/// An answer that says how far something is.
pub trait Watched: DeserializeOwned {
    fn has_ended(&self) -> bool;
    /// A progress record under this heading.
    fn shown(&self, title: &str) -> Progress;
}

/// `GET /api/v1/activities/{id}/progress`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityProgress {
    pub status: String,
    pub message: Option<String>,
    #[serde(default)]
    pub objects_processed: i64,
    #[serde(default)]
    pub objects_to_process: i64,
    pub percent_complete: Option<f64>,
    pub elapsed_seconds: Option<f64>,
    pub objects_per_second: Option<f64>,
    pub estimated_seconds_remaining: Option<f64>,
    pub current_phase: Option<serde_json::Value>,
    pub current_phase_number: Option<i64>,
    pub total_phases: Option<i64>,
}

impl Watched for ActivityProgress {
    fn has_ended(&self) -> bool {
        FINAL.iter().any(|status| status.eq_ignore_ascii_case(&self.status))
    }

    fn shown(&self, title: &str) -> Progress {
        shown(title, self)
    }
}

/// How to wait.
pub struct Watch<'a> {
    pub awaited: Awaited,
    /// Heading of the progress bar.
    pub title: &'a str,
    /// What is waited for, in messages: "The run of run profile 7".
    pub what: &'a str,
    pub interval: Duration,
    /// The first look comes sooner: short runs shouldn't cost a whole interval.
    pub first: Duration,
    pub timeout: Option<Duration>,
    /// Looks after which the watching ends quietly.
    pub most_polls: Option<u64>,
    /// A file that ends the waiting once it isn't empty.
    pub sentinel: Option<PathBuf>,
}

/// Waits until it has ended; the last state, with the answer it came in. `None`: the polls allowed were used up.
pub async fn watch<T: Watched>(
    context: &Context<'_>,
    connected: &Connected,
    watch: &Watch<'_>,
) -> Result<Option<(T, Response)>, Failure> {
    let outcome = poll(context, connected, watch).await;
    let done =
        Progress { activity: watch.title.to_owned(), status: "Ended".into(), completed: true, ..Progress::default() };
    context.output.progress(&done).await;
    outcome
}

async fn poll<T: Watched>(
    context: &Context<'_>,
    connected: &Connected,
    watch: &Watch<'_>,
) -> Result<Option<(T, Response)>, Failure> {
    let started = Instant::now();
    let mut failures = Failures::default();
    let mut polls = 0;
    let mut wait = watch.first;
    loop {
        pause(watch, wait, started).await?;
        wait = (wait * 2).clamp(Duration::from_millis(250).min(watch.interval), watch.interval);
        polls += 1;
        match read::<T>(context, connected, &watch.awaited).await {
            Ok((state, answer)) => {
                failures = Failures::default();
                if state.has_ended() {
                    return Ok(Some((state, answer)));
                }
                context.output.progress(&state.shown(watch.title)).await;
            }
            Err(failure) => failures.count(context, watch, failure).await?,
        }
        if watch.most_polls.is_some_and(|most| polls >= most) {
            return Ok(None);
        }
    }
}

async fn read<T: Watched>(
    context: &Context<'_>,
    connected: &Connected,
    awaited: &Awaited,
) -> Result<(T, Response), Failure> {
    let request = Request::new(Method::Get, path(awaited)).about(awaited.to_string());
    let response = send(context, connected, &request).await?;
    let state = response.json().map_err(|e| Failure::Request { error: Box::new(e) })?;
    Ok((state, response))
}

/// Where the state is read.
fn path(awaited: &Awaited) -> String {
    let id = encode_segment(awaited.id());
    match awaited {
        Awaited::Activity(_) => format!("/api/v1/activities/{id}/progress"),
        Awaited::ScheduleExecution(_) => format!("/api/v1/schedule-executions/{id}"),
        Awaited::Preview(_) => format!("/api/v1/previews/{id}"),
    }
}

#[derive(Default)]
struct Failures {
    in_a_row: u32,
    refused_in_a_row: u32,
}

impl Failures {
    /// A failure to look isn't a failure of the run: it is said, and looked again, but not for ever.
    async fn count(&mut self, context: &Context<'_>, watch: &Watch<'_>, failure: Failure) -> Result<(), Failure> {
        let report = failure.report(crate::catalog::row::Product::Jim);
        self.in_a_row += 1;
        self.refused_in_a_row = if report.category == crate::protocol::Category::AuthenticationError {
            self.refused_in_a_row + 1
        } else {
            0
        };
        let gone = report.status == Some(404);
        if gone || self.in_a_row >= MOST_FAILURES || self.refused_in_a_row >= MOST_REFUSALS {
            return Err(Failure::WaitFailed { awaited: watch.awaited.clone(), cause: Box::new(failure) });
        }
        context.output.warning(&format!("Couldn't read the progress of {}: {failure}", watch.awaited)).await;
        Ok(())
    }
}

/// Sleeps, but not past the time limit, and with an eye on the sentinel file.
async fn pause(watch: &Watch<'_>, wait: Duration, started: Instant) -> Result<(), Failure> {
    let end = Instant::now() + wait;
    loop {
        if let Some(timeout) = watch.timeout
            && started.elapsed() >= timeout
        {
            return Err(Failure::WaitTimedOut {
                what: watch.what.to_owned(),
                seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
                awaited: watch.awaited.clone(),
            });
        }
        check_sentinel(watch)?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let mut step = left.min(SENTINEL_EVERY);
        if let Some(timeout) = watch.timeout {
            step = step.min(timeout.saturating_sub(started.elapsed()) + Duration::from_millis(1));
        }
        tokio::time::sleep(step).await;
    }
}

fn check_sentinel(watch: &Watch<'_>) -> Result<(), Failure> {
    let Some(path) = &watch.sentinel else { return Ok(()) };
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => {
            let text: String = text.trim().chars().take(500).collect();
            Err(Failure::WaitAborted { awaited: watch.awaited.clone(), text })
        }
        _ => Ok(()),
    }
}

/// A progress record: "InProgress, 50 of 200 objects, step 3 of 7: Saving changes".
fn shown(title: &str, progress: &ActivityProgress) -> Progress {
    let mut parts = vec![progress.status.clone()];
    parts.push(match (progress.objects_processed, progress.objects_to_process) {
        (done, all) if all > 0 => format!("{done} of {all} objects"),
        (done, _) if done > 0 => format!("{done} objects processed"),
        _ => format!("{:.0} s", progress.elapsed_seconds.unwrap_or(0.0)),
    });
    let step = phase_name(progress);
    if let (Some(number), Some(total)) = (progress.current_phase_number, progress.total_phases.filter(|t| *t > 0)) {
        let name = step.as_deref().map(|n| format!(": {n}")).unwrap_or_default();
        parts.push(format!("Step {number} of {total}{name}"));
    } else if let Some(name) = &step {
        parts.push(name.clone());
    }
    if let Some(message) = progress.message.as_ref().filter(|m| !m.is_empty() && Some(*m) != step.as_ref()) {
        parts.push(message.clone());
    }
    Progress {
        activity: title.to_owned(),
        status: parts.join(" - "),
        percent: progress.percent_complete.map_or(-1, |p| p.clamp(0.0, 100.0) as i32),
        seconds_remaining: progress.estimated_seconds_remaining.map_or(-1, |s| s.clamp(0.0, 1e9).ceil() as i64),
        operation: progress.objects_per_second.map(|r| format!("{r:.1} objects/second")).unwrap_or_default(),
        completed: false,
    }
}

/// The server names the phase by text or by object.
fn phase_name(progress: &ActivityProgress) -> Option<String> {
    match progress.current_phase.as_ref()? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Object(phase) => phase.get("name").and_then(|n| n.as_str()).map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn progress(text: &str) -> ActivityProgress {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_record_says_how_far_it_is() {
        let running = progress(
            r#"{"status":"InProgress","message":"Reading file","objectsProcessed":50,"objectsToProcess":200,"percentComplete":25.0,
            "elapsedSeconds":4.0,"objectsPerSecond":12.5,"estimatedSecondsRemaining":12.0,"currentPhase":{"name":"Importing"},"currentPhaseNumber":1,"totalPhases":6}"#,
        );
        let record = shown("Executing Run Profile", &running);
        assert_eq!(record.status, "InProgress - 50 of 200 objects - Step 1 of 6: Importing - Reading file");
        assert_eq!(
            (record.percent, record.seconds_remaining, record.operation.as_str()),
            (25, 12, "12.5 objects/second")
        );
    }

    #[test]
    fn unknown_numbers_are_said_to_be_unknown() {
        let queued = progress(r#"{"status":"InProgress","percentComplete":null,"elapsedSeconds":0.29}"#);
        let record = shown("x", &queued);
        assert_eq!((record.percent, record.seconds_remaining), (-1, -1));
        assert_eq!(record.status, "InProgress - 0 s");
        assert!(!queued.has_ended());
    }
}
