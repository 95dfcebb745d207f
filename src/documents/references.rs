//! What a document names that exists on one server alone, and putting another server's in its place.

use super::error::DocumentError;
use super::node::{Document, Node, nested, quoted, visit};
use super::path::Path;
use regex_lite::Regex;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

static GUID: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b").ok());

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReferenceKind {
    /// Number of a data source or an identity store.
    Provider,
    ProviderName,
    /// Distinguished name of a container.
    Container,
    /// GUIDs in a container's details.
    ContainerId,
    /// GUIDs of a job's owners: they decide who may change it.
    Owner,
    Schedule,
    Template,
    /// SQL tables and sheets, and queries: often the same everywhere.
    Table,
    Query,
}

impl ReferenceKind {
    pub const ALL: [Self; 9] = [
        Self::Provider,
        Self::ProviderName,
        Self::Container,
        Self::ContainerId,
        Self::Owner,
        Self::Schedule,
        Self::Template,
        Self::Table,
        Self::Query,
    ];

    /// Its name in a map of references.
    pub fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::ProviderName => "providerName",
            Self::Container => "container",
            Self::ContainerId => "containerId",
            Self::Owner => "owner",
            Self::Schedule => "schedule",
            Self::Template => "template",
            Self::Table => "table",
            Self::Query => "query",
        }
    }

    /// Whether it can't mean the same on another server: such a one must be mapped (to itself, if it
    /// happens to be the same).
    pub fn is_required(self) -> bool {
        !matches!(self, Self::Table | Self::Query)
    }
}

/// One value, wherever it occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub kind: ReferenceKind,
    pub value: String,
    pub paths: Vec<String>,
}

/// `{kind: {old: new}}`, compared without regard to case.
#[derive(Debug, Clone, Default)]
pub struct ReferenceMap(HashMap<(ReferenceKind, String), String>);

impl ReferenceMap {
    /// # Errors
    /// `NotJson`, or `BadMap` when it is no object of objects of texts by known kinds.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let bad = |cause: String| DocumentError::BadMap { cause };
        let document = Document::parse(text)?;
        let mut map = HashMap::new();
        for member in document.root().members() {
            let kind = ReferenceKind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(&member.name));
            let kind = kind.ok_or_else(|| {
                let known = ReferenceKind::ALL.map(ReferenceKind::name).join(", ");
                bad(format!("'{}' is no kind of reference; there are {known}", member.name))
            })?;
            if !matches!(member.value, Node::Object(_)) {
                return Err(bad(format!("'{}' is not an object of old and new values", member.name)));
            }
            for entry in member.value.members() {
                let new =
                    entry.value.text().map(String::from).or_else(|| entry.value.integer().map(|id| id.to_string()));
                let new =
                    new.ok_or_else(|| bad(format!("'{}' of {} has no text or number", entry.name, kind.name())))?;
                map.insert((kind, entry.name.to_lowercase()), new);
            }
        }
        Ok(Self(map))
    }

    fn new_value(&self, kind: ReferenceKind, old: &str) -> Option<&String> {
        self.0.get(&(kind, old.to_lowercase()))
    }
}

#[derive(Debug, Clone)]
pub struct Remapped {
    pub document: Document,
    /// References the map doesn't name; they are as they were.
    pub unmapped: Vec<Reference>,
}

/// Replaces what the map names.
pub fn remap(document: &Document, map: &ReferenceMap) -> Remapped {
    let mut remapping = Remapping { map, unmapped: Vec::new() };
    let mut remapped = document.clone();
    remapping.node(remapped.root_mut(), &Path::default(), None);
    Remapped { document: remapped, unmapped: remapping.unmapped }
}

/// How a leaf refers.
#[derive(Clone, Copy)]
enum Form {
    Whole(ReferenceKind),
    /// `Display#guid`, lists of GUIDs.
    Guids(ReferenceKind),
    /// JSON with GUIDs and distinguished names.
    Details,
}

struct Remapping<'a> {
    map: &'a ReferenceMap,
    unmapped: Vec<Reference>,
}

