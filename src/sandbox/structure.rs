//! The structure of connected systems: object types with their attributes, partitions' containers, what the connector
//! can do; importing all of it anew, and clearing the connector space.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::body::Body;
use super::connected_systems::{self, found, object_type};
use super::state::{Change, ConnectedSystem, Partition, World};
use super::tables::{Form, Kind, merge, note, text};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{clock, errors, metaverse_attributes, object_history};

const OBJECT_TYPE: Form = Form {
    model: "JIM.Web.Models.Api.UpdateConnectedSystemObjectTypeRequest",
    required: &[],
    optional: &[("selected", Kind::Flag), ("removeContributedAttributesOnObsoletion", Kind::Flag)],
};
const ATTRIBUTE: Form = Form {
    model: "JIM.Web.Models.Api.UpdateConnectedSystemAttributeRequest",
    required: &[],
    optional: &[
        ("selected", Kind::Flag),
        ("isExternalId", Kind::Flag),
        ("isSecondaryExternalId", Kind::Flag),
        ("type", Kind::OneOf("JIM.Models.Core.AttributeDataType", metaverse_attributes::TYPES)),
    ],
};
const CONTAINER: Form = Form {
    model: "JIM.Web.Models.Api.UpdateConnectedSystemContainerRequest",
    required: &[],
    optional: &[
        ("selected", Kind::Flag),
        ("excluded", Kind::Flag),
        ("scope", Kind::OneOf("JIM.Models.Staging.ConnectedSystemContainerScope", &["Subtree", "OneLevel"])),
    ],
};

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["synchronisation", "connected-systems", id, rest @ ..] = segments else {
        return None;
    };
    let id = int(id)?;
    Some(match (call.method.as_str(), rest) {
        ("GET", ["object-types", kind]) => object_type(world, call, id, int(kind)?).map(Reply::ok),
        ("PUT", ["object-types", kind]) => change_type(world, call, id, int(kind)?),
        ("PUT", ["object-types", kind, "attributes"]) => change_attributes(world, call, id, int(kind)?),
        ("PUT", ["object-types", kind, "attributes", attribute]) => {
            change_attribute(world, call, (id, int(kind)?), int(attribute)?)
        }
        ("PUT", ["containers", container]) => change_container(world, call, id, int(container)?),
        ("GET", ["container-scope-text"]) => {
            found(world, call, id).map(|system| Reply::ok(&json!({"text": scope_text(system)})))
        }
        ("PUT", ["container-scope-text"]) => set_scope_text(world, call, id),
        // Observed empty for the file connector, which is the one that was looked at.
        ("GET", ["capabilities"]) => found(world, call, id).map(|system| {
            Reply::ok(&if system.connector.partitions {
                json!([
                    {"name": "Directory Type", "value": "Active Directory"},
                    {"name": "Paging Supported", "value": "True"},
                ])
            } else {
                json!([])
            })
        }),
        ("GET", ["directory-servers"]) => directory_servers(world, call, id),
        ("POST", ["import-schema"]) => import_schema(world, call, id),
        ("POST", ["import-schema", "preview"]) => {
            found(world, call, id).map(|system| Reply::ok(&schema_refresh(system)))
        }
        ("POST", ["import-hierarchy"]) => import_hierarchy(world, call, id),
        ("POST", ["clear"]) => clear(world, call, id),
        ("GET" | "POST", ["server-certificate"]) => server_certificate(world, call, id),
        ("POST", ["server-certificate", "trust"]) => super::certificates::trust(world, call, id),
        _ => return None,
    })
}

/// The containers a directory's partition has here.
pub(super) fn containers(partition: i64, root: &str, selected: bool) -> Vec<Value> {
    let base = (partition - 1) * 4;
    let one = |number: i64, name: &str, chosen: bool, children: Vec<Value>| {
        json!({
            "id": base + number,
            "name": name,
            "externalId": format!("ou={name},{root}"),
            "description": null,
            "hidden": false,
            "selected": chosen,
            "excluded": false,
            "scope": "Subtree",
            "objectCount": null,
            "subtreeObjectCount": null,
            "partitionId": partition,
            "connectedSystemId": null,
            "childContainers": children,
        })
    };
    let users = vec![one(2, "Contractors", false, Vec::new())];
    vec![one(1, "Users", selected, users), one(3, "Groups", selected, Vec::new()), one(4, "Archive", false, Vec::new())]
}

