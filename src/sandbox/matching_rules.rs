//! Object matching rules: by which attributes objects of a system are joined to those of the metaverse. They belong
//! to an object type of a system, or to a synchronisation rule, by the system's mode.

use serde_json::{Value, json};

use super::body::Body;
use super::connected_systems::{self, attribute as system_attribute};
use super::state::World;
use super::tables::{Form, Kind, Row, merge, note, number, text};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{clock, errors, metaverse_attributes, metaverse_types, sync_rules};

const TABLE: &str = "matching-rules";
const COMMON: &[(&str, Kind)] = &[
    ("order", Kind::Int),
    ("metaverseObjectTypeId", Kind::Int),
    ("targetMetaverseAttributeId", Kind::Int),
    ("connectedSystemObjectTypeId", Kind::Int),
    ("caseSensitive", Kind::Flag),
];
const CREATE: Form = Form {
    model: "JIM.Web.Models.Api.CreateObjectMatchingRuleRequest",
    required: &[("sources", Kind::Any)],
    optional: COMMON,
};
const UPDATE: Form = Form {
    model: "JIM.Web.Models.Api.UpdateObjectMatchingRuleRequest",
    required: &[],
    optional: &[
        ("order", Kind::Int),
        ("metaverseObjectTypeId", Kind::Int),
        ("targetMetaverseAttributeId", Kind::Int),
        ("sources", Kind::Any),
        ("caseSensitive", Kind::Flag),
    ],
};

/// Whose rules a request is about.
#[derive(Clone, Copy)]
enum Owner {
    System(i64),
    Rule(i64),
}

pub(super) fn seed(world: &mut World) {
    for (system, rule, source) in [(1, None, 4), (1, None, 3), (3, Some(3), 18)] {
        let known = world.system(system).is_some_and(|system| system.object_type.is_some());
        if !known {
            continue;
        }
        let order = world.tables.rows(TABLE).len() % 2;
        let row = json!({
            "id": 0,
            "order": order,
            "connectedSystemId": system,
            "connectedSystemObjectTypeId": system,
            "metaverseObjectTypeId": 1,
            "syncRuleId": rule,
            "targetMetaverseAttributeId": if source == 3 { 5 } else { 35 },
            "sources": [{"id": 0, "order": 0, "connectedSystemAttributeId": source}],
            "caseSensitive": source != 3,
            "created": clock::stored(world.started),
        });
        store(world, row);
    }
}

fn store(world: &mut World, mut row: Value) -> i64 {
    number_sources(world, &mut row);
    world.tables.add(TABLE, row)
}

fn number_sources(world: &mut World, row: &mut Value) {
    for source in row["sources"].as_array_mut().into_iter().flatten() {
        let id = world.tables.next_id("matching-sources");
        *source = json!({
            "id": id,
            "order": number(source, "order"),
            "connectedSystemAttributeId": source["connectedSystemAttributeId"],
        });
    }
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["synchronisation", kind, id, rest @ ..] = segments else {
        return None;
    };
    let method = call.method.as_str();
    let (owner, part) = match (*kind, rest) {
        ("connected-systems", ["object-types", object_type, "matching-rules"]) if method == "GET" => {
            return Some(of_type(world, call, int(id)?, int(object_type)?));
        }
        ("connected-systems", ["matching-mode"]) if method == "POST" => {
            return Some(switch_mode(world, call, int(id)?));
        }
        ("connected-systems", ["matching-rules", part @ ..]) => (Owner::System(int(id)?), part),
        ("sync-rules", ["matching-rules", part @ ..]) => (Owner::Rule(int(id)?), part),
        _ => return None,
    };
    let known = match owner {
        Owner::System(id) => connected_systems::found(world, call, id).map(|_| ()),
        Owner::Rule(id) => sync_rules::found(world, call, id).map(|_| ()),
    };
    Some(match (method, part, owner) {
        ("GET", [], Owner::Rule(rule)) => known.map(|()| {
            let mut rows: Vec<&Row> = world.tables.of(TABLE, "syncRuleId", rule).collect();
            rows.sort_by_key(|row| number(row, "order"));
            Reply::ok(&rows.into_iter().map(|row| shown(world, row)).collect())
        }),
        ("POST", [], _) => known.and_then(|()| create(world, call, owner)),
        ("GET", [id], _) => {
            let id = int(id)?;
            known.and_then(|()| found(world, call, owner, id).map(|row| Reply::ok(&shown(world, row))))
        }
        ("PUT", [id], _) => {
            let id = int(id)?;
            known.and_then(|()| update(world, call, owner, id))
        }
        ("DELETE", [id], _) => {
            let id = int(id)?;
            known.and_then(|()| {
                found(world, call, owner, id)?;
                world.tables.remove(TABLE, id);
                noted(world, call, owner).map(|()| Reply::no_content())
            })
        }
        _ => return None,
    })
}

