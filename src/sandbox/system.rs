//! The server itself: health, login configuration, roles, certificates, logs, the factory reset.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::body::Body;
use super::paging::Page;
use super::state::World;
use super::wire::{Call, Handled, Reply, Routed, guid, int};
use super::{clock, errors, idp};

/// The server whose behaviour was observed.
const VERSION: &str = "0.14.0";

/// Anonymous, and never limited.
pub(super) fn health(call: &Call, segments: &[&str], database_down: bool) -> Routed {
    if call.method != "GET" {
        return None;
    }
    let status = match segments {
        ["health"] => "healthy",
        ["health", "live"] => "alive",
        ["health", "version"] => {
            return Some(Ok(Reply::ok(&json!({"product": "JIM", "version": VERSION}))));
        }
        // The body of this 503 has not been observed.
        ["health", "ready"] if database_down => "not ready",
        ["health", "ready"] => "ready",
        _ => return None,
    };
    let code = if status == "not ready" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Some(Ok(Reply::json(code, &json!({"status": status, "timestamp": clock::fresh(call.now)}))))
}

pub(super) fn auth_config(call: &Call, identity_provider: bool) -> Handled {
    if !identity_provider {
        return Err(errors::business(
            call,
            StatusCode::SERVICE_UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "Single sign-on is not configured on this server.",
        ));
    }
    Ok(Reply::ok(&json!({
        "authority": format!("{}/idp", idp::base(call)),
        "clientId": idp::CLIENT,
        "scopes": ["openid", "profile", "offline_access", "jim-api"],
        "responseType": "code",
        "usePkce": true,
        "codeChallengeMethod": "S256",
    })))
}

/// `segments` begin after `/api/v1`.
pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    Some(match (call.method.as_str(), segments) {
        ("GET", ["security", "roles"]) => Ok(Reply::ok(&json!([administrator(world, 1)]))),
        ("GET", ["security", "roles", id]) => match int(id)? {
            1 => Ok(Reply::ok(&administrator(world, 1))),
            id => Err(errors::not_found(call, format!("Role with ID {id} not found."))),
        },
        ("GET", ["certificates"]) => Page::of(call, 25).map(|page| Reply::ok(&page.envelope(&[], Value::clone))),
        ("GET", ["certificates", "enabled"]) => Ok(Reply::ok(&json!([]))),
        ("GET" | "PATCH" | "DELETE", ["certificates", id]) => {
            guid(id)?;
            let reply = errors::problem(StatusCode::NOT_FOUND, "15.5.5");
            Err(reply.with("api-supported-versions", "1.0"))
        }
        ("GET", ["logs"]) => logs(world, call),
        ("GET", ["logs", "levels"]) => Ok(Reply::ok(&json!(LEVELS.map(|level| level.0)))),
        ("GET", ["logs", "services"]) => Ok(Reply::ok(&json!(["web", "worker", "scheduler"]))),
        ("POST", ["system", "reset"]) => reset(world, call),
        _ => return None,
    })
}

pub(super) fn administrator(world: &World, members: i64) -> Value {
    json!({
        "id": 1,
        "name": "Administrator",
        "builtIn": true,
        "created": clock::stored(world.started),
        "staticMemberCount": members,
    })
}

const LEVELS: [(&str, &str); 6] = [
    ("Verbose", "VRB"),
    ("Debug", "DBG"),
    ("Information", "INF"),
    ("Warning", "WRN"),
    ("Error", "ERR"),
    ("Fatal", "FTL"),
];

/// One line per activity, newest first: a bare array, with `limit` and `offset` instead of pages.
fn logs(world: &World, call: &Call) -> Handled {
    let number = |name: &str, default: usize| call.param(name).map_or(default, |text| text.parse().unwrap_or(default));
    let levels: Vec<&str> = call.params("levels").collect();
    let rows: Vec<Value> = world
        .activities
        .iter()
        .rev()
        .map(|activity| {
            let failed = activity.run.as_ref().is_some_and(|run| run.status(call.now) == "FailedWithError");
            let (level, short) = if failed { LEVELS[4] } else { LEVELS[2] };
            json!({
                "timestamp": clock::fresh(activity.created),
                "level": level,
                "levelShort": short,
                "message": format!(
                    "{} {}: {}",
                    activity.operation,
                    activity.target_type,
                    activity.target_name.as_deref().unwrap_or_default()
                ),
                "exception": null,
                "service": if activity.run.is_some() { "worker" } else { "web" },
                "properties": {"ActivityId": activity.id},
            })
        })
        .filter(|row| {
            levels.is_empty()
                || levels.iter().any(|level| row["level"].as_str().is_some_and(|text| text.eq_ignore_ascii_case(level)))
        })
        .filter(|row| call.param("service").is_none_or(|service| row["service"] == service))
        .filter(|row| {
            call.param("search").is_none_or(|text| {
                row["message"].as_str().unwrap_or_default().to_lowercase().contains(&text.to_lowercase())
            })
        })
        .skip(number("offset", 0))
        .take(number("limit", 500))
        .collect();
    Ok(Reply::ok(&json!(rows)))
}

/// Factory reset. Answers what went; the caller's key stays, so that it can look at the result.
fn reset(world: &mut World, call: &Call) -> Handled {
    let body = Body::optional(call, "JIM.Web.Models.Api.SystemResetRequest")?;
    let include = body.flag("includeAdministrators", false)?.unwrap_or_default();
    let acknowledged = body.flag("acknowledgeAdministratorLockout", false)?.unwrap_or_default();
    if include && !acknowledged {
        return Err(errors::business(
            call,
            StatusCode::CONFLICT,
            "CONFLICT",
            "Removing all administrators must be acknowledged.",
        ));
    }
    let objects: i64 = world.systems.iter().map(|system| system.objects).sum();
    let keys = world.keys.len();
    world.keys.retain(|key| Some(key.id) == call.actor.id);
    let answer = json!({
        "connectedSystemsRemoved": world.systems.len(),
        "connectedSystemObjectsRemoved": objects,
        "metaverseObjectsRemoved": 0,
        "metaverseObjectChangesRemoved": 0,
        "connectedSystemObjectChangesRemoved": 0,
        "syncRulesRemoved": 0,
        "objectMatchingRulesRemoved": 0,
        "schedulesRemoved": world.schedules.len(),
        "scheduleExecutionsRemoved": world.executions.len(),
        "activitiesRemoved": world.activities.len(),
        "pendingExportsRemoved": 0,
        "customMetaverseObjectTypesRemoved": 0,
        "customMetaverseAttributesRemoved": 0,
        "customRolesRemoved": 0,
        "customConnectorDefinitionsRemoved": 0,
        "customPredefinedSearchesRemoved": 0,
        "customExampleDataSetsRemoved": 0,
        "customExampleDataTemplatesRemoved": 0,
        "customApiKeysRemoved": keys - world.keys.len(),
        "trustedCertificatesRemoved": 0,
        "administratorsRetained": i64::from(!include),
        "administratorsRemoved": i64::from(include),
    });
    world.systems.clear();
    world.profiles.clear();
    world.schedules.clear();
    world.executions.clear();
    world.activities.clear();
    world.settings.clear();
    Ok(Reply::ok(&answer))
}
