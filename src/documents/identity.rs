//! Whose document it is, and the changes that touch what a collection keeps twice: every job's
//! identity is in `jobCollectionInfo.jobs` (the summary) and in `jobs[].jobInfo`. Both are written;
//! members on which the two have always disagreed (`enabled`, `smartgroupSchedule`, `collectionId`)
//! are left alone.

use super::error::DocumentError;
use super::node::{Document, Node, same_value};
use super::renewal;
use super::rows;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// 0 in a document that was never created.
    pub id: i64,
    pub name: String,
}

/// A job of a collection, as both copies of its identity say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Row in `jobs`.
    pub index: usize,
    /// Row in `jobCollectionInfo.jobs`, when there is one.
    pub summary: Option<usize>,
    pub id: i64,
    pub name: String,
    pub on_failure: String,
    /// From 1 inside a collection.
    pub run_order: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobKey {
    Id(i64),
    /// Compared without regard to case.
    Name(String),
}

/// What happens to the jobs after one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    Abort,
    Continue,
}

impl OnFailure {
    /// However the user spelled it; the row allows no third word.
    pub fn of(text: &str) -> Self {
        if text.eq_ignore_ascii_case("Continue") { Self::Continue } else { Self::Abort }
    }

    /// As the server spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Abort => "Abort",
            Self::Continue => "Continue",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Before(JobKey),
    After(JobKey),
    /// From 1.
    Position(usize),
}

/// The root members about mails; `None` leaves one as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    pub enabled: Option<bool>,
    pub individual_email: Option<bool>,
    /// The server's number; which number means what is not documented.
    pub when: Option<i64>,
    /// As the server wants it; its separator is not documented.
    pub recipients: Option<String>,
}

const INFO: &str = "jobCollectionInfo";

/// # Errors
/// `Shape` when there is no `jobCollectionInfo` with a name.
pub fn identity(document: &Document) -> Result<Identity, DocumentError> {
    let info = document.root().get(INFO).ok_or_else(|| shape(INFO, "there: a job collection has it"))?;
    let name = info.get("name").and_then(Node::text).ok_or_else(|| shape("jobCollectionInfo.name", "text"))?;
    Ok(Identity { id: info.get("id").and_then(Node::integer).unwrap_or(0), name: name.into_owned() })
}

/// The jobs in the order of their rows.
///
/// # Errors
/// `Shape` when `jobs` is no array.
pub fn jobs(document: &Document) -> Result<Vec<Job>, DocumentError> {
    let Some(Node::Array(rows)) = document.root().get("jobs") else { return Err(shape("jobs", "an array")) };
    let summaries = summaries(document);
    let partners = pair_copies(rows, summaries);
    let read = |(index, (row, summary)): (usize, (&Node, Option<usize>))| {
        let info = row.get("jobInfo").unwrap_or(row);
        let text = |name: &str| info.get(name).and_then(Node::text).unwrap_or_default().into_owned();
        let run_order = info.get("runOrder").and_then(Node::integer).unwrap_or(0);
        let id = info.get("jobId").and_then(Node::integer).unwrap_or(0);
        Job { index, summary, id, name: text("name"), on_failure: text("onFailure"), run_order }
    };
    Ok(rows.iter().zip(partners).enumerate().map(read).collect())
}

pub(super) fn summaries(document: &Document) -> &[Node] {
    document.root().get(INFO).and_then(|info| info.get("jobs")).map(Node::items).unwrap_or_default()
}

/// By id; where ids are 0, by position.
fn pair_copies(rows: &[Node], summaries: &[Node]) -> Vec<Option<usize>> {
    rows::pair("jobs", rows, summaries, &[rows::Rule::Id, rows::Rule::Index])
}

/// # Errors
/// `Shape` when there is no `jobCollectionInfo`.
pub fn rename(document: &mut Document, name: &str) -> Result<(), DocumentError> {
    info_mut(document)?.set("name", Node::string(name));
    Ok(())
}

/// The description people see; the root's own is always null.
///
/// # Errors
/// `Shape` when there is no `jobCollectionInfo`.
pub fn describe(document: &mut Document, description: &str) -> Result<(), DocumentError> {
    info_mut(document)?.set("description", Node::string(description));
    Ok(())
}

pub fn set_notification(document: &mut Document, notification: &Notification) {
    let root = document.root_mut();
    let values = [
        ("isNotificationEnabled", notification.enabled.map(Node::boolean)),
        ("notificationSendIndividualEmail", notification.individual_email.map(Node::boolean)),
        ("notifyWhen", notification.when.map(Node::number)),
        ("notificationRecipients", notification.recipients.as_deref().map(Node::string)),
    ];
    for (name, value) in values {
        if let Some(value) = value {
            root.set(name, value);
        }
    }
}

