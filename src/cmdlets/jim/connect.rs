//! `Connect-JIM`: finds credentials, proves them with the server, and keeps them where they belong.

use super::super::Context;
use super::super::session::{self, Connected, Credential, Login, bearer};
use super::status::{self, Health};
use super::{parse_url, trimmed};
use crate::api::{ApiError, Auth, Connection, Method, Options, Request};
use crate::credentials::{self, Environment, Found, KeptIn, Remembered, SecretKind, ServerKey, Source, Store};
use crate::failure::Failure;
use crate::login::{self, AuthConfig, Endpoints, LoginError, LoginOptions, Tokens};
use crate::shape;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// A cached login is used as it is when it lasts at least this long.
const STILL_GOOD: Duration = Duration::from_secs(300);

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let environment = Environment::from_map(&context.environment);
    let url = address(context, &environment).await?;
    if reuse_login(context, &url).await? {
        return Ok(());
    }
    // A connection that fails leaves none: the next cmdlet must not reach the server before it.
    context.session.set(None);
    connect(context, &environment, &url).await.map_err(|failure| match failure {
        known @ (Failure::NoCredentials(_) | Failure::KeyFile(_)) => known,
        cause => Failure::Connect { url: trimmed(&url), cause: Box::new(cause) },
    })
}

/// `-Url`, else JIM_URL, else the only connection that is remembered.
async fn address(context: &Context<'_>, environment: &Environment) -> Result<Url, Failure> {
    if let Some(text) = context.arguments.text("Url").or(environment.url.as_deref()) {
        return parse_url(text);
    }
    let (remembered, warning) = Remembered::load();
    if let Some(warning) = warning {
        context.output.warning(&warning).await;
    }
    match remembered.of(credentials::JIM).collect::<Vec<_>>().as_slice() {
        [only] => Ok(only.url.clone()),
        [] => Err(Failure::NoUrl(String::new())),
        several => {
            let urls: Vec<&str> = several.iter().map(|c| c.url.as_str().trim_end_matches('/')).collect();
            Err(Failure::NoUrl(format!(" These are remembered: {}.", urls.join(", "))))
        }
    }
}

async fn connect(context: &Context<'_>, environment: &Environment, url: &Url) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let api = Connection::new(options(context, url), Auth::Anonymous).map_err(refused)?;
    if api.is_clear_text() {
        context
            .output
            .warning(&format!("{} is not encrypted: the credentials travel in clear text. Use https.", trimmed(url)))
            .await;
    }
    let key_file = arguments.text("KeyFile").map(PathBuf::from);
    if let Some(key) = arguments.text("ApiKey") {
        let found = Found { key: SecretString::from(key.to_owned()), source: Source::Parameter, warning: None };
        return with_key(context, api, url, found, key_file.as_deref()).await;
    }
    if arguments.flag("Interactive") || arguments.flag("Force") {
        return with_login(context, api, url, true).await;
    }
    let (remembered, _) = Remembered::load();
    match credentials::find_key(&Store::new(), &remembered, environment, url, key_file.as_deref()).await {
        Ok(found) => with_key(context, api, url, found, None).await,
        // Named by the user and unusable: a login in its place would not be what was meant.
        Err(not_found) if key_file.is_some() => Err(Failure::NoCredentials(Box::new(not_found))),
        Err(not_found) => match with_login(context, api, url, false).await {
            Err(Failure::Login(LoginError::NotConfigured { .. } | LoginError::NoBrowser)) => {
                Err(Failure::NoCredentials(Box::new(not_found)))
            }
            other => other,
        },
    }
}

/// `-NoPersist` neither reads nor writes the OS store.
fn store_for(context: &Context<'_>) -> Option<Store> {
    (!context.arguments.flag("NoPersist")).then(Store::new)
}

fn options(context: &Context<'_>, url: &Url) -> Options {
    let mut options = session::options(context, url);
    options.max_in_flight = max_concurrency(context);
    options
}

// ---- API key -------------------------------------------------------------------------------------

