//! Interactive login: OpenID Connect, authorisation code with PKCE, as a public client.
//!
//! JIM names its identity provider ([`auth_config`]), the provider names its endpoints
//! ([`discover`]), a browser brings the code to a listener on this machine ([`browser_login`]),
//! and from then on the refresh token does ([`refresh`]). Nothing here stores a token.

mod browser;
mod callback;
mod discovery;
mod error;
mod flow;
mod token;

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use url::Url;

pub use browser::{has_browser, open_browser};
pub use discovery::{auth_config, discover};
pub use error::LoginError;
pub use flow::browser_login;
pub use token::refresh;

/// How a JIM server wants people to sign in (`GET /api/v1/auth/config`, anonymous).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// The identity provider; may carry a path (Keycloak realms, Entra tenants).
    pub authority: Url,
    pub client_id: String,
    /// In the server's order. It lists `openid`, `profile`, `offline_access` and its own API scope.
    pub scopes: Vec<String>,
}

impl AuthConfig {
    /// The `scope` parameter; `None` when the server lists no scope.
    fn scope(&self) -> Option<String> {
        (!self.scopes.is_empty()).then(|| self.scopes.join(" "))
    }
}

/// The provider's endpoints; always https, unless they are on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub authorization: Url,
    pub token: Url,
}

/// What a login or a refresh yields. Debug shows neither token.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: SecretString,
    /// `None` when the provider gave none (no `offline_access`): the session ends with `expires_at`.
    pub refresh: Option<SecretString>,
    /// The provider's `expires_in` less 60 seconds, for clocks and requests under way.
    pub expires_at: SystemTime,
}

/// The user's choices for one browser login.
#[derive(Debug, Clone, Copy)]
pub struct LoginOptions {
    /// How long to wait for the browser to come back; the code exchange afterwards is not in it.
    pub timeout: Duration,
}

#[cfg(test)]
mod tests;
