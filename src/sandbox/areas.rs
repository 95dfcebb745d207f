//! The API's areas in one list: which of them answers a request, and what each brings to a fresh world.

use super::state::World;
use super::wire::{Call, Routed};
use super::{
    activities, api_keys, attribute_priorities, certificates, connected_systems, connector_space, connectors, criteria,
    example_data, expressions, file_system, mappings, matching_rules, metaverse, metaverse_attributes, metaverse_types,
    object_history, passwords, pending_exports, predefined_searches, previews, roles, run_profiles, schedules,
    settings, structure, sync_rules, system, worker_tasks,
};

type Area = fn(&mut World, &Call, &[&str]) -> Routed;

/// Each knows its own routes; the order does not matter but for speed.
const AREAS: [Area; 28] = [
    run_profiles::route,
    connected_systems::route,
    activities::route,
    metaverse::route,
    worker_tasks::route,
    api_keys::route,
    schedules::route,
    settings::route,
    system::route,
    metaverse_types::route,
    metaverse_attributes::route,
    attribute_priorities::route,
    sync_rules::route,
    mappings::route,
    criteria::route,
    matching_rules::route,
    structure::route,
    connector_space::route,
    pending_exports::route,
    connectors::route,
    predefined_searches::route,
    example_data::route,
    certificates::route,
    roles::route,
    object_history::route,
    previews::route,
    passwords::route,
    |world, call, segments| expressions::route(call, segments).or_else(|| file_system::route(world, call, segments)),
];

/// `segments` begin after `/api/v1`. `None`: there is no such route.
pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    AREAS.iter().find_map(|area| area(world, call, segments))
}

/// After the systems, which the others refer to.
pub(super) fn seed(world: &mut World) {
    metaverse_types::seed(world);
    metaverse_attributes::seed(world);
    metaverse::seed(world);
    sync_rules::seed(world);
    mappings::seed(world);
    predefined_searches::seed(world);
    criteria::seed(world);
    matching_rules::seed(world);
    pending_exports::seed(world);
    example_data::seed(world);
    certificates::seed(world);
    roles::seed(world);
    object_history::seed(world);
}
