//! What a file's document needs before it can go to this server: names of this server in place of
//! another's.

use super::super::super::Context;
use super::super::documents as room;
use super::super::error::NdmError;
use crate::binding::BindError;
use crate::documents::{self, Document, Origin, ReferenceKind, ReferenceMap};
use crate::failure::Failure;
use serde_json::Value;

/// Values named in an error, for each kind.
const NAMED: usize = 6;

/// Whether the file says that it comes from another server. One that doesn't say is taken as this
/// server's own: it was written by hand, or for it.
pub fn is_foreign(origin: &Origin, server: &str) -> bool {
    let plain = |address: &str| address.trim_end_matches('/').to_lowercase();
    origin.server.as_ref().is_some_and(|from| plain(from) != plain(server))
}

/// The document in this server's names.
///
/// # Errors
/// What can't mean the same on another server must be in the map: always when the file comes from one,
/// else when a map is given at all.
pub fn remapped(
    context: &Context<'_>,
    place: &str,
    document: &Document,
    origin: &Origin,
    foreign: bool,
) -> Result<Document, Failure> {
    let map = map(context)?;
    let keep = context.arguments.flag("KeepReference");
    if map.is_none() && (!foreign || keep) {
        return Ok(document.clone());
    }
    let remapped = documents::remap(document, &map.unwrap_or_default());
    let unmapped: Vec<_> = remapped.unmapped.iter().filter(|one| one.kind.is_required()).collect();
    if unmapped.is_empty() || keep {
        return Ok(remapped.document);
    }
    let of_kind = |kind: ReferenceKind| {
        let values: Vec<&str> = unmapped.iter().filter(|one| one.kind == kind).map(|one| one.value.as_str()).collect();
        let shown = values.iter().take(NAMED).map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ");
        let more = values.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!values.is_empty()).then(|| format!("{} {shown}{more}", kind.name()))
    };
    let from = origin.server.clone().unwrap_or_else(|| "its own server".into());
    let references = ReferenceKind::ALL.into_iter().filter_map(of_kind).collect();
    Err(NdmError::Unmapped { place: place.to_owned(), from, references }.into())
}

/// `-ReferenceMap`: a table, or the path of a JSON file with one.
fn map(context: &Context<'_>) -> Result<Option<ReferenceMap>, Failure> {
    let Some(given) = context.arguments.get("ReferenceMap") else { return Ok(None) };
    let (place, text) = match given {
        Value::String(path) => (format!("'{path}'"), documents::repair(&room::text(path)?).text),
        Value::Object(_) => ("-ReferenceMap".to_owned(), given.to_string()),
        _ => {
            let problem = "takes a hashtable or the path of a JSON file".to_owned();
            return Err(BindError::Unfit { name: "ReferenceMap".into(), problem }.into());
        }
    };
    let map = ReferenceMap::parse(&text).map_err(|error| NdmError::Document { place, error })?;
    Ok(Some(map))
}
