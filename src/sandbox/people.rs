//! The people the sandbox is about: what a system's rows say of them, and who they are in the metaverse. Nothing is
//! stored, all of it follows from the systems; the same person has the same ids and values at every look.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::seed;
use super::state::{ConnectedSystem, World};

/// The attributes of a row, in the order in which systems number theirs, and the metaverse's counterparts.
pub(super) const ATTRIBUTES: [(&str, i64); 7] = [
    ("department", 33),
    ("displayName", 3),
    ("email", 5),
    ("employeeId", 35),
    ("firstName", 40),
    ("lastName", 47),
    ("title", 46),
];
const DEPARTMENTS: [&str; 4] = ["Finance", "Sales", "IT", "Operations"];
const TITLES: [&str; 3] = ["Analyst", "Manager", "Engineer"];

/// What row `index` of a source holds, in the order of `ATTRIBUTES`.
pub(super) fn values(index: i64) -> [String; 7] {
    let name = seed::person(index);
    let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
    let number = index + 1;
    let place = usize::try_from(index).unwrap_or_default();
    [
        DEPARTMENTS[place % DEPARTMENTS.len()].to_owned(),
        name.clone(),
        format!("{}.{}{number}@panoply.example", first.to_lowercase(), last.to_lowercase()),
        format!("E{number:05}"),
        first.to_owned(),
        last.to_owned(),
        TITLES[place % TITLES.len()].to_owned(),
    ]
}

/// Someone in the metaverse.
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) created: DateTime<Utc>,
    pub(super) name: String,
    /// Row and system of the import; the administrator has none.
    pub(super) source: Option<(i64, i64)>,
}

impl Person {
    /// Metaverse attribute and value.
    pub(super) fn attributes(&self) -> Vec<(i64, String)> {
        match self.source {
            Some((index, _)) => {
                let mut all: Vec<(i64, String)> = ATTRIBUTES.iter().map(|(_, id)| *id).zip(values(index)).collect();
                all.sort_by_key(|(id, _)| *id);
                all
            }
            None => vec![(3, self.name.clone()), (26, "PersonEntity".to_owned()), (52, self.id.to_string())],
        }
    }

    pub(super) fn attribute(&self, id: i64) -> Option<String> {
        let mut all = self.attributes().into_iter();
        all.find(|(known, _)| *known == id).map(|(_, value)| value)
    }
}

/// The first administrator, and whom full synchronisations have projected.
pub(super) fn everyone(world: &World) -> impl Iterator<Item = Person> {
    let admin =
        Person { id: world.identities.user(), created: world.started, name: "Initial Admin".to_owned(), source: None };
    let projected = world.systems.iter().filter_map(|system| Some((system, system.last_full_sync?)));
    let employees = projected.flat_map(|(system, synchronised)| {
        (0..system.objects).map(move |index| Person {
            id: person_id(system.id, index),
            created: synchronised,
            name: seed::person(index),
            source: Some((index, system.id)),
        })
    });
    std::iter::once(admin).chain(employees)
}

pub(super) fn person_id(system: i64, index: i64) -> Uuid {
    id(0x5a4d, system, index)
}

/// The id of a row in its system's connector space.
pub(super) fn row_id(system: i64, index: i64) -> Uuid {
    id(0xc50b, system, index)
}

/// Which row of a system has this id.
pub(super) fn row_of(system: &ConnectedSystem, id: Uuid) -> Option<i64> {
    let (_, low) = id.as_u64_pair();
    let index = i64::try_from(low & 0xffff_ffff).ok()?;
    (index < system.objects && row_id(system.id, index) == id).then_some(index)
}

fn id(kind: u64, system: i64, index: i64) -> Uuid {
    let high = (kind << 48) | 0xb0c5_0000_4000 | (system.unsigned_abs() & 0xfff);
    Uuid::from_u64_pair(high, 0x8000_0000_0000_0000 | index.unsigned_abs())
}

/// The id of a thing that belongs to another, such as one of its values.
pub(super) fn part_id(whole: Uuid, part: i64) -> Uuid {
    let (high, low) = whole.as_u64_pair();
    Uuid::from_u64_pair(high, low ^ (part.unsigned_abs() << 40))
}
