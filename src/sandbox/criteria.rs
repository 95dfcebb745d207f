//! Groups of criteria, nested in each other: which objects a synchronisation rule is about, and what a predefined
//! search finds. Both have the same groups; their criteria differ in whose attributes they may name.

use serde_json::{Value, json};

use super::connected_systems::attribute as system_attribute;
use super::state::World;
use super::tables::{Form, Kind, Row, merge, note, number, text};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{errors, metaverse_attributes, predefined_searches, sync_rules};

/// Where one kind of groups is kept and whom it belongs to.
#[derive(Debug)]
pub(super) struct Tree {
    groups: &'static str,
    criteria: &'static str,
    /// Scoping names attributes of systems too.
    scoping: bool,
}

pub(super) const SCOPING: Tree = Tree { groups: "scoping-groups", criteria: "scoping-criteria", scoping: true };
pub(super) const SEARCH: Tree = Tree { groups: "search-groups", criteria: "search-criteria", scoping: false };

const COMPARISONS: [&str; 12] = [
    "Equals",
    "NotEquals",
    "StartsWith",
    "NotStartsWith",
    "EndsWith",
    "NotEndsWith",
    "Contains",
    "NotContains",
    "LessThan",
    "LessThanOrEquals",
    "GreaterThan",
    "GreaterThanOrEquals",
];
const VALUES: [&str; 7] =
    ["stringValue", "intValue", "longValue", "decimalValue", "dateTimeValue", "boolValue", "guidValue"];
/// The enums of groups and criteria travel as text: unknown members are business errors, not broken JSON.
const GROUP: Form = Form {
    model: "JIM.Web.Models.Api.CreateScopingCriteriaGroupRequest",
    required: &[("type", Kind::Text(50))],
    optional: &[("position", Kind::Int)],
};
const CRITERION: Form = Form {
    model: "JIM.Web.Models.Api.CreateScopingCriterionRequest",
    required: &[("comparisonType", Kind::Text(50))],
    optional: &[
        ("metaverseAttributeId", Kind::Int),
        ("connectedSystemAttributeId", Kind::Int),
        ("stringValue", Kind::Text(10_000)),
        ("intValue", Kind::Int),
        ("longValue", Kind::Any),
        ("decimalValue", Kind::Any),
        ("dateTimeValue", Kind::Text(50)),
        ("boolValue", Kind::Flag),
        ("guidValue", Kind::Text(50)),
        ("caseSensitive", Kind::Flag),
        ("valueMode", Kind::Text(50)),
        ("relativeCount", Kind::Int),
        ("relativeUnit", Kind::Text(50)),
        ("relativeDirection", Kind::Text(50)),
    ],
};

pub(super) fn seed(world: &mut World) {
    for (tree, owner, attribute) in
        [(&SCOPING, 1, ("connectedSystemAttributeId", 1)), (&SEARCH, 1, ("metaverseAttributeId", 26))]
    {
        let group = world
            .tables
            .add(tree.groups, json!({"id": 0, "owner": owner, "parent": null, "type": "All", "position": 0}));
        let mut row = blank(group);
        row[attribute.0] = json!(attribute.1);
        row["comparisonType"] = json!("Equals");
        row["stringValue"] = json!(if tree.scoping { "Finance" } else { "PersonEntity" });
        world.tables.add(tree.criteria, row);
    }
}

