//! From an answer to the pipeline, as the row says: which items, which properties, which warnings.

use super::Context;
use super::declared::worded;
use super::wildcard::is_like;
use crate::api::Response;
use crate::binding::{Variables, filled};
use crate::catalog::row::{Cmdlet, Hide, Method, Request};
use crate::failure::Failure;
use crate::shape;
use serde_json::Value;
use serde_json::value::RawValue;

/// Writes an answer: one object or value, or an array item by item.
pub async fn emit_answer(
    context: &Context<'_>,
    template: &Request,
    answer: &Response,
    variables: &Variables<'_>,
) -> Result<(), Failure> {
    if answer.is_empty() {
        if template.method != Method::Get || answer.status == 204 {
            return Ok(());
        }
        if template.empty_text {
            context.output.item(None, shape::value(&"")).await;
            return Ok(());
        }
    }
    let value: &RawValue =
        answer.json().map_err(|e| worded(context, Failure::Request { error: Box::new(e) }, variables))?;
    let items = match value.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(value.get()).unwrap_or_else(|_| vec![value]),
        _ => vec![value],
    };
    check(context, template, answer, &items, variables)?;
    emit(context, template, items, variables).await;
    Ok(())
}

/// Where the server's objects are declared, nothing else may pass for one; `System.String` is a text.
pub fn check(
    context: &Context<'_>,
    template: &Request,
    answer: &Response,
    items: &[&RawValue],
    variables: &Variables<'_>,
) -> Result<(), Failure> {
    match template.output.as_deref().or(context.type_name()) {
        None => return Ok(()),
        // A picked value comes out of an object.
        Some(plain) if plain.starts_with("System.") && context.row.cmdlet.pick.is_none() => return Ok(()),
        Some(_) => {}
    }
    answer.objects(items).map_err(|e| worded(context, Failure::Request { error: Box::new(e) }, variables))
}

/// Writes the items that the row's filters leave.
pub async fn emit(context: &Context<'_>, template: &Request, items: Vec<&RawValue>, variables: &Variables<'_>) {
    let cmdlet = &context.row.cmdlet;
    let added = added(cmdlet, variables);
    let filter = cmdlet.filter.as_ref().filter(|f| context.arguments.holds(&f.only));
    // An input object can provide the pattern as well.
    let like = filter.and_then(|f| Some((f, variables.get(&f.like)?.as_str()?)));
    let hide = cmdlet.hide.as_ref().filter(|h| !context.arguments.flag(&h.unless));
    let values: Vec<Box<RawValue>> = items
        .into_iter()
        .filter(|item| {
            like.is_none_or(|(filter, pattern)| {
                is_like(&shape::text_property(item, &filter.property).unwrap_or_default(), pattern)
            })
        })
        .filter(|item| hide.is_none_or(|hide| !is_hidden(item, hide)))
        .filter_map(|item| match &cmdlet.pick {
            Some(property) => shape::property(item, property).map(|value| shape::output(value, &[])),
            None if cmdlet.verbatim => Some(shape::verbatim(item)),
            None if cmdlet.step_display => Some(shape::output(item, &with_step(item, &added))),
            None => Some(shape::output(item, &added)),
        })
        .collect();
    // A picked value is a plain text or number: it has no properties for a view to show.
    let type_name = template.output.as_deref().or(context.type_name()).filter(|_| cmdlet.pick.is_none());
    context.output.items(type_name, &values).await;
}

/// Warns of the parts of an answer that people must see.
pub async fn warn(context: &Context<'_>, answer: &Response) {
    if context.row.cmdlet.warning.is_empty() || answer.is_empty() {
        return;
    }
    // An answer that is no JSON is reported where it is written.
    let Ok(answer) = answer.json::<&RawValue>() else { return };
    for warning in &context.row.cmdlet.warning {
        for text in warnings(answer, &warning.property, warning.text.as_deref()) {
            context.output.warning(&text).await;
        }
    }
}

fn warnings(answer: &RawValue, property: &str, template: Option<&str>) -> Vec<String> {
    let Some(value) = shape::property(answer, property) else { return Vec::new() };
    let items = serde_json::from_str::<Vec<&RawValue>>(value.get()).unwrap_or_else(|_| vec![value]);
    let worded = |item: &RawValue| match template {
        Some(template) if item.get().starts_with('{') => Some(reason(template, item)),
        _ => shape::plain_text(item),
    };
    items.into_iter().filter_map(worded).collect()
}

