//! `Watch-JIMLog`: shows log entries as they come. The server only lists the newest entries, so each
//! look reads back to what is known, and what is known is told apart by the whole entry.

use super::super::Context;
use super::super::declared::{send, worded};
use super::super::session::Connected;
use super::change_history::printable;
use crate::api::{Method, Request};
use crate::binding::Variables;
use crate::failure::Failure;
use crate::protocol::Category;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::time::Duration;

/// Entries per request.
const PAGE: usize = 200;
/// Requests per look: 10,000 entries between two looks are more than people read.
const MOST_PAGES: usize = 50;
/// Services write to files of their own: an entry may appear after a later one of another service.
const LATE: TimeDelta = TimeDelta::seconds(10);
/// Failed looks in a row after which the watching ends; fewer when the credentials are refused.
const MOST_FAILURES: u32 = 10;
const MOST_REFUSALS: u32 = 3;

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let connected = context.session.connection()?;
    let variables = Variables::new(&context.arguments);
    let seconds = context.arguments.integer("IntervalSeconds").and_then(|s| u64::try_from(s).ok()).unwrap_or(2);
    let most_polls = context.arguments.integer("MaxPolls");
    let mut tail = Tail::default();
    let (mut polls, mut failures, mut refusals) = (0, 0, 0);
    loop {
        match look(context, &connected, &mut tail).await {
            Ok(fresh) => {
                (failures, refusals) = (0, 0);
                for entry in &fresh {
                    context.output.information(&line(entry)).await;
                }
            }
            Err(failure) => {
                failures += 1;
                let refused =
                    failure.report(crate::catalog::row::Product::Jim).category == Category::AuthenticationError;
                refusals = if refused { refusals + 1 } else { 0 };
                let last = most_polls.is_some_and(|most| polls + 1 >= most);
                if last || failures >= MOST_FAILURES || refusals >= MOST_REFUSALS {
                    return Err(worded(context, failure, &variables));
                }
                context.output.warning(&format!("Couldn't read the log, and try again: {failure}")).await;
            }
        }
        polls += 1;
        if most_polls.is_some_and(|most| polls >= most) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// Reads back to what is known, and says what is new, oldest first.
async fn look(context: &Context<'_>, connected: &Connected, tail: &mut Tail) -> Result<Vec<Entry>, Failure> {
    let mut read: Vec<Entry> = Vec::new();
    for page in 0..MOST_PAGES {
        let answer = send(context, connected, &request(context, page * PAGE)).await?;
        let entries: Vec<&RawValue> = answer.json().map_err(|e| Failure::Request { error: Box::new(e) })?;
        let entries: Vec<Entry> = entries.into_iter().map(Entry::new).collect();
        let is_last = entries.len() < PAGE;
        append(&mut read, entries);
        if is_last || tail.reaches(&read) {
            return Ok(tail.fresh(read));
        }
    }
    if tail.started && read.last().is_some_and(|oldest| !tail.known.contains_key(&oldest.text)) {
        let text = format!("More than {} entries came at once: the older ones of them are left out.", read.len());
        context.output.warning(&text).await;
    }
    Ok(tail.fresh(read))
}

fn request(context: &Context<'_>, offset: usize) -> Request {
    let mut request = Request::new(Method::Get, "/api/v1/logs")
        .with_query("limit", PAGE.to_string())
        .with_query("offset", offset.to_string());
    for (field, name) in [("service", "Service"), ("search", "Search")] {
        if let Some(text) = context.arguments.text(name).filter(|t| !t.is_empty()) {
            request = request.with_query(field, text);
        }
    }
    let levels = context.arguments.get("Level").and_then(|v| v.as_array()).into_iter().flatten();
    levels.filter_map(|l| l.as_str()).fold(request, |request, level| request.with_query("levels", level))
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    /// The whole entry: two with the same time are still two.
    text: String,
    /// `None` where the server's text is no date: such an entry counts as new.
    at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Fields {
    timestamp: String,
    level: String,
    level_short: Option<String>,
    message: String,
    exception: Option<String>,
    service: String,
}

impl Entry {
    fn new(raw: &RawValue) -> Self {
        let at = crate::shape::text_property(raw, "timestamp")
            .and_then(|t| DateTime::parse_from_rfc3339(&t).ok())
            .map(|at| at.with_timezone(&Utc));
        Self { text: raw.get().to_owned(), at }
    }
}

/// Puts an older page behind what was read. Entries that came meanwhile push old ones onto it: those
/// are dropped.
fn append(read: &mut Vec<Entry>, mut page: Vec<Entry>) {
    let most = read.len().min(page.len());
    let repeated = (1..=most).rev().find(|n| read[read.len() - n..] == page[..*n]).unwrap_or(0);
    read.extend(page.drain(repeated..));
}

/// What is known of the log's end.
#[derive(Debug, Default)]
struct Tail {
    started: bool,
    newest: Option<DateTime<Utc>>,
    /// Entries that may turn up again, and how often each is there.
    known: HashMap<String, usize>,
}

impl Tail {
    /// Whether an entry is so old that it is known, or of no interest.
    fn is_old(&self, entry: &Entry, newest: Option<DateTime<Utc>>) -> bool {
        matches!((entry.at, newest), (Some(at), Some(newest)) if at < newest - LATE)
    }

    /// Whether what was read goes back far enough.
    fn reaches(&self, read: &[Entry]) -> bool {
        let newest = self.newest.or_else(|| (!self.started).then(|| newest_of(read)).flatten());
        read.last().is_some_and(|entry| self.is_old(entry, newest))
    }

    /// The new ones of what was read (newest first), oldest first. The first time all are known.
    fn fresh(&mut self, read: Vec<Entry>) -> Vec<Entry> {
        let newest = self.newest.max(newest_of(&read));
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut fresh = Vec::new();
        for entry in read.into_iter().rev().filter(|e| !self.is_old(e, self.newest)) {
            let count = counts.entry(entry.text.clone()).or_default();
            *count += 1;
            if self.started && *count > self.known.get(&entry.text).copied().unwrap_or(0) {
                fresh.push(entry);
            }
        }
        counts.retain(|text, _| {
            RawValue::from_string(text.clone()).is_ok_and(|raw| !self.is_old(&Entry::new(&raw), newest))
        });
        (self.started, self.newest, self.known) = (true, newest, counts);
        fresh.sort_by_key(|e| e.at.unwrap_or(DateTime::<Utc>::MAX_UTC));
        fresh
    }
}

fn newest_of(read: &[Entry]) -> Option<DateTime<Utc>> {
    read.iter().filter_map(|e| e.at).max()
}

/// "2026-03-01 08:00:02.000Z ERR worker: disk full", and the exception below.
fn line(entry: &Entry) -> String {
    let fields: Fields = serde_json::from_str(&entry.text).unwrap_or_default();
    let at = entry.at.map_or(fields.timestamp, |at| at.format("%Y-%m-%d %H:%M:%S%.3fZ").to_string());
    let level = fields.level_short.filter(|l| !l.is_empty()).unwrap_or(fields.level);
    let exception = fields.exception.filter(|e| !e.is_empty()).map(|e| format!("\n{e}")).unwrap_or_default();
    printable(&format!("{at} {level} {}: {}{exception}", fields.service, fields.message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(second: u32, message: &str) -> Entry {
        let text = format!(
            r#"{{"timestamp":"2026-03-01T08:{:02}:{:02}Z","levelShort":"ERR","service":"worker","message":"{message}"}}"#,
            second / 60,
            second % 60
        );
        Entry::new(&RawValue::from_string(text).unwrap())
    }

    fn messages(entries: &[Entry]) -> Vec<String> {
        entries.iter().map(|e| serde_json::from_str::<Fields>(&e.text).unwrap().message).collect()
    }

    #[test]
    fn each_entry_is_shown_once_whatever_its_time() {
        let mut tail = Tail::default();
        assert!(tail.fresh(vec![entry(2, "b"), entry(1, "a")]).is_empty(), "what was there before isn't news");
        // The same time and text twice is two entries; one comes late, before the newest known.
        let read = vec![entry(2, "c"), entry(2, "c"), entry(2, "b"), entry(1, "late"), entry(1, "a")];
        assert_eq!(messages(&tail.fresh(read.clone())), ["late", "c", "c"]);
        assert!(tail.fresh(read).is_empty());
    }

    #[test]
    fn what_is_old_is_forgotten_and_stays_unshown() {
        let mut tail = Tail::default();
        tail.fresh(vec![entry(1, "a")]);
        assert_eq!(messages(&tail.fresh(vec![entry(100, "b"), entry(1, "a")])), ["b"]);
        assert_eq!(tail.known.len(), 1);
        assert!(tail.fresh(vec![entry(100, "b"), entry(1, "a")]).is_empty());
    }

    #[test]
    fn a_log_that_was_empty_has_only_news() {
        let mut tail = Tail::default();
        tail.fresh(Vec::new());
        assert_eq!(messages(&tail.fresh(vec![entry(2, "b"), entry(1, "a")])), ["a", "b"]);
    }

    #[test]
    fn pages_that_shift_repeat_nothing() {
        let mut read = vec![entry(5, "e"), entry(4, "d"), entry(3, "c")];
        append(&mut read, vec![entry(4, "d"), entry(3, "c"), entry(2, "b")]);
        assert_eq!(messages(&read), ["e", "d", "c", "b"]);
        append(&mut read, vec![entry(1, "a")]);
        assert_eq!(read.len(), 5);
    }

    #[test]
    fn lines_hold_no_control_characters() {
        let raw = r#"{"timestamp":"2026-03-01T08:00:02.5Z","levelShort":"ERR","service":"web","message":"a\u001b[2Jb","exception":"at x\n at y"}"#;
        let entry = Entry::new(&RawValue::from_string(raw.into()).unwrap());
        assert_eq!(line(&entry), "2026-03-01 08:00:02.500Z ERR web: a\u{FFFD}[2Jb\nat x\n at y");
    }
}