async fn with_key(
    context: &Context<'_>,
    api: Connection,
    url: &Url,
    found: Found,
    keep_in: Option<&Path>,
) -> Result<(), Failure> {
    if let Some(warning) = &found.warning {
        context.output.warning(warning).await;
    }
    context.output.verbose(&format!("Using the API key from {}.", found.source)).await;
    api.set_auth(Auth::ApiKey(found.key.clone())).map_err(refused)?;
    let server = prove(&api).await?;
    if !server.authorised {
        context
            .output
            .warning("The key is good but has no role: the server refuses it access (403). Give the key a role in JIM.")
            .await;
    }
    let key = ServerKey::of(url);
    if found.source == Source::Parameter && !context.arguments.flag("NoPersist") {
        keep_key(context, url, &key, &found.key, keep_in).await?;
    }
    let connected = Rc::new(Connected {
        api,
        url: trimmed(url),
        key,
        credential: Credential::ApiKey { preview: preview(&found.key), source: found.source },
        server_version: server.version,
        max_concurrency: max_concurrency(context),
    });
    welcome(context, &connected, "").await;
    let object = json!({
        "Url": connected.url,
        "AuthMethod": "ApiKey",
        "ApiKey": preview(&found.key),
        "Connected": true,
        "ServerVersion": connected.server_version,
        "Authorised": server.authorised,
        "Status": server.status,
    });
    context.session.set(Some(connected));
    context.output.item(context.type_name(), shape::value(&object)).await;
    Ok(())
}

async fn keep_key(
    context: &Context<'_>,
    url: &Url,
    server: &ServerKey,
    key: &SecretString,
    file: Option<&Path>,
) -> Result<(), Failure> {
    let source = match file {
        Some(path) => {
            credentials::key_file::write(path, key)?;
            KeptIn::File
        }
        None => match Store::new().set(SecretKind::ApiKey, server, key).await {
            Ok(()) => KeptIn::Keyring,
            Err(error) => {
                let text =
                    format!("Connected, but the key could not be kept in the OS keyring: {error} {}", error.advice());
                context.output.warning(&text).await;
                return Ok(());
            }
        },
    };
    remember(context, url, source, file).await;
    Ok(())
}

async fn remember(context: &Context<'_>, url: &Url, source: KeptIn, key_file: Option<&Path>) {
    let (mut remembered, warning) = Remembered::load();
    if let Some(warning) = warning {
        context.output.warning(&warning).await;
    }
    remembered.remember(credentials::Connection {
        url: url.clone(),
        product: credentials::JIM.into(),
        source,
        key_file: key_file.map(Path::to_owned),
        account: credentials::account(),
        last_used: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    });
    if let Err(error) = remembered.save() {
        context.output.warning(&format!("The connection could not be remembered: {error}")).await;
    }
}