fn belongs(row: &Row, owner: Owner) -> bool {
    match owner {
        Owner::System(id) => row["connectedSystemId"] == id && row["syncRuleId"].is_null(),
        Owner::Rule(id) => row["syncRuleId"] == id,
    }
}

fn found<'a>(world: &'a World, call: &Call, owner: Owner, id: i64) -> Result<&'a Row, Reply> {
    world
        .tables
        .get(TABLE, id)
        .filter(|row| belongs(row, owner))
        .ok_or_else(|| errors::not_found(call, format!("Object matching rule with ID {id} not found.")))
}

fn noted(world: &mut World, call: &Call, owner: Owner) -> Result<(), Reply> {
    match owner {
        Owner::Rule(id) => sync_rules::noted(world, call, id, "Update", None).map(|_| ()),
        Owner::System(id) => {
            let name = connected_systems::found(world, call, id)?.name.clone();
            note(world, call, ("ConnectedSystem", "Update"), &name, None);
            Ok(())
        }
    }
}

fn of_type(world: &World, call: &Call, system: i64, object_type: i64) -> Handled {
    connected_systems::object_type(world, call, system, object_type)?;
    let mut rows: Vec<&Row> = world
        .tables
        .of(TABLE, "connectedSystemObjectTypeId", object_type)
        .filter(|row| belongs(row, Owner::System(system)))
        .collect();
    rows.sort_by_key(|row| number(row, "order"));
    Ok(Reply::ok(&rows.into_iter().map(|row| shown(world, row)).collect()))
}

fn shown(world: &World, row: &Row) -> Value {
    let system = world.system(number(row, "connectedSystemId"));
    let sources: Vec<Value> = row["sources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|source| {
            let id = number(source, "connectedSystemAttributeId");
            json!({
                "id": source["id"],
                "order": source["order"],
                "connectedSystemAttributeId": id,
                "connectedSystemAttributeName":
                    system_attribute(world, id).map(|attribute| text(attribute, "name")),
            })
        })
        .collect();
    json!({
        "id": row["id"],
        "order": row["order"],
        "connectedSystemObjectTypeId": row["connectedSystemObjectTypeId"],
        "connectedSystemObjectTypeName":
            system.and_then(|system| system.object_type.as_ref()).map(|kind| &kind["name"]),
        "metaverseObjectTypeId": row["metaverseObjectTypeId"],
        "metaverseObjectTypeName":
            metaverse_types::name(world, number(row, "metaverseObjectTypeId")),
        "syncRuleId": row["syncRuleId"],
        "targetMetaverseAttributeId": row["targetMetaverseAttributeId"],
        "targetMetaverseAttributeName":
            metaverse_attributes::name(world, number(row, "targetMetaverseAttributeId")),
        "sources": sources,
        "caseSensitive": row["caseSensitive"],
        "created": row["created"],
    })
}

/// Whatever is named has to be there.
fn check(world: &World, call: &Call, fields: &Row) -> Result<(), Reply> {
    let target = &fields["targetMetaverseAttributeId"];
    if let Some(id) = target.as_i64()
        && metaverse_attributes::name(world, id).is_none()
    {
        return Err(errors::bad_request(call, metaverse_attributes::missing(id)));
    }
    if let Some(id) = fields["metaverseObjectTypeId"].as_i64()
        && metaverse_types::name(world, id).is_none()
    {
        return Err(errors::bad_request(call, metaverse_types::missing(id)));
    }
    if let Some(sources) = fields["sources"].as_array() {
        if sources.is_empty() {
            return Err(errors::bad_request(call, "At least one source is required."));
        }
        for source in sources {
            let id = number(source, "connectedSystemAttributeId");
            if system_attribute(world, id).is_none() {
                return Err(errors::bad_request(call, format!("Connected System Attribute with ID {id} not found.")));
            }
        }
    }
    Ok(())
}

fn create(world: &mut World, call: &Call, owner: Owner) -> Handled {
    let mut sent = CREATE.create(call)?;
    let (system, kind, metaverse_type, rule) = match owner {
        Owner::System(id) => (
            id,
            number(&sent.fields, "connectedSystemObjectTypeId"),
            number(&sent.fields, "metaverseObjectTypeId"),
            None,
        ),
        Owner::Rule(id) => {
            let rule = sync_rules::found(world, call, id)?;
            (
                number(rule, "connectedSystemId"),
                number(rule, "connectedSystemObjectTypeId"),
                number(rule, "metaverseObjectTypeId"),
                Some(id),
            )
        }
    };
    connected_systems::object_type(world, call, system, kind)?;
    sent.fields["metaverseObjectTypeId"] = json!(metaverse_type);
    sent.fields["targetMetaverseAttributeId"] = json!(number(&sent.fields, "targetMetaverseAttributeId"));
    check(world, call, &sent.fields)?;
    let place = world.tables.rows(TABLE).iter().filter(|row| belongs(row, owner)).count();
    let mut row = json!({
        "id": 0,
        "order": place,
        "connectedSystemId": system,
        "connectedSystemObjectTypeId": kind,
        "metaverseObjectTypeId": metaverse_type,
        "syncRuleId": rule,
        "targetMetaverseAttributeId": null,
        "sources": [],
        "caseSensitive": false,
        "created": clock::fresh(call.now),
    });
    merge(&mut row, sent.fields);
    let id = store(world, row);
    noted(world, call, owner)?;
    let answer = shown(world, found(world, call, owner, id)?);
    let path = call.path.trim_end_matches('/');
    Ok(Reply::created(&answer, format!("{path}/{id}")))
}

