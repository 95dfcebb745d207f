//! What is known of objects that are gone, how much history a system has, and the clean-up of old history.

use serde_json::{Value, json};
use uuid::Uuid;

use super::clock;
use super::connected_systems::found;
use super::paging::Page;
use super::people::{row_id, values};
use super::state::World;
use super::tables::{note, text};
use super::wire::{Call, Handled, Reply, Routed, int};

const ROWS: &str = "deleted-rows";
const PEOPLE: &str = "deleted-people";

pub(super) fn seed(world: &mut World) {
    let at = clock::stored(world.started - chrono::TimeDelta::days(2));
    if let Some(name) = world.system(1).map(|system| system.name.clone()) {
        world.tables.add(ROWS, deleted_row(1, &name, 40, &at));
    }
    let person = json!({
        "id": Uuid::from_u64_pair(0x5a4d_b0c5_0000_4ffe, 0x8000_0000_0000_0001),
        "displayName": "Amelia Smith",
        "objectTypeName": "User",
        "objectTypeId": 1,
        "changeTime": at,
        "initiatedByType": "System",
        "initiatedByName": "System",
    });
    world.tables.add(PEOPLE, person);
}

fn deleted_row(system: i64, name: &str, index: i64, at: &str) -> Value {
    let [_, display, _, employee, ..] = values(index);
    json!({
        "id": row_id(system, index),
        "externalId": employee,
        "displayName": display,
        "objectTypeName": "person",
        "connectedSystemId": system,
        "connectedSystemName": name,
        "changeTime": at,
        "initiatedByType": "ApiKey",
        "initiatedByName": "Sandbox administrator",
    })
}

/// Keeps the rows of a connector space that is about to be cleared.
pub(super) fn cleared(world: &mut World, call: &Call, id: i64) {
    let Some(system) = world.system(id) else {
        return;
    };
    let (name, at) = (system.name.clone(), clock::stored(call.now));
    let rows: Vec<Value> = (0..system.objects).map(|index| deleted_row(id, &name, index, &at)).collect();
    for row in rows {
        world.tables.add(ROWS, row);
    }
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["history", rest @ ..] = segments else {
        return None;
    };
    Some(match (call.method.as_str(), rest) {
        ("GET", ["deleted-objects", "cso"]) => {
            deleted(world, call, ROWS, "connectedSystemId", ("externalIdSearch", "externalId"))
        }
        ("GET", ["deleted-objects", "mvo"]) => {
            deleted(world, call, PEOPLE, "objectTypeId", ("displayNameSearch", "displayName"))
        }
        ("GET", ["connected-systems", id, "count"]) => {
            let id = int(id)?;
            found(world, call, id).map(|system| {
                Reply::ok(&json!({
                    "connectedSystemId": id,
                    "connectedSystemName": system.name,
                    "changeRecordCount": system.objects
                        + i64::try_from(world.tables.of(ROWS, "connectedSystemId", id).count()).unwrap_or_default(),
                }))
            })
        }
        ("POST", ["cleanup"]) => Ok(cleanup(world, call)),
        _ => return None,
    })
}

/// A page of its own kind: without the number of pages. Newest first.
fn deleted(world: &World, call: &Call, table: &str, owner: &str, (search, field): (&str, &str)) -> Handled {
    let page = Page::of(call, 50)?;
    let wanted = call.param(owner).and_then(int);
    let part = call.param(search).map(str::to_lowercase);
    let date = |name: &str| {
        let text = call.param(name)?;
        let zoned = chrono::DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
        zoned.or_else(|_| text.parse::<chrono::NaiveDateTime>().map(|at| at.and_utc())).ok()
    };
    let (from, to) = (date("fromDate"), date("toDate"));
    let mut rows: Vec<Value> = world
        .tables
        .rows(table)
        .iter()
        .filter(|row| {
            let at = text(row, "changeTime").parse::<chrono::DateTime<chrono::Utc>>().ok();
            wanted.is_none_or(|id| row[owner] == id)
                && part.as_ref().is_none_or(|part| text(row, field).to_lowercase().contains(part))
                && from.is_none_or(|from| at.is_some_and(|at| at >= from))
                && to.is_none_or(|to| at.is_some_and(|at| at <= to))
        })
        .cloned()
        .collect();
    rows.reverse();
    let mut shown = page.envelope(&rows, Value::clone);
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|name, _| matches!(name.as_str(), "items" | "totalCount" | "page" | "pageSize"));
    }
    Ok(Reply::ok(&shown))
}

/// Nothing here is older than the retention periods.
fn cleanup(world: &mut World, call: &Call) -> Reply {
    let cutoff = call.now - chrono::TimeDelta::days(90);
    note(world, call, ("HistoryRetentionCleanup", "Delete"), "History", None);
    Reply::ok(&json!({
        "csoChangesDeleted": 0,
        "mvoChangesDeleted": 0,
        "activitiesDeleted": 0,
        "configurationChangeActivitiesDeleted": 0,
        "configurationChangeRetentionPeriodDays": 3650,
        "securityEventActivitiesDeleted": 0,
        "securityEventRetentionPeriodDays": 365,
        "initialPasswordWorkRecordsDeleted": 0,
        "initialPasswordRetentionPeriodDays": 90,
        "oldestRecordDeleted": null,
        "newestRecordDeleted": null,
        "cutoffDate": clock::fresh(cutoff),
        "retentionPeriodDays": 90,
        "batchSize": 100,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};

    #[test]
    fn deleted_objects_are_found_by_system_date_and_text() {
        let mut world = world();
        let mut count = |query: &str| {
            ask(&mut world, "GET", &format!("/history/deleted-objects/{query}"), "").1["totalCount"].clone()
        };
        assert_eq!(count("cso?connectedSystemId=1"), 1);
        assert_eq!(count("cso?connectedSystemId=2"), 0);
        assert_eq!(count("mvo?displayNameSearch=smith"), 1);
        assert_eq!(count("mvo?fromDate=2999-01-01T00:00:00Z"), 0);
        assert_eq!(ask(&mut world, "GET", "/history/connected-systems/9/count", "").0, 404);
        assert_eq!(ask(&mut world, "POST", "/history/cleanup", "").1["batchSize"], 100);
    }
}
