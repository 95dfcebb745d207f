//! `Get-`, `New-` and `Set-JIMSchedule`.

use super::super::Context;
use super::super::declared::{self, send, worded};
use super::super::pages::Pages;
use super::super::session::Connected;
use super::super::wildcard::is_like;
use super::rewrite::{self, Entity, Rewrite};
use crate::api::{Method, Request, encode_segment};
use crate::binding::{Variables, plain};
use crate::catalog::row::Paging;
use crate::failure::Failure;
use crate::shape;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub const PATH: &str = "/api/v1/schedules/{Id}";
/// What a PUT replaces; a field that is left out is emptied.
pub const FIELDS: &[&str] = &[
    "name",
    "description",
    "triggerType",
    "patternType",
    "isEnabled",
    "daysOfWeek",
    "runTimes",
    "intervalValue",
    "intervalUnit",
    "intervalWindowStart",
    "intervalWindowEnd",
    "cronExpression",
    "steps",
];
/// What only the list says; a schedule read by its id has nothing there.
const LISTED: &[&str] = &[
    "lastExecutionId",
    "lastExecutionStatus",
    "lastExecutionCurrentStepIndex",
    "lastExecutionTotalSteps",
    "lastExecutionCompletedAt",
    "lastExecutionErrorMessage",
];

/// `Get-JIMSchedule`: the row does it, but for the steps of a list.
pub async fn get(context: &Context<'_>) -> Result<(), Failure> {
    if !context.arguments.flag("IncludeSteps") || context.arguments.set == "ById" {
        return declared::run(context).await;
    }
    let connected = context.session.connection()?;
    let variables = Variables::new(&context.arguments);
    let failed = |f| worded(context, f, &variables);
    let request = declared::request_for(context, &variables)?;
    let mut pages = Pages::new(context, &connected, request, Paging::All, true);
    let like = context.arguments.text("Name");
    while let Some(answer) = pages.next().await.map_err(failed)? {
        let page = answer.page().map_err(|e| failed(Failure::Request { error: Box::new(e) }))?;
        pages.saw(&page);
        for listed in page.items {
            let name = shape::text_property(listed, "name").unwrap_or_default();
            if like.is_some_and(|pattern| !is_like(&name, pattern)) {
                continue;
            }
            // One schedule that can't be read doesn't keep the others back.
            if let Err(failure) = with_steps(context, &connected, listed).await {
                context.output.failure(&failed(failure)).await;
            }
        }
    }
    Ok(())
}

async fn with_steps(context: &Context<'_>, connected: &Connected, listed: &RawValue) -> Result<(), Failure> {
    let id = shape::text_property(listed, "id").unwrap_or_default();
    let request =
        Request::new(Method::Get, format!("/api/v1/schedules/{}", encode_segment(&id))).about(format!("schedule {id}"));
    let answer = send(context, connected, &request).await?;
    let schedule: &RawValue = answer.json().map_err(|e| Failure::Request { error: Box::new(e) })?;
    let mut fields: Map<String, Value> = serde_json::from_str(schedule.get()).unwrap_or_default();
    for name in LISTED {
        if let Some(value) = shape::property(listed, name) {
            fields.insert((*name).to_owned(), serde_json::from_str(value.get()).unwrap_or_default());
        }
    }
    context.output.item(context.type_name(), shape::output(&shape::value(&fields), &[])).await;
    Ok(())
}

/// `New-JIMSchedule`: lists of days and times travel as texts.
pub async fn new(context: &Context<'_>) -> Result<(), Failure> {
    let mut variables = declared::prepared(context).await?;
    for name in ["DaysOfWeek", "RunTimes"] {
        if let Some(value) = context.arguments.get(name) {
            variables.set(name, joined(value));
        }
    }
    declared::run_with(context, &mut variables, None).await
}

/// "1,3,5": numbers in order, texts as they came.
fn joined(list: &Value) -> Value {
    let mut items: Vec<Value> = list.as_array().cloned().unwrap_or_default();
    items.sort_by_key(|item| item.as_i64().unwrap_or_default());
    items.iter().map(plain).collect::<Vec<_>>().join(",").into()
}

/// `Set-JIMSchedule`: only what was given changes; the API would empty the rest.
pub async fn set(context: &Context<'_>) -> Result<(), Failure> {
    let connected = context.session.connection()?;
    let variables = declared::prepared(context).await?;
    let Some(schedule) = rewrite::read(context, &connected, &variables, PATH).await? else { return Ok(()) };
    let shown = given(context);
    let body = body(context, &schedule, shown.clone());
    let rewrite = Rewrite { shown, body, carried: FIELDS };
    let answer = rewrite::replace(context, &connected, &variables, &schedule, rewrite).await?;
    let Some(answer) = answer.filter(|_| context.arguments.flag("PassThru")) else { return Ok(()) };
    let raw: &RawValue =
        answer.json().map_err(|e| worded(context, Failure::Request { error: Box::new(e) }, &variables))?;
    context.output.item(context.type_name(), shape::output(raw, &[])).await;
    Ok(())
}

/// The schedule as it was, with these fields in place of its own, and `-ChangeReason`.
pub fn body(context: &Context<'_>, schedule: &Entity, changed: Map<String, Value>) -> Map<String, Value> {
    let mut body: Map<String, Value> =
        FIELDS.iter().map(|name| ((*name).to_owned(), schedule.field(name))).chain(changed).collect();
    if body["steps"].is_null() {
        body.insert("steps".into(), Value::Array(Vec::new()));
    }
    if let Some(reason) = context.arguments.get("ChangeReason") {
        body.insert("changeReason".into(), reason.clone());
    }
    body
}

/// The fields the user gave. An empty text clears those that can be empty.
fn given(context: &Context<'_>) -> Map<String, Value> {
    let arguments = &context.arguments;
    let truthy = ["Name", "TriggerType", "PatternType", "IntervalUnit"];
    let bound = ["Description", "IntervalValue", "IntervalWindowStart", "IntervalWindowEnd", "CronExpression", "Steps"];
    let lists = ["DaysOfWeek", "RunTimes"];
    let mut fields = Map::new();
    let mut add = |name: &str, value: Value| fields.insert(camel(name), value);
    for name in truthy.iter().filter(|n| arguments.is_truthy(n)).chain(bound.iter().filter(|n| arguments.is_bound(n))) {
        add(name, arguments.get(name).cloned().unwrap_or_default());
    }
    for name in lists {
        if let Some(list) = arguments.get(name) {
            add(name, joined(list));
        }
    }
    fields
}

/// `PatternType` → `patternType`.
fn camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_travel_as_texts() {
        assert_eq!(joined(&json!([5, 1, 3])), json!("1,3,5"));
        assert_eq!(joined(&json!(["18:30", "06:00"])), json!("18:30,06:00"));
        assert_eq!(joined(&json!([])), json!(""));
    }
}
