//! Runs of run profiles: what a run will come to is settled when it is queued, and everything that can be seen of it
//! later is computed from the clock. Nothing has to tick, and a test can look into the future.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::clock;
use super::seed;
use super::state::{ConnectedSystem, RunProfile};

/// Length of a run at speed 1, and of the wait for the worker before it.
const RUN: TimeDelta = TimeDelta::milliseconds(5200);
const PICK_UP: TimeDelta = TimeDelta::milliseconds(800);

/// One phase of a run: key, name, parent, and the part of the run it takes (`None`: skipped).
type Phase = (&'static str, &'static str, Option<&'static str>, Option<(f64, f64)>);

const IMPORT: &[Phase] = &[
    ("import.fetch", "Importing objects", None, Some((0.0, 0.4))),
    ("connector:read", "Reading the file", Some("import.fetch"), Some((0.02, 0.25))),
    ("import.process", "Processing imported objects", Some("import.fetch"), Some((0.27, 0.4))),
    ("import.deletions", "Processing deletions", None, Some((0.4, 0.5))),
    ("import.references", "Resolving references", None, Some((0.5, 0.6))),
    ("import.save", "Saving changes", None, Some((0.6, 0.9))),
    ("import.reconcile", "Reconciling Pending Exports", None, Some((0.9, 0.95))),
    ("import.record", "Recording results", None, Some((0.95, 1.0))),
];
const SYNC: &[Phase] = &[
    ("sync.prepare", "Preparing", None, Some((0.0, 0.2))),
    ("sync.process", "Processing Connected System Objects", None, Some((0.2, 1.0))),
    ("sync.crosspagereferences", "Resolving cross-page references", None, None),
    ("sync.scopereview", "Reviewing export scope", None, None),
];
// The keys of an export's phases have not been observed.
const EXPORT: &[Phase] = &[
    ("export.prepare", "Preparing", None, Some((0.0, 0.2))),
    ("export.process", "Exporting objects", None, Some((0.2, 0.9))),
    ("export.record", "Recording results", None, Some((0.9, 1.0))),
];

#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) task: Uuid,
    pub(super) system_id: i64,
    /// `None` once the profile has been deleted.
    pub(super) profile_id: Option<i64>,
    pub(super) run_type: &'static str,
    pub(super) queued: DateTime<Utc>,
    pub(super) starts: DateTime<Utc>,
    pub(super) ends: DateTime<Utc>,
    pub(super) cancelled: Option<DateTime<Utc>>,
    pub(super) outcome: Outcome,
    pub(super) settled: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) status: &'static str,
    pub(super) objects: i64,
    pub(super) message: Option<String>,
    pub(super) warning: Option<String>,
    /// Message and stack of a failure.
    pub(super) error: Option<(String, String)>,
    /// Which change each object gets, and the outcome text of its item.
    change: &'static str,
    summary: &'static str,
    pub(super) errors: i64,
    phases: &'static [Phase],
    /// The last phase that was entered by a run that fails.
    fails_in: Option<&'static str>,
}

impl Run {
    pub(super) fn queue(
        profile: &RunProfile,
        system: &ConnectedSystem,
        now: DateTime<Utc>,
        free_from: DateTime<Utc>,
        speed: f64,
    ) -> Self {
        let outcome = Outcome::of(profile, system);
        // A failing run ends early.
        let share = if outcome.fails_in.is_some() { 0.3 } else { 1.0 };
        let starts = (now + scaled(PICK_UP, speed)).max(free_from);
        Self {
            task: Uuid::now_v7(),
            system_id: system.id,
            profile_id: Some(profile.id),
            run_type: profile.run_type,
            queued: now,
            starts,
            ends: starts + scaled(RUN, speed / share),
            cancelled: None,
            outcome,
            settled: false,
        }
    }

    pub(super) fn over(&self, now: DateTime<Utc>) -> bool {
        self.cancelled.is_some() || now >= self.ends
    }

