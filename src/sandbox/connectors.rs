//! Connector definitions: the kinds of systems the server can connect.

use serde_json::{Value, json};

use super::state::{Connector, World};
use super::wire::{Call, Handled, Reply, Routed, int};
use super::{clock, errors, seed};

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["synchronisation", "connector-definitions", rest @ ..] = segments else {
        return None;
    };
    if call.method != "GET" {
        return None;
    }
    Some(match rest {
        [] => Ok(Reply::ok(&seed::CONNECTORS.iter().map(|connector| header(world, connector)).collect())),
        ["by-name", name] => {
            one(world, call, format!("Connector definition with name '{name}' not found."), |connector| {
                connector.name.eq_ignore_ascii_case(name)
            })
        }
        [id] => {
            let id = int(id)?;
            one(world, call, format!("Connector definition with ID {id} not found."), |connector| connector.id == id)
        }
        _ => return None,
    })
}

fn one(world: &World, call: &Call, missing: String, wanted: impl Fn(&Connector) -> bool) -> Handled {
    seed::CONNECTORS
        .iter()
        .find(|connector| wanted(connector))
        .map(|connector| Reply::ok(&detail(world, connector)))
        .ok_or_else(|| errors::not_found(call, missing))
}

fn header(world: &World, connector: &Connector) -> Value {
    let in_use = |system: &super::state::ConnectedSystem| system.connector.id == connector.id;
    json!({
        "id": connector.id,
        "name": connector.name,
        "description": connector.description,
        "builtIn": true,
        "created": clock::stored(world.started),
        "lastUpdated": null,
        "files": 0,
        "versions": "",
        "inUse": world.systems.iter().any(in_use),
    })
}

fn detail(world: &World, connector: &Connector) -> Value {
    let directory = connector.partitions;
    let file = connector.name.contains("File");
    let settings: Vec<Value> = if file {
        vec![
            setting(31, "File Path", "File", true),
            setting(32, "Delimiter", "String", false),
            setting(33, "Mode", "DropDown", true),
        ]
    } else {
        vec![
            setting(connector.id * 10 + 1, "Host", "String", true),
            setting(connector.id * 10 + 2, "Username", "String", true),
            setting(connector.id * 10 + 3, "Password", "StringEncrypted", true),
        ]
    };
    json!({
        "id": connector.id,
        "name": connector.name,
        "description": connector.description,
        "url": null,
        "builtIn": true,
        "created": clock::stored(world.started),
        "createdByName": "System",
        "lastUpdated": null,
        "lastUpdatedByName": null,
        "settings": settings,
        "files": [],
        "supportsFullImport": true,
        "supportsDeltaImport": connector.delta_import,
        "supportsExport": true,
        "supportsPartitions": directory,
        "supportsPartitionContainers": directory,
        "supportsSecondaryExternalId": directory,
        "supportsUserSelectedExternalId": !directory,
        "supportsUserSelectedAttributeTypes": file,
        "supportsAutoConfirmExport": file,
        "supportsParallelExport": directory,
        "supportsPaging": !file,
        "supportsFilePaths": file,
        "supportsPasswordSet": directory,
        "supportsPasswordPolicyDiscovery": directory,
        "schemaStandard": if directory { "Ldap" } else { "None" },
    })
}

fn setting(id: i64, name: &str, kind: &str, required: bool) -> Value {
    let values: &[&str] = if kind == "DropDown" { &["Import", "Export", "Bidirectional"] } else { &[] };
    json!({
        "id": id,
        "name": name,
        "description": null,
        "category": "Connectivity",
        "type": kind,
        "defaultCheckboxValue": null,
        "defaultStringValue": (name == "Delimiter").then_some(","),
        "defaultIntValue": null,
        "dropDownValues": values,
        "required": required,
        "requiredGroup": null,
        "requiredGroupCardinality": "None",
        "requiredWhenSetting": null,
        "requiredWhenValue": null,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn a_definition_is_found_by_its_name_in_any_case() {
        let mut world = world();
        let base = "/synchronisation/connector-definitions";
        let (status, one) = ask(&mut world, "GET", &format!("{base}/by-name/jim%20file%20CONNECTOR"), "");
        assert_eq!((status, &one["id"], &one["supportsFilePaths"]), (200, &json!(2), &json!(true)));
        assert_eq!(ask(&mut world, "GET", &format!("{base}/99"), "").0, 404);
    }
}
