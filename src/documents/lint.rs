//! Mistakes that can be found in a document without asking a server, with the lines they are on.

use super::error::DocumentError;
use super::identity::{Job, jobs, summaries};
use super::node::{Document, Lines, Node, nested, same_value};
use super::path::Path;
use super::renewal::IDS;
use super::repair::{damaged_json, repair};
use super::rows;
use super::secrets::placeholders;
use std::collections::{BTreeMap, HashMap};

/// What the document is meant for: ids must be 0 for one, and not for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Create,
    Update,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Information,
    /// May be meant, more likely isn't.
    Warning,
    /// Would be refused, or do something else than it says.
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// Stable; scripts filter by it.
    pub code: &'static str,
    /// From 1.
    pub line: Option<usize>,
    /// Empty for the document as a whole.
    pub path: String,
    /// Never holds a value that may be a secret.
    pub message: String,
}

/// Findings by line.
pub fn lint(text: &str, purpose: Purpose) -> Vec<Finding> {
    let repaired = repair(text);
    let mut lint = Lint { lines: Lines::of(&repaired.text), found: Vec::new() };
    if repaired.outside > 0 {
        let message = format!(
            "The text has {} no-break spaces where JSON allows only plain ones, as copied from a web page. They are read as plain spaces.",
            repaired.outside
        );
        lint.add(Severity::Warning, "NoBreakSpaceOutside", "", message);
    }
    match Document::parse(&repaired.text) {
        Ok(document) => {
            for (path, count) in &repaired.inside {
                let json = path.find(document.root()).and_then(Node::text).is_some_and(|text| damaged_json(&text));
                let harm = if json { ", which makes the JSON in it unreadable" } else { "" };
                let message = format!(
                    "This value has {count} no-break spaces in it{harm}. Replace them by plain spaces unless they belong there."
                );
                lint.add(Severity::Warning, "NoBreakSpaceInside", &path.to_string(), message);
            }
            lint.document(&document, purpose);
        }
        Err(DocumentError::NotJson { line, column, cause }) => {
            let message = format!("This is not JSON: {cause} (line {line}, column {column}).");
            let line = Some(line);
            lint.found.push(Finding { severity: Severity::Error, code: "NotJson", line, path: String::new(), message });
        }
        Err(DocumentError::Shape { .. }) => {
            lint.add(
                Severity::Error,
                "WrongRoot",
                "",
                "A job collection is a JSON object; this is not one.".to_owned(),
            );
        }
        Err(error) => lint.add(Severity::Error, error.code(), "", format!("The document can't be used: {error}.")),
    }
    lint.found.sort_by_key(|finding| finding.line);
    lint.found
}

struct Lint {
    lines: Lines,
    found: Vec<Finding>,
}

impl Lint {
    fn add(&mut self, severity: Severity, code: &'static str, path: &str, message: String) {
        // What is missing has no line: that of what it is missing from.
        let mut known = path;
        let mut line = self.lines.line(known);
        while line.is_none() && !known.is_empty() {
            known = &known[..known.rfind(['.', '[']).unwrap_or(0)];
            line = self.lines.line(known);
        }
        self.found.push(Finding { severity, code, line, path: path.to_owned(), message });
    }

    fn document(&mut self, document: &Document, purpose: Purpose) {
        let root = document.root();
        if !self.root(root) {
            return;
        }
        for (path, named) in placeholders(document) {
            let message = format!(
                "A placeholder stands for a secret here ({named}): it must be filled before the document is sent."
            );
            self.add(Severity::Error, "PlaceholderLeft", &path.to_string(), message);
        }
        self.ids(root, purpose);
        if let Ok(jobs) = jobs(document) {
            self.copies(document, &jobs);
            self.run_order(&jobs);
            self.names(&jobs);
        }
        let id = root.get("jobCollectionInfo").and_then(|info| info.get("id")).cloned();
        for (index, job) in root.get("jobs").map(Node::items).unwrap_or_default().iter().enumerate() {
            self.job(job, &Path::default().member("jobs").index(index), id.as_ref());
        }
    }

