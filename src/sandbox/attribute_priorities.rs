//! Which mapping's value counts first when several write the same attribute of the metaverse.

use serde_json::{Value, json};

use super::body::Body;
use super::errors;
use super::metaverse_attributes::{both, name, noted};
use super::state::World;
use super::tables::{Row, number};
use super::wire::{Call, Handled, Reply, Routed, int};

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["metaverse", "attributes", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", [id, "priorities", kind]) => {
            let (id, kind) = (int(id)?, int(kind)?);
            both(world, call, id, kind).map(|_| Reply::ok(&priorities(world, id, kind)))
        }
        ("PUT", [id, "priorities", kind]) => set_priorities(world, call, int(id)?, int(kind)?),
        ("PUT", [id, "priorities", kind, "mappings", mapping]) => {
            move_priority(world, call, (int(id)?, int(kind)?), int(mapping)?)
        }
        _ => return None,
    })
}

/// The import mappings that write an attribute of an object type, the first in charge first.
pub(super) fn contributors(world: &World, id: i64, kind: i64) -> Vec<(&Row, &Row)> {
    let mut found: Vec<(&Row, &Row)> = world
        .tables
        .of("mappings", "targetMetaverseAttributeId", id)
        .filter_map(|mapping| {
            let rule = world.tables.get("sync-rules", number(mapping, "syncRuleId"))?;
            (number(rule, "metaverseObjectTypeId") == kind).then_some((mapping, rule))
        })
        .collect();
    found.sort_by_key(|(mapping, _)| (number(mapping, "priority"), number(mapping, "id")));
    found
}

fn priorities(world: &World, id: i64, kind: i64) -> Value {
    let rows: Vec<Value> = contributors(world, id, kind)
        .into_iter()
        .map(|(mapping, rule)| {
            let system = world.system(number(rule, "connectedSystemId"));
            json!({
                "mappingId": mapping["id"],
                "priority": mapping["priority"],
                "nullIsValue": mapping["nullIsValue"],
                "syncRuleId": rule["id"],
                "syncRuleName": rule["name"],
                "syncRuleEnabled": rule["enabled"],
                "connectedSystemId": rule["connectedSystemId"],
                "connectedSystemName": system.map(|system| &system.name),
            })
        })
        .collect();
    json!({
        "metaverseObjectTypeId": kind,
        "metaverseAttributeId": id,
        "metaverseAttributeName": name(world, id),
        "contributors": rows,
    })
}

/// The whole order at once; it has to name every contributor.
fn set_priorities(world: &mut World, call: &Call, id: i64, kind: i64) -> Handled {
    let body = Body::of(call, "JIM.Web.Models.Api.SetAttributePriorityOrderRequest")?;
    let wanted = body.value("contributors").unwrap_or_default();
    both(world, call, id, kind)?;
    let wanted: Vec<(i64, bool)> = wanted
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| (one["mappingId"].as_i64().unwrap_or_default(), one["nullIsValue"] == true))
        .collect();
    let mut known: Vec<i64> = contributors(world, id, kind).iter().map(|(mapping, _)| number(mapping, "id")).collect();
    let mut named: Vec<i64> = wanted.iter().map(|one| one.0).collect();
    known.sort_unstable();
    named.sort_unstable();
    if known != named {
        return Err(errors::bad_request(
            call,
            "The contributors must be exactly the mappings that contribute to this attribute.",
        ));
    }
    for (place, (mapping, null_is_value)) in (1..).zip(wanted) {
        if let Some(mapping) = world.tables.get_mut("mappings", mapping) {
            mapping["priority"] = json!(place);
            mapping["nullIsValue"] = json!(null_is_value);
        }
    }
    noted(world, call, id, "Update", None)?;
    Ok(Reply::ok(&priorities(world, id, kind)))
}

fn move_priority(world: &mut World, call: &Call, at: (i64, i64), mapping: i64) -> Handled {
    let body = Body::of(call, "JIM.Web.Models.Api.MoveAttributePriorityRequest")?;
    let position = body.int("position", false)?.unwrap_or_default();
    let null_is_value = body.flag("nullIsValue", true)?;
    both(world, call, at.0, at.1)?;
    let mut order: Vec<i64> =
        contributors(world, at.0, at.1).iter().map(|(mapping, _)| number(mapping, "id")).collect();
    let Some(from) = order.iter().position(|known| *known == mapping) else {
        return Err(errors::not_found(
            call,
            format!("Mapping with ID {mapping} does not contribute to this attribute."),
        ));
    };
    let place = usize::try_from(position - 1).ok().filter(|place| *place < order.len());
    let Some(place) = place else {
        return Err(errors::bad_request(call, format!("Position must be between 1 and {}.", order.len())));
    };
    order.remove(from);
    order.insert(place, mapping);
    for (place, id) in (1..).zip(order) {
        if let Some(row) = world.tables.get_mut("mappings", id) {
            row["priority"] = json!(place);
            if let Some(wanted) = null_is_value.filter(|_| id == mapping) {
                row["nullIsValue"] = json!(wanted);
            }
        }
    }
    noted(world, call, at.0, "Update", None)?;
    Ok(Reply::ok(&priorities(world, at.0, at.1)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn the_last_contributor_can_become_the_first() {
        let mut world = world();
        let path = "/metaverse/attributes/5/priorities/1";
        let order = |answer: &Value| -> Vec<i64> {
            let rows = answer["contributors"].as_array().into_iter().flatten();
            rows.map(|row| number(row, "mappingId")).collect()
        };
        let before = order(&ask(&mut world, "GET", path, "").1);
        assert_eq!(before, [5, 11]);
        let moved = ask(&mut world, "PUT", &format!("{path}/mappings/11"), r#"{"position": 1}"#);
        assert_eq!((moved.0, order(&moved.1)), (200, vec![11, 5]));
        let all = r#"{"contributors": [{"mappingId": 5, "nullIsValue": true}, {"mappingId": 11}]}"#;
        let (_, set) = ask(&mut world, "PUT", path, all);
        assert_eq!((order(&set), &set["contributors"][0]["nullIsValue"]), (vec![5, 11], &json!(true)));
        let some = r#"{"contributors": [{"mappingId": 5}]}"#;
        assert_eq!(ask(&mut world, "PUT", path, some).0, 400);
        assert_eq!(ask(&mut world, "PUT", &format!("{path}/mappings/11"), r#"{"position": 9}"#).0, 400);
    }
}
