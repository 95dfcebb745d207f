//! Service settings: what is in force, what was overridden. Values are not checked (observed).

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::body::Body;
use super::errors;
use super::state::{Change, World};
use super::wire::{Call, Handled, Reply, Routed};

/// Key, what it is called, type, default, read-only.
type Setting = (&'static str, &'static str, &'static str, Option<&'static str>, bool);

const SETTINGS: [Setting; 31] = [
    ("SSO.ApiScope", "SSO API scope", "String", Some("jim-api"), true),
    ("SSO.ClaimType", "SSO claim type", "String", Some("sub"), true),
    ("SSO.ClientId", "SSO client ID", "String", Some("jim-web"), true),
    ("SSO.EnableLogOut", "SSO enable log-out", "Boolean", Some("true"), false),
    ("Preview.FullDataSetPromptThreshold", "Preview full data set prompt threshold", "Integer", Some("100000"), false),
    ("Preview.WorkerThreshold", "Preview worker threshold", "Integer", Some("2500"), false),
    ("Sync.PartitionValidationMode", "Run Profile partition validation", "Enum", Some("Error"), false),
    ("Sync.PageSize", "Sync page size", "Integer", Some("500"), false),
    ("Sync.VerboseNoChangeRecording", "Verbose no-change recording", "Boolean", Some("false"), false),
    ("Maintenance.IsEnabled", "Maintenance mode", "Boolean", Some("false"), false),
    (
        "History.ConfigurationChangeRetentionPeriod",
        "Configuration change retention period",
        "TimeSpan",
        Some("3650.00:00:00"),
        false,
    ),
    ("History.CleanupBatchSize", "History cleanup batch size", "Integer", Some("100"), false),
    ("History.RetentionPeriod", "History retention period", "TimeSpan", Some("90.00:00:00"), false),
    ("ChangeTracking.SyncOutcomes.Level", "Sync outcome tracking level", "Enum", Some("Detailed"), false),
    ("ChangeTracking.ConfigurationChanges.Enabled", "Track configuration changes", "Boolean", Some("true"), false),
    ("Security.RateLimiting.Enabled", "API rate limiting enabled", "Boolean", Some("true"), false),
    (
        "Security.RateLimiting.AuthenticatedRequestsPerMinute",
        "Authenticated API requests per minute",
        "Integer",
        Some("300"),
        false,
    ),
    (
        "Security.RateLimiting.UnauthenticatedRequestsPerMinute",
        "Unauthenticated API requests per minute",
        "Integer",
        Some("30"),
        false,
    ),
    ("UI.ProgressUpdateInterval", "Progress update interval", "TimeSpan", Some("00:00:01"), false),
    ("SSO.MvAttribute", "SSO Metaverse attribute", "String", Some("Subject Identifier"), true),
    ("SSO.Authority", "SSO authority", "String", Some("https://login.example/realms/jim"), true),
    ("SSO.Secret", "SSO secret", "StringEncrypted", None, true),
    ("SSO.UniqueIdentifierClaimType", "SSO unique identifier claim type", "String", Some("sub"), true),
    (
        "History.InitialPasswordRetentionPeriod",
        "Initial password record retention period",
        "TimeSpan",
        Some("90.00:00:00"),
        false,
    ),
    (
        "History.SecurityEventRetentionPeriod",
        "Security event retention period",
        "TimeSpan",
        Some("365.00:00:00"),
        false,
    ),
    ("ChangeTracking.CsoChanges.Enabled", "Track CSO changes", "Boolean", Some("true"), false),
    ("ChangeTracking.MvoChanges.Enabled", "Track MVO changes", "Boolean", Some("true"), false),
    ("Security.ConfigurationChangeHashKey", "Configuration change hash key", "StringEncrypted", None, true),
    ("Security.CredentialEncryptionEnabled", "Credential encryption", "Boolean", Some("true"), false),
    ("Instance.Id", "Service ID", "Guid", None, true),
    ("Instance.Name", "Service Name", "String", None, false),
];

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["service-settings", rest @ ..] = segments else {
        return None;
    };
    let method = call.method.as_str();
    match (method, rest) {
        ("GET", []) => {
            return Some(Ok(Reply::ok(&SETTINGS.iter().map(|setting| shown(world, setting)).collect())));
        }
        ("GET" | "PUT" | "DELETE", [_]) => {}
        _ => return None,
    }
    let key = rest.first()?;
    let Some(setting) = SETTINGS.iter().find(|setting| setting.0.eq_ignore_ascii_case(key)) else {
        return Some(Err(errors::not_found(call, format!("Service setting '{key}' not found."))));
    };
    Some(match method {
        "GET" => Ok(Reply::ok(&shown(world, setting))),
        _ => change(world, call, setting, method == "DELETE"),
    })
}

fn shown(world: &World, setting: &Setting) -> Value {
    let (key, name, kind, default, read_only) = *setting;
    let overridden = world.settings.get(key);
    let fixed = read_only.then_some(default).flatten();
    let value = overridden.map_or(fixed, Option::as_deref);
    json!({
        "key": key,
        "displayName": name,
        "description": name,
        "category": key.split('.').next(),
        "valueType": kind,
        "defaultValue": default,
        "value": value,
        "effectiveValue": value.or(default),
        "isReadOnly": read_only,
        "isOverridden": overridden.is_some(),
    })
}

fn change(world: &mut World, call: &Call, setting: &Setting, revert: bool) -> Handled {
    if setting.4 {
        return Err(errors::business(
            call,
            StatusCode::BAD_REQUEST,
            "BAD_REQUEST",
            format!("Service setting '{}' is read-only.", setting.0),
        ));
    }
    let mut reason = call.param("changeReason").map(str::to_owned);
    if revert {
        world.settings.remove(setting.0);
    } else {
        let body = Body::of(call, "JIM.Web.Models.Api.ServiceSettingUpdateRequestDto")?;
        let value = body.text("value")?;
        reason = body.text("changeReason")?;
        world.settings.insert(setting.0.to_owned(), value);
    }
    let operation = if revert { "Revert" } else { "Update" };
    world.note(Change { reason, ..Change::new("ServiceSetting", operation, setting.1, call) });
    Ok(Reply::ok(&shown(world, setting)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn a_setting_is_overridden_and_reverted() {
        let mut world = world();
        let path = "/service-settings/Sync.PageSize";
        let (_, set) = ask(&mut world, "PUT", path, r#"{"value": "abc"}"#);
        assert_eq!((&set["effectiveValue"], &set["isOverridden"]), (&json!("abc"), &json!(true)));
        let (_, back) = ask(&mut world, "DELETE", path, "");
        assert_eq!(
            (&back["effectiveValue"], &back["value"], &back["isOverridden"]),
            (&json!("500"), &Value::Null, &json!(false))
        );
        assert_eq!(ask(&mut world, "PUT", "/service-settings/SSO.ClientId", r#"{"value": "x"}"#).0, 400);
    }
}
