//! One request from beginning to end, without I/O: switches, limits, authentication, the areas, the record.

use std::net::IpAddr;

use axum::http::StatusCode;
use serde_json::json;

use super::auth::{self, Limits};
use super::body::Body;
use super::faults::{Ailment, Faults, When};
use super::record::{Entry, Record};
use super::seed;
use super::state::World;
use super::wire::{Call, Handled, Reply, Routed};
use super::{SandboxOptions, change_history, clock, errors, idp, ndm, system};

pub(super) struct App {
    pub(super) options: SandboxOptions,
    pub(super) world: World,
    directory_manager: ndm::DirectoryManager,
    faults: Faults,
    limits: Limits,
    pub(super) record: Record,
    plan: seed::Plan,
}

/// What the front should send.
pub(super) enum Verdict {
    Answer(Reply),
    Drop,
}

impl App {
    pub(super) fn new(options: SandboxOptions, plan: seed::Plan) -> Self {
        Self {
            world: World::new(&plan),
            directory_manager: ndm::DirectoryManager::new(),
            faults: options.faults.clone(),
            limits: Limits::default(),
            record: Record::default(),
            options,
            plan,
        }
    }

    /// The faults that concern this call; the sandbox's own switches are never faulty.
    pub(super) fn strike(&mut self, call: &Call) -> Ailment {
        if is(call, "sandbox") { Ailment::default() } else { self.faults.strike(call) }
    }

    /// Carries the call out, unless a fault comes first, and keeps the record.
    pub(super) fn handle(&mut self, call: Call, ailment: &Ailment) -> Verdict {
        let mut entry = entry_of(&call);
        let instead = self.instead(&call, ailment);
        entry.executed = instead.is_none();
        let reply = instead.unwrap_or_else(|| self.execute(call, ailment));
        let verdict = match ailment.reset {
            Some(_) => Verdict::Drop,
            None => Verdict::Answer(spoil(reply, ailment)),
        };
        entry.status = match &verdict {
            Verdict::Answer(reply) => reply.status.as_u16(),
            Verdict::Drop => 0,
        };
        self.record.add(entry);
        verdict
    }

    fn instead(&self, call: &Call, ailment: &Ailment) -> Option<Reply> {
        if ailment.reset == Some(When::Before) {
            return Some(Reply::empty(StatusCode::OK));
        }
        if let Some((status, retry_after)) = &ailment.status {
            return Some(planned(call, *status, retry_after.clone()));
        }
        if let Some(failure) = &ailment.failing {
            return Some(ndm::failing(call, failure));
        }
        ailment.html.then(Reply::html)
    }

    fn execute(&mut self, mut call: Call, ailment: &Ailment) -> Reply {
        self.world.settle(call.now);
        if let Some(reply) = self.directory_manager.route(&call, &self.manner(ailment)) {
            return reply.unwrap_or_else(|error| error);
        }
        let reply = self.authenticated(&mut call, ailment.database_down);
        // Routes that do not exist: the web interface's page for GET, nothing for the rest.
        let reply = reply.unwrap_or_else(|| {
            Ok(if call.method == "GET" { Reply::html() } else { Reply::empty(StatusCode::BAD_REQUEST) })
        });
        reply.unwrap_or_else(|error| error)
    }

    fn manner(&self, ailment: &Ailment) -> ndm::Manner {
        ndm::Manner {
            token_seconds: ailment.token_seconds.unwrap_or(self.options.ndm_token_seconds),
            drop_get_bodies: ailment.drop_get_bodies || self.options.ndm_drop_get_bodies,
            failing_items: ailment.failing_items.clone(),
            blank_passwords: ailment.blank_passwords,
        }
    }

    fn authenticated(&mut self, call: &mut Call, database_down: bool) -> Routed {
        let lower: Vec<String> = call.segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let rest = match lower.as_slice() {
            ["idp", rest @ ..] if self.options.identity_provider => {
                return idp::route(&mut self.world.identities, call, rest);
            }
            ["api", "v1", rest @ ..] => rest,
            ["api", ..] => &[],
            _ => return None,
        };
        if let Some(reply) = system::health(call, rest, database_down) {
            return Some(reply);
        }
        let caller = if database_down { None } else { auth::caller(&mut self.world, call) };
        if let Err(refused) = self.limits.admit(self.options.rate_limit.as_ref(), call, caller.as_ref()) {
            return Some(Err(refused));
        }
        if rest == ["auth", "config"] && call.method == "GET" {
            return Some(system::auth_config(call, self.options.identity_provider));
        }
        let Some(caller) = caller else {
            return Some(Err(errors::unauthorised()));
        };
        call.actor = caller.actor.clone();
        if rest == ["userinfo"] && call.method == "GET" {
            return Some(auth::userinfo(&caller));
        }
        if !caller.administrator {
            return Some(Err(errors::forbidden()));
        }
        change_history::watch(&mut self.world, call, rest)
    }

