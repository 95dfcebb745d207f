//! Predefined searches: what people of the web interface find under a name.

use serde_json::{Value, json};

use super::state::World;
use super::tables::{Form, Kind, Row, merge, note, number, text};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{clock, criteria, errors, metaverse_attributes, metaverse_types};

const TABLE: &str = "predefined-searches";
const UPDATE: Form = Form {
    model: "JIM.Web.Models.Api.UpdatePredefinedSearchRequest",
    required: &[],
    optional: &[("isEnabled", Kind::Flag)],
};

pub(super) fn seed(world: &mut World) {
    for (name, kind, attributes) in [("People", 1, &[3, 5, 33, 46][..]), ("Groups", 2, &[3, 8][..])] {
        let row = json!({
            "id": 0,
            "name": name,
            "uri": name.to_lowercase(),
            "builtIn": true,
            "isEnabled": true,
            "isDefaultForMetaverseObjectType": true,
            "metaverseObjectTypeId": kind,
            "created": clock::stored(world.started),
            "lastUpdated": null,
            "lastUpdatedByName": null,
            "attributeIds": attributes,
        });
        world.tables.add(TABLE, row);
    }
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["predefined-searches", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", []) => Ok(Reply::ok(&world.tables.rows(TABLE).iter().map(|row| header(world, row)).collect())),
        ("GET", [id]) => {
            let id = int(id)?;
            found(world, call, id).map(|row| Reply::ok(&detail(world, row)))
        }
        ("PATCH", [id]) => update(world, call, int(id)?),
        ("GET", ["by-uri", uri]) => world
            .tables
            .rows(TABLE)
            .iter()
            .find(|row| text(row, "uri").eq_ignore_ascii_case(uri))
            .map(|row| Reply::ok(&detail(world, row)))
            .ok_or_else(|| errors::not_found(call, format!("Predefined search with URI '{uri}' not found."))),
        _ => return None,
    })
}

pub(super) fn found<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a Row, Reply> {
    world
        .tables
        .get(TABLE, id)
        .ok_or_else(|| errors::not_found(call, format!("Predefined search with ID {id} not found.")))
}

fn attributes(row: &Row) -> Vec<i64> {
    super::tables::numbers(&row["attributeIds"])
}

fn header(world: &World, row: &Row) -> Value {
    json!({
        "id": row["id"],
        "metaverseObjectTypeName":
            metaverse_types::name(world, number(row, "metaverseObjectTypeId")),
        "isDefaultForMetaverseObjectType": row["isDefaultForMetaverseObjectType"],
        "name": row["name"],
        "uri": row["uri"],
        "builtIn": row["builtIn"],
        "isEnabled": row["isEnabled"],
        "metaverseAttributeCount": attributes(row).len(),
        "created": row["created"],
    })
}

fn detail(world: &World, row: &Row) -> Value {
    let shown: Vec<Value> = (0..)
        .zip(attributes(row))
        .map(|(position, id)| {
            json!({
                "id": position + 1,
                "metaverseAttributeId": id,
                "metaverseAttributeName": metaverse_attributes::name(world, id),
                "position": position,
            })
        })
        .collect();
    let id = number(row, "id");
    json!({
        "id": id,
        "name": row["name"],
        "uri": row["uri"],
        "builtIn": row["builtIn"],
        "isEnabled": row["isEnabled"],
        "isDefaultForMetaverseObjectType": row["isDefaultForMetaverseObjectType"],
        "metaverseObjectTypeId": row["metaverseObjectTypeId"],
        "metaverseObjectTypeName":
            metaverse_types::name(world, number(row, "metaverseObjectTypeId")),
        "created": row["created"],
        "createdByName": "System",
        "lastUpdated": row["lastUpdated"],
        "lastUpdatedByName": row["lastUpdatedByName"],
        "attributes": shown,
        "criteriaGroups": criteria::groups(world, &criteria::SEARCH, id, None),
    })
}

/// 204: the search has to be read again.
fn update(world: &mut World, call: &Call, id: i64) -> Handled {
    let sent = UPDATE.update(call)?;
    let name = text(found(world, call, id)?, "name").to_owned();
    if let Some(row) = world.tables.get_mut(TABLE, id) {
        merge(row, sent.fields);
        row["lastUpdated"] = json!(clock::stored(call.now));
        row["lastUpdatedByName"] = json!(call.actor.name);
    }
    note(world, call, ("PredefinedSearch", "Update"), &name, sent.reason);
    Ok(Reply::no_content())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn a_search_is_found_by_its_uri_and_switched_off() {
        let mut world = world();
        let (status, search) = ask(&mut world, "GET", "/predefined-searches/by-uri/People", "");
        assert_eq!((status, &search["isEnabled"]), (200, &json!(true)));
        let path = "/predefined-searches/1";
        assert_eq!(ask(&mut world, "PATCH", path, r#"{"isEnabled": false}"#).0, 204);
        assert_eq!(ask(&mut world, "GET", path, "").1["isEnabled"], false);
        assert_eq!(ask(&mut world, "GET", "/metaverse/objects/search/people", "").0, 404);
        assert_eq!(ask(&mut world, "PATCH", "/predefined-searches/9", "{}").0, 404);
    }
}
