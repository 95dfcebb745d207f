//! Example data: sets of values, and the templates that make objects of them.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::state::World;
use super::tables::{Form, Kind, Row, merge, note, number, paged, pick, text};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{clock, errors, metaverse_attributes, metaverse_types};

const SETS: &str = "example-data-sets";
const TEMPLATES: &str = "example-data-templates";
const SET: Form = Form {
    model: "JIM.Web.Models.Api.CreateExampleDataSetRequest",
    required: &[("name", Kind::Text(200)), ("culture", Kind::Text(10))],
    optional: &[("values", Kind::Any)],
};
const TEMPLATE: Form = Form {
    model: "JIM.Web.Models.Api.CreateExampleDataTemplateRequest",
    required: &[("name", Kind::Text(200)), ("objectTypes", Kind::Any)],
    optional: &[],
};

pub(super) fn seed(world: &mut World) {
    for (name, culture, built_in, values) in [
        ("First names", "en", true, &["Amelia", "Oscar", "Isla"][..]),
        ("Last names", "en", true, &["Smith", "Johnson", "Wilson"][..]),
        ("Cost centres", "en-GB", false, &["CC-100", "CC-200"][..]),
    ] {
        let mut row = blank(SETS, name, &clock::stored(world.started));
        row["culture"] = json!(culture);
        row["builtIn"] = json!(built_in);
        row["values"] = set_values(world, &json!(values));
        world.tables.add(SETS, row);
    }
    for (name, built_in, objects) in [("Users & Groups", true, 1000), ("Pilot users", false, 20)] {
        let mut row = blank(TEMPLATES, name, &clock::stored(world.started));
        row["builtIn"] = json!(built_in);
        let attributes = json!([
            {"metaverseAttributeId": 40, "populatedValuesPercentage": 100, "exampleDataSets": [{"exampleDataSetId": 1}]},
            {"metaverseAttributeId": 47, "populatedValuesPercentage": 100, "exampleDataSets": [{"exampleDataSetId": 2}]},
        ]);
        let kinds = json!([{"metaverseObjectTypeId": 1, "objectsToCreate": objects, "attributes": attributes}]);
        row["objectTypes"] = object_types(world, &kinds);
        world.tables.add(TEMPLATES, row);
    }
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["example-data", kind, rest @ ..] = segments else {
        return None;
    };
    let table = match *kind {
        "example-data-sets" => SETS,
        "templates" => TEMPLATES,
        _ => return None,
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", []) => list(world, call, table),
        ("POST", []) => create(world, call, table),
        ("GET", [id]) => {
            let id = int(id)?;
            found(world, call, table, id).map(|row| Reply::ok(&detail(table, row)))
        }
        ("PUT", [id]) => update(world, call, table, int(id)?),
        ("DELETE", [id]) => delete(world, call, table, int(id)?),
        ("POST", [id, "execute"]) if table == TEMPLATES => execute(world, call, int(id)?),
        _ => return None,
    })
}

fn called(table: &str) -> (&'static str, &'static str) {
    match table {
        SETS => ("ExampleDataSet", "Example data set"),
        _ => ("ExampleDataTemplate", "Example data template"),
    }
}

fn found<'a>(world: &'a World, call: &Call, table: &str, id: i64) -> Result<&'a Row, Reply> {
    world
        .tables
        .get(table, id)
        .ok_or_else(|| errors::not_found(call, format!("{} with ID {id} not found.", called(table).1)))
}

fn blank(table: &str, name: &str, created: &str) -> Value {
    let parts = if table == SETS { "values" } else { "objectTypes" };
    json!({
        "id": 0,
        "name": name,
        "culture": null,
        "builtIn": false,
        "created": created,
        "createdByName": "System",
        "lastUpdated": null,
        "lastUpdatedByName": null,
        parts: [],
    })
}

fn list(world: &World, call: &Call, table: &str) -> Handled {
    let count = |row: &Row, field: &str| row[field].as_array().map_or(0, Vec::len);
    let rows = world
        .tables
        .rows(table)
        .iter()
        .map(|row| {
            let mut shown = pick(row, &["id", "name", "builtIn", "created"]);
            if table == SETS {
                shown["culture"] = row["culture"].clone();
                shown["valueCount"] = json!(count(row, "values"));
            } else {
                shown["objectTypeCount"] = json!(count(row, "objectTypes"));
            }
            shown
        })
        .collect();
    paged(call, rows, 25)
}

fn detail(table: &str, row: &Row) -> Value {
    let by = ["created", "createdByName", "lastUpdated", "lastUpdatedByName"];
    let (head, last): (&[&str], &str) = if table == SETS {
        (&["id", "name", "culture", "builtIn"], "values")
    } else {
        (&["id", "name", "builtIn"], "objectTypes")
    };
    let fields: Vec<&str> = head.iter().copied().chain(by).chain([last]).collect();
    pick(row, &fields)
}