impl Remapping<'_> {
    fn node(&mut self, node: &mut Node, path: &Path, form: Option<Form>) {
        let setting = node.get("key").and_then(Node::text).map(String::from);
        match node {
            Node::Object(members) => {
                for member in members {
                    let form = match (&setting, member.name.as_str()) {
                        (Some(key), "value") => setting_form(key),
                        (_, name) => member_form(name),
                    };
                    self.node(&mut member.value, &path.member(&member.name), form);
                }
            }
            Node::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &path.index(index), None);
                }
            }
            Node::Leaf(_) => {
                if let Some(new) = form.and_then(|form| self.leaf(node, path, form)) {
                    *node = new;
                }
            }
        }
    }

    fn leaf(&mut self, node: &Node, path: &Path, form: Form) -> Option<Node> {
        if let (Form::Whole(kind), Some(number)) = (form, node.integer()) {
            let new = self.new_value(kind, &number.to_string(), path)?;
            return Some(new.parse().map_or_else(|_| Node::string(&new), Node::number));
        }
        let text = node.text()?;
        let mut places = places(&text, form);
        places.sort_by_key(|(_, range, _)| range.start);
        let mut replaced = text.clone().into_owned();
        // All are looked up in the order of the text, and replaced from its end.
        let new: Vec<_> = places.iter().map(|(kind, _, value)| self.new_value(*kind, value, path)).collect();
        for ((_, range, _), new) in places.iter().zip(new).rev() {
            if let Some(new) = new {
                let quoted = quoted(&new);
                let escaped = quoted.get(1..quoted.len() - 1).unwrap_or_default();
                replaced.replace_range(range.clone(), if matches!(form, Form::Details) { escaped } else { &new });
            }
        }
        (replaced != *text).then(|| Node::string(&replaced))
    }

    fn new_value(&mut self, kind: ReferenceKind, old: &str, path: &Path) -> Option<String> {
        let nothing = old.is_empty() || (kind == ReferenceKind::Schedule && old == "0");
        if let Some(new) = self.map.new_value(kind, old) {
            return Some(new.clone());
        }
        if !nothing {
            let path = path.to_string();
            match self.unmapped.iter_mut().find(|one| one.kind == kind && one.value.eq_ignore_ascii_case(old)) {
                Some(known) => known.paths.push(path),
                None => self.unmapped.push(Reference { kind, value: old.to_owned(), paths: vec![path] }),
            }
        }
        None
    }
}

fn places(text: &str, form: Form) -> Vec<(ReferenceKind, Range<usize>, String)> {
    let guids = |kind| {
        let found = GUID.iter().flat_map(|pattern| pattern.find_iter(text));
        found.map(|guid| (kind, guid.range(), guid.as_str().to_owned())).collect::<Vec<_>>()
    };
    match form {
        Form::Whole(kind) => vec![(kind, 0..text.len(), text.to_owned())],
        Form::Guids(kind) => {
            let found = guids(kind);
            // An owner that is named in another way is still an owner.
            if found.is_empty() { vec![(kind, 0..text.len(), text.to_owned())] } else { found }
        }
        Form::Details => {
            let mut found = guids(ReferenceKind::ContainerId);
            let mut distinguished = |_: &Path, raw: &str, offset: usize| {
                let inner = Node::Leaf(raw.into());
                if let Some(name) = inner.text().filter(|text| is_distinguished(text)) {
                    found.push((ReferenceKind::Container, offset + 1..offset + raw.len() - 1, name.into_owned()));
                }
            };
            if nested(text).is_some() {
                let _ = visit(text, &mut distinguished);
            }
            found
        }
    }
}

fn is_distinguished(text: &str) -> bool {
    ["OU=", "CN=", "DC="].iter().any(|part| text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(part)))
}

fn setting_form(key: &str) -> Option<Form> {
    let side = key.strip_prefix("Source").or_else(|| key.strip_prefix("Destination"));
    match (side, key) {
        (Some(".Type" | "Provider" | ".Provider"), _) => Some(Form::Whole(ReferenceKind::Provider)),
        (Some(".Container"), _) => Some(Form::Whole(ReferenceKind::Container)),
        (Some(".ContainerDetails"), _) => Some(Form::Details),
        (Some(".Table"), _) => Some(Form::Whole(ReferenceKind::Table)),
        (_, "JobOwners" | "JobOwnerIds") => Some(Form::Guids(ReferenceKind::Owner)),
        (_, "ScheduledTask" | "SmartGroupScheduleTask") => Some(Form::Whole(ReferenceKind::Schedule)),
        _ => None,
    }
}

fn member_form(name: &str) -> Option<Form> {
    match name {
        "sourceProvider" | "destinationProvider" => Some(Form::Whole(ReferenceKind::ProviderName)),
        "containerOptionValue" => Some(Form::Whole(ReferenceKind::Container)),
        "schedule" | "smartgroupSchedule" | "scheduledTask" => Some(Form::Whole(ReferenceKind::Schedule)),
        "templateId" => Some(Form::Whole(ReferenceKind::Template)),
        "query" => Some(Form::Whole(ReferenceKind::Query)),
        _ => None,
    }
}
