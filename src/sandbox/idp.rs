//! A small identity provider for rehearsing the interactive login: discovery, authorisation code with PKCE (S256),
//! single-use codes, refresh tokens that rotate. It signs everybody in at once as "Initial Admin".

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;

use super::wire::{Call, Handled, Reply, Routed};

pub(super) const CLIENT: &str = "jim-powershell";
/// Short on purpose, as Keycloak's default is: clients must refresh.
const ACCESS_SECONDS: i64 = 300;
const CODE_SECONDS: i64 = 60;

#[derive(Debug)]
pub(super) struct Identities {
    user: Uuid,
    codes: HashMap<String, Code>,
    access: HashMap<String, DateTime<Utc>>,
    refresh: Vec<String>,
}

impl Default for Identities {
    fn default() -> Self {
        Self { user: Uuid::now_v7(), codes: HashMap::new(), access: HashMap::new(), refresh: Vec::new() }
    }
}

#[derive(Debug)]
struct Code {
    challenge: String,
    redirect: String,
    until: DateTime<Utc>,
}

impl Identities {
    pub(super) fn user_of(&self, token: &str, now: DateTime<Utc>) -> Option<Uuid> {
        self.access.get(token).filter(|until| **until > now).map(|_| self.user)
    }

    /// The identity of the one person there is.
    pub(super) fn user(&self) -> Uuid {
        self.user
    }

    /// All access tokens end now; refresh tokens stay.
    pub(super) fn expire_access(&mut self) {
        self.access.clear();
    }

    fn issue(&mut self, now: DateTime<Utc>) -> Reply {
        let (access, refresh) = (secret("sandbox_at_"), secret("sandbox_rt_"));
        self.access.insert(access.clone(), now + TimeDelta::seconds(ACCESS_SECONDS));
        self.refresh.push(refresh.clone());
        let answer = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
            "refresh_token": refresh,
            "scope": "openid profile offline_access jim-api",
        });
        let mut reply = Reply::bare_json(StatusCode::OK, &answer);
        reply.headers.push((CACHE_CONTROL, "no-store".to_owned()));
        reply
    }
}

/// Where the caller reached this server; the provider lives below it.
pub(super) fn base(call: &Call) -> String {
    format!("http://{}", call.header("host").unwrap_or("127.0.0.1"))
}

/// `segments` begin after `/idp`.
pub(super) fn route(who: &mut Identities, call: &Call, segments: &[&str]) -> Routed {
    match (call.method.as_str(), segments) {
        ("GET", [".well-known", "openid-configuration"]) => Some(discovery(call)),
        ("GET", ["authorize"]) => Some(authorise(who, call)),
        ("POST", ["token"]) => Some(token(who, call)),
        _ => None,
    }
}

fn discovery(call: &Call) -> Handled {
    let issuer = format!("{}/idp", base(call));
    Ok(Reply::bare_json(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        }),
    ))
}

/// Goes straight back with a code. Only loopback redirect URIs, since only those are registered.
fn authorise(who: &mut Identities, call: &Call) -> Handled {
    let redirect = call.param("redirect_uri").and_then(|text| Url::parse(text).ok());
    let Some(mut redirect) = redirect.filter(loopback) else {
        return Err(refused("invalid_request", "redirect_uri is not registered"));
    };
    if call.param("client_id") != Some(CLIENT) {
        return Err(refused("unauthorized_client", "unknown client_id"));
    }
    let challenge = call.param("code_challenge").unwrap_or_default();
    let error = match () {
        () if call.param("response_type") != Some("code") => Some("unsupported_response_type"),
        () if challenge.is_empty() || call.param("code_challenge_method") != Some("S256") => Some("invalid_request"),
        () => None,
    };
    let code = secret("code_");
    {
        let plain = call.param("redirect_uri").unwrap_or_default().to_owned();
        let mut answer = redirect.query_pairs_mut();
        match error {
            Some(error) => answer.append_pair("error", error),
            None => {
                who.codes.insert(
                    code.clone(),
                    Code {
                        challenge: challenge.to_owned(),
                        redirect: plain,
                        until: call.now + TimeDelta::seconds(CODE_SECONDS),
                    },
                );
                answer.append_pair("code", &code)
            }
        };
        if let Some(state) = call.param("state") {
            answer.append_pair("state", state);
        }
    }
    let mut reply = Reply::empty(StatusCode::FOUND);
    reply.headers.push((LOCATION, redirect.to_string()));
    Ok(reply)
}

