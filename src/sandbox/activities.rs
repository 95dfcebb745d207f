//! Activities: everything that was done, and the runs among them with their progress, statistics and items.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::paging::{Page, arrange};
use super::state::{Activity, World};
use super::wire::{Call, Handled, Reply, Routed, guid};
use super::{clock, errors};

const STATUSES: [&str; 7] =
    ["NotSet", "InProgress", "Complete", "CompleteWithWarning", "CompleteWithError", "FailedWithError", "Cancelled"];
/// The totals of a list row, and the kind of change that each counts.
const TOTALS: [(&str, &str); 15] = [
    ("totalAdded", "Added"),
    ("totalUpdated", "Updated"),
    ("totalDeleted", "Deleted"),
    ("totalProjected", "Projected"),
    ("totalJoined", "Joined"),
    ("totalAttributeFlows", "Projected"),
    ("totalDisconnected", ""),
    ("totalDisconnectedOutOfScope", ""),
    ("totalOutOfScopeRetainJoin", ""),
    ("totalDriftCorrections", ""),
    ("totalProvisioned", ""),
    ("totalExported", "Exported"),
    ("totalDeprovisioned", ""),
    ("totalCreated", ""),
    ("totalPendingExports", ""),
];

/// `segments` begin after `/api/v1`.
pub(super) fn route(world: &mut World, call: &Call, segments: &[&str]) -> Routed {
    let ["activities", rest @ ..] = segments else {
        return None;
    };
    if call.method != "GET" {
        return None;
    }
    let [id, part @ ..] = rest else {
        return Some(list(world, call));
    };
    let id = guid(id)?;
    let found = world.activities.iter().find(|activity| activity.id == id);
    let Some(activity) = found else {
        return Some(Err(errors::not_found(call, format!("Activity with ID {id} not found."))));
    };
    Some(match part {
        [] => Ok(Reply::ok(&detail(activity, call.now))),
        ["progress"] => Ok(Reply::ok(&progress(activity, call.now))),
        ["stats"] if activity.run.is_none() => {
            Err(errors::bad_request(call, "Activity is not a run profile execution."))
        }
        ["stats"] => Ok(Reply::ok(&stats(activity, call.now))),
        ["items"] => items(activity, call),
        ["children"] => Page::of(call, 25).map(|page| Reply::ok(&page.envelope(&[], Value::clone))),
        _ => return None,
    })
}

impl Activity {
    fn status(&self, now: DateTime<Utc>) -> &'static str {
        match &self.run {
            Some(run) => run.status(now),
            None if self.cancelled => "Cancelled",
            None if self.lasts(now) => "InProgress",
            None => "Complete",
        }
    }

    /// Previews take their time; everything else that is no run was over when it was made.
    fn lasts(&self, now: DateTime<Utc>) -> bool {
        self.operation == "Preview" && now < self.created + self.took
    }

    fn executed(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match &self.run {
            Some(run) if now >= run.starts => run.starts,
            _ => self.created,
        }
    }

    fn ended(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.run {
            Some(run) => run.over(now).then(|| run.end()),
            None => (!self.lasts(now)).then(|| self.created + self.took),
        }
    }

    /// The fields with which both the list row and the detail begin.
    fn head(&self, now: DateTime<Utc>) -> Vec<(&'static str, Value)> {
        let run = self.run.as_ref();
        let message = run.map_or_else(|| self.message.clone(), |run| run.message(now));
        let (executed, ended) = (self.executed(now), self.ended(now));
        vec![
            ("created", json!(clock::stored(self.created))),
            ("executed", json!(clock::stored(executed))),
            ("status", json!(self.status(now))),
            ("targetType", json!(self.target_type)),
            ("targetOperationType", json!(self.operation)),
            ("targetName", json!(self.target_name)),
            ("targetContext", json!(self.target_context)),
            ("message", json!(message)),
            ("initiatedByType", json!(self.actor.kind)),
            ("initiatedById", json!(self.actor.id)),
            ("initiatedByName", json!(self.actor.name)),
            ("objectsToProcess", json!(run.map_or(0, |run| run.to_process(now)))),
            ("objectsProcessed", json!(run.map_or(0, |run| run.processed(now)))),
            ("executionTime", json!(ended.map(|end| clock::span(end - executed.min(end))))),
            ("totalActivityTime", json!(ended.map(|end| clock::span(end - self.created)))),
        ]
    }

    fn schedule_fields(&self) -> [(&'static str, Value); 4] {
        let link = self.schedule.as_ref();
        [
            ("scheduleExecutionId", json!(link.map(|link| link.execution))),
            ("scheduleStepIndex", json!(link.map(|link| link.step))),
            ("scheduledByScheduleId", json!(link.map(|link| link.schedule))),
            ("scheduledByScheduleName", json!(link.map(|link| &link.name))),
        ]
    }

    fn run_type(&self) -> &'static str {
        self.run.as_ref().map_or("NotSet", |run| run.run_type)
    }
}

fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn row(activity: &Activity, now: DateTime<Utc>) -> Value {
    let run = activity.run.as_ref();
    let totals = TOTALS.map(|(name, kind)| (name, json!(run.map_or(0, |run| run.tally(kind, now)))));
    object(
        [("id", json!(activity.id))]
            .into_iter()
            .chain(activity.head(now))
            .chain([("connectedSystemRunType", json!(activity.run_type()))])
            .chain(totals)
            .chain([("totalErrors", json!(run.map_or(0, |run| run.errors(now)))), ("childActivityCount", json!(0))])
            .chain(activity.schedule_fields()),
    )
}

fn detail(activity: &Activity, now: DateTime<Utc>) -> Value {
    let run = activity.run.as_ref();
    let outcome = run.filter(|run| run.over(now) && run.cancelled.is_none()).map(|run| &run.outcome);
    let error = outcome.and_then(|outcome| outcome.error.as_ref());
    object(
        [("id", json!(activity.id)), ("parentActivityId", Value::Null)]
            .into_iter()
            .chain(activity.head(now))
            .chain([
                ("warningMessage", json!(outcome.and_then(|outcome| outcome.warning.as_ref()))),
                ("errorMessage", json!(error.map(|error| &error.0))),
                ("errorStackTrace", json!(error.map(|error| &error.1))),
                ("errorDetail", Value::Null),
                ("connectedSystemRunType", json!(activity.run_type())),
                ("connectedSystemId", json!(activity.system_id)),
                ("connectedSystemRunProfileId", json!(run.and_then(|run| run.profile_id))),
                ("syncRuleId", Value::Null),
                ("metaverseObjectId", Value::Null),
                ("exampleDataTemplateId", Value::Null),
                ("executionStats", run.map_or(Value::Null, |_| stats(activity, now))),
                ("phases", json!(run.map(|run| run.phases(now)).unwrap_or_default())),
            ])
            .chain(activity.schedule_fields())
            .chain([
                ("changeReason", json!(activity.change_reason)),
                ("configurationChangeVersion", Value::Null),
                ("configurationChangeSnapshot", Value::Null),
            ]),
    )
}

fn progress(activity: &Activity, now: DateTime<Utc>) -> Value {
    if let Some(run) = &activity.run {
        return run.progress(activity.id, now);
    }
    json!({
        "id": activity.id,
        "status": "Complete",
        "message": activity.message,
        "objectsProcessed": 0,
        "objectsToProcess": 0,
        "percentComplete": null,
        "elapsedSeconds": clock::seconds(activity.took),
        "objectsPerSecond": null,
        "estimatedSecondsRemaining": null,
        "targetType": activity.target_type,
        "runType": null,
        "operationCounts": {},
        "totalErrors": 0,
        "retrievedAt": clock::fresh(now),
        "phases": [],
        "currentPhase": null,
        "currentPhaseNumber": null,
        "totalPhases": 0,
    })
}

fn stats(activity: &Activity, now: DateTime<Utc>) -> Value {
    let run = activity.run.as_ref();
    let tally = |kind: &str| run.map_or(0, |run| run.tally(kind, now));
    let processed = run.map_or(0, |run| run.processed(now));
    let errors = run.map_or(0, |run| run.errors(now));
    json!({
        "totalObjectsProcessed": processed,
        "totalObjectChangeCount": run.map_or(0, |run| run.changed(now)),
        "totalUnchanged": 0,
        "totalObjectErrors": errors,
        "totalObjectTypes": i64::from(processed > 0),
        "totalCsoAdds": tally("Added"),
        "totalCsoUpdates": tally("Updated"),
        "totalCsoDeletes": tally("Deleted"),
        "totalProjections": tally("Projected"),
        "totalJoins": tally("Joined"),
        "totalAttributeFlows": tally("Projected"),
        "totalDisconnections": 0,
        "totalDisconnectedOutOfScope": 0,
        "totalOutOfScopeRetainJoin": 0,
        "totalDriftCorrections": 0,
        "totalProvisioned": 0,
        "totalExported": tally("Exported"),
        "totalDeprovisioned": 0,
        "totalPendingExports": 0,
        "totalPendingExportsConfirmed": 0,
        "totalPendingExportsRetrying": 0,
        "totalPendingExportsFailed": errors,
        "totalCreated": 0,
        "entriesDiscardedByExcludedContainer": {},
        "totalEntriesDiscardedByExclusion": 0,
    })
}

