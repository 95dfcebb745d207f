//! Binding of JSON bodies the way the real server does it: which mistakes are errors, in which words, at which byte.
//!
//! Names are case-insensitive, unknown names are ignored, duplicates are refused; numbers may be strings, enums may
//! not be numbers.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::errors;
use super::wire::{Call, Reply};

pub(super) struct Body<'a> {
    text: &'a str,
    fields: Vec<(String, &'a RawValue)>,
}

const NEEDED: (&str, &str) = ("request", "The request field is required.");

impl<'a> Body<'a> {
    /// `model` is the request type's name, which the server shows in its messages.
    ///
    /// # Errors
    /// 415 for another content type, 400 for no body, broken JSON, something else than an object, duplicates.
    pub(super) fn of(call: &'a Call, model: &str) -> Result<Self, Reply> {
        let kind = call.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !call.body.is_empty() && kind != "application/json" && !kind.ends_with("+json") {
            return Err(errors::problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "15.5.16"));
        }
        Self::parse(&call.body, model)
    }

    /// As `of`, for the routes that can do without a body.
    pub(super) fn optional(call: &'a Call, model: &str) -> Result<Self, Reply> {
        if call.body.is_empty() {
            return Ok(Self { text: "", fields: Vec::new() });
        }
        Self::of(call, model)
    }

    fn parse(bytes: &'a [u8], model: &str) -> Result<Self, Reply> {
        let text =
            std::str::from_utf8(bytes).map_err(|_| broken("$", "The JSON value is not valid UTF-8.".to_owned()))?;
        if text.trim().is_empty() {
            return Err(broken("", "A non-empty request body is required.".to_owned()));
        }
        let start = text.len() - text.trim_start().len();
        let fields = match serde_json::Deserializer::from_str(text).deserialize_map(Fields) {
            Ok(fields) if only_space_after(text) => fields,
            _ => return Err(Self::why_not(text, start, model)),
        };
        for (index, (name, _)) in fields.iter().enumerate() {
            if fields.iter().take(index).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(broken(
                    &format!("$.{name}"),
                    format!("Duplicate property '{name}' encountered during deserialization of type '{model}'."),
                ));
            }
        }
        Ok(Self { text, fields })
    }

    fn why_not(text: &str, start: usize, model: &str) -> Reply {
        let first = text.as_bytes().get(start).copied().unwrap_or_default();
        match first {
            b'{' => {
                let path = last_key(text).map_or_else(|| "$".to_owned(), |key| format!("$.{key}"));
                let reason = match serde_json::from_str::<&RawValue>(text) {
                    Err(error) if error.is_eof() => "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be closed.".to_owned(),
                    Err(error) => format!("The JSON text is not valid ({error})."),
                    Ok(_) => "The JSON text is not valid.".to_owned(),
                };
                located(&path, &reason, text, text.len())
            }
            b'[' | b'"' | b'-' | b'0'..=b'9' => {
                located("$", &format!("The JSON value could not be converted to {model}."), text, start + 1)
            }
            b't' | b'f' | b'n' => {
                let literal = match first {
                    b't' => "true",
                    b'f' => "false",
                    _ => "null",
                };
                let word = text.trim();
                if word == "null" {
                    return broken("", "A non-empty request body is required.".to_owned());
                }
                let same = word.bytes().zip(literal.bytes()).take_while(|(a, b)| a == b).count();
                located(
                    "$",
                    &format!("'{word}' is an invalid JSON literal. Expected the literal '{literal}'."),
                    text,
                    start + same,
                )
            }
            other => located("$", &format!("'{}' is an invalid start of a value.", char::from(other)), text, start),
        }
    }

    fn field(&self, name: &str) -> Option<(&str, &'a RawValue)> {
        self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(key, raw)| (key.as_str(), *raw))
    }

    /// The names that were sent, for the record (never the values).
    pub(super) fn names(bytes: &[u8]) -> Vec<String> {
        serde_json::Deserializer::from_slice(bytes)
            .deserialize_map(Fields)
            .map(|fields| fields.into_iter().map(|(name, _)| name).collect())
            .unwrap_or_default()
    }

    fn wrong(&self, key: &str, raw: &RawValue, wanted: &str) -> Reply {
        // The raw value is a part of `text`: its address says at which byte it ends.
        let offset = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        located(
            &format!("$.{key}"),
            &format!("The JSON value could not be converted to {wanted}."),
            self.text,
            offset + raw.get().len(),
        )
    }

    pub(super) fn value(&self, name: &str) -> Option<Value> {
        let (_, raw) = self.field(name)?;
        serde_json::from_str(raw.get()).ok().filter(|value: &Value| !value.is_null())
    }

    /// Missing and null are the same to the server.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Reply> {
        self.field(name).map_or(Ok(None), |(key, raw)| {
            serde_json::from_str(raw.get()).map_err(|_| self.wrong(key, raw, "System.String"))
        })
    }

    pub(super) fn int(&self, name: &str, nullable: bool) -> Result<Option<i64>, Reply> {
        let kind = if nullable { "System.Nullable`1[System.Int32]" } else { "System.Int32" };
        let Some((key, raw)) = self.field(name) else {
            return Ok(None);
        };
        let parsed = match serde_json::from_str::<Value>(raw.get()) {
            Ok(Value::Null) if nullable => return Ok(None),
            // `100` and `"100"` are numbers, `100.0` and `1e2` are not.
            Ok(Value::Number(_)) => raw.get().parse::<i32>().ok(),
            Ok(Value::String(text)) => text.parse::<i32>().ok(),
            _ => None,
        };
        parsed.map(|number| Some(i64::from(number))).ok_or_else(|| self.wrong(key, raw, kind))
    }

    pub(super) fn flag(&self, name: &str, nullable: bool) -> Result<Option<bool>, Reply> {
        let kind = if nullable { "System.Nullable`1[System.Boolean]" } else { "System.Boolean" };
        let Some((key, raw)) = self.field(name) else {
            return Ok(None);
        };
        match serde_json::from_str(raw.get()) {
            Ok(Value::Null) if nullable => Ok(None),
            Ok(Value::Bool(flag)) => Ok(Some(flag)),
            _ => Err(self.wrong(key, raw, kind)),
        }
    }

    /// An enum: its names without regard to case; never its numbers.
    pub(super) fn one_of(&self, name: &str, kind: &str, names: &[&'static str]) -> Result<Option<&'static str>, Reply> {
        let Some((key, raw)) = self.field(name) else {
            return Ok(None);
        };
        serde_json::from_str::<String>(raw.get())
            .ok()
            .and_then(|text| names.iter().find(|known| known.eq_ignore_ascii_case(text.trim())))
            .map(|known| Some(*known))
            .ok_or_else(|| self.wrong(key, raw, kind))
    }
}

struct Fields;
impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = map.next_entry::<String, &RawValue>()? {
            fields.push(entry);
        }
        Ok(fields)
    }
}

