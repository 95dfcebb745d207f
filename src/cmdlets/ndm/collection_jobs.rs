//! The jobs inside a collection: changed, moved, added, taken out. Each changes the collection's
//! document, and both of its copies of a job's identity.

use super::super::Context;
use super::collections::job_copy;
use super::edit::{Target, edit};
use super::error::NdmError;
use super::service::Service;
use crate::binding::BindError;
use crate::documents::{self, Document, DocumentError, JobKey, OnFailure, Place};
use crate::failure::Failure;

pub async fn set(context: &Context<'_>) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let on_failure = arguments.text("OnFailure").map(OnFailure::of);
    let name = arguments.text("NewName");
    if on_failure.is_none() && name.is_none() {
        return Err(Failure::NothingToChange);
    }
    change(context, |document| {
        let key = job(context);
        if let Some(action) = on_failure {
            documents::set_on_failure(document, &key, action)?;
        }
        match name {
            Some(name) => documents::rename_job(document, &key, name),
            None => Ok(()),
        }
    })
    .await
}

pub async fn relocate(context: &Context<'_>) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let position = arguments.integer("Position").and_then(|position| usize::try_from(position).ok());
    let (before, after) = (arguments.text("Before"), arguments.text("After"));
    if position.is_none() && before.is_none() && after.is_none() {
        let cmdlet = context.row.cmdlet.name.clone();
        return Err(BindError::Missing { cmdlet, name: "Before, -After or -Position".into() }.into());
    }
    change(context, |document| {
        let place = match (before, after, position) {
            (Some(text), ..) => Place::Before(named(document, text)),
            (_, Some(text), _) => Place::After(named(document, text)),
            (.., position) => Place::Position(position.unwrap_or_default()),
        };
        documents::move_job(document, &job(context), &place)
    })
    .await
}

pub async fn add(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let on_failure = context.arguments.text("OnFailure").map(OnFailure::of);
    let mut copies = Vec::new();
    for id in context.arguments.integers("JobId") {
        copies.push(job_copy(&service, id, on_failure).await?);
    }
    change(context, |document| copies.iter().try_for_each(|copy| documents::add_job(document, copy))).await
}

pub async fn remove(context: &Context<'_>) -> Result<(), Failure> {
    change(context, |document| documents::remove_job(document, &job(context))).await
}

async fn change(
    context: &Context<'_>,
    change: impl FnOnce(&mut Document) -> Result<(), DocumentError>,
) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let target = Target::of(context, &service).await?;
    edit(context, &target, |live| {
        let mut changed = live.clone();
        let place = format!("Job collection {}", target.id);
        change(&mut changed).map_err(|error| NdmError::Document { place, error })?;
        Ok(changed)
    })
    .await
}

/// The job that `-JobId` or `-JobName` means.
fn job(context: &Context<'_>) -> JobKey {
    match context.arguments.integer("JobId") {
        Some(id) => JobKey::Id(id),
        None => JobKey::Name(context.arguments.text("JobName").unwrap_or_default().to_owned()),
    }
}

/// A name, or else an id: a job may be called '9'.
fn named(document: &Document, text: &str) -> JobKey {
    let jobs = documents::jobs(document).unwrap_or_default();
    let is_name = jobs.iter().any(|job| job.name.to_lowercase() == text.to_lowercase());
    match text.parse() {
        Ok(id) if !is_name => JobKey::Id(id),
        _ => JobKey::Name(text.to_owned()),
    }
}