fn items(activity: &Activity, call: &Call) -> Handled {
    let page = Page::of(call, 25)?;
    let run = activity.run.as_ref();
    let count = run.map_or(0, |run| run.changed(call.now) + run.errors(call.now));
    let rows: Vec<i64> = (0..count).collect();
    let show = |index: &i64| run.map_or(Value::Null, |run| run.item(*index));
    Ok(Reply::ok(&page.envelope(&rows, show)))
}

fn list(world: &World, call: &Call) -> Handled {
    let page = Page::of(call, 25)?;
    let wanted = Wanted::of(call)?;
    let rows: Vec<&Activity> = world.activities.iter().filter(|activity| wanted.fits(activity, call)).collect();
    // Rows are made for one page only, unless they have to be sorted by what they show.
    if call.param("sortBy").is_none() && call.param("filter").is_none() {
        return Ok(Reply::ok(&page.envelope(&rows, |activity| row(activity, call.now))));
    }
    let mut rows: Vec<Value> = rows.into_iter().map(|activity| row(activity, call.now)).collect();
    arrange(call, &mut rows);
    Ok(Reply::ok(&page.envelope(&rows, Value::clone)))
}

/// The filters whose values are checked before any row is looked at.
struct Wanted {
    statuses: Vec<&'static str>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

impl Wanted {
    fn of(call: &Call) -> Result<Self, Reply> {
        let statuses = call
            .params("status")
            .map(|text| {
                STATUSES
                    .iter()
                    .find(|known| known.eq_ignore_ascii_case(text))
                    .copied()
                    .ok_or_else(|| errors::invalid_field("status", format!("The value '{text}' is not valid.")))
            })
            .collect::<Result<_, _>>()?;
        let time = |name: &str| {
            call.param(name)
                // A plus sign that was not encoded arrives as a space.
                .map(|text| text.replace(' ', "+"))
                .map(|text| {
                    DateTime::parse_from_rfc3339(&text)
                        .map(|time| time.to_utc())
                        .map_err(|_| errors::invalid_field(name, format!("The value '{text}' is not valid.")))
                })
                .transpose()
        };
        Ok(Self { statuses, from: time("createdFrom")?, to: time("createdTo")? })
    }