fn set_values(world: &mut World, values: &Value) -> Value {
    values
        .as_array()
        .into_iter()
        .flatten()
        .map(|value| json!({"id": world.tables.next_id("example-values"), "stringValue": value}))
        .collect()
}

/// A request's object types as answers show them: with numbers and names.
fn object_types(world: &mut World, sent: &Value) -> Value {
    sent.as_array()
        .into_iter()
        .flatten()
        .map(|kind| {
            let id = number(kind, "metaverseObjectTypeId");
            let attributes: Vec<Value> = kind["attributes"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|attribute| template_attribute(world, attribute))
                .collect();
            json!({
                "id": world.tables.next_id("example-object-types"),
                "metaverseObjectTypeId": id,
                "metaverseObjectTypeName": metaverse_types::name(world, id),
                "objectsToCreate": kind["objectsToCreate"],
                "templateAttributes": attributes,
            })
        })
        .collect()
}

fn template_attribute(world: &mut World, sent: &Value) -> Value {
    let mut shown = pick(
        sent,
        &[
            "id",
            "metaverseAttributeId",
            "metaverseAttributeName",
            "connectedSystemObjectTypeAttributeId",
            "connectedSystemObjectTypeAttributeName",
            "populatedValuesPercentage",
            "boolTrueDistribution",
            "boolShouldBeRandom",
            "minDate",
            "maxDate",
            "minNumber",
            "maxNumber",
            "sequentialNumbers",
            "randomNumbers",
            "pattern",
            "expression",
            "exampleDataSetInstances",
            "weightedStringValues",
            "managerDepthPercentage",
            "mvaRefMinAssignments",
            "mvaRefMaxAssignments",
            "referenceMetaverseObjectTypes",
            "attributeDependency",
        ],
    );
    shown["id"] = json!(world.tables.next_id("example-attributes"));
    let name = metaverse_attributes::name(world, number(sent, "metaverseAttributeId"));
    shown["metaverseAttributeName"] = json!(name);
    let list = |field: &str| sent[field].as_array().cloned().unwrap_or_default();
    let sets: Vec<Value> = list("exampleDataSets")
        .iter()
        .map(|one| {
            let id = number(one, "exampleDataSetId");
            json!({
                "id": id,
                "exampleDataSetId": id,
                "exampleDataSetName": world.tables.get(SETS, id).map(|row| text(row, "name")),
                "order": number(one, "order"),
            })
        })
        .collect();
    shown["exampleDataSetInstances"] = json!(sets);
    let weighted: Vec<Value> = (1..)
        .zip(list("weightedStringValues"))
        .map(|(id, one)| json!({"id": id, "value": one["value"], "weight": one["weight"]}))
        .collect();
    shown["weightedStringValues"] = json!(weighted);
    let types: Vec<Value> = super::tables::numbers(&sent["referenceMetaverseObjectTypeIds"])
        .into_iter()
        .map(|id| json!({"id": id, "name": metaverse_types::name(world, id)}))
        .collect();
    shown["referenceMetaverseObjectTypes"] = json!(types);
    shown
}

/// A template may name only what is there.
fn check(world: &World, call: &Call, kinds: &Value) -> Result<(), Reply> {
    for kind in kinds.as_array().into_iter().flatten() {
        let id = number(kind, "metaverseObjectTypeId");
        if metaverse_types::name(world, id).is_none() {
            return Err(errors::not_found(call, metaverse_types::missing(id)));
        }
        for attribute in kind["attributes"].as_array().into_iter().flatten() {
            if let Some(id) = attribute["metaverseAttributeId"].as_i64()
                && metaverse_attributes::name(world, id).is_none()
            {
                return Err(errors::not_found(call, metaverse_attributes::missing(id)));
            }
        }
    }
    Ok(())
}

/// Names of templates are unique; those of sets are not said to be.
fn taken(world: &World, call: &Call, table: &str, name: &str, except: i64) -> Result<(), Reply> {
    let same = |row: &Row| number(row, "id") != except && text(row, "name").eq_ignore_ascii_case(name);
    if table == SETS || name.is_empty() || !world.tables.rows(table).iter().any(same) {
        return Ok(());
    }
    let message = format!("{} named '{name}' already exists.", called(table).1);
    Err(errors::business(call, StatusCode::CONFLICT, "CONFLICT", message))
}

fn create(world: &mut World, call: &Call, table: &'static str) -> Handled {
    let form = if table == SETS { &SET } else { &TEMPLATE };
    let mut sent = form.create(call)?;
    let name = text(&sent.fields, "name").to_owned();
    taken(world, call, table, &name, 0)?;
    check(world, call, &sent.fields["objectTypes"])?;
    parts(world, table, &mut sent.fields);
    let mut row = blank(table, &name, &clock::fresh(call.now));
    row["createdByName"] = json!(call.actor.name);
    merge(&mut row, sent.fields);
    let id = world.tables.add(table, row);
    note(world, call, (called(table).0, "Create"), &name, sent.reason);
    let answer = detail(table, found(world, call, table, id)?);
    let path = call.path.trim_end_matches('/');
    Ok(Reply::created(&answer, format!("{path}/{id}")))
}

