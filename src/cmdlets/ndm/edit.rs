//! Reading, changing and writing back a collection: the one way in which anything of it is changed.
//! The whole document is sent, since the product documents no partial update.

use super::super::Context;
use super::documents as room;
use super::error::NdmError;
use super::listing::Search;
use super::service::{COLLECTIONS, Entity, Service};
use super::words;
use crate::documents::{self, Document};
use crate::failure::Failure;
use crate::protocol::Confirm;
use crate::shape;
use serde_json::Value;

/// Which collection is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub id: i64,
    /// The name that came with the id; the server must know it by this name.
    pub name: Option<String>,
}

impl Target {
    /// By `-Id`, `-CollectionId`, `-InputObject` or, where it names the collection, `-Name`.
    pub async fn of(context: &Context<'_>, service: &Service<'_>) -> Result<Self, Failure> {
        let arguments = &context.arguments;
        if let Some(id) = ["Id", "CollectionId"].iter().find_map(|name| arguments.integer(name)) {
            return Ok(Self { id, name: None });
        }
        if let Some(object) = arguments.get("InputObject") {
            return Self::of_object(context, object);
        }
        Self::named(service, arguments.text("Name").unwrap_or_default()).await
    }

    /// A whole collection or its summary.
    pub fn of_object(context: &Context<'_>, object: &Value) -> Result<Self, Failure> {
        let info = object.get("jobCollectionInfo").unwrap_or(object);
        let member = |name: &str| info.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        let id = member("id").and_then(|(_, id)| id.as_i64().or_else(|| id.as_str()?.parse().ok()));
        let id = id.filter(|id| *id > 0).ok_or_else(|| Failure::InputLacks {
            cmdlet: context.row.cmdlet.name.clone(),
            property: "id of a job collection".into(),
        })?;
        Ok(Self { id, name: member("name").and_then(|(_, name)| name.as_str()).map(str::to_owned) })
    }

    async fn named(service: &Service<'_>, name: &str) -> Result<Self, Failure> {
        // A name can have the characters of wildcards in it: such a one is compared here alone.
        let literal = !name.contains(['*', '?', '[', '`']);
        let search = Search { name: literal.then(|| name.to_owned()), id: None };
        let mut rows = service.collections(search).all().await?;
        let same = |text: String| text.to_lowercase() == name.to_lowercase();
        rows.retain(|row| shape::text_property(row, "name").is_some_and(same));
        let ids: Vec<String> = rows.iter().filter_map(|row| shape::text_property(row, "id")).collect();
        let noun = Entity::Collection.noun().to_owned();
        match ids.as_slice() {
            [id] => Ok(Self { id: id.parse().unwrap_or_default(), name: None }),
            [] => Err(Failure::NameNotFound { noun, name: name.to_owned() }),
            _ => {
                let ids = ids.join(", ");
                Err(Failure::NameAmbiguous { noun, name: name.to_owned(), ids, parameter: "Id".into() })
            }
        }
    }

    /// # Errors
    /// The live document has another name: the id comes from another server, or from long ago.
    pub fn check(&self, live: &Document) -> Result<(), NdmError> {
        let found = name_of(live);
        match &self.name {
            Some(expected) if !expected.eq_ignore_ascii_case(&found) => Err(NdmError::NotTheSame {
                noun: Entity::Collection.noun(),
                id: self.id,
                found,
                expected: expected.clone(),
            }),
            _ => Ok(()),
        }
    }
}

pub fn name_of(document: &Document) -> String {
    documents::identity(document).map(|identity| identity.name).unwrap_or_default()
}

/// Reads the collection, lets `change` make the new document of it, shows what differs, and sends the
/// whole. Nothing is sent when nothing differs, nobody agrees, or a placeholder is left.
pub async fn edit(
    context: &Context<'_>,
    target: &Target,
    change: impl FnOnce(&Document) -> Result<Document, Failure>,
) -> Result<(), Failure> {
    let service = Service::new(context)?;
    // Two runspaces that read the same and write one after the other would lose the first change.
    let _turn = context.session.lane(&format!("{COLLECTIONS}/{}", target.id)).await;
    let live = room::live(&service, target.id).await?;
    let changed = change(&live)?;
    let what = format!("job collection {} ('{}')", target.id, name_of(&live));
    if live.compact() == changed.compact() {
        context.output.warning(&format!("Nothing was sent: {what} is that way already.")).await;
        return pass_through(context, &service, target.id).await;
    }
    let left = documents::placeholders(&changed);
    if !left.is_empty() {
        let paths = left.into_iter().map(|(_, label)| label).collect();
        return Err(NdmError::SecretMissing { place: capital(&what), paths }.into());
    }
    warn_of_passwords(context, &what, &changed).await;
    if !context.output.confirm(&question(context, &service, &what, &live, &changed)).await {
        return Ok(());
    }
    let over = Over { id: target.id, what: &what, live: &live };
    over.write(context, &service, &changed, context.output.preferences.ask).await?;
    pass_through(context, &service, target.id).await
}

/// The live collection that a document is written over; `what` names it in messages.
pub struct Over<'a> {
    pub id: i64,
    pub what: &'a str,
    pub live: &'a Document,
}

impl Over<'_> {
    /// Sends the whole document. `look`: read the collection once more before, since somebody may have
    /// thought about the answer for a while.
    ///
    /// # Errors
    /// `ChangedMeanwhile`: it isn't what was shown any more.
    pub async fn write(
        &self,
        context: &Context<'_>,
        service: &Service<'_>,
        changed: &Document,
        look: bool,
    ) -> Result<(), Failure> {
        if look && room::live(service, self.id).await?.compact() != self.live.compact() {
            return Err(NdmError::ChangedMeanwhile { id: self.id, name: name_of(self.live) }.into());
        }
        let answered = service.update_collection(changed.compact()).await?;
        if let Some(other) = answered.filter(|id| *id != self.id) {
            let text = format!("{} was sent, but the server answered with the id {other}.", capital(self.what));
            context.output.warning(&text).await;
        }
        Ok(())
    }
}

pub async fn warn_of_passwords(context: &Context<'_>, what: &str, changed: &Document) {
    if documents::has_password_mapping(changed) {
        let warning = format!(
            "{} sets passwords. Newer servers leave them blank in what is read, and writing it back may then blank them: check the password mappings afterwards.",
            capital(what)
        );
        context.output.warning(&warning).await;
    }
}

/// `-PassThru`: as the server has it afterwards.
async fn pass_through(context: &Context<'_>, service: &Service<'_>, id: i64) -> Result<(), Failure> {
    if context.arguments.flag("PassThru") {
        room::emit(context, &room::live(service, id).await?, true).await;
    }
    Ok(())
}

fn question(context: &Context<'_>, service: &Service<'_>, what: &str, live: &Document, changed: &Document) -> Confirm {
    let mut lines = words::differences(live, changed);
    if !words::new_code(changed, Some(live)).is_empty() {
        lines.push("This changes code that the server runs.".into());
    }
    let what = format!("Update {what} at {}", service.server());
    Confirm::about(&context.row.cmdlet.name, &what, &lines)
}

fn capital(text: &str) -> String {
    shape::pascal(text).into_owned()
}
