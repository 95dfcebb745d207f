//! `Start-JIMRunProfile`: queue a run, show the server's warnings, and with `-Wait` report how it ended.

use super::super::Context;
use super::super::declared::{send, worded};
use super::super::lookup;
use super::activity_run;
use crate::api::{Method, Request};
use crate::binding::Variables;
use crate::failure::Failure;
use crate::shape;
use serde::Deserialize;
use serde_json::value::RawValue;

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
        let (title, what) = ("Executing Run Profile", format!("The run of {subject}"));
        Some(activity_run::wait(context, &connected, &started.activity_id, title, &what).await?)
    } else {
        None
    };
    if context.arguments.flag("PassThru") {
        context.output.item(context.type_name(), shape::output(raw, &[])).await;
    }
    if let Some(ended) = ended {
        let (activity, what) = (&started.activity_id, "The run of the run profile");
        return activity_run::report(context, &connected, activity, &ended, &about, what).await;
    }
    Ok(())
}