fn loopback(redirect: &Url) -> bool {
    redirect.scheme() == "http" && matches!(redirect.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn token(who: &mut Identities, call: &Call) -> Handled {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&call.body).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("client_id") != CLIENT {
        return Err(refused("invalid_client", "unknown client_id"));
    }
    match field("grant_type") {
        "authorization_code" => {
            // Taken out whatever comes next: a code works once, or never.
            let code = who.codes.remove(field("code"));
            let Some(code) = code.filter(|code| code.until > call.now) else {
                return Err(refused("invalid_grant", "Code not valid"));
            };
            let verifier = Sha256::digest(field("code_verifier").as_bytes());
            if code.redirect != field("redirect_uri") {
                return Err(refused("invalid_grant", "Incorrect redirect_uri"));
            }
            if URL_SAFE_NO_PAD.encode(verifier) != code.challenge {
                return Err(refused("invalid_grant", "PKCE verification failed"));
            }
            Ok(who.issue(call.now))
        }
        "refresh_token" => {
            let Some(index) = who.refresh.iter().position(|known| known == field("refresh_token")) else {
                return Err(refused("invalid_grant", "Token is not active"));
            };
            who.refresh.swap_remove(index);
            Ok(who.issue(call.now))
        }
        _ => Err(refused("unsupported_grant_type", "Unsupported grant_type")),
    }
}

fn refused(error: &str, description: &str) -> Reply {
    Reply::bare_json(StatusCode::BAD_REQUEST, &json!({"error": error, "error_description": description}))
}

/// Random text for codes, tokens and keys; version 4 ids come from the system's random source.
pub(super) fn secret(prefix: &str) -> String {
    format!("{prefix}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::bare_call as call;
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    // RFC 7636, appendix B.
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const BACK: &str = "http://localhost:8400/callback/";

    fn code(who: &mut Identities) -> String {
        let query = format!(
            "/idp/authorize?client_id={CLIENT}&response_type=code&redirect_uri={BACK}&state=s1&code_challenge={CHALLENGE}&code_challenge_method=S256"
        );
        let reply = route(who, &call("GET", &query, ""), &["authorize"]).unwrap().unwrap();
        let back = Url::parse(&reply.headers[0].1).unwrap();
        let pairs: HashMap<String, String> = back.query_pairs().into_owned().collect();
        assert_eq!(pairs["state"], "s1");
        pairs["code"].clone()
    }

    fn exchange(who: &mut Identities, form: &str) -> Result<serde_json::Value, Reply> {
        let call = call("POST", "/idp/token", form);
        route(who, &call, &["token"]).unwrap().map(|reply| serde_json::from_slice(&reply.body).unwrap())
    }

    #[test]
    fn a_code_works_once_and_only_with_its_verifier() {
        let mut who = Identities::default();
        let form = |code: &str, verifier: &str| {
            format!(
                "client_id={CLIENT}&grant_type=authorization_code&code={code}&redirect_uri={BACK}&code_verifier={verifier}"
            )
        };
        let first = code(&mut who);
        assert!(exchange(&mut who, &form(&first, "wrong")).is_err());
        assert!(exchange(&mut who, &form(&first, VERIFIER)).is_err(), "spent by the failed attempt");
        let second = code(&mut who);
        let tokens = exchange(&mut who, &form(&second, VERIFIER)).unwrap();
        let access = tokens["access_token"].as_str().unwrap();
        assert!(who.user_of(access, Utc::now()).is_some());
        assert!(who.user_of(access, Utc::now() + TimeDelta::seconds(301)).is_none());
    }

    #[test]
    fn refresh_tokens_rotate() {
        let mut who = Identities::default();
        who.issue(Utc::now());
        let old = who.refresh[0].clone();
        let form = |token: &str| format!("client_id={CLIENT}&grant_type=refresh_token&refresh_token={token}");
        let tokens = exchange(&mut who, &form(&old)).unwrap();
        assert_ne!(tokens["refresh_token"], old.as_str());
        assert!(exchange(&mut who, &form(&old)).is_err());
    }

    #[test]
    fn nobody_is_sent_to_another_host() {
        let mut who = Identities::default();
        let query = format!(
            "/idp/authorize?client_id={CLIENT}&response_type=code&redirect_uri=https://evil.example/&code_challenge=x&code_challenge_method=S256"
        );
        assert_eq!(route(&mut who, &call("GET", &query, ""), &["authorize"]).unwrap().unwrap_err().status, 400);
    }
}
