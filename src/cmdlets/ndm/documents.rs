//! Documents on their way in and out of the cmdlets: read from a file or an object, shown without
//! their secrets, filled with secrets before they are sent.

use super::super::Context;
use super::error::NdmError;
use super::service::{Entity, Service};
use crate::binding::BindError;
use crate::documents::{self, Document, DocumentError, Node};
use crate::failure::Failure;
use crate::shape;
use secrecy::SecretString;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Type name of a whole collection.
pub const COLLECTION_TYPE: &str = "NDM.JobCollection";
const JOB_TYPE: &str = "NDM.Job";
/// Larger files are no documents; a collection has some 100 KB.
const LARGEST: u64 = 64 * 1024 * 1024;

/// A document as a user gave it.
pub struct Received {
    /// Where it comes from, for messages.
    pub place: String,
    pub document: Document,
    /// The text as it stands, but for no-break spaces between values; `None` when the document says
    /// the same and the text can't be sent: an object, or a text with a fingerprint in it.
    text: Option<String>,
    /// What the live document's fingerprint was when this one was read.
    pub mark: Option<String>,
    no_break_spaces: Vec<(String, usize)>,
}

impl Received {
    /// What is sent for this document when nothing in it was changed: a file's own text.
    pub fn body(self) -> String {
        self.text.unwrap_or_else(|| self.document.compact())
    }

    /// The document in place of the one that came.
    pub fn with(self, document: Document) -> Self {
        if document == self.document { self } else { Self { document, text: None, ..self } }
    }

    /// # Errors
    /// No-break spaces inside values: only a person knows whether they belong there.
    pub fn refuse_no_break_spaces(&self) -> Result<(), NdmError> {
        if self.no_break_spaces.is_empty() {
            return Ok(());
        }
        Err(NdmError::NoBreakSpaces { place: self.place.clone(), values: self.no_break_spaces.clone() })
    }
}

/// The document of `-Path` or `-InputObject`.
pub fn received(context: &Context<'_>, entity: Entity) -> Result<Received, Failure> {
    let (place, text) = source(context)?;
    let repaired = documents::repair(&text);
    let whole = understood(&place, entity, &repaired.text)?;
    let (document, origin) = documents::without_origin(&whole);
    let untouched = document == whole && context.arguments.is_bound("Path");
    Ok(Received {
        place,
        document,
        text: untouched.then_some(repaired.text),
        mark: origin.fingerprint,
        no_break_spaces: repaired.inside.iter().map(|(path, count)| (path.to_string(), *count)).collect(),
    })
}

fn source(context: &Context<'_>) -> Result<(String, String), Failure> {
    let Some(path) = context.arguments.text("Path") else {
        let object = context.arguments.get("InputObject").unwrap_or(&Value::Null);
        return Ok(("The input object".into(), object.to_string()));
    };
    Ok((format!("'{path}'"), text(path)?))
}