fn only_space_after(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The property a broken object stopped at.
fn last_key(text: &str) -> Option<&str> {
    let before = &text[..text.rfind("\":").or_else(|| text.rfind("\" :"))?];
    before.rsplit('"').next()
}

fn located(path: &str, reason: &str, text: &str, offset: usize) -> Reply {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    broken(path, format!("{reason} Path: {path} | LineNumber: {line} | BytePositionInLine: {column}."))
}

/// A body that can't be bound is missing too, and the server reports both; the root's message comes first.
fn broken(path: &str, text: String) -> Reply {
    let found = (path.to_owned(), vec![text]);
    let needed = (NEEDED.0.to_owned(), vec![NEEDED.1.to_owned()]);
    errors::invalid(if path.len() < 2 { vec![found, needed] } else { vec![needed, found] })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message(reply: &Reply, path: &str) -> String {
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        body["errors"][path][0].as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn numbers_may_be_strings_but_not_fractions() {
        let body = Body::parse(br#"{"a": "100", "b": 100.0, "c": 1e2, "d": null}"#, "M").map_err(|_| ()).unwrap();
        assert_eq!(body.int("A", true).unwrap(), Some(100));
        let refused = body.int("b", false).unwrap_err();
        assert_eq!(
            message(&refused, "$.b"),
            "The JSON value could not be converted to System.Int32. Path: $.b | LineNumber: 0 | BytePositionInLine: 23."
        );
        assert!(body.int("c", true).is_err());
        assert_eq!(body.int("d", true).unwrap(), None);
        assert!(body.int("d", false).is_err());
    }

    #[test]
    fn enums_are_names() {
        let body = Body::parse(br#"{"a": "fullimport", "b": 1, "c": "1"}"#, "M").map_err(|_| ()).unwrap();
        assert_eq!(body.one_of("a", "T", &["FullImport"]).unwrap(), Some("FullImport"));
        assert!(body.one_of("b", "T", &["FullImport"]).is_err());
        assert!(body.one_of("c", "T", &["FullImport"]).is_err());
    }

    #[test]
    fn duplicates_literals_and_broken_objects_say_where() {
        let why = |text: &'static str, path: &str| message(&Body::parse(text.as_bytes(), "M").err().unwrap(), path);
        assert!(why(r#"{"name":"a","name":"b"}"#, "$.name").starts_with("Duplicate property 'name'"));
        assert!(why("nonsense", "$").ends_with("BytePositionInLine: 1."));
        assert!(why("{\"name\": ", "$.name").ends_with("LineNumber: 0 | BytePositionInLine: 9."));
        assert!(why("[]", "$").ends_with("BytePositionInLine: 1."));
        assert_eq!(why("", ""), "A non-empty request body is required.");
    }
}
