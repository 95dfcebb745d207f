//! The server itself: health, login configuration, roles, certificates, logs, the factory reset.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::body::Body;
use super::state::World;
use super::wire::{Call, Handled, Reply, Routed};
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
        ("GET", ["logs"]) => logs(world, call),
        ("GET", ["logs", "levels"]) => Ok(Reply::ok(&json!(LEVELS.map(|level| level.0)))),
        ("GET", ["logs", "services"]) => Ok(Reply::ok(&json!(["web", "worker", "scheduler"]))),
        ("GET", ["logs", "files"]) => Ok(Reply::ok(&files(call))),
        ("POST", ["system", "reset"]) => reset(world, call),
        _ => return None,
    })
}

/// One file a day and service, for three days.
fn files(call: &Call) -> Value {
    let days = (0..3).map(|ago| call.now - chrono::TimeDelta::days(ago));
    days.flat_map(|day| ["scheduler", "web", "worker"].map(|service| (day, service)))
        .map(|(day, service)| {
            json!({
                "fileName": format!("jim.{service}.{}.log", day.format("%Y%m%d")),
                "service": service,
                "date": day.format("%Y-%m-%dT00:00:00").to_string(),
                "sizeBytes": 18_432,
                "sizeFormatted": "18 KB",
            })
        })
        .collect()
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

fn custom(world: &World, table: &str) -> usize {
    let rows = world.tables.rows(table).iter();
    rows.filter(|row| row["builtIn"] == false).count()
}

/// What is built in stays.
fn empty_tables(world: &mut World) {
    for table in ["sync-rules", "mappings", "matching-rules", "pending-exports", "certificates"] {
        world.tables.retain(table, |_| false);
    }
    for table in ["scoping-groups", "deleted-rows", "deleted-people", "pending-deletions"] {
        world.tables.retain(table, |_| false);
    }
    for table in ["metaverse-object-types", "metaverse-attributes", "example-data-sets", "example-data-templates"] {
        world.tables.retain(table, |row| row["builtIn"] == true);
    }
    world.history = super::change_history::History::default();
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
        "syncRulesRemoved": world.tables.rows("sync-rules").len(),
        "objectMatchingRulesRemoved": world.tables.rows("matching-rules").len(),
        "schedulesRemoved": world.schedules.len(),
        "scheduleExecutionsRemoved": world.executions.len(),
        "activitiesRemoved": world.activities.len(),
        "pendingExportsRemoved": world.tables.rows("pending-exports").len(),
        "customMetaverseObjectTypesRemoved": custom(world, "metaverse-object-types"),
        "customMetaverseAttributesRemoved": custom(world, "metaverse-attributes"),
        "customRolesRemoved": 0,
        "customConnectorDefinitionsRemoved": 0,
        "customPredefinedSearchesRemoved": 0,
        "customExampleDataSetsRemoved": custom(world, "example-data-sets"),
        "customExampleDataTemplatesRemoved": custom(world, "example-data-templates"),
        "customApiKeysRemoved": keys - world.keys.len(),
        "trustedCertificatesRemoved": world.tables.rows("certificates").len(),
        "administratorsRetained": i64::from(!include),
        "administratorsRemoved": i64::from(include),
    });
    world.systems.clear();
    world.profiles.clear();
    world.schedules.clear();
    world.executions.clear();
    world.activities.clear();
    world.settings.clear();
    empty_tables(world);
    Ok(Reply::ok(&answer))
}