/// The routes below a rule or a search, after its number.
pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let (tree, owner, rest) = match segments {
        ["synchronisation", "sync-rules", owner, "scoping-criteria", rest @ ..] => (&SCOPING, int(owner)?, rest),
        ["predefined-searches", owner, "criteria-groups", rest @ ..] => (&SEARCH, int(owner)?, rest),
        _ => return None,
    };
    let known = if tree.scoping {
        sync_rules::found(world, call, owner).map(|_| ())
    } else {
        predefined_searches::found(world, call, owner).map(|_| ())
    };
    let method = call.method.as_str();
    let at = (tree, owner);
    let ids: Vec<Option<i64>> = rest.iter().map(|segment| int(segment)).collect();
    let answer = match (method, rest, ids.as_slice()) {
        ("GET", [], _) => known.map(|()| Reply::ok(&groups(world, tree, owner, None))),
        ("POST", [], _) => known.and_then(|()| add_group(world, call, at, None)),
        ("GET", [_], [Some(id)]) if tree.scoping => {
            known.and_then(|()| group(world, call, at, *id).map(|row| Reply::ok(&shown(world, tree, row))))
        }
        ("PUT", [_], [Some(id)]) => known.and_then(|()| change_group(world, call, at, *id)),
        ("DELETE", [_], [Some(id)]) => known.and_then(|()| delete_group(world, call, at, *id)),
        ("POST", [_, "child-groups"], [Some(id), _]) => known.and_then(|()| add_group(world, call, at, Some(*id))),
        ("POST", [_, "criteria"], [Some(id), _]) => known.and_then(|()| add_criterion(world, call, at, *id)),
        ("PUT" | "DELETE", [_, "criteria", _], [Some(id), _, Some(criterion)]) => {
            known.and_then(|()| change_criterion(world, call, at, (*id, *criterion)))
        }
        _ => return None,
    };
    Some(answer)
}

fn group<'a>(world: &'a World, call: &Call, at: (&Tree, i64), id: i64) -> Result<&'a Row, Reply> {
    world
        .tables
        .get(at.0.groups, id)
        .filter(|row| row["owner"] == at.1)
        .ok_or_else(|| errors::not_found(call, format!("Criteria group with ID {id} not found.")))
}

/// The groups below a parent, or the outermost ones.
pub(super) fn groups(world: &World, tree: &Tree, owner: i64, parent: Option<i64>) -> Value {
    let mut rows: Vec<&Row> =
        world.tables.of(tree.groups, "owner", owner).filter(|row| row["parent"].as_i64() == parent).collect();
    rows.sort_by_key(|row| (number(row, "position"), number(row, "id")));
    rows.into_iter().map(|row| shown(world, tree, row)).collect()
}

fn shown(world: &World, tree: &Tree, row: &Row) -> Value {
    let id = number(row, "id");
    let criteria: Vec<Value> =
        world.tables.of(tree.criteria, "group", id).map(|criterion| shown_criterion(world, tree, criterion)).collect();
    json!({
        "id": id,
        "type": row["type"],
        "position": row["position"],
        "criteria": criteria,
        "childGroups": groups(world, tree, number(row, "owner"), Some(id)),
    })
}

fn shown_criterion(world: &World, tree: &Tree, row: &Row) -> Value {
    let metaverse = number(row, "metaverseAttributeId");
    let system = system_attribute(world, number(row, "connectedSystemAttributeId"));
    let kind = world.tables.get(metaverse_attributes::TABLE, metaverse).or(system).map(|attribute| &attribute["type"]);
    let mut shown = json!({
        "id": row["id"],
        "metaverseAttributeId": row["metaverseAttributeId"],
        "metaverseAttributeName": metaverse_attributes::name(world, metaverse),
    });
    if tree.scoping {
        shown["connectedSystemAttributeId"] = row["connectedSystemAttributeId"].clone();
        shown["connectedSystemAttributeName"] = json!(system.map(|system| &system["name"]));
    }
    shown["attributeDataType"] = json!(kind);
    for field in ["comparisonType"].into_iter().chain(VALUES).chain([
        "caseSensitive",
        "valueMode",
        "relativeCount",
        "relativeUnit",
        "relativeDirection",
    ]) {
        shown[field] = row[field].clone();
    }
    shown
}

fn blank(group: i64) -> Value {
    let mut row = json!({"id": 0, "group": group, "caseSensitive": true, "valueMode": "Absolute"});
    row["metaverseAttributeId"] = Value::Null;
    row
}

/// One of the names without regard to case, as the server spells it.
fn one_of(call: &Call, row: &mut Row, field: &str, names: &[&str]) -> Result<(), Reply> {
    let Some(given) = row[field].as_str() else {
        return Ok(());
    };
    match names.iter().find(|name| name.eq_ignore_ascii_case(given)) {
        Some(name) => {
            row[field] = json!(name);
            Ok(())
        }
        None => {
            Err(errors::bad_request(call, format!("Invalid {field} '{given}'. Valid values: {}.", names.join(", "))))
        }
    }
}

