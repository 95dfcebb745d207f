//! A document as if it had never been on a server: without ids and without a past. And the mark by
//! which a change between reading and writing is noticed.

use super::merge::surface;
use super::node::{Document, Node};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// What the server writes while jobs run, or works out itself: no part of what an administrator set up.
pub(super) const RUN_STATE: &[&str] = &[
    "timesRun",
    "lastRun",
    "lastRunDate",
    "lastOutCome",
    "lastOutComeDisplayText",
    "nextRun",
    "created",
    "modified",
    "totalJobs",
    "hasAccess",
];

/// Arrays of a job whose rows have server ids.
pub(super) const JOB_ROWS: &[&str] = &["fieldsMap", "objectsOption", "syncQuery", "settings"];

/// Members that hold server ids, in the objects `each_identified` visits.
pub(super) const IDS: &[&str] = &["id", "jobId", "collectionId"];

/// Present in every documented job but those of the documented create request.
const LEFT_OUT_OF_CREATE: &[&str] = &["delimiterSchema", "sourceSchema", "destinationSchema"];

/// Calls `f` for every object of a collection or job that has server ids.
pub(super) fn each_identified(root: &mut Node, f: &mut impl FnMut(&mut Node)) {
    if let Some(info) = root.get_mut("jobCollectionInfo") {
        f(info);
        info.get_mut("jobs").and_then(Node::items_mut).into_iter().flatten().for_each(&mut *f);
    }
    for job in root.get_mut("jobs").and_then(Node::items_mut).into_iter().flatten() {
        each_identified(job, f);
    }
    if let Some(info) = root.get_mut("jobInfo") {
        f(info);
    }
    for rows in JOB_ROWS {
        root.get_mut(rows).and_then(Node::items_mut).into_iter().flatten().for_each(&mut *f);
    }
}

/// The collection as it is created: ids 0, no GUIDs, never run. Dates of creation stay, as in the
/// documented request.
pub fn as_new(document: &Document) -> Document {
    let mut new = new_job(document);
    for job in new.root_mut().get_mut("jobs").and_then(Node::items_mut).into_iter().flatten() {
        if let Node::Object(members) = job {
            members.retain(|member| !(LEFT_OUT_OF_CREATE.contains(&member.name.as_str()) && member.value.is_null()));
        }
    }
    new
}

/// A job's own document as it is created: ids 0, no GUID, never run.
pub fn new_job(document: &Document) -> Document {
    let mut new = document.clone();
    each_identified(new.root_mut(), &mut renew);
    new
}

/// One object as if it were new: ids 0, no GUID, never run.
pub(super) fn renew(node: &mut Node) {
    for id in IDS {
        replace(node, id, |old| old.integer().is_some(), &Node::number(0));
    }
    replace(node, "jobCollectionGuid", |old| !old.is_null(), &Node::string(""));
    replace(node, "jobGuid", |old| !old.is_null(), &Node::null());
    never_run(node);
}

fn never_run(node: &mut Node) {
    replace(node, "timesRun", |old| !old.is_null(), &Node::number(0));
    replace(node, "lastOutCome", |old| !old.is_null(), &Node::string("None"));
    for state in ["lastRun", "lastRunDate", "lastOutComeDisplayText", "nextRun"] {
        replace(node, state, |_| true, &Node::null());
    }
}

/// The document as it stays while nobody changes it: never run, and what the server works out itself
/// as the documented samples have it. `modified` becomes `created`: it can't be left empty, and nobody
/// knows whether a run touches it.
pub fn at_rest(document: &Document) -> Document {
    let mut resting = document.clone();
    let mut rest = |node: &mut Node| {
        never_run(node);
        replace(node, "totalJobs", |old| old.integer().is_some(), &Node::number(0));
        replace(node, "hasAccess", |old| old.as_bool().is_some(), &Node::boolean(false));
        if let Some(created) = node.get("created").filter(|date| !date.is_null()).cloned() {
            replace(node, "modified", |old| !old.is_null(), &created);
        }
    };
    each_running(resting.root_mut(), &mut rest);
    resting
}

fn replace(node: &mut Node, name: &str, when: impl Fn(&Node) -> bool, value: &Node) {
    if node.get(name).is_some_and(when) {
        node.set(name, value.clone());
    }
}

/// SHA-256 of the document without run state, in 64 hex digits. Secrets don't go into it, so that it
/// may be shown: a change of nothing but a secret is not noticed.
pub fn fingerprint(document: &Document) -> String {
    let mut lasting = surface(document, true);
    forget_runs(lasting.root_mut());
    let digest = Sha256::digest(lasting.compact().as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn forget_runs(root: &mut Node) {
    each_running(root, &mut |node| {
        if let Node::Object(members) = node {
            members.retain(|member| !RUN_STATE.contains(&member.name.as_str()));
        }
    });
}

/// Calls `f` for every object that may have run state: those with ids, the jobs and the root.
fn each_running(root: &mut Node, f: &mut impl FnMut(&mut Node)) {
    each_identified(root, f);
    root.get_mut("jobs").and_then(Node::items_mut).into_iter().flatten().for_each(&mut *f);
    f(root);
}
