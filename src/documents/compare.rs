//! What differs between two documents, as an administrator reads it: jobs by name, mappings by
//! attribute, settings by key; nested JSON by its members, scripts by lines, secrets never shown.

use super::node::{Document, Node, nested, same_value};
use super::path::Path;
use super::renewal::{IDS, RUN_STATE};
use super::rows::{self, Rule};
use super::secrets::{Secrets, split};
use similar::{Algorithm, DiffOp, capture_diff_slices};

#[derive(Debug, Clone, Copy)]
pub struct CompareOptions {
    /// Leave out ids and GUIDs of the server: they differ between servers.
    pub ignore_ids: bool,
    /// Also what the server writes while jobs run.
    pub include_run_state: bool,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { ignore_ids: true, include_run_state: false }
    }
}

impl CompareOptions {
    fn counts(self, here: &Here, name: &str) -> bool {
        // Nested JSON has members of its own by these names.
        if here.property.contains(':') {
            return true;
        }
        let id = IDS.contains(&name) || matches!(name, "jobGuid" | "jobCollectionGuid");
        (self.include_run_state || !RUN_STATE.contains(&name)) && !(self.ignore_ids && id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Collection,
    Job,
    /// A job as the collection's summary has it, where it differs otherwise than the job itself.
    JobSummary,
    Mapping,
    ObjectOption,
    Query,
    Setting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Removed,
    Changed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub change: Change,
    /// The job's name in the first document; in the second, for one that is only there.
    pub job: Option<String>,
    pub kind: Kind,
    /// Which mapping, query, setting: `User: mail`, `Source.Table`. Empty for the collection and its jobs.
    pub item: String,
    /// Empty when the whole item was added or removed.
    pub property: String,
    pub then: Option<String>,
    pub now: Option<String>,
}

/// Differences in the order of the first document, then what only the second has.
pub fn compare(then: &Document, now: &Document, options: CompareOptions) -> Vec<Difference> {
    let secrets = (Secrets::of(then), Secrets::of(now));
    let mut walk = Walk { options, secrets, found: Vec::new() };
    let here = Here { job: None, kind: Kind::Collection, item: String::new(), property: String::new() };
    let sides = (Side { node: then.root(), at: Path::default() }, Side { node: now.root(), at: Path::default() });
    walk.both(&here, &sides.0, &sides.1);
    without_echoes(walk.found)
}

/// The summary repeats its job: what both say is said once.
fn without_echoes(found: Vec<Difference>) -> Vec<Difference> {
    let echo = |one: &Difference| {
        let repeats = |other: &Difference| *other == Difference { kind: Kind::Job, ..one.clone() };
        one.kind == Kind::JobSummary && found.iter().any(repeats)
    };
    found.iter().filter(|one| !echo(one)).cloned().collect()
}

#[derive(Clone)]
struct Here {
    job: Option<String>,
    kind: Kind,
    item: String,
    property: String,
}

struct Side<'a> {
    node: &'a Node,
    at: Path,
}

struct Walk {
    options: CompareOptions,
    secrets: (Secrets, Secrets),
    found: Vec<Difference>,
}

impl Walk {
    fn both(&mut self, here: &Here, then: &Side, now: &Side) {
        match (then.node, now.node) {
            (Node::Object(_), Node::Object(_)) => self.objects(here, then, now),
            (Node::Array(a), Node::Array(b)) => self.arrays(here, then, now, a, b),
            (Node::Leaf(_), Node::Leaf(_)) => self.leaves(here, then, now),
            _ => self.note(here, Change::Changed, Some(summary(then.node)), Some(summary(now.node))),
        }
    }

