//! Mappings of synchronisation rules: how one attribute gets its value from others; and all of them in one list, as
//! data flows.

use serde_json::{Value, json};

use super::connected_systems::attribute as system_attribute;
use super::state::World;
use super::tables::{Form, Kind, Row, merge, number, paged, text};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{attribute_priorities, clock, errors, metaverse_attributes, metaverse_types, people, sync_rules};

pub(super) const TABLE: &str = "mappings";
/// The priority of a mapping that nobody has put in order (observed).
const LAST: i64 = 2_147_483_647;
const MISSING: &[&str] = &["EvaluateAnyway", "ContributeNoValue", "FailMapping", "FailObject"];
const CASES: Kind = Kind::OneOf("JIM.Models.Logic.InboundCaseNormalisation", &["None", "Upper", "Lower", "Title"]);
const CREATE: Form = Form {
    model: "JIM.Web.Models.Api.CreateSyncRuleMappingRequest",
    required: &[("sources", Kind::Any)],
    optional: &[
        ("targetMetaverseAttributeId", Kind::Int),
        ("targetConnectedSystemAttributeId", Kind::Int),
        ("inboundValueProcessing", Kind::Text(200)),
        ("caseNormalisation", CASES),
        ("nullIsValue", Kind::Flag),
        ("initialExportOnly", Kind::Flag),
    ],
};
const UPDATE: Form = Form {
    model: "JIM.Web.Models.Api.UpdateSyncRuleMappingRequest",
    required: &[],
    optional: &[
        ("expression", Kind::Text(10_000)),
        ("missingInputBehaviour", Kind::OneOf("JIM.Models.Logic.MissingInputBehaviour", MISSING)),
        ("nullIsValue", Kind::Flag),
        ("inboundValueProcessing", Kind::Text(200)),
        ("caseNormalisation", CASES),
        ("initialExportOnly", Kind::Flag),
        ("enabled", Kind::Flag),
    ],
};
/// The members of the flags enum for inbound values.
const PROCESSING: [&str; 5] =
    ["None", "TrimWhitespace", "TreatWhitespaceAsNoValue", "TreatEmptyAsNoValue", "CollapseWhitespace"];

/// The order in which the server's first rule got its mappings.
pub(super) fn seed(world: &mut World) {
    let import = |rule: i64, position: usize| {
        let (_, target) = people::ATTRIBUTES[position];
        let first = if rule == 1 { 1 } else { 15 };
        let source = i64::try_from(position).unwrap_or_default() + first;
        (rule, json!({"targetMetaverseAttributeId": target}), json!({"connectedSystemAttributeId": source}))
    };
    let export = |target: i64, source: Value| (2, json!({"targetConnectedSystemAttributeId": target}), source);
    let all = [3, 4, 5, 1, 2, 0, 6].map(|position| import(1, position));
    let more = [
        export(16, json!({"metaverseAttributeId": 3})),
        export(
            17,
            json!({"expression": "Lower(mv[\"First Name\"]) + \".\" + Lower(mv[\"Last Name\"]) + \"@panoply.example\""}),
        ),
        import(3, 1),
        import(3, 2),
    ];
    for (rule, target, source) in all.into_iter().chain(more) {
        if world.tables.get(sync_rules::TABLE, rule).is_some() {
            add(world, rule, &clock::stored(world.started), target, &json!([source]));
        }
    }
    // The switched-off rule has a mapping that is switched off too.
    if let Some(row) = world.tables.get_mut(TABLE, 10) {
        row["enabled"] = json!(false);
        row["disabledReason"] = json!("The source attribute is no longer selected.");
    }
}

