//! The envelopes that Directory Manager's answers come in, and when they mean success: HTTP 2xx
//! alone proves nothing, `status` must be 0 in the envelope and in everything under `details`.

use crate::api::{ApiError, Response, Unexpected};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// An answer of a list or an item (`count`, `data`, `status`, `message`), or of a change (all fields).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<'a> {
    /// 0 is success; other values are undocumented and stay what they are.
    #[serde(default)]
    status: Option<Value>,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    error_code: Option<Value>,
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    /// What it counts, matches or rows, is undocumented: never a reason to stop reading.
    #[serde(default)]
    count: Option<Value>,
    /// One envelope an item of a batch, recursive.
    #[serde(borrow, default)]
    details: Option<Vec<Envelope<'a>>>,
}

/// The server's "no", with all it says about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Refusal {
    pub status: Option<String>,
    pub message: Option<String>,
    pub error_code: Option<String>,
    /// Of these items; those that went well are left out.
    pub details: Vec<Refusal>,
}

/// What became of one item of a batch.
#[derive(Debug)]
pub struct Outcome {
    pub id: i64,
    pub result: Result<(), Refusal>,
}

impl<'a> Envelope<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    /// Another shape than an envelope.
    pub fn of(response: &'a Response) -> Result<Self, ApiError> {
        let envelope: Self = response.json().map_err(without_values)?;
        if envelope.status.is_none() {
            return Err(response.unexpected(Unexpected::WrongShape { cause: "it has no status".into() }));
        }
        Ok(envelope)
    }

    /// Is this level a success, and everything below it?
    pub fn refusal(&self) -> Option<Refusal> {
        let details: Vec<Refusal> = self.details.iter().flatten().filter_map(Self::refusal).collect();
        if self.is_good() && details.is_empty() {
            return None;
        }
        let text = |value: &Option<Value>| value.as_ref().and_then(words);
        Some(Refusal {
            status: if self.is_good() { None } else { text(&self.status) },
            message: text(&self.message),
            error_code: text(&self.error_code),
            details,
        })
    }

    fn is_good(&self) -> bool {
        // A detail of a batch may leave `status` out; only the number 0 is success where it is there.
        self.status.as_ref().is_none_or(|status| status.as_i64() == Some(0))
    }

    pub fn count(&self) -> Option<u64> {
        self.count.as_ref().and_then(Value::as_u64)
    }

    /// `data` as the id of what was created or changed.
    pub fn id(&self) -> Option<i64> {
        number(self.data?)
    }

    /// The outcome of each item of a batch. `Err`: the batch failed, or the server doesn't say for whom.
    ///
    /// That `details` has one entry an item, in order, is how batches are documented elsewhere; an entry
    /// that carries an id in `data` is taken by it.
    pub fn outcomes(&self, ids: &[i64]) -> Result<Vec<Outcome>, Refusal> {
        let good = |id: &i64| Outcome { id: *id, result: Ok(()) };
        let Some(refusal) = self.refusal() else { return Ok(ids.iter().map(good).collect()) };
        let details: &[Envelope<'_>] = self.details.as_deref().unwrap_or_default();
        if refusal.details.is_empty() {
            return Err(refusal);
        }
        let by_position = details.len() == ids.len() && details.iter().all(|d| d.id().is_none());
        let mut outcomes: Vec<Outcome> = ids.iter().map(good).collect();
        for (position, detail) in details.iter().enumerate() {
            let Some(failed) = detail.refusal() else { continue };
            let place = match detail.id() {
                Some(id) => ids.iter().position(|known| *known == id),
                None => by_position.then_some(position),
            };
            match place.and_then(|place| outcomes.get_mut(place)) {
                Some(outcome) => outcome.result = Err(failed),
                None => return Err(refusal),
            }
        }
        // The whole says no, and not every part of it was heard of: no item may pass for done.
        if !self.is_good() && details.len() < ids.len() {
            return Err(refusal);
        }
        Ok(outcomes)
    }
}

fn number(raw: &RawValue) -> Option<i64> {
    serde_json::from_str::<i64>(raw.get().trim_matches('"')).ok()
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => {
            // Fit for a terminal and of bounded length, as all of the server's words.
            let text: String =
                text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).take(2000).collect();
            Some(text.trim().to_owned())
        }
        other => Some(other.to_string()),
    }
}

/// A parser's words can quote a value of the answer, which may be a secret.
pub fn without_values(error: ApiError) -> ApiError {
    match error {
        ApiError::UnexpectedAnswer { status, url, subject, what: Unexpected::WrongShape { .. }, request_id } => {
            let what = Unexpected::WrongShape { cause: "a field has another type".into() };
            ApiError::UnexpectedAnswer { status, url, subject, what, request_id }
        }
        other => other,
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "the server said: {message}")?,
            None if self.status.is_none() => f.write_str("the server reports a failure for a part of it")?,
            None => f.write_str("the server reports a failure and gives no reason")?,
        }
        let facts: Vec<String> = [("status", &self.status), ("error code", &self.error_code)]
            .into_iter()
            .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} {value}")))
            .collect();
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        for detail in &self.details {
            write!(f, "\n  - {}", detail.to_string().replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn of(text: &str) -> Envelope<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_documented_success_is_one() {
        let envelope = of(
            r#"{"name":null,"type":6,"status":0,"message":null,"data":21,"details":[],"errorCode":null,"isResyncAble":true}"#,
        );
        assert_eq!((envelope.refusal(), envelope.id()), (None, Some(21)));
    }

    #[test]
    fn a_failure_at_any_depth_is_a_failure_and_keeps_the_servers_words() {
        for text in [
            r#"{"status":1,"message":"No."}"#,
            r#"{"status":"0","message":"No."}"#,
            r#"{"status":0,"details":[{"status":0,"details":[{"status":7,"message":"No.","errorCode":"E1"}]}]}"#,
        ] {
            let refusal = of(text).refusal().unwrap();
            assert!(refusal.to_string().contains("No."), "{refusal}");
        }
        let deep = of(r#"{"status":0,"details":[{"status":7,"message":"No.","errorCode":"E1"}]}"#).refusal().unwrap();
        assert_eq!(
            deep.to_string(),
            "the server reports a failure for a part of it\n  - the server said: No. (status 7, error code E1)"
        );
    }

    #[test]
    fn a_batch_tells_which_item_failed() {
        let failed = |text: &str| -> Option<Vec<i64>> {
            let outcomes = of(text).outcomes(&[4, 5]).ok()?;
            Some(outcomes.into_iter().filter(|o| o.result.is_err()).map(|o| o.id).collect())
        };
        assert_eq!(failed(r#"{"status":0,"details":[]}"#), Some(vec![]));
        assert_eq!(failed(r#"{"status":0,"details":null}"#), Some(vec![]));
        assert_eq!(failed(r#"{"status":1,"details":[{"status":0},{"status":3}]}"#), Some(vec![5]));
        assert_eq!(failed(r#"{"status":0,"details":[{"status":3,"data":5},{"status":0,"data":4}]}"#), Some(vec![5]));
        // Nobody knows whom these are about.
        assert_eq!(failed(r#"{"status":1,"message":"No."}"#), None);
        assert_eq!(failed(r#"{"status":0,"details":[{"status":3}]}"#), None);
        assert_eq!(failed(r#"{"status":1,"details":[{"status":3,"data":4}]}"#), None);
    }
}