/// A text with properties of an object in it; what the object doesn't have is left empty.
pub fn reason(template: &str, object: &RawValue) -> String {
    filled(template, |property| shape::text_property(object, property).unwrap_or_default())
}

fn added<'a>(cmdlet: &'a Cmdlet, variables: &Variables<'_>) -> Vec<shape::Added<'a>> {
    cmdlet
        .add
        .iter()
        .filter_map(|(property, variable)| variables.get(variable).map(|value| (property.as_str(), value.to_string())))
        .collect()
}

/// The properties to add, and how far the item is.
fn with_step<'a>(item: &RawValue, added: &[shape::Added<'a>]) -> Vec<shape::Added<'a>> {
    let display = step_display(item).map_or(Value::Null, Value::from).to_string();
    added.iter().cloned().chain([("StepDisplay", display)]).collect()
}

/// "Step 3 of 7: Saving changes", of a worker task's steps, or of a schedule execution's progress or
/// counters. A task without steps has none.
fn step_display(item: &RawValue) -> Option<String> {
    let number = |of: &RawValue, name: &str| shape::text_property(of, name)?.parse::<i64>().ok();
    let summary = |property: &str| {
        let summary = shape::property(item, property).filter(|s| s.get().starts_with('{'))?;
        let (step, steps) = (number(summary, "currentStepNumber")?, number(summary, "totalSteps")?);
        let name = shape::text_property(summary, "currentStepName").map(|n| format!(": {n}")).unwrap_or_default();
        Some(format!("Step {step} of {steps}{name}"))
    };
    summary("progress").or_else(|| summary("steps")).or_else(|| {
        let (index, steps) = (number(item, "currentStepIndex")?, number(item, "totalSteps")?);
        Some(format!("Step {} of {steps}", index + 1))
    })
}

fn is_hidden(item: &RawValue, hide: &Hide) -> bool {
    hide.having.iter().all(|(property, wanted)| {
        let value = shape::property(item, property).and_then(|v| serde_json::from_str::<Value>(v.get()).ok());
        value.as_ref() == Some(wanted)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    #[test]
    fn warnings_are_texts_or_made_of_objects() {
        let answer = raw(
            r#"{"warnings":["a","b"],"errors":[{"attributeId":11,"errorMessage":"Not unique."}],"none":null,"one":"c"}"#,
        );
        assert_eq!(warnings(&answer, "warnings", None), ["a", "b"]);
        let text = "Attribute {attributeId}: {errorMessage}";
        assert_eq!(warnings(&answer, "errors", Some(text)), ["Attribute 11: Not unique."]);
        assert_eq!(warnings(&answer, "one", None), ["c"]);
        assert!(warnings(&answer, "none", None).is_empty());
        assert!(warnings(&answer, "absent", None).is_empty());
    }

    #[test]
    fn how_far_it_is() {
        let display = |text| step_display(&raw(text));
        let both = r#"{"currentStepIndex":1,"totalSteps":3,"progress":{"currentStepNumber":3,"totalSteps":4,"steps":[]},"steps":[]}"#;
        assert_eq!(display(both).as_deref(), Some("Step 3 of 4"));
        let listed = r#"{"currentStepIndex":1,"totalSteps":3}"#;
        assert_eq!(display(listed).as_deref(), Some("Step 2 of 3"));
        let unknown = r#"{"progress":{"currentStepNumber":null,"totalSteps":4},"currentStepIndex":0,"totalSteps":4}"#;
        assert_eq!(display(unknown).as_deref(), Some("Step 1 of 4"));
        let task = r#"{"steps":{"currentStepName":"Saving changes","currentStepNumber":3,"totalSteps":7,"steps":[]}}"#;
        assert_eq!(display(task).as_deref(), Some("Step 3 of 7: Saving changes"));
        assert_eq!(display(r#"{"steps":null,"scheduleTotalSteps":null}"#), None);
    }

    #[test]
    fn only_items_with_all_the_properties_are_hidden() {
        let hide = Hide {
            having: [("isInternal".to_owned(), Value::Bool(true)), ("selected".to_owned(), Value::Bool(false))].into(),
            unless: "IncludeInternal".into(),
        };
        assert!(is_hidden(&raw(r#"{"isInternal":true,"selected":false}"#), &hide));
        assert!(!is_hidden(&raw(r#"{"isInternal":true,"selected":true}"#), &hide));
        assert!(!is_hidden(&raw(r#"{"selected":false}"#), &hide));
    }
}