fn noted(world: &mut World, call: &Call, id: i64) -> uuid::Uuid {
    let name = world.system(id).map(|system| system.name.clone());
    let name = name.unwrap_or_default();
    world.note(Change { system_id: Some(id), ..Change::new("ConnectedSystem", "Update", &name, call) })
}

fn change_type(world: &mut World, call: &Call, id: i64, kind: i64) -> Handled {
    let sent = OBJECT_TYPE.update(call)?;
    object_type(world, call, id, kind)?;
    if let Some(known) = type_mut(world, id) {
        merge(known, sent.fields);
    }
    noted(world, call, id);
    object_type(world, call, id, kind).map(Reply::ok)
}

fn type_mut(world: &mut World, id: i64) -> Option<&mut Value> {
    let mut systems = world.systems.iter_mut();
    systems.find(|system| system.id == id)?.object_type.as_mut()
}

fn attributes_of(kind: &mut Value) -> impl Iterator<Item = &mut Value> {
    kind["attributes"].as_array_mut().into_iter().flatten()
}

/// Changes one attribute; there is one external id at a time, and it stays selected.
fn apply(world: &mut World, at: (i64, i64), fields: Value) -> Result<Value, String> {
    let missing = || format!("Attribute with ID {} not found.", at.1);
    let kind = type_mut(world, at.0).ok_or_else(missing)?;
    let known = attributes_of(kind).find(|attribute| attribute["id"] == at.1);
    let known = known.ok_or_else(missing)?;
    if fields["selected"] == false && known["isExternalId"] == true {
        return Err(format!("Attribute '{}' is the external ID and can't be deselected.", text(known, "name")));
    }
    if fields.get("type").is_some() {
        known["typeSetByAdministrator"] = json!(true);
    }
    for field in ["isExternalId", "isSecondaryExternalId"] {
        if fields[field] == true {
            attributes_of(kind).for_each(|attribute| attribute[field] = json!(false));
        }
    }
    let known = attributes_of(kind).find(|attribute| attribute["id"] == at.1);
    let known = known.ok_or_else(missing)?;
    merge(known, fields);
    Ok(known.clone())
}

fn change_attribute(world: &mut World, call: &Call, at: (i64, i64), attribute: i64) -> Handled {
    let sent = ATTRIBUTE.update(call)?;
    let kind = object_type(world, call, at.0, at.1)?;
    let known = kind["attributes"].as_array().into_iter().flatten();
    if !known.into_iter().any(|one| one["id"] == attribute) {
        return Err(errors::not_found(call, format!("Attribute with ID {attribute} not found.")));
    }
    let answer = apply(world, (at.0, attribute), sent.fields).map_err(|message| errors::bad_request(call, message))?;
    noted(world, call, at.0);
    Ok(Reply::ok(&answer))
}