    pub(super) fn end(&self) -> DateTime<Utc> {
        self.cancelled.unwrap_or(self.ends)
    }

    pub(super) fn queued_at(&self, now: DateTime<Utc>) -> bool {
        now < self.starts && self.cancelled.is_none()
    }

    /// A queued or running run has but one status for activities; only worker tasks tell them apart.
    pub(super) fn status(&self, now: DateTime<Utc>) -> &'static str {
        match () {
            () if self.cancelled.is_some() => "Cancelled",
            () if now >= self.ends => self.outcome.status,
            () => "InProgress",
        }
    }

    /// The profile is gone while the run waits: it will end `Complete` and have done nothing (observed).
    pub(super) fn orphan(&mut self, now: DateTime<Utc>) {
        self.profile_id = None;
        if self.queued_at(now) {
            self.outcome = Outcome { status: "Complete", ..Outcome::default() };
        }
    }

    pub(super) fn take_effect(&self, system: &mut ConnectedSystem) {
        if self.cancelled.is_some() || self.outcome.error.is_some() || self.profile_id.is_none() {
            return;
        }
        match self.run_type {
            "FullImport" => system.objects = self.outcome.objects,
            "FullSynchronisation" => system.last_full_sync = Some(self.ends),
            _ => {}
        }
    }

    /// An export that sends what waits.
    pub(super) fn exports(&self) -> bool {
        self.run_type == "Export" && self.cancelled.is_none() && self.outcome.error.is_none()
    }

    /// How far the run is, 0 to 1.
    fn fraction(&self, now: DateTime<Utc>) -> f64 {
        let until = self.cancelled.unwrap_or(now).min(self.ends);
        let length = clock::seconds(self.ends - self.starts).max(1e-6);
        (clock::seconds(until - self.starts) / length).clamp(0.0, 1.0)
    }

    pub(super) fn processed(&self, now: DateTime<Utc>) -> i64 {
        if self.outcome.error.is_some() {
            return 0;
        }
        let share = ((self.fraction(now) - 0.1) / 0.8).clamp(0.0, 1.0);
        (share * self.outcome.objects as f64) as i64
    }

    /// Known once the objects have been counted.
    pub(super) fn to_process(&self, now: DateTime<Utc>) -> i64 {
        if self.fraction(now) > 0.05 && self.outcome.error.is_none() { self.outcome.objects } else { 0 }
    }

    pub(super) fn message(&self, now: DateTime<Utc>) -> Option<String> {
        if now >= self.ends && self.cancelled.is_none() {
            return self.outcome.message.clone();
        }
        self.current(now).map(|(_, name, ..)| (*name).to_owned())
    }

    fn span(&self, share: (f64, f64)) -> (DateTime<Utc>, DateTime<Utc>) {
        let length = (self.ends - self.starts).num_microseconds().unwrap_or_default() as f64;
        let at = |part: f64| self.starts + TimeDelta::microseconds((length * part) as i64);
        (at(share.0), at(share.1))
    }

    /// The phase and, for a top-level one, its number.
    fn current(&self, now: DateTime<Utc>) -> Option<&'static Phase> {
        if now < self.starts || self.over(now) {
            return None;
        }
        let fraction = self.fraction(now);
        self.outcome
            .phases
            .iter()
            .filter(|phase| phase.2.is_none())
            .find(|phase| phase.3.is_some_and(|share| fraction < share.1))
    }

    /// All phases, or none while the run is queued.
    pub(super) fn phases(&self, now: DateTime<Utc>) -> Vec<Value> {
        if now < self.starts {
            return Vec::new();
        }
        let phases = self.outcome.phases;
        (0..phases.len()).map(|order| self.phase(order, now)).collect()
    }

    fn phase(&self, order: usize, now: DateTime<Utc>) -> Value {
        let Some((key, name, parent, share)) = self.outcome.phases.get(order) else {
            return Value::Null;
        };
        let (status, started, ended) = match (self.outcome.fails_in, share) {
            (Some(last), _) => self.failing_phase(key, parent.is_some(), last, now),
            (None, Some(share)) => {
                let (from, to) = self.span(*share);
                let stop = self.cancelled.unwrap_or(now);
                match () {
                    () if stop >= to => ("Completed", Some(from), Some(to)),
                    () if stop >= from && self.cancelled.is_some() => ("Cancelled", Some(from), Some(stop)),
                    () if stop >= from => ("InProgress", Some(from), None),
                    () if self.cancelled.is_some() => ("Skipped", None, None),
                    () => ("Pending", None, None),
                }
            }
            (None, None) if self.over(now) => ("Skipped", None, None),
            (None, None) => ("Pending", None, None),
        };
        json!({
            "key": key,
            "name": name,
            "parentKey": parent,
            "order": order,
            "status": status,
            "started": started.map(clock::stored),
            "ended": ended.map(clock::stored),
            "durationSeconds": started.zip(ended).map(|(from, to)| clock::seconds(to - from)),
        })
    }

    /// A run that fails enters its first phase, perhaps that phase's first child, and nothing else.
    fn failing_phase(
        &self,
        key: &str,
        child: bool,
        last: &str,
        now: DateTime<Utc>,
    ) -> (&'static str, Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let entered = key == last || (!child && key == "import.fetch");
        match () {
            () if entered && self.over(now) => ("Failed", Some(self.starts), Some(self.end())),
            () if entered => ("InProgress", Some(self.starts), None),
            () if self.over(now) => ("Skipped", None, None),
            () => ("Pending", None, None),
        }
    }

    /// The answer of `/progress`.
    pub(super) fn progress(&self, activity: Uuid, now: DateTime<Utc>) -> Value {
        let (processed, total) = (self.processed(now), self.to_process(now));
        let running = now >= self.starts && !self.over(now);
        let elapsed = clock::seconds(now.max(self.queued) - self.queued.min(now));
        let elapsed = if self.over(now) { clock::seconds(self.end() - self.queued) } else { elapsed };
        let since_start = clock::seconds(now - self.starts);
        let rate = (running && processed > 0).then(|| processed as f64 / since_start.max(1e-3));
        let current = self.current(now).map(|phase| phase.0);
        let phases = self.phases(now);
        let top: Vec<&Value> = phases.iter().filter(|phase| phase["parentKey"].is_null()).collect();
        let number = current.and_then(|key| top.iter().position(|phase| phase["key"] == key));
        json!({
            "id": activity,
            "status": self.status(now),
            "message": self.message(now),
            "objectsProcessed": processed,
            "objectsToProcess": total,
            "percentComplete": (total > 0).then(|| processed * 100 / total),
            "elapsedSeconds": elapsed,
            "objectsPerSecond": rate,
            "estimatedSecondsRemaining": rate.map(|rate| (total - processed) as f64 / rate),
            "targetType": "ConnectedSystemRunProfile",
            "runType": self.run_type,
            "operationCounts": self.counts(now),
            "totalErrors": self.errors(now),
            "retrievedAt": clock::fresh(Utc::now().max(now)),
            "phases": phases,
            "currentPhase": number.and_then(|index| top.get(index).map(|phase| (*phase).clone())),
            "currentPhaseNumber": number.map(|index| index + 1),
            "totalPhases": top.len(),
        })
    }

    pub(super) fn errors(&self, now: DateTime<Utc>) -> i64 {
        if self.over(now) && self.cancelled.is_none() { self.outcome.errors } else { 0 }
    }

    fn counts(&self, now: DateTime<Utc>) -> Value {
        match self.changed(now) {
            0 => json!({}),
            changed => json!({ self.outcome.change: changed }),
        }
    }

    /// Objects that got their change.
    pub(super) fn changed(&self, now: DateTime<Utc>) -> i64 {
        if self.outcome.change.is_empty() { 0 } else { (self.processed(now) - self.errors(now)).max(0) }
    }

    /// How many of the changes are of this kind.
    pub(super) fn tally(&self, kind: &str, now: DateTime<Utc>) -> i64 {
        if self.outcome.change == kind { self.changed(now) } else { 0 }
    }

    /// One row of `/items`; `index` starts at 0.
    pub(super) fn item(&self, index: i64) -> Value {
        let failed = index < self.outcome.errors;
        // Stable between two reads, and different from row to row.
        let id = Uuid::from_u64_pair(
            self.task.as_u64_pair().0 ^ 0x4000,
            self.task.as_u64_pair().1.wrapping_add(index.unsigned_abs()),
        );
        json!({
            "id": id,
            "externalIdValue": format!("E{:05}", index + 1),
            "displayName": seed::person(index),
            "connectedSystemObjectType": "person",
            "objectChangeType": if failed { "NotSet" } else { self.outcome.change },
            "errorType": if failed { "UnhandledError" } else { "NotSet" },
            "outcomeSummary": if failed { "" } else { self.outcome.summary },
        })
    }
}