fn add(world: &mut World, rule: i64, created: &str, fields: Value, sources: &Value) -> i64 {
    let sources: Vec<Value> = sources
        .as_array()
        .into_iter()
        .flatten()
        .map(|source| {
            json!({
                "id": world.tables.next_id("mapping-sources"),
                "order": source["order"].as_i64().unwrap_or_default(),
                "metaverseAttributeId": source["metaverseAttributeId"],
                "connectedSystemAttributeId": source["connectedSystemAttributeId"],
                "expression": source["expression"],
                "missingInputBehaviour":
                    source["missingInputBehaviour"].as_str().unwrap_or(MISSING[0]),
            })
        })
        .collect();
    let mut row = json!({
        "id": 0,
        "syncRuleId": rule,
        "created": created,
        "targetMetaverseAttributeId": null,
        "targetConnectedSystemAttributeId": null,
        "inboundValueProcessing": "TreatWhitespaceAsNoValue",
        "caseNormalisation": "None",
        "priority": LAST,
        "nullIsValue": false,
        "initialExportOnly": false,
        "enabled": true,
        "disabledReason": null,
        "sources": sources,
    });
    merge(&mut row, fields);
    world.tables.add(TABLE, row)
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    if segments == ["synchronisation", "data-flows"] && call.method == "GET" {
        return Some(data_flows(world, call));
    }
    let ["synchronisation", "sync-rules", rule, "mappings", rest @ ..] = segments else {
        return None;
    };
    let rule = int(rule)?;
    let method = call.method.as_str();
    // Previews are another room's.
    if let [id] = rest
        && int(id).is_none()
    {
        return None;
    }
    if !matches!((method, rest.len()), ("GET" | "POST", 0) | ("GET" | "PATCH" | "DELETE", 1)) {
        return None;
    }
    if let Err(refused) = sync_rules::found(world, call, rule) {
        return Some(Err(refused));
    }
    Some(match (method, rest) {
        ("GET", []) => {
            Ok(Reply::ok(&world.tables.of(TABLE, "syncRuleId", rule).map(|row| shown(world, row)).collect()))
        }
        ("POST", []) => create(world, call, rule),
        (_, [id]) => {
            let id = int(id)?;
            match (method, found(world, call, rule, id)) {
                (_, Err(refused)) => Err(refused),
                ("GET", Ok(row)) => Ok(Reply::ok(&shown(world, row))),
                ("PATCH", _) => update(world, call, rule, id),
                _ => {
                    world.tables.remove(TABLE, id);
                    sync_rules::noted(world, call, rule, "Update", None).map(|_| Reply::no_content())
                }
            }
        }
        _ => return None,
    })
}

fn found<'a>(world: &'a World, call: &Call, rule: i64, id: i64) -> Result<&'a Row, Reply> {
    world.tables.get(TABLE, id).filter(|row| row["syncRuleId"] == rule).ok_or_else(|| {
        errors::not_found(call, format!("Mapping with ID {id} not found for Synchronisation Rule {rule}."))
    })
}

fn metaverse_name<'a>(world: &'a World, row: &Row, field: &str) -> Option<&'a str> {
    metaverse_attributes::name(world, number(row, field))
}

fn system_name<'a>(world: &'a World, row: &Row, field: &str) -> Option<&'a str> {
    system_attribute(world, number(row, field)).map(|attribute| text(attribute, "name"))
}

fn sources(row: &Row) -> impl Iterator<Item = &Value> {
    row["sources"].as_array().into_iter().flatten()
}

fn by_expression(row: &Row) -> bool {
    sources(row).any(|source| source["expression"].is_string())
}

fn shown(world: &World, row: &Row) -> Value {
    let sources: Vec<Value> = sources(row)
        .map(|source| {
            json!({
                "id": source["id"],
                "order": source["order"],
                "metaverseAttributeId": source["metaverseAttributeId"],
                "metaverseAttributeName": metaverse_name(world, source, "metaverseAttributeId"),
                "connectedSystemAttributeId": source["connectedSystemAttributeId"],
                "connectedSystemAttributeName":
                    system_name(world, source, "connectedSystemAttributeId"),
                "expression": source["expression"],
                "missingInputBehaviour": source["missingInputBehaviour"],
            })
        })
        .collect();
    json!({
        "id": row["id"],
        "created": row["created"],
        "targetMetaverseAttributeId": row["targetMetaverseAttributeId"],
        "targetMetaverseAttributeName": metaverse_name(world, row, "targetMetaverseAttributeId"),
        "targetConnectedSystemAttributeId": row["targetConnectedSystemAttributeId"],
        "targetConnectedSystemAttributeName":
            system_name(world, row, "targetConnectedSystemAttributeId"),
        "sourceType": if by_expression(row) { "ExpressionMapping" } else { "AttributeMapping" },
        "inboundValueProcessing": row["inboundValueProcessing"],
        "caseNormalisation": row["caseNormalisation"],
        "priority": row["priority"],
        "nullIsValue": row["nullIsValue"],
        "initialExportOnly": row["initialExportOnly"],
        "enabled": row["enabled"],
        "disabledReason": row["disabledReason"],
        "sources": sources,
    })
}

/// A flags enum: names with commas between them.
fn processing(call: &Call, sent: &mut Row) -> Result<(), Reply> {
    let Some(text) = sent["inboundValueProcessing"].as_str() else {
        return Ok(());
    };
    let names: Option<Vec<&str>> = text
        .split(',')
        .map(|part| {
            let known = PROCESSING.iter();
            known.copied().find(|known| known.eq_ignore_ascii_case(part.trim()))
        })
        .collect();
    match names {
        Some(names) => {
            sent["inboundValueProcessing"] = json!(names.join(", "));
            Ok(())
        }
        None => Err(errors::bad_request(call, format!("'{text}' is not a valid InboundValueProcessing."))),
    }
}

