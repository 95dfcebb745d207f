//! What a fresh sandbox holds. Three systems tell one story each; more are generated on request.
//!
//! | system | what happens |
//! |---|---|
//! | HR CSV Source | everything works: 40 people are imported and synchronised |
//! | Cross-Domain Export | its import fails: the file is missing |
//! | Corporate Directory | its imports end with a warning, its export with errors; one profile targets a deselected partition |
//!
//! Any file "exists" unless its name contains `missing` or `none`, so that users can rehearse both.

use chrono::TimeDelta;

use super::state::{Actor, ApiKey, Change, ConnectedSystem, Connector, Partition, RunProfile, World};
use super::{areas, connected_systems, schedules, structure};

/// A key that is valid and has no roles: 403 everywhere.
pub(super) const READER_KEY: &str = "jim_ak_sandbox_reader_000000";

pub(super) static CONNECTORS: [Connector; 4] = [
    Connector {
        id: 2,
        name: "JIM File Connector",
        description: "Enables bi-directional synchronisation with files, i.e. CSV.",
        delta_import: false,
        partitions: false,
    },
    Connector {
        id: 1,
        name: "JIM LDAP Connector",
        description: "Enables bi-directional synchronisation with LDAP compliant directories.",
        delta_import: true,
        partitions: true,
    },
    Connector {
        id: 3,
        name: "JIM SCIM 2.0 Client Connector",
        description: "Enables bi-directional synchronisation with SCIM 2.0 service providers.",
        delta_import: false,
        partitions: false,
    },
    Connector {
        id: 4,
        name: "JIM SQL Connector",
        description: "Enables bi-directional synchronisation with relational databases.",
        delta_import: true,
        partitions: false,
    },
];
const FILE: &Connector = &CONNECTORS[0];
const LDAP: &Connector = &CONNECTORS[1];

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) systems: usize,
    pub(super) speed: f64,
    pub(super) admin_key: String,
}

pub(super) fn file_exists(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase();
    !name.contains("missing") && !name.contains("none")
}

/// The name of the person in row `index` of a source.
pub(super) fn person(index: i64) -> String {
    const FIRST: [&str; 5] = ["Amelia", "Oscar", "Isla", "Noah", "Grace"];
    const LAST: [&str; 4] = ["Smith", "Johnson", "Wilson", "Davies"];
    let index = usize::try_from(index).unwrap_or_default();
    format!("{} {}", FIRST[index % FIRST.len()], LAST[index / FIRST.len() % LAST.len()])
}

pub(super) fn fill(world: &mut World, plan: &Plan) {
    let started = world.started;
    let admin = ApiKey {
        description: Some("The administrator key of this sandbox.".to_owned()),
        ..ApiKey::new("Sandbox administrator", plan.admin_key.clone(), true, started)
    };
    let actor = admin.actor();
    world.keys.push(admin);
    world.keys.push(ApiKey::new("No roles", READER_KEY.to_owned(), false, started));
    note(
        world,
        "SystemInitialisation",
        "Built-in configuration",
        None,
        &Actor::system(),
        "Applied built-in configuration",
    );
    note(world, "ApiKey", "Sandbox administrator", None, &Actor::system(), "Created API key 'Sandbox administrator'");

    for index in 0..plan.systems {
        match index {
            0 => hr(world, &actor),
            1 => export(world, &actor),
            2 => directory(world, &actor),
            more => bulk(world, &actor, more - 2),
        }
    }
    schedules::seed(world);
    areas::seed(world);
}

fn note(world: &mut World, kind: &'static str, name: &str, context: Option<&str>, actor: &Actor, message: &str) {
    let at = world.started;
    world.note(Change {
        target_type: kind,
        operation: "Create",
        name,
        context,
        message: (!message.is_empty()).then(|| message.to_owned()),
        reason: None,
        system_id: None,
        actor,
        at,
    });
}

fn hr(world: &mut World, actor: &Actor) {
    let id = system(world, actor, "HR CSV Source", "HR system CSV export", FILE, 40);
    profile(world, actor, id, "Full Import", "FullImport", 500, Some("/srv/jim/connector-files/hr-users.csv"));
    profile(world, actor, id, "Full Synchronisation", "FullSynchronisation", 500, None);
    profile(world, actor, id, "Delta Synchronisation", "DeltaSynchronisation", 500, None);
}