/// A file's text, without a byte order mark.
pub fn text(path: &str) -> Result<String, Failure> {
    let failed = |cause: String| Failure::File { verb: "read", path: path.to_owned(), cause };
    let about = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if about.is_dir() {
        return Err(failed("it is a folder".into()));
    }
    if about.len() > LARGEST {
        return Err(failed(format!("it has {} bytes, which no job collection has", about.len())));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| failed("it is not UTF-8 text; save it as UTF-8 (Set-Content -Encoding utf8)".into()))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// A text that somebody wrote, as a value.
///
/// # Errors
/// The parser's cause is dropped: what it stumbled over may be a secret.
pub fn understood(place: &str, entity: Entity, text: &str) -> Result<Document, NdmError> {
    Document::parse(text).map_err(|error| match error {
        DocumentError::NotJson { line, column, .. } => {
            let problem = format!("it is no JSON (line {line}, column {column})");
            NdmError::BadDocument { noun: entity.noun(), place: place.to_owned(), problem }
        }
        error => NdmError::Document { place: place.to_owned(), error },
    })
}

/// A server's document as a value.
///
/// # Errors
/// What is no document, though the server says so.
pub fn parsed(place: &str, text: &RawValue) -> Result<Document, NdmError> {
    Document::parse(text.get()).map_err(|error| NdmError::Document { place: place.to_owned(), error })
}

/// The collection as the server has it now.
pub async fn live(service: &Service<'_>, id: i64) -> Result<Document, NdmError> {
    let text = service.collection(id).await?;
    parsed(&format!("Job collection {id}"), &text)
}

/// A whole collection as an object of PowerShell: names, order and texts of the server, and last the
/// fingerprint of what was read.
pub async fn emit(context: &Context<'_>, document: &Document, redact: bool) {
    let mut shown = documents::surface(document, redact);
    shown.root_mut().set(documents::FINGERPRINT, Node::string(&documents::fingerprint(document)));
    if let Ok(raw) = RawValue::from_string(shown.compact()) {
        context.output.item(Some(COLLECTION_TYPE), shape::texts_kept(&raw)).await;
    }
}

/// A whole job. No fingerprint: the API has no way to change one.
pub async fn emit_job(context: &Context<'_>, document: &Document, redact: bool) {
    if let Ok(raw) = RawValue::from_string(documents::surface(document, redact).compact()) {
        context.output.item(Some(JOB_TYPE), shape::texts_kept(&raw)).await;
    }
}

/// The document's own text, as it is kept in git.
pub async fn emit_text(context: &Context<'_>, document: &Document, redact: bool) {
    let text = if redact { documents::surface(document, true).pretty() } else { document.pretty() };
    if let Ok(raw) = RawValue::from_string(Value::from(text).to_string()) {
        context.output.item(None, shape::texts_kept(&raw)).await;
    }
}

/// The table of `parameter`: path → secret.
pub fn given_secrets(context: &Context<'_>, parameter: &str) -> Result<HashMap<String, SecretString>, Failure> {
    let Some(given) = context.arguments.get(parameter).and_then(Value::as_object) else { return Ok(HashMap::new()) };
    let entry = |(path, value): (&String, &Value)| {
        // A credential stands for its password.
        let text = value.as_str().or_else(|| value.get("password")?.as_str()).filter(|text| !text.is_empty());
        let problem = "takes a SecureString, a credential or a text that isn't empty for each path".to_owned();
        text.map(|text| (path.clone(), SecretString::from(text)))
            .ok_or_else(|| BindError::Unfit { name: parameter.into(), problem }.into())
    };
    given.iter().map(entry).collect()
}

/// Puts secrets in the place of placeholders; none may be left.
///
/// # Errors
/// Placeholders without a secret, and secrets without a placeholder: a path that was mistyped.
pub fn filled(
    place: &str,
    document: &Document,
    live: Option<&Document>,
    given: &HashMap<String, SecretString>,
) -> Result<Document, NdmError> {
    let known = documents::placeholders(document);
    let means = |path: &str| {
        known.iter().any(|(at, label)| {
            let tail = label.find('!').map_or("", |tail| &label[tail..]);
            label == path || format!("{at}{tail}") == path
        })
    };
    let mut strange: Vec<String> = given.keys().filter(|path| !means(path)).cloned().collect();
    if !strange.is_empty() {
        strange.sort();
        let known = known.into_iter().map(|(_, label)| label).collect();
        return Err(NdmError::StrangeSecret { place: place.to_owned(), paths: strange, known });
    }
    documents::fill(document, live, given).map_err(|error| match error {
        DocumentError::Unfilled { paths } => NdmError::SecretMissing { place: place.to_owned(), paths },
        error => NdmError::Document { place: place.to_owned(), error },
    })
}

/// Whether a setting's value is code.
pub fn is_code(key: &str) -> bool {
    key.to_ascii_lowercase().contains("scriptcode")
}

/// Whether a transform is code.
pub fn is_script(transform: &str) -> bool {
    transform.trim_start().get(..7).is_some_and(|start| start.eq_ignore_ascii_case("Script:"))
}