/// Numbers the parts of a body; parts that were not sent stay as they are.
fn parts(world: &mut World, table: &str, fields: &mut Value) {
    if table == SETS && fields["values"].is_array() {
        fields["values"] = set_values(world, &fields["values"].clone());
    }
    if table == TEMPLATES && fields["objectTypes"].is_array() {
        fields["objectTypes"] = object_types(world, &fields["objectTypes"].clone());
    }
}

fn changeable(world: &World, call: &Call, table: &str, id: i64) -> Result<String, Reply> {
    let row = found(world, call, table, id)?;
    if row["builtIn"] == true {
        return Err(errors::bad_request(
            call,
            format!("{} '{}' is built in and can't be changed.", called(table).1, text(row, "name")),
        ));
    }
    Ok(text(row, "name").to_owned())
}

fn update(world: &mut World, call: &Call, table: &'static str, id: i64) -> Handled {
    let form = if table == SETS { &SET } else { &TEMPLATE };
    let mut sent = form.update(call)?;
    changeable(world, call, table, id)?;
    taken(world, call, table, text(&sent.fields, "name"), id)?;
    check(world, call, &sent.fields["objectTypes"])?;
    parts(world, table, &mut sent.fields);
    if let Some(row) = world.tables.get_mut(table, id) {
        merge(row, sent.fields);
        row["lastUpdated"] = json!(clock::stored(call.now));
        row["lastUpdatedByName"] = json!(call.actor.name);
    }
    let answer = detail(table, found(world, call, table, id)?);
    let name = answer["name"].as_str().unwrap_or_default();
    note(world, call, (called(table).0, "Update"), name, sent.reason);
    Ok(Reply::ok(&answer))
}

fn delete(world: &mut World, call: &Call, table: &'static str, id: i64) -> Handled {
    let name = changeable(world, call, table, id)?;
    let used = |row: &Row| row["objectTypes"].to_string().contains(&format!("\"exampleDataSetId\":{id},"));
    if table == SETS && world.tables.rows(TEMPLATES).iter().any(used) {
        return Err(errors::bad_request(
            call,
            format!("Example data set '{name}' is used by a template and can't be deleted."),
        ));
    }
    world.tables.remove(table, id);
    note(world, call, (called(table).0, "Delete"), &name, None);
    Ok(Reply::no_content())
}

/// Says that it begins; the sandbox makes no objects.
fn execute(world: &mut World, call: &Call, id: i64) -> Handled {
    let name = text(found(world, call, TEMPLATES, id)?, "name").to_owned();
    let activity = note(world, call, ("ExampleDataTemplate", "Execute"), &name, None);
    Ok(Reply::accepted(&json!({
        "activityId": activity,
        "taskId": Uuid::now_v7(),
        "message": "Example data generation has been queued.",
    })))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn a_set_is_made_changed_and_deleted_and_a_built_in_one_is_not() {
        let mut world = world();
        let base = "/example-data/example-data-sets";
        let body = r#"{"name": "Sites", "culture": "en-GB", "values": ["A", "B"]}"#;
        let (status, made) = ask(&mut world, "POST", base, body);
        assert_eq!((status, &made["values"][1]["stringValue"]), (201, &json!("B")));
        let path = format!("{base}/{}", made["id"]);
        let (_, put) = ask(&mut world, "PUT", &path, r#"{"name": "Places"}"#);
        assert_eq!((&put["name"], &put["values"][0]["stringValue"]), (&json!("Places"), &json!("A")));
        assert_eq!(ask(&mut world, "DELETE", &path, "").0, 204);
        assert_eq!(ask(&mut world, "GET", &path, "").0, 404);
        assert_eq!(ask(&mut world, "DELETE", &format!("{base}/1"), "").0, 400);
    }

    #[test]
    fn a_template_names_what_is_there_and_runs() {
        let mut world = world();
        let base = "/example-data/templates";
        let body = r#"{"name": "T", "objectTypes": [{"metaverseObjectTypeId": 1, "objectsToCreate": 5,
            "attributes": [{"metaverseAttributeId": 3, "pattern": "x"}]}]}"#;
        let (status, made) = ask(&mut world, "POST", base, body);
        assert_eq!(
            (status, &made["objectTypes"][0]["templateAttributes"][0]["metaverseAttributeName"]),
            (201, &json!("Display Name"))
        );
        assert_eq!(ask(&mut world, "POST", base, body).0, 409);
        let wrong = body.replace("\"T\"", "\"U\"").replace("TypeId\": 1", "TypeId\": 77");
        assert_eq!(ask(&mut world, "POST", base, &wrong).0, 404);
        assert_eq!(ask(&mut world, "POST", &format!("{base}/{}/execute", made["id"]), "").0, 202);
    }
}
