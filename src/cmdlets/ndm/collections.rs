//! `New-`, `Set-`, `Rename-`, `Copy-NDMJobCollection` and its notification: a whole collection as a
//! document.

use super::super::Context;
use super::documents::{self as room, filled, given_secrets, received};
use super::edit::{Target, edit, name_of};
use super::error::NdmError;
use super::service::{Entity, Service};
use crate::binding::BindError;
use crate::documents::{self, Document, DocumentError, Node, Notification, OnFailure};
use crate::failure::Failure;
use crate::protocol::Confirm;
use crate::shape;
use chrono::Utc;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Whole documents by `-Id`, or of every summary that `-Name` finds.
pub async fn get(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    for id in context.arguments.integers("Id") {
        if let Err(error) = show(context, &service, id).await {
            context.output.failure(&error.into()).await;
        }
    }
    Ok(())
}

/// Writes one collection: as an object, or as its text.
pub async fn show(context: &Context<'_>, service: &Service<'_>, id: i64) -> Result<(), NdmError> {
    let document = room::live(service, id).await?;
    let redact = !context.arguments.flag("IncludeSecret");
    if context.arguments.flag("AsJson") {
        room::emit_text(context, &document, redact).await;
    } else {
        room::emit(context, &document, redact).await;
    }
    Ok(())
}

pub async fn create(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let (name, document, body) = if context.arguments.is_bound("Job") {
        let document = of_jobs(context, &service).await?;
        (name_of(&document), document.clone(), document.compact())
    } else {
        let given = received(context, Entity::Collection)?;
        if !context.arguments.flag("Force") {
            given.refuse_no_break_spaces()?;
        }
        let place = given.place.clone();
        let wrong = |error: DocumentError| NdmError::Document { place: place.clone(), error };
        let whole = filled(&place, &given.document, None, &given_secrets(context, "Secret")?)?;
        let identity = documents::identity(&whole).map_err(wrong)?;
        let jobs = documents::jobs(&whole).map_err(wrong)?;
        let whole = if identity.id != 0 || jobs.iter().any(|job| job.id != 0) {
            let warning = format!(
                "{place} carries ids of an existing job collection: they and its run state are left out, and the server gives new ids."
            );
            context.output.warning(&warning).await;
            documents::as_new(&whole)
        } else {
            whole
        };
        (identity.name, whole.clone(), given.with(whole).body())
    };
    post(context, &service, &name, &document, body).await
}

/// An independent copy, made of what the server has now: secrets need not come along with anybody.
pub async fn copy(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let target = Target::of(context, &service).await?;
    let live = room::live(&service, target.id).await?;
    target.check(&live)?;
    let name = context.arguments.text("NewName").unwrap_or_default();
    let mut copy = documents::as_new(&live);
    let wrong = |error| NdmError::Document { place: format!("Job collection {}", target.id), error };
    documents::rename(&mut copy, name).map_err(wrong)?;
    if let Some(text) = context.arguments.text("NewDescription") {
        documents::describe(&mut copy, text).map_err(wrong)?;
    }
    warn_of_blank_passwords(context, &copy).await;
    let body = copy.compact();
    post(context, &service, name, &copy, body).await
}

async fn warn_of_blank_passwords(context: &Context<'_>, document: &Document) {
    if documents::has_password_mapping(document) {
        let warning = "It sets passwords. Newer servers leave them blank in what is read, and so they are in the copy: check the password mappings afterwards.";
        context.output.warning(warning).await;
    }
}

/// Asks, posts, and writes the new id or, with `-PassThru`, the new document.
async fn post(
    context: &Context<'_>,
    service: &Service<'_>,
    name: &str,
    document: &Document,
    body: String,
) -> Result<(), Failure> {
    let jobs = documents::jobs(document).map(|jobs| jobs.len()).unwrap_or_default();
    let plural = if jobs == 1 { "" } else { "s" };
    let what = format!("Create job collection '{name}' with {jobs} job{plural} at {}", service.server());
    let scripts = super::words::new_code(document, None);
    let mut details = Vec::new();
    if !scripts.is_empty() {
        details.push(format!("Jobs with code that the server runs: {}", scripts.join(", ")));
    }
    if !context.output.confirm(&Confirm::about(&context.row.cmdlet.name, &what, &details)).await {
        return Ok(());
    }
    let id = service.create_collection(body).await?;
    if context.arguments.flag("PassThru") {
        room::emit(context, &room::live(service, id).await?, true).await;
    } else {
        context.output.item(None, shape::value(&id)).await;
    }
    Ok(())
}

