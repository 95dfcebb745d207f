//! The token endpoint: a code or a refresh token goes in, tokens come out.

use std::time::{Duration, SystemTime};

use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::discovery::{Answer, plain_words, require_secure, send};
use super::error::words;
use super::{AuthConfig, LoginError, Tokens};

const ENDPOINT: &str = "the identity provider's token endpoint";
/// Taken off a token's life, for clocks and for requests under way.
const EARLY: Duration = Duration::from_secs(60);
/// `expires_in` is optional (RFC 6749, 5.1); without it assume the shortest that is common.
const UNSAID_LIFE: u64 = 300;
/// Longer lives are no different to us, and the clock can't overflow.
const LONGEST_LIFE: u64 = 366 * 24 * 3600;

/// Trades a refresh token for new tokens. When the provider sends no new refresh token, the old
/// one stays in the answer; otherwise the old one may be void and the new one must be kept.
///
/// # Errors
/// `Refused` (usually `invalid_grant`) when the token is expired or revoked: sign in again.
pub async fn refresh(
    http: &Client,
    config: &AuthConfig,
    token_endpoint: &Url,
    refresh_token: &SecretString,
) -> Result<Tokens, LoginError> {
    if refresh_token.expose_secret().is_empty() {
        return Err(LoginError::NoRefreshToken);
    }
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("client_id", &config.client_id)
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", refresh_token.expose_secret());
    if let Some(scope) = config.scope() {
        form.append_pair("scope", &scope);
    }
    let mut tokens = ask(http, token_endpoint, form.finish(), &[refresh_token]).await?;
    tokens.refresh.get_or_insert_with(|| refresh_token.clone());
    Ok(tokens)
}

/// Trades the code of a callback for tokens; a code works once, so this is never repeated.
pub(super) async fn exchange(
    http: &Client,
    config: &AuthConfig,
    token_endpoint: &Url,
    code: &SecretString,
    redirect_uri: &str,
    verifier: &SecretString,
) -> Result<Tokens, LoginError> {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &config.client_id)
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", code.expose_secret())
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("code_verifier", verifier.expose_secret())
        .finish();
    ask(http, token_endpoint, form, &[code, verifier]).await
}

async fn ask(http: &Client, endpoint: &Url, form: String, secrets: &[&SecretString]) -> Result<Tokens, LoginError> {
    require_secure(endpoint)?;
    let request = http.post(endpoint.clone()).header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = send(ENDPOINT, endpoint, request).await?;
    if answer.url.origin() != endpoint.origin() {
        // Only a client that follows redirects gets here.
        return Err(answer.bad(ENDPOINT, endpoint, "a redirect to another server".into()));
    }
    if answer.status.is_success() {
        tokens(&answer, endpoint, SystemTime::now())
    } else {
        Err(refusal(&answer, endpoint, secrets))
    }
}

/// Seconds as a number, or as the text some providers send.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<Seconds>,
}

/// Reads a success. What fails here is never quoted: the body holds tokens.
fn tokens(answer: &Answer, endpoint: &Url, now: SystemTime) -> Result<Tokens, LoginError> {
    let bad = |detail: &str| answer.bad(ENDPOINT, endpoint, detail.to_owned());
    let granted: Granted =
        serde_json::from_slice(&answer.body).map_err(|_| bad("something that is not a JSON token answer"))?;
    let access = granted.access_token;
    if access.is_empty() || !access.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad("an access token that cannot be sent in a header"));
    }
    if granted.token_type.is_some_and(|t| !t.eq_ignore_ascii_case("bearer")) {
        return Err(bad("a kind of token that is not Bearer"));
    }
    let life = match granted.expires_in {
        // A cast from float saturates: negative and NaN become 0.
        Some(Seconds::Number(seconds)) => seconds as u64,
        Some(Seconds::Text(text)) => text.trim().parse().unwrap_or(UNSAID_LIFE),
        None => UNSAID_LIFE,
    };
    let life = Duration::from_secs(life.min(LONGEST_LIFE));
    Ok(Tokens {
        access: access.into(),
        refresh: granted.refresh_token.filter(|t| !t.is_empty()).map(Into::into),
        expires_at: now + life.saturating_sub(EARLY),
    })
}

