//! Attributes of the metaverse: their types, the object types they belong to, and whose value counts first.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::state::World;
use super::tables::{Form, Kind, Row, flag, merge, note, number, numbers, paged, pick, text};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{clock, errors, metaverse, metaverse_types};

pub(super) const TABLE: &str = "metaverse-attributes";
pub(super) const TYPES: &[&str] =
    &["Text", "Integer", "LongNumber", "Decimal", "DateTime", "Boolean", "Reference", "Guid", "Binary"];
const PLURALITIES: &[&str] = &["SingleValued", "MultiValued"];
const TYPE: Kind = Kind::OneOf("JIM.Models.Core.AttributeDataType", TYPES);
const PLURALITY: Kind = Kind::OneOf("JIM.Models.Core.AttributePlurality", PLURALITIES);
const CREATE: Form = Form {
    model: "JIM.Web.Models.Api.CreateMetaverseAttributeRequest",
    required: &[("name", Kind::Text(200)), ("type", TYPE)],
    optional: &[("attributePlurality", PLURALITY), ("objectTypeIds", Kind::Any)],
};
const UPDATE: Form = Form {
    model: "JIM.Web.Models.Api.UpdateMetaverseAttributeRequest",
    required: &[("name", Kind::Text(200))],
    optional: &[
        (
            "renderingHint",
            Kind::OneOf("JIM.Models.Core.AttributeRenderingHint", &["Default", "Table", "ChipSet", "List"]),
        ),
        ("standardMappings", Kind::Any),
    ],
};
const SCHEMA: Form = Form {
    model: "JIM.Web.Models.Api.ChangeMetaverseAttributeSchemaRequest",
    required: &[("type", TYPE), ("attributePlurality", PLURALITY)],
    optional: &[],
};

/// Some of the server's built-in attributes, under the numbers it gives them where those are known.
const BUILT_IN: [(i64, &str, &str, bool); 22] = [
    (1, "Account Name", "Text", false),
    (3, "Display Name", "Text", false),
    (5, "Email", "Text", false),
    (8, "Description", "Text", false),
    (9, "Manager", "Reference", false),
    (10, "Static Members", "Reference", true),
    (26, "Type", "Text", false),
    (27, "Account Expires", "DateTime", false),
    (30, "Company", "Text", false),
    (31, "Country", "Text", false),
    (33, "Department", "Text", false),
    (35, "Employee ID", "Text", false),
    (36, "Employee Start Date", "DateTime", false),
    (37, "Employee End Date", "DateTime", false),
    (40, "First Name", "Text", false),
    (46, "Job Title", "Text", false),
    (47, "Last Name", "Text", false),
    (50, "Office", "Text", false),
    (52, "Subject Identifier", "Text", false),
    (60, "Phone Numbers", "Text", true),
    (88, "Account Enabled", "Boolean", false),
    (95, "User Account Control", "Integer", false),
];

pub(super) fn seed(world: &mut World) {
    let created = clock::stored(world.started);
    let custom = (96, "Badge", "Text", false);
    for (id, name, kind, many) in BUILT_IN.into_iter().chain([custom]) {
        let types: &[i64] = match id {
            3 | 8 => &[1, 2, 3],
            10 => &[2],
            96 => &[3],
            _ => &[1, 3],
        };
        world.tables.add(
            TABLE,
            json!({
                "id": id,
                "name": name,
                "created": created,
                "type": kind,
                "attributePlurality": PLURALITIES[usize::from(many)],
                "builtIn": id != 96,
                "renderingHint": "Default",
                "objectTypes": types,
                "standardMappings": [],
            }),
        );
    }
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["metaverse", "attributes", rest @ ..] = segments else {
        return None;
    };
    let method = call.method.as_str();
    Some(match (method, rest) {
        ("GET", []) => list(world, call),
        ("POST", []) => create(world, call),
        ("GET", ["name-availability"]) => availability(world, call),
        ("GET", [id]) => {
            let id = int(id)?;
            found(world, call, id).map(|row| Reply::ok(&detail(world, row)))
        }
        ("PATCH", [id]) => update(world, call, int(id)?),
        ("PATCH", [id, "schema"]) => change_schema(world, call, int(id)?),
        ("DELETE", [id]) => delete(world, call, int(id)?),
        ("GET", [id, "deletion-preview"]) => {
            let id = int(id)?;
            found(world, call, id).map(|row| Reply::ok(&impact(world, row, false)))
        }
        ("POST", [id, "object-types", kind]) => assign(world, call, int(id)?, int(kind)?),
        ("DELETE", [id, "object-types", kind]) => unassign(world, call, int(id)?, int(kind)?),
        ("GET", [id, "object-types", kind, "unassign-preview"]) => {
            let (id, kind) = (int(id)?, int(kind)?);
            both(world, call, id, kind).map(|row| Reply::ok(&unassignment(world, row, kind, false)))
        }
        _ => return None,
    })
}

