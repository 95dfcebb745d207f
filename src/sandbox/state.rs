//! The world the sandbox keeps in memory: what there is, and how one thing leads to another.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::change_history::History;
use super::executions::Execution;
use super::idp::Identities;
use super::runs::Run;
use super::schedules::Schedule;
use super::tables::Tables;
use super::{clock, seed};

/// Who did something, as activities name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Actor {
    pub(super) kind: &'static str,
    pub(super) id: Option<Uuid>,
    pub(super) name: String,
}

impl Actor {
    pub(super) fn system() -> Self {
        Self { kind: "System", id: None, name: "System".to_owned() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct ConnectedSystem {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) created: DateTime<Utc>,
    pub(super) updated: Option<DateTime<Utc>>,
    pub(super) connector: &'static Connector,
    pub(super) settings_valid: bool,
    /// As the server shows it, with its attributes.
    pub(super) object_type: Option<Value>,
    pub(super) partitions: Vec<Partition>,
    /// Objects in its connector space; the last full import decides.
    pub(super) objects: i64,
    /// Objects that the next full import will find.
    pub(super) source_objects: i64,
    pub(super) max_export_parallelism: Option<i64>,
    pub(super) initial_password_ttl: Option<String>,
    pub(super) secure_transport: bool,
    pub(super) unresolved_references: &'static str,
    pub(super) last_full_sync: Option<DateTime<Utc>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Connector {
    pub(super) id: i64,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// Files have no delta import.
    pub(super) delta_import: bool,
    pub(super) partitions: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Partition {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) selected: bool,
    /// As the server shows them, nested.
    pub(super) containers: Vec<Value>,
}

/// The server's own field order. The partition's id is stored, but only its name is shown.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunProfile {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) connected_system_id: i64,
    pub(super) run_type: &'static str,
    pub(super) page_size: i64,
    pub(super) partition_name: Option<String>,
    pub(super) targets_deselected_partition: bool,
    pub(super) file_path: Option<String>,
    pub(super) verify_import_content_hashes: bool,
    #[serde(skip)]
    pub(super) partition_id: Option<i64>,
}

#[derive(Debug, Clone)]
pub(super) struct Activity {
    pub(super) id: Uuid,
    pub(super) created: DateTime<Utc>,
    pub(super) target_type: &'static str,
    pub(super) operation: &'static str,
    pub(super) target_name: Option<String>,
    pub(super) target_context: Option<String>,
    pub(super) message: Option<String>,
    pub(super) actor: Actor,
    pub(super) change_reason: Option<String>,
    pub(super) system_id: Option<i64>,
    pub(super) took: TimeDelta,
    /// A preview that was stopped; runs know it themselves.
    pub(super) cancelled: bool,
    /// A run of a run profile; everything else was over when it was made.
    pub(super) run: Option<Run>,
    pub(super) schedule: Option<ScheduleLink>,
}

#[derive(Debug, Clone)]
pub(super) struct ScheduleLink {
    pub(super) execution: Uuid,
    pub(super) step: usize,
    pub(super) schedule: Uuid,
    pub(super) name: String,
}

/// An API key. Its text is kept, since the sandbox has nothing to protect; it is never shown again.
#[derive(Clone)]
pub(super) struct ApiKey {
    pub(super) id: Uuid,
    pub(super) secret: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) created: DateTime<Utc>,
    pub(super) expires: Option<DateTime<Utc>>,
    pub(super) used: Option<DateTime<Utc>>,
    pub(super) enabled: bool,
    pub(super) administrator: bool,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ApiKey {
    pub(super) fn new(name: &str, secret: String, administrator: bool, created: DateTime<Utc>) -> Self {
        Self {
            id: Uuid::new_v4(),
            secret,
            name: name.to_owned(),
            description: None,
            created,
            expires: None,
            used: None,
            enabled: true,
            administrator,
        }
    }

    /// The first 12 characters, as the server shows keys. A shorter key is not shown at all.
    pub(super) fn prefix(&self) -> &str {
        if self.secret.len() > 16 { self.secret.get(..12).unwrap_or("***") } else { "***" }
    }

    pub(super) fn actor(&self) -> Actor {
        Actor { kind: "ApiKey", id: Some(self.id), name: self.name.clone() }
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) systems: Vec<ConnectedSystem>,
    /// In the order in which the server lists them: a changed profile moves to the end.
    pub(super) profiles: Vec<RunProfile>,
    /// Oldest first.
    pub(super) activities: Vec<Activity>,
    pub(super) keys: Vec<ApiKey>,
    pub(super) schedules: Vec<Schedule>,
    pub(super) executions: Vec<Execution>,
    /// Overridden service settings.
    pub(super) settings: HashMap<String, Option<String>>,
    pub(super) identities: Identities,
    /// Everything that needs no type of its own.
    pub(super) tables: Tables,
    pub(super) history: History,
    pub(super) started: DateTime<Utc>,
    pub(super) speed: f64,
    next_system: i64,
    next_profile: i64,
}

impl World {
    /// A world as `seed` describes it.
    pub(super) fn new(seed: &seed::Plan) -> Self {
        let mut world = Self {
            systems: Vec::new(),
            profiles: Vec::new(),
            activities: Vec::new(),
            keys: Vec::new(),
            schedules: Vec::new(),
            executions: Vec::new(),
            settings: HashMap::new(),
            identities: Identities::default(),
            tables: Tables::default(),
            history: History::default(),
            started: clock::now(),
            speed: seed.speed,
            next_system: 1,
            next_profile: 1,
        };
        seed::fill(&mut world, seed);
        world
    }

    pub(super) fn new_system_id(&mut self) -> i64 {
        self.next_system += 1;
        self.next_system - 1
    }

    pub(super) fn new_profile_id(&mut self) -> i64 {
        self.next_profile += 1;
        self.next_profile - 1
    }

    /// Gives the last profile's number to the next one.
    #[cfg(test)]
    pub(super) fn reuse_profile_id(&mut self) {
        self.next_profile -= 1;
    }

    pub(super) fn system(&self, id: i64) -> Option<&ConnectedSystem> {
        self.systems.iter().find(|system| system.id == id)
    }

    pub(super) fn profile(&self, system: i64, id: i64) -> Option<&RunProfile> {
        self.profiles.iter().find(|profile| profile.id == id && profile.connected_system_id == system)
    }

    /// Notes a finished change; returns the activity's id.
    pub(super) fn note(&mut self, change: Change<'_>) -> Uuid {
        let id = Uuid::now_v7();
        self.activities.push(Activity {
            id,
            created: change.at,
            target_type: change.target_type,
            operation: change.operation,
            target_name: Some(change.name.to_owned()),
            target_context: change.context.map(str::to_owned),
            message: change.message,
            actor: change.actor.clone(),
            change_reason: change.reason,
            system_id: change.system_id,
            took: TimeDelta::microseconds(fastrand::i64(8_000..45_000)),
            cancelled: false,
            run: None,
            schedule: None,
        });
        id
    }

    /// Lets time pass: finished runs take their effect, schedules go to their next step.
    pub(super) fn settle(&mut self, now: DateTime<Utc>) {
        let mut exported = Vec::new();
        let World { activities, systems, .. } = self;
        for activity in activities.iter_mut() {
            if let Some(run) = activity.run.as_mut()
                && !run.settled
                && run.over(now)
            {
                run.settled = true;
                if let Some(system) = systems.iter_mut().find(|system| system.id == run.system_id) {
                    run.take_effect(system);
                    if run.exports() {
                        exported.push(system.id);
                    }
                }
            }
        }
        for system in exported {
            super::pending_exports::clear(self, system);
        }
        super::executions::advance(self, now);
    }
}

/// What `World::note` needs to know about a change.
pub(super) struct Change<'a> {
    pub(super) target_type: &'static str,
    pub(super) operation: &'static str,
    pub(super) name: &'a str,
    pub(super) context: Option<&'a str>,
    pub(super) message: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) system_id: Option<i64>,
    pub(super) actor: &'a Actor,
    pub(super) at: DateTime<Utc>,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        target_type: &'static str,
        operation: &'static str,
        name: &'a str,
        call: &'a super::wire::Call,
    ) -> Self {
        Self {
            target_type,
            operation,
            name,
            context: None,
            message: None,
            reason: call.param("changeReason").map(str::to_owned),
            system_id: None,
            actor: &call.actor,
            at: call.now,
        }
    }
}

/// Serialisation of the plain DTOs can't fail; a null in an answer would show at once that it did.
pub(super) fn shown(dto: &impl Serialize) -> Value {
    serde_json::to_value(dto).unwrap_or_default()
}