    /// Whether it is a job collection at all.
    fn root(&mut self, root: &Node) -> bool {
        let info = root.get("jobCollectionInfo");
        if root.get("data").is_some() && info.is_none() {
            let message = "This is a server's whole answer: the job collection is what its 'data' holds.";
            self.add(Severity::Error, "WrongRoot", "data", message.to_owned());
            return false;
        }
        if root.get("jobInfo").is_some() && info.is_none() {
            self.add(
                Severity::Error,
                "WrongRoot",
                "jobInfo",
                "This is a single job, not a collection of jobs.".to_owned(),
            );
            return false;
        }
        let checks = [
            ("jobCollectionInfo", matches!(info, Some(Node::Object(_))), "an object"),
            ("jobs", matches!(root.get("jobs"), Some(Node::Array(_))), "an array"),
        ];
        for (name, right, expected) in checks {
            if !right {
                self.add(
                    Severity::Error,
                    "WrongRoot",
                    name,
                    format!("A job collection has '{name}', and it is {expected}."),
                );
            }
        }
        let name = info.and_then(|info| info.get("name")).and_then(Node::text);
        if matches!(info, Some(Node::Object(_))) && name.is_none_or(|name| name.trim().is_empty()) {
            self.add(Severity::Error, "NoName", "jobCollectionInfo.name", "The collection has no name.".to_owned());
        }
        checks.iter().all(|(_, right, _)| *right)
    }

    fn ids(&mut self, root: &Node, purpose: Purpose) {
        if purpose == Purpose::Any {
            return;
        }
        root.each_leaf(&Path::default(), &mut |path, leaf| {
            let Some(id) = leaf.integer() else { return };
            let text = path.to_string();
            let name = super::secrets::last_name(path).unwrap_or_default();
            // Ids of rows the documents show; what else is called so is not ours to judge.
            if !IDS.contains(&name) || !text.starts_with("job") {
                return;
            }
            let own = matches!(text.as_str(), "jobCollectionInfo.id");
            match purpose {
                Purpose::Create if id != 0 => {
                    let message = format!("The id is {id}: what is created has none yet, so it must be 0.");
                    self.add(Severity::Error, "IdOnCreate", &text, message);
                }
                Purpose::Update if id == 0 && own => {
                    let message = "The collection's id is 0: an update finds the collection by it.".to_owned();
                    self.add(Severity::Error, "NoIdOnUpdate", &text, message);
                }
                Purpose::Update if id == 0 => {
                    let message = "The id is 0: what an update does with new rows is not documented.".to_owned();
                    self.add(Severity::Warning, "NoIdOnUpdate", &text, message);
                }
                _ => {}
            }
        });
        if purpose == Purpose::Update && root.get("jobCollectionInfo").is_none_or(|info| info.get("id").is_none()) {
            let message = "The collection has no id: an update finds the collection by it.".to_owned();
            self.add(Severity::Error, "NoIdOnUpdate", "jobCollectionInfo.id", message);
        }
    }

    /// `enabled`, `smartgroupSchedule` and `collectionId` differ in every documented sample.
    fn copies(&mut self, document: &Document, jobs: &[Job]) {
        let all = summaries(document);
        for job in jobs {
            let path = format!("jobs[{}].jobInfo", job.index);
            let Some((at, summary)) = job.summary.and_then(|at| Some((at, all.get(at)?))) else {
                let message = format!("The job '{}' is not in jobCollectionInfo.jobs.", job.name);
                self.add(Severity::Error, "JobUnpaired", &path, message);
                continue;
            };
            let rows = document.root().get("jobs").map(Node::items).unwrap_or_default();
            let info = rows.get(job.index).and_then(|row| row.get("jobInfo"));
            for name in ["name", "runOrder", "onFailure"] {
                let (one, other) = (info.and_then(|info| info.get(name)), summary.get(name));
                if one.zip(other).is_some_and(|(one, other)| !same_value(one, other))
                    || one.is_some() != other.is_some()
                {
                    let message = format!(
                        "The two copies of the job '{}' disagree on {name}: see jobCollectionInfo.jobs[{at}].{name}.",
                        job.name
                    );
                    self.add(Severity::Error, "CopiesDisagree", &format!("{path}.{name}"), message);
                }
            }
        }
        for at in (0..all.len()).filter(|at| jobs.iter().all(|job| job.summary != Some(*at))) {
            let message = "jobCollectionInfo.jobs names a job that is not among the jobs.".to_owned();
            self.add(Severity::Error, "JobUnpaired", &format!("jobCollectionInfo.jobs[{at}]"), message);
        }
    }

    fn run_order(&mut self, jobs: &[Job]) {
        let mut sorted: Vec<&Job> = jobs.iter().collect();
        sorted.sort_by_key(|job| job.run_order);
        for (at, job) in sorted.iter().enumerate() {
            let path = format!("jobs[{}].jobInfo.runOrder", job.index);
            let before = at.checked_sub(1).map_or(0, |at| sorted[at].run_order);
            if at > 0 && job.run_order == before {
                let message = format!("Two jobs have the run order {}.", job.run_order);
                self.add(Severity::Error, "RunOrderTwice", &path, message);
            } else if job.run_order != before + 1 {
                let message =
                    format!("The run order is {}, {} was expected: jobs count from 1.", job.run_order, before + 1);
                self.add(Severity::Warning, "RunOrderGap", &path, message);
            }
        }
    }