/// Several at once: those that can't be changed are named, the others change.
fn change_attributes(world: &mut World, call: &Call, id: i64, kind: i64) -> Handled {
    let body = Body::of(call, "JIM.Web.Models.Api.BulkUpdateConnectedSystemAttributesRequest")?;
    let Some(Value::Object(wanted)) = body.value("attributes") else {
        return Err(errors::invalid_field("Attributes", "The Attributes field is required."));
    };
    object_type(world, call, id, kind)?;
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (key, fields) in wanted {
        let attribute: i64 = key.parse().unwrap_or_default();
        let known = fields.as_object().into_iter().flatten();
        let fields: Value = known
            .filter_map(|(name, value)| {
                let mut allowed = ATTRIBUTE.optional.iter().map(|field| field.0);
                let name = allowed.find(|known| known.eq_ignore_ascii_case(name))?;
                (!value.is_null()).then(|| (name.to_owned(), value.clone()))
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
        match apply(world, (id, attribute), fields) {
            Ok(shown) => done.push(shown),
            Err(message) => failed.push(json!({"attributeId": attribute, "errorMessage": message})),
        }
    }
    let activity = noted(world, call, id);
    Ok(Reply::ok(&json!({
        "activityId": activity,
        "updatedCount": done.len(),
        "updatedAttributes": done,
        "errors": failed,
    })))
}

fn container_in(list: &mut [Value], id: i64) -> Option<&mut Value> {
    for container in list {
        if container["id"] == id {
            return Some(container);
        }
        let children = container["childContainers"].as_array_mut();
        if let Some(found) = children.and_then(|children| container_in(children, id)) {
            return Some(found);
        }
    }
    None
}

fn partitions_mut(world: &mut World, id: i64) -> &mut [Partition] {
    let mut systems = world.systems.iter_mut();
    systems.find(|system| system.id == id).map_or(&mut [], |system| system.partitions.as_mut_slice())
}

fn change_container(world: &mut World, call: &Call, id: i64, container: i64) -> Handled {
    let sent = CONTAINER.update(call)?;
    found(world, call, id)?;
    if sent.fields["selected"] == true && sent.fields["excluded"] == true {
        return Err(errors::bad_request(call, "A container can't be selected and excluded at the same time."));
    }
    let known =
        partitions_mut(world, id).iter_mut().find_map(|partition| container_in(&mut partition.containers, container));
    let Some(known) = known else {
        return Err(errors::not_found(call, format!("Container with ID {container} not found.")));
    };
    let (chosen, excluded) = (sent.fields["selected"] == true, sent.fields["excluded"] == true);
    merge(known, sent.fields);
    if chosen {
        known["excluded"] = json!(false);
    }
    if excluded {
        known["selected"] = json!(false);
    }
    let answer = known.clone();
    noted(world, call, id);
    Ok(Reply::ok(&answer))
}

fn walk<'a>(list: &'a [Value], all: &mut Vec<&'a Value>) {
    for container in list {
        all.push(container);
        if let Some(children) = container["childContainers"].as_array() {
            walk(children, all);
        }
    }
}

/// One container a line: `+` for the selected ones, `-` for those left out.
fn scope_text(system: &ConnectedSystem) -> String {
    let mut all = Vec::new();
    for partition in &system.partitions {
        walk(&partition.containers, &mut all);
    }
    let lines: Vec<String> = all
        .iter()
        .filter_map(|container| {
            let mark = match (&container["selected"], &container["excluded"]) {
                (Value::Bool(true), _) => "+",
                (_, Value::Bool(true)) => "-",
                _ => return None,
            };
            Some(format!("{mark} {}", text(container, "externalId")))
        })
        .collect();
    lines.join("\n")
}

fn set_scope_text(world: &mut World, call: &Call, id: i64) -> Handled {
    let wanted = Body::of(call, "JIM.Web.Models.Api.UpdateConnectedSystemContainerScopeTextRequest")?
        .text("text")?
        .ok_or_else(|| errors::invalid_field("Text", "The Text field is required."))?;
    let system = found(world, call, id)?;
    let mut known = Vec::new();
    for partition in &system.partitions {
        walk(&partition.containers, &mut known);
    }
    let mut plan: Vec<(i64, bool)> = Vec::new();
    for line in wanted.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (mark, name) = line.split_at_checked(1).unwrap_or((line, ""));
        let container = known.iter().find(|one| text(one, "externalId").eq_ignore_ascii_case(name.trim()));
        match (mark, container) {
            ("+" | "-", Some(container)) => {
                plan.push((super::tables::number(container, "id"), mark == "+"));
            }
            _ => {
                return Err(errors::bad_request(
                    call,
                    format!("The line '{line}' names no container of this Connected System."),
                ));
            }
        }
    }
    let ids: Vec<i64> = known.iter().map(|one| super::tables::number(one, "id")).collect();
    for container in ids {
        let choice = plan.iter().find(|one| one.0 == container).map(|one| one.1);
        for partition in partitions_mut(world, id) {
            if let Some(known) = container_in(&mut partition.containers, container) {
                known["selected"] = json!(choice == Some(true));
                known["excluded"] = json!(choice == Some(false));
            }
        }
    }
    noted(world, call, id);
    found(world, call, id).map(|system| Reply::ok(&json!({"text": scope_text(system)})))
}

fn directory(world: &World, call: &Call, id: i64) -> Result<(), Reply> {
    if found(world, call, id)?.connector.partitions {
        return Ok(());
    }
    Err(errors::bad_request(call, "The connector of this Connected System does not support this operation."))
}

fn directory_servers(world: &World, call: &Call, id: i64) -> Handled {
    directory(world, call, id)?;
    Ok(Reply::ok(&json!([
        {"hostName": "dc1.panoply.example", "site": "Head Office"},
        {"hostName": "dc2.panoply.example", "site": "Head Office"},
        {"hostName": "dc3.panoply.example", "site": "Branch"},
    ])))
}

