//! The eleven documented endpoints below `/GroupIDDataService/api/DataSyncJobs`.

use axum::http::StatusCode;

use super::super::wire::{Call, Handled, Reply, int};
use super::Manner;
use super::envelope::{self, DELETED, Failure, WRITTEN};
use super::filter::{Candidate, Request};
use super::json::Node;
use super::store::{self, Store};

/// `segments` begin after `DataSyncJobs`, in lower case.
pub(super) fn route(store: &mut Store, call: &Call, segments: &[&str], manner: &Manner) -> Handled {
    let reply = match (call.method.as_str(), segments) {
        ("GET", ["collections"]) => collections(store, call, manner),
        ("GET", ["collections", "details"]) => jobs_of_collection(store, call, manner),
        ("GET", ["collections", id, "details"]) => collection(store, id, manner),
        ("POST", ["collections"]) => write(call, |document| store.create(document)),
        ("PATCH", ["collections"]) => write(call, |document| store.update(document)),
        ("DELETE", ["collections"]) => delete(call, manner, |id| store.delete(id)),
        ("GET", []) => jobs(store, call, manner),
        ("GET", ["names"]) => Ok(names(store)),
        ("GET", [id, "details"]) => job(store, id, manner),
        ("POST", []) => write(call, |document| store.create_job(document)),
        ("DELETE", []) => delete(call, manner, |id| store.delete_job(id)),
        (_, [] | ["collections"] | ["names"] | ["collections", _, "details"] | [_, "details"]) => {
            Err(Reply::empty(StatusCode::METHOD_NOT_ALLOWED))
        }
        _ => Err(Reply::empty(StatusCode::NOT_FOUND)),
    }?;
    Ok(reply)
}

fn request(call: &Call, manner: &Manner) -> Result<Request, Reply> {
    let body: &[u8] = if manner.drop_get_bodies { &[] } else { &call.body };
    Request::parse(body).map_err(|text| envelope::bad_request(&text))
}

/// `count` is the number of rows returned; whether it is that or the number of matches is not documented.
fn list(request: &Request, filter: &str, candidates: Vec<Candidate>) -> Handled {
    let rows = request.apply(filter, candidates).map_err(|text| envelope::bad_request(&text))?;
    Ok(envelope::read(rows.len(), &Node::List(rows)))
}

fn collections(store: &Store, call: &Call, manner: &Manner) -> Handled {
    let rows = store.collections.iter().filter_map(summary);
    let candidates = rows.map(|row| Candidate { row, collection: None }).collect();
    list(&request(call, manner)?, "filterCriteria", candidates)
}

/// The list contradicts the document on purpose, as the samples do: it counts the jobs and shows none, and every
/// collection is enabled.
fn summary(document: &Node) -> Option<Node> {
    let mut row = document.get("jobCollectionInfo")?.clone();
    let jobs = i64::try_from(store::jobs_of(document).len()).unwrap_or_default();
    row.set("jobCollectionGuid", Node::literal("null"));
    row.set("totalJobs", Node::number(jobs));
    row.set("enabled", Node::literal("true"));
    row.set("jobs", Node::List(Vec::new()));
    Some(row)
}

/// The collection's number is in the body. Without a body the jobs of all collections are shown.
fn jobs_of_collection(store: &Store, call: &Call, manner: &Manner) -> Handled {
    let request = request(call, manner)?;
    let wanted = request.int("jobCollectionId");
    if wanted.is_none() && !request.is_empty() {
        return Err(envelope::bad_request("jobCollectionId is missing."));
    }
    let documents = store
        .collections
        .iter()
        .filter(|document| wanted.is_none_or(|wanted| store::collection_id(document) == wanted));
    let candidates = documents.flat_map(|document| {
        let name = document.get("jobCollectionInfo").and_then(|info| info.get("name")).map(Node::plain);
        let infos = store::jobs_of(document).iter().filter_map(|job| job.get("jobInfo").cloned());
        infos.map(move |row| Candidate { row, collection: name.clone() }).collect::<Vec<_>>()
    });
    list(&request, "filters", candidates.collect())
}

fn collection(store: &Store, id: &str, manner: &Manner) -> Handled {
    let document = int(id).and_then(|id| store.collection(id)).ok_or_else(|| Reply::empty(StatusCode::NOT_FOUND))?;
    Ok(envelope::read(store::jobs_of(document).len(), &readable(document, manner)))
}

/// Stand-alone jobs and those of collections.
fn jobs(store: &Store, call: &Call, manner: &Manner) -> Handled {
    let rows = store.all_jobs().filter_map(|job| job.get("jobInfo").cloned());
    let candidates = rows.map(|row| Candidate { row, collection: None }).collect();
    list(&request(call, manner)?, "filterCriteria", candidates)
}

fn job(store: &Store, id: &str, manner: &Manner) -> Handled {
    let job = int(id).and_then(|id| store.job(id)).ok_or_else(|| Reply::empty(StatusCode::NOT_FOUND))?;
    // The documented sample counts none.
    Ok(envelope::read(0, &readable(job, manner)))
}

/// A list without an envelope, and with types as text.
fn names(store: &Store) -> Reply {
    let jobs = store.all_jobs().filter_map(|job| job.get("jobInfo")).map(|info| {
        let name = info.get("name").map_or_else(|| "null".to_owned(), Node::to_string);
        format!(r#"{{"name":{name},"type":"{}"}}"#, info.get("type").map(Node::plain).unwrap_or_default())
    });
    let templates = store.templates.iter().map(|name| format!(r#"{{"name":"{name}","type":"3"}}"#));
    envelope::json_text(format!("[{}]", jobs.chain(templates).collect::<Vec<_>>().join(",")))
}

fn write(call: &Call, act: impl FnOnce(Node) -> Result<i64, Failure>) -> Handled {
    let text = std::str::from_utf8(&call.body).ok();
    let document = text.and_then(Node::parse).filter(Node::is_object);
    let document = document.ok_or_else(|| envelope::bad_request("The body is not a JSON object."))?;
    Ok(envelope::result(WRITTEN, &act(document).map(Some)))
}

fn delete(call: &Call, manner: &Manner, mut act: impl FnMut(i64) -> Result<Option<i64>, Failure>) -> Handled {
    let ids: Option<Vec<i64>> = call.params("jobids").map(int).collect();
    let ids = ids.filter(|ids| !ids.is_empty()).ok_or_else(|| envelope::bad_request("jobids needs whole numbers."))?;
    let items: Vec<_> = ids
        .into_iter()
        .map(|id| match manner.failing_items.contains(&id) {
            true => Err(Failure::new("InUse", format!("{id} can't be deleted: it is in use."))),
            false => act(id),
        })
        .collect();
    Ok(envelope::batch(DELETED, &items))
}

/// As stored, or with the values of static password mappings left out.
fn readable(document: &Node, manner: &Manner) -> Node {
    let mut document = document.clone();
    if manner.blank_passwords {
        blank(&mut document);
    }
    document
}

fn blank(document: &mut Node) {
    if let Some(jobs) = document.get_mut("jobs") {
        jobs.rows_mut().iter_mut().for_each(blank);
    }
    for row in document.get_mut("fieldsMap").map(Node::rows_mut).unwrap_or_default() {
        let field = row.get("destinationField").map(Node::plain).unwrap_or_default().to_ascii_lowercase();
        let transform = row.get("transform").map(Node::plain).unwrap_or_default();
        if matches!(field.as_str(), "password" | "pwd" | "unicodepwd") && transform.starts_with("Static:value=") {
            row.set("transform", Node::literal("\"Static:value=\""));
        }
    }
}
