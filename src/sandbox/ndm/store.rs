//! The documents and their ids: what a create, an update and a deletion do to them.
//!
//! A create gives every row an id of this server, whatever was sent. An update replaces the whole document, and only
//! rows with the id 0 get one. What a real server does with ids that are not of the document is not documented;
//! this one refuses them, since they are a mistake.

use std::collections::HashSet;

use super::envelope::Failure;
use super::json::Node;

/// The lists of a job whose rows have ids; each counts for itself.
const SECTIONS: [&str; 4] = ["fieldsMap", "objectsOption", "syncQuery", "settings"];

#[derive(Debug, Default)]
pub(super) struct Store {
    /// Documents with their jobs, in the order of their creation.
    pub(super) collections: Vec<Node>,
    /// Stand-alone jobs.
    pub(super) jobs: Vec<Node>,
    /// `/Names` mixes them with the jobs; no other endpoint shows them.
    pub(super) templates: Vec<&'static str>,
    last: Last,
}

/// The ids given last.
#[derive(Debug, Default)]
struct Last {
    collection: i64,
    job: i64,
    rows: [i64; 4],
}

fn next(last: &mut i64) -> i64 {
    *last += 1;
    *last
}

/// Which ids a document may keep.
#[derive(Debug, Default)]
struct Known {
    jobs: HashSet<i64>,
    /// Job, section, row.
    rows: HashSet<(i64, usize, i64)>,
}

impl Known {
    fn of(document: &Node) -> Self {
        let mut known = Self::default();
        for job in jobs_of(document) {
            let id = job_id(job);
            known.jobs.insert(id);
            for (section, name) in SECTIONS.iter().enumerate() {
                let rows = job.get(name).map(Node::rows).unwrap_or_default();
                known.rows.extend(rows.iter().map(|row| (id, section, id_in(row, "id"))));
            }
        }
        known
    }
}

impl Store {
    pub(super) fn collection(&self, id: i64) -> Option<&Node> {
        self.collections.iter().find(|document| collection_id(document) == id)
    }

    /// Stand-alone or in a collection.
    pub(super) fn job(&self, id: i64) -> Option<&Node> {
        self.all_jobs().find(|job| job_id(job) == id)
    }

    pub(super) fn all_jobs(&self) -> impl Iterator<Item = &Node> {
        self.jobs.iter().chain(self.collections.iter().flat_map(jobs_of))
    }

    /// The next collection gets this id.
    pub(super) fn skip_to_collection(&mut self, id: i64) {
        self.last.collection = id - 1;
    }

    /// Returns the new id.
    pub(super) fn create(&mut self, mut document: Node) -> Result<i64, Failure> {
        check(&document)?;
        let id = next(&mut self.last.collection);
        self.number(&mut document, id, false);
        self.collections.push(document);
        Ok(id)
    }

    /// Replaces the document whose id is inside.
    pub(super) fn update(&mut self, mut document: Node) -> Result<i64, Failure> {
        let id = collection_id(&document);
        let Some(index) = self.collections.iter().position(|known| collection_id(known) == id) else {
            return Err(missing("JobCollectionNotFound", "job collection", id));
        };
        check(&document)?;
        check_ids(&document, &Known::of(&self.collections[index]))?;
        self.number(&mut document, id, true);
        self.collections[index] = document;
        Ok(id)
    }

    pub(super) fn create_job(&mut self, mut job: Node) -> Result<i64, Failure> {
        check_job(&job)?;
        let id = self.number_job(&mut job, None, false);
        self.jobs.push(job);
        Ok(id)
    }

    pub(super) fn delete(&mut self, id: i64) -> Result<Option<i64>, Failure> {
        let index = self.collections.iter().position(|document| collection_id(document) == id);
        let index = index.ok_or_else(|| missing("JobCollectionNotFound", "job collection", id))?;
        self.collections.remove(index);
        Ok(None)
    }

    /// A job of a collection leaves both of its places there.
    pub(super) fn delete_job(&mut self, id: i64) -> Result<Option<i64>, Failure> {
        if let Some(index) = self.jobs.iter().position(|job| job_id(job) == id) {
            self.jobs.remove(index);
            return Ok(None);
        }
        let owner = self.collections.iter_mut().find(|document| jobs_of(document).iter().any(|job| job_id(job) == id));
        let Some(document) = owner else {
            return Err(missing("JobNotFound", "job", id));
        };
        if let Some(Node::List(jobs)) = document.get_mut("jobs") {
            jobs.retain(|job| job_id(job) != id);
        }
        if let Some(Node::List(summaries)) = document.get_mut("jobCollectionInfo").and_then(|info| info.get_mut("jobs"))
        {
            summaries.retain(|summary| id_in(summary, "jobId") != id);
        }
        Ok(None)
    }

