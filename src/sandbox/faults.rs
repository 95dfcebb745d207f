//! Faults on demand: what goes wrong with the next requests that match.
//!
//! As JSON, one object per fault with exactly one effect and, optionally, what it applies to:
//! `{"nextStatus": [503, 503], "retryAfter": "1", "method": "GET", "path": "/api/v1/activities"}`.

use serde::{Deserialize, Serialize};

use super::ndm;
use super::wire::Call;

/// The faults a sandbox starts with; the same JSON as `POST /sandbox/faults` takes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Faults(Vec<Fault>);

/// One effect and the requests it is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fault {
    #[serde(flatten)]
    effect: Effect,
    /// The method, without regard to case; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// What the path begins with; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// How often; absent: until the faults are cleared. `nextStatus` ends with its list in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    /// Only for `nextStatus`: seconds or an HTTP date; absent: no such header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Effect {
    /// Waits before the answer.
    LatencyMs(u64),
    /// Answers these statuses, one per request; the request is not carried out.
    NextStatus(Vec<u16>),
    /// Drops the connection without an answer, before or after the request is carried out.
    Reset(When),
    /// Answers a page, as a proxy's login does; the request is not carried out.
    Html(bool),
    /// The four that follow carry the request out and spoil its answer.
    EmptyBody(bool),
    TruncatedJson(bool),
    WrongShape(bool),
    /// Sends the body in small pieces with this pause between them, in milliseconds.
    SlowBody(u64),
    /// Good keys get 401, `/health/ready` 503 (observed).
    DatabaseDown(bool),
    /// The rest is for Directory Manager only. Answers this `status` under HTTP 200; the request is not carried out.
    FailingStatus(FailingStatus),
    /// Items that can't be deleted, while others of the same batch are.
    FailingItems(Vec<i64>),
    /// GET requests arrive without their bodies.
    DropGetBodies(bool),
    /// How long the tokens live that are granted from now on, in seconds.
    TokenSeconds(u64),
    /// Static passwords are blank in the documents that are read.
    BlankPasswords(bool),
}

/// The server's numbers, words and codes for failures are not documented; these are placeholders.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct FailingStatus {
    status: i64,
    message: String,
    error_code: String,
}

