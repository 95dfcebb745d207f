//! Differences and documents in the words of questions, `-WhatIf` and views. Secrets are not in them:
//! `compare` doesn't give them out.

use super::documents::{is_code, is_script};
use crate::documents::{Change, CompareOptions, Difference, Document, Kind, Node, compare};

/// Differences named in a question.
const NAMED: usize = 20;
/// Longest value in one, in characters.
const LONGEST: usize = 120;

/// One line each.
pub fn differences(live: &Document, changed: &Document) -> Vec<String> {
    let found = compare(live, changed, CompareOptions { ignore_ids: false, include_run_state: true });
    // A job that comes or goes does so in both places where the document has it: that is said once.
    let echo = |one: &&Difference| one.kind == Kind::JobSummary && is_whole_job(one) && !stands_alone(one, &found);
    let mut lines: Vec<String> = found.iter().filter(|one| !echo(one)).map(difference).collect();
    if lines.len() > NAMED {
        let more = lines.len() - NAMED;
        lines.truncate(NAMED);
        lines.push(format!("and {more} more"));
    }
    if lines.is_empty() {
        lines.push("only the order of rows or the writing of values".into());
    }
    lines
}

/// `job 'Joiners', setting Source.Table: People$ -> Staff$`
fn difference(one: &Difference) -> String {
    let kind = match one.kind {
        Kind::Collection | Kind::Job => "",
        Kind::JobSummary => "summary",
        Kind::Mapping => "mapping",
        Kind::ObjectOption => "object option",
        Kind::Query => "query",
        Kind::Setting => "setting",
    };
    let job = one.job.as_ref().map(|job| format!("job '{job}'"));
    let item = Some(format!("{kind} {}", one.item).trim().to_owned());
    let parts = [job, item, Some(one.property.clone())];
    let place = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let value = |value: &Option<String>| match value.as_deref() {
        None | Some("") => "(empty)".to_owned(),
        Some(text) => shortened(text),
    };
    match one.change {
        Change::Added if is_whole_job(one) => format!("{place}: added"),
        Change::Removed if is_whole_job(one) => format!("{place}: removed"),
        Change::Changed => format!("{place}: {} -> {}", value(&one.then), value(&one.now)),
        Change::Added => format!("{place}: added, {}", value(&one.now)),
        Change::Removed => format!("{place}: removed, was {}", value(&one.then)),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

fn is_whole_job(one: &Difference) -> bool {
    matches!(one.kind, Kind::Job | Kind::JobSummary) && one.property.is_empty() && one.item.is_empty()
}

/// Only the summary has it.
fn stands_alone(one: &Difference, all: &[Difference]) -> bool {
    !all.iter().any(|other| other.kind == Kind::Job && is_whole_job(other) && other.job == one.job)
}

/// Jobs whose code is not among the code of `known`: it runs on the server with the rights of the job.
pub fn new_code(document: &Document, known: Option<&Document>) -> Vec<String> {
    let known: Vec<String> = known.map(code).unwrap_or_default().into_iter().map(|(_, code)| code).collect();
    let mut jobs: Vec<String> = Vec::new();
    for (job, _) in code(document).into_iter().filter(|(_, code)| !known.contains(code)) {
        if !jobs.contains(&job) {
            jobs.push(job);
        }
    }
    jobs
}

/// Job and text of every script.
fn code(document: &Document) -> Vec<(String, String)> {
    let text = |row: &Node, name: &str| row.get(name).and_then(Node::text).unwrap_or_default().into_owned();
    let mut found = Vec::new();
    for job in document.root().get("jobs").map(Node::items).unwrap_or_default() {
        let name = job.get("jobInfo").map(|info| text(info, "name")).unwrap_or_default();
        for row in job.get("settings").map(Node::items).unwrap_or_default() {
            let value = text(row, "value");
            if is_code(&text(row, "key")) && !value.is_empty() {
                found.push((name.clone(), value));
            }
        }
        for row in job.get("fieldsMap").map(Node::items).unwrap_or_default() {
            let transform = text(row, "transform");
            if is_script(&transform) {
                found.push((name.clone(), transform));
            }
        }
    }
    found
}

/// Names of jobs that one document has and the other lacks: what an update does with those isn't
/// documented.
pub fn jobs_only_in_one(live: &Document, changed: &Document) -> Vec<String> {
    let found = compare(live, changed, CompareOptions::default());
    let whole = |one: &&Difference| one.kind == Kind::Job && is_whole_job(one) && one.change != Change::Changed;
    found.iter().filter(whole).filter_map(|one| one.job.clone()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn differences_read_as_people_say_them() {
        let one = Difference {
            change: Change::Changed,
            job: Some("Joiners".into()),
            kind: Kind::Setting,
            item: "Source.Table".into(),
            property: "value".into(),
            then: Some("People$".into()),
            now: Some(String::new()),
        };
        assert_eq!(difference(&one), "job 'Joiners', setting Source.Table, value: People$ -> (empty)");
        let collection = Difference {
            job: None,
            kind: Kind::Collection,
            item: String::new(),
            property: "notifyWhen".into(),
            now: Some("x".repeat(500)),
            ..one.clone()
        };
        assert!(difference(&collection).starts_with("notifyWhen: People$ -> x"));
        assert!(difference(&collection).chars().count() < 200);
        let gone = Difference {
            change: Change::Removed,
            kind: Kind::Job,
            item: String::new(),
            property: String::new(),
            ..one
        };
        assert_eq!(difference(&gone), "job 'Joiners': removed");
    }
}
