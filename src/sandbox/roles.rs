//! Security roles and their members. There is one role, and it may not be left without members.

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::people::everyone;
use super::state::World;
use super::tables::{note, text};
use super::wire::{Call, Handled, Reply, Routed, guid, int};
use super::{clock, errors};

const MEMBERS: &str = "role-members";

pub(super) fn seed(world: &mut World) {
    let id = world.identities.user();
    world.tables.add(MEMBERS, json!({"id": 0, "member": id}));
}

pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["security", rest @ ..] = segments else {
        return None;
    };
    let method = call.method.as_str();
    Some(match (method, rest) {
        ("GET", ["roles"]) => Ok(Reply::ok(&json!([administrator(world)]))),
        ("GET", ["roles", id]) => known(call, int(id)?).map(|()| Reply::ok(&administrator(world))),
        ("GET", ["roles", id, "members"]) => known(call, int(id)?).map(|()| Reply::ok(&members(world))),
        ("PUT" | "DELETE", ["roles", id, "members", member]) => {
            let member = guid(member)?;
            let role = int(id)?;
            known(call, role).and_then(|()| change(world, call, member))
        }
        ("GET", ["metaverse-objects", id, "roles"]) => {
            let id = guid(id)?;
            match everyone(world).any(|person| person.id == id) {
                false => Err(missing_object(call, id)),
                true if is_member(world, id) => Ok(Reply::ok(&json!([administrator(world)]))),
                true => Ok(Reply::ok(&json!([]))),
            }
        }
        _ => return None,
    })
}

fn known(call: &Call, id: i64) -> Result<(), Reply> {
    if id == 1 {
        return Ok(());
    }
    Err(errors::not_found(call, format!("Role with ID {id} not found.")))
}

fn missing_object(call: &Call, id: Uuid) -> Reply {
    errors::not_found(call, format!("Metaverse object with ID {id} not found."))
}

fn is_member(world: &World, id: Uuid) -> bool {
    let mut rows = world.tables.rows(MEMBERS).iter();
    rows.any(|row| row["member"] == json!(id))
}

pub(super) fn administrator(world: &World) -> Value {
    json!({
        "id": 1,
        "name": "Administrator",
        "builtIn": true,
        "created": clock::stored(world.started),
        "staticMemberCount": world.tables.rows(MEMBERS).len(),
    })
}

fn members(world: &World) -> Value {
    world
        .tables
        .rows(MEMBERS)
        .iter()
        .map(|row| {
            let id = guid(text(row, "member"));
            let person = everyone(world).find(|person| Some(person.id) == id);
            json!({
                "id": row["member"],
                "displayName": person.map(|person| person.name),
                "type": {"id": 1, "name": "User"},
            })
        })
        .collect()
}

fn change(world: &mut World, call: &Call, member: Uuid) -> Handled {
    let in_role = is_member(world, member);
    if call.method == "PUT" {
        let Some(person) = everyone(world).find(|person| person.id == member) else {
            return Err(missing_object(call, member));
        };
        if in_role {
            return Err(errors::business(
                call,
                StatusCode::CONFLICT,
                "CONFLICT",
                format!("'{}' is already a member of the role 'Administrator'.", person.name),
            ));
        }
        world.tables.add(MEMBERS, json!({"id": 0, "member": member}));
    } else {
        if !in_role {
            return Err(errors::not_found(call, format!("Metaverse object {member} is not a member of the role.")));
        }
        if world.tables.rows(MEMBERS).len() == 1 {
            return Err(errors::bad_request(call, "The last member of the Administrator role can't be removed."));
        }
        world.tables.retain(MEMBERS, |row| row["member"] != json!(member));
    }
    note(world, call, ("Role", "Update"), "Administrator", None);
    Ok(Reply::no_content())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn members_come_and_go_but_the_last_one_stays() {
        let mut world = world();
        world.systems[0].objects = 3;
        world.systems[0].last_full_sync = Some(world.started);
        let id = everyone(&world).nth(1).unwrap().id;
        let path = format!("/security/roles/1/members/{id}");
        let roles = format!("/security/metaverse-objects/{id}/roles");
        assert_eq!(ask(&mut world, "DELETE", &path, "").0, 404);
        assert_eq!(ask(&mut world, "PUT", &path, "").0, 204);
        assert_eq!(ask(&mut world, "PUT", &path, "").0, 409);
        assert_eq!(ask(&mut world, "GET", &roles, "").1[0]["staticMemberCount"], 2);
        assert_eq!(ask(&mut world, "DELETE", &path, "").0, 204);
        let (_, left) = ask(&mut world, "GET", "/security/roles/1/members", "");
        let last = format!("/security/roles/1/members/{}", left[0]["id"].as_str().unwrap());
        assert_eq!(ask(&mut world, "DELETE", &last, "").0, 400);
    }
}
