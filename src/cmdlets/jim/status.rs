//! `Test-JIMConnection` and `Get-JIMConnection`: what is connected, and how.

use super::super::Context;
use super::super::declared::send;
use super::super::session::{Connected, Credential};
use super::trimmed;
use crate::api::{Method, Request};
use crate::credentials::{JIM, KeptIn, Remembered, account};
use crate::failure::Failure;
use crate::shape;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `GET /api/v1/health`.
#[derive(Debug, Deserialize)]
pub struct Health {
    pub status: String,
}

/// Never an error: what is wrong stands in the object.
pub async fn test(context: &Context<'_>) -> Result<(), Failure> {
    let connected = context.session.current();
    let health = match &connected {
        None => None,
        Some(connected) => Some(health(context, connected).await),
    };
    let is_up = matches!(health, Some(Ok(_)));
    if context.arguments.flag("Quiet") {
        context.output.item(None, shape::value(&is_up)).await;
        return Ok(());
    }
    let (status, message) = match &health {
        None => ("Not connected".to_owned(), "Not connected. Run Connect-JIM -Url <address>.".to_owned()),
        Some(Ok(health)) => (health.status.clone(), successful(connected.as_deref())),
        Some(Err(failure)) => ("Error".to_owned(), failure.to_string()),
    };
    let object = json!({
        "Connected": is_up,
        "Url": connected.as_ref().map(|c| &c.url),
        "AuthMethod": connected.as_ref().map(|c| c.auth_method()),
        "ServerVersion": connected.as_ref().and_then(|c| c.server_version.as_ref()),
        "Status": status,
        "Message": message,
        "TokenExpiresAt": connected.as_ref().and_then(|c| expiry(c)),
    });
    context.output.item(context.type_name(), shape::value(&object)).await;
    Ok(())
}

async fn health(context: &Context<'_>, connected: &Connected) -> Result<Health, Failure> {
    let mut request = Request::new(Method::Get, "/api/v1/health").about("the health of the server");
    request.anonymous = true;
    let response = send(context, connected, &request).await?;
    response.json().map_err(|e| Failure::Request { error: Box::new(e) })
}

fn successful(connected: Option<&Connected>) -> String {
    let soon = connected.and_then(left).is_some_and(|left| left < Duration::from_secs(300));
    if soon {
        "Connection successful; the token expires soon and will be renewed".into()
    } else {
        "Connection successful".into()
    }
}

fn left(connected: &Connected) -> Option<Duration> {
    let Credential::Login(login) = &connected.credential else { return None };
    Some(login.tokens.borrow().expires_at.duration_since(SystemTime::now()).unwrap_or_default())
}

/// When the login's token expires, as a date PowerShell reads.
pub fn expiry(connected: &Connected) -> Option<String> {
    let Credential::Login(login) = &connected.credential else { return None };
    Some(round_trip(login.tokens.borrow().expires_at))
}

/// A moment as PowerShell reads dates.
fn round_trip(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// `Get-JIMConnection`: the session's connection, or with `-Remembered` what `Connect-JIM -Url` would find.
pub async fn get(context: &Context<'_>) -> Result<(), Failure> {
    if !context.arguments.flag("Remembered") {
        if let Some(connected) = context.session.current() {
            context.output.item(context.type_name(), shape::value(&described(&connected))).await;
        }
        return Ok(());
    }
    let (remembered, warning) = Remembered::load();
    if let Some(warning) = warning {
        context.output.warning(&warning).await;
    }
    for entry in remembered.of(JIM) {
        let object = json!({
            "Url": trimmed(&entry.url),
            "AuthMethod": if entry.source == KeptIn::Login { "OAuth" } else { "ApiKey" },
            "Connected": context.session.current().is_some_and(|c| c.url == trimmed(&entry.url)),
            "Source": entry.source,
            "KeyFile": entry.key_file,
            "Account": entry.account,
            "LastUsed": round_trip(UNIX_EPOCH + Duration::from_secs(entry.last_used)),
        });
        context.output.item(Some("JIM.RememberedConnection"), shape::value(&object)).await;
    }
    Ok(())
}

/// The session's connection, as Connect-JIM and Get-JIMConnection show it.
pub fn described(connected: &Connected) -> Value {
    let (preview, source) = match &connected.credential {
        Credential::ApiKey { preview, source } => (Some(preview.clone()), source.to_string()),
        Credential::Login(login) if login.persisted => (None, "login, kept in the keyring".into()),
        Credential::Login(_) => (None, "login, not kept".into()),
    };
    json!({
        "Url": connected.url,
        "AuthMethod": connected.auth_method(),
        "ApiKey": preview,
        "Connected": true,
        "ServerVersion": connected.server_version,
        "Source": source,
        "Account": account(),
        "ExpiresAt": expiry(connected),
        "MaxConcurrency": connected.max_concurrency,
        "HostVersion": env!("CARGO_PKG_VERSION"),
    })
}