/// A collection of copies of jobs, in the order given.
async fn of_jobs(context: &Context<'_>, service: &Service<'_>) -> Result<Document, Failure> {
    let arguments = &context.arguments;
    let name = arguments.text("Name").unwrap_or_default();
    let place = "The new job collection".to_owned();
    let wrong = |error| NdmError::Document { place: place.clone(), error };
    let mut document =
        Document::parse(&empty(name, arguments.text("Description").unwrap_or_default())).map_err(wrong)?;
    let on_failure = arguments.text("OnFailure").map(OnFailure::of);
    for id in arguments.integers("Job") {
        let job = job_copy(service, id, on_failure).await?;
        documents::add_job(&mut document, &job).map_err(wrong)?;
    }
    warn_of_blank_passwords(context, &document).await;
    Ok(document)
}

/// A job's own document, to be added to a collection.
pub async fn job_copy(service: &Service<'_>, id: i64, on_failure: Option<OnFailure>) -> Result<Document, NdmError> {
    let text = service.job(id).await?;
    let mut job = room::parsed(&format!("Job {id}"), &text)?;
    if let (Some(action), Some(info)) = (on_failure, job.root_mut().get_mut("jobInfo")) {
        info.set("onFailure", Node::string(action.word()));
    }
    Ok(job)
}

/// Members, order and values of the documented create request, without jobs. Its dates are filled, so
/// these are too.
fn empty(name: &str, description: &str) -> String {
    let now = Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "isTemplate": false,
        "description": null,
        "isNotificationEnabled": false,
        "notificationSendIndividualEmail": false,
        "notifyWhen": 3,
        "notificationRecipients": "",
        "jobCollectionInfo": {
            "id": 0,
            "jobCollectionGuid": "",
            "name": name,
            "description": description,
            "totalJobs": 0,
            "timesRun": 0,
            "lastRunDate": null,
            "lastOutCome": "None",
            "lastOutComeDisplayText": null,
            "nextRun": null,
            "created": now,
            "modified": now,
            "schedule": "0",
            "smartgroupSchedule": null,
            "enabled": false,
            "jobs": [],
        },
        "jobs": [],
        "totalJobs": 0,
        "hasAccess": false,
    })
    .to_string()
}

/// A document that comes back, parameters, or both.
pub async fn set(context: &Context<'_>) -> Result<(), Failure> {
    let secrets = given_secrets(context, "Secret")?;
    let wanted = Wanted::of(context)?;
    let arguments = &context.arguments;
    let whole = arguments.is_bound("Path")
        || arguments.get("InputObject").is_some_and(|object| object.get("jobCollectionInfo").is_some());
    if whole { set_whole(context, &wanted, &secrets).await } else { set_parts(context, &wanted, &secrets).await }
}

/// An id or a summary: the live document with the parameters, and new secrets in the place of old ones.
async fn set_parts(
    context: &Context<'_>,
    wanted: &Wanted,
    secrets: &HashMap<String, SecretString>,
) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let target = match arguments.get("InputObject") {
        Some(object) => Target::of_object(context, object)?,
        None => Target { id: arguments.integer("Id").unwrap_or_default(), name: None },
    };
    if wanted.is_nothing() && secrets.is_empty() {
        return Err(Failure::NothingToChange);
    }
    edit(context, &target, |live| {
        if !arguments.flag("Force") {
            target.check(live)?;
        }
        let place = format!("Job collection {}", target.id);
        let mut changed = live.clone();
        if !secrets.is_empty() {
            let merged = documents::merge(live, &documents::surface(live, true));
            let merged = merged.map_err(|error| NdmError::Document { place: place.clone(), error })?;
            changed = filled(&place, &merged, Some(live), secrets)?;
        }
        wanted.apply(&place, &mut changed)?;
        Ok(changed)
    })
    .await
}