fn noted(world: &mut World, call: &Call, at: (&Tree, i64), reason: Option<String>) -> Result<(), Reply> {
    if at.0.scoping {
        return sync_rules::noted(world, call, at.1, "Update", reason).map(|_| ());
    }
    let name = text(predefined_searches::found(world, call, at.1)?, "name").to_owned();
    note(world, call, ("PredefinedSearch", "Update"), &name, reason);
    Ok(())
}

fn location(call: &Call, id: i64) -> String {
    let path = call.path.trim_end_matches('/');
    format!("{}/{id}", path.trim_end_matches("/child-groups"))
}

fn add_group(world: &mut World, call: &Call, at: (&Tree, i64), parent: Option<i64>) -> Handled {
    let mut sent = GROUP.create(call)?;
    one_of(call, &mut sent.fields, "type", &["All", "Any"])?;
    if let Some(parent) = parent {
        group(world, call, at, parent)?;
    }
    let id = world.tables.add(
        at.0.groups,
        json!({
            "id": 0,
            "owner": at.1,
            "parent": parent,
            "type": sent.fields["type"],
            "position": number(&sent.fields, "position"),
        }),
    );
    noted(world, call, at, sent.reason)?;
    let answer = shown(world, at.0, group(world, call, at, id)?);
    Ok(Reply::created(&answer, location(call, id)))
}

fn change_group(world: &mut World, call: &Call, at: (&Tree, i64), id: i64) -> Handled {
    let mut sent = GROUP.update(call)?;
    one_of(call, &mut sent.fields, "type", &["All", "Any"])?;
    group(world, call, at, id)?;
    if let Some(row) = world.tables.get_mut(at.0.groups, id) {
        merge(row, sent.fields);
    }
    noted(world, call, at, sent.reason)?;
    group(world, call, at, id).map(|row| Reply::ok(&shown(world, at.0, row)))
}

fn delete_group(world: &mut World, call: &Call, at: (&Tree, i64), id: i64) -> Handled {
    group(world, call, at, id)?;
    remove_group(world, at.0, id);
    noted(world, call, at, None).map(|()| Reply::no_content())
}

fn remove_group(world: &mut World, tree: &Tree, id: i64) {
    let children: Vec<i64> = world.tables.of(tree.groups, "parent", id).map(|row| number(row, "id")).collect();
    for child in children {
        remove_group(world, tree, child);
    }
    world.tables.remove(tree.groups, id);
    world.tables.retain(tree.criteria, |row| row["group"] != id);
}

/// Takes all that belongs to a rule or a search.
pub(super) fn remove_all(world: &mut World, tree: &Tree, owner: i64) {
    let own: Vec<i64> = world.tables.of(tree.groups, "owner", owner).map(|row| number(row, "id")).collect();
    for id in own {
        remove_group(world, tree, id);
    }
}

/// What a criterion's body must have: a known attribute, a comparison, and one value or a relative date.
fn criterion(world: &World, call: &Call, tree: &Tree) -> Result<(Row, Option<String>), Reply> {
    let mut sent = CRITERION.create(call)?;
    let fields = &mut sent.fields;
    one_of(call, fields, "comparisonType", &COMPARISONS)?;
    one_of(call, fields, "valueMode", &["Absolute", "Relative"])?;
    one_of(call, fields, "relativeUnit", &["Hours", "Days", "Weeks", "Months", "Years"])?;
    one_of(call, fields, "relativeDirection", &["Ago", "FromNow"])?;
    let metaverse = metaverse_attributes::name(world, number(fields, "metaverseAttributeId"));
    let system = system_attribute(world, number(fields, "connectedSystemAttributeId"));
    if metaverse.is_none() && (system.is_none() || !tree.scoping) {
        let named = fields["metaverseAttributeId"].as_i64();
        let id = named.unwrap_or_else(|| number(fields, "connectedSystemAttributeId"));
        return Err(errors::bad_request(call, format!("Attribute with ID {id} not found.")));
    }
    let relative = fields["valueMode"] == "Relative";
    let parts = ["relativeCount", "relativeUnit", "relativeDirection"];
    if relative && parts.iter().any(|part| fields[*part].is_null()) {
        return Err(errors::bad_request(
            call,
            "Relative criteria require relativeCount, relativeUnit and relativeDirection.",
        ));
    }
    Ok((sent.fields, sent.reason))
}

