//! Cmdlets of example data templates: written by people, extended by an attribute, and run.

use super::super::declared::{self, question, send, subject, worded};
use super::super::session::Connected;
use super::super::{Context, names};
use super::activity_run;
use super::example_data::{Builder, sent_again};
use super::rewrite::{self, Entity, Rewrite};
use crate::api::{Method, Request};
use crate::binding::{Variables, plain};
use crate::failure::Failure;
use crate::shape;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

const PATH: &str = "/api/v1/example-data/templates/{TemplateId}";

/// `New-` and `Set-JIMExampleDataTemplate`: the row does it once the hashtables are translated.
pub async fn write(context: &Context<'_>) -> Result<(), Failure> {
    let mut variables = declared::prepared(context).await?;
    if let Some(given) = context.arguments.get("ObjectType") {
        let built = Builder::new(context, &variables).object_types(given).await?;
        variables.set("ObjectType", built);
    }
    declared::run_with(context, &mut variables, None).await
}

/// `Add-JIMExampleDataTemplateAttribute`: the API takes a template's object types only as a whole.
pub async fn add_attribute(context: &Context<'_>) -> Result<(), Failure> {
    let connected = context.session.connection()?;
    let variables = declared::prepared(context).await?;
    let attribute = Builder::new(context, &variables).attribute(&given(context)).await?;
    let Some(template) = rewrite::read(context, &connected, &variables, PATH).await? else { return Ok(()) };
    let body = body(context, &template, attribute.clone())?;
    let shown = Map::from_iter([("attribute".to_owned(), attribute)]);
    let rewrite = Rewrite { shown, body, carried: &["objectTypes"] };
    let answer = rewrite::replace(context, &connected, &variables, &template, rewrite).await?;
    let Some(answer) = answer.filter(|_| context.arguments.flag("PassThru")) else { return Ok(()) };
    let unreadable = |e| worded(context, Failure::Request { error: Box::new(e) }, &variables);
    let raw: &RawValue = answer.json().map_err(unreadable)?;
    context.output.item(context.type_name(), shape::output(raw, &[])).await;
    Ok(())
}

/// The parameters that describe the attribute.
fn given(context: &Context<'_>) -> Value {
    const OTHERS: &[&str] = &["TemplateId", "TemplateName", "ObjectType", "ChangeReason", "PassThru"];
    let parameters = context.row.cmdlet.parameter.iter().filter(|p| !OTHERS.contains(&p.name.as_str()));
    let bound = parameters.filter(|p| context.arguments.is_bound(&p.name));
    bound.map(|p| (p.name.clone(), context.arguments.get(&p.name).cloned().unwrap_or_default())).collect()
}

fn body(context: &Context<'_>, template: &Entity, attribute: Value) -> Result<Map<String, Value>, Failure> {
    let wanted = context.arguments.get("ObjectType").cloned().unwrap_or_default();
    let mut object_types: Vec<Value> = Vec::new();
    let mut attribute = Some(attribute);
    for object_type in template.list("objectTypes") {
        let mut object_type_sent = sent_again(object_type);
        if is_wanted(object_type, &wanted)
            && let Some(attributes) = object_type_sent["attributes"].as_array_mut()
        {
            attributes.extend(attribute.take());
        }
        object_types.push(object_type_sent);
    }
    if attribute.is_some() {
        return Err(Failure::EntityNotFound { noun: "template object type".into(), id: plain(&wanted) });
    }
    let mut body = Map::from_iter([("objectTypes".to_owned(), Value::Array(object_types))]);
    if let Some(reason) = context.arguments.get("ChangeReason") {
        body.insert("changeReason".into(), reason.clone());
    }
    Ok(body)
}

/// A number is an id, a text a name.
fn is_wanted(object_type: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::String(name) => {
            let own = object_type["metaverseObjectTypeName"].as_str();
            own.is_some_and(|own| own.to_lowercase() == name.to_lowercase())
        }
        id => plain(&object_type["metaverseObjectTypeId"]) == plain(id),
    }
}

/// The 202 of an execute request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    activity_id: String,
    task_id: Option<String>,
    message: Option<String>,
}

/// `Invoke-JIMExampleDataTemplate`: starts it, and with `-Wait` reports how it ended.
pub async fn invoke(context: &Context<'_>) -> Result<(), Failure> {
    let connected = context.session.connection()?;
    let variables = declared::prepared(context).await?;
    if context.output.preferences.ask && !confirmed(context, &connected, &variables).await {
        return Ok(());
    }
    let failed = |f| worded(context, f, &variables);
    let path = variables.path("/api/v1/example-data/templates/{Id}/execute");
    let answer = send(context, &connected, &Request::new(Method::Post, path)).await.map_err(failed)?;
    let started: Started = answer.json().map_err(|e| failed(Failure::Request { error: Box::new(e) }))?;
    let (activity, mut status, mut ended) = (&started.activity_id, "Queued".to_owned(), None);
    let what = format!("The run of {}", subject(context, &variables));
    if context.arguments.flag("Wait") {
        let title = "Executing Example Data Template";
        let progress = activity_run::wait(context, &connected, activity, title, &what).await?;
        status.clone_from(&progress.status);
        ended = Some(progress);
    }
    if context.arguments.flag("PassThru") {
        let object = json!({
            "TemplateId": variables.get("Id"),
            "ActivityId": activity,
            "TaskId": started.task_id,
            "Status": status,
            "Message": started.message,
        });
        context.output.item(context.type_name(), shape::value(&object)).await;
    }
    match ended {
        Some(ended) => {
            let action = context.action(&variables);
            activity_run::report(context, &connected, activity, &ended, &action, &names::sentence(&what)).await
        }
        None => Ok(()),
    }
}

async fn confirmed(context: &Context<'_>, connected: &Connected, variables: &Variables<'_>) -> bool {
    let request = Request::new(Method::Get, variables.path("/api/v1/example-data/templates/{Id}"));
    // The name in the question is a courtesy; running it will say what is wrong.
    let template = send(context, connected, &request).await.ok();
    let before = template.as_ref().and_then(|answer| answer.json::<&RawValue>().ok());
    context.output.confirm(&question(context, variables, before, None, &[])).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_type_is_meant_by_name_or_id() {
        let user = json!({"metaverseObjectTypeId": 1, "metaverseObjectTypeName": "User"});
        for (wanted, is) in [(json!("user"), true), (json!(1), true), (json!("1"), false), (json!(2), false)] {
            assert_eq!(is_wanted(&user, &wanted), is, "{wanted}");
        }
    }
}