impl Default for FailingStatus {
    fn default() -> Self {
        Self { status: 1, message: "This answer was asked for.".to_owned(), error_code: "SandboxFault".to_owned() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum When {
    Before,
    After,
}

/// What all faults together do to one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ailment {
    pub(super) latency_ms: u64,
    pub(super) status: Option<(u16, Option<String>)>,
    pub(super) reset: Option<When>,
    pub(super) html: bool,
    pub(super) empty_body: bool,
    pub(super) truncated: bool,
    pub(super) wrong_shape: bool,
    pub(super) slow_body_ms: Option<u64>,
    pub(super) database_down: bool,
    pub(super) failing: Option<ndm::Failure>,
    pub(super) failing_items: Vec<i64>,
    pub(super) drop_get_bodies: bool,
    pub(super) token_seconds: Option<u64>,
    pub(super) blank_passwords: bool,
}

impl Faults {
    /// Reads one fault or a list of them.
    ///
    /// # Errors
    /// Text that is not JSON, or no fault.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let value: serde_json::Value = serde_json::from_slice(text)?;
        if value.is_array() {
            serde_json::from_value(value)
        } else {
            serde_json::from_value(value).map(|fault| Self(vec![fault]))
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// What happens to this call; counts it.
    pub(super) fn strike(&mut self, call: &Call) -> Ailment {
        let mut ailment = Ailment::default();
        // What spoils an answer waits for one that is the server's own.
        let replaced = self.0.iter().any(|fault| fault.replaces() && fault.concerns(call));
        for fault in self.0.iter_mut().filter(|fault| fault.concerns(call)) {
            if replaced && fault.spoils() {
                continue;
            }
            match &mut fault.effect {
                Effect::LatencyMs(wait) => ailment.latency_ms += *wait,
                // One status per request, the oldest fault first.
                Effect::NextStatus(_) if ailment.status.is_some() => continue,
                Effect::NextStatus(statuses) => {
                    if statuses.is_empty() {
                        continue;
                    }
                    ailment.status = Some((statuses.remove(0), fault.retry_after.clone()));
                }
                Effect::Reset(when) => ailment.reset = Some(*when),
                Effect::Html(on) => ailment.html |= *on,
                Effect::EmptyBody(on) => ailment.empty_body |= *on,
                Effect::TruncatedJson(on) => ailment.truncated |= *on,
                Effect::WrongShape(on) => ailment.wrong_shape |= *on,
                Effect::SlowBody(pause) => ailment.slow_body_ms = Some(*pause),
                Effect::DatabaseDown(on) => ailment.database_down |= *on,
                Effect::FailingStatus(_) if ailment.failing.is_some() => continue,
                Effect::FailingStatus(fault) => {
                    ailment.failing = Some(ndm::Failure {
                        status: fault.status,
                        message: fault.message.clone(),
                        code: fault.error_code.clone(),
                    });
                }
                Effect::FailingItems(ids) => ailment.failing_items.extend(ids.iter()),
                Effect::DropGetBodies(on) => ailment.drop_get_bodies |= *on,
                Effect::TokenSeconds(seconds) => ailment.token_seconds = Some(*seconds),
                Effect::BlankPasswords(on) => ailment.blank_passwords |= *on,
            }
            fault.count = fault.count.map(|left| left.saturating_sub(1));
        }
        self.0.retain(|fault| {
            let spent = matches!(&fault.effect, Effect::NextStatus(left) if left.is_empty());
            !spent && fault.count != Some(0)
        });
        ailment
    }
}

impl Fault {
    /// Something else answers, or nothing.
    fn replaces(&self) -> bool {
        match &self.effect {
            Effect::NextStatus(statuses) => !statuses.is_empty(),
            Effect::Html(on) => *on,
            Effect::Reset(_) | Effect::FailingStatus(_) => true,
            _ => false,
        }
    }

    fn spoils(&self) -> bool {
        matches!(
            self.effect,
            Effect::EmptyBody(_) | Effect::TruncatedJson(_) | Effect::WrongShape(_) | Effect::SlowBody(_)
        )
    }

    /// The service that an effect is for; counts of others don't touch it.
    fn in_reach(&self, call: &Call) -> bool {
        match &self.effect {
            Effect::FailingStatus(_) => ndm::is_data(call),
            Effect::DropGetBodies(_) | Effect::BlankPasswords(_) => ndm::is_data(call) && call.method == "GET",
            Effect::FailingItems(_) => ndm::is_data(call) && call.method == "DELETE",
            Effect::TokenSeconds(_) => ndm::is_security(call),
            _ => true,
        }
    }

    fn concerns(&self, call: &Call) -> bool {
        let method = self.method.as_deref();
        let path = self.path.as_deref().map(str::to_ascii_lowercase);
        self.in_reach(call)
            && method.is_none_or(|wanted| call.method.as_str().eq_ignore_ascii_case(wanted))
            && path.is_none_or(|prefix| call.path.to_ascii_lowercase().starts_with(&prefix))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::bare_call as call;
    use super::*;

    #[test]
    fn statuses_come_one_per_request_and_then_no_more() {
        let mut faults =
            Faults::parse(br#"{"nextStatus": [503, 429], "retryAfter": "1", "path": "/api/v1/act"}"#).unwrap();
        let get = call("GET", "/api/v1/activities", "");
        assert_eq!(faults.strike(&call("GET", "/other", "")), Ailment::default());
        assert_eq!(faults.strike(&get).status, Some((503, Some("1".to_owned()))));
        assert_eq!(faults.strike(&get).status, Some((429, Some("1".to_owned()))));
        assert_eq!(faults.strike(&get), Ailment::default());
    }

    #[test]
    fn counts_and_methods_limit_a_fault() {
        let mut faults =
            Faults::parse(br#"[{"reset": "after", "method": "put", "count": 1}, {"latencyMs": 5}]"#).unwrap();
        assert_eq!(faults.strike(&call("GET", "/x", "")).reset, None);
        assert_eq!(faults.strike(&call("PUT", "/x", "")).reset, Some(When::After));
        let third = faults.strike(&call("PUT", "/x", ""));
        assert_eq!((third.reset, third.latency_ms), (None, 5));
    }

    #[test]
    fn a_planned_status_is_not_spoiled() {
        let mut faults = Faults::parse(br#"[{"truncatedJson": true, "count": 1}, {"nextStatus": [429]}]"#).unwrap();
        let first = faults.strike(&call("GET", "/x", ""));
        assert_eq!((first.status, first.truncated), (Some((429, None)), false));
        assert!(faults.strike(&call("GET", "/x", "")).truncated);
    }

    #[test]
    fn faults_of_one_product_wait_for_it() {
        let mut faults = Faults::parse(br#"[{"failingStatus": {}, "count": 1}, {"tokenSeconds": 2}]"#).unwrap();
        assert_eq!(faults.strike(&call("GET", "/api/v1/activities", "")), Ailment::default());
        let token = faults.strike(&call("POST", "/GroupIDSecurityService/connect/token", ""));
        assert_eq!((token.token_seconds, token.failing.is_none()), (Some(2), true));
        let jobs = call("GET", "/groupiddataservice/api/DataSyncJobs", "");
        assert_eq!(faults.strike(&jobs).failing.map(|failure| failure.status), Some(1));
        assert_eq!(faults.strike(&jobs), Ailment::default());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Faults::parse(br#"{"failingStatus": {"stauts": 2}}"#).is_err());
        assert!(Faults::parse(br#"{"explode": true}"#).is_err());
        assert!(Faults::parse(br#"{"reset": "sometimes"}"#).is_err());
    }
}
