//! The catalogue: every cmdlet as data. Rows live in `catalog/`, one file per area; this room reads
//! the embedded copy and hands out typed rows. Module, help, completers and docs derive from it.

pub mod row;

use row::{Cmdlet, Lookup, Lookups, Product, Views};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

/// A row as `build.rs` wrote it: JSON, parsed only when its cmdlet is used, so that the host's
/// start doesn't depend on how many cmdlets there are.
struct Embedded {
    name: &'static str,
    area: &'static str,
    product: Product,
    json: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

/// A cmdlet with the place it stands in.
#[derive(Debug)]
pub struct Row {
    pub area: &'static str,
    pub product: Product,
    pub cmdlet: Cmdlet,
}

/// The row of a cmdlet, by exported name without regard to case.
pub fn find(name: &str) -> Option<Arc<Row>> {
    static PARSED: LazyLock<Mutex<HashMap<&'static str, Arc<Row>>>> = LazyLock::new(Mutex::default);
    let lower = name.to_lowercase();
    let index = ROWS.binary_search_by(|row| row.name.to_lowercase().cmp(&lower)).ok()?;
    let embedded = &ROWS[index];
    let mut parsed = PARSED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(row) = parsed.get(embedded.name) {
        return Some(Arc::clone(row));
    }
    let row = Arc::new(parse(embedded)?);
    parsed.insert(embedded.name, Arc::clone(&row));
    Some(row)
}

/// All rows, by name.
pub fn all() -> impl Iterator<Item = Row> {
    ROWS.iter().filter_map(parse)
}

/// The lookup with this name.
pub fn lookup(name: &str) -> Option<&'static Lookup> {
    static PARSED: LazyLock<Option<Lookups>> = LazyLock::new(|| serde_json::from_str(LOOKUPS).ok());
    PARSED.as_ref()?.lookup.get(name)
}

/// How objects are shown. Empty can't happen: `build.rs` wrote the text from the same types.
pub fn views() -> &'static Views {
    static PARSED: LazyLock<Views> = LazyLock::new(|| serde_json::from_str(VIEWS).unwrap_or_default());
    &PARSED
}

/// `None` can't happen: `build.rs` wrote the text from the same types (a unit test reads all of them).
fn parse(embedded: &Embedded) -> Option<Row> {
    let cmdlet = serde_json::from_str(embedded.json).ok()?;
    Some(Row { area: embedded.area, product: embedded.product, cmdlet })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_row_parses_and_is_found_by_name() {
        assert_eq!(all().count(), ROWS.len());
        for row in all() {
            let found = find(&row.cmdlet.name.to_uppercase());
            assert_eq!(found.map(|r| r.cmdlet.name.clone()), Some(row.cmdlet.name));
        }
    }

    #[test]
    fn lookups_parse() {
        assert!(lookup("connected-system").is_some());
    }

    #[test]
    fn views_parse() {
        assert!(views().view.contains_key("JIM.RunProfile"));
    }
}