fn update(world: &mut World, call: &Call, owner: Owner, id: i64) -> Handled {
    let mut sent = UPDATE.update(call)?;
    found(world, call, owner, id)?;
    check(world, call, &sent.fields)?;
    number_sources(world, &mut sent.fields);
    if let Some(row) = world.tables.get_mut(TABLE, id) {
        merge(row, sent.fields);
    }
    noted(world, call, owner)?;
    found(world, call, owner, id).map(|row| Reply::ok(&shown(world, row)))
}

/// Moves the rules of a system from its object types to its synchronisation rules, or back.
fn switch_mode(world: &mut World, call: &Call, system: i64) -> Handled {
    let body = Body::of(call, "JIM.Web.Models.Api.SwitchObjectMatchingModeRequest")?;
    let mode = body
        .one_of("mode", "JIM.Models.Logic.ObjectMatchingRuleMode", &["ConnectedSystem", "SyncRule"])?
        .unwrap_or("ConnectedSystem");
    let name = connected_systems::found(world, call, system)?.name.clone();
    let current =
        world.tables.of("matching-modes", "id", system).next().map_or("ConnectedSystem", |row| text(row, "mode"));
    if current == mode {
        return Err(errors::bad_request(call, format!("Connected System is already in {mode} matching mode.")));
    }
    let rules: Vec<i64> = world
        .tables
        .of("sync-rules", "connectedSystemId", system)
        .filter(|rule| rule["direction"] == "Import")
        .map(|rule| number(rule, "id"))
        .collect();
    let mut moved = 0;
    for row in world.tables.rows_mut(TABLE) {
        if row["connectedSystemId"] == system {
            row["syncRuleId"] = match mode {
                "SyncRule" => json!(rules.first()),
                _ => Value::Null,
            };
            moved += 1;
        }
    }
    world.tables.remove("matching-modes", system);
    world.tables.add("matching-modes", json!({"id": system, "mode": mode}));
    note(world, call, ("ConnectedSystem", "Update"), &name, None);
    Ok(Reply::ok(&json!({
        "success": true,
        "newMode": mode,
        "syncRulesUpdated": if mode == "SyncRule" { rules.len().min(1) } else { rules.len() },
        "objectTypesUpdated": usize::from(moved > 0),
        "warnings": [],
        "objectTypeMigrations": [],
        "errorMessage": null,
    })))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    const SYSTEM: &str = "/synchronisation/connected-systems/1";

    #[test]
    fn a_systems_rules_are_made_changed_and_deleted() {
        let mut world = world();
        let list = format!("{SYSTEM}/object-types/1/matching-rules");
        assert_eq!(ask(&mut world, "GET", &list, "").1.as_array().map(Vec::len), Some(2));
        let body = r#"{"connectedSystemObjectTypeId": 1, "metaverseObjectTypeId": 1, "targetMetaverseAttributeId": 3,
            "sources": [{"connectedSystemAttributeId": 2}]}"#;
        let (status, made) = ask(&mut world, "POST", &format!("{SYSTEM}/matching-rules"), body);
        assert_eq!(
            (status, &made["order"], &made["sources"][0]["connectedSystemAttributeName"]),
            (201, &json!(2), &json!("displayName"))
        );
        let path = format!("{SYSTEM}/matching-rules/{}", made["id"]);
        let (_, changed) = ask(&mut world, "PUT", &path, r#"{"caseSensitive": true}"#);
        assert_eq!((&changed["caseSensitive"], &changed["order"]), (&json!(true), &json!(2)));
        assert_eq!(ask(&mut world, "GET", &path.replace("/1/", "/3/"), "").0, 404);
        assert_eq!(ask(&mut world, "DELETE", &path, "").0, 204);
        assert_eq!(ask(&mut world, "GET", &path, "").0, 404);
    }

    #[test]
    fn the_mode_moves_the_rules() {
        let mut world = world();
        let mode = format!("{SYSTEM}/matching-mode");
        let (status, done) = ask(&mut world, "POST", &mode, r#"{"mode": "SyncRule"}"#);
        assert_eq!((status, &done["newMode"]), (200, &json!("SyncRule")));
        let (_, rules) = ask(&mut world, "GET", "/synchronisation/sync-rules/1/matching-rules", "");
        assert_eq!(rules.as_array().map(Vec::len), Some(2));
        assert_eq!(ask(&mut world, "POST", &mode, r#"{"mode": "SyncRule"}"#).0, 400);
    }
}