    fn objects(&mut self, here: &Here, then: &Side, now: &Side) {
        let options = self.options;
        let counts = |name: &str| options.counts(here, name);
        for member in then.node.members().iter().filter(|member| counts(&member.name)) {
            let here = here.member(&member.name);
            let side = Side { node: &member.value, at: then.at.member(&member.name) };
            match now.node.get(&member.name) {
                Some(other) => self.both(&here, &side, &Side { node: other, at: now.at.member(&member.name) }),
                // Null and absent mean the same to the server.
                None if member.value.is_null() => {}
                None => self.note(&here, Change::Removed, Some(self.shown(0, &side)), None),
            }
        }
        for member in now.node.members().iter().filter(|member| counts(&member.name)) {
            if then.node.get(&member.name).is_none() && !member.value.is_null() {
                let side = Side { node: &member.value, at: now.at.member(&member.name) };
                self.note(&here.member(&member.name), Change::Added, None, Some(self.shown(1, &side)));
            }
        }
    }

    fn arrays(&mut self, here: &Here, then: &Side, now: &Side, a: &[Node], b: &[Node]) {
        let name = super::secrets::last_name(&then.at).unwrap_or_default().to_owned();
        let by_id: &[Rule] = if self.options.ignore_ids { &[] } else { &[Rule::Id] };
        let rules: Vec<Rule> = match name.as_str() {
            // A renamed job is one job with another name.
            "jobs" => vec![Rule::Key, Rule::Id],
            _ if rows::has_key(&name) => vec![Rule::Key],
            _ => by_id.iter().copied().chain([Rule::Index]).collect(),
        };
        let partners = rows::pair(&name, a, b, &rules);
        for (index, (row, partner)) in a.iter().zip(&partners).enumerate() {
            let here = here.row(&name, row, a, index);
            let side = Side { node: row, at: then.at.index(index) };
            match partner {
                Some(other) => self.both(&here, &side, &Side { node: &b[*other], at: now.at.index(*other) }),
                None => self.note(&here, Change::Removed, Some(self.shown(0, &side)), None),
            }
        }
        for (index, row) in b.iter().enumerate().filter(|(index, _)| !partners.contains(&Some(*index))) {
            let side = Side { node: row, at: now.at.index(index) };
            self.note(&here.row(&name, row, b, index), Change::Added, None, Some(self.shown(1, &side)));
        }
    }

    fn leaves(&mut self, here: &Here, then: &Side, now: &Side) {
        if same_value(then.node, now.node) {
            return;
        }
        let (Some(a), Some(b)) = (then.node.text(), now.node.text()) else {
            return self.note(here, Change::Changed, Some(self.shown(0, then)), Some(self.shown(1, now)));
        };
        let (a, hidden) = split(&a, self.secrets.0.at(&then.at));
        let (b, other) = split(&b, self.secrets.1.at(&now.at));
        // A placeholder may stand for any secret: no change is known.
        let alike = |(one, other): (&Option<String>, &Option<String>)| one.is_none() || other.is_none() || one == other;
        if hidden.len() != other.len() || !hidden.iter().zip(&other).all(alike) {
            let word = |secrets: &[_], text| Some(if secrets.is_empty() { "no secret" } else { text }.to_owned());
            self.note(here, Change::Changed, word(&hidden, "a secret"), word(&other, "another secret"));
        }
        if a == b || (hidden.len() != other.len() && (a == "(secret)" || b == "(secret)")) {
            return;
        }
        match (nested(&a), nested(&b)) {
            (Some(one), Some(other)) => {
                // Secrets are masked already: paths inside find none.
                let here = Here { property: format!("{}:", here.property), ..here.clone() };
                let at = then.at.member("");
                self.both(&here, &Side { node: &one, at: at.clone() }, &Side { node: &other, at });
            }
            _ if a.contains('\n') || b.contains('\n') => {
                let (then, now) = lines(&a, &b);
                self.note(here, Change::Changed, Some(then), Some(now));
            }
            _ => self.note(here, Change::Changed, Some(a), Some(b)),
        }
    }

    fn note(&mut self, here: &Here, change: Change, then: Option<String>, now: Option<String>) {
        let Here { job, kind, item, property } = here.clone();
        self.found.push(Difference { change, job, kind, item, property, then, now });
    }

