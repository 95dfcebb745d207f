//! `Set-JIMMetaverseAttribute`: the schema (type, plurality) and the rest are two requests of the
//! API, so the user is asked once and told when only the first succeeded.

use super::super::Context;
use super::super::declared::{self, asked, send, worded};
use super::super::output;
use super::super::session::Connected;
use super::rewrite::Read;
use crate::api::{Method, Request};
use crate::binding::{BindError, Built, Variables, built};
use crate::catalog::row;
use crate::failure::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

const PATH: &str = "/api/v1/metaverse/attributes/{Id}";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    r#type: Value,
    attribute_plurality: Value,
}

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let mappings = arguments.get("StandardMappings").map(mappings).transpose()?;
    let mut variables = declared::prepared(context).await?;
    if let Some(mappings) = mappings {
        variables.set("StandardMappings", mappings);
    }
    let connected = context.session.connection()?;
    let before = before(context, &connected, &mut variables).await?;
    let steps: Vec<(&row::Request, Built)> = context
        .row
        .cmdlet
        .request
        .iter()
        .map(|template| (template, built(template, &variables)))
        .filter(|(_, built)| built.body.as_ref().is_some_and(|b| b.keys().any(|k| k != "changeReason")))
        .collect();
    if steps.is_empty() {
        declared::warn_of_no_change(context, &variables).await;
        return Ok(());
    }
    let all: Map<String, Value> =
        steps.iter().flat_map(|(_, built)| built.body.iter().flatten()).map(|(k, v)| (k.clone(), v.clone())).collect();
    let raw = before.as_ref().map(|read| &*read.raw);
    if !asked(context, &variables, raw, Some(&all), &[]).await || context.output.preferences.what_if {
        return Ok(());
    }
    if let Some(read) = &before {
        read.still_holds(context, &connected, &variables).await?;
    }
    let mut done = 0;
    let mut answer = None;
    for (template, built) in steps {
        let request = declared::request_of(template, built);
        let sent = send(context, &connected, &request).await;
        answer = Some((template, sent.map_err(|f| half_done(context, f, done, &variables))?));
        done += 1;
    }
    let Some((template, last)) = answer.filter(|_| arguments.flag("PassThru")) else { return Ok(()) };
    if done == 1 {
        return output::emit_answer(context, template, &last, &variables).await;
    }
    let again = Request::new(Method::Get, variables.path(PATH));
    let whole = send(context, &connected, &again).await.map_err(|f| worded(context, f, &variables))?;
    output::emit_answer(context, template, &whole, &variables).await
}

/// The attribute as it is. The schema goes as a whole: what isn't named stays as it is.
async fn before(
    context: &Context<'_>,
    connected: &Connected,
    variables: &mut Variables<'_>,
) -> Result<Option<Read>, Failure> {
    let arguments = &context.arguments;
    let changes_schema = arguments.is_bound("Type") || arguments.is_bound("AttributePlurality");
    if !changes_schema && !context.output.preferences.ask {
        return Ok(None);
    }
    let answer = match declared::read_first(context, connected, PATH, variables).await {
        // Only the question would have used it.
        Err(_) if !changes_schema => None,
        other => other?,
    };
    let Some(answer) = answer else { return Ok(None) };
    let unreadable = |e| worded(context, Failure::Request { error: Box::new(e) }, variables);
    let raw: &RawValue = answer.json().map_err(unreadable)?;
    let mut carried = Vec::new();
    if changes_schema {
        let schema: Schema = answer.json().map_err(unreadable)?;
        for (name, field, now) in
            [("Type", "type", schema.r#type), ("AttributePlurality", "attributePlurality", schema.attribute_plurality)]
        {
            if !arguments.is_bound(name) {
                variables.set(name, now);
                carried.push(field);
            }
        }
    }
    Ok(Some(Read { raw: raw.to_owned(), path: PATH, carried }))
}

fn half_done(context: &Context<'_>, failure: Failure, done: usize, variables: &Variables<'_>) -> Failure {
    match worded(context, failure, variables) {
        Failure::Api { action, error, .. } if done > 0 => Failure::Worded {
            text: format!("The type and plurality were changed, but the rest was not. Couldn't {action}: {error}"),
            error,
        },
        other => other,
    }
}

/// The mappings as the API takes them. Objects as `Get-JIMMetaverseAttribute` shows them fit too.
fn mappings(given: &Value) -> Result<Value, BindError> {
    let list = given.as_array().map_or_else(|| std::slice::from_ref(given), Vec::as_slice);
    list.iter().map(mapping).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn mapping(given: &Value) -> Result<Value, BindError> {
    let unfit = |problem: String| BindError::Unfit { name: "StandardMappings".to_owned(), problem };
    let Some(fields) = given.as_object() else {
        return Err(unfit("takes hashtables with Standard, CounterpartName and, if wanted, Notes".to_owned()));
    };
    let known = ["standard", "counterpartName", "notes"];
    if let Some(other) = fields.keys().find(|key| !known.iter().any(|k| k.eq_ignore_ascii_case(key))) {
        return Err(unfit(format!("knows Standard, CounterpartName and Notes, not {other}")));
    }
    let text = |name: &str| {
        let value = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        value.and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    };
    let needed =
        |name: &str| text(name).ok_or_else(|| unfit(format!("needs {} in each entry", crate::shape::pascal(name))));
    let mut mapping = json!({ "standard": needed("standard")?, "counterpartName": needed("counterpartName")? });
    if let Some(notes) = text("notes") {
        mapping["notes"] = Value::from(notes);
    }
    Ok(mapping)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn mappings_are_trimmed_and_checked() {
        let given = json!([{"Standard": "Scim", "CounterpartName": " costCenter "}, {"standard": "Ldap", "counterpartname": "x", "Notes": null}]);
        assert_eq!(
            mappings(&given).unwrap(),
            json!([{"standard": "Scim", "counterpartName": "costCenter"}, {"standard": "Ldap", "counterpartName": "x"}])
        );
        assert_eq!(mappings(&json!([])).unwrap(), json!([]));
        let text = |given| mappings(&given).unwrap_err().to_string();
        assert!(text(json!([{"Standard": "Scim"}])).contains("CounterpartName"));
        assert!(text(json!([{"Standard": "Scim", "CounterpartName": "x", "Note": "y"}])).contains("not Note"));
        assert!(text(json!(["Scim"])).contains("hashtables"));
    }
}
