//! Secrets in a document: where they are, placeholders in their stead, and back again.
//!
//! A placeholder is `{{secret:PATH}}`, where PATH is where the secret was when it was taken out:
//! `Static:value={{secret:jobs[0].fieldsMap[4].transform}}`. A text that holds more than the secret
//! has a name after the path: `{{secret:jobs[0].settings[20].value!clientSecret}}` for a member of
//! nested JSON, `…!password`, `…!password2` for literals of a script or a connection string.
//! Everything that is neither documented nor recognised stays visible: names of accounts, servers and
//! applications are sensitive but no secrets.

use super::error::DocumentError;
use super::node::{Document, Node, nested, quoted, visit};
use super::path::{Path, Step};
use super::rows::{self, Rule};
use regex_lite::{Captures, Regex};
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

/// `None` only if the expression itself were wrong, which the tests rule out.
type Pattern = LazyLock<Option<Regex>>;

static PASSWORD_FIELD: Pattern = LazyLock::new(|| Regex::new("(?i)password|pwd").ok());
static SECRET_NAME: Pattern = LazyLock::new(|| Regex::new("(?i)password|pwd|secret|certificate|serviceaccount").ok());
/// Text the server encrypted. The shape is known from a single sample.
static ENCRYPTED: Pattern = LazyLock::new(|| Regex::new(r#"[^\s#"\\]{3}##[^\s#"\\]{4}#[A-Za-z0-9+/]{8,}={0,2}"#).ok());
/// `password = "…"` in scripts and queries, also `Dim pwd As String = "…"` and `password: '…'`.
static ASSIGNED: Pattern = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(password|pwd|secret)\w*(?:["')\]]|\s)*(?:As\s+\w+\s*)?(?:[:=,(]|<>|\s)+(?:"((?:[^"\r\n]|"")+)"|'((?:[^'\r\n]|'')+)')"#,
    )
    .ok()
});
/// `;Password=…;` in connection strings.
static CONNECTION: Pattern =
    LazyLock::new(|| Regex::new(r#"(?i)(?:^|[;"'])\s*(password|pwd|client_?secret)\s*=\s*([^;"'\r\n]+)"#).ok());
static PLACEHOLDER: Pattern = LazyLock::new(|| Regex::new(r"\{\{secret:([^{}]*)\}\}").ok());

/// A secret: a part of the text of one string.
pub(super) struct Secret {
    /// Empty when it is all of the text, or all behind a transform's kind.
    pub tail: String,
    pub range: Range<usize>,
}

/// All secrets of a document, by the path of the string they are in.
pub(super) struct Secrets(HashMap<Path, Vec<Secret>>);

impl Secrets {
    pub fn of(document: &Document) -> Self {
        let mut found = HashMap::new();
        search(document.root(), &Path::default(), Hint::Plain, &mut found);
        Self(found)
    }

    pub fn at(&self, path: &Path) -> &[Secret] {
        self.0.get(path).map_or(&[], Vec::as_slice)
    }
}

/// What the surroundings say about a string.
#[derive(Clone, Copy, PartialEq)]
enum Hint {
    Plain,
    /// The transform of a mapping onto a password attribute.
    Transform,
    /// A member or setting whose name says that it is a secret.
    Secret,
}

fn search(node: &Node, path: &Path, hint: Hint, found: &mut HashMap<Path, Vec<Secret>>) {
    match node {
        Node::Object(members) => {
            for member in members {
                let hint = hint_for(node, &member.name, hint);
                search(&member.value, &path.member(&member.name), hint, found);
            }
        }
        Node::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                search(item, &path.index(index), hint, found);
            }
        }
        Node::Leaf(_) => {
            let Some(text) = node.text() else { return };
            let secrets: Vec<_> = in_text(&text, hint)
                .into_iter()
                .filter(|secret| !is_placeholder(&text[secret.range.clone()]))
                .collect();
            // A member that occurs twice: the last counts.
            if secrets.is_empty() {
                found.remove(path);
            } else {
                found.insert(path.clone(), secrets);
            }
        }
    }
}

fn hint_for(owner: &Node, name: &str, inherited: Hint) -> Hint {
    if name == "transform" && is_password_mapping(owner) {
        return Hint::Transform;
    }
    // A setting's own name is in its `key`; of a typed one only text can be a secret.
    if let ("value", Some(key)) = (name, owner.get("key").and_then(Node::text)) {
        let kind = owner.get("dataType").and_then(Node::text);
        let textual = kind.is_none_or(|kind| kind.is_empty() || kind.eq_ignore_ascii_case("System.String"));
        return if textual && matches(&SECRET_NAME, &key) { Hint::Secret } else { inherited };
    }
    if inherited == Hint::Secret || matches(&SECRET_NAME, name) { Hint::Secret } else { Hint::Plain }
}

fn in_text(text: &str, hint: Hint) -> Vec<Secret> {
    let whole = |from: usize| vec![Secret { tail: String::new(), range: from..text.len() }];
    let harmless = |text: &str| text.is_empty() || ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    match hint {
        Hint::Transform => {
            // `Static:value=`, `Script:text=`; of other kinds anything behind the kind may be one.
            let kind = ["Static:value=", "Script:text="].iter().find(|kind| text.starts_with(**kind));
            let from = kind.map_or_else(|| text.find(':').map_or(0, |at| at + 1), |kind| kind.len());
            let value = &text[from..];
            // `pwdLastSet` is set to these, and no password is.
            if harmless(value) || matches!(value, "0" | "-1") { Vec::new() } else { whole(from) }
        }
        Hint::Secret => {
            if harmless(text) {
                Vec::new()
            } else {
                whole(0)
            }
        }
        Hint::Plain if nested(text).is_some() => in_json(text),
        Hint::Plain => in_script(text),
    }
}

/// In nested JSON: ranges of what is between the quotes of a string, in the escaped text.
fn in_json(text: &str) -> Vec<Secret> {
    let mut strings: Vec<(Path, Range<usize>)> = Vec::new();
    let visited = visit(text, &mut |path, raw, offset| {
        if raw.len() > 2 && raw.starts_with('"') {
            strings.push((path.clone(), offset + 1..offset + raw.len() - 1));
        }
    });
    let Ok(root) = visited else { return Vec::new() };
    let mut inner = HashMap::new();
    search(&root, &Path::default(), Hint::Plain, &mut inner);
    let secret = |(path, range): (Path, Range<usize>)| {
        // A part of a string of nested JSON: all of that string.
        let tail = format!("!{path}");
        inner.contains_key(&path).then_some(Secret { tail, range })
    };
    strings.into_iter().filter_map(secret).collect()
}

fn in_script(text: &str) -> Vec<Secret> {
    let mut ranges: Vec<(String, Range<usize>)> = Vec::new();
    let mut add = |word: &str, range: Range<usize>| {
        if !ranges.iter().any(|(_, known)| known.start < range.end && range.start < known.end) {
            ranges.push((word.to_ascii_lowercase(), range));
        }
    };
    for found in ENCRYPTED.iter().flat_map(|pattern| pattern.find_iter(text)) {
        if found.range() == (0..text.len()) {
            return vec![Secret { tail: String::new(), range: found.range() }];
        }
        add("encrypted", found.range());
    }
    for pattern in [&CONNECTION, &ASSIGNED] {
        for found in pattern.iter().flat_map(|pattern| pattern.captures_iter(text)) {
            if let (Some(word), Some(value)) = (found.get(1), found.get(2).or_else(|| found.get(3))) {
                add(word.as_str(), value.range());
            }
        }
    }
    ranges.sort_by_key(|(_, range)| range.start);
    let mut count: HashMap<String, usize> = HashMap::new();
    let named = ranges.into_iter().map(|(word, range)| {
        let nth = count.entry(word.clone()).and_modify(|nth| *nth += 1).or_insert(1);
        let tail = if *nth == 1 { format!("!{word}") } else { format!("!{word}{nth}") };
        Secret { tail, range }
    });
    named.collect()
}

/// The same document with placeholders for its secrets.
pub(super) fn redact(document: &Document) -> Document {
    let mut redacted = document.clone();
    for (path, secrets) in Secrets::of(document).0 {
        let Some(node) = path.find_mut(redacted.root_mut()) else { continue };
        let Some(mut text) = node.text().map(String::from) else { continue };
        for secret in secrets.iter().rev() {
            // Of members that occur twice the secrets found last count; ranges of others may not fit.
            if text.get(secret.range.clone()).is_some() {
                text.replace_range(secret.range.clone(), &format!("{{{{secret:{path}{}}}}}", secret.tail));
            }
        }
        *node = Node::string(&text);
    }
    redacted
}

/// Where the secrets are, as placeholders name them, in the order of the document.
pub fn secret_paths(document: &Document) -> Vec<String> {
    let secrets = Secrets::of(document);
    let mut paths = Vec::new();
    document.root().each_leaf(&Path::default(), &mut |path, _| {
        paths.extend(secrets.at(path).iter().map(|secret| format!("{path}{}", secret.tail)));
    });
    paths
}

/// Placeholders anywhere in the document: the path of the string, and the path the placeholder names.
pub fn placeholders(document: &Document) -> Vec<(Path, String)> {
    let mut found = Vec::new();
    document.root().each_leaf(&Path::default(), &mut |path, leaf| {
        let text = leaf.text().unwrap_or_default();
        let named = PLACEHOLDER.iter().flat_map(|pattern| pattern.captures_iter(&text));
        found.extend(named.map(|captures| (path.clone(), captures[1].to_owned())));
    });
    found
}

/// Whether some mapping sets a password attribute: newer servers return those blanked, and writing the
/// document back may then wipe the password.
pub fn has_password_mapping(document: &Document) -> bool {
    let jobs = document.root().get("jobs").map(Node::items).unwrap_or_default();
    let single = std::slice::from_ref(document.root());
    let mut mappings = jobs.iter().chain(single).filter_map(|job| job.get("fieldsMap")).flat_map(Node::items);
    mappings.any(is_password_mapping)
}

pub(super) fn is_password_mapping(mapping: &Node) -> bool {
    mapping.get("destinationField").and_then(Node::text).is_some_and(|field| matches(&PASSWORD_FIELD, &field))
}

/// Puts secrets where placeholders are: from `given`, by the path a placeholder names or the path it is
/// at now, else from the same place of `live`: the row of the same meaning, not of the same position.
///
/// # Errors
/// `Unfilled` with the paths for which neither has one.
pub fn fill(
    document: &Document,
    live: Option<&Document>,
    given: &HashMap<String, SecretString>,
) -> Result<Document, DocumentError> {
    let live_secrets = live.map(Secrets::of);
    let mut filling = Filling { given, live: live_secrets.as_ref(), missing: Vec::new() };
    let mut filled = document.clone();
    let known = live.map(|live| (live.root(), Path::default()));
    filling.node("", filled.root_mut(), &Path::default(), known);
    if filling.missing.is_empty() { Ok(filled) } else { Err(DocumentError::Unfilled { paths: filling.missing }) }
}

struct Filling<'a> {
    given: &'a HashMap<String, SecretString>,
    live: Option<&'a Secrets>,
    missing: Vec<String>,
}