    /// The switches under `/sandbox`, for callers on this machine only.
    pub(super) fn switch(&mut self, call: &Call, traffic: (u64, u64)) -> Option<Reply> {
        if !is(call, "sandbox") {
            return None;
        }
        if !call.peer.is_none_or(is_local) {
            return Some(errors::forbidden());
        }
        let segments: Vec<&str> = call.segments.iter().skip(1).map(String::as_str).collect();
        let done: Handled = match (call.method.as_str(), segments.as_slice()) {
            ("GET", ["faults"]) => Ok(Reply::bare_json(StatusCode::OK, &json!(self.faults))),
            ("POST", ["faults"]) => self.add_faults(call),
            ("DELETE", ["faults"]) => {
                self.faults = Faults::default();
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            ("GET", ["record"]) => Ok(Reply::bare_json(StatusCode::OK, &self.record.show(traffic.0, traffic.1))),
            ("DELETE", ["record"]) => {
                self.record = Record::default();
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            ("POST", ["reset"]) => {
                self.start_over();
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            ("POST", ["expire-tokens"]) => {
                self.world.identities.expire_access();
                self.directory_manager.expire_tokens(call.now);
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            _ => Ok(Reply::empty(StatusCode::NOT_FOUND)),
        };
        Some(done.unwrap_or_else(|error| error))
    }

    fn add_faults(&mut self, call: &Call) -> Handled {
        let more = Faults::parse(&call.body).map_err(|error| {
            Reply::bare_json(StatusCode::BAD_REQUEST, &json!({"error": format!("these are no faults: {error}")}))
        })?;
        self.faults.add(more);
        Ok(Reply::bare_json(StatusCode::OK, &json!(self.faults)))
    }

    /// Everything as it was at the start: world, faults, limits and record.
    fn start_over(&mut self) {
        self.world = World::new(&self.plan);
        self.directory_manager = ndm::DirectoryManager::new();
        self.faults = self.options.faults.clone();
        self.limits = Limits::default();
        self.record = Record::default();
    }
}

fn is(call: &Call, first: &str) -> bool {
    call.segments.first().is_some_and(|segment| segment == first)
}

fn is_local(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

fn planned(call: &Call, status: u16, retry_after: Option<String>) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let reply = match status.as_u16() {
        _ if ndm::concerns(call) => ndm::planned(status),
        401 => errors::unauthorised(),
        403 => errors::forbidden(),
        429 => return errors::too_many(call, retry_after),
        500 => errors::internal(call),
        // What a proxy in front of the server says is not the server's: no body.
        502..=504 => Reply::empty(status),
        _ => errors::business(call, status, "SANDBOX_FAULT", "This answer was asked for."),
    };
    match retry_after {
        Some(value) => reply.with("retry-after", value),
        None => reply,
    }
}

fn spoil(mut reply: Reply, ailment: &Ailment) -> Reply {
    if ailment.wrong_shape {
        reply.body = if reply.body.starts_with(b"[") { r#"{"unexpected":true}"# } else { r#"["unexpected"]"# }.into();
    }
    if ailment.truncated {
        reply.body.truncate(reply.body.len() / 2);
    }
    if ailment.empty_body {
        reply.body.clear();
    }
    reply
}

fn entry_of(call: &Call) -> Entry {
    let key = call.header("x-api-key").map(|key| match key.get(..12) {
        Some(start) if key.len() > 16 => format!("{start}…"),
        _ => "***".to_owned(),
    });
    let token = call.header("authorization").map(|_| "Bearer …".to_owned());
    // Tokens and codes of a login are secrets too.
    let login = is(call, "idp");
    Entry {
        sequence: 0,
        method: call.method.to_string(),
        path: call.path.clone(),
        query: if login { String::new() } else { call.raw_query.clone() },
        status: 0,
        executed: false,
        key: key.or(token),
        body_fields: if login { Vec::new() } else { Body::names(&call.body) },
        at: clock::fresh(call.now),
    }
}
