//! Where a document under review comes from: a file, an object of PowerShell, or the server.

use super::super::super::Context;
use super::super::documents as room;
use super::super::error::NdmError;
use super::super::service::{Entity, Service};
use crate::documents::{self, Document, DocumentError, Node, Origin};
use crate::failure::Failure;
use serde_json::Value;

/// Values named in a warning.
const NAMED: usize = 5;

pub struct Source {
    /// For messages: a file's path in quotes, or what else it is.
    pub place: String,
    pub document: Document,
    pub origin: Origin,
    /// No-break spaces inside values, of a text that had some between them too: it was copied from a
    /// web page, and they are damage.
    pub damaged: Vec<(String, usize)>,
}

/// Reads a file; warns of what was repaired.
pub async fn file(context: &Context<'_>, path: &str) -> Result<Source, Failure> {
    let text = room::text(path)?;
    let place = format!("'{path}'");
    let repaired = documents::repair(&text);
    let mut source = parsed(&place, &repaired.text)?;
    if repaired.outside > 0 {
        let warning = format!(
            "{place} has {} no-break spaces where JSON allows only plain ones, as text copied from a web page has. They were read as plain spaces.",
            repaired.outside
        );
        context.output.warning(&warning).await;
    }
    if !repaired.inside.is_empty() {
        let named: Vec<String> = repaired.inside.iter().take(NAMED).map(|(path, _)| path.to_string()).collect();
        let more = repaired.inside.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let warning =
            format!("{place} has no-break spaces inside values: {}{more}. They stay as they are.", named.join(", "));
        context.output.warning(&warning).await;
        if repaired.outside > 0 {
            source.damaged = repaired.inside.into_iter().map(|(path, count)| (path.to_string(), count)).collect();
        }
    }
    Ok(source)
}

/// `place` begins a sentence: "The reference object".
pub fn object(place: &str, value: &Value) -> Result<Source, Failure> {
    Ok(parsed(place, &value.to_string())?)
}

pub async fn live(service: &Service<'_>, id: i64) -> Result<Document, NdmError> {
    let text = service.collection(id).await?;
    Ok(parsed(&format!("Job collection {id}"), text.get())?.document)
}

fn parsed(place: &str, text: &str) -> Result<Source, NdmError> {
    let bad =
        |problem: String| NdmError::BadDocument { noun: Entity::Collection.noun(), place: place.to_owned(), problem };
    let whole = room::understood(place, Entity::Collection, text).map_err(|error| match error {
        NdmError::Document { error: DocumentError::Shape { .. }, .. } => bad("it is no JSON object".into()),
        error => error,
    })?;
    let (document, origin) = documents::without_origin(&whole);
    let root = document.root();
    if documents::identity(&document).is_err() || !matches!(root.get("jobs"), Some(Node::Array(_))) {
        let problem = if root.get("data").is_some() {
            "it is a server's whole answer, and the document is what its 'data' holds"
        } else if root.get("jobInfo").is_some() {
            "it is a single job"
        } else {
            "it has no jobCollectionInfo with a name, or no list of jobs"
        };
        return Err(bad(problem.into()));
    }
    Ok(Source { place: place.to_owned(), document, origin, damaged: Vec::new() })
}
