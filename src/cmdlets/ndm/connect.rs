//! `Connect-NDM`, `Disconnect-NDM` and `Get-NDMConnection`.

use super::super::Context;
use super::super::session;
use super::connection::{Access, Connected, Grant, request_token};
use super::error::NdmError;
use super::server;
use super::service::Service;
use super::sign_in::{self, Found, variable};
use crate::api::{Auth, Connection, Options};
use crate::credentials::{self, KeptIn, NDM, Remembered, SecretKind, ServerKey, Store};
use crate::failure::Failure;
use crate::shape;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// The ways without a keyring, for advice.
const WITHOUT_A_KEYRING: &str = "Without a keyring, set NDM_USERNAME, NDM_PASSWORD, NDM_CLIENT_ID, NDM_CLIENT_SECRET and NDM_IDENTITY_STORE_ID (or files with NDM_PASSWORD_FILE and NDM_CLIENT_SECRET_FILE).";

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let url = address(context).await?;
    // A connection that fails leaves none: the next cmdlet must not reach the server before it.
    context.session.set_ndm(None);
    connect(context, &url).await.map_err(|error| match error {
        known @ (NdmError::Incomplete { .. } | NdmError::BadSetting { .. }) => known.into(),
        cause => NdmError::Connect { server: trimmed(&url), cause: Box::new(cause) }.into(),
    })
}

/// `-Server`, else NDM_SERVER, else the only server that is remembered.
async fn address(context: &Context<'_>) -> Result<Url, NdmError> {
    let port = context.arguments.integer("Port").filter(|_| context.arguments.is_bound("Port"));
    let port = port.and_then(|port| u16::try_from(port).ok());
    if let Some(text) = context.arguments.text("Server").or_else(|| variable(&context.environment, "NDM_SERVER")) {
        return server::parse(text, port);
    }
    let (remembered, warning) = Remembered::load();
    if let Some(warning) = warning {
        context.output.warning(&warning).await;
    }
    match remembered.of(NDM).collect::<Vec<_>>().as_slice() {
        [only] => Ok(only.url.clone()),
        [] => Err(NdmError::NoServer(String::new())),
        several => {
            let urls: Vec<String> = several.iter().map(|c| trimmed(&c.url)).collect();
            Err(NdmError::NoServer(format!(" These are remembered: {}.", urls.join(", "))))
        }
    }
}

async fn connect(context: &Context<'_>, url: &Url) -> Result<(), NdmError> {
    let server = trimmed(url);
    let setup = |error| NdmError::api("connect", &server, false, error);
    let api = Connection::new(options(context, url), Auth::Anonymous).map_err(setup)?;
    if api.is_clear_text() {
        let text = format!("{server} is not encrypted: password and documents travel in clear text. Use https.");
        context.output.warning(&text).await;
    }
    let (access, found) = match context.arguments.text("AccessToken") {
        Some(token) => {
            api.set_auth(Auth::Bearer(SecretString::from(token.trim()))).map_err(setup)?;
            (Access::Token, None)
        }
        None => {
            let found = sign_in::find(context, url).await?;
            context.output.verbose(&format!("Signing in with {}.", found.origin)).await;
            let issued = request_token(&api, &server, &found.sign_in).await?;
            let grant = Grant::new(found.sign_in.clone(), found.origin, &issued);
            api.set_auth(Auth::Bearer(issued.access_token)).map_err(setup)?;
            (Access::Password(Box::new(grant)), Some(found))
        }
    };
    let connected = Rc::new(Connected { api, server, key: ServerKey::of(url), access });
    prove(context, &connected).await?;
    if let Some(found) = found.filter(|found| found.given && !context.arguments.flag("NoPersist")) {
        keep(context, url, &connected.key, &found).await;
    }
    context.output.information(&format!("Connected to Directory Manager at {}.", connected.server)).await;
    context.session.set_ndm(Some(Rc::clone(&connected)));
    if context.arguments.flag("PassThru") {
        context.output.item(context.type_name(), shape::value(&described(&connected))).await;
    }
    Ok(())
}

/// A token from the token service proves nothing about the data service: only a protected read does.
async fn prove(context: &Context<'_>, connected: &Rc<Connected>) -> Result<(), NdmError> {
    match Service::on(context, Rc::clone(connected)).job_names().await {
        Err(NdmError::AccessDenied { .. }) => {
            let text = "Signed in, but the user's roles don't allow reading jobs (403). Have a role of the identity store allow it.";
            context.output.warning(text).await;
            Ok(())
        }
        other => other.map(|_| ()),
    }
}

fn options(context: &Context<'_>, url: &Url) -> Options {
    let mut options = session::options(context, url);
    options.readiness_path = None;
    options
}

