//! JSON that leaves as it came: order and repetition of members, and the text of every name, number
//! and string. Only the space between them is ours.

use super::error::DocumentError;
use super::path::Path;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// Deepest nesting that is read; a collection needs about six levels.
const DEEPEST: usize = 64;

#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    /// With its quotes and escapes.
    raw: Box<str>,
    pub value: Node,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Node {
    Object(Vec<Member>),
    Array(Vec<Node>),
    /// A string, number, boolean or null as it stands in the text.
    Leaf(Box<str>),
}

/// A whole document. Its root is an object.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    root: Node,
}

// Documents hold secrets: nothing of them is ever shown by accident.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Node")
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document")
    }
}

impl Member {
    pub fn new(name: &str, value: Node) -> Self {
        Self { name: name.to_owned(), raw: quoted(name), value }
    }

    pub fn with_value(&self, value: Node) -> Self {
        Self { name: self.name.clone(), raw: self.raw.clone(), value }
    }
}

impl Document {
    /// # Errors
    /// `NotJson` with the position, `TooDeep`, or `Shape` when the root is no object.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let root = Node::parse(text)?;
        match root {
            Node::Object(_) => Ok(Self { root }),
            _ => Err(DocumentError::Shape { path: String::new(), expected: "a JSON object" }),
        }
    }

    /// Of a root that is known to be an object.
    pub(super) fn of(root: Node) -> Self {
        Self { root }
    }

    pub fn root(&self) -> &Node {
        &self.root
    }

    pub fn root_mut(&mut self) -> &mut Node {
        &mut self.root
    }

    /// Without any space: what is sent.
    pub fn compact(&self) -> String {
        self.root.compact()
    }

    /// Two spaces a level, a member a line, a line feed at the end: what is kept in git.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.root.write(&mut out, Some(0));
        out.push('\n');
        out
    }
}

impl Node {
    /// # Errors
    /// As `Document::parse`, but for the root.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        visit(text, &mut |_, _, _| {})
    }

    pub fn string(text: &str) -> Self {
        Self::Leaf(quoted(text))
    }

    pub fn number(number: i64) -> Self {
        Self::Leaf(number.to_string().into())
    }

    pub fn boolean(value: bool) -> Self {
        Self::Leaf(value.to_string().into())
    }

    pub fn null() -> Self {
        Self::Leaf("null".into())
    }

    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().rev().find(|member| member.name == name).map(|member| &member.value)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Object(members) => {
                members.iter_mut().rev().find(|member| member.name == name).map(|member| &mut member.value)
            }
            _ => None,
        }
    }

    /// Replaces a member in its place, or adds it at the end. A node that is no object stays as it is.
    pub fn set(&mut self, name: &str, value: Self) {
        if let Some(old) = self.get_mut(name) {
            if !same_value(old, &value) {
                *old = value;
            }
        } else if let Self::Object(members) = self {
            members.push(Member::new(name, value));
        }
    }

    pub fn members(&self) -> &[Member] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }

    pub fn items_mut(&mut self) -> Option<&mut Vec<Self>> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Leaf(raw) if &**raw == "null")
    }

    /// The text of a string. A lone surrogate, which no text can hold, becomes U+FFFD.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        let Self::Leaf(raw) = self else { return None };
        let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
        if !inner.contains('\\') {
            return Some(Cow::Borrowed(inner));
        }
        let decoded = serde_json::from_str(raw).or_else(|_| serde_json::from_str(&without_surrogates(raw)));
        Some(Cow::Owned(decoded.unwrap_or_else(|_| inner.to_owned())))
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Leaf(raw) => raw.parse().ok(),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Leaf(raw) => raw.parse().ok(),
            _ => None,
        }
    }

    pub fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, None);
        out
    }

    /// Calls `f` with the path of every leaf, and the leaf.
    pub fn each_leaf(&self, path: &Path, f: &mut impl FnMut(&Path, &Self)) {
        match self {
            Self::Object(members) => {
                for member in members {
                    member.value.each_leaf(&path.member(&member.name), f);
                }
            }
            Self::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.each_leaf(&path.index(index), f);
                }
            }
            Self::Leaf(_) => f(path, self),
        }
    }

    fn write(&self, out: &mut String, indent: Option<usize>) {
        match self {
            Self::Leaf(raw) => out.push_str(raw),
            Self::Array(items) => {
                bracketed(out, indent, ('[', ']'), items, |out, item, indent| item.write(out, indent))
            }
            Self::Object(members) => bracketed(out, indent, ('{', '}'), members, |out, member, indent| {
                out.push_str(&member.raw);
                out.push_str(if indent.is_some() { ": " } else { ":" });
                member.value.write(out, indent);
            }),
        }
    }
}

