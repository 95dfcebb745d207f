//! Fidelity on generated documents: through PowerShell and back, nothing changes but what was changed.

use super::super::path::Path;
use super::*;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::HashMap;

fn leaf() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<i32>().prop_map(|number| format!("{number}.50")),
        (0..9).prop_map(|number| format!("{number}E+2")),
        "[ -~]{0,12}".prop_map(|text| Value::from(text).to_string()),
        Just(r#""\/\u00e9\u00A0\ud83d\ude00\t""#.to_owned()),
        Just(r#""{\"a\":1.0,\"b\":[ ]}""#.to_owned()),
        (0..60, 0..4usize).prop_map(|(second, digits)| {
            let fraction = if digits == 0 { String::new() } else { format!(".{}", &"130"[..digits]) };
            format!("\"2024-06-04T10:46:{second:02}{fraction}Z\"")
        }),
        (0..60).prop_map(|second| format!("\"2024-06-04T10:46:{second:02}\"")),
    ]
}

fn object(values: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    proptest::collection::vec(values, 0..5).prop_map(|values| {
        let members = values.iter().enumerate().map(|(at, value)| format!("\"m{at}\": {value}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    })
}

fn anything() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            object(inner.clone()),
            proptest::collection::vec(leaf(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::vec(object(inner), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
        ]
    })
}

/// Any value, any leaf, a secret.
type Row = (String, String, String);

/// A collection with unknown members everywhere, ids or zeros, secrets, and members that occur twice.
fn collections() -> impl Strategy<Value = String> {
    let row = (anything(), leaf(), "[a-zA-Z0-9]{8,12}");
    let job = (proptest::collection::vec(row, 0..4), anything());
    (proptest::collection::vec(job, 0..4), anything(), leaf(), any::<bool>()).prop_map(|(jobs, unknown, twice, ids)| {
        let id = |at: usize| if ids { at + 1 } else { 0 };
        let job = |(at, (rows, unknown)): (usize, &(Vec<Row>, String))| {
            let settings = rows.iter().enumerate().map(|(row, (any, leaf, secret))| {
                let key = if row % 2 == 0 { "Some.Password" } else { "Some.Table" };
                format!(
                    r#"{{"id":{},"key":"{key}","value":"p{secret}","dataType":"System.String","other":{leaf},"more":{any}}}"#,
                    id(at * 10 + row)
                )
            });
            let settings = settings.collect::<Vec<_>>().join(", ");
            format!(r#"{{"jobInfo":{{"jobId":{},"name":"J{at}"}},"settings":[{settings}],"unknown":{unknown}}}"#, id(at))
        };
        let jobs = jobs.iter().enumerate().map(job).collect::<Vec<_>>().join(",");
        format!(r#"{{"twice":1,"jobCollectionInfo":{{"id":7,"name":"C"}},"jobs":[{jobs}],"x":{unknown},"twice":{twice}}}"#)
    })
}

/// What PowerShell does: numbers and dates printed anew, arrays of one row unrolled, empty ones lost.
fn through_powershell(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.as_i64().is_none() && float.fract() == 0.0 && float.abs() < 1e15 => {
                format!("{float:.0}").parse::<i64>().map_or(Value::Null, Value::from)
            }
            _ => Value::Number(number),
        },
        Value::String(text) => match chrono::DateTime::parse_from_rfc3339(&text) {
            Ok(date) => date
                .with_timezone(&chrono::FixedOffset::east_opt(7200).unwrap())
                .to_rfc3339_opts(chrono::SecondsFormat::Micros, false)
                .into(),
            Err(_) => text.into(),
        },
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(through_powershell).collect();
            match items.as_slice() {
                [] => Value::Null,
                [Value::Object(_)] => items.remove(0),
                _ => Value::Array(items),
            }
        }
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, through_powershell(value))).collect(),
        other => other,
    }
}

fn lossy(document: &Document) -> Document {
    let value: Value = serde_json::from_str(&document.compact()).unwrap();
    super::document(&through_powershell(value).to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writing_and_reading_keeps_every_byte(text in collections()) {
        let live = document(&text);
        prop_assert_eq!(document(&live.pretty()).compact(), live.compact());
    }

    #[test]
    fn an_unchanged_document_comes_back_byte_for_byte(text in collections()) {
        let live = document(&text);
        let open = merge(&live, &lossy(&surface(&live, false))).unwrap();
        prop_assert_eq!(open.compact(), live.compact());
        let redacted = merge(&live, &lossy(&surface(&live, true))).unwrap();
        let filled = fill(&redacted, Some(&live), &HashMap::new()).unwrap();
        prop_assert_eq!(filled.compact(), live.compact());
    }

    #[test]
    fn one_changed_leaf_changes_that_leaf_alone(text in collections(), pick in any::<prop::sample::Index>()) {
        let live = document(&text);
        let mut shown = surface(&live, false);
        let mut paths = Vec::new();
        shown.root().each_leaf(&Path::default(), &mut |path, _| paths.push(path.clone()));
        // Ids and names tell rows apart: changing them is another test's affair.
        paths.retain(|path| !path.to_string().ends_with("id") && !path.to_string().ends_with("key"));
        let path = pick.get(&paths).clone();
        *path.find_mut(shown.root_mut()).unwrap() = Node::string("changed");
        let mut expected = live.clone();
        *path.find_mut(expected.root_mut()).unwrap() = Node::string("changed");
        prop_assert_eq!(merge(&live, &lossy(&shown)).unwrap().compact(), expected.compact());
    }
}