fn create(world: &mut World, call: &Call, rule: i64) -> Handled {
    let mut sent = CREATE.create(call)?;
    processing(call, &mut sent.fields)?;
    let sources = sent.take("sources");
    let import = sync_rules::found(world, call, rule)?["direction"] == "Import";
    let (target, other) = if import {
        ("targetMetaverseAttributeId", "connectedSystemAttributeId")
    } else {
        ("targetConnectedSystemAttributeId", "metaverseAttributeId")
    };
    check_target(world, call, &sent.fields, target)?;
    let list = sources.as_array().cloned().unwrap_or_default();
    let complete = |source: &Value| source[other].is_i64() || source["expression"].is_string();
    if list.is_empty() || !list.iter().all(complete) {
        return Err(errors::bad_request(call, "Each source needs an attribute or an expression."));
    }
    let id = add(world, rule, &clock::fresh(call.now), sent.fields, &sources);
    sync_rules::noted(world, call, rule, "Update", sent.reason)?;
    let answer = shown(world, found(world, call, rule, id)?);
    Ok(Reply::created(&answer, format!("/api/v1/synchronisation/sync-rules/{rule}/mappings/{id}")))
}

fn check_target(world: &World, call: &Call, fields: &Row, target: &str) -> Result<(), Reply> {
    if fields[target].is_null() {
        let direction = if target.contains("Metaverse") { "Import" } else { "Export" };
        return Err(errors::bad_request(call, format!("{direction} mappings require {target}.")));
    }
    let id = number(fields, target);
    let known = if target.contains("Metaverse") {
        metaverse_attributes::name(world, id).is_some()
    } else {
        system_attribute(world, id).is_some()
    };
    if known { Ok(()) } else { Err(errors::bad_request(call, format!("Attribute with ID {id} not found."))) }
}

fn update(world: &mut World, call: &Call, rule: i64, id: i64) -> Handled {
    let mut sent = UPDATE.update(call)?;
    processing(call, &mut sent.fields)?;
    let (expression, missing) = (sent.take("expression"), sent.take("missingInputBehaviour"));
    if let Some(row) = world.tables.get_mut(TABLE, id) {
        if !expression.is_null() && !by_expression(row) {
            return Err(errors::bad_request(call, "Only mappings that have an expression can change it."));
        }
        if sent.fields["enabled"] == true {
            row["disabledReason"] = Value::Null;
        }
        merge(row, sent.fields);
        for source in row["sources"].as_array_mut().into_iter().flatten() {
            if !expression.is_null() && source["expression"].is_string() {
                source["expression"] = expression.clone();
            }
            if !missing.is_null() {
                source["missingInputBehaviour"] = missing.clone();
            }
        }
    }
    sync_rules::noted(world, call, rule, "Update", sent.reason)?;
    found(world, call, rule, id).map(|row| Reply::ok(&shown(world, row)))
}

fn data_flows(world: &World, call: &Call) -> Handled {
    let is = |row: &Value, name: &str, field: &str| {
        call.param(name).is_none_or(|wanted| number(row, field).to_string() == wanted)
    };
    let several = call.param("multipleContributorsOnly").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let search = call.param("search").map(str::to_lowercase);
    let source_is = |row: &Value, name: &str, field: &str, target: &str| {
        is(row, name, target) || sources(row).any(|source| is(source, name, field))
    };
    let rows = world
        .tables
        .rows(TABLE)
        .iter()
        .filter_map(|row| data_flow(world, row))
        .filter(|row| {
            let direction =
                call.param("direction").is_none_or(|wanted| text(row, "direction").eq_ignore_ascii_case(wanted));
            direction
                && is(row, "connectedSystemId", "connectedSystemId")
                && is(row, "connectedSystemObjectTypeId", "connectedSystemObjectTypeId")
                && is(row, "metaverseObjectTypeId", "metaverseObjectTypeId")
                && source_is(
                    row,
                    "connectedSystemAttributeId",
                    "connectedSystemAttributeId",
                    "targetConnectedSystemAttributeId",
                )
                && source_is(row, "metaverseAttributeId", "metaverseAttributeId", "targetMetaverseAttributeId")
                && (!several || row["hasMultipleContributors"] == true)
                && search.as_ref().is_none_or(|part| row.to_string().to_lowercase().contains(part))
        })
        .collect();
    paged(call, rows, 25)
}