fn export(world: &mut World, actor: &Actor) {
    let id = system(world, actor, "Cross-Domain Export", "CSV written by JIM", FILE, 0);
    profile(world, actor, id, "Full Import", "FullImport", 500, Some("/srv/jim/connector-files/missing.csv"));
    profile(world, actor, id, "Full Synchronisation", "FullSynchronisation", 500, None);
    profile(world, actor, id, "Export", "Export", 200, Some("/srv/jim/connector-files/cross-domain.csv"));
}

fn directory(world: &mut World, actor: &Actor) {
    let id = system(world, actor, "Corporate Directory", "LDAP directory", LDAP, 120);
    let partition = |id: i64, name: &str, selected| Partition {
        id,
        name: name.to_owned(),
        selected,
        containers: structure::containers(id, name, selected),
    };
    if let Some(system) = world.systems.last_mut() {
        system.partitions = vec![partition(1, "dc=panoply,dc=example", true), partition(2, "dc=lab,dc=example", false)];
    }
    profile(world, actor, id, "Full Import", "FullImport", 500, None);
    profile(world, actor, id, "Delta Import", "DeltaImport", 500, None);
    profile(world, actor, id, "Full Synchronisation", "FullSynchronisation", 500, None);
    profile(world, actor, id, "Delta Synchronisation", "DeltaSynchronisation", 500, None);
    profile(world, actor, id, "Export", "Export", 200, None);
    profile(world, actor, id, "Full Import (lab)", "FullImport", 200, None);
    if let Some(lab) = world.profiles.last_mut() {
        lab.partition_id = Some(2);
        lab.partition_name = Some("dc=lab,dc=example".to_owned());
        lab.targets_deselected_partition = true;
    }
}

fn bulk(world: &mut World, actor: &Actor, number: usize) {
    let name = format!("Bulk System {number:06}");
    let path = format!("/srv/jim/connector-files/bulk-{number:03}.csv");
    let id = system(world, actor, &name, "Generated", FILE, 25);
    profile(world, actor, id, "Full Import", "FullImport", 500, Some(&path));
    profile(world, actor, id, "Full Synchronisation", "FullSynchronisation", 500, None);
    profile(world, actor, id, "Delta Synchronisation", "DeltaSynchronisation", 500, None);
}

fn system(
    world: &mut World,
    actor: &Actor,
    name: &str,
    description: &str,
    connector: &'static Connector,
    objects: i64,
) -> i64 {
    let id = world.new_system_id();
    // A little apart, so that sorting by creation has something to do.
    let created = world.started - TimeDelta::hours(1) + TimeDelta::milliseconds(id * 7);
    let mut made = blank(id, name, connector, created);
    made.description = Some(description.to_owned());
    made.updated = Some(created + TimeDelta::milliseconds(3));
    made.settings_valid = true;
    made.source_objects = objects;
    made.object_type = Some(connected_systems::new_object_type(id, (id - 1) * 7 + 1, created));
    world.systems.push(made);
    note(world, "ConnectedSystem", name, None, actor, "");
    id
}

/// A system as the server creates it: nothing configured yet.
pub(super) fn blank(
    id: i64,
    name: &str,
    connector: &'static Connector,
    created: chrono::DateTime<chrono::Utc>,
) -> ConnectedSystem {
    ConnectedSystem {
        id,
        name: name.to_owned(),
        description: None,
        created,
        updated: None,
        connector,
        settings_valid: false,
        object_type: None,
        partitions: Vec::new(),
        objects: 0,
        source_objects: 0,
        max_export_parallelism: None,
        initial_password_ttl: None,
        secure_transport: false,
        unresolved_references: "Error",
        last_full_sync: None,
    }
}

fn profile(
    world: &mut World,
    actor: &Actor,
    system: i64,
    name: &str,
    run_type: &'static str,
    page_size: i64,
    path: Option<&str>,
) {
    let id = world.new_profile_id();
    world.profiles.push(RunProfile {
        id,
        name: name.to_owned(),
        connected_system_id: system,
        run_type,
        page_size,
        partition_name: None,
        targets_deselected_partition: false,
        file_path: path.map(str::to_owned),
        verify_import_content_hashes: false,
        partition_id: None,
    });
    let context = world.system(system).map(|system| system.name.clone());
    note(world, "ConnectedSystemRunProfile", name, context.as_deref(), actor, "");
}