/// First eight and last four characters of a key that is long enough to stay secret.
fn preview(key: &SecretString) -> String {
    let characters: Vec<char> = key.expose_secret().chars().collect();
    if characters.len() <= 12 {
        return "***".into();
    }
    let (head, tail) = (&characters[..8], &characters[characters.len() - 4..]);
    format!("{}...{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

/// What the server says of itself and of the credentials.
struct Server {
    status: String,
    version: Option<String>,
    authorised: bool,
}

#[derive(Deserialize)]
struct Version {
    version: Option<String>,
}

/// Health is anonymous and says nothing about a key, and `userinfo` says "not authorised" for every
/// key: only a protected read proves one. A 403 there proves the key and a missing role.
async fn prove(api: &Connection) -> Result<Server, Failure> {
    let proof = Request::new(Method::Get, "/api/v1/synchronisation/connected-systems")
        .with_query("page", "1")
        .with_query("pageSize", "1")
        .about("the check of the credentials");
    let (health, version, proof) = tokio::join!(health(api), version(api), api.send(&proof));
    let status = health?;
    let authorised = match proof {
        Ok(answer) => {
            answer.page().map_err(refused)?;
            true
        }
        Err(ApiError::AccessDenied { .. }) => false,
        Err(error) => return Err(refused(error)),
    };
    Ok(Server { status, version, authorised })
}

async fn health(api: &Connection) -> Result<String, Failure> {
    let mut request = Request::new(Method::Get, "/api/v1/health").about("the health of the server");
    request.anonymous = true;
    let answer = api.send(&request).await.map_err(refused)?;
    answer.json::<Health>().map(|h| h.status).map_err(refused)
}

/// A courtesy: a server that doesn't tell its version is as good as one that does.
async fn version(api: &Connection) -> Option<String> {
    let mut request = Request::new(Method::Get, "/api/v1/health/version").about("the version of the server");
    request.anonymous = true;
    api.send(&request).await.ok()?.json::<Version>().ok()?.version
}

// ---- login ---------------------------------------------------------------------------------------

/// Same server, a login that lasts: nothing to do, or renewed quietly.
async fn reuse_login(context: &Context<'_>, url: &Url) -> Result<bool, Failure> {
    let arguments = &context.arguments;
    if arguments.is_bound("ApiKey") || arguments.flag("Force") || arguments.flag("Interactive") {
        return Ok(false);
    }
    let Some(connected) = context.session.current().filter(|c| c.url == trimmed(url)) else { return Ok(false) };
    let Credential::Login(login) = &connected.credential else { return Ok(false) };
    let left = login.tokens.borrow().expires_at.duration_since(SystemTime::now()).unwrap_or_default();
    let status = if left > STILL_GOOD {
        "Connected (cached)"
    } else if renew(&connected, login).await.is_ok() {
        "Connected (refreshed)"
    } else {
        return Ok(false);
    };
    let object = json!({
        "Url": connected.url,
        "AuthMethod": "OAuth",
        "Connected": true,
        "ExpiresAt": status::expiry(&connected),
        "Status": status,
    });
    context.output.item(context.type_name(), shape::value(&object)).await;
    Ok(true)
}

async fn with_login(context: &Context<'_>, api: Connection, url: &Url, browser_only: bool) -> Result<(), Failure> {
    let http = api.http_client().clone();
    let config = login::auth_config(&http, url).await?;
    let endpoints = login::discover(&http, &config).await?;
    let server = ServerKey::of(url);
    // Asked before the login: a token that can't be kept is better known of beforehand.
    let store = match store_for(context) {
        Some(store) => match store.probe().await {
            Ok(()) => Some(store),
            Err(error) => {
                context
                    .output
                    .information(&format!("The login will not outlive this session: {error} {}", error.advice()))
                    .await;
                None
            }
        },
        None => None,
    };
    if !browser_only
        && let Some(store) = &store
        && let Some(tokens) = stored_login(store, &server, &http, &config, &endpoints).await
    {
        let session = LoginParts {
            api: api.clone(),
            config: config.clone(),
            endpoints: endpoints.clone(),
            tokens,
            store: Some(store.clone()),
        };
        match finish_login(context, url, session, "Connected (cached)").await {
            Ok(()) => return Ok(()),
            Err(_) => {
                // As the official module does: a stored login that doesn't work any more is forgotten.
                let _ = store.delete(SecretKind::RefreshToken, &server).await;
            }
        }
    }
    if !browser_only && !login::has_browser() {
        return Err(LoginError::NoBrowser.into());
    }
    let timeout = context.arguments.integer("TimeoutSeconds").and_then(|s| u64::try_from(s).ok()).unwrap_or(300);
    let (lines, mut told) = tokio::sync::mpsc::unbounded_channel::<String>();
    let options = LoginOptions { timeout: Duration::from_secs(timeout) };
    let tokens = {
        let tell = |line: &str| {
            let _ = lines.send(line.to_owned());
        };
        let flow = login::browser_login(&http, &config, &endpoints, options, login::open_browser, tell);
        tokio::pin!(flow);
        loop {
            tokio::select! {
                Some(line) = told.recv() => context.output.information(&line).await,
                done = &mut flow => break done?,
            }
        }
    };
    let session = LoginParts { api, config, endpoints, tokens, store };
    finish_login(context, url, session, "").await
}

async fn stored_login(
    store: &Store,
    server: &ServerKey,
    http: &reqwest::Client,
    config: &AuthConfig,
    endpoints: &Endpoints,
) -> Option<Tokens> {
    let token = store.get(SecretKind::RefreshToken, server).await.ok()??;
    match login::refresh(http, config, &endpoints.token, &token).await {
        Ok(tokens) => Some(tokens),
        Err(_) => {
            let _ = store.delete(SecretKind::RefreshToken, server).await;
            None
        }
    }
}

struct LoginParts {
    api: Connection,
    config: AuthConfig,
    endpoints: Endpoints,
    tokens: Tokens,
    store: Option<Store>,
}

/// Proves the login, keeps its refresh token, makes it the session. An empty status is the server's.
async fn finish_login(context: &Context<'_>, url: &Url, parts: LoginParts, status: &str) -> Result<(), Failure> {
    let LoginParts { api, config, endpoints, tokens, store } = parts;
    api.set_auth(bearer(&tokens)).map_err(refused)?;
    let (health, version, authorised) = tokio::join!(health(&api), version(&api), authorised(&api));
    let health = health?;
    if authorised == Some(false) {
        context
            .output
            .warning("This identity is signed in but not provisioned in JIM: ask an administrator to give it access.")
            .await;
    }
    let server = ServerKey::of(url);
    let persisted = keep_login(context, url, &server, &tokens, store).await;
    let connected = Rc::new(Connected {
        api,
        url: trimmed(url),
        key: server,
        credential: Credential::Login(Box::new(Login {
            config,
            token_endpoint: endpoints.token,
            tokens: RefCell::new(tokens),
            persisted,
            renewing: tokio::sync::Mutex::new(()),
        })),
        server_version: version,
        max_concurrency: max_concurrency(context),
    });
    welcome(context, &connected, if persisted { "" } else { " The login ends with this session." }).await;
    let object = json!({
        "Url": connected.url,
        "AuthMethod": "OAuth",
        "Connected": true,
        "ServerVersion": connected.server_version,
        "ExpiresAt": status::expiry(&connected),
        "Authorised": authorised,
        "Status": if status.is_empty() { health.as_str() } else { status },
    });
    context.session.set(Some(connected));
    context.output.item(context.type_name(), shape::value(&object)).await;
    Ok(())
}

async fn keep_login(
    context: &Context<'_>,
    url: &Url,
    server: &ServerKey,
    tokens: &Tokens,
    store: Option<Store>,
) -> bool {
    let (Some(store), Some(refresh)) = (store, &tokens.refresh) else { return false };
    if let Err(error) = store.set(SecretKind::RefreshToken, server, refresh).await {
        context
            .output
            .warning(&format!("Connected, but the login could not be kept: {error} {}", error.advice()))
            .await;
        return false;
    }
    remember(context, url, KeptIn::Login, None).await;
    true
}

/// `userinfo` is right about logins. Its failure says nothing.
async fn authorised(api: &Connection) -> Option<bool> {
    let request = Request::new(Method::Get, "/api/v1/userinfo").about("the signed-in identity");
    let answer = api.send(&request).await.ok()?;
    answer.json::<Value>().ok()?.get("authorised")?.as_bool()
}

/// Renews a login's tokens and keeps the rotated refresh token.
pub async fn renew(connected: &Connected, login: &Login) -> Result<(), Failure> {
    let refresh = login.tokens.borrow().refresh.clone();
    let expired = |e| Failure::SessionExpired(Box::new(e));
    let refresh = refresh.ok_or_else(|| expired(LoginError::NoRefreshToken))?;
    let tokens = login::refresh(connected.api.http_client(), &login.config, &login.token_endpoint, &refresh)
        .await
        .map_err(expired)?;
    connected.api.set_auth(bearer(&tokens)).map_err(refused)?;
    if login.persisted
        && let Some(rotated) = &tokens.refresh
    {
        // Not kept means: the next session logs in again. This one goes on.
        let _ = Store::new().set(SecretKind::RefreshToken, &connected.key, rotated).await;
    }
    *login.tokens.borrow_mut() = tokens;
    Ok(())
}

// ---- both ----------------------------------------------------------------------------------------

async fn welcome(context: &Context<'_>, connected: &Connected, remark: &str) {
    let version = connected.server_version.as_ref().map(|v| format!(" {v}")).unwrap_or_default();
    context.output.window(connected.max_concurrency).await;
    context.output.information(&format!("Connected to JIM{version} at {}.{remark}", connected.url)).await;
}

fn max_concurrency(context: &Context<'_>) -> u32 {
    context.arguments.integer("MaxConcurrency").and_then(|n| u32::try_from(n).ok()).unwrap_or(8)
}

fn refused(error: ApiError) -> Failure {
    Failure::Request { error: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_shows_too_little_to_be_used() {
        assert_eq!(preview(&SecretString::from("jim_ak_second_key_000000".to_owned())), "jim_ak_s...0000");
        assert_eq!(preview(&SecretString::from("short_secret".to_owned())), "***");
    }
}