fn bracketed<T>(
    out: &mut String,
    indent: Option<usize>,
    (open, close): (char, char),
    inner: &[T],
    write: impl Fn(&mut String, &T, Option<usize>),
) {
    let deeper = indent.map(|level| level + 1);
    let new_line = |out: &mut String, level: Option<usize>| {
        if let Some(level) = level {
            out.push('\n');
            out.push_str(&"  ".repeat(level));
        }
    };
    out.push(open);
    for (at, item) in inner.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        new_line(out, deeper);
        write(out, item, deeper);
    }
    if !inner.is_empty() {
        new_line(out, indent);
    }
    out.push(close);
}

/// Reads JSON and calls `f` with path, source text and offset in bytes of every node, parents first.
pub fn visit(text: &str, f: &mut dyn FnMut(&Path, &str, usize)) -> Result<Node, DocumentError> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    // Raw values are slices of the text: their addresses tell where they are.
    let base = text.as_ptr() as usize;
    read(raw, 0, &Path::default(), &mut |path, raw| f(path, raw, (raw.as_ptr() as usize).saturating_sub(base)))
}

fn read(raw: &RawValue, depth: usize, path: &Path, f: &mut dyn FnMut(&Path, &str)) -> Result<Node, DocumentError> {
    let text = raw.get();
    f(path, text);
    if depth > DEEPEST {
        return Err(DocumentError::TooDeep { limit: DEEPEST });
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    match text.as_bytes().first() {
        Some(b'{') => {
            let members = parser.deserialize_map(Members).map_err(|error| not_json(&error))?;
            let read_member = |(key, value): (&RawValue, &RawValue)| {
                let name = Node::Leaf(key.get().into()).text().unwrap_or_default().into_owned();
                let value = read(value, depth + 1, &path.member(&name), f)?;
                Ok(Member { name, raw: key.get().into(), value })
            };
            members.into_iter().map(read_member).collect::<Result<_, _>>().map(Node::Object)
        }
        Some(b'[') => {
            let items = parser.deserialize_seq(Items).map_err(|error| not_json(&error))?;
            let read_item = |(index, item)| read(item, depth + 1, &path.index(index), f);
            items.into_iter().enumerate().map(read_item).collect::<Result<_, _>>().map(Node::Array)
        }
        _ => Ok(Node::Leaf(text.into())),
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry().map_err(A::Error::custom)? {
            members.push(member);
        }
        Ok(members)
    }
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}

fn not_json(error: &serde_json::Error) -> DocumentError {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let cause = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text).to_owned();
    DocumentError::NotJson { line, column, cause }
}

/// Line numbers (from 1) of everything in a text.
pub struct Lines(HashMap<String, usize>);

impl Lines {
    /// Empty for a text that can't be read.
    pub fn of(text: &str) -> Self {
        let mut lines = HashMap::new();
        let (mut line, mut seen) = (1, 0);
        // Nodes come in the order of the text: every line feed is counted once.
        let _ = visit(text, &mut |path, _, offset| {
            line += text.as_bytes().get(seen..offset).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
            seen = seen.max(offset);
            lines.insert(path.to_string(), line);
        });
        Self(lines)
    }

    pub fn line(&self, path: &str) -> Option<usize> {
        self.0.get(path).copied()
    }
}

/// Whether two leaves mean the same: equal text, numbers equal by value. Not for objects and arrays.
pub fn same_value(one: &Node, other: &Node) -> bool {
    let (Node::Leaf(a), Node::Leaf(b)) = (one, other) else { return false };
    if a == b {
        return true;
    }
    if let (Some(a), Some(b)) = (one.text(), other.text()) {
        return a == b;
    }
    match (a.parse::<i128>(), b.parse::<i128>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b && a.is_finite()),
    }
}

/// JSON inside a string, as the product keeps some settings: only objects and arrays count.
pub fn nested(text: &str) -> Option<Node> {
    match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') => Node::parse(text).ok(),
        _ => None,
    }
}

pub fn quoted(text: &str) -> Box<str> {
    // Writing a string can't fail; Value's own Display needs no error path.
    serde_json::Value::from(text).to_string().into()
}

fn without_surrogates(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let surrogate = escape.get(..6).filter(|escape| {
            escape
                .get(2..)
                .and_then(|hex| u16::from_str_radix(hex, 16).ok())
                .is_some_and(|code| (0xD800..0xE000).contains(&code))
                && escape.starts_with("\\u")
        });
        let length = if surrogate.is_some() { 6 } else { 2 };
        out.push_str(if surrogate.is_some() { "\\ufffd" } else { escape.get(..2).unwrap_or(escape) });
        rest = escape.get(length..).unwrap_or_default();
    }
    out + rest
}