fn found<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a Row, Reply> {
    world.tables.get(TABLE, id).ok_or_else(|| errors::not_found(call, missing(id)))
}

/// The attribute, when the object type is there too.
pub(super) fn both<'a>(world: &'a World, call: &Call, id: i64, kind: i64) -> Result<&'a Row, Reply> {
    metaverse_types::found(world, call, kind)?;
    found(world, call, id)
}

pub(super) fn missing(id: i64) -> String {
    format!("Metaverse Attribute with ID {id} not found.")
}

/// An attribute's name; unknown ids have none.
pub(super) fn name(world: &World, id: i64) -> Option<&str> {
    world.tables.get(TABLE, id).map(|row| text(row, "name"))
}

fn types_of(row: &Row) -> impl Iterator<Item = i64> + '_ {
    row["objectTypes"].as_array().into_iter().flatten().filter_map(Value::as_i64)
}

/// The attributes an object type has.
pub(super) fn of_type(world: &World, kind: i64) -> impl Iterator<Item = &Row> {
    world.tables.rows(TABLE).iter().filter(move |row| types_of(row).any(|known| known == kind))
}

pub(super) fn bind(world: &mut World, id: i64, kind: i64) {
    if let Some(row) = world.tables.get_mut(TABLE, id)
        && !types_of(row).any(|known| known == kind)
        && let Some(types) = row["objectTypes"].as_array_mut()
    {
        types.push(json!(kind));
    }
}

pub(super) fn unbind_all(world: &mut World, kind: i64) {
    for row in world.tables.rows_mut(TABLE) {
        if let Some(types) = row["objectTypes"].as_array_mut() {
            types.retain(|known| *known != kind);
        }
    }
}

fn list(world: &World, call: &Call) -> Handled {
    let mut rows: Vec<Value> = world
        .tables
        .rows(TABLE)
        .iter()
        .map(|row| {
            let mut shown = pick(row, &["id", "created", "name", "type", "attributePlurality", "builtIn"]);
            // Lists leave the object types out (observed).
            shown["metaverseObjectTypes"] = Value::Null;
            shown
        })
        .collect();
    rows.sort_by_key(|row| row["name"].as_str().map(str::to_lowercase));
    paged(call, rows, 25)
}

fn detail(world: &World, row: &Row) -> Value {
    let mut shown = row.clone();
    let types = types_of(row).filter_map(|id| Some(json!({"id": id, "name": metaverse_types::name(world, id)?})));
    shown["objectTypes"] = types.collect();
    shown
}

fn taken(world: &World, wanted: &str, except: i64) -> bool {
    world
        .tables
        .rows(TABLE)
        .iter()
        .any(|row| number(row, "id") != except && text(row, "name").eq_ignore_ascii_case(wanted))
}

fn availability(world: &World, call: &Call) -> Handled {
    let Some(wanted) = call.param("name") else {
        return Err(errors::bad_request(call, "A name is required."));
    };
    let except = call.param("excludeId").and_then(int).unwrap_or_default();
    Ok(Reply::ok(&json!({"name": wanted, "available": !taken(world, wanted, except)})))
}

fn unique(world: &World, call: &Call, fields: &Row, except: i64) -> Result<(), Reply> {
    let wanted = text(fields, "name");
    if !wanted.is_empty() && taken(world, wanted, except) {
        return Err(errors::business(
            call,
            StatusCode::CONFLICT,
            "CONFLICT",
            format!("A Metaverse Attribute named '{wanted}' already exists."),
        ));
    }
    Ok(())
}

