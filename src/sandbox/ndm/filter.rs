//! What the body of a list request asks for: criteria, order, page.
//!
//! Names and operators are read without regard to case, since the documented samples mix it. The meaning of
//! `SortOrder` (here: 1 is descending) and the first page's number (here: 1) are not documented.

use std::cmp::Ordering;

use serde_json::Value;

use super::json::Node;

/// One row that a list may show, with what its filter may look at besides.
pub(super) struct Candidate {
    pub(super) row: Node,
    /// A job is found by its collection's name too, as the documented request for a collection's jobs does it.
    pub(super) collection: Option<String>,
}

/// The body's object; empty without a body, as it arrives when something on the way drops it.
#[derive(Debug, Default)]
pub(super) struct Request(Value);

impl Request {
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(value @ Value::Object(_)) => Ok(Self(value)),
            Ok(_) => Err("The body is not a JSON object.".to_owned()),
            Err(error) => Err(format!("The body is not JSON: {error}.")),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        member(&self.0, name).as_i64()
    }

    /// The page of those that the criteria under `filter` (its name differs between endpoints) let through.
    ///
    /// # Errors
    /// Words about an operator, attribute or sort column that this server does not know.
    pub(super) fn apply(&self, filter: &str, candidates: Vec<Candidate>) -> Result<Vec<Node>, String> {
        let criterion = member(&self.0, filter);
        let mut rows = Vec::new();
        for candidate in candidates {
            if matches(criterion, &candidate)? {
                rows.push(candidate.row);
            }
        }
        let options = member(&self.0, "SearchOption");
        let column = text(member(options, "SortColumnName"));
        if !column.is_empty() {
            let descending = member(options, "SortOrder").as_i64() == Some(1);
            rows.sort_by(|a, b| {
                let order = compare(&shown(a, &column).unwrap_or_default(), &shown(b, &column).unwrap_or_default());
                if descending { order.reverse() } else { order }
            });
        }
        let size = member(options, "PageSize").as_u64().and_then(|size| usize::try_from(size).ok());
        let Some(size) = size.filter(|size| *size > 0) else {
            return Ok(rows);
        };
        let page = member(options, "PageIndex").as_u64().and_then(|page| usize::try_from(page).ok());
        let skipped = page.unwrap_or(1).saturating_sub(1).saturating_mul(size);
        Ok(rows.into_iter().skip(skipped).take(size).collect())
    }
}

/// A member by its name without regard to case; null when there is none.
fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    let found = value.as_object().and_then(|map| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)));
    found.map_or(&Value::Null, |(_, value)| value)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().trim().to_owned()
}

fn matches(criterion: &Value, candidate: &Candidate) -> Result<bool, String> {
    let attribute = text(member(criterion, "attribute"));
    let operator = text(member(criterion, "operator")).to_ascii_lowercase();
    let children = member(criterion, "child").as_array().map(Vec::as_slice).unwrap_or_default();
    let mut children = children.iter().map(|child| matches(child, candidate));
    if attribute.is_empty() {
        return match operator.as_str() {
            "or" => {
                let results = children.collect::<Result<Vec<_>, _>>()?;
                Ok(results.is_empty() || results.contains(&true))
            }
            // Nothing to look at lets everything through.
            _ => children.try_fold(true, |all, one| Ok(all & one?)),
        };
    }
    let actual = shown(&candidate.row, &attribute)
        .ok_or_else(|| format!("There is no attribute '{attribute}' to filter by."))?;
    let wanted = text(member(criterion, "value"));
    let mut own = holds(&operator, &actual, &wanted)?;
    if let Some(collection) = candidate.collection.as_deref().filter(|_| attribute.eq_ignore_ascii_case("name")) {
        own |= holds(&operator, collection, &wanted)?;
    }
    children.try_fold(own, |all, one| Ok(all & one?))
}

