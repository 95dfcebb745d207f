//! The token service: the password grant as documented, and nothing else. Tokens say nothing; only the service knows
//! whom they are for and until when.

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::super::idp;
use super::super::wire::{Call, Handled, Reply};
use super::{CLIENT, CLIENT_SECRET, IDENTITY_STORE, PASSWORD, USER};

#[derive(Debug, Default)]
pub(super) struct Tokens(HashMap<String, DateTime<Utc>>);

/// What an `Authorization` header is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Expired,
    Unknown,
}

impl Tokens {
    pub(super) fn standing(&self, call: &Call) -> Standing {
        let sent = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        match sent.and_then(|token| self.0.get(token)) {
            Some(until) if *until > call.now => Standing::Good,
            Some(_) => Standing::Expired,
            None => Standing::Unknown,
        }
    }

    /// All tokens end now.
    pub(super) fn expire(&mut self, now: DateTime<Utc>) {
        self.0.values_mut().for_each(|until| *until = (*until).min(now));
    }

    /// Exchanges a form for a token that lives for `seconds`.
    ///
    /// # Errors
    /// OAuth's error object under 400.
    pub(super) fn grant(&mut self, call: &Call, seconds: u64) -> Handled {
        let kind = call.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
            return Err(refused("invalid_request", "The request is not a form."));
        }
        let form: Vec<(String, String)> = url::form_urlencoded::parse(&call.body).into_owned().collect();
        // Field names without regard to case: the documented `client_Id` and the usual `client_id` are the same.
        let field = |name: &str| {
            form.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.as_str())
        };
        if field("client_id") != CLIENT || field("client_secret") != CLIENT_SECRET {
            return Err(refused("invalid_client", "Unknown client or wrong secret."));
        }
        // The value's case counts. Refreshing is not documented: only the password grant is.
        if field("grant_type") != "password" {
            return Err(refused("unsupported_grant_type", "Only the password grant is offered."));
        }
        if field("identity_store_id") != IDENTITY_STORE {
            return Err(refused("invalid_grant", "There is no such identity store."));
        }
        if !field("username").eq_ignore_ascii_case(USER) || field("password") != PASSWORD {
            return Err(refused("invalid_grant", "Wrong user name or password."));
        }
        let access = idp::secret("sandbox_ndm_");
        let end = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
        let until = end.and_then(|end| call.now.checked_add_signed(end)).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.0.insert(access.clone(), until);
        let answer = json!({
            "access_token": access,
            "refresh_token": idp::secret("sandbox_ndm_refresh_"),
            "scope": "directorymanager.api groupid_identity offline_access openid profile",
            "token_type": "Bearer",
            "expires_in": seconds,
        });
        let mut reply = Reply::bare_json(StatusCode::OK, &answer);
        reply.headers.push((CACHE_CONTROL, "no-store".to_owned()));
        Ok(reply)
    }
}

fn refused(error: &str, description: &str) -> Reply {
    Reply::bare_json(StatusCode::BAD_REQUEST, &json!({"error": error, "error_description": description}))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::HeaderValue;

    use super::super::super::tests::bare_call;
    use super::*;

    const FORM: &str = "grant_type=password&username=sandbox&password=sandbox-password&client_Id=sandbox-client&client_secret=sandbox-secret&identity_store_id=2";

    fn ask(tokens: &mut Tokens, form: &str) -> Handled {
        let mut call = bare_call("POST", "/GroupIDSecurityService/connect/token", form);
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        tokens.grant(&call, 20)
    }

    #[test]
    fn a_token_lives_as_long_as_it_says() {
        let mut tokens = Tokens::default();
        let reply: serde_json::Value = serde_json::from_slice(&ask(&mut tokens, FORM).unwrap().body).unwrap();
        assert_eq!(reply["expires_in"], 20);
        let mut call = bare_call("GET", "/x", "");
        assert_eq!(tokens.standing(&call), Standing::Unknown);
        let bearer = format!("Bearer {}", reply["access_token"].as_str().unwrap());
        call.headers.insert("authorization", HeaderValue::from_str(&bearer).unwrap());
        assert_eq!(tokens.standing(&call), Standing::Good);
        call.now += TimeDelta::seconds(21);
        assert_eq!(tokens.standing(&call), Standing::Expired);
    }

    #[test]
    fn every_wrong_field_is_an_oauth_error() {
        let mut tokens = Tokens::default();
        for (right, wrong, error) in [
            ("grant_type=password", "grant_type=Password", "unsupported_grant_type"),
            ("grant_type=password", "grant_type=refresh_token", "unsupported_grant_type"),
            ("username=sandbox", "username=nobody", "invalid_grant"),
            ("sandbox-password", "x", "invalid_grant"),
            ("sandbox-client", "x", "invalid_client"),
            ("sandbox-secret", "x", "invalid_client"),
            ("store_id=2", "store_id=9", "invalid_grant"),
        ] {
            let reply = ask(&mut tokens, &FORM.replace(right, wrong)).unwrap_err();
            let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!((reply.status.as_u16(), &body["error"]), (400, &json!(error)), "{wrong}");
        }
    }
}
