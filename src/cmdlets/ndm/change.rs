//! `New-NDMJob`, `Remove-NDMJob`, `Remove-NDMJobCollection`.

use super::super::Context;
use super::documents::{filled, given_secrets, received};
use super::envelope::Outcome;
use super::error::NdmError;
use super::service::{Entity, Service, refused};
use crate::documents::Node;
use crate::failure::Failure;
use crate::protocol::Confirm;
use crate::shape;

/// Posts a job document, from a file as it stands but for the spaces of web pages.
pub async fn new_job(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let given = received(context, Entity::Job)?;
    if !context.arguments.flag("Force") {
        given.refuse_no_break_spaces()?;
    }
    let place = given.place.clone();
    let document = filled(&place, &given.document, None, &given_secrets(context, "Secret")?)?;
    let info = document.root().get("jobInfo");
    let name = info.and_then(|info| info.get("name")).and_then(Node::text).map(String::from);
    let problem = "it has no jobInfo with a name".to_owned();
    let name = name.ok_or(NdmError::BadDocument { noun: Entity::Job.noun(), place, problem })?;
    if let Some(id) = info.and_then(|info| info.get("jobId")).and_then(Node::integer).filter(|id| *id != 0) {
        let warning =
            format!("The document carries the id {id} of an existing job; the server gives the new one its own.");
        context.output.warning(&warning).await;
    }
    let what = format!("Create job '{name}' at {}", service.server());
    if !asked(context, &what).await {
        return Ok(());
    }
    let id = service.create_job(given.with(document).body()).await?;
    context.output.item(None, shape::value(&id)).await;
    Ok(())
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
    for id in parameters.iter().flat_map(|name| context.arguments.integers(name)) {
        if !ids.contains(&id) {
            ids.push(id);
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
    context.output.confirm(&Confirm::about(&context.row.cmdlet.name, what, &[])).await
}