fn create(world: &mut World, call: &Call) -> Handled {
    let mut sent = CREATE.create(call)?;
    unique(world, call, &sent.fields, 0)?;
    let types = numbers(&sent.take("objectTypeIds"));
    for id in &types {
        let id = *id;
        if world.tables.get(metaverse_types::TABLE, id).is_none() {
            return Err(errors::bad_request(call, metaverse_types::missing(id)));
        }
    }
    let mut row = json!({
        "id": 0,
        "name": null,
        "created": clock::fresh(call.now),
        "type": null,
        "attributePlurality": "SingleValued",
        "builtIn": false,
        "renderingHint": "Default",
        "objectTypes": types,
        "standardMappings": [],
    });
    merge(&mut row, sent.fields);
    let id = world.tables.add(TABLE, row);
    let answer = noted(world, call, id, "Create", sent.reason)?;
    Ok(Reply::created(&answer, format!("/api/v1/metaverse/attributes/{id}")))
}

pub(super) fn noted(
    world: &mut World,
    call: &Call,
    id: i64,
    operation: &'static str,
    reason: Option<String>,
) -> Result<Value, Reply> {
    let answer = detail(world, found(world, call, id)?);
    let name = answer["name"].as_str().unwrap_or_default();
    note(world, call, ("MetaverseAttribute", operation), name, reason);
    Ok(answer)
}

fn update(world: &mut World, call: &Call, id: i64) -> Handled {
    let sent = UPDATE.update(call)?;
    let row = found(world, call, id)?;
    if flag(row, "builtIn") && sent.has("name") {
        return Err(errors::bad_request(call, "Built-in Metaverse Attributes can't be renamed."));
    }
    unique(world, call, &sent.fields, id)?;
    if let Some(row) = world.tables.get_mut(TABLE, id) {
        merge(row, sent.fields);
    }
    noted(world, call, id, "Update", sent.reason).map(|answer| Reply::ok(&answer))
}

/// Type and plurality change only while no object has a value.
fn change_schema(world: &mut World, call: &Call, id: i64) -> Handled {
    let sent = SCHEMA.create(call)?;
    let row = found(world, call, id)?;
    let values = metaverse::values_of(world, id);
    if flag(row, "builtIn") {
        return Err(errors::bad_request(call, "The schema of built-in Metaverse Attributes can't be changed."));
    }
    if values > 0 {
        return Err(Reply::json(
            StatusCode::CONFLICT,
            &json!({
                "attributeId": id,
                "attributeName": row["name"],
                "builtIn": row["builtIn"],
                "totalObjectsWithValues": values,
                "applied": false,
                "blockedByValues": true,
            }),
        ));
    }
    if let Some(row) = world.tables.get_mut(TABLE, id) {
        merge(row, sent.fields);
    }
    noted(world, call, id, "Update", sent.reason).map(|answer| Reply::ok(&answer))
}

/// The mappings that write the attribute, as deletions name them.
fn references(world: &World, id: i64) -> Vec<Value> {
    world
        .tables
        .of("mappings", "targetMetaverseAttributeId", id)
        .map(|mapping| {
            let rule = world.tables.get("sync-rules", number(mapping, "syncRuleId"));
            let rule_name = rule.map(|rule| text(rule, "name"));
            json!({
                "kind": "SyncRuleMapping",
                "id": mapping["id"],
                "description": format!("Target of a mapping of '{}'", rule_name.unwrap_or_default()),
                "syncRuleId": mapping["syncRuleId"],
                "syncRuleName": rule_name,
                "metaverseObjectTypeId": null,
                "metaverseObjectTypeName": null,
            })
        })
        .collect()
}

fn impact(world: &World, row: &Row, deleted: bool) -> Value {
    let id = number(row, "id");
    let values = metaverse::values_of(world, id);
    let users = (values > 0).then(|| {
        json!({
            "metaverseObjectTypeId": 1,
            "metaverseObjectTypeName": "User",
            "metaverseObjectTypePluralName": "Users",
            "objectCount": values,
        })
    });
    let references = references(world, id);
    json!({
        "attributeId": id,
        "attributeName": row["name"],
        "builtIn": row["builtIn"],
        "totalObjectsWithValues": values,
        "objectTypeValueCounts": users.into_iter().collect::<Vec<_>>(),
        "references": references,
        "deleted": deleted,
        "blockedByValues": values > 0,
        "requiresConfirmation": !references.is_empty(),
    })
}

