//! `Get-JIMConfigurationChangeHistory`: 13 kinds of object, versions, comparisons, and differences as text.

use super::super::Context;
use super::super::declared::{self, send, worded};
use crate::binding::{BindError, built};
use crate::failure::Failure;
use crate::shape;
use serde::Deserialize;

/// What identifies an object of a kind.
#[derive(Clone, Copy, PartialEq)]
enum IdKind {
    Guid,
    Number,
    Key,
}

/// Kind → where its objects are, and what their ids look like.
const KINDS: &[(&str, &str, IdKind)] = &[
    ("SynchronisationRule", "synchronisation/sync-rules", IdKind::Number),
    ("ConnectedSystem", "synchronisation/connected-systems", IdKind::Number),
    ("Schedule", "schedules", IdKind::Guid),
    ("ServiceSetting", "service-settings", IdKind::Key),
    ("MetaverseObjectType", "metaverse/object-types", IdKind::Number),
    ("MetaverseAttribute", "metaverse/attributes", IdKind::Number),
    ("TrustedCertificate", "certificates", IdKind::Guid),
    ("ApiKey", "apikeys", IdKind::Guid),
    ("Role", "security/roles", IdKind::Number),
    ("PredefinedSearch", "predefined-searches", IdKind::Number),
    ("ConnectorDefinition", "synchronisation/connector-definitions", IdKind::Number),
    ("ExampleDataTemplate", "example-data/templates", IdKind::Number),
    ("ExampleDataSet", "example-data/example-data-sets", IdKind::Number),
];

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let collection = collection(arguments.text("Type").unwrap_or_default(), arguments.text("Id").unwrap_or_default())?;
    let variables = declared::prepared(context).await?;
    let connected = context.session.connection()?;
    let Some(template) = context.row.cmdlet.request.iter().find(|r| arguments.holds(&r.when)) else {
        return Err(Failure::NothingToChange);
    };
    let mut filled = built(template, &variables);
    // The collection has a slash that belongs there.
    filled.path = variables.path(&template.path.replace("{Collection}", collection));
    let request = declared::request_of(template, filled);
    if !arguments.flag("AsDiff") {
        return declared::emit_all(context, &connected, template, request, &variables).await;
    }
    let failed = |f| worded(context, f, &variables);
    let unreadable = |e| failed(Failure::Request { error: Box::new(e) });
    let answer = send(context, &connected, &request).await.map_err(failed)?;
    let diff = if arguments.set == "Compare" {
        Some(answer.json::<Diff>().map_err(unreadable)?)
    } else {
        answer.json::<Detail>().map_err(unreadable)?.diff
    };
    let coloured = !arguments.flag("Raw") && !context.environment.contains_key("NO_COLOR");
    let text =
        diff.map_or_else(|| "No difference is recorded for this version.".to_owned(), |d| rendered(&d, coloured));
    context.output.item(None, shape::value(&text)).await;
    Ok(())
}

/// Where the objects of a kind are; the id must be one that such objects have.
fn collection(kind: &str, id: &str) -> Result<&'static str, BindError> {
    let unfit = |name: &str, problem: String| BindError::Unfit { name: name.to_owned(), problem };
    let Some((name, path, ids)) = KINDS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(kind)) else {
        return Err(unfit("Type", format!("has no kind {kind}")));
    };
    match ids {
        IdKind::Guid if uuid::Uuid::try_parse(id).is_err() => {
            Err(unfit("Id", format!("must be a GUID for type {name}; it was '{id}'")))
        }
        IdKind::Number if id.parse::<i32>().is_err() => {
            Err(unfit("Id", format!("must be a whole number for type {name}; it was '{id}'")))
        }
        _ => Ok(path),
    }
}

#[derive(Debug, Deserialize)]
struct Detail {
    #[serde(default)]
    diff: Option<Diff>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Diff {
    #[serde(default)]
    object_type: Option<String>,
    #[serde(default)]
    object_name: Option<String>,
    #[serde(default)]
    old_version: Option<i64>,
    #[serde(default)]
    new_version: Option<i64>,
    root: Node,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    #[serde(default)]
    key: String,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    change_type: Change,
    #[serde(default)]
    old_value: Option<String>,
    #[serde(default)]
    new_value: Option<String>,
    #[serde(default)]
    old_display_value: Option<String>,
    #[serde(default)]
    new_display_value: Option<String>,
    #[serde(default)]
    is_secret: bool,
    #[serde(default)]
    children: Option<Vec<Node>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Deserialize)]
enum Change {
    Added,
    Removed,
    Modified,
    /// Also what a later server may call otherwise.
    #[default]
    #[serde(other)]
    Unchanged,
}

impl Change {
    fn mark(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Modified => '~',
            Self::Unchanged => ' ',
        }
    }

    /// Green, red, yellow: the colours of the terminal's own palette.
    fn colour(self) -> Option<&'static str> {
        match self {
            Self::Added => Some("\u{1b}[32m"),
            Self::Removed => Some("\u{1b}[31m"),
            Self::Modified => Some("\u{1b}[33m"),
            Self::Unchanged => None,
        }
    }
}

