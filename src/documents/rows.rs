//! Which row of an array is which row of another: by server id, by what an administrator calls it,
//! or by position. Merge, fill and compare ask in different orders.

use super::node::Node;
use std::collections::HashMap;

/// How rows may be found to be the same, tried one after the other for rows still without a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Server ids, both non-zero, and meaning agree.
    IdAndKey,
    /// Server ids, both non-zero.
    Id,
    /// The same meaning at the same position: tells apart rows that mean the same.
    KeyInPlace,
    /// The same meaning (see `key`); the nth of several with the nth.
    Key,
    /// The same position, where not both have an id.
    Index,
}

/// `id`, `jobId` or `jobInfo.jobId`, when it is not 0.
pub fn id(row: &Node) -> Option<i64> {
    let info = row.get("jobInfo").and_then(|info| info.get("jobId"));
    // `objectsOption` rows have both: there `jobId` is a back-reference.
    let id = info.or_else(|| row.get("id")).or_else(|| row.get("jobId"));
    id.and_then(Node::integer).filter(|id| *id != 0)
}

/// What the row is about, by the name of its array: jobs by name, mappings by object type and
/// attribute, settings by key and data type, queries by object type and side.
pub fn key(array: &str, row: &Node) -> Option<String> {
    let part = |name: &str| row.get(name).map(|node| node.text().map_or_else(|| node.compact(), Into::into));
    let parts = match array {
        "jobs" => vec![job_name(row)],
        "fieldsMap" => vec![part("objectType"), part("destinationField")],
        "settings" => vec![part("key"), part("dataType")],
        "syncQuery" => vec![part("objectType"), part("isSource")],
        "objectsOption" => vec![part("objectType")],
        _ => return None,
    };
    // A row without its first part has no meaning of its own.
    parts.first().and_then(Option::as_ref)?;
    Some(parts.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("\u{1f}"))
}

pub fn job_name(row: &Node) -> Option<String> {
    row.get("jobInfo").unwrap_or(row).get("name")?.text().map(Into::into)
}

/// Whether rows of this array can be told apart by meaning.
pub fn has_key(array: &str) -> bool {
    matches!(array, "jobs" | "fieldsMap" | "settings" | "syncQuery" | "objectsOption")
}

/// For every row the index of its partner among `others`; no partner serves two rows.
pub fn pair(array: &str, rows: &[Node], others: &[Node], rules: &[Rule]) -> Vec<Option<usize>> {
    let mut partners = vec![None; rows.len()];
    let mut free = vec![true; others.len()];
    for rule in rules {
        let of = |index: usize, row: &Node| match rule {
            Rule::IdAndKey => id(row).zip(key(array, row)).map(|(id, key)| format!("{id}\u{1f}{key}")),
            Rule::Id => id(row).map(|id| id.to_string()),
            Rule::KeyInPlace => key(array, row).map(|key| format!("{index}\u{1f}{key}")),
            Rule::Key => key(array, row),
            Rule::Index => Some(index.to_string()),
        };
        let mut known: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, other) in others.iter().enumerate().rev() {
            if let Some(mark) = of(index, other).filter(|_| free[index]) {
                known.entry(mark).or_default().push(index);
            }
        }
        for (index, row) in rows.iter().enumerate().filter(|(index, _)| partners[*index].is_none()).collect::<Vec<_>>()
        {
            let Some(candidates) = of(index, row).and_then(|mark| known.get_mut(&mark)) else { continue };
            // Two different ids are two different rows, wherever they stand.
            let refused = |other: &Node| *rule == Rule::Index && id(row).is_some() && id(other).is_some();
            if let Some(found) = candidates.pop_if(|candidate| !refused(&others[*candidate])) {
                partners[index] = Some(found);
                free[found] = false;
            }
        }
    }
    partners
}
