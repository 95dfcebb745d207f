//! `Import-NDMJobCollection`: creates a collection from a file, or updates the one that is there.

use super::super::super::Context;
use super::super::documents::{filled, given_secrets};
use super::super::edit::{self, Over};
use super::super::error::NdmError;
use super::super::listing::Search;
use super::super::service::{COLLECTIONS, Entity, Service};
use super::super::words;
use super::{onto, source};
use crate::documents::{self, Document, Identity, Origin, Purpose, Severity};
use crate::failure::Failure;
use crate::protocol::Confirm;
use crate::shape;
use secrecy::SecretString;
use serde_json::json;
use std::collections::HashMap;

/// A file on its way to the server.
struct Import<'a, 'c> {
    context: &'a Context<'c>,
    service: Service<'c>,
    path: &'a str,
    place: String,
    /// In this server's names, under the name it is to have.
    document: Document,
    /// As the file has them.
    identity: Identity,
    origin: Origin,
    foreign: bool,
    secrets: HashMap<String, SecretString>,
}

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let path = context.arguments.text("Path").unwrap_or_default();
    let source = source::file(context, path).await?;
    if !source.damaged.is_empty() && !context.arguments.flag("Force") {
        return Err(NdmError::NoBreakSpaces { place: source.place, values: source.damaged }.into());
    }
    let shape = |error| NdmError::Document { place: source.place.clone(), error };
    let identity = documents::identity(&source.document).map_err(shape)?;
    let foreign = onto::is_foreign(&source.origin, service.server());
    let mut document = onto::remapped(context, &source.place, &source.document, &source.origin, foreign)?;
    if let Some(name) = context.arguments.text("NewName") {
        documents::rename(&mut document, name).map_err(shape)?;
    }
    warn_of_mistakes(context, &source.place, &document).await;
    let secrets = given_secrets(context, "SecretMap")?;
    let place = source.place.clone();
    let import = Import { context, service, path, place, document, identity, origin: source.origin, foreign, secrets };
    if context.arguments.flag("Update") {
        let id = context.arguments.integer("Id").or(Some(import.identity.id)).filter(|id| *id != 0);
        let id = id.ok_or_else(|| NdmError::NoCollectionId { place: import.place.clone() })?;
        return import.update(id, true).await;
    }
    import.create().await
}

/// They are warnings, since a server may well have such a document.
async fn warn_of_mistakes(context: &Context<'_>, place: &str, document: &Document) {
    let found = documents::lint(&document.compact(), Purpose::Any);
    let mistakes: Vec<_> =
        found.iter().filter(|one| one.severity == Severity::Error && one.code != "PlaceholderLeft").collect();
    if let Some(first) = mistakes.first() {
        let more = match mistakes.len() - 1 {
            0 => String::new(),
            more => format!(" There are {more} more."),
        };
        let warning =
            format!("{place} looks wrong at {}: {}{more} Test-NDMJobCollection shows all.", first.path, first.message);
        context.output.warning(&warning).await;
    }
}

impl Import<'_, '_> {
    async fn create(mut self) -> Result<(), Failure> {
        let name = self.name();
        let names = self.names().await?;
        let same = |known: &&(String, String)| known.1.to_lowercase() == name.to_lowercase();
        let ids: Vec<String> = names.iter().filter(same).map(|(id, _)| id.clone()).collect();
        match (self.context.arguments.text("OnConflict").unwrap_or_default().to_ascii_lowercase().as_str(), &ids[..]) {
            (_, []) => {}
            ("rename", _) => {
                let free = free_name(&name, &names.iter().map(|(_, name)| name.to_lowercase()).collect::<Vec<_>>());
                let place = self.place.clone();
                documents::rename(&mut self.document, &free).map_err(|error| NdmError::Document { place, error })?;
            }
            ("update", [id]) => {
                let id = id.parse().unwrap_or_default();
                return self.update(id, false).await;
            }
            _ => return Err(NdmError::NameTaken { name, ids }.into()),
        }
        let new = filled(&self.place, &documents::as_new(&self.document), None, &self.secrets)?;
        let what = format!("Create job collection '{}' at {}", self.name(), self.service.server());
        let jobs = documents::jobs(&new).map(|jobs| jobs.into_iter().map(|job| job.name).collect::<Vec<_>>());
        let mut lines = vec![format!("jobs: {}", jobs.unwrap_or_default().join(", "))];
        lines.extend(code_line(&words::new_code(&new, None)));
        if !self.agreed(&what, &lines).await {
            return Ok(());
        }
        let id = self.service.create_collection(new.compact()).await?;
        self.emit(id, "Created").await;
        Ok(())
    }

