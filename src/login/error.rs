//! What can go wrong while signing in, with a stable code and what to do next.

use std::borrow::Cow;

use url::Url;

/// Longest text of a server that is repeated in an error, in characters.
const LONGEST_WORDS: usize = 500;

/// A failed login or refresh. No variant ever holds a token, a code or a verifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// JIM answered 503: it runs without an identity provider.
    #[error("single sign-on is not configured on {}{}; use -ApiKey", shown(url), after(detail))]
    NotConfigured { url: Box<Url>, detail: Option<String> },

    #[error("{what} could not be reached at {}: {cause}", shown(url))]
    Unreachable { what: &'static str, url: Box<Url>, cause: String },

    /// An answer that makes no sense, or an error without OAuth's `error` field.
    #[error("{what} at {} answered {}{detail}", shown(url), http(*status))]
    BadAnswer { what: &'static str, url: Box<Url>, status: Option<u16>, detail: String },

    #[error("signing in over {} is refused: it is not https, and not this machine", shown(url))]
    Insecure { url: Box<Url> },

    #[error("no port from {first} to {last} is free for the browser to come back to: {cause}")]
    NoPort { first: u16, last: u16, cause: String },

    /// The provider said no, in its own words.
    #[error("the identity provider refused: {error}{}", after(description))]
    Refused { error: String, description: Option<String> },

    #[error("the browser did not come back within {seconds} seconds")]
    TimedOut { seconds: u64 },

    #[error("no program was found that opens a browser")]
    NoBrowser,

    #[error("there is no refresh token for this session")]
    NoRefreshToken,
}

impl LoginError {
    /// Stable across versions; scripts filter by it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotConfigured { .. } => "LoginNotConfigured",
            Self::Unreachable { .. } => "LoginUnreachable",
            Self::BadAnswer { .. } => "LoginBadAnswer",
            Self::Insecure { .. } => "LoginInsecure",
            Self::NoPort { .. } => "LoginNoPort",
            Self::Refused { .. } => "LoginRefused",
            Self::TimedOut { .. } => "LoginTimedOut",
            Self::NoBrowser => "LoginNoBrowser",
            Self::NoRefreshToken => "LoginNoRefreshToken",
        }
    }

    /// What the reader can do next: one or two plain sentences.
    pub fn advice(&self) -> Cow<'static, str> {
        match self {
            Self::NotConfigured { .. } => {
                "Connect with -ApiKey, or ask the administrator to configure single sign-on.".into()
            }
            Self::Unreachable { what, .. } => format!(
                "Check the address, the network, the proxy and the certificate of {what}, then run Connect-JIM again."
            )
            .into(),
            Self::BadAnswer { status: Some(429), .. } => {
                "Too many requests: wait a minute, then run Connect-JIM again.".into()
            }
            Self::BadAnswer { status: Some(500..), .. } => {
                "The server has a problem of its own: try again later, or connect with -ApiKey.".into()
            }
            Self::BadAnswer { .. } => {
                "Check that the address is right and that no proxy answers in its place, or connect with -ApiKey.".into()
            }
            Self::Insecure { .. } => {
                "Ask the administrator to give the identity provider an https address.".into()
            }
            Self::NoPort { first, last, .. } => format!(
                "Close the programs that listen on ports {first} to {last} (another login may be waiting), or connect with -ApiKey."
            )
            .into(),
            Self::Refused { error, .. } => refused_advice(error).into(),
            Self::TimedOut { .. } => {
                "Run Connect-JIM again and finish signing in with a browser on this machine; -TimeoutSeconds allows more time. Without a browser, connect with -ApiKey.".into()
            }
            Self::NoBrowser => "Give an API key with -ApiKey, or run Connect-JIM where a browser can be opened.".into(),
            Self::NoRefreshToken => "Run Connect-JIM to sign in again.".into(),
        }
    }
}

/// The error codes of RFC 6749 (4.1.2.1 and 5.2) and OpenID Connect that call for different deeds.
fn refused_advice(error: &str) -> &'static str {
    match error {
        "access_denied" => {
            "Sign in again and allow the access, or ask the administrator to assign you to the application."
        }
        "invalid_grant" | "login_required" | "interaction_required" | "consent_required" => {
            "The earlier login is no longer valid: run Connect-JIM to sign in again."
        }
        "invalid_client"
        | "unauthorized_client"
        | "invalid_scope"
        | "unsupported_response_type"
        | "unsupported_grant_type" => {
            "Ask the administrator to check the application at the identity provider: a public client with PKCE and the scopes JIM lists."
        }
        "invalid_request" => {
            "Ask the administrator to register http://localhost:8400/callback/ to http://localhost:8409/callback/ as redirect addresses."
        }
        "temporarily_unavailable" | "server_error" => {
            "The identity provider has a problem of its own: try again later, or connect with -ApiKey."
        }
        _ => "Run Connect-JIM again; if it fails again, show this message to the administrator.",
    }
}

/// A URL for people: a query or user part could carry what nobody should read.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Fails only for URLs that cannot have a user part.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

fn after(words: &Option<String>) -> String {
    words.as_ref().map(|w| format!(": {w}")).unwrap_or_default()
}

fn http(status: Option<u16>) -> String {
    status.map(|s| format!("HTTP {s}: ")).unwrap_or_default()
}

/// Somebody else's text made fit for a terminal: one line, no control characters, bounded.
pub(super) fn words(text: &str) -> String {
    let line = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match line.char_indices().nth(LONGEST_WORDS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn messages_show_neither_user_part_nor_query() {
        let url = Box::new(Url::parse("https://me:pass@login.example/token?key=abc#frag").unwrap());
        let text = LoginError::Insecure { url }.to_string();
        assert!(text.contains("https://login.example/token"), "{text}");
        assert!(!text.contains("pass") && !text.contains("abc") && !text.contains("frag"));
    }

    #[test]
    fn words_are_one_bounded_line_without_escapes() {
        assert_eq!(words("a\r\n\x1b[31mred\tb "), "a [31mred b");
        assert_eq!(words(&"é".repeat(2000)).chars().count(), LONGEST_WORDS + 3);
    }

    #[test]
    fn not_configured_says_where_why_and_what_instead() {
        let error = LoginError::NotConfigured {
            url: Box::new(Url::parse("https://jim.example/").unwrap()),
            detail: Some("SSO is off".into()),
        };
        assert_eq!(
            error.to_string(),
            "single sign-on is not configured on https://jim.example/: SSO is off; use -ApiKey"
        );
        assert_eq!(error.code(), "LoginNotConfigured");
        assert!(error.advice().contains("-ApiKey"));
    }
}
