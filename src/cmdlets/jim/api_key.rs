//! `New-JIMApiKey`, whose secret exists only in one answer, and `Set-JIMApiKey`, whose request takes
//! the whole key: what isn't named is sent as it is.

use super::super::Context;
use super::super::declared::{self, asked, send, worded};
use super::super::output;
use crate::binding::{BindError, Variables, built};
use crate::failure::Failure;
use crate::shape;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub async fn create(context: &Context<'_>) -> Result<(), Failure> {
    let variables = declared::prepared(context).await?;
    let connected = context.session.connection()?;
    let Some(template) = context.row.cmdlet.request.first() else { return Err(Failure::NothingToChange) };
    let built = built(template, &variables);
    if !asked(context, &variables, None, built.body.as_ref(), &[]).await {
        return Ok(());
    }
    let request = declared::request_of(template, built);
    let answer = send(context, &connected, &request).await.map_err(|f| worded(context, f, &variables))?;
    if context.arguments.flag("PassThru") {
        return output::emit_answer(context, template, &answer, &variables).await;
    }
    // The server never shows the key again: without -PassThru it goes where people look.
    let raw: &RawValue = answer.json().map_err(|e| unreadable(context, e, &variables))?;
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
    let Some(answer) = declared::read_first(context, &connected, "/api/v1/apikeys/{Id}", &variables).await? else {
        return declared::only_shown(context, &variables).await;
    };
    let before: &RawValue = answer.json().map_err(|e| unreadable(context, e, &variables))?;
    let key: Key = answer.json().map_err(|e| unreadable(context, e, &variables))?;
    let enabled = (key.is_enabled || arguments.flag("Enable")) && !arguments.flag("Disable");
    variables.set("IsEnabled", Value::Bool(enabled));
    if !arguments.is_truthy("Name") {
        variables.set("Name", key.name);
    }
    let roles = Value::Array(key.roles.into_iter().map(|r| r.id).collect());
    for (name, value) in [("Description", key.description), ("ExpiresAt", key.expires_at), ("RoleIds", roles)] {
        if !arguments.is_bound(name) {
            variables.set(name, value);
        }
    }
    declared::run_with(context, &mut variables, Some(before.to_owned())).await
}

fn unreadable(context: &Context<'_>, error: crate::api::ApiError, variables: &Variables<'_>) -> Failure {
    worded(context, Failure::Request { error: Box::new(error) }, variables)
}
