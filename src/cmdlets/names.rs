//! Texts that several cmdlets share.

/// What `-WhatIf` shows of a value.
pub fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "nothing".into(),
        serde_json::Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    }
}

/// First letter in upper case: sentences start with an action.
pub fn sentence(text: &str) -> String {
    crate::shape::pascal(text).into_owned()
}