fn delete(world: &mut World, call: &Call, id: i64) -> Handled {
    let row = found(world, call, id)?;
    let name = text(row, "name").to_owned();
    if flag(row, "builtIn") {
        return Err(errors::bad_request(
            call,
            format!("Metaverse Attribute '{name}' is built in and can't be deleted."),
        ));
    }
    let plan = impact(world, row, false);
    let confirmed = call.param("confirmationName") == Some(name.as_str());
    if plan["blockedByValues"] == true || (plan["requiresConfirmation"] == true && !confirmed) {
        return Err(Reply::json(StatusCode::CONFLICT, &plan));
    }
    let done = impact(world, row, true);
    world.tables.remove(TABLE, id);
    world.tables.retain("mappings", |mapping| mapping["targetMetaverseAttributeId"] != id);
    note(world, call, ("MetaverseAttribute", "Delete"), &name, None);
    Ok(Reply::ok(&done))
}

fn assign(world: &mut World, call: &Call, id: i64, kind: i64) -> Handled {
    both(world, call, id, kind)?;
    bind(world, id, kind);
    noted(world, call, id, "Update", None).map(|answer| Reply::ok(&answer))
}

fn unassignment(world: &World, row: &Row, kind: i64, done: bool) -> Value {
    let id = number(row, "id");
    let object_type = world.tables.get(metaverse_types::TABLE, kind);
    let values = if kind == 1 { metaverse::values_of(world, id) } else { 0 };
    let references = references(world, id);
    json!({
        "attributeId": id,
        "attributeName": row["name"],
        "builtIn": row["builtIn"],
        "metaverseObjectTypeId": kind,
        "metaverseObjectTypeName": object_type.map(|row| row["name"].clone()),
        "metaverseObjectTypePluralName": object_type.map(|row| row["pluralName"].clone()),
        "wasBound": types_of(row).any(|known| known == kind),
        "objectsWithValues": values,
        "references": references,
        "unassigned": done,
        "blockedByValues": values > 0,
        "requiresConfirmation": !references.is_empty(),
    })
}

fn unassign(world: &mut World, call: &Call, id: i64, kind: i64) -> Handled {
    let row = both(world, call, id, kind)?;
    let plan = unassignment(world, row, kind, false);
    let confirmed = call.param("confirmationName") == Some(text(row, "name"));
    if plan["blockedByValues"] == true || (plan["requiresConfirmation"] == true && !confirmed) {
        return Err(Reply::json(StatusCode::CONFLICT, &plan));
    }
    let done = unassignment(world, row, kind, true);
    if let Some(row) = world.tables.get_mut(TABLE, id)
        && let Some(types) = row["objectTypes"].as_array_mut()
    {
        types.retain(|known| *known != kind);
    }
    noted(world, call, id, "Update", None)?;
    Ok(Reply::ok(&done))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    const BASE: &str = "/metaverse/attributes";

    #[test]
    fn an_attribute_is_made_renamed_retyped_and_deleted() {
        let mut world = world();
        let body = r#"{"name": "Badge Number", "type": "integer", "objectTypeIds": [3]}"#;
        let (status, made) = ask(&mut world, "POST", BASE, body);
        assert_eq!(
            (status, &made["type"], &made["objectTypes"][0]["name"]),
            (201, &json!("Integer"), &json!("Person"))
        );
        assert_eq!(ask(&mut world, "POST", BASE, body).0, 409);
        let path = format!("{BASE}/{}", made["id"]);
        let schema = format!("{path}/schema");
        let (_, retyped) =
            ask(&mut world, "PATCH", &schema, r#"{"type": "Text", "attributePlurality": "MultiValued"}"#);
        assert_eq!(retyped["attributePlurality"], "MultiValued");
        let (_, renamed) = ask(&mut world, "PATCH", &path, r#"{"name": "Badges"}"#);
        assert_eq!((&renamed["name"], &renamed["type"]), (&json!("Badges"), &json!("Text")));
        assert_eq!(ask(&mut world, "DELETE", &path, "").1["deleted"], true);
        assert_eq!(ask(&mut world, "GET", &path, "").0, 404);
        assert_eq!(ask(&mut world, "DELETE", "/metaverse/attributes/3", "").0, 400);
    }

    #[test]
    fn an_attribute_comes_to_an_object_type_and_leaves_it() {
        let mut world = world();
        let path = "/metaverse/attributes/96/object-types/1";
        let (_, bound) = ask(&mut world, "POST", path, "");
        assert_eq!(bound["objectTypes"].as_array().map(Vec::len), Some(2));
        let (_, left) = ask(&mut world, "DELETE", path, "");
        assert_eq!((&left["unassigned"], &left["wasBound"]), (&json!(true), &json!(true)));
        assert_eq!(ask(&mut world, "POST", "/metaverse/attributes/96/object-types/99", "").0, 404);
    }
}