fn holds(operator: &str, actual: &str, wanted: &str) -> Result<bool, String> {
    let (left, right) = (actual.to_lowercase(), wanted.to_lowercase());
    Ok(match operator {
        "is exactly" => left == right,
        "is not" => left != right,
        "starts with" => left.starts_with(&right),
        "does not start with" => !left.starts_with(&right),
        "ends with" => left.ends_with(&right),
        "does not end with" => !left.ends_with(&right),
        "contains" => left.contains(&right),
        "not contain" => !left.contains(&right),
        "present" => !left.is_empty(),
        "not present" => left.is_empty(),
        "greater or equal" => compare(actual, wanted).is_ge(),
        "less or equal" => compare(actual, wanted).is_le(),
        _ => return Err(format!("There is no operator '{operator}'.")),
    })
}

/// An attribute as the portal names it, or a member of the row.
fn shown(row: &Node, attribute: &str) -> Option<String> {
    let name = match attribute.to_ascii_lowercase().as_str() {
        "source" => "sourceProvider",
        "destination" => "destinationProvider",
        // Collections have `lastRunDate`, jobs `lastRun`.
        "lastrun" if row.get("lastRun").is_none() => "lastRunDate",
        _ => attribute,
    };
    row.get(name).map(Node::plain)
}

/// Numbers as numbers, everything else (dates among it) as text.
fn compare(left: &str, right: &str) -> Ordering {
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.total_cmp(&right),
        _ => left.to_lowercase().cmp(&right.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rows(body: &str) -> Result<Vec<String>, String> {
        let all = [("HR nightly", 12), ("Groups", 3), ("HR leavers", 0)];
        let candidates = all.iter().map(|(name, runs)| Candidate {
            row: Node::parse(&format!(r#"{{"name":"{name}","timesRun":{runs},"lastRunDate":null}}"#)).unwrap(),
            collection: None,
        });
        let found = Request::parse(body.as_bytes())?.apply("filterCriteria", candidates.collect())?;
        Ok(found.iter().map(|row| row.get("name").unwrap().text().unwrap()).collect())
    }

    fn filtered(operator: &str, attribute: &str, value: &str) -> Vec<String> {
        rows(&format!(
            r#"{{"filterCriteria":{{"operator":"{operator}","attribute":"{attribute}","value":"{value}","valueType":0,"valueTypes":[0],"donotEscapeValue":true,"child":null}}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn operators_and_names_ignore_case() {
        assert_eq!(filtered("is exactly", "Name", "hr NIGHTLY"), ["HR nightly"]);
        assert_eq!(filtered("Contains", "name", "hr"), ["HR nightly", "HR leavers"]);
        assert_eq!(filtered("does not start with", "Name", "HR"), ["Groups"]);
        assert_eq!(filtered("greater or equal", "TimesRun", "3"), ["HR nightly", "Groups"]);
        assert!(filtered("present", "LastRun", "").is_empty());
        let grouped = r#"{"FilterCriteria":{"Operator":"or","Attribute":null,"Child":[{"Operator":"is exactly","Attribute":"Name","Value":"groups","Child":null},{"operator":"ends with","attribute":"Name","value":"s"}]}}"#;
        assert_eq!(rows(grouped).unwrap(), ["Groups", "HR leavers"]);
    }

    #[test]
    fn pages_begin_at_one_and_end_short() {
        let page = |index: u64| {
            rows(&format!(
                r#"{{"SearchOption":{{"PageSize":2,"PageIndex":{index},"SortColumnName":"Name","SortOrder":0}}}}"#
            ))
            .unwrap()
        };
        assert_eq!((page(1), page(2)), (vec!["Groups".into(), "HR leavers".into()], vec!["HR nightly".to_owned()]));
        assert!(page(3).is_empty());
        assert_eq!(rows(r#"{"searchoption":{"sortcolumnname":"timesrun","sortorder":1}}"#).unwrap()[0], "HR nightly");
        assert_eq!(rows("").unwrap().len(), 3, "a dropped body asks for everything");
    }

    #[test]
    fn filler_and_nonsense_are_refused() {
        let filler = r#"{"filterCriteria":{"operator":"is exactly","attribute":"Name","value":"x","child":[{"operator":"string","attribute":"string","value":"string"}]}}"#;
        assert!(rows(filler).is_err());
        assert!(rows("[]").is_err() && rows("{").is_err());
    }
}
