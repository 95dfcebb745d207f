//! Criteria of scoping groups and of predefined searches: the attribute by name, and dates relative
//! to now. The requests are the rows'.

use super::super::Context;
use super::super::declared::{self, send, worded};
use crate::api::{Method, Request, encode_segment};
use crate::binding::{Arguments, BindError, Variables};
use crate::failure::Failure;
use serde::Deserialize;
use serde_json::Value;

const RELATIVE: [&str; 3] = ["RelativeCount", "RelativeUnit", "RelativeDirection"];

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let relative = is_relative(&context.arguments)?;
    let mut variables = declared::prepared(context).await?;
    if relative {
        // Said also when -ValueMode was not: the three others mean nothing without it.
        variables.set("ValueMode", Value::from("Relative"));
    }
    if let Some(name) = context.arguments.text("ConnectedSystemAttributeName") {
        let id = source_attribute(context, &variables, name).await?;
        variables.set("ConnectedSystemAttributeId", id);
    }
    declared::run_with(context, &mut variables, None).await
}

/// Whether the value is a date relative to now; half of one, or two kinds of date, are refused.
fn is_relative(arguments: &Arguments) -> Result<bool, BindError> {
    let unfit = |name: &str, problem: &str| BindError::Unfit { name: name.to_owned(), problem: problem.to_owned() };
    let mode = arguments.text("ValueMode");
    let given = RELATIVE.iter().find(|name| arguments.is_bound(name));
    let wanted = mode.is_some_and(|m| m.eq_ignore_ascii_case("Relative"));
    if !wanted && given.is_none() {
        return Ok(false);
    }
    if let Some(name) = given.filter(|_| mode.is_some() && !wanted) {
        return Err(unfit(name, "doesn't go with -ValueMode Absolute"));
    }
    if arguments.is_bound("DateTimeValue") {
        return Err(unfit("DateTimeValue", "is a fixed date and doesn't go with a relative one"));
    }
    if let Some(missing) = RELATIVE.iter().find(|name| !arguments.is_bound(name)) {
        let all = "a relative date needs -RelativeCount, -RelativeUnit and -RelativeDirection";
        return Err(unfit(missing, &format!("is missing: {all}")));
    }
    if arguments.integer("RelativeCount").is_some_and(|count| count < 0) {
        return Err(unfit("RelativeCount", "must be 0 or more: -RelativeDirection says which way"));
    }
    Ok(true)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    name: String,
    #[serde(default)]
    direction: Option<String>,
    connected_system_id: i64,
    connected_system_object_type_id: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectType {
    id: i64,
    #[serde(default)]
    attributes: Option<Vec<Attribute>>,
}

#[derive(Debug, Deserialize)]
struct Attribute {
    id: Value,
    name: String,
}

/// The attribute of the object type that the rule imports.
async fn source_attribute(context: &Context<'_>, variables: &Variables<'_>, name: &str) -> Result<Value, Failure> {
    let connected = context.session.connection()?;
    let failed = |f| worded(context, f, variables);
    let unreadable = |e| worded(context, Failure::Request { error: Box::new(e) }, variables);
    let path = variables.path("/api/v1/synchronisation/sync-rules/{SyncRuleId}");
    let answer = send(context, &connected, &Request::new(Method::Get, path)).await.map_err(failed)?;
    let rule: Rule = answer.json().map_err(unreadable)?;
    let system = encode_segment(&rule.connected_system_id.to_string());
    let path = format!("/api/v1/synchronisation/connected-systems/{system}/object-types");
    let answer = send(context, &connected, &Request::new(Method::Get, path)).await.map_err(failed)?;
    let types: Vec<ObjectType> = answer.json().map_err(unreadable)?;
    if rule.direction.as_deref().is_some_and(|d| d.eq_ignore_ascii_case("Export")) {
        return Err(Failure::Refused {
            action: context.action(variables),
            reason: format!(
                "synchronisation rule '{}' exports, so its scope is decided by metaverse attributes: use -MetaverseAttributeName.",
                rule.name
            ),
        });
    }
    let attributes = types
        .into_iter()
        .find(|t| t.id == rule.connected_system_object_type_id)
        .and_then(|t| t.attributes)
        .unwrap_or_default();
    let mut same: Vec<Attribute> =
        attributes.into_iter().filter(|a| a.name.to_lowercase() == name.to_lowercase()).collect();
    if same.len() > 1 && same.iter().any(|a| a.name == name) {
        same.retain(|a| a.name == name);
    }
    let noun = "connected system attribute".to_owned();
    match same.as_slice() {
        [] => Err(Failure::NameNotFound { noun, name: name.to_owned() }),
        [one] => Ok(one.id.clone()),
        several => Err(Failure::NameAmbiguous {
            noun,
            name: name.to_owned(),
            ids: several.iter().map(|a| crate::binding::plain(&a.id)).collect::<Vec<_>>().join(", "),
            parameter: "ConnectedSystemAttributeId".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn relative(given: Value) -> Result<bool, BindError> {
        let row = crate::catalog::find("New-JIMScopingCriterion").unwrap();
        let mut all = json!({"SyncRuleId": 1, "GroupId": 2, "MetaverseAttributeId": 3, "ComparisonType": "LessThan"});
        all.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        is_relative(&Arguments::bind(&row.cmdlet, None, all.as_object().unwrap().clone()).unwrap())
    }

    #[test]
    fn a_relative_date_is_whole_and_alone() {
        let whole = json!({"RelativeCount": 30, "RelativeUnit": "Days", "RelativeDirection": "Ago"});
        assert_eq!(relative(whole.clone()), Ok(true));
        assert_eq!(relative(json!({"StringValue": "x", "ValueMode": "Absolute"})), Ok(false));
        let text = |given| relative(given).unwrap_err().to_string();
        assert!(text(json!({"ValueMode": "Relative"})).starts_with("-RelativeCount is missing"));
        assert!(text(json!({"RelativeCount": 3, "RelativeUnit": "Days"})).starts_with("-RelativeDirection is missing"));
        let mut both = whole.clone();
        both["DateTimeValue"] = json!("2026-01-01T00:00:00Z");
        assert!(text(both).starts_with("-DateTimeValue is a fixed date"));
        let mut absolute = whole;
        absolute["ValueMode"] = json!("Absolute");
        assert!(text(absolute).contains("Absolute"));
    }
}