/// # Errors
/// `NoSuchJob`, `AmbiguousJob`, `Shape`.
pub fn rename_job(document: &mut Document, job: &JobKey, name: &str) -> Result<(), DocumentError> {
    let job = find_job(document, job)?;
    set_in_both(document, &job, "name", &Node::string(name));
    Ok(())
}

/// # Errors
/// `NoSuchJob`, `AmbiguousJob`, `Shape`.
pub fn set_on_failure(document: &mut Document, job: &JobKey, action: OnFailure) -> Result<(), DocumentError> {
    let job = find_job(document, job)?;
    set_in_both(document, &job, "onFailure", &Node::string(action.word()));
    Ok(())
}

/// Moves a job and numbers all anew from 1; rows are put into the order in which they run.
///
/// # Errors
/// `NoSuchJob`, `AmbiguousJob`, `NoSuchPosition`, `Shape`.
pub fn move_job(document: &mut Document, job: &JobKey, place: &Place) -> Result<(), DocumentError> {
    let moved = find_job(document, job)?;
    let mut order = in_run_order(document)?;
    order.retain(|other| other.index != moved.index);
    let beside = |key: &JobKey, offset: usize| {
        let anchor = find_job(document, key)?;
        // Before or after itself: it stays.
        let stays = moved.index == anchor.index;
        let at = order.iter().position(|other| other.index == anchor.index).map(|at| at + offset);
        let own =
            || in_run_order(document).map(|all| all.iter().position(|other| other.index == moved.index).unwrap_or(0));
        if stays { own() } else { Ok(at.unwrap_or(0)) }
    };
    let at = match place {
        Place::Before(key) => beside(key, 0)?,
        Place::After(key) => beside(key, 1)?,
        Place::Position(position) if (1..=order.len() + 1).contains(position) => position - 1,
        Place::Position(position) => {
            return Err(DocumentError::NoSuchPosition { position: *position, count: order.len() + 1 });
        }
    };
    order.insert(at, moved);
    arrange(document, &order);
    Ok(())
}

/// Adds a copy of a job's own document at the end: new to the server, independent of the original.
///
/// # Errors
/// `Shape` when `job` has no `jobInfo`, or the collection no `jobs`.
pub fn add_job(document: &mut Document, job: &Document) -> Result<(), DocumentError> {
    let collection = identity(document)?.id;
    let last = jobs(document)?.iter().map(|job| job.run_order).max().unwrap_or(0).max(0);
    let mut row = renewal::new_job(job).root().clone();
    let info = row.get_mut("jobInfo").ok_or_else(|| shape("jobInfo", "there: a job has it"))?;
    // 2: member of a collection.
    info.set("type", Node::number(2));
    info.set("runOrder", Node::number(last + 1));
    info.set("collectionId", Node::number(collection));
    if info.get("onFailure").and_then(Node::text).is_none_or(|action| action.is_empty()) {
        info.set("onFailure", Node::string(OnFailure::Abort.word()));
    }
    // The summary as both documented collections have it.
    let mut summary = info.clone();
    summary.set("smartgroupSchedule", Node::null());
    summary.set("enabled", Node::boolean(true));
    summary.set("collectionId", Node::null());
    if let Some(rows) = document.root_mut().get_mut("jobs").and_then(Node::items_mut) {
        rows.push(row);
    }
    let info = info_mut(document)?;
    match info.get_mut("jobs").and_then(Node::items_mut) {
        Some(rows) => rows.push(summary),
        None => info.set("jobs", Node::Array(vec![summary])),
    }
    Ok(())
}

/// Takes a job out of both places and closes the gap in the run order.
///
/// # Errors
/// `NoSuchJob`, `AmbiguousJob`, `Shape`.
pub fn remove_job(document: &mut Document, job: &JobKey) -> Result<(), DocumentError> {
    let gone = find_job(document, job)?;
    if let Some(rows) = document.root_mut().get_mut("jobs").and_then(Node::items_mut) {
        rows.remove(gone.index);
    }
    if let Some(rows) = summary_rows(document).zip(gone.summary) {
        rows.0.remove(rows.1);
    }
    let order = in_run_order(document)?;
    arrange(document, &order);
    Ok(())
}

