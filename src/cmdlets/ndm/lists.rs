//! The cmdlets that list: job collections, jobs, jobs of a collection, names.

use super::super::Context;
use super::super::wildcard::is_like;
use super::documents;
use super::listing::{Rows, Search};
use super::service::{Entity, Service};
use crate::failure::Failure;
use crate::shape;
use serde_json::value::RawValue;
use std::cmp::Ordering;

pub async fn collections(context: &Context<'_>) -> Result<(), Failure> {
    if context.arguments.is_bound("Id") {
        return super::collections::get(context).await;
    }
    let service = Service::new(context)?;
    let rows = service.collections(search(context));
    if context.arguments.flag("Detailed") || context.arguments.flag("AsJson") {
        return details(context, &service, rows).await;
    }
    write(context, rows).await
}

/// The whole document of each collection that was found.
async fn details(context: &Context<'_>, service: &Service<'_>, rows: Rows<'_, '_>) -> Result<(), Failure> {
    for row in chosen(context, rows).await? {
        let Some(id) = shape::text_property(&row, "id").and_then(|id| id.parse().ok()) else { continue };
        if let Err(error) = super::collections::show(context, service, id).await {
            context.output.failure(&error.into()).await;
        }
    }
    Ok(())
}

/// All rows that `-First`, `-Skip` and `-SortBy` leave.
async fn chosen(context: &Context<'_>, rows: Rows<'_, '_>) -> Result<Vec<Box<RawValue>>, Failure> {
    let mut all = rows.all().await?;
    if let Some(property) = context.arguments.text("SortBy") {
        sort(&mut all, property, context.arguments.flag("Descending"));
    }
    let number = |name: &str| context.arguments.integer(name).and_then(|n| usize::try_from(n).ok());
    Ok(all.into_iter().skip(number("Skip").unwrap_or(0)).take(number("First").unwrap_or(usize::MAX)).collect())
}

pub async fn jobs(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let Some(ids) = context.arguments.get("Id").and_then(|ids| ids.as_array()) else {
        return write(context, service.jobs(search(context))).await;
    };
    for id in ids.iter().filter_map(serde_json::Value::as_i64) {
        match service.job(id).await {
            Ok(text) if context.arguments.flag("Detailed") || context.arguments.flag("AsJson") => {
                let document = documents::parsed(&format!("Job {id}"), &text)?;
                let redact = !context.arguments.flag("IncludeSecret");
                if context.arguments.flag("AsJson") {
                    documents::emit_text(context, &document, redact).await;
                } else {
                    documents::emit_job(context, &document, redact).await;
                }
            }
            // The document as a whole holds secrets; its own summary doesn't.
            Ok(document) => {
                if let Some(info) = Entity::Job.info(&document) {
                    context.output.item(context.type_name(), shape::texts_kept(info)).await;
                }
            }
            Err(error) => context.output.failure(&error.into()).await,
        }
    }
    Ok(())
}

pub async fn collection_jobs(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let id = context.arguments.integer("CollectionId").unwrap_or_default();
    write(context, service.collection_jobs(id, search(context))).await
}

/// Names come in one answer, jobs and templates mixed, with `type` as text.
pub async fn names(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let pattern = context.arguments.text("Name");
    let names = service.job_names().await?;
    let wanted = |row: &RawValue| {
        pattern.is_none_or(|pattern| is_like(&shape::text_property(row, "name").unwrap_or_default(), pattern))
    };
    let rows: Vec<Box<RawValue>> = names.iter().filter(|row| wanted(row)).map(|row| shape::texts_kept(row)).collect();
    context.output.items(context.type_name(), &rows).await;
    Ok(())
}

fn search(context: &Context<'_>) -> Search {
    Search { name: context.arguments.text("Name").map(str::to_owned), id: None }
}

/// Streams the rows; with `-SortBy` all are read first, since the server's order isn't documented.
async fn write(context: &Context<'_>, mut rows: Rows<'_, '_>) -> Result<(), Failure> {
    let arguments = &context.arguments;
    if arguments.is_bound("SortBy") {
        emit(context, chosen(context, rows).await?.into_iter()).await;
        return Ok(());
    }
    let number = |name: &str| arguments.integer(name).and_then(|n| usize::try_from(n).ok());
    let mut skip = number("Skip").unwrap_or(0);
    let mut left = number("First").unwrap_or(usize::MAX);
    while left > 0
        && let Some(page) = rows.next().await?
    {
        let skipped = skip.min(page.len());
        skip -= skipped;
        let taken = (page.len() - skipped).min(left);
        left -= taken;
        emit(context, page.into_iter().skip(skipped).take(taken)).await;
    }
    Ok(())
}

async fn emit(context: &Context<'_>, rows: impl Iterator<Item = Box<RawValue>>) {
    let values: Vec<Box<RawValue>> = rows.map(|row| shape::texts_kept(&row)).collect();
    context.output.items(context.type_name(), &values).await;
}

fn sort(rows: &mut [Box<RawValue>], property: &str, descending: bool) {
    let key = |row: &RawValue| shape::text_property(row, property);
    rows.sort_by(|a, b| {
        let order = compare(key(a), key(b));
        if descending { order.reverse() } else { order }
    });
}

/// Numbers as numbers, dates in UTC as the text they are, texts without regard to case, nothing first.
fn compare(a: Option<String>, b: Option<String>) -> Ordering {
    let (Some(a), Some(b)) = (&a, &b) else { return a.is_some().cmp(&b.is_some()) };
    if let (Ok(a), Ok(b)) = (a.parse::<i64>(), b.parse::<i64>()) {
        return a.cmp(&b);
    }
    // "…:47Z" is before "…:47.13Z", although 'Z' comes after '.'.
    let plain = |text: &str| text.trim_end_matches('Z').to_lowercase();
    plain(a).cmp(&plain(b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rows_are_sorted_as_people_expect() {
        let sorted = |values: &[&str], descending| {
            let rows = values.iter().map(|v| RawValue::from_string(format!(r#"{{"p":{v}}}"#)).unwrap());
            let mut rows: Vec<_> = rows.collect();
            sort(&mut rows, "P", descending);
            rows.iter().map(|r| r.get()[5..r.get().len() - 1].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(sorted(&["10", "9", "null"], false), ["null", "9", "10"]);
        assert_eq!(sorted(&[r#""b""#, r#""A""#], true), [r#""b""#, r#""A""#]);
        let times = [r#""2024-06-04T10:46:33.13Z""#, r#""2024-06-04T10:46:33Z""#];
        assert_eq!(sorted(&times, false), [times[1], times[0]]);
    }
}