fn add_criterion(world: &mut World, call: &Call, at: (&Tree, i64), id: i64) -> Handled {
    let (fields, reason) = criterion(world, call, at.0)?;
    group(world, call, at, id)?;
    let mut row = blank(id);
    merge(&mut row, fields);
    let criterion = world.tables.add(at.0.criteria, row);
    noted(world, call, at, reason)?;
    Ok(Reply::created(&one(world, at.0, criterion), location(call, criterion)))
}

fn one(world: &World, tree: &Tree, id: i64) -> Value {
    let row = world.tables.get(tree.criteria, id);
    row.map(|row| shown_criterion(world, tree, row)).unwrap_or_default()
}

/// PUT replaces a criterion (its body is that of a new one), DELETE takes it away.
fn change_criterion(world: &mut World, call: &Call, at: (&Tree, i64), ids: (i64, i64)) -> Handled {
    let replacement = if call.method == "PUT" { Some(criterion(world, call, at.0)?) } else { None };
    group(world, call, at, ids.0)?;
    let known = world.tables.get(at.0.criteria, ids.1);
    if known.is_none_or(|row| row["group"] != ids.0) {
        return Err(errors::not_found(call, format!("Criterion with ID {} not found.", ids.1)));
    }
    let Some((fields, reason)) = replacement else {
        world.tables.remove(at.0.criteria, ids.1);
        return noted(world, call, at, None).map(|()| Reply::no_content());
    };
    if let Some(row) = world.tables.get_mut(at.0.criteria, ids.1) {
        *row = blank(ids.0);
        merge(row, fields);
        row["id"] = json!(ids.1);
    }
    noted(world, call, at, reason)?;
    Ok(Reply::ok(&one(world, at.0, ids.1)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn groups_and_criteria_nest_change_and_go_for_rules_and_for_searches() {
        for base in ["/synchronisation/sync-rules/1/scoping-criteria", "/predefined-searches/1/criteria-groups"] {
            let mut world = world();
            let (status, outer) = ask(&mut world, "POST", base, r#"{"type": "any", "position": 1}"#);
            assert_eq!((status, &outer["type"]), (201, &json!("Any")), "{base}");
            let path = format!("{base}/{}", outer["id"]);
            let (_, inner) = ask(&mut world, "POST", &format!("{path}/child-groups"), r#"{"type": "All"}"#);
            let criteria = format!("{base}/{}/criteria", inner["id"]);
            let body = r#"{"metaverseAttributeId": 33, "comparisonType": "startswith", "stringValue": "F"}"#;
            let (status, made) = ask(&mut world, "POST", &criteria, body);
            assert_eq!(
                (status, &made["comparisonType"], &made["attributeDataType"]),
                (201, &json!("StartsWith"), &json!("Text"))
            );
            let one = format!("{criteria}/{}", made["id"]);
            let (_, put) = ask(&mut world, "PUT", &one, &body.replace("\"F\"", "\"G\""));
            assert_eq!((&put["stringValue"], &put["id"]), (&json!("G"), &made["id"]));
            let (_, all) = ask(&mut world, "GET", base, "");
            assert_eq!(all[1]["childGroups"][0]["criteria"][0]["stringValue"], "G");
            assert_eq!(ask(&mut world, "POST", &criteria, &body.replace("startswith", "like")).0, 400);
            assert_eq!(ask(&mut world, "DELETE", &path, "").0, 204);
            assert_eq!(ask(&mut world, "DELETE", &one, "").0, 404, "it went with its group");
        }
    }
}