/// The difference as one text: a heading, then a line for each node that changed and for those around it.
fn rendered(diff: &Diff, coloured: bool) -> String {
    let name = diff.object_name.as_deref().or(diff.object_type.as_deref()).unwrap_or("object");
    let version = |v: Option<i64>| v.map_or_else(|| "nothing".to_owned(), |v| format!("version {v}"));
    let mut lines = vec![format!("{name}: {} -> {}", version(diff.old_version), version(diff.new_version))];
    let before = lines.len();
    add(&diff.root, 0, coloured, &mut lines);
    if lines.len() == before {
        lines.push("  No differences.".to_owned());
    }
    lines.join("\n")
}

/// Nothing is written for a node without changes in or below it.
fn add(node: &Node, depth: usize, coloured: bool, lines: &mut Vec<String>) {
    let at = lines.len();
    for child in node.children.iter().flatten() {
        add(child, depth + 1, coloured, lines);
    }
    if node.change_type == Change::Unchanged && lines.len() == at {
        return;
    }
    let label = node.label.as_deref().filter(|l| !l.is_empty()).unwrap_or(&node.key);
    let text = format!("{} {}{label}{}", node.change_type.mark(), "  ".repeat(depth), values(node));
    let text = match node.change_type.colour() {
        Some(colour) if coloured => format!("{colour}{text}\u{1b}[0m"),
        _ => text,
    };
    lines.insert(at, text);
}

fn values(node: &Node) -> String {
    let shown = |display: &Option<String>, plain: &Option<String>| {
        if node.is_secret {
            return "(secret)".to_owned();
        }
        let text = display.as_ref().or(plain.as_ref()).map(|t| printable(t));
        text.map_or_else(|| "nothing".to_owned(), |t| format!("'{t}'"))
    };
    let (old, new) = (shown(&node.old_display_value, &node.old_value), shown(&node.new_display_value, &node.new_value));
    let has = |display: &Option<String>, plain: &Option<String>| display.is_some() || plain.is_some();
    let has_old = has(&node.old_display_value, &node.old_value);
    let has_new = has(&node.new_display_value, &node.new_value);
    match node.change_type {
        Change::Modified if has_old || has_new => format!(": {old} -> {new}"),
        Change::Added if has_new => format!(": {new}"),
        Change::Removed if has_old => format!(": {old}"),
        _ => String::new(),
    }
}

/// Values are data: what would steer a terminal doesn't get there.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_fit_their_kind() {
        assert_eq!(collection("schedule", "0c7f1f5e-6a51-4b0c-9d3e-2f41a7b8c901"), Ok("schedules"));
        assert_eq!(collection("Role", "4"), Ok("security/roles"));
        assert_eq!(collection("ServiceSetting", "History.Retention/x"), Ok("service-settings"));
        assert!(collection("Schedule", "12").is_err());
        assert!(collection("Role", "abc").is_err());
    }

    #[test]
    fn every_kind_of_the_row_is_known() {
        let row = crate::catalog::find("Get-JIMConfigurationChangeHistory").unwrap();
        let kinds = &row.cmdlet.parameter.iter().find(|p| p.name == "Type").unwrap().one_of;
        assert!(kinds.len() == KINDS.len() && kinds.iter().all(|k| KINDS.iter().any(|(name, ..)| name == k)));
    }

    fn diff() -> Diff {
        serde_json::from_str(
            r#"{"objectName":"HR","oldVersion":1,"newVersion":2,"root":{"key":"root","label":"System","changeType":"Unchanged","children":[
              {"key":"name","label":"Name","changeType":"Modified","oldValue":"a","newValue":"b\u001b[2J"},
              {"key":"same","changeType":"Unchanged","oldValue":"x"},
              {"key":"password","changeType":"Modified","isSecret":true,"oldValue":"hush1","newValue":"hush2"},
              {"key":"types","label":"Types","changeType":"Unchanged","children":[{"key":"t","changeType":"Added","newDisplayValue":"User"}]}]}}"#,
        )
        .unwrap()
    }

    #[test]
    fn only_what_changed_is_shown() {
        assert_eq!(
            rendered(&diff(), false),
            "HR: version 1 -> version 2\n  System\n~   Name: 'a' -> 'b\u{FFFD}[2J'\n~   password: (secret) -> (secret)\n    Types\n+     t: 'User'"
        );
        assert!(rendered(&diff(), true).contains("\u{1b}[32m+     t: 'User'\u{1b}[0m"));
    }

    #[test]
    fn equal_versions_say_so() {
        let same = r#"{"root":{"changeType":"Unchanged"}}"#;
        assert!(rendered(&serde_json::from_str(same).unwrap(), false).ends_with("No differences."));
    }
}
