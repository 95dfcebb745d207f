//! From the server's JSON to output objects: names in PascalCase, properties added, everything
//! else byte for byte (number text, order, nulls), so that PowerShell converts once.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Properties whose inner keys are data, not names: they stay as the server wrote them. The first
/// five as in the official module; the rest it rewrites, which loses the attribute's real name.
const DATA_KEYED: &[&str] = &[
    "attributes",
    "mvAttributes",
    "csAttributes",
    "properties",
    "validationErrors",
    "operationCounts",
    "entriesDiscardedByExcludedContainer",
    "settingValues",
];

/// Properties that hold dates, by the API's own document (`format: date-time`). PowerShell turns any
/// text that looks like a date into one, as the official module does; ours are turned only here,
/// and inside data-keyed maps, whose values nobody declares.
const DATES: &[&str] = &[
    "changeTime",
    "completedAt",
    "created",
    "createdAt",
    "cutoffDate",
    "date",
    "dateJoined",
    "dateTimeValue",
    "deletionEligibleDate",
    "discovered",
    "ended",
    "executed",
    "expiresAt",
    "firstSeenAt",
    "lastAttemptedAt",
    "lastConnectorDisconnectedDate",
    "lastExecutionCompletedAt",
    "lastFullSynchronisation",
    "lastModified",
    "lastRunTime",
    "lastUpdated",
    "lastUsed",
    "lastUsedAt",
    "maxDate",
    "minDate",
    "mostRecentChange",
    "newestRecordDeleted",
    "nextRetryAt",
    "nextRunTime",
    "oldestRecordDeleted",
    "queuedAt",
    "readAt",
    "retrievedAt",
    "stalenessBaseline",
    "started",
    "startedAt",
    "staticPasswordSetAt",
    "timestamp",
    "tokenExpiresAt",
    "validFrom",
    "validTo",
    "when",
];

/// Stands before a text that looks like a date and is none; the bridge takes it off after
/// PowerShell's own conversion. From the private use area: no server text starts with it.
pub const GUARD: char = '\u{E000}';

/// A property to append: name in PascalCase, value as JSON text.
pub type Added<'a> = (&'a str, String);

/// An output object of a server object. `added` replaces properties of the same name and stands last.
pub fn output(raw: &RawValue, added: &[Added<'_>]) -> Box<RawValue> {
    let mut text = String::with_capacity(raw.get().len() + 32);
    write(raw, added, Names::Pascal, &mut text);
    into_raw(text)
}

/// An output object with the server's own names; only white space between tokens goes.
pub fn verbatim(raw: &RawValue) -> Box<RawValue> {
    let mut text = String::with_capacity(raw.get().len());
    write(raw, &[], Names::Verbatim, &mut text);
    into_raw(text)
}

/// An output object with the server's own names, in which no text becomes a date: it goes back to the
/// server as the text it is.
pub fn texts_kept(raw: &RawValue) -> Box<RawValue> {
    let mut text = String::with_capacity(raw.get().len());
    write(raw, &[], Names::TextsKept, &mut text);
    into_raw(text)
}

/// A value built by us.
pub fn value(value: &impl serde::Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| null())
}

/// A property of an object, by name without regard to case.
pub fn property<'a>(raw: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let object: Object<'a> = serde_json::from_str(raw.get()).ok()?;
    object.0.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// A property as text: strings without quotes, other values as JSON text, null as nothing.
pub fn text_property(raw: &RawValue, name: &str) -> Option<String> {
    plain_text(property(raw, name)?)
}

/// A value as text: strings without quotes, other values as JSON text, null as nothing.
pub fn plain_text(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(value.get()).ok(),
        Some(b'n') => None,
        _ => Some(value.get().to_owned()),
    }
}

/// `connectedSystemId` → `ConnectedSystemId`.
pub fn pascal(name: &str) -> Cow<'_, str> {
    match name.chars().next() {
        Some(first) if first.is_lowercase() => {
            let mut text: String = first.to_uppercase().collect();
            text.push_str(&name[first.len_utf8()..]);
            Cow::Owned(text)
        }
        _ => Cow::Borrowed(name),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Names {
    Pascal,
    /// The keys of this object are data; those further in are names again.
    Kept,
    /// Nothing is renamed, at any depth.
    Verbatim,
    /// As `Verbatim`, and no text is a date.
    TextsKept,
    /// The value of a property that holds dates.
    Dates,
}

impl Names {
    fn within(self) -> Self {
        match self {
            Names::Verbatim | Names::TextsKept => self,
            _ => Names::Pascal,
        }
    }
}

fn write(raw: &RawValue, added: &[Added<'_>], names: Names, out: &mut String) {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => match serde_json::from_str::<Object<'_>>(text) {
            Ok(object) => write_object(&object, added, names, out),
            Err(_) => out.push_str(text),
        },
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(items) => {
                out.push('[');
                for (index, item) in items.into_iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write(item, &[], names.within(), out);
                }
                out.push(']');
            }
            Err(_) => out.push_str(text),
        },
        Some(b'"') => push_text(text, names, out),
        _ => out.push_str(text),
    }
}

/// A JSON string as it stands, guarded when PowerShell would take it for a date.
fn push_text(quoted: &str, names: Names, out: &mut String) {
    let text = &quoted[1..];
    let looks_like_a_date = is_date_like(text.as_bytes()) || text.starts_with("/Date(") || text.starts_with("\\/Date(");
    out.push('"');
    if text.starts_with(GUARD) || (looks_like_a_date && names != Names::Dates) {
        out.push(GUARD);
    }
    out.push_str(text);
}