    fn names(&mut self, jobs: &[Job]) {
        for (at, job) in jobs.iter().enumerate() {
            if jobs[..at].iter().any(|other| other.name.to_lowercase() == job.name.to_lowercase()) {
                let message = format!("Two jobs are named '{}'.", job.name);
                self.add(Severity::Warning, "JobNameTwice", &format!("jobs[{}].jobInfo.name", job.index), message);
            }
        }
    }

    fn job(&mut self, job: &Node, path: &Path, collection: Option<&Node>) {
        let own = job.get("jobInfo").and_then(|info| info.get("collectionId")).filter(|id| !id.is_null());
        if own.zip(collection).is_some_and(|(own, collection)| !same_value(own, collection)) {
            let path = path.member("jobInfo").member("collectionId");
            let message = "The job's collectionId is not the id of this collection.".to_owned();
            self.add(Severity::Error, "CollectionIdDiffers", &path.to_string(), message);
        }
        self.keys(job, path);
        self.duplicate_settings(job, path);
        job.each_leaf(path, &mut |path, leaf| self.text(job, path, leaf));
    }

    fn keys(&mut self, job: &Node, path: &Path) {
        let mut types: BTreeMap<String, (bool, usize)> = BTreeMap::new();
        for (index, mapping) in job.get("fieldsMap").map(Node::items).unwrap_or_default().iter().enumerate() {
            let kind = mapping.get("objectType").map(Node::compact).unwrap_or_default();
            let is_key = mapping.get("isKey").and_then(Node::as_bool).unwrap_or(false);
            types.entry(kind).or_insert((false, index)).0 |= is_key;
        }
        for (kind, (_, first)) in types.iter().filter(|(_, (has_key, _))| !has_key) {
            let path = path.member("fieldsMap").index(*first);
            let message = format!("No mapping of object type {kind} is a key: objects could not be matched.");
            self.add(Severity::Error, "NoKeyMapping", &path.to_string(), message);
        }
    }

    /// The same key with another data type is normal (`Destination.Type`).
    fn duplicate_settings(&mut self, job: &Node, path: &Path) {
        let mut seen = HashMap::new();
        for (index, row) in job.get("settings").map(Node::items).unwrap_or_default().iter().enumerate() {
            let Some(key) = rows::key("settings", row) else { continue };
            if let Some(first) = seen.insert(key, index) {
                let path = path.member("settings").index(index);
                let name = row.get("key").and_then(Node::text).unwrap_or_default();
                let message =
                    format!("The setting '{name}' is there twice with the same data type (also at settings[{first}]).");
                self.add(Severity::Warning, "SettingTwice", &path.to_string(), message);
            }
        }
    }

    fn text(&mut self, job: &Node, path: &Path, leaf: &Node) {
        let Some(text) = leaf.text().filter(|text| !text.is_empty()) else { return };
        let row = |array: &str| match path.0.as_slice() {
            [.., super::path::Step::Member(owner), super::path::Step::Index(index), _] if owner == array => {
                job.get(array).and_then(|rows| rows.items().get(*index))
            }
            _ => None,
        };
        let name = super::secrets::last_name(path).unwrap_or_default();
        let setting = row("settings").and_then(|row| row.get("key")).and_then(Node::text).unwrap_or_default();
        let is_value = name == "value" && !setting.is_empty();
        let json_expected =
            (name == "options" && row("fieldsMap").is_some()) || (is_value && setting.ends_with("ContainerDetails"));
        let looks_like_json =
            is_value && text.trim_start().starts_with('{') && text.trim_end().ends_with('}') && text.contains('"');
        let redacted = text.contains("{{secret:");
        if (json_expected || looks_like_json) && nested(&text).is_none() && !redacted {
            let message = "The value should be JSON, and can't be read as such.".to_owned();
            self.add(Severity::Error, "NestedJson", &path.to_string(), message);
        }
        let script =
            (is_value && setting.ends_with("ScriptCode")) || (name == "transform" && text.starts_with("Script:"));
        if script {
            let message = "There is a script here: it runs on the server with the rights of the job.".to_owned();
            self.add(Severity::Information, "Script", &path.to_string(), message);
        }
    }
}