/// Reads an error: OAuth's fields (RFC 6749, 5.2) when they are there, else the words of whoever
/// answered.
fn refusal(answer: &Answer, endpoint: &Url, secrets: &[&SecretString]) -> LoginError {
    #[derive(Deserialize)]
    struct Denied {
        error: String,
        error_description: Option<String>,
    }

    let clean = |text: &str| words(&without(text, secrets));
    if let Ok(denied) = serde_json::from_slice::<Denied>(&answer.body) {
        return LoginError::Refused {
            error: clean(&denied.error),
            description: denied.error_description.map(|d| clean(&d)).filter(|d| !d.is_empty()),
        };
    }
    let text = String::from_utf8_lossy(&answer.body);
    let detail = if text.contains("_token") {
        // A gateway that echoes a form or an answer: not fit to be repeated.
        None
    } else {
        // Redacted before it is cut: half a secret would not be recognised.
        plain_words(without(&text, secrets).as_bytes())
    };
    answer.bad(ENDPOINT, endpoint, detail.unwrap_or_else(|| "an error without words".into()))
}

/// Some providers quote the grant they refuse.
fn without(text: &str, secrets: &[&SecretString]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        let secret = secret.expose_secret();
        let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for form in [secret, &encoded] {
            if !form.is_empty() {
                text = text.replace(form, "***");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use reqwest::StatusCode;

    fn endpoint() -> Url {
        Url::parse("https://login.example/token").unwrap()
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { url: endpoint(), status: StatusCode::from_u16(status).unwrap(), body: body.into() }
    }

    fn life(json: &str) -> u64 {
        let now = SystemTime::UNIX_EPOCH;
        let tokens = tokens(&answer(200, json), &endpoint(), now).unwrap();
        tokens.expires_at.duration_since(now).unwrap().as_secs()
    }

    #[test]
    fn expiry_is_a_minute_early_in_every_spelling() {
        assert_eq!(life(r#"{"access_token":"a","expires_in":300}"#), 240);
        assert_eq!(life(r#"{"access_token":"a","expires_in":"3600"}"#), 3540);
        assert_eq!(life(r#"{"access_token":"a"}"#), 240);
        assert_eq!(life(r#"{"access_token":"a","expires_in":5}"#), 0);
        assert_eq!(life(r#"{"access_token":"a","expires_in":-1}"#), 0);
        assert_eq!(life(r#"{"access_token":"a","expires_in":1e300}"#), LONGEST_LIFE - 60);
    }

    #[test]
    fn a_broken_success_is_never_quoted() {
        for body in [
            "access_token=SECRET&token_type=bearer",
            r#"{"access_token":"SECRET","expires_in":["SECRET"]}"#,
            r#"{"access_token":"SECRET\r\nX: y"}"#,
            r#"{"access_token":"SECRET","token_type":"SECRET"}"#,
            r#"{"access_token":{"SECRET":1}}"#,
        ] {
            let error = tokens(&answer(200, body), &endpoint(), SystemTime::now()).unwrap_err();
            let text = format!("{error} {error:?} {}", error.advice());
            assert!(matches!(error, LoginError::BadAnswer { .. }));
            assert!(!text.contains("SECRET"), "{text}");
        }
    }

    #[test]
    fn a_refusal_keeps_the_words_and_drops_our_secrets() {
        let token: SecretString = "old/token+1".to_owned().into();
        let error = refusal(
            &answer(400, r#"{"error":"invalid_grant","error_description":"Token old/token+1 is not active"}"#),
            &endpoint(),
            &[&token],
        );
        assert_eq!(error.to_string(), "the identity provider refused: invalid_grant: Token *** is not active");

        let html = "<h1>Bad Gateway</h1><p>old%2Ftoken%2B1</p>";
        let error = refusal(&answer(502, html), &endpoint(), &[&token]);
        assert_eq!(
            error.to_string(),
            "the identity provider's token endpoint at https://login.example/token answered HTTP 502: Bad Gateway ***"
        );

        let echo = r#"{"request":"refresh_token=cut-off"}"#;
        let error = refusal(&answer(500, echo), &endpoint(), &[&token]);
        assert!(!error.to_string().contains("cut-off"));
    }
}