    /// One side's value without its secrets.
    fn shown(&self, side: usize, value: &Side) -> String {
        let secrets = if side == 0 { &self.secrets.0 } else { &self.secrets.1 };
        match (value.node, value.node.text()) {
            (Node::Leaf(_), Some(text)) => {
                let (shown, _) = split(&text, secrets.at(&value.at));
                if shown.contains('\n') { format!("{} lines", shown.lines().count()) } else { shown }
            }
            // A row in a few words: what it is set to.
            (Node::Object(_), _) => {
                let member = |name: &str| {
                    let side_of = Side { node: value.node.get(name)?, at: value.at.member(name) };
                    Some(self.shown(side, &side_of)).filter(|text| !text.is_empty())
                };
                ["value", "transform", "sourceField", "query", "containerOptionValue"]
                    .iter()
                    .find_map(|name| member(name))
                    .unwrap_or_else(|| summary(value.node))
            }
            _ => summary(value.node),
        }
    }
}

impl Here {
    fn member(&self, name: &str) -> Self {
        // The parts every job and collection has are no properties.
        if matches!(name, "jobInfo" | "jobCollectionInfo" | "jobs") && self.property.is_empty() {
            return self.clone();
        }
        let dot = if self.property.is_empty() || self.property.ends_with(':') { "" } else { "." };
        Self { property: format!("{}{dot}{name}", self.property), ..self.clone() }
    }

    /// Into a row of an array; `all` tells whether the row's name is its own.
    fn row(&self, array: &str, row: &Node, all: &[Node], index: usize) -> Self {
        let text = |name: &str| row.get(name).and_then(Node::text).unwrap_or_default().into_owned();
        let kind = match array {
            "jobs" => {
                let kind = if row.get("jobInfo").is_some() { Kind::Job } else { Kind::JobSummary };
                return Self { job: rows::job_name(row), kind, item: String::new(), property: String::new() };
            }
            "fieldsMap" => Kind::Mapping,
            "objectsOption" => Kind::ObjectOption,
            "syncQuery" => Kind::Query,
            "settings" => Kind::Setting,
            _ => return Self { property: format!("{}[{index}]", self.property), ..self.clone() },
        };
        let item = match kind {
            Kind::Mapping => format!("{}: {}", object_type(row), text("destinationField")),
            Kind::Query => {
                let source = row.get("isSource").and_then(Node::as_bool).unwrap_or_default();
                format!("{}: {}", object_type(row), if source { "source" } else { "destination" })
            }
            Kind::ObjectOption => object_type(row),
            _ => {
                let key = text("key");
                let several = all.iter().filter(|other| other.get("key").and_then(Node::text).as_deref() == Some(&key));
                if several.count() > 1 { format!("{key} ({})", text("dataType")) } else { key }
            }
        };
        Self { kind, item, property: String::new(), ..self.clone() }
    }
}

/// The two types the documents show have names.
fn object_type(row: &Node) -> String {
    match row.get("objectType").and_then(Node::integer) {
        Some(1) => "User".to_owned(),
        Some(4) => "Group".to_owned(),
        Some(number) => format!("object type {number}"),
        None => "any object".to_owned(),
    }
}

fn summary(node: &Node) -> String {
    match node {
        Node::Object(members) => format!("an object with {} members", members.len()),
        Node::Array(items) => format!("{} rows", items.len()),
        Node::Leaf(raw) => node.text().map_or_else(|| raw.to_string(), Into::into),
    }
}

fn lines(then: &str, now: &str) -> (String, String) {
    let (a, b): (Vec<_>, Vec<_>) = (then.lines().collect(), now.lines().collect());
    let (mut count, mut first) = (0, None);
    for change in capture_diff_slices(Algorithm::Myers, &a, &b) {
        if !matches!(change, DiffOp::Equal { .. }) {
            count += change.old_range().len().max(change.new_range().len());
            first = first.or(Some(change.new_range().start + 1));
        }
    }
    let changed = match first {
        Some(first) => format!("{count} {} changed, first at line {first}", if count == 1 { "line" } else { "lines" }),
        None => "only line ends changed".to_owned(),
    };
    (format!("{} lines", a.len()), changed)
}
