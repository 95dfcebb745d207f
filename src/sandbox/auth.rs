//! Who is asking, and how often they may: keys, the sandbox's own tokens, sliding windows.

use std::collections::{HashMap, VecDeque};

use axum::http::header::AUTHORIZATION;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::RateLimit;
use super::errors;
use super::state::{Actor, World};
use super::wire::{Call, Handled, Reply};

/// Somebody who has proved who they are.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) actor: Actor,
    pub(super) administrator: bool,
    /// What the rate limit counts.
    bucket: String,
}

/// `None`: no credentials, or none that count. The server tells nobody which of the two.
pub(super) fn caller(world: &mut World, call: &Call) -> Option<Caller> {
    if let Some(sent) = call.header("x-api-key") {
        let now = call.now;
        let key = world.keys.iter_mut().find(|key| key.secret == sent)?;
        if !key.enabled || key.expires.is_some_and(|end| end <= now) {
            return None;
        }
        key.used = Some(now);
        return Some(Caller { actor: key.actor(), administrator: key.administrator, bucket: key.id.to_string() });
    }
    let token = call.header(AUTHORIZATION.as_str())?.strip_prefix("Bearer ")?;
    let user = world.identities.user_of(token, call.now)?;
    Some(Caller {
        actor: Actor { kind: "User", id: Some(user), name: "Initial Admin".to_owned() },
        administrator: true,
        bucket: user.to_string(),
    })
}

/// `/userinfo` knows people only: a key is never "authorised" there, whatever it may do elsewhere.
pub(super) fn userinfo(caller: &Caller) -> Handled {
    let person = caller.actor.kind == "User";
    let mut answer = json!({
        "authorised": person,
        "isAdministrator": person,
        "name": caller.actor.name,
        "authMethod": if person { "oauth" } else { "api_key" },
        "metaverseObjectId": caller.actor.id.filter(|_| person),
        "roles": if person { vec!["Administrator", "User"] } else { Vec::new() },
    });
    if let Some(fields) = answer.as_object_mut().filter(|_| !person) {
        fields.insert("message".to_owned(), json!("You are authenticated but do not have a JIM identity. Identities are created when you are synchronised into JIM from a Connected System, or provisioned by an administrator. Contact your JIM administrator if you believe this is in error."));
    }
    Ok(Reply::ok(&answer))
}

/// Sliding windows, one per key, and one per address for everybody without credentials.
#[derive(Debug, Default)]
pub(super) struct Limits {
    seen: HashMap<String, VecDeque<DateTime<Utc>>>,
}

impl Limits {
    /// Counts this request.
    ///
    /// # Errors
    /// 429 when the window is full; refused requests are not counted. `Retry-After` is the whole window and does
    /// not count down, as on the real server.
    pub(super) fn admit(
        &mut self,
        limit: Option<&RateLimit>,
        call: &Call,
        caller: Option<&Caller>,
    ) -> Result<(), Reply> {
        let Some(limit) = limit else { return Ok(()) };
        let (bucket, allowed) = match caller {
            Some(caller) => (caller.bucket.clone(), limit.per_window),
            // The real server allows a tenth to those it doesn't know: 30 against 300.
            None => (format!("{:?}", call.peer), (limit.per_window / 10).max(1)),
        };
        let window = TimeDelta::from_std(limit.window).unwrap_or(TimeDelta::MAX);
        let seen = self.seen.entry(bucket).or_default();
        while seen.front().is_some_and(|first| call.now - *first >= window) {
            seen.pop_front();
        }
        if seen.len() >= usize::try_from(allowed).unwrap_or(usize::MAX) {
            let seconds = limit.window.as_secs_f64().ceil().max(1.0);
            return Err(errors::too_many(call, Some(format!("{seconds:.0}"))));
        }
        seen.push_back(call.now);
        Ok(())
    }
}
