//! What `Get-Outcome` told of an error, checked against what every error owes its reader.

use serde_json::Value;

/// One error record, exactly: with its category, its stable id, these words, and something to do next.
#[track_caller]
pub fn one_error<'a>(outcome: &'a Value, id: &str, category: &str, words: &[&str]) -> &'a Value {
    let errors = outcome["errors"].as_array().unwrap_or_else(|| panic!("no outcome: {outcome:#}"));
    assert_eq!(errors.len(), 1, "one error record expected: {outcome:#}");
    assert_eq!(outcome["remembered"], 1, "$Error holds one record: {outcome:#}");
    let error = &errors[0];
    is_error(error, id, category, words);
    error
}

/// The same for one record of several.
#[track_caller]
pub fn is_error(error: &Value, id: &str, category: &str, words: &[&str]) {
    let full = error["id"].as_str().unwrap_or_default();
    assert!(full.starts_with(&format!("{id},")), "FullyQualifiedErrorId {id} expected: {error:#}");
    assert_eq!(error["category"], category, "{error:#}");
    let message = error["message"].as_str().unwrap_or_default();
    for word in words {
        assert!(message.contains(word), "'{word}' is missing: {error:#}");
    }
    let advice = error["advice"].as_str().unwrap_or_default();
    assert!(!advice.is_empty(), "no recommendation: {error:#}");
    let shown: String = error["shown"].as_str().unwrap_or_default().split_whitespace().collect();
    let advice: String = advice.split_whitespace().collect();
    assert!(shown.contains(&advice), "the recommendation isn't shown: {error:#}");
}

/// No error, no end before its time.
#[track_caller]
pub fn no_error(outcome: &Value) {
    assert_eq!(outcome["errors"], serde_json::json!([]), "{outcome:#}");
    assert_eq!(outcome["terminated"], false, "{outcome:#}");
}