/// Nothing at the source ever changes; a system that has no object type yet will get one.
fn schema_refresh(system: &ConnectedSystem) -> Value {
    let new = system.object_type.is_none();
    let (types, attributes): (&[&str], usize) = if new { (&["person"], 7) } else { (&[], 7) };
    json!({
        "success": true,
        "errorMessage": null,
        "totalObjectTypes": 1,
        "totalAttributes": attributes,
        "addedObjectTypes": types,
        "removedObjectTypes": [],
        "updatedObjectTypes": [],
        "addedAttributes": {},
        "removedAttributes": {},
        "changedAttributes": {},
        "attributesInUse": {},
        "blockedCredentialAttributes": {},
        "discoveryWarnings": [],
        "passwordPolicyDiscovered": system.connector.partitions,
        "hasChanges": new,
        "hasRemovalsOrDefinitionChanges": false,
        "dependents": null,
        "removalImpact": null,
    })
}

fn import_schema(world: &mut World, call: &Call, id: i64) -> Handled {
    let body = Body::optional(call, "JIM.Web.Models.Api.ImportConnectedSystemSchemaRequest")?;
    let disable = body.flag("disableDependents", false)?.unwrap_or_default();
    let remove = body.flag("removeDependents", false)?.unwrap_or_default();
    let system = found(world, call, id)?;
    if disable && remove {
        return Err(errors::bad_request(call, "Dependents can be disabled or removed, not both."));
    }
    if !system.settings_valid {
        return Err(errors::bad_request(
            call,
            "The settings of the Connected System must be valid before its schema can be imported.",
        ));
    }
    let name = system.name.clone();
    let system = world.systems.iter_mut().find(|system| system.id == id);
    if let Some(system) = system.filter(|system| system.object_type.is_none()) {
        let kind = connected_systems::new_object_type(id, (id - 1) * 7 + 1, call.now);
        system.object_type = Some(kind);
    }
    note(world, call, ("ConnectedSystem", "ImportSchema"), &name, None);
    found(world, call, id).map(|system| Reply::ok(&connected_systems::detail(world, system, false)))
}

fn import_hierarchy(world: &mut World, call: &Call, id: i64) -> Handled {
    directory(world, call, id)?;
    let next = world
        .systems
        .iter()
        .flat_map(|system| &system.partitions)
        .map(|partition| partition.id)
        .max()
        .unwrap_or_default()
        + 1;
    let mut added = Vec::new();
    let system = world.systems.iter_mut().find(|system| system.id == id);
    if let Some(system) = system.filter(|system| system.partitions.is_empty()) {
        let root = "dc=panoply,dc=example";
        system.partitions.push(Partition {
            id: next,
            name: root.to_owned(),
            selected: false,
            containers: containers(next, root, false),
        });
        added.push(json!({
            "externalId": root, "name": root, "wasSelected": false, "itemType": "Partition",
        }));
    }
    let system = found(world, call, id)?;
    let (partitions, name) = (system.partitions.len(), system.name.clone());
    note(world, call, ("ConnectedSystem", "ImportHierarchy"), &name, None);
    Ok(Reply::ok(&json!({
        "success": true,
        "errorMessage": null,
        "totalPartitions": partitions,
        "totalContainers": partitions * 4,
        "summary": if added.is_empty() { "No changes" } else { "1 partition added" },
        "hasChanges": !added.is_empty(),
        "hasSelectedItemsRemoved": false,
        "addedPartitions": added,
        "removedPartitions": [],
        "renamedPartitions": [],
        "addedContainers": [],
        "removedContainers": [],
        "renamedContainers": [],
        "movedContainers": [],
    })))
}

/// Empties the connector space; the people of its last synchronisation leave the metaverse with it.
fn clear(world: &mut World, call: &Call, id: i64) -> Handled {
    let name = found(world, call, id)?.name.clone();
    let keep = call.param("deleteChangeHistory").is_some_and(|text| text.eq_ignore_ascii_case("false"));
    if keep {
        object_history::cleared(world, call, id);
    }
    if let Some(system) = world.systems.iter_mut().find(|system| system.id == id) {
        system.objects = 0;
        system.last_full_sync = None;
    }
    super::pending_exports::clear(world, id);
    note(world, call, ("ConnectedSystem", "Clear"), &name, None);
    Ok(Reply::empty(StatusCode::OK).with("api-supported-versions", "1.0"))
}

