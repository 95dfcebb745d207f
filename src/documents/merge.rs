//! What PowerShell shows of a document, and what comes back put onto what the server has.

use super::error::DocumentError;
use super::node::{Document, Member, Node, same_value};
use super::rows::{self, Rule};
use super::secrets;
use chrono::{DateTime, NaiveDateTime, TimeZone};

/// The document as an object of PowerShell can hold it: of members that occur twice, the last. With
/// `redact`, secrets are placeholders.
pub fn surface(document: &Document, redact: bool) -> Document {
    let shown = Document::of(once(document.root()));
    if redact { secrets::redact(&shown) } else { shown }
}

fn once(node: &Node) -> Node {
    match node {
        Node::Leaf(_) => node.clone(),
        Node::Array(items) => Node::Array(items.iter().map(once).collect()),
        Node::Object(members) => {
            let last = |at: usize, name: &str| !members[at + 1..].iter().any(|later| later.name == name);
            let kept = members.iter().enumerate().filter(|(at, member)| last(*at, &member.name));
            Node::Object(kept.map(|(_, member)| member.with_value(once(&member.value))).collect())
        }
    }
}

/// What the user sent, in the words of what the server has: only what was changed differs from `live`.
///
/// Members `sent` lacks are kept (a partial object changes what it names); rows it lacks are removed,
/// and their order is `sent`'s. Rows are matched by server id, then by meaning, then by position.
/// What PowerShell does to values on the way is undone: dates and numbers printed another way,
/// arrays of one row that arrive as the row, empty ones that arrive as null.
///
/// # Errors
/// `Shape` when `sent` has a value where the server has an object, or the other way round.
pub fn merge(live: &Document, sent: &Document) -> Result<Document, DocumentError> {
    // Placeholders stay: whether they may be filled is `fill`'s affair.
    onto("", live.root(), sent.root(), &mut String::new()).map(Document::of)
}

fn onto(name: &str, live: &Node, sent: &Node, place: &mut String) -> Result<Node, DocumentError> {
    match (live, sent) {
        (Node::Object(old), Node::Object(new)) => members(old, new, place).map(Node::Object),
        (Node::Array(old), Node::Array(new)) => array(name, old, new, place),
        (Node::Array(_), Node::Leaf(_)) if sent.is_null() => Ok(Node::Array(Vec::new())),
        (Node::Array(old), one) => array(name, old, std::slice::from_ref(one), place),
        (Node::Leaf(_), Node::Leaf(_)) if unchanged(live, sent) => Ok(live.clone()),
        (Node::Leaf(_), Node::Leaf(_)) => Ok(sent.clone()),
        // Null may become anything, and anything null.
        (Node::Leaf(_), _) if live.is_null() => Ok(sent.clone()),
        (Node::Object(_), Node::Leaf(_)) if sent.is_null() => Ok(sent.clone()),
        (Node::Object(_), _) => Err(DocumentError::Shape { path: place.clone(), expected: "an object" }),
        (Node::Leaf(_), _) => Err(DocumentError::Shape { path: place.clone(), expected: "a single value" }),
    }
}

fn members(old: &[Member], new: &[Member], place: &mut String) -> Result<Vec<Member>, DocumentError> {
    // Names of a PowerShell object don't differ by case alone, and the server reads them so too.
    let mut partners = vec![None; old.len()];
    let mut added = Vec::new();
    for member in new {
        let exact = old.iter().rposition(|other| other.name == member.name);
        let found = exact.or_else(|| {
            let alike = |other: &Member| other.name.eq_ignore_ascii_case(&member.name);
            old.iter().rposition(|other| alike(other) && !new.iter().any(|sent| sent.name == other.name))
        });
        match found {
            Some(index) => partners[index] = Some(member),
            None => added.push(member.clone()),
        }
    }
    let mut merged = Vec::with_capacity(old.len() + added.len());
    for (member, partner) in old.iter().zip(partners) {
        let value = match partner {
            Some(sent) => within(place, &format!(".{}", member.name), |place| {
                onto(&member.name, &member.value, &sent.value, place)
            })?,
            None => member.value.clone(),
        };
        merged.push(member.with_value(value));
    }
    merged.extend(added);
    Ok(merged)
}

fn array(name: &str, old: &[Node], new: &[Node], place: &mut String) -> Result<Node, DocumentError> {
    let partners = rows::pair(name, new, old, &[Rule::Id, Rule::KeyInPlace, Rule::Key, Rule::Index]);
    let merged = new.iter().zip(partners).enumerate().map(|(index, (row, partner))| match partner {
        Some(partner) => within(place, &format!("[{index}]"), |place| onto("", &old[partner], row, place)),
        None => Ok(row.clone()),
    });
    merged.collect::<Result<_, _>>().map(Node::Array)
}

fn within<T>(place: &mut String, step: &str, f: impl FnOnce(&mut String) -> T) -> T {
    let length = place.len();
    place.push_str(if length == 0 { step.trim_start_matches('.') } else { step });
    let result = f(place);
    place.truncate(length);
    result
}

fn unchanged(live: &Node, sent: &Node) -> bool {
    same_value(live, sent) || matches!((live.text(), sent.text()), (Some(a), Some(b)) if same_instant(&a, &b))
}

/// Dates as PowerShell prints them: to a tenth of a microsecond, in any zone. A date without a zone
/// equals only dates without one.
fn same_instant(one: &str, other: &str) -> bool {
    fn ticks<Z: TimeZone>(date: &DateTime<Z>) -> (i64, u32) {
        (date.timestamp(), date.timestamp_subsec_nanos() / 100)
    }
    if let (Ok(a), Ok(b)) = (DateTime::parse_from_rfc3339(one), DateTime::parse_from_rfc3339(other)) {
        return ticks(&a) == ticks(&b);
    }
    let local = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|date| date.and_utc());
    matches!((local(one), local(other)), (Ok(a), Ok(b)) if ticks(&a) == ticks(&b))
}
