//! Starting something that becomes an activity, waiting for its end, and saying how it ended.

use super::super::Context;
use super::super::declared::send;
use super::super::session::Connected;
use super::poll::{self, ActivityProgress, Watch};
use crate::api::{Method, Request, encode_segment};
use crate::failure::{Awaited, Failure};
use crate::shape;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::PathBuf;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(2);
/// Short runs shouldn't cost a whole interval.
pub const FIRST_LOOK: Duration = Duration::from_millis(250);
/// An environment variable of the official module that test harnesses rely on.
const SENTINEL: &str = "JIM_RUNPROFILE_ABORT_SENTINEL";

/// Waits for an activity with the limits of `-Timeout` (seconds).
/// `title` heads the progress bar; `what` names the run in messages: "The run of run profile 7".
pub async fn wait(
    context: &Context<'_>,
    connected: &Connected,
    activity: &str,
    title: &str,
    what: &str,
) -> Result<ActivityProgress, Failure> {
    let watch = Watch {
        awaited: Awaited::Activity(activity.to_owned()),
        title,
        what,
        interval: INTERVAL,
        first: FIRST_LOOK,
        timeout: context.arguments.integer("Timeout").and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs),
        most_polls: None,
        sentinel: context
            .environment
            .get(SENTINEL)
            .and_then(|v| v.as_str())
            .filter(|p| !p.is_empty())
            .map(PathBuf::from),
    };
    ended(poll::watch(context, connected, &watch).await?).map(|(progress, _)| progress)
}

/// Only a limit on the polls ends a watch without an outcome; for watches without one.
pub fn ended<T>(outcome: Option<T>) -> Result<T, Failure> {
    outcome.ok_or_else(|| Failure::Protocol("the waiting ended without an outcome".into()))
}

/// What the activity says of itself; the progress has no error text.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Outcome {
    message: Option<String>,
    error_message: Option<String>,
    warning_message: Option<String>,
}

/// Turns the end of a run into nothing, a warning or an error. `-PassThruActivity` writes the activity.
pub async fn report(
    context: &Context<'_>,
    connected: &Connected,
    activity: &str,
    ended: &ActivityProgress,
    action: &str,
    what: &str,
) -> Result<(), Failure> {
    let status = ended.status.as_str();
    let wants_activity = context.arguments.flag("PassThruActivity");
    if status.eq_ignore_ascii_case("Complete") && !wants_activity {
        return Ok(());
    }
    let path = format!("/api/v1/activities/{}", encode_segment(activity));
    let request = Request::new(Method::Get, path).about(format!("activity {activity}"));
    let awaited = || Awaited::Activity(activity.to_owned());
    // The outcome is known already; its text is a courtesy, unless the activity itself was asked for.
    let answer = match send(context, connected, &request).await {
        Ok(answer) => Some(answer),
        Err(failure) if wants_activity => {
            return Err(Failure::WaitFailed { awaited: awaited(), cause: Box::new(failure) });
        }
        Err(_) => None,
    };
    let outcome: Outcome = answer.as_ref().and_then(|a| a.json().ok()).unwrap_or_default();
    if wants_activity && let Some(raw) = answer.as_ref().and_then(|a| a.json::<&RawValue>().ok()) {
        context.output.item(Some("JIM.Activity"), shape::output(raw, &[])).await;
    }
    let text = [outcome.error_message, outcome.warning_message, outcome.message, ended.message.clone()]
        .into_iter()
        .flatten()
        .find(|t| !t.trim().is_empty())
        .unwrap_or_else(|| "The activity gives no reason.".into());
    match status.to_ascii_lowercase().as_str() {
        "failedwitherror" | "cancelled" | "completewitherror" => {
            Err(Failure::RunFailed { action: action.to_owned(), awaited: awaited(), status: status.to_owned(), text })
        }
        "complete" => Ok(()),
        _ => {
            context.output.warning(&format!("{what} ended with {status} (activity {activity}): {text}")).await;
            Ok(())
        }
    }
}