/// `2026-05-06T07…`
fn is_date_like(text: &[u8]) -> bool {
    text.len() > 13
        && text.iter().zip(b"dddd-dd-ddT").all(|(c, form)| if *form == b'd' { c.is_ascii_digit() } else { c == form })
}

fn write_object(object: &Object<'_>, added: &[Added<'_>], names: Names, out: &mut String) {
    out.push('{');
    let mut first = true;
    let mut separate = |out: &mut String| {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
    };
    for (key, value) in &object.0 {
        if added.iter().any(|(name, _)| key.eq_ignore_ascii_case(name)) {
            continue;
        }
        separate(out);
        let name = if names == Names::Pascal { pascal(key) } else { Cow::Borrowed(key.as_ref()) };
        push_quoted(&name, out);
        out.push(':');
        let data_keyed = names == Names::Pascal && DATA_KEYED.iter().any(|n| n.eq_ignore_ascii_case(key));
        let inner = if value.get().starts_with('"') {
            let is_date = names != Names::TextsKept
                && (names == Names::Kept || DATES.iter().any(|n| n.eq_ignore_ascii_case(key)));
            if is_date { Names::Dates } else { Names::Pascal }
        } else if data_keyed && value.get().starts_with('{') {
            Names::Kept
        } else {
            names.within()
        };
        write(value, &[], inner, out);
    }
    for (name, value) in added {
        separate(out);
        push_quoted(name, out);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
}

fn push_quoted(text: &str, out: &mut String) {
    if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

fn into_raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|_| null())
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// An object as it stands: order and repeated keys kept, values untouched.
pub struct Object<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    entries.push((unquote(key).map_err(M::Error::custom)?, value));
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Entries).map(Object)
    }
}

fn unquote(key: &RawValue) -> Result<Cow<'_, str>, serde_json::Error> {
    let text = key.get();
    if text.contains('\\') {
        return serde_json::from_str::<String>(text).map(Cow::Owned);
    }
    Ok(Cow::Borrowed(text.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shaped(text: &str, added: &[Added<'_>]) -> String {
        output(&RawValue::from_string(text.into()).unwrap(), added).get().to_owned()
    }

    #[test]
    fn names_become_pascal_case_and_values_stay() {
        assert_eq!(
            shaped(r#"{"id":1.50,"isOn":true,"inner":[{"deepName":123456789012345678901234}],"no":null}"#, &[]),
            r#"{"Id":1.50,"IsOn":true,"Inner":[{"DeepName":123456789012345678901234}],"No":null}"#
        );
    }

    #[test]
    fn data_keyed_maps_keep_their_keys_but_not_what_is_inside_an_entry() {
        assert_eq!(
            shaped(r#"{"attributes":{"mail":{"stringValue":"x"}},"attributeValues":[{"attributes":{"a":1}}]}"#, &[]),
            r#"{"Attributes":{"mail":{"StringValue":"x"}},"AttributeValues":[{"Attributes":{"a":1}}]}"#
        );
    }

    #[test]
    fn added_properties_replace_and_stand_last() {
        assert_eq!(
            shaped(r#"{"id":1,"connectedSystemId":9,"name":"x"}"#, &[("ConnectedSystemId", "3".into())]),
            r#"{"Id":1,"Name":"x","ConnectedSystemId":3}"#
        );
    }

    #[test]
    fn text_that_looks_like_a_date_is_guarded_unless_it_is_one() {
        assert_eq!(
            shaped(
                r#"{"description":"2026-05-06T07:08:09Z","created":"2026-05-06T07:08:09Z","note":"2026-05-06"}"#,
                &[]
            ),
            "{\"Description\":\"\u{E000}2026-05-06T07:08:09Z\",\"Created\":\"2026-05-06T07:08:09Z\",\"Note\":\"2026-05-06\"}"
        );
        assert_eq!(
            shaped(r#"{"attributes":{"hired":"2026-05-06T07:08:09Z"}}"#, &[]),
            r#"{"Attributes":{"hired":"2026-05-06T07:08:09Z"}}"#
        );
        assert_eq!(shaped(r#"["2026-05-06T07:08:09Z"]"#, &[]), "[\"\u{E000}2026-05-06T07:08:09Z\"]");
    }

    #[test]
    fn escapes_in_names_survive() {
        assert_eq!(shaped(r#"{"a\"b":1,"ünder":2}"#, &[]), r#"{"A\"b":1,"Ünder":2}"#);
    }

    #[test]
    fn a_foreign_object_keeps_names_and_texts() {
        let raw = RawValue::from_string(
            r#"{ "created": "2024-06-04T10:46:33.13Z", "jobs": [{"created":"2024-06-04T10:46:33Z","n":1.50}], "name":"x" }"#.into(),
        );
        assert_eq!(
            texts_kept(&raw.unwrap()).get(),
            "{\"created\":\"\u{e000}2024-06-04T10:46:33.13Z\",\"jobs\":[{\"created\":\"\u{e000}2024-06-04T10:46:33Z\",\"n\":1.50}],\"name\":\"x\"}"
        );
    }

    #[test]
    fn properties_are_found_without_regard_to_case() {
        let raw = RawValue::from_string(r#"{"Name":"a","id":7,"x":null}"#.into()).unwrap();
        assert_eq!(text_property(&raw, "name").as_deref(), Some("a"));
        assert_eq!(text_property(&raw, "ID").as_deref(), Some("7"));
        assert_eq!(text_property(&raw, "x"), None);
    }
}
