//! Pending exports: changes that wait for the next export of their system, which takes them away.

use serde_json::{Value, json};
use uuid::Uuid;

use super::connected_systems::found;
use super::people::{part_id, person_id, values};
use super::state::World;
use super::tables::{Row, number, paged, pick, text};
use super::wire::{Call, Handled, Reply, Routed, guid, int};
use super::{clock, errors};

const TABLE: &str = "pending-exports";

/// Three changes for the export system: a new one, one that is tried again, one that has failed.
pub(super) fn seed(world: &mut World) {
    if world.system(2).is_none() {
        return;
    }
    for (index, change, status, errors) in
        [(0, "Create", "Pending", 0), (1, "Update", "ExportNotConfirmed", 1), (2, "Update", "Failed", 5)]
    {
        let id = Uuid::from_u64_pair(0xe4b0_b0c5_0000_4002, 0x8000_0000_0000_0001 + index);
        let index = i64::try_from(index).unwrap_or_default();
        let [_, name, email, employee, ..] = values(index);
        let tried = (errors > 0).then(|| clock::stored(world.started));
        let changes: Vec<Value> = [(9, "displayName", &name), (10, "email", &email)]
            .iter()
            .map(|(attribute, field, value)| {
                json!({
                    "id": part_id(id, *attribute),
                    "attributeId": attribute,
                    "attributeName": field,
                    "changeType": "Update",
                    "status": if errors > 0 { "ExportedPendingConfirmation" } else { "Pending" },
                    "stringValue": value,
                    "dateTimeValue": null,
                    "intValue": null,
                    "longValue": null,
                    "decimalValue": null,
                    "byteValue": null,
                    "guidValue": null,
                    "boolValue": null,
                    "unresolvedReferenceValue": null,
                    "exportAttemptCount": errors,
                })
            })
            .collect();
        let row = json!({
            "id": id,
            "connectedSystemId": 2,
            "changeType": change,
            "status": status,
            "createdAt": clock::stored(world.started),
            "lastAttemptedAt": tried,
            "nextRetryAt": null,
            "errorCount": errors,
            "maxRetries": 5,
            "lastErrorMessage": (errors > 0).then_some("The target did not confirm the change."),
            "hasUnresolvedReferences": false,
            "unresolvedReferenceCount": 0,
            "targetObjectIdentifier": employee,
            "sourceMetaverseObjectId": person_id(1, index),
            "sourceMetaverseObjectDisplayName": name,
            "sourceMetaverseObjectTypeName": "User",
            "attributeChangeCount": changes.len(),
            "connectedSystemObjectId": null,
            "connectedSystemObjectDisplayName": null,
            "connectedSystemObjectTypeName": "person",
            "attributeChanges": changes,
        });
        world.tables.add(TABLE, row);
    }
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    if call.method != "GET" {
        return None;
    }
    Some(match segments {
        ["synchronisation", "connected-systems", id, "pending-exports", rest @ ..] => {
            let id = int(id)?;
            match (rest, found(world, call, id)) {
                (_, Err(refused)) => Err(refused),
                ([], Ok(_)) => list(world, call, id),
                (["count"], Ok(_)) => Ok(Reply::ok(&json!(matching(world, call, id).count()))),
                _ => return None,
            }
        }
        ["synchronisation", "pending-exports", id] => detail(world, call, guid(id)?),
        ["synchronisation", "pending-exports", id, "attribute-changes", name, "values"] => {
            let row = one(world, guid(id)?);
            let changes = row.and_then(|row| row["attributeChanges"].as_array());
            let rows = changes
                .into_iter()
                .flatten()
                .filter(|change| text(change, "attributeName").eq_ignore_ascii_case(name))
                .cloned()
                .collect();
            paged(call, rows, 50)
        }
        _ => return None,
    })
}

pub(super) fn count(world: &World, system: i64) -> usize {
    world.tables.of(TABLE, "connectedSystemId", system).count()
}

/// What an export does, and what goes with a system.
pub(super) fn clear(world: &mut World, system: i64) {
    world.tables.retain(TABLE, |row| row["connectedSystemId"] != system);
}