    /// Gives ids to the collection and everything in it; `keep`: only to what has none.
    fn number(&mut self, document: &mut Node, id: i64, keep: bool) {
        let mut fresh = Vec::new();
        for (index, job) in rows_mut(document, "jobs").iter_mut().enumerate() {
            let before = job_id(job);
            let now = self.number_job(job, Some(id), keep);
            if before != now {
                fresh.push((index, now));
            }
        }
        let Some(info) = document.get_mut("jobCollectionInfo") else { return };
        set_id(info, "id", id);
        // The second copy of a job's identity: by position where there was no id yet.
        for (index, now) in fresh {
            if let Some(summary) = rows_mut(info, "jobs").get_mut(index) {
                set_id(summary, "jobId", now);
            }
        }
    }

    fn number_job(&mut self, job: &mut Node, collection: Option<i64>, keep: bool) -> i64 {
        let before = job_id(job);
        let id = if keep && before != 0 { before } else { next(&mut self.last.job) };
        if let Some(info) = job.get_mut("jobInfo") {
            set_id(info, "jobId", id);
            if let Some(collection) = collection {
                set_id(info, "collectionId", collection);
            }
        }
        for (name, last) in SECTIONS.iter().zip(&mut self.last.rows) {
            for row in rows_mut(job, name) {
                if !keep || id_in(row, "id") == 0 {
                    set_id(row, "id", next(last));
                }
                if *name == "objectsOption" {
                    set_id(row, "jobId", id);
                }
            }
        }
        id
    }
}

/// What must be there for a document to be one.
fn check(document: &Node) -> Result<(), Failure> {
    let invalid = |text: &str| Failure::new("InvalidJobCollection", text);
    let info = document.get("jobCollectionInfo").filter(|info| info.is_object());
    let info = info.ok_or_else(|| invalid("The job collection has no jobCollectionInfo."))?;
    if info.get("name").and_then(Node::text).is_none_or(|name| name.trim().is_empty()) {
        return Err(invalid("The job collection has no name."));
    }
    let (Some(Node::List(jobs)), Some(Node::List(summaries))) = (document.get("jobs"), info.get("jobs")) else {
        return Err(invalid("The job collection needs its jobs twice: in jobs and in jobCollectionInfo.jobs."));
    };
    if jobs.len() != summaries.len() {
        return Err(invalid("jobs and jobCollectionInfo.jobs don't have the same number of jobs."));
    }
    jobs.iter().try_for_each(check_job)
}

fn check_job(job: &Node) -> Result<(), Failure> {
    let name = job.get("jobInfo").and_then(|info| info.get("name")).and_then(Node::text);
    if name.is_none_or(|name| name.trim().is_empty()) {
        return Err(Failure::new("InvalidJob", "The job has no jobInfo with a name."));
    }
    Ok(())
}

fn check_ids(document: &Node, known: &Known) -> Result<(), Failure> {
    let foreign = |what: String| Err(Failure::new("ForeignId", format!("{what} is not part of this job collection.")));
    let summaries = document.get("jobCollectionInfo").and_then(|info| info.get("jobs")).map(Node::rows);
    let mut seen = HashSet::new();
    for job in jobs_of(document) {
        let id = job_id(job);
        if id != 0 && (!known.jobs.contains(&id) || !seen.insert(id)) {
            return foreign(format!("Job {id}"));
        }
        for (section, name) in SECTIONS.iter().enumerate() {
            for row in job.get(name).map(Node::rows).unwrap_or_default() {
                let row = id_in(row, "id");
                if row != 0 && !known.rows.contains(&(id, section, row)) {
                    return foreign(format!("Row {row} of {name} in job {id}"));
                }
            }
        }
    }
    let named = summaries.unwrap_or_default().iter().map(|summary| id_in(summary, "jobId"));
    match named.filter(|id| *id != 0).find(|id| !seen.contains(id)) {
        Some(id) => foreign(format!("Job {id} of jobCollectionInfo.jobs")),
        None => Ok(()),
    }
}

fn missing(code: &str, what: &str, id: i64) -> Failure {
    Failure::new(code, format!("There is no {what} with the id {id}."))
}