impl Outcome {
    fn of(profile: &RunProfile, system: &ConnectedSystem) -> Self {
        let objects = if profile.run_type.ends_with("Import") { system.source_objects } else { system.objects };
        let good = Self { status: "Complete", objects, ..Self::default() };
        match profile.run_type {
            "FullImport" | "DeltaImport" if system.connector.partitions => Self {
                status: "CompleteWithWarning",
                warning: Some("3 entries have no external id and were skipped.".to_owned()),
                ..imported(good)
            },
            "FullImport" | "DeltaImport" => match profile.file_path.as_deref() {
                None | Some("") => failed(
                    "ImportAsync: FilePath is missing or empty!",
                    "System.IO.InvalidDataException",
                    "Importing objects from file",
                    "import.fetch",
                ),
                Some(path) if !seed::file_exists(path) => failed(
                    &format!("Could not find file '{path}'."),
                    "System.IO.FileNotFoundException",
                    "Reading the file",
                    "connector:read",
                ),
                Some(_) => imported(good),
            },
            "FullSynchronisation" => Self {
                message: Some(format!("Sync complete: {objects} objects")),
                change: "Projected",
                summary: "Projected:1,AttributeFlow:1",
                phases: SYNC,
                ..good
            },
            "DeltaSynchronisation" => {
                Self { objects: 0, message: Some("No changes to process".to_owned()), phases: SYNC, ..good }
            }
            "Export" if objects == 0 => {
                Self { message: Some("No exports to process".to_owned()), phases: EXPORT, ..good }
            }
            "Export" => Self {
                status: if system.connector.partitions { "CompleteWithError" } else { "Complete" },
                errors: if system.connector.partitions { 2.min(objects) } else { 0 },
                message: Some(format!("Export complete: {objects} objects")),
                change: "Exported",
                summary: "Exported:1",
                phases: EXPORT,
                ..good
            },
            // `NotSet` ends `Complete` without having done anything (observed).
            _ => Self { objects: 0, ..good },
        }
    }
}

fn imported(outcome: Outcome) -> Outcome {
    let objects = outcome.objects;
    Outcome {
        message: Some(format!("Import complete: {objects} objects ({objects} created, 0 updated)")),
        change: "Added",
        summary: "CsoAdded:1",
        phases: IMPORT,
        ..outcome
    }
}

fn failed(message: &str, exception: &str, doing: &str, phase: &'static str) -> Outcome {
    Outcome {
        status: "FailedWithError",
        message: Some(doing.to_owned()),
        error: Some((
            message.to_owned(),
            format!("{exception}: {message}\n   at JIM.Connectors.File.FileConnector.ImportAsync"),
        )),
        phases: IMPORT,
        fails_in: Some(phase),
        ..Outcome::default()
    }
}

fn scaled(length: TimeDelta, speed: f64) -> TimeDelta {
    let micros = length.num_microseconds().unwrap_or_default() as f64 / speed.max(0.01);
    TimeDelta::microseconds(micros as i64)
}