fn data_flow(world: &World, row: &Row) -> Option<Value> {
    let rule = world.tables.get(sync_rules::TABLE, number(row, "syncRuleId"))?;
    let system = world.system(number(rule, "connectedSystemId"))?;
    let type_id = number(rule, "metaverseObjectTypeId");
    let import = rule["direction"] == "Import";
    let target = number(row, "targetMetaverseAttributeId");
    let contributors = attribute_priorities::contributors(world, target, type_id).len();
    let sources: Vec<Value> = sources(row)
        .map(|source| {
            let metaverse = metaverse_name(world, source, "metaverseAttributeId");
            let from_system = system_name(world, source, "connectedSystemAttributeId");
            json!({
                "order": source["order"],
                "metaverseAttributeId": source["metaverseAttributeId"],
                "metaverseAttributeName": metaverse,
                "connectedSystemAttributeId": source["connectedSystemAttributeId"],
                "connectedSystemAttributeName": from_system,
                "expression": source["expression"],
                "isExpression": source["expression"].is_string(),
                "displayName": metaverse.or(from_system).or(source["expression"].as_str()),
            })
        })
        .collect();
    Some(json!({
        "syncRuleMappingId": row["id"],
        "syncRuleId": rule["id"],
        "syncRuleName": rule["name"],
        "syncRuleEnabled": rule["enabled"],
        "direction": rule["direction"],
        "connectedSystemId": system.id,
        "connectedSystemName": system.name,
        "connectedSystemObjectTypeId": rule["connectedSystemObjectTypeId"],
        "connectedSystemObjectTypeName": system.object_type.as_ref().map(|kind| &kind["name"]),
        "metaverseObjectTypeId": type_id,
        "metaverseObjectTypeName": metaverse_types::name(world, type_id),
        "targetMetaverseAttributeId": row["targetMetaverseAttributeId"],
        "targetMetaverseAttributeName": metaverse_name(world, row, "targetMetaverseAttributeId"),
        "targetConnectedSystemAttributeId": row["targetConnectedSystemAttributeId"],
        "targetConnectedSystemAttributeName": system_name(world, row, "targetConnectedSystemAttributeId"),
        "sources": sources,
        "priority": import.then(|| row["priority"].clone()),
        "nullIsValue": import.then(|| row["nullIsValue"].clone()),
        "enforceState": (!import).then(|| rule["enforceState"].clone()),
        "contributorCount": import.then_some(contributors),
        "hasMultipleContributors": import && contributors > 1,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    const BASE: &str = "/synchronisation/sync-rules";

    #[test]
    fn a_mapping_is_made_changed_and_deleted() {
        let mut world = world();
        let list = format!("{BASE}/1/mappings");
        let body = r#"{"targetMetaverseAttributeId": 30, "sources": [{"expression": "cs[\"title\"]"}], "inboundValueProcessing": "trimwhitespace,TreatWhitespaceAsNoValue"}"#;
        let (status, made) = ask(&mut world, "POST", &list, body);
        assert_eq!(
            (status, &made["sourceType"], &made["inboundValueProcessing"]),
            (201, &json!("ExpressionMapping"), &json!("TrimWhitespace, TreatWhitespaceAsNoValue"))
        );
        let path = format!("{list}/{}", made["id"]);
        let change = r#"{"expression": "Upper(cs[\"title\"])", "enabled": false}"#;
        let (_, changed) = ask(&mut world, "PATCH", &path, change);
        assert_eq!(
            (&changed["sources"][0]["expression"], &changed["enabled"]),
            (&json!("Upper(cs[\"title\"])"), &json!(false))
        );
        assert_eq!(ask(&mut world, "GET", &path.replace("/1/", "/2/"), "").0, 404);
        assert_eq!(ask(&mut world, "DELETE", &path, "").0, 204);
        assert_eq!(ask(&mut world, "GET", &path, "").0, 404);
        assert_eq!(ask(&mut world, "POST", &list, r#"{"sources": [{"connectedSystemAttributeId": 1}]}"#).0, 400);
    }

    #[test]
    fn data_flows_are_filtered() {
        let mut world = world();
        let mut count = |query: &str| {
            let path = format!("/synchronisation/data-flows?{query}");
            ask(&mut world, "GET", &path, "").1["totalCount"].clone()
        };
        assert_eq!(count(""), 11);
        assert_eq!(count("connectedSystemId=1&direction=Import"), 7);
        assert_eq!(count("multipleContributorsOnly=true"), 4);
        assert_eq!(count("metaverseAttributeId=35"), 1);
    }
}
