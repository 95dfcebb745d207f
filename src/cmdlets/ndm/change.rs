//! `New-NDMJob`, `Remove-NDMJob`, `Remove-NDMJobCollection`.

use super::super::Context;
use super::envelope::Outcome;
use super::error::NdmError;
use super::service::{Entity, Service, refused};
use crate::failure::Failure;
use crate::protocol::Confirm;
use crate::shape;
use serde_json::Value;
use serde_json::value::RawValue;

/// Posts a job document, from a file byte for byte.
pub async fn new_job(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let (place, text) = document_text(context)?;
    let bad = |problem: String| NdmError::BadDocument { noun: "job", place: place.clone(), problem };
    let document: &RawValue = serde_json::from_str(&text).map_err(|error| bad(why_no_json(&text, &error)))?;
    let name = Entity::Job.name_in(document).ok_or_else(|| bad("it has no jobInfo with a name".into()))?;
    if let Some(id) = Entity::Job.id_in(document).filter(|id| *id != 0) {
        let warning =
            format!("The document carries the id {id} of an existing job; the server gives the new one its own.");
        context.output.warning(&warning).await;
    }
    let what = format!("Create job '{name}' at {}", service.server());
    if !asked(context, &what).await {
        return Ok(());
    }
    let id = service.create_job(document.get()).await?;
    context.output.item(None, shape::value(&id)).await;
    Ok(())
}

/// Where the document comes from, for messages, and its text.
fn document_text(context: &Context<'_>) -> Result<(String, String), Failure> {
    let Some(path) = context.arguments.text("Path") else {
        let object = context.arguments.get("InputObject").unwrap_or(&Value::Null);
        return Ok(("The input object".into(), object.to_string()));
    };
    let failed = |cause: String| Failure::File { verb: "read", path: path.to_owned(), cause };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".into()))?;
    Ok((format!("'{path}'"), text.trim_start_matches('\u{feff}').to_owned()))
}

/// Without the parser's quotation of the text, which may be a secret.
fn why_no_json(text: &str, error: &serde_json::Error) -> String {
    let place = format!("it is no JSON (line {}, column {})", error.line(), error.column());
    if text.contains('\u{a0}') {
        return format!(
            "{place}: it is full of no-break spaces, as text copied from a web page is. Replace them by spaces"
        );
    }
    place
}

pub async fn remove_collections(context: &Context<'_>) -> Result<(), Failure> {
    remove(context, Entity::Collection, &["Id"]).await
}

pub async fn remove_jobs(context: &Context<'_>) -> Result<(), Failure> {
    remove(context, Entity::Job, &["Id", "JobId"]).await
}

/// Looks at each thing first, asks for each by name, then deletes those that were agreed to in one
/// request. What is wrong with one stops none of the others.
async fn remove(context: &Context<'_>, entity: Entity, parameters: &[&str]) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let mut agreed = Vec::new();
    for id in ids(context, parameters) {
        match checked(context, &service, entity, id).await {
            Ok(name) if asked(context, &question(&service, entity, id, &name)).await => agreed.push((id, name)),
            Ok(_) => {}
            Err(error) => context.output.failure(&error.into()).await,
        }
    }
    let ids: Vec<i64> = agreed.iter().map(|(id, _)| *id).collect();
    for Outcome { id, result } in outcomes(&service, entity, &ids).await? {
        if let Err(refusal) = result {
            let name = agreed.iter().find(|(known, _)| *known == id).map(|(_, name)| name.as_str()).unwrap_or_default();
            let action = format!("delete {} {id} ('{name}')", entity.noun());
            context.output.failure(&refused(&action, Some(id.to_string()), refusal).into()).await;
        }
    }
    Ok(())
}

async fn outcomes(service: &Service<'_>, entity: Entity, ids: &[i64]) -> Result<Vec<Outcome>, NdmError> {
    match entity {
        Entity::Collection => service.delete_collections(ids).await,
        Entity::Job => service.delete_jobs(ids).await,
    }
}

/// Each id once, in the order given.
fn ids(context: &Context<'_>, parameters: &[&str]) -> Vec<i64> {
    let mut ids = Vec::new();
    for given in parameters.iter().filter_map(|name| context.arguments.get(name)?.as_array()) {
        for id in given.iter().filter_map(Value::as_i64) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}

/// The name that the server knows for the id; it must be the one that came along.
async fn checked(context: &Context<'_>, service: &Service<'_>, entity: Entity, id: i64) -> Result<String, NdmError> {
    let document = match entity {
        Entity::Collection => service.collection(id).await?,
        Entity::Job => service.job(id).await?,
    };
    let found = entity.name_in(&document).unwrap_or_default();
    match context.arguments.text("Name") {
        Some(expected) if !expected.eq_ignore_ascii_case(&found) => {
            Err(NdmError::NotTheSame { noun: entity.noun(), id, found, expected: expected.to_owned() })
        }
        _ => Ok(found),
    }
}

fn question(service: &Service<'_>, entity: Entity, id: i64, name: &str) -> String {
    format!("Delete {} {id} ('{name}') at {}", entity.noun(), service.server())
}

async fn asked(context: &Context<'_>, what: &str) -> bool {
    let confirm = Confirm {
        description: what.to_owned(),
        question: format!("{what}?"),
        caption: context.row.cmdlet.name.clone(),
    };
    context.output.confirm(&confirm).await
}
