//! A document from elsewhere on its way over one that the server has: it gets the ids and the run
//! state of the rows that mean the same there.

use super::node::{Document, Node};
use super::renewal::{self, IDS, JOB_ROWS, RUN_STATE};
use super::rows::{self, Rule};

const GUIDS: &[&str] = &["jobCollectionGuid", "jobGuid"];

/// The document with ids, GUIDs and run state of `live`. Rows are found by id and meaning, then by
/// meaning, then by id: ids must be 0 (see `as_new`) unless they are of the same server. Rows that
/// `live` lacks become new ones.
pub fn adopt(document: &Document, live: &Document) -> Document {
    let mut adopted = document.clone();
    let (root, known) = (adopted.root_mut(), live.root());
    identify(root, known, RUN_STATE);
    let collection = known.get("jobCollectionInfo").and_then(|info| info.get("id")).cloned();
    if let (Some(info), Some(known)) = (root.get_mut("jobCollectionInfo"), known.get("jobCollectionInfo")) {
        same(info, known);
        each_row(info, known, "jobs", &mut |row, partner| match partner {
            Some(known) => same(row, known),
            None => renewal::renew(row),
        });
    }
    each_row(root, known, "jobs", &mut |job, partner| match partner {
        Some(known) => same_job(job, known),
        None => new_job(job, collection.as_ref()),
    });
    adopted
}

fn same_job(job: &mut Node, known: &Node) {
    identify(job, known, RUN_STATE);
    let id = known.get("jobInfo").and_then(|info| info.get("jobId")).cloned();
    if let (Some(info), Some(known)) = (job.get_mut("jobInfo"), known.get("jobInfo")) {
        same(info, known);
    }
    for name in JOB_ROWS {
        each_row(job, known, name, &mut |row, partner| match partner {
            Some(known) => identify(row, known, IDS),
            None => {
                renewal::renew(row);
                // The row is new, the job it belongs to is not.
                if let Some(id) = id.as_ref().filter(|_| row.get("jobId").is_some()) {
                    row.set("jobId", id.clone());
                }
            }
        });
    }
}

fn new_job(job: &mut Node, collection: Option<&Node>) {
    let belongs = job.get("jobInfo").and_then(|info| info.get("collectionId")).is_some_and(|id| !id.is_null());
    renewal::each_identified(job, &mut renewal::renew);
    if let (true, Some(id), Some(info)) = (belongs, collection, job.get_mut("jobInfo")) {
        info.set("collectionId", id.clone());
    }
}

fn each_row(owner: &mut Node, known: &Node, name: &str, f: &mut dyn FnMut(&mut Node, Option<&Node>)) {
    let others = known.get(name).map(Node::items).unwrap_or_default();
    let Some(items) = owner.get_mut(name).and_then(Node::items_mut) else { return };
    let partners = rows::pair(name, items, others, &[Rule::IdAndKey, Rule::Key, Rule::Id]);
    for (row, partner) in items.iter_mut().zip(partners) {
        f(row, partner.map(|partner| &others[partner]));
    }
}

fn same(node: &mut Node, known: &Node) {
    for names in [IDS, GUIDS, RUN_STATE] {
        identify(node, known, names);
    }
}

/// These members become what `known` has, also where it has none.
fn identify(node: &mut Node, known: &Node, names: &[&str]) {
    for name in names {
        match (known.get(name), &mut *node) {
            (Some(value), node) => node.set(name, value.clone()),
            (None, Node::Object(members)) => members.retain(|member| member.name != *name),
            (None, _) => {}
        }
    }
}
