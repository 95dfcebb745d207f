//! Netwrix Directory Manager 11.1 beside JIM, on the same port: its token service and its job API, from the documented
//! shapes. Nothing here was compared with a server: what the documentation leaves open is marked where it is decided.

mod api;
mod envelope;
mod filter;
mod json;
mod seed;
mod store;
mod token;

#[cfg(test)]
mod tests;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};

use super::wire::{Call, Handled, Reply, Routed};
use envelope::{DELETED, WRITTEN};
use token::Standing;

pub(super) use envelope::Failure;

/// What the token service accepts. They open nothing but the sandbox.
pub const USER: &str = "sandbox";
pub const PASSWORD: &str = "sandbox-password";
pub const CLIENT: &str = "sandbox-client";
pub const CLIENT_SECRET: &str = "sandbox-secret";
pub const IDENTITY_STORE: &str = "2";

const DATA: &str = "groupiddataservice";
const SECURITY: &str = "groupidsecurityservice";

/// How this server behaves, by option or by fault.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// How long new tokens live.
    pub(super) token_seconds: u64,
    /// GET requests arrive without their bodies, as behind some proxies.
    pub(super) drop_get_bodies: bool,
    /// Ids that can't be deleted.
    pub(super) failing_items: Vec<i64>,
    /// Static passwords are blank in what is read, as newer builds do it.
    pub(super) blank_passwords: bool,
}

#[derive(Debug)]
pub(super) struct DirectoryManager {
    tokens: token::Tokens,
    store: store::Store,
}

impl DirectoryManager {
    pub(super) fn new() -> Self {
        Self { tokens: token::Tokens::default(), store: seed::store() }
    }

    pub(super) fn expire_tokens(&mut self, now: DateTime<Utc>) {
        self.tokens.expire(now);
    }

    /// `None`: the request is for JIM.
    pub(super) fn route(&mut self, call: &Call, manner: &Manner) -> Routed {
        let lower: Vec<String> = call.segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match lower.as_slice() {
            [SECURITY, "connect", "token"] if call.method == "POST" => {
                Some(self.tokens.grant(call, manner.token_seconds))
            }
            [SECURITY, "connect", "token"] => Some(Err(Reply::empty(StatusCode::METHOD_NOT_ALLOWED))),
            [DATA, "api", "datasyncjobs", rest @ ..] => Some(self.authorised(call, rest, manner)),
            [SECURITY | DATA, ..] => Some(Err(Reply::empty(StatusCode::NOT_FOUND))),
            _ => None,
        }
    }

    fn authorised(&mut self, call: &Call, rest: &[&str], manner: &Manner) -> Handled {
        match self.tokens.standing(call) {
            Standing::Good => api::route(&mut self.store, call, rest, manner),
            standing => Err(envelope::unauthorised(standing == Standing::Expired)),
        }
    }
}

/// Whether the call is for this server, and for which of its two services.
pub(super) fn concerns(call: &Call) -> bool {
    is_data(call) || is_security(call)
}

pub(super) fn is_data(call: &Call) -> bool {
    call.segments.first().is_some_and(|first| first.eq_ignore_ascii_case(DATA))
}

pub(super) fn is_security(call: &Call) -> bool {
    call.segments.first().is_some_and(|first| first.eq_ignore_ascii_case(SECURITY))
}

/// The answer to a planned status, as this server or the web server in front of it gives it.
pub(super) fn planned(status: StatusCode) -> Reply {
    match status.as_u16() {
        401 => envelope::unauthorised(true),
        403 | 503 => envelope::iis(status),
        400 => envelope::bad_request("This answer was asked for."),
        _ => Reply::empty(status),
    }
}

/// A `status` other than 0 under HTTP 200.
pub(super) fn failing(call: &Call, failure: &Failure) -> Reply {
    match call.method.as_str() {
        "GET" => envelope::unread(failure),
        "DELETE" => envelope::result(DELETED, &Err(failure.clone())),
        _ => envelope::result(WRITTEN, &Err(failure.clone())),
    }
}