impl Filling<'_> {
    fn node(&mut self, name: &str, node: &mut Node, path: &Path, live: Option<(&Node, Path)>) {
        match node {
            Node::Object(members) => {
                for member in members {
                    let known =
                        live.as_ref().and_then(|(live, at)| Some((live.get(&member.name)?, at.member(&member.name))));
                    self.node(&member.name, &mut member.value, &path.member(&member.name), known);
                }
            }
            Node::Array(items) => {
                let others = live.as_ref().map(|(live, _)| live.items()).unwrap_or_default();
                // A renamed job is still the same job; elsewhere an id alone may be another server's.
                let rules: &[Rule] = match name {
                    "jobs" => &[Rule::IdAndKey, Rule::Key, Rule::Id],
                    _ if rows::has_key(name) => &[Rule::IdAndKey, Rule::Key],
                    _ => &[Rule::Id, Rule::Index],
                };
                let partners = rows::pair(name, items, others, rules);
                for (index, (item, partner)) in items.iter_mut().zip(partners).enumerate() {
                    let known =
                        live.as_ref().zip(partner).map(|((_, at), partner)| (&others[partner], at.index(partner)));
                    self.node("", item, &path.index(index), known);
                }
            }
            Node::Leaf(_) => {
                if let Some(filled) = self.leaf(node, path, live.as_ref().map(|(live, at)| (*live, at))) {
                    *node = filled;
                }
            }
        }
    }

    fn leaf(&mut self, node: &Node, path: &Path, live: Option<(&Node, &Path)>) -> Option<Node> {
        let text = node.text()?;
        let pattern = PLACEHOLDER.as_ref().filter(|pattern| pattern.is_match(&text))?;
        let live_text = live.and_then(|(live, _)| live.text());
        let in_json = nested(&text).is_some();
        let filled = pattern.replace_all(&text, |found: &Captures| {
            let label = &found[1];
            let tail = label.find('!').map_or("", |at| &label[at..]);
            if let Some(secret) = self.given.get(label).or_else(|| self.given.get(&format!("{path}{tail}"))) {
                let secret = secret.expose_secret();
                return if in_json { escaped(secret) } else { secret.to_owned() };
            }
            let secrets = live.and_then(|(_, at)| Some(self.live?.at(at))).unwrap_or_default();
            let range = secrets.iter().find(|secret| secret.tail == tail).map(|secret| secret.range.clone());
            if let Some(known) = range.and_then(|range| live_text.as_ref()?.get(range)) {
                return known.to_owned();
            }
            self.missing.push(label.to_owned());
            String::new()
        });
        // With the secret back in its place, escapes are as the server wrote them.
        match live {
            Some((live, _)) if live_text.as_ref().is_some_and(|text| *text == filled) => Some(live.clone()),
            _ => Some(Node::string(&filled)),
        }
    }
}