    /// `named`: the id was said, by the file or by `-Id`, so that the name must prove it.
    async fn update(self, id: i64, named: bool) -> Result<(), Failure> {
        let context = self.context;
        let force = context.arguments.flag("Force");
        // Two runspaces that read the same and write one after the other would lose the first change.
        let _turn = context.session.lane(&format!("{COLLECTIONS}/{id}")).await;
        let live = source::live(&self.service, id).await?;
        let known = edit::name_of(&live);
        let collection = format!("job collection {id} ('{known}')");
        let own = !self.foreign && self.identity.id == id;
        let mark = self.origin.fingerprint.as_ref().filter(|_| own);
        let untouched = mark.is_some_and(|mark| *mark == documents::fingerprint(&live));
        let alike = |name: &str| name.to_lowercase() == known.to_lowercase();
        // With the fingerprint of the live document it is that one, whatever the file was edited to call it.
        if named && !untouched && !alike(&self.identity.name) && !alike(&self.name()) {
            let expected = self.identity.name;
            return Err(NdmError::NotTheSame { noun: Entity::Collection.noun(), id, found: known, expected }.into());
        }
        let changed = self.changed(&live, own)?;
        if changed.compact() == live.compact() {
            let text = format!("Nothing was sent: {collection} is as {} has it.", self.place);
            context.output.verbose(&text).await;
            self.emit(id, "Unchanged").await;
            return Ok(());
        }
        if mark.is_some() && !untouched && !force {
            return Err(NdmError::ChangedMeanwhile { id, name: known }.into());
        }
        edit::warn_of_passwords(context, &collection, &changed).await;
        self.warn_of_jobs(&collection, &live, &changed).await;
        let what = format!("Update {collection} at {}", self.service.server());
        let mut lines = words::differences(&live, &changed);
        lines.extend(code_line(&words::new_code(&changed, Some(&live))));
        if !self.agreed(&what, &lines).await {
            return Ok(());
        }
        let over = Over { id, what: &collection, live: &live };
        over.write(context, &self.service, &changed, context.output.preferences.ask && !force).await?;
        self.emit(id, "Updated").await;
        Ok(())
    }

    /// The live document with what the file says. `own`: the file's ids are this collection's.
    fn changed(&self, live: &Document, own: bool) -> Result<Document, Failure> {
        let document = if own { self.document.clone() } else { documents::as_new(&self.document) };
        let adopted = documents::adopt(&document, live);
        let merged = documents::merge(live, &adopted)
            .map_err(|error| NdmError::Document { place: self.place.clone(), error })?;
        let keep = self.context.arguments.flag("KeepExistingSecret");
        Ok(filled(&self.place, &merged, keep.then_some(live), &self.secrets)?)
    }

    async fn warn_of_jobs(&self, collection: &str, live: &Document, changed: &Document) {
        let jobs = words::jobs_only_in_one(live, changed);
        if !jobs.is_empty() {
            let warning = format!(
                "The file has other jobs than {collection}: {}. What the server does with jobs that an update adds or leaves out isn't documented: look at the collection afterwards.",
                jobs.join(", ")
            );
            self.context.output.warning(&warning).await;
        }
    }

    async fn agreed(&self, what: &str, lines: &[String]) -> bool {
        self.context.output.confirm(&Confirm::about(&self.context.row.cmdlet.name, what, lines)).await
    }

    /// The name it is to have.
    fn name(&self) -> String {
        edit::name_of(&self.document)
    }

    /// Ids and names of all collections. A free name needs them all, so none is asked for by name.
    async fn names(&self) -> Result<Vec<(String, String)>, NdmError> {
        let rows = self.service.collections(Search::default()).all().await?;
        let text = |row, name| shape::text_property(row, name).unwrap_or_default();
        Ok(rows.iter().map(|row| (text(row, "id"), text(row, "name"))).collect())
    }

    async fn emit(&self, id: i64, result: &str) {
        let value = json!({ "Id": id, "Name": self.name(), "Result": result, "Path": self.path });
        self.context.output.item(self.context.type_name(), shape::texts_kept(&shape::value(&value))).await;
    }
}

fn code_line(jobs: &[String]) -> Option<String> {
    (!jobs.is_empty())
        .then(|| format!("It brings code that the server runs with the rights of the job: {}", jobs.join(", ")))
}

/// `HR (2)`, or the next number that is free. `taken` in lower case.
fn free_name(name: &str, taken: &[String]) -> String {
    let numbered = (2..).map(|number: u32| format!("{name} ({number})"));
    numbered.into_iter().find(|free| !taken.contains(&free.to_lowercase())).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_name_counts_on() {
        let taken = ["hr".to_owned(), "hr (2)".to_owned(), "hr (4)".to_owned()];
        assert_eq!(free_name("HR", &taken), "HR (3)");
        assert_eq!(free_name("IT", &taken), "IT (2)");
    }
}