fn server_certificate(world: &World, call: &Call, id: i64) -> Handled {
    directory(world, call, id)?;
    let mut certificate = super::certificates::presented(world);
    certificate["isExpired"] = json!(false);
    certificate["isNotYetValid"] = json!(false);
    Ok(Reply::ok(&json!({
        "certificate": certificate,
        "readAt": clock::fresh(call.now),
    })))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    const BASE: &str = "/synchronisation/connected-systems";

    #[test]
    fn types_and_attributes_are_selected() {
        let mut world = world();
        let kind = format!("{BASE}/1/object-types/1");
        let (_, off) = ask(&mut world, "PUT", &kind, r#"{"selected": false}"#);
        assert_eq!(off["selected"], false);
        let one = format!("{kind}/attributes/3");
        let (_, changed) = ask(&mut world, "PUT", &one, r#"{"isExternalId": true}"#);
        assert_eq!(changed["isExternalId"], true);
        let (_, now) = ask(&mut world, "GET", &format!("{BASE}/1/object-types"), "");
        let external = now[0]["attributes"].as_array().into_iter().flatten();
        assert_eq!(external.filter(|one| one["isExternalId"] == true).count(), 1);
        let bulk = r#"{"attributes": {"1": {"selected": false}, "3": {"selected": false}, "99": {}}}"#;
        let (status, done) = ask(&mut world, "PUT", &format!("{kind}/attributes"), bulk);
        assert_eq!((status, &done["updatedCount"], done["errors"].as_array().map(Vec::len)), (200, &json!(1), Some(2)));
        assert_eq!(ask(&mut world, "PUT", &format!("{BASE}/1/object-types/9"), "{}").0, 404);
    }

    #[test]
    fn containers_are_chosen_one_by_one_and_as_text() {
        let mut world = world();
        let (_, chosen) = ask(&mut world, "PUT", &format!("{BASE}/3/containers/2"), r#"{"excluded": true}"#);
        assert_eq!((&chosen["excluded"], &chosen["name"]), (&json!(true), &json!("Contractors")));
        let path = format!("{BASE}/3/container-scope-text");
        let (_, now) = ask(&mut world, "GET", &path, "");
        assert!(text(&now, "text").contains("- ou=Contractors"), "{now}");
        let (status, set) = ask(&mut world, "PUT", &path, r#"{"text": "+ ou=Archive,dc=panoply,dc=example"}"#);
        assert_eq!((status, &set["text"]), (200, &json!("+ ou=Archive,dc=panoply,dc=example")));
        assert_eq!(ask(&mut world, "PUT", &path, r#"{"text": "nonsense"}"#).0, 400);
    }

    #[test]
    fn a_new_directory_gets_its_schema_and_hierarchy() {
        let mut world = world();
        let made = ask(&mut world, "POST", BASE, r#"{"name": "D", "connectorDefinitionId": 1}"#).1;
        let path = format!("{BASE}/{}", made["id"]);
        assert_eq!(ask(&mut world, "POST", &format!("{path}/import-schema"), "").0, 400);
        ask(&mut world, "PUT", &path, r#"{"settingValues": {}}"#);
        let (status, now) = ask(&mut world, "POST", &format!("{path}/import-schema"), "");
        assert_eq!((status, &now["objectTypes"][0]["name"]), (200, &json!("person")));
        let (_, first) = ask(&mut world, "POST", &format!("{path}/import-hierarchy"), "");
        let (_, second) = ask(&mut world, "POST", &format!("{path}/import-hierarchy"), "");
        assert_eq!((&first["hasChanges"], &second["hasChanges"]), (&json!(true), &json!(false)));
        assert_eq!(ask(&mut world, "POST", &format!("{BASE}/1/import-hierarchy"), "").0, 400);
    }

    #[test]
    fn clearing_empties_the_connector_space() {
        let mut world = world();
        if let Some(system) = world.systems.first_mut() {
            system.objects = 5;
        }
        assert_eq!(ask(&mut world, "POST", &format!("{BASE}/1/clear?deleteChangeHistory=false"), "").0, 200);
        assert_eq!(ask(&mut world, "GET", &format!("{BASE}/1/connector-space/count"), "").1, 0);
        let (_, gone) = ask(&mut world, "GET", "/history/deleted-objects/cso?connectedSystemId=1", "");
        assert_eq!(gone["totalCount"], 6);
    }
}