/// A string in two parts: what may be shown, and its secrets. Placeholders count as secrets nobody knows.
pub(super) fn split(text: &str, secrets: &[Secret]) -> (String, Vec<Option<String>>) {
    let mut parts: Vec<(Range<usize>, Option<String>)> =
        secrets.iter().map(|secret| (secret.range.clone(), text.get(secret.range.clone()).map(String::from))).collect();
    parts.extend(PLACEHOLDER.iter().flat_map(|pattern| pattern.find_iter(text)).map(|found| (found.range(), None)));
    parts.sort_by_key(|(range, _)| range.start);
    let mut shown = text.to_owned();
    for (range, _) in parts.iter().rev() {
        if shown.get(range.clone()).is_some() {
            shown.replace_range(range.clone(), "(secret)");
        }
    }
    (shown, parts.into_iter().map(|(_, value)| value).collect())
}

/// As it stands between the quotes of nested JSON.
fn escaped(text: &str) -> String {
    let quoted = quoted(text);
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

fn is_placeholder(text: &str) -> bool {
    PLACEHOLDER.iter().any(|pattern| pattern.find(text).is_some_and(|found| found.range() == (0..text.len())))
}

fn matches(pattern: &Pattern, text: &str) -> bool {
    pattern.iter().any(|pattern| pattern.is_match(text))
}

/// Names of the members on a path, for callers that judge by them.
pub(super) fn last_name(path: &Path) -> Option<&str> {
    path.0.iter().rev().find_map(|step| match step {
        Step::Member(name) => Some(name.as_str()),
        Step::Index(_) => None,
    })
}

#[cfg(test)]
pub(super) fn patterns_compile() -> bool {
    let all = [&PASSWORD_FIELD, &SECRET_NAME, &ENCRYPTED, &ASSIGNED, &CONNECTION, &PLACEHOLDER];
    all.iter().all(|pattern| pattern.is_some())
}
