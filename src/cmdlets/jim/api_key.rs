//! `New-JIMApiKey`, whose secret exists only in one answer, and `Set-JIMApiKey`, whose request takes
//! the whole key: what isn't named is sent as it is.

use super::super::Context;
use super::super::declared::{self, asked, worded};
use super::super::output;
use super::super::session::Connected;
use super::rewrite::Read;
use crate::api::{Method, Request, Response, encode_segment};
use crate::binding::{BindError, Variables, built};
use crate::catalog::row;
use crate::failure::Failure;
use crate::shape;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::rc::Rc;
use tokio::sync::oneshot;

const PATH: &str = "/api/v1/apikeys/{Id}";

pub async fn create(context: &Context<'_>) -> Result<(), Failure> {
    let variables = declared::prepared(context).await?;
    let connected = context.session.connection()?;
    let Some(template) = context.row.cmdlet.request.first() else { return Err(Failure::NothingToChange) };
    let built = built(template, &variables);
    if !asked(context, &variables, None, built.body.as_ref(), &[]).await {
        return Ok(());
    }
    let request = declared::request_of(template, built);
    context.output.verbose(&format!("{} {}{}", request.method, connected.url, request.path)).await;
    context.leaving();
    let (answer, seen) = created(connected, request).await.map_err(|f| worded(context, f, &variables))?;
    show(context, template, &answer, &variables).await?;
    // Nobody is there to hear it when it is too late for taking the key back.
    let _ = seen.send(());
    Ok(())
}

/// Sends the request so that the end of this call doesn't end it: a key that was made while its call was
/// stopped is one whose secret nobody has seen, so it is deleted again unless it is reported as seen.
async fn created(connected: Rc<Connected>, request: Request) -> Result<(Response, oneshot::Sender<()>), Failure> {
    let (tell, told) = oneshot::channel();
    let (saw, seen) = oneshot::channel();
    tokio::task::spawn_local(async move {
        let sent = connected.send(&request, &|_| {}).await;
        let key = sent.as_ref().ok().and_then(|answer| answer.json::<NewKey>().ok());
        // Whoever doesn't hear it doesn't say that it was seen, either.
        let _ = tell.send(sent);
        if let (Some(key), Err(_)) = (key, seen.await) {
            let path = format!("/api/v1/apikeys/{}", encode_segment(&key.id));
            let _ = connected.send(&Request::new(Method::Delete, path), &|_| {}).await;
        }
    });
    match told.await {
        Ok(sent) => Ok((sent?, saw)),
        // The task goes with the whole program only, and so does this call.
        Err(_) => std::future::pending().await,
    }
}

#[derive(Deserialize)]
struct NewKey {
    id: String,
}

async fn show(
    context: &Context<'_>,
    template: &row::Request,
    answer: &Response,
    variables: &Variables<'_>,
) -> Result<(), Failure> {
    if context.arguments.flag("PassThru") {
        return output::emit_answer(context, template, answer, variables).await;
    }
    // The server never shows the key again: without -PassThru it goes where people look.
    let raw: &RawValue = answer.json().map_err(|e| unreadable(context, e, variables))?;
    if let Some(key) = shape::text_property(raw, "key") {
        let name = variables.text("Name");
        let id = shape::text_property(raw, "id").unwrap_or_default();
        context
            .output
            .information(&format!(
                "The new API key '{name}' ({id}) is shown only now: {key}\nUse -PassThru to get it as an object instead."
            ))
            .await;
    }
    Ok(())
}

/// What of a key the update request takes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    name: Value,
    #[serde(default)]
    description: Value,
    #[serde(default)]
    expires_at: Value,
    is_enabled: bool,
    #[serde(default)]
    roles: Vec<Role>,
}

#[derive(Debug, Deserialize)]
struct Role {
    id: Value,
}

pub async fn change(context: &Context<'_>) -> Result<(), Failure> {
    let mut variables = declared::prepared(context).await?;
    let arguments = &context.arguments;
    if arguments.flag("Enable") && arguments.flag("Disable") {
        return Err(BindError::Ambiguous {
            cmdlet: context.row.cmdlet.name.clone(),
            names: "-Enable, -Disable".to_owned(),
        }
        .into());
    }
    let names = ["Description", "RoleIds", "ExpiresAt", "Enable", "Disable"];
    if !arguments.is_truthy("Name") && !names.iter().any(|n| arguments.is_bound(n)) {
        declared::warn_of_no_change(context, &variables).await;
        return Ok(());
    }
    let connected = context.session.connection()?;
    let Some(answer) = declared::read_first(context, &connected, PATH, &variables).await? else {
        return declared::only_shown(context, &variables).await;
    };
    let raw: &RawValue = answer.json().map_err(|e| unreadable(context, e, &variables))?;
    let key: Key = answer.json().map_err(|e| unreadable(context, e, &variables))?;
    let enabled = (key.is_enabled || arguments.flag("Enable")) && !arguments.flag("Disable");
    variables.set("IsEnabled", Value::Bool(enabled));
    let mut carried = Vec::new();
    if !arguments.flag("Enable") && !arguments.flag("Disable") {
        carried.push("isEnabled");
    }
    if !arguments.is_truthy("Name") {
        variables.set("Name", key.name);
        carried.push("name");
    }
    let roles = Value::Array(key.roles.into_iter().map(|r| r.id).collect());
    for (name, field, value) in [
        ("Description", "description", key.description),
        ("ExpiresAt", "expiresAt", key.expires_at),
        ("RoleIds", "roles", roles),
    ] {
        if !arguments.is_bound(name) {
            variables.set(name, value);
            carried.push(field);
        }
    }
    let read = Read { raw: raw.to_owned(), path: PATH, carried };
    declared::run_with(context, &mut variables, Some(read)).await
}

fn unreadable(context: &Context<'_>, error: crate::api::ApiError, variables: &Variables<'_>) -> Failure {
    worded(context, Failure::Request { error: Box::new(error) }, variables)
}