/// # Errors
/// `NoSuchJob`, `AmbiguousJob`, `Shape`.
pub fn find_job(document: &Document, key: &JobKey) -> Result<Job, DocumentError> {
    let all = jobs(document)?;
    let fits = |job: &&Job| match key {
        JobKey::Id(id) => job.id == *id,
        JobKey::Name(name) => job.name.to_lowercase() == name.to_lowercase(),
    };
    let found: Vec<&Job> = all.iter().filter(fits).collect();
    match (found.as_slice(), key) {
        ([job], _) => Ok((*job).clone()),
        ([], _) => {
            let job = match key {
                JobKey::Id(id) => format!("with the id {id}"),
                JobKey::Name(name) => format!("named '{name}'"),
            };
            Err(DocumentError::NoSuchJob { job, names: all.into_iter().map(|job| job.name).collect() })
        }
        (several, key) => {
            let name = match key {
                JobKey::Id(id) => id.to_string(),
                JobKey::Name(name) => name.clone(),
            };
            Err(DocumentError::AmbiguousJob { name, ids: several.iter().map(|job| job.id.to_string()).collect() })
        }
    }
}

fn in_run_order(document: &Document) -> Result<Vec<Job>, DocumentError> {
    let mut order = jobs(document)?;
    order.sort_by_key(|job| job.run_order);
    Ok(order)
}

/// Numbers the jobs from 1 in this order, and puts the rows of both places into it.
fn arrange(document: &mut Document, order: &[Job]) {
    for (at, job) in order.iter().enumerate() {
        let number = i64::try_from(at + 1).unwrap_or(i64::MAX);
        set_in_both(document, job, "runOrder", &Node::number(number));
    }
    if let Some(rows) = document.root_mut().get_mut("jobs").and_then(Node::items_mut) {
        reorder(rows, &order.iter().map(|job| job.index).collect::<Vec<_>>());
    }
    if let Some(rows) = summary_rows(document) {
        reorder(rows, &order.iter().filter_map(|job| job.summary).collect::<Vec<_>>());
    }
}

/// Rows `order` doesn't name stay behind those it names.
fn reorder(rows: &mut Vec<Node>, order: &[usize]) {
    let named = order.iter().filter_map(|index| rows.get(*index).cloned());
    let others = rows.iter().enumerate().filter(|(index, _)| !order.contains(index)).map(|(_, row)| row.clone());
    *rows = named.chain(others).collect();
}

/// Members that both copies of a job's identity have, and that an administrator changes.
const SHARED: &[&str] = &["name", "description", "onFailure", "runOrder"];

/// What was changed in one copy of a job's identity is written to the other too, where the two agreed
/// in `live`. Two different changes stay as they are: only the user knows which one is meant.
///
/// # Errors
/// `Shape`.
pub fn agree(live: &Document, changed: &mut Document) -> Result<(), DocumentError> {
    let before = jobs(live)?;
    for job in jobs(changed)? {
        let Some(old) = before.iter().find(|old| job.id != 0 && old.id == job.id) else { continue };
        for name in SHARED {
            let (Some((own, copy)), Some((was, was_copy))) = (copies(changed, &job, name), copies(live, old, name))
            else {
                continue;
            };
            let kept = (same_value(&own, &was), same_value(&copy, &was));
            match kept {
                _ if !same_value(&was, &was_copy) => {}
                (true, false) => set_in_both(changed, &job, name, &copy),
                (false, true) => set_in_both(changed, &job, name, &own),
                _ => {}
            }
        }
    }
    Ok(())
}

/// A member in `jobInfo`, and in the summary.
fn copies(document: &Document, job: &Job, name: &str) -> Option<(Node, Node)> {
    let own = document.root().get("jobs")?.items().get(job.index)?.get("jobInfo")?.get(name)?;
    let copy = summaries(document).get(job.summary?)?.get(name)?;
    Some((own.clone(), copy.clone()))
}

fn set_in_both(document: &mut Document, job: &Job, name: &str, value: &Node) {
    let write = |row: Option<&mut Node>| {
        if let Some(row) = row.filter(|row| row.get(name).is_none_or(|old| !same_value(old, value))) {
            row.set(name, value.clone());
        }
    };
    let rows = document.root_mut().get_mut("jobs").and_then(Node::items_mut);
    write(rows.and_then(|rows| rows.get_mut(job.index)).and_then(|row| row.get_mut("jobInfo")));
    if let Some((rows, index)) = summary_rows(document).zip(job.summary) {
        write(rows.get_mut(index));
    }
}

fn summary_rows(document: &mut Document) -> Option<&mut Vec<Node>> {
    document.root_mut().get_mut(INFO)?.get_mut("jobs")?.items_mut()
}

fn info_mut(document: &mut Document) -> Result<&mut Node, DocumentError> {
    let info = document.root_mut().get_mut(INFO).filter(|info| matches!(info, Node::Object(_)));
    info.ok_or_else(|| shape(INFO, "an object"))
}

fn shape(path: &str, expected: &'static str) -> DocumentError {
    DocumentError::Shape { path: path.to_owned(), expected }
}