/// The document of a file or an object, over the one that is there.
async fn set_whole(
    context: &Context<'_>,
    wanted: &Wanted,
    secrets: &HashMap<String, SecretString>,
) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let sent = received(context, Entity::Collection)?;
    if arguments.is_bound("Path") && !arguments.flag("Force") {
        sent.refuse_no_break_spaces()?;
    }
    let member = |name: &str| sent.document.root().get("jobCollectionInfo").and_then(|info| info.get(name));
    let bad = |problem: &str| NdmError::BadDocument {
        noun: Entity::Collection.noun(),
        place: sent.place.clone(),
        problem: problem.to_owned(),
    };
    let id = member("id").and_then(Node::integer).filter(|id| *id != 0);
    let id = id.ok_or_else(|| bad("it has no id in jobCollectionInfo; New-NDMJobCollection creates a new one"))?;
    let name = member("name").and_then(Node::text).map(String::from);
    let target = Target { id, name };
    edit(context, &target, |live| {
        if !arguments.flag("Force") {
            match &sent.mark {
                Some(mark) if *mark != documents::fingerprint(live) => {
                    return Err(NdmError::ChangedMeanwhile { id, name: name_of(live) }.into());
                }
                // It is known to come from this very document: another name is a new name.
                Some(_) => {}
                None => target.check(live)?,
            }
        }
        let wrong = |error| NdmError::Document { place: sent.place.clone(), error };
        let mut changed = documents::merge(live, &sent.document).map_err(wrong)?;
        documents::agree(live, &mut changed).map_err(wrong)?;
        wanted.apply(&sent.place, &mut changed)?;
        let known = arguments.flag("KeepExistingSecret").then_some(live);
        Ok(filled(&sent.place, &changed, known, secrets)?)
    })
    .await
}

pub async fn rename(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let target = Target::of(context, &service).await?;
    let text = |name: &str| context.arguments.text(name).map(str::to_owned);
    let wanted = Wanted { name: text("NewName"), description: text("NewDescription"), ..Wanted::default() };
    changed_by(context, &target, &wanted).await
}

pub async fn enable_notification(context: &Context<'_>) -> Result<(), Failure> {
    notify(context, true).await
}

pub async fn disable_notification(context: &Context<'_>) -> Result<(), Failure> {
    notify(context, false).await
}

async fn notify(context: &Context<'_>, enabled: bool) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let target = Target::of(context, &service).await?;
    let notification = Notification { enabled: Some(enabled), ..notification(context)? };
    changed_by(context, &target, &Wanted { notification, ..Wanted::default() }).await
}

async fn changed_by(context: &Context<'_>, target: &Target, wanted: &Wanted) -> Result<(), Failure> {
    edit(context, target, |live| {
        target.check(live)?;
        let mut changed = live.clone();
        wanted.apply(&format!("Job collection {}", target.id), &mut changed)?;
        Ok(changed)
    })
    .await
}

/// What parameters say about the collection itself.
#[derive(Default)]
struct Wanted {
    name: Option<String>,
    description: Option<String>,
    notification: Notification,
}

impl Wanted {
    fn of(context: &Context<'_>) -> Result<Self, Failure> {
        let text = |name: &str| context.arguments.text(name).map(str::to_owned);
        Ok(Self { name: text("Name"), description: text("Description"), notification: notification(context)? })
    }

    fn is_nothing(&self) -> bool {
        self.name.is_none() && self.description.is_none() && self.notification == Notification::default()
    }

    fn apply(&self, place: &str, document: &mut Document) -> Result<(), NdmError> {
        let wrong = |error| NdmError::Document { place: place.to_owned(), error };
        if let Some(name) = &self.name {
            documents::rename(document, name).map_err(wrong)?;
        }
        if let Some(text) = &self.description {
            documents::describe(document, text).map_err(wrong)?;
        }
        documents::set_notification(document, &self.notification);
        Ok(())
    }
}

/// The parameters about mails. One text of recipients is sent as it is; several need a separator, since
/// the server's own isn't documented.
fn notification(context: &Context<'_>) -> Result<Notification, BindError> {
    let arguments = &context.arguments;
    let texts = |value: &Value| value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect();
    let recipients: Option<Vec<String>> = arguments.get("Recipient").and_then(texts);
    let recipients = match (recipients, arguments.text("RecipientSeparator")) {
        (Some(several), None) if several.len() > 1 => {
            let (name, other) = ("Recipient".to_owned(), "RecipientSeparator".to_owned());
            return Err(BindError::Apart { name, other });
        }
        (recipients, separator) => recipients.map(|all| all.join(separator.unwrap_or_default())),
    };
    Ok(Notification {
        enabled: None,
        individual_email: arguments.get("IndividualEmail").and_then(Value::as_bool),
        when: arguments.integer("NotifyWhen"),
        recipients,
    })
}