pub(super) fn jobs_of(document: &Node) -> &[Node] {
    document.get("jobs").map(Node::rows).unwrap_or_default()
}

pub(super) fn collection_id(document: &Node) -> i64 {
    document.get("jobCollectionInfo").map(|info| id_in(info, "id")).unwrap_or_default()
}

pub(super) fn job_id(job: &Node) -> i64 {
    job.get("jobInfo").map(|info| id_in(info, "jobId")).unwrap_or_default()
}

/// Missing and 0 are the same.
fn id_in(row: &Node, name: &str) -> i64 {
    row.get(name).and_then(Node::int).unwrap_or_default()
}

fn rows_mut<'a>(node: &'a mut Node, name: &str) -> &'a mut [Node] {
    node.get_mut(name).map(Node::rows_mut).unwrap_or_default()
}

/// What is right already keeps its text.
fn set_id(row: &mut Node, name: &str, id: i64) {
    if row.get(name).and_then(Node::int) != Some(id) {
        row.set(name, Node::number(id));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DOCUMENT: &str = r#"{"jobCollectionInfo":{"id":0,"name":"A","weight":1.50,"jobs":[{"jobId":0,"name":"One"}]},"jobs":[{"jobInfo":{"jobId":0,"name":"One","collectionId":0},"fieldsMap":[{"id":65,"x":1},{"id":0}],"objectsOption":[{"id":0,"jobId":0}],"settings":[{"id":0,"key":"a"}]}]}"#;

    fn store() -> Store {
        let mut store = Store::default();
        store.skip_to_collection(21);
        assert_eq!(store.create(Node::parse(DOCUMENT).unwrap()), Ok(21));
        store
    }

    #[test]
    fn a_create_numbers_everything_and_changes_nothing_else() {
        let store = store();
        let expected = r#"{"jobCollectionInfo":{"id":21,"name":"A","weight":1.50,"jobs":[{"jobId":1,"name":"One"}]},"jobs":[{"jobInfo":{"jobId":1,"name":"One","collectionId":21},"fieldsMap":[{"id":1,"x":1},{"id":2}],"objectsOption":[{"id":1,"jobId":1}],"settings":[{"id":1,"key":"a"}]}]}"#;
        assert_eq!(store.collection(21).unwrap().to_string(), expected);
    }

    #[test]
    fn an_update_numbers_new_rows_only() {
        let mut store = store();
        let text = store.collection(21).unwrap().to_string();
        assert_eq!(store.update(Node::parse(&text).unwrap()), Ok(21));
        assert_eq!(store.collection(21).unwrap().to_string(), text);
        let more = text.replace(r#"{"id":2}"#, r#"{"id":0,"new":true}"#);
        assert_eq!(store.update(Node::parse(&more).unwrap()), Ok(21));
        assert_eq!(store.collection(21).unwrap().to_string(), more.replace(r#""id":0"#, r#""id":3"#));
    }

    #[test]
    fn ids_of_others_and_halves_of_documents_are_refused() {
        let mut store = store();
        let text = store.collection(21).unwrap().to_string();
        let mut code = |text: String| store.update(Node::parse(&text).unwrap()).unwrap_err().code;
        assert_eq!(code(text.replace(r#""id":21"#, r#""id":99"#)), "JobCollectionNotFound");
        assert_eq!(code(text.replace(r#""jobId":1"#, r#""jobId":8"#)), "ForeignId");
        assert_eq!(code(text.replace(r#"{"id":2}"#, r#"{"id":75}"#)), "ForeignId");
        assert_eq!(code(text.replace(r#"[{"jobId":1,"name":"One"}]"#, "[]")), "InvalidJobCollection");
        assert_eq!(code(r#"{"jobCollectionInfo":{"id":21,"name":"B"}}"#.to_owned()), "InvalidJobCollection");
        assert_eq!(store.collection(21).unwrap().to_string(), text, "nothing was changed");
    }

    #[test]
    fn a_deleted_job_leaves_both_places() {
        let mut store = store();
        assert_eq!(store.delete_job(1), Ok(None));
        let document = store.collection(21).unwrap();
        assert!(jobs_of(document).is_empty() && !document.to_string().contains("One"));
        assert_eq!(store.delete_job(1).unwrap_err().code, "JobNotFound");
        assert_eq!(store.delete(21), Ok(None));
        assert!(store.delete(21).is_err());
    }
}