/// Not kept is a warning: the connection stands.
async fn keep(context: &Context<'_>, url: &Url, key: &ServerKey, found: &Found) {
    if let Err(error) = Store::new().set(SecretKind::NdmSignIn, key, &sign_in::kept(&found.sign_in)).await {
        let text = format!(
            "Connected, but the sign-in could not be kept in the keyring: {error} {} {WITHOUT_A_KEYRING}",
            error.remedy()
        );
        context.output.warning(&text).await;
        return;
    }
    let (mut remembered, warning) = Remembered::load();
    if let Some(warning) = warning {
        context.output.warning(&warning).await;
    }
    remembered.remember(credentials::Connection {
        url: url.clone(),
        product: NDM.into(),
        source: KeptIn::Keyring,
        key_file: None,
        account: credentials::account(),
        last_used: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    });
    if let Err(error) = remembered.save() {
        context.output.warning(&format!("The connection could not be remembered: {error}")).await;
    }
}

/// `Disconnect-NDM`: ends the session; `-Forget` deletes what is kept as well.
pub async fn disconnect(context: &Context<'_>) -> Result<(), Failure> {
    let named = context.arguments.text("Server").map(|text| server::parse(text, None)).transpose()?;
    let current = context.session.ndm();
    let ends = current.as_ref().filter(|c| named.as_ref().is_none_or(|url| ServerKey::of(url) == c.key));
    if let Some(connected) = ends {
        context.session.set_ndm(None);
        context.output.information(&format!("Disconnected from {}.", connected.server)).await;
    }
    let (mut remembered, _) = Remembered::load();
    let target = named.or_else(|| current.map(|c| c.api.base().clone()));
    if !context.arguments.flag("Forget") {
        if target.is_none() {
            context.output.verbose("There was no connection.").await;
        }
        return Ok(());
    }
    // Without a connection the one that is remembered is meant, as Connect-NDM would take it.
    let target = match (target, remembered.of(NDM).collect::<Vec<_>>().as_slice()) {
        (Some(target), _) => target,
        (None, [only]) => only.url.clone(),
        (None, _) => return Err(NdmError::NoServer(" Nothing was forgotten.".into()).into()),
    };
    match Store::new().delete(SecretKind::NdmSignIn, &ServerKey::of(&target)).await {
        Ok(true) => {
            context.output.information(&format!("The stored sign-in of {} is forgotten.", trimmed(&target))).await;
        }
        Ok(false) => {}
        Err(error) => {
            let text = format!("The stored sign-in could not be removed: {error} {}", error.remedy());
            context.output.warning(&text).await;
        }
    }
    if remembered.forget(NDM, &target)
        && let Err(error) = remembered.save()
    {
        context.output.warning(&format!("The list of connections could not be saved: {error}")).await;
    }
    Ok(())
}

/// `Get-NDMConnection`: never a token, a password or a client's id.
pub async fn get(context: &Context<'_>) -> Result<(), Failure> {
    let current = context.session.ndm();
    if !context.arguments.flag("Remembered") {
        if let Some(connected) = current {
            context.output.item(context.type_name(), shape::value(&described(&connected))).await;
        }
        return Ok(());
    }
    let (remembered, warning) = Remembered::load();
    if let Some(warning) = warning {
        context.output.warning(&warning).await;
    }
    for entry in remembered.of(NDM) {
        let object = json!({
            "Server": trimmed(&entry.url),
            "Connected": current.as_ref().is_some_and(|c| c.key == ServerKey::of(&entry.url)),
            "Source": entry.source,
            "Account": entry.account,
            "LastUsed": moment(UNIX_EPOCH + Duration::from_secs(entry.last_used)),
        });
        context.output.item(Some("NDM.RememberedConnection"), shape::value(&object)).await;
    }
    Ok(())
}

fn described(connected: &Connected) -> Value {
    let grant = match &connected.access {
        Access::Token => None,
        Access::Password(grant) => Some(grant),
    };
    json!({
        "Server": connected.server,
        "UserName": grant.map(|g| &g.sign_in.user_name),
        "IdentityStoreId": grant.map(|g| g.sign_in.identity_store_id),
        "AuthMethod": if grant.is_some() { "Password" } else { "AccessToken" },
        "Connected": true,
        "ExpiresAt": grant.and_then(|g| g.ends()).map(moment),
        "Source": grant.map_or_else(|| "parameter -AccessToken".to_owned(), |g| g.origin.to_string()),
        "Account": credentials::account(),
        "HostVersion": env!("CARGO_PKG_VERSION"),
    })
}

/// A moment as PowerShell reads dates.
fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// An address without its trailing slash, as it is shown.
fn trimmed(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
