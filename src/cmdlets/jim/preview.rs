//! `New-JIMConfigurationChangePreview`: starts a preview, shows what the server objects to, and with
//! `-Wait` waits for what it finds.

use super::super::Context;
use super::super::declared::{self, send, subject, worded};
use super::super::session::Connected;
use super::activity_run::{FIRST_LOOK, ended};
use super::poll::{self, Watch, Watched};
use crate::api::Response;
use crate::binding::Variables;
use crate::failure::{Awaited, Failure};
use crate::protocol::Progress;
use crate::shape;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(2);
/// Seconds that `-Wait` waits unless `-TimeoutSeconds` says otherwise.
const TIMEOUT: u64 = 300;

/// The 202 of a preview request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    activity_id: String,
    #[serde(default)]
    validation_findings: Option<Vec<Finding>>,
    #[serde(default)]
    is_blocked: bool,
    #[serde(default)]
    failed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    severity: String,
    message: String,
    property_name: Option<String>,
}

/// `GET /api/v1/previews/{id}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Preview {
    #[serde(default)]
    activity_status: Option<String>,
    message: Option<String>,
    error_message: Option<String>,
    #[serde(default)]
    objects_processed: i64,
    #[serde(default)]
    objects_to_process: i64,
    #[serde(default)]
    is_complete: bool,
    #[serde(default)]
    has_failed: bool,
}

impl Watched for Preview {
    fn has_ended(&self) -> bool {
        self.is_complete || self.has_failed
    }

    fn shown(&self, title: &str) -> Progress {
        let (done, all) = (self.objects_processed, self.objects_to_process);
        let mut parts = vec![self.activity_status.clone().unwrap_or_else(|| "Running".into())];
        if all > 0 {
            parts.push(format!("{done} of {all} objects"));
        }
        parts.extend(self.message.clone().filter(|m| !m.trim().is_empty()));
        let percent = if all > 0 { i32::try_from((done * 100 / all).clamp(0, 100)).unwrap_or(-1) } else { -1 };
        Progress {
            activity: title.to_owned(),
            status: parts.join(" - "),
            percent,
            seconds_remaining: -1,
            ..Progress::default()
        }
    }
}

pub async fn new(context: &Context<'_>) -> Result<(), Failure> {
    let connected = context.session.connection()?;
    let variables = declared::prepared(context).await?;
    let failed = |f| worded(context, f, &variables);
    let request = declared::request_for(context, &variables)?;
    let answer = send(context, &connected, &request).await.map_err(failed)?;
    let started: Started = answer.json().map_err(|e| failed(Failure::Request { error: Box::new(e) }))?;
    warn(context, &started, &variables).await;
    // The server doesn't work out what it has blocked.
    if !context.arguments.flag("Wait") || started.is_blocked || started.failed {
        return write(context, &answer, Some("JIM.ConfigurationChangePreviewStart")).await.map_err(failed);
    }
    wait(context, &connected, &variables, started.activity_id).await
}

async fn warn(context: &Context<'_>, started: &Started, variables: &Variables<'_>) {
    let mut any = false;
    for finding in started.validation_findings.iter().flatten() {
        let property = finding.property_name.as_deref().filter(|p| !p.is_empty());
        let place = property.map(|p| format!(" ({p})")).unwrap_or_default();
        let text = format!("{}: {}{place}", finding.severity, finding.message);
        if finding.severity.to_ascii_lowercase().starts_with("info") {
            context.output.verbose(&text).await;
        } else {
            any = true;
            context.output.warning(&text).await;
        }
    }
    if (started.is_blocked || started.failed) && !any {
        let how = if started.is_blocked { "is blocked" } else { "has failed" };
        context.output.warning(&format!("Couldn't {}: it {how}, without a reason.", context.action(variables))).await;
    }
}

async fn write(context: &Context<'_>, answer: &Response, type_name: Option<&str>) -> Result<(), Failure> {
    let raw: &RawValue = answer.json().map_err(|e| Failure::Request { error: Box::new(e) })?;
    context.output.item(type_name, shape::output(raw, &[])).await;
    Ok(())
}

async fn wait(
    context: &Context<'_>,
    connected: &Connected,
    variables: &Variables<'_>,
    activity: String,
) -> Result<(), Failure> {
    let seconds = context.arguments.integer("TimeoutSeconds").and_then(|s| u64::try_from(s).ok()).unwrap_or(TIMEOUT);
    let watch = Watch {
        awaited: Awaited::Preview(activity),
        title: "Previewing Configuration Change",
        what: &format!("The preview of {}", subject(context, variables)),
        interval: INTERVAL,
        first: FIRST_LOOK,
        timeout: Some(Duration::from_secs(seconds)),
        most_polls: None,
        sentinel: None,
    };
    let (preview, answer) = ended(poll::watch::<Preview>(context, connected, &watch).await?)?;
    write(context, &answer, context.type_name()).await.map_err(|f| worded(context, f, variables))?;
    if !preview.has_failed {
        return Ok(());
    }
    let text = preview.error_message.or(preview.message).filter(|t| !t.trim().is_empty());
    Err(Failure::RunFailed {
        action: context.action(variables),
        awaited: watch.awaited,
        status: preview.activity_status.unwrap_or_else(|| "a failure".into()),
        text: text.unwrap_or_else(|| "The preview gives no reason.".into()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn progress_counts_objects_where_they_are_known() {
        let of = |text: &str| serde_json::from_str::<Preview>(text).unwrap();
        let running =
            of(r#"{"activityStatus":"InProgress","objectsProcessed":5,"objectsToProcess":20,"message":"Looking"}"#);
        let record = running.shown("x");
        assert_eq!((record.status.as_str(), record.percent), ("InProgress - 5 of 20 objects - Looking", 25));
        assert!(!running.has_ended());
        assert_eq!(of(r#"{"activityStatus":null,"message":null}"#).shown("x").percent, -1);
        assert!(of(r#"{"isComplete":false,"hasFailed":true}"#).has_ended());
    }
}
