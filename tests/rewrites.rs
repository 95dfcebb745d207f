//! Entities that the API replaces as a whole: what was not given stays, what somebody else changed
//! meanwhile is not overwritten; and schedules that are waited for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{COLLECT, Pwsh, Sandbox, Stub, greeting, json};

const CONNECT: &str = "$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null 3>$null\n";
const ID: &str = "162167b8-2251-4de9-9d96-72d96968edd3";

fn outcome(url: &str, script: &str) -> Value {
    Pwsh::new(url).run(&format!("{COLLECT}{CONNECT}Show-Outcome {{ {script} }}")).json()
}

fn is_schedule(path: &str) -> bool {
    path.starts_with("/api/v1/schedules/")
}

fn schedule(name: &str, last_run: &str) -> String {
    format!(
        r#"{{"id":"{ID}","name":"{name}","triggerType":"Manual","patternType":"SpecificTimes","isEnabled":true,"lastRunTime":{last_run},
        "steps":[{{"id":"a","stepIndex":0,"name":"A","executionMode":"Sequential","stepType":"RunProfile"}}]}}"#
    )
}

#[test]
fn what_somebody_else_changed_meanwhile_is_not_overwritten() {
    let reads = AtomicUsize::new(0);
    let stub = Stub::start(move |method, path, _| match (method, path) {
        ("GET", path) if is_schedule(path) && reads.fetch_add(1, Ordering::SeqCst) == 0 => {
            json(200, &schedule("Mine", "null"))
        }
        ("GET", path) if is_schedule(path) => json(200, &schedule("Theirs", "null")),
        (_, path) => greeting(path).unwrap_or_else(|| json(200, "{}")),
    });
    let outcome = outcome(&stub.url, &format!("Set-JIMSchedule -Id {ID} -Description x"));
    let error = &outcome["errors"][0];
    assert!(error["id"].as_str().unwrap().starts_with("JIM.ChangedMeanwhile,"), "{outcome:#}");
    assert!(error["message"].as_str().unwrap().contains("name"), "{outcome:#}");
    assert!(!stub.seen().iter().any(|r| r.starts_with("PUT")), "{:?}", stub.seen());
}

#[test]
fn a_run_in_between_is_no_change() {
    let reads = AtomicUsize::new(0);
    let stub = Stub::start(move |method, path, _| match (method, path) {
        ("GET", path) if is_schedule(path) && reads.fetch_add(1, Ordering::SeqCst) == 0 => {
            json(200, &schedule("Mine", "null"))
        }
        (_, path) if is_schedule(path) => json(200, &schedule("Mine", r#""2026-01-01T00:00:00Z""#)),
        (_, path) => greeting(path).unwrap_or_else(|| json(200, "{}")),
    });
    let outcome = outcome(&stub.url, &format!("Remove-JIMScheduleStep -ScheduleId {ID} -StepIndex 0 -Force"));
    assert_eq!(outcome["errors"].as_array().unwrap().len(), 0, "{outcome:#}");
    assert!(stub.seen().iter().any(|r| r.starts_with("PUT")), "{:?}", stub.seen());
}

#[test]
fn steps_come_and_go_and_the_rest_of_the_schedule_stays() {
    let sandbox = Sandbox::start(&[]);
    let script = format!(
        "$null = Set-JIMSchedule -Id {ID} -Description 'Other'
        $null = Add-JIMScheduleStep -ScheduleId {ID} -StepType RunProfile -ConnectedSystemName 'hr csv source' -RunProfileName 'full import' -Parallel
        $s = Remove-JIMScheduleStep -ScheduleId {ID} -StepIndex 0 -Force -PassThru
        '{{0}}|{{1}}|{{2}}' -f $s.Description, $s.CronExpression, (@($s.Steps | ForEach-Object {{ \"$($_.StepIndex)$($_.Name)$($_.ExecutionMode)\" }}) -join ',')"
    );
    let outcome = outcome(&sandbox.url, &script);
    assert_eq!(outcome["errors"].as_array().unwrap().len(), 0, "{outcome:#}");
    assert_eq!(outcome["values"][0], "Other|0 2 * * *|0SynchroniseSequential,0ParallelWithPrevious");
}

#[test]
fn a_schedule_that_fails_is_written_and_an_error() {
    let stub = Stub::start(|method, path, _| match (method, path) {
        ("POST", _) => json(202, r#"{"executionId":"9e8a7b6c","message":"Started."}"#),
        ("GET", "/api/v1/schedule-executions/9e8a7b6c") => json(
            200,
            r#"{"id":"9e8a7b6c","status":"Failed","currentStepIndex":0,"totalSteps":1,"errorMessage":"Step 'A' failed.",
            "steps":[{"stepIndex":0,"name":"A","status":"Failed","errorMessage":"No such file."}]}"#,
        ),
        (_, path) => greeting(path).unwrap_or_else(|| json(200, "{}")),
    });
    let outcome = outcome(&stub.url, &format!("Start-JIMSchedule -Id {ID} -Wait"));
    assert_eq!(outcome["count"], 1, "{outcome:#}");
    let error = &outcome["errors"][0];
    assert!(error["id"].as_str().unwrap().starts_with("JIM.RunFailed,"), "{outcome:#}");
    assert!(error["message"].as_str().unwrap().contains("Step 'A' failed. No such file."), "{outcome:#}");
}

#[test]
fn a_time_limit_on_a_schedule_is_a_warning() {
    let stub = Stub::start(|method, path, _| match (method, path) {
        ("POST", _) => json(202, r#"{"executionId":"9e8a7b6c","message":"Started."}"#),
        ("GET", "/api/v1/schedule-executions/9e8a7b6c") => {
            json(200, r#"{"id":"9e8a7b6c","status":"InProgress","currentStepIndex":0,"totalSteps":1,"steps":[]}"#)
        }
        (_, path) => greeting(path).unwrap_or_else(|| json(200, "{}")),
    });
    let outcome = outcome(&stub.url, &format!("Start-JIMSchedule -Id {ID} -Wait -Timeout 00:00:01"));
    assert_eq!((&outcome["count"], outcome["errors"].as_array().unwrap().len()), (&1.into(), 0), "{outcome:#}");
    assert!(outcome["warnings"][0].as_str().unwrap().contains("schedule execution 9e8a7b6c"), "{outcome:#}");
}
