//! JSON that keeps its text: numbers, strings, key order and duplicate keys come out as they went in. Only the space
//! between the parts is lost, as with any server.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// As deep as ASP.NET reads.
const DEPTH: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Text of a string, a number, `true`, `false` or `null`.
    Leaf(String),
    List(Vec<Node>),
    /// Keys as they were written, with their quotes.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// `None`: no JSON, or nested too deeply.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        Self::read(raw, DEPTH)
    }

    fn read(raw: &RawValue, depth: usize) -> Option<Self> {
        let text = raw.get().trim();
        let deeper = depth.checked_sub(1);
        match text.as_bytes().first()? {
            b'{' => {
                let parts = serde_json::Deserializer::from_str(text).deserialize_map(Parts).ok()?;
                let read = |(key, value): (&RawValue, &RawValue)| {
                    Some((key.get().trim().to_owned(), Self::read(value, deeper?)?))
                };
                parts.into_iter().map(read).collect::<Option<_>>().map(Self::Object)
            }
            b'[' => {
                let rows = serde_json::Deserializer::from_str(text).deserialize_seq(Rows).ok()?;
                rows.into_iter().map(|row| Self::read(row, deeper?)).collect::<Option<_>>().map(Self::List)
            }
            _ => Some(Self::Leaf(text.to_owned())),
        }
    }

    pub(super) fn number(number: i64) -> Self {
        Self::Leaf(number.to_string())
    }

    /// From text of this program's own.
    pub(super) fn literal(text: &str) -> Self {
        Self::Leaf(text.to_owned())
    }

    /// Names without regard to case, as ASP.NET binds them; of duplicates the first.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(parts) = self else { return None };
        parts.iter().find(|(key, _)| named(key, name)).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(parts) = self else { return None };
        parts.iter_mut().find(|(key, _)| named(key, name)).map(|(_, value)| value)
    }

    /// In its place; at the end when there is none.
    pub(super) fn set(&mut self, name: &str, value: Self) {
        if let Some(place) = self.get_mut(name) {
            *place = value;
        } else if let Self::Object(parts) = self {
            parts.push((format!("\"{name}\""), value));
        }
    }

    /// The rows of a list; nothing else has any.
    pub(super) fn rows(&self) -> &[Self] {
        match self {
            Self::List(rows) => rows,
            _ => &[],
        }
    }

    pub(super) fn rows_mut(&mut self) -> &mut [Self] {
        match self {
            Self::List(rows) => rows,
            _ => &mut [],
        }
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Leaf(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A string's content.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Leaf(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }

    /// A leaf as people read it: strings without quotes, null as nothing.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Leaf(text) if text == "null" => String::new(),
            Self::Leaf(text) => self.text().unwrap_or_else(|| text.clone()),
            _ => String::new(),
        }
    }
}

fn named(key: &str, name: &str) -> bool {
    key.get(1..key.len().saturating_sub(1)).is_some_and(|key| key.eq_ignore_ascii_case(name))
}

impl fmt::Display for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(text) => out.write_str(text),
            Self::List(rows) => {
                out.write_str("[")?;
                for (index, row) in rows.iter().enumerate() {
                    write!(out, "{}{row}", if index == 0 { "" } else { "," })?;
                }
                out.write_str("]")
            }
            Self::Object(parts) => {
                out.write_str("{")?;
                for (index, (key, value)) in parts.iter().enumerate() {
                    write!(out, "{}{key}:{value}", if index == 0 { "" } else { "," })?;
                }
                out.write_str("}")
            }
        }
    }
}

struct Parts;
impl<'de> Visitor<'de> for Parts {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = map.next_entry()? {
            parts.push(part);
        }
        Ok(parts)
    }
}

struct Rows;
impl<'de> Visitor<'de> for Rows {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = list.next_element()? {
            rows.push(row);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_comes_out_as_it_went_in() {
        let text = r#"{"b":1.50,"a":12345678901234567890,"e":1E2,"d":"2024-06-04T10:46:33.13Z","\u0061b":"\/\u00e9\u00a0","x":[],"b":{"n":null},"l":[[1,2],{}]}"#;
        assert_eq!(Node::parse(text).unwrap().to_string(), text);
        assert_eq!(Node::parse(" { \"a\" : [ 1 , true ] } ").unwrap().to_string(), r#"{"a":[1,true]}"#);
    }

    #[test]
    fn broken_and_bottomless_text_is_refused() {
        assert_eq!(Node::parse("{\u{a0}\"a\": 1}"), None);
        assert_eq!(Node::parse("{\"a\": 1} x"), None);
        assert_eq!(Node::parse(&"[".repeat(100_000)), None);
        assert_eq!(Node::parse(&format!("{}{}", "[".repeat(100), "]".repeat(100))), None);
    }

    #[test]
    fn values_are_set_where_they_are() {
        let mut node = Node::parse(r#"{"Id":0,"name":"a"}"#).unwrap();
        node.set("id", Node::number(7));
        node.set("more", Node::literal("null"));
        assert_eq!(node.to_string(), r#"{"Id":7,"name":"a","more":null}"#);
        assert_eq!((node.get("ID").unwrap().int(), node.get("NAME").unwrap().text()), (Some(7), Some("a".to_owned())));
    }
}
