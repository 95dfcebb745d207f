//! `Get-JIMActivity`: its ordinary sets come from the row; `-Follow` watches until the end.

use super::super::declared;
use super::super::{Context, names};
use super::poll::{self, ActivityProgress, Watch};
use crate::api::{Method, Request, encode_segment};
use crate::binding::Variables;
use crate::failure::{Awaited, Failure};
use crate::shape;
use serde_json::value::RawValue;
use std::time::Duration;

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    if context.arguments.set == "Follow" { follow(context).await } else { declared::run(context).await }
}

async fn follow(context: &Context<'_>) -> Result<(), Failure> {
    let connected = context.session.connection()?;
    let variables = Variables::new(&context.arguments);
    let activity = variables.text("Id");
    let seconds = context.arguments.integer("IntervalSeconds").and_then(|s| u64::try_from(s).ok()).unwrap_or(2);
    let watch = Watch {
        awaited: Awaited::Activity(activity.clone()),
        title: "Following Activity",
        what: &names::sentence(&format!("activity {activity}")),
        interval: Duration::from_secs(seconds),
        first: Duration::ZERO,
        timeout: None,
        most_polls: context.arguments.integer("MaxPolls").and_then(|n| u64::try_from(n).ok()),
        sentinel: None,
    };
    if poll::watch::<ActivityProgress>(context, &connected, &watch).await?.is_none() {
        return Ok(());
    }
    let path = format!("/api/v1/activities/{}", encode_segment(&activity));
    let request = Request::new(Method::Get, path).about(format!("activity {activity}"));
    let failed = |f| declared::worded(context, f, &variables);
    let answer = declared::send(context, &connected, &request).await.map_err(failed)?;
    let raw: &RawValue = answer.json().map_err(|e| failed(Failure::Request { error: Box::new(e) }))?;
    context.output.item(context.type_name(), shape::output(raw, &[])).await;
    Ok(())
}
