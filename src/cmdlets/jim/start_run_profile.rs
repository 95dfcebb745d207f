//! `Start-JIMRunProfile`: queue a run, show the server's warnings, and with `-Wait` report how it ended.

use super::super::Context;
use super::super::declared::{send, worded};
use super::super::lookup;
use super::super::session::Connected;
use super::poll::{self, ActivityProgress, Watch};
use crate::api::{Method, Request, encode_segment};
use crate::binding::Variables;
use crate::failure::Failure;
use crate::shape;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::PathBuf;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(2);
const FIRST_LOOK: Duration = Duration::from_millis(250);
/// An environment variable of the official module that test harnesses rely on.
pub const SENTINEL: &str = "JIM_RUNPROFILE_ABORT_SENTINEL";

/// The 202 of an execute request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    activity_id: String,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let connected = context.session.connection()?;
    let mut variables = Variables::new(&context.arguments);
    lookup::resolve(context, &mut variables).await?;
    let path = variables
        .path("/api/v1/synchronisation/connected-systems/{ConnectedSystemId}/run-profiles/{RunProfileId}/execute");
    let about = context.action(&variables);
    let subject = about.split_once(' ').map_or(about.as_str(), |(_, rest)| rest).to_owned();
    let request = Request::new(Method::Post, path);
    let answer = send(context, &connected, &request).await.map_err(|f| worded(context, f, &variables))?;
    let unreadable = |e| worded(context, Failure::Request { error: Box::new(e) }, &variables);
    let raw: &RawValue = answer.json().map_err(unreadable)?;
    let started: Started = answer.json().map_err(unreadable)?;
    for warning in started.warnings.iter().flatten() {
        // Not on the warning stream: scripts of the official module see none there.
        context.output.information(&format!("The server warns about {subject}: {warning}")).await;
    }
    let ended = if context.arguments.flag("Wait") {
        Some(wait(context, &connected, &started.activity_id, &subject).await?)
    } else {
        None
    };
    if context.arguments.flag("PassThru") {
        context.output.item(context.type_name(), shape::output(raw, &[])).await;
    }
    if let Some(ended) = ended {
        return report(context, &connected, &started.activity_id, &ended, &about).await;
    }
    Ok(())
}

async fn wait(
    context: &Context<'_>,
    connected: &Connected,
    activity: &str,
    subject: &str,
) -> Result<ActivityProgress, Failure> {
    let watch = Watch {
        activity,
        title: "Executing Run Profile",
        what: &format!("The run of {subject}"),
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
    match poll::watch(context, connected, &watch).await? {
        Some(progress) => Ok(progress),
        // Only a limit on the polls ends a watch like this, and none was set.
        None => Err(Failure::Protocol("the waiting ended without an outcome".into())),
    }
}

/// What the activity says of itself; the progress has no error text.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Outcome {
    message: Option<String>,
    error_message: Option<String>,
    warning_message: Option<String>,
}

async fn report(
    context: &Context<'_>,
    connected: &Connected,
    activity: &str,
    ended: &ActivityProgress,
    action: &str,
) -> Result<(), Failure> {
    let status = ended.status.as_str();
    let wants_activity = context.arguments.flag("PassThruActivity");
    if status.eq_ignore_ascii_case("Complete") && !wants_activity {
        return Ok(());
    }
    let path = format!("/api/v1/activities/{}", encode_segment(activity));
    let request = Request::new(Method::Get, path).about(format!("activity {activity}"));
    // The outcome is known already; its text is a courtesy, unless the activity itself was asked for.
    let answer = match send(context, connected, &request).await {
        Ok(answer) => Some(answer),
        Err(failure) if wants_activity => {
            return Err(Failure::WaitFailed { activity: activity.to_owned(), cause: Box::new(failure) });
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
        "failedwitherror" | "cancelled" | "completewitherror" => Err(Failure::RunFailed {
            action: action.to_owned(),
            activity: activity.to_owned(),
            status: status.to_owned(),
            text,
        }),
        "complete" => Ok(()),
        _ => {
            context
                .output
                .warning(&format!("The run of the run profile ended with {status} (activity {activity}): {text}"))
                .await;
            Ok(())
        }
    }
}