fn one(world: &World, id: Uuid) -> Option<&Row> {
    let mut rows = world.tables.rows(TABLE).iter();
    rows.find(|row| row["id"] == json!(id))
}

fn matching<'a>(world: &'a World, call: &'a Call, system: i64) -> impl Iterator<Item = &'a Row> {
    let is = |row: &Row, name: &str| call.param(name).is_none_or(|wanted| text(row, name).eq_ignore_ascii_case(wanted));
    let search = call.param("search").map(str::to_lowercase);
    world.tables.of(TABLE, "connectedSystemId", system).filter(move |row| {
        is(row, "changeType")
            && is(row, "status")
            && search.as_ref().is_none_or(|part| row.to_string().to_lowercase().contains(part))
    })
}

fn list(world: &World, call: &Call, system: i64) -> Handled {
    let rows = matching(world, call, system)
        .map(|row| {
            pick(
                row,
                &[
                    "id",
                    "connectedSystemId",
                    "changeType",
                    "status",
                    "createdAt",
                    "lastAttemptedAt",
                    "nextRetryAt",
                    "errorCount",
                    "maxRetries",
                    "lastErrorMessage",
                    "hasUnresolvedReferences",
                    "unresolvedReferenceCount",
                    "targetObjectIdentifier",
                    "sourceMetaverseObjectId",
                    "sourceMetaverseObjectDisplayName",
                    "attributeChangeCount",
                    "connectedSystemObjectId",
                ],
            )
        })
        .collect();
    paged(call, rows, 50)
}

fn detail(world: &World, call: &Call, id: Uuid) -> Handled {
    let row =
        one(world, id).ok_or_else(|| errors::not_found(call, format!("Pending export with ID {id} not found.")))?;
    let system = world.system(number(row, "connectedSystemId"));
    let mut shown = pick(
        row,
        &[
            "id",
            "connectedSystemId",
            "connectedSystemName",
            "changeType",
            "status",
            "createdAt",
            "errorCount",
            "maxRetries",
            "lastAttemptedAt",
            "nextRetryAt",
            "lastErrorMessage",
            "hasUnresolvedReferences",
            "connectedSystemObjectId",
            "connectedSystemObjectDisplayName",
            "connectedSystemObjectTypeName",
            "sourceMetaverseObjectId",
            "sourceMetaverseObjectDisplayName",
            "sourceMetaverseObjectTypeName",
            "attributeChanges",
        ],
    );
    shown["connectedSystemName"] = json!(system.map(|system| &system.name));
    let summaries = row["attributeChanges"].as_array().into_iter().flatten();
    shown["attributeChangeSummaries"] = summaries
        .map(|change| {
            json!({
                "attributeName": change["attributeName"],
                "totalCount": 1,
                "returnedCount": 1,
                "hasMore": false,
            })
        })
        .collect();
    shown["unresolvedReferences"] = json!([]);
    Ok(Reply::ok(&shown))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::{TimeDelta, Utc};

    use super::super::tests::{ask, ask_at, world};

    const BASE: &str = "/synchronisation/connected-systems/2";

    #[test]
    fn pending_exports_wait_for_an_export() {
        let mut world = world();
        let (_, page) = ask(&mut world, "GET", &format!("{BASE}/pending-exports"), "");
        assert_eq!(page["totalCount"], 3);
        let count = format!("{BASE}/pending-exports/count");
        assert_eq!(ask(&mut world, "GET", &format!("{count}?status=failed"), "").1, 1);
        let path = format!("/synchronisation/pending-exports/{}", page["items"][0]["id"].as_str().unwrap());
        let (_, one) = ask(&mut world, "GET", &path, "");
        assert_eq!(one["attributeChangeSummaries"][0]["attributeName"], "displayName");
        let (_, values) = ask(&mut world, "GET", &format!("{path}/attribute-changes/email/values"), "");
        assert_eq!(values["totalCount"], 1);
        assert_eq!(ask(&mut world, "POST", &format!("{BASE}/run-profiles/6/execute"), "").0, 202);
        let later = Utc::now() + TimeDelta::seconds(10);
        assert_eq!(ask_at(&mut world, later, "GET", &count, "").1, 0);
        assert_eq!(ask(&mut world, "GET", &path, "").0, 404);
    }
}
