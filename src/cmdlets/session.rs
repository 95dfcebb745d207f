//! What lives as long as the host: the connection, and how requests go through it.

use super::Context;
use crate::api::{ApiError, Auth, Connection, Event, Options, Request, Response, TlsOptions};
use crate::credentials::{ServerKey, Source};
use crate::failure::Failure;
use crate::login::{AuthConfig, Tokens};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// Tokens are renewed when they have less than this left.
const RENEW_WITHIN: Duration = Duration::from_secs(120);
/// Paths remembered before the idle ones are forgotten.
const MOST_LANES: usize = 64;

/// How a connecting cmdlet was told to connect: certificates and time limits.
pub fn options(context: &Context<'_>, url: &Url) -> Options {
    let mut options = Options::new(url.clone());
    options.tls = TlsOptions {
        skip_certificate_check: context.arguments.flag("SkipCertificateCheck"),
        certificate_file: context.arguments.text("CertificateFile").map(PathBuf::from),
    };
    if let Some(seconds) = context.arguments.integer("RequestTimeoutSeconds").and_then(|s| u64::try_from(s).ok()) {
        options.request_timeout = Duration::from_secs(seconds);
        options.connect_timeout = options.connect_timeout.min(options.request_timeout);
    }
    options
}

/// One host, one connection for each product: every runspace of the client shares them.
#[derive(Default)]
pub struct Session {
    connected: RefCell<Option<Rc<Connected>>>,
    ndm: RefCell<Option<Rc<super::ndm::Connected>>>,
    pub completions: super::complete::Cache,
    pub pipelines: super::pipeline::Pipelines,
    /// Changes of one resource go in the order of their calls.
    lanes: RefCell<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A proven connection.
pub struct Connected {
    pub api: Connection,
    pub url: String,
    pub key: ServerKey,
    pub credential: Credential,
    pub server_version: Option<String>,
    /// Calls in flight at most, for clients that send ahead.
    pub max_concurrency: u32,
}

/// What the connection proves itself with.
pub enum Credential {
    ApiKey { preview: String, source: Source },
    Login(Box<Login>),
}

/// A login that renews itself.
pub struct Login {
    pub config: AuthConfig,
    pub token_endpoint: Url,
    pub tokens: RefCell<Tokens>,
    /// Renewed refresh tokens are kept in the store again.
    pub persisted: bool,
    /// One renewal at a time; whoever waited finds the new token.
    pub renewing: tokio::sync::Mutex<()>,
}

impl Session {
    pub fn connection(&self) -> Result<Rc<Connected>, Failure> {
        self.connected.borrow().clone().ok_or(Failure::NotConnected)
    }

    /// Waits until earlier changes of this path are done; first come, first served.
    pub async fn lane(&self, path: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lane = {
            let mut lanes = self.lanes.borrow_mut();
            if lanes.len() >= MOST_LANES {
                lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
            }
            Arc::clone(lanes.entry(path.to_owned()).or_default())
        };
        lane.lock_owned().await
    }

    pub fn current(&self) -> Option<Rc<Connected>> {
        self.connected.borrow().clone()
    }

    /// The connection to Directory Manager; `None` before Connect-NDM.
    pub fn ndm(&self) -> Option<Rc<super::ndm::Connected>> {
        self.ndm.borrow().clone()
    }

    pub fn set_ndm(&self, connected: Option<Rc<super::ndm::Connected>>) {
        *self.ndm.borrow_mut() = connected;
    }

    pub fn set(&self, connected: Option<Rc<Connected>>) {
        self.completions.clear();
        *self.connected.borrow_mut() = connected;
    }
}

impl Connected {
    /// Sends a request; a login is renewed before it expires, and once after a 401.
    pub async fn send(&self, request: &Request, observe: &impl Fn(Event)) -> Result<Response, Failure> {
        let Credential::Login(login) = &self.credential else {
            return self.api.send_observed(request, observe).await.map_err(plain);
        };
        if expires_within(login, RENEW_WITHIN) {
            self.renew(login).await?;
        }
        let used = login.tokens.borrow().expires_at;
        match self.api.send_observed(request, observe).await {
            Err(ApiError::AuthenticationFailed { .. }) => {
                if login.tokens.borrow().expires_at == used {
                    self.renew(login).await?;
                }
                self.api.send_observed(request, observe).await.map_err(plain)
            }
            other => other.map_err(plain),
        }
    }

    async fn renew(&self, login: &Login) -> Result<(), Failure> {
        let before = login.tokens.borrow().expires_at;
        let _turn = login.renewing.lock().await;
        if login.tokens.borrow().expires_at != before {
            return Ok(());
        }
        super::jim::connect::renew(self, login).await
    }

    pub fn auth_method(&self) -> &'static str {
        match self.credential {
            Credential::ApiKey { .. } => "ApiKey",
            Credential::Login(_) => "OAuth",
        }
    }
}

fn expires_within(login: &Login, limit: Duration) -> bool {
    let at = login.tokens.borrow().expires_at;
    at.duration_since(SystemTime::now()).is_ok_and(|left| left < limit) || at <= SystemTime::now()
}

fn plain(error: ApiError) -> Failure {
    Failure::Request { error: Box::new(error) }
}

/// Credentials of a token.
pub fn bearer(tokens: &Tokens) -> Auth {
    Auth::Bearer(tokens.access.clone())
}