    fn fits(&self, activity: &Activity, call: &Call) -> bool {
        let now = call.now;
        let is_run = activity.target_type == "ConnectedSystemRunProfile";
        let any = |name: &str, value: Option<&str>| {
            call.param(name).is_none()
                || call.params(name).any(|wanted| value.is_some_and(|value| value.eq_ignore_ascii_case(wanted)))
        };
        let flag =
            |name: &str, value: bool| call.param(name).is_none_or(|text| text.eq_ignore_ascii_case("true") == value);
        let link = activity.schedule.as_ref();
        (self.statuses.is_empty() || self.statuses.contains(&activity.status(now)))
            && self.from.is_none_or(|from| activity.created >= from)
            && self.to.is_none_or(|to| activity.created <= to)
            && call.param("search").is_none_or(|text| matches(activity, text))
            && any("operation", Some(activity.operation))
            && any("targetType", Some(activity.target_type))
            && any("initiatorType", Some(activity.actor.kind))
            && any("initiatedById", activity.actor.id.map(|id| id.to_string()).as_deref())
            && any("initiatedBy", Some(&activity.actor.name))
            && any("connectedSystem", activity.target_context.as_deref())
            && any("runProfile", activity.target_name.as_deref().filter(|_| is_run))
            && any("scheduleId", link.map(|link| link.schedule.to_string()).as_deref())
            && flag("scheduledOnly", link.is_some())
            && flag("hasChildActivities", false)
            && outcomes(activity, call)
    }
}

fn outcomes(activity: &Activity, call: &Call) -> bool {
    let Some(run) = activity.run.as_ref() else {
        return call.param("outcome").is_none();
    };
    call.param("outcome").is_none()
        || call.params("outcome").any(|kind| match kind {
            "Errors" => run.errors(call.now) > 0,
            kind => run.tally(kind, call.now) > 0,
        })
}

fn matches(activity: &Activity, text: &str) -> bool {
    let text = text.to_lowercase();
    [&activity.target_name, &activity.target_context, &activity.message]
        .into_iter()
        .flatten()
        .any(|field| field.to_lowercase().contains(&text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::TimeDelta;

    use super::super::tests::{ask, ask_at, world};
    use super::*;

    fn execute(world: &mut World, system: i64, profile: i64) -> String {
        let path = format!("/synchronisation/connected-systems/{system}/run-profiles/{profile}/execute");
        let (status, body) = ask(world, "POST", &path, "");
        assert_eq!(status, 202, "{body}");
        format!("/activities/{}", body["activityId"].as_str().unwrap())
    }

    #[test]
    fn a_run_advances_with_time_and_changes_its_system() {
        let mut world = world();
        let path = execute(&mut world, 1, 1);
        let look = |world: &mut World, millis: i64| {
            ask_at(world, Utc::now() + TimeDelta::milliseconds(millis), "GET", &format!("{path}/progress"), "").1
        };
        let queued = look(&mut world, 0);
        assert_eq!((&queued["status"], &queued["totalPhases"]), (&json!("InProgress"), &json!(0)));
        let half = look(&mut world, 3400);
        assert!(half["objectsProcessed"].as_i64().unwrap() > 5, "{half}");
        assert!(half["estimatedSecondsRemaining"].as_f64().unwrap() > 0.5);
        assert_eq!(
            (&half["totalPhases"], half["currentPhaseNumber"].is_i64() || half["currentPhaseNumber"].is_u64()),
            (&json!(6), true)
        );
        let done = look(&mut world, 7000);
        assert_eq!((&done["status"], &done["percentComplete"]), (&json!("Complete"), &json!(100)));
        assert_eq!(done["operationCounts"], json!({"Added": 40}));
        assert_eq!(world.system(1).unwrap().objects, 40);
    }

    #[test]
    fn the_three_systems_tell_three_stories() {
        let mut world = world();
        let paths = [execute(&mut world, 1, 1), execute(&mut world, 2, 4), execute(&mut world, 3, 7)];
        let later = Utc::now() + TimeDelta::seconds(8);
        let ends = paths.map(|path| ask_at(&mut world, later, "GET", &path, "").1);
        assert_eq!(ends[0]["status"], "Complete");
        assert_eq!(ends[1]["status"], "FailedWithError");
        assert!(ends[1]["errorMessage"].as_str().unwrap().starts_with("Could not find file"));
        assert_eq!(ends[2]["status"], "CompleteWithWarning");
        assert!(ends[2]["warningMessage"].is_string());
    }

    #[test]
    fn a_run_whose_profile_is_deleted_while_queued_completes_without_doing_anything() {
        let mut world = world();
        let path = execute(&mut world, 1, 1);
        ask(&mut world, "DELETE", "/synchronisation/connected-systems/1/run-profiles/1", "");
        let end = ask_at(&mut world, Utc::now() + TimeDelta::seconds(8), "GET", &path, "").1;
        assert_eq!(
            (&end["status"], &end["objectsProcessed"], &end["connectedSystemRunProfileId"]),
            (&json!("Complete"), &json!(0), &Value::Null)
        );
    }

    #[test]
    fn filters_combine_and_repeated_keys_add_up() {
        let mut world = world();
        execute(&mut world, 1, 1);
        let count = |world: &mut World, query: &str| {
            ask(world, "GET", &format!("/activities?{query}"), "").1["totalCount"].as_i64().unwrap()
        };
        assert_eq!(count(&mut world, "operation=Execute"), 1);
        assert!(count(&mut world, "operation=Execute&operation=Create") > 10);
        assert_eq!(count(&mut world, "operation=Create&status=InProgress"), 0);
        assert_eq!(count(&mut world, "connectedSystem=HR%20CSV%20Source&runProfile=Full%20Import"), 2);
        assert_eq!(ask(&mut world, "GET", "/activities?status=Nonesuch", "").0, 400);
        let newest = ask(&mut world, "GET", "/activities?sortBy=created&sortDirection=desc", "").1;
        assert_eq!(newest["items"][0]["targetOperationType"], "Execute");
    }
}
