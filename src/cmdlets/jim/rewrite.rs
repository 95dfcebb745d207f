//! Read, change, send whole: for entities whose API replaces all fields at once. The server has no
//! concurrency token, so the entity is read again right before it is sent: what somebody else
//! changed meanwhile is not overwritten.

use super::super::Context;
use super::super::declared::{question, send, worded};
use super::super::session::Connected;
use crate::api::{Method, Request, Response};
use crate::binding::Variables;
use crate::failure::Failure;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An entity as it was read.
pub struct Entity {
    pub path: String,
    pub raw: Box<RawValue>,
    pub fields: Map<String, Value>,
}

impl Entity {
    /// A field, null when it is absent.
    pub fn field(&self, name: &str) -> Value {
        self.fields.get(name).cloned().unwrap_or_default()
    }

    pub fn list(&self, name: &str) -> &[Value] {
        self.fields.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Reads an entity that is to be changed. `None`: it can't be read, but this was only `-WhatIf`, which
/// has said so.
pub async fn read(
    context: &Context<'_>,
    connected: &Connected,
    variables: &Variables<'_>,
    path: &str,
) -> Result<Option<Entity>, Failure> {
    match entity(context, connected, variables, path).await {
        Ok(entity) => Ok(Some(entity)),
        Err(failure) if context.output.preferences.what_if => {
            let mut confirm = question(context, variables, None, None, &[]);
            confirm.description.push_str(&format!(" (it can't be read: {failure})"));
            context.output.confirm(&confirm).await;
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

async fn entity(
    context: &Context<'_>,
    connected: &Connected,
    variables: &Variables<'_>,
    path: &str,
) -> Result<Entity, Failure> {
    let path = variables.path(path);
    let failed = |f| worded(context, f, variables);
    let answer = send(context, connected, &Request::new(Method::Get, path.clone())).await.map_err(failed)?;
    let unreadable = |e| failed(Failure::Request { error: Box::new(e) });
    let raw = answer.json::<&RawValue>().map_err(unreadable)?.to_owned();
    Ok(Entity { path, raw, fields: answer.json().map_err(unreadable)? })
}

/// What is to be sent.
pub struct Rewrite<'a> {
    /// What the question shows as changing.
    pub shown: Map<String, Value>,
    pub body: Map<String, Value>,
    /// The fields of the entity that the body carries on: when one differs, somebody else was here.
    pub carried: &'a [&'a str],
}

/// Asks, makes sure that nobody changed the entity meanwhile, and sends it. `None`: the answer was no.
pub async fn replace(
    context: &Context<'_>,
    connected: &Connected,
    variables: &Variables<'_>,
    entity: &Entity,
    rewrite: Rewrite<'_>,
) -> Result<Option<Response>, Failure> {
    if context.output.preferences.ask {
        let confirm = question(context, variables, Some(&entity.raw), Some(&rewrite.shown), &[]);
        if !context.output.confirm(&confirm).await {
            return Ok(None);
        }
    }
    unchanged(context, connected, variables, &entity.path, &entity.fields, rewrite.carried).await?;
    let request = Request::new(Method::Put, entity.path.clone()).with_body(Value::Object(rewrite.body).to_string());
    send(context, connected, &request).await.map_err(|f| worded(context, f, variables)).map(Some)
}

/// An error when a field that is about to be sent again isn't any longer what was read before.
async fn unchanged(
    context: &Context<'_>,
    connected: &Connected,
    variables: &Variables<'_>,
    path: &str,
    before: &Map<String, Value>,
    carried: &[&str],
) -> Result<(), Failure> {
    if carried.is_empty() {
        return Ok(());
    }
    let failed = |f| worded(context, f, variables);
    let again = send(context, connected, &Request::new(Method::Get, path.to_owned())).await.map_err(failed)?;
    let again: Map<String, Value> = again.json().map_err(|e| failed(Failure::Request { error: Box::new(e) }))?;
    let changed = changed(before, &again, carried);
    if changed.is_empty() {
        return Ok(());
    }
    Err(Failure::ChangedMeanwhile { action: context.action(variables), fields: changed.join(", ") })
}

/// An entity that a handler has read, for requests that the row states.
pub struct Read {
    pub raw: Box<RawValue>,
    /// As the row writes it, with variables.
    pub path: &'static str,
    /// The fields that are sent again as they were read.
    pub carried: Vec<&'static str>,
}

impl Read {
    /// As `replace`: right before the change is sent.
    pub async fn still_holds(
        &self,
        context: &Context<'_>,
        connected: &Connected,
        variables: &Variables<'_>,
    ) -> Result<(), Failure> {
        // What was understood as an entity is an object.
        let fields = serde_json::from_str(self.raw.get()).unwrap_or_default();
        unchanged(context, connected, variables, &variables.path(self.path), &fields, &self.carried).await
    }
}

fn changed<'a>(before: &Map<String, Value>, now: &Map<String, Value>, carried: &[&'a str]) -> Vec<&'a str> {
    let of = |entity: &Map<String, Value>, field: &str| entity.get(field).cloned().unwrap_or_default();
    carried.iter().copied().filter(|field| of(before, field) != of(now, field)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_change_of_what_is_sent_again_counts() {
        let of = |value: Value| value.as_object().unwrap().clone();
        let before = of(json!({"name": "a", "steps": [{"id": 1}], "nextRunTime": "2026-01-01"}));
        let later = of(json!({"name": "a", "steps": [{"id": 1}], "nextRunTime": "2026-01-02", "description": null}));
        assert!(changed(&before, &later, &["name", "steps", "description"]).is_empty());
        let edited = of(json!({"name": "a", "steps": [], "description": "x"}));
        assert_eq!(changed(&before, &edited, &["name", "steps", "description"]), ["steps", "description"]);
    }
}
