//! What the sandbox was asked and what it carried out, for tests and for people who rehearse a script.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

/// Old entries make room, so that a long rehearsal stays small; the counts go on.
const KEPT: usize = 10_000;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// 0: the connection was dropped.
    pub(super) status: u16,
    /// Reached the API; false when a fault answered in its place.
    pub(super) executed: bool,
    /// The key's first characters or the token's kind, never the whole.
    pub(super) key: Option<String>,
    /// Names of the body's fields, never their values.
    pub(super) body_fields: Vec<String>,
    pub(super) at: String,
}

#[derive(Debug, Default)]
pub(super) struct Record {
    entries: std::collections::VecDeque<Entry>,
    sequence: u64,
    executed: u64,
    methods: BTreeMap<String, u64>,
    statuses: BTreeMap<u16, u64>,
}

impl Record {
    pub(super) fn add(&mut self, mut entry: Entry) {
        self.sequence += 1;
        entry.sequence = self.sequence;
        self.executed += u64::from(entry.executed);
        *self.methods.entry(entry.method.clone()).or_default() += 1;
        *self.statuses.entry(entry.status).or_default() += 1;
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(super) fn show(&self, connections: u64, most_at_once: u64) -> Value {
        json!({
            "requests": self.entries,
            "counts": {
                "total": self.sequence,
                "executed": self.executed,
                "byMethod": self.methods,
                "byStatus": self.statuses,
                "connections": connections,
                "mostAtOnce": most_at_once,
            },
        })
    }
}
