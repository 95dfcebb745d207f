//! API keys. Errors of this area leave their code empty; a new key is shown once and works from then on.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::Body;
use super::state::{ApiKey, Change, World};
use super::wire::{Call, Handled, Reply, Routed, guid};
use super::{clock, errors, idp, roles};

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["apikeys", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", []) => Ok(Reply::ok(&list(world))),
        ("POST", []) => create(world, call),
        ("GET", [id]) => {
            let id = guid(id)?;
            let key = world.keys.iter().find(|key| key.id == id);
            key.map(|key| Reply::ok(&shown(world, key, clock::stored))).ok_or_else(|| missing(call, id))
        }
        ("PUT", [id]) => update(world, call, guid(id)?),
        ("DELETE", [id]) => delete(world, call, guid(id)?),
        _ => return None,
    })
}

/// A bare array, by name.
fn list(world: &World) -> Value {
    let mut keys: Vec<&ApiKey> = world.keys.iter().collect();
    keys.sort_by_key(|key| key.name.to_lowercase());
    keys.into_iter().map(|key| shown(world, key, clock::stored)).collect()
}

fn shown(world: &World, key: &ApiKey, time: fn(DateTime<Utc>) -> String) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "description": key.description,
        "keyPrefix": key.prefix(),
        "createdAt": time(key.created),
        "expiresAt": key.expires.map(time),
        "lastUsedAt": key.used.map(time),
        "lastUsedFromIp": key.used.map(|_| "127.0.0.1"),
        "isEnabled": key.enabled,
        "roles": if key.administrator { vec![role(world)] } else { Vec::new() },
    })
}

fn missing(call: &Call, id: Uuid) -> Reply {
    errors::business(call, StatusCode::NOT_FOUND, "", format!("API key not found: {id}"))
}

fn refused(call: &Call, message: &str) -> Reply {
    errors::business(call, StatusCode::BAD_REQUEST, "", message)
}

struct Sent {
    name: String,
    description: Option<String>,
    administrator: bool,
    expires: Option<DateTime<Utc>>,
    enabled: Option<bool>,
    reason: Option<String>,
}

impl Sent {
    fn of(call: &Call, model: &str) -> Result<Self, Reply> {
        let body = Body::of(call, model)?;
        let expires = body.text("expiresAt")?;
        let expires = expires
            .map(|text| {
                DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc()).map_err(|_| {
                    errors::invalid_field(
                        "$.expiresAt",
                        "The JSON value could not be converted to System.Nullable`1[System.DateTime].",
                    )
                })
            })
            .transpose()?;
        let name = body.text("name")?.filter(|name| !name.trim().is_empty());
        let name = name.ok_or_else(|| refused(call, "API key name is required"))?;
        let roles = body.value("roleIds").unwrap_or_default();
        let roles: Vec<i64> = roles.as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
        if roles.iter().any(|role| *role != 1) {
            return Err(refused(call, "One or more role IDs are invalid"));
        }
        Ok(Self {
            name,
            description: body.text("description")?,
            administrator: !roles.is_empty(),
            expires,
            enabled: body.flag("isEnabled", true)?,
            reason: body.text("changeReason")?,
        })
    }
}

/// Any expiry is accepted, also one in the past (observed).
fn create(world: &mut World, call: &Call) -> Handled {
    let sent = Sent::of(call, "JIM.Web.Models.Api.ApiKeyCreateRequestDto")?;
    let key = ApiKey {
        description: sent.description,
        expires: sent.expires,
        ..ApiKey::new(&sent.name, idp::secret("jim_ak_"), sent.administrator, call.now)
    };
    let rest = shown(world, &key, clock::fresh);
    let mut answer = json!({"key": key.secret});
    if let (Some(answer), Some(rest)) = (answer.as_object_mut(), rest.as_object()) {
        answer.extend(rest.clone());
    }
    let id = key.id;
    note(world, call, "Create", &key.name, format!("Created API key '{}'", key.name), sent.reason);
    world.keys.push(key);
    Ok(Reply::created(&answer, format!("/api/v1/apikeys/{id}")))
}

fn note(world: &mut World, call: &Call, operation: &'static str, name: &str, message: String, reason: Option<String>) {
    let change = Change::new("ApiKey", operation, name, call);
    let reason = reason.or_else(|| change.reason.clone());
    world.note(Change { message: Some(message), reason, ..change });
}

/// Replaces: what is absent is cleared, except `isEnabled`.
fn update(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let sent = Sent::of(call, "JIM.Web.Models.Api.ApiKeyUpdateRequestDto")?;
    let key = world.keys.iter_mut().find(|key| key.id == id).ok_or_else(|| missing(call, id))?;
    key.name = sent.name.clone();
    key.description = sent.description;
    key.administrator = sent.administrator;
    key.expires = sent.expires;
    key.enabled = sent.enabled.unwrap_or(key.enabled);
    let key = key.clone();
    note(world, call, "Update", &sent.name, format!("Updated API key '{}'", sent.name), sent.reason);
    Ok(Reply::ok(&shown(world, &key, clock::stored)))
}

fn delete(world: &mut World, call: &Call, id: Uuid) -> Handled {
    let index = world.keys.iter().position(|key| key.id == id).ok_or_else(|| missing(call, id))?;
    let key = world.keys.remove(index);
    note(world, call, "Delete", &key.name, format!("Deleted API key '{}'", key.name), None);
    Ok(Reply::no_content())
}

/// As part of a key a role counts no members (observed).
fn role(world: &World) -> Value {
    let mut role = roles::administrator(world);
    role["staticMemberCount"] = json!(0);
    role
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn a_new_key_is_shown_once() {
        let mut world = world();
        let (status, made) = ask(&mut world, "POST", "/apikeys", r#"{"name": "CI", "roleIds": [1]}"#);
        assert_eq!((status, made["key"].as_str().unwrap().len()), (201, "jim_ak_".len() + 64));
        let (_, read) = ask(&mut world, "GET", &format!("/apikeys/{}", made["id"].as_str().unwrap()), "");
        assert_eq!((read.get("key"), &read["name"]), (None, &json!("CI")));
        assert_eq!(ask(&mut world, "POST", "/apikeys", r#"{"roleIds": [1]}"#).1["code"], "");
        assert_eq!(ask(&mut world, "POST", "/apikeys", r#"{"name": "x", "roleIds": [9]}"#).0, 400);
    }
}
