//! The main job, end to end: connect, read, change, run, wait.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::{COLLECT, Pwsh, Sandbox};

const CONNECT: &str = "$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null\n";

fn run(sandbox: &Sandbox, script: &str) -> support::Run {
    Pwsh::new(&sandbox.url).run(&format!("{COLLECT}{CONNECT}{script}"))
}

#[test]
fn the_pipeline_of_the_guide() {
    let sandbox = Sandbox::start(&["--run-speed", "20"]);
    let done = run(
        &sandbox,
        "Get-JIMRunProfile -ConnectedSystemId 1 | Where-Object { $_.name -eq 'Full Import' } | Set-JIMRunProfile -PageSize 1000
        (Get-JIMRunProfile -ConnectedSystemName 'hr csv source' -Name 'full*port').PageSize
        Start-JIMRunProfile -ConnectedSystemName 'HR CSV Source' -RunProfileName 'Full Import' -Wait
        'ended'",
    );
    assert_eq!(done.stdout.lines().map(str::trim).collect::<Vec<_>>(), ["1000", "ended"], "{}", done.text());
    assert_eq!(done.stderr, "");
}

#[test]
fn objects_from_a_get_bind_to_set_remove_and_start() {
    let sandbox = Sandbox::start(&[]);
    let done = run(
        &sandbox,
        "Get-JIMConnectedSystem -Name 'HR*' | Get-JIMRunProfile -Name 'Delta*' | Set-JIMRunProfile -Name 'Renamed' -PassThru | Remove-JIMRunProfile -Force -PassThru | ForEach-Object Name
        [pscustomobject] @{ ConnectedSystemId = 1; RunProfileId = 1 } | Set-JIMRunProfile -PageSize 7 -PassThru | ForEach-Object PageSize
        Set-JIMRunProfile -ConnectedSystemName 'HR CSV Source' -RunProfileName 'Full Import' -PageSize 8 -PassThru | ForEach-Object PageSize
        (Get-JIMRunProfile -ConnectedSystemId 1 | Start-JIMRunProfile -PassThru | Measure-Object).Count",
    );
    assert_eq!(done.stdout.lines().map(str::trim).collect::<Vec<_>>(), ["Renamed", "7", "8", "2"], "{}", done.text());
}

#[test]
fn a_run_that_fails_is_an_error_with_the_activitys_words() {
    let sandbox = Sandbox::start(&["--run-speed", "20"]);
    let done = run(
        &sandbox,
        "Show-Outcome { Get-JIMRunProfile -ConnectedSystemName 'Cross-Domain Export' | Where-Object RunType -like '*Import' | Select-Object -First 1 | Start-JIMRunProfile -Wait }",
    )
    .json();
    let error = &done["errors"][0];
    assert!(error["id"].as_str().unwrap().starts_with("JIM.RunFailed,"), "{done:#}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("FailedWithError") && message.contains("Could not find file '"), "{done:#}");
    assert!(error["advice"].as_str().unwrap().contains("Get-JIMActivity -Id"), "{done:#}");
    assert_eq!(done["terminating"], false);
}

#[test]
fn a_run_with_warnings_is_a_warning() {
    let sandbox = Sandbox::start(&["--run-speed", "20"]);
    let done = run(
        &sandbox,
        "Show-Outcome { Get-JIMRunProfile -ConnectedSystemName 'Corporate Directory' | Where-Object RunType -eq 'FullImport' | Select-Object -First 1 | Start-JIMRunProfile -Wait -PassThruActivity }",
    )
    .json();
    assert_eq!(done["errors"].as_array().unwrap().len(), 0, "{done:#}");
    assert!(done["warnings"][0].as_str().unwrap().contains("CompleteWithWarning"), "{done:#}");
    assert_eq!(done["values"][0]["Status"], "CompleteWithWarning");
}

#[test]
fn the_servers_warnings_at_the_start_are_shown() {
    let sandbox = Sandbox::start(&[]);
    let done = run(
        &sandbox,
        "Get-JIMRunProfile -ConnectedSystemId 3 | Where-Object TargetsDeselectedPartition | Start-JIMRunProfile 6>&1 | Out-String",
    );
    assert!(done.stdout.contains("The server warns about run profile"), "{}", done.text());
}

#[test]
fn a_timeout_ends_the_waiting_and_names_the_activity() {
    let sandbox = Sandbox::start(&["--run-speed", "0.1"]);
    let done = run(
        &sandbox,
        "Show-Outcome { Start-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -Wait -Timeout 1; 'reached' }",
    )
    .json();
    assert!(done["errors"][0]["id"].as_str().unwrap().starts_with("JIM.WaitTimedOut,"), "{done:#}");
    assert_eq!((&done["terminating"], &done["count"]), (&serde_json::json!(true), &serde_json::json!(0)));
    assert_eq!(done["errors"][0]["target"].as_str().unwrap().len(), 36, "an activity id: {done:#}");
}

#[test]
fn the_sentinel_file_ends_the_waiting() {
    let sandbox = Sandbox::start(&["--run-speed", "0.1"]);
    let done = run(
        &sandbox,
        "$file = Join-Path $HOME sentinel; Set-Content -Path $file -Value 'stop it'; $env:JIM_RUNPROFILE_ABORT_SENTINEL = $file
        Show-Outcome { Start-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -Wait }",
    )
    .json();
    assert!(done["errors"][0]["id"].as_str().unwrap().starts_with("JIM.WaitAborted,"), "{done:#}");
    assert!(done["errors"][0]["message"].as_str().unwrap().contains("stop it"), "{done:#}");
}

#[test]
fn progress_says_how_far_the_run_is() {
    let sandbox = Sandbox::start(&["--run-speed", "3"]);
    let done = run(
        &sandbox,
        "$shell = [powershell]::Create()
        $null = $shell.AddScript('param($m, $u, $k) Import-Module $m; $null = Connect-JIM $u $k -NoPersist 6>$null; Start-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -Wait').AddArgument($env:TEST_MODULE).AddArgument($Url).AddArgument($ApiKey).Invoke()
        $records = @($shell.Streams.Progress)
        ConvertTo-Json -Compress -InputObject @{ activity = $records[0].Activity; status = @($records.StatusDescription); last = \"$($records[-1].RecordType)\"; percent = ($records.PercentComplete | Measure-Object -Maximum).Maximum }",
    )
    .json();
    assert_eq!((&done["activity"], &done["last"]), (&"Executing Run Profile".into(), &"Completed".into()), "{done:#}");
    assert!(done["status"].to_string().contains("InProgress"), "{done:#}");
}

#[test]
fn dates_are_dates_and_text_that_looks_like_one_stays_text() {
    let sandbox = Sandbox::start(&[]);
    let done = run(
        &sandbox,
        "$system = Set-JIMConnectedSystem -Id 1 -Description '2026-05-06T07:08:09Z' -PassThru
        $system.Description.GetType().Name; $system.Description; $system.Created.GetType().Name; $system.Id.GetType().Name",
    );
    assert_eq!(
        done.stdout.lines().map(str::trim).collect::<Vec<_>>(),
        ["String", "2026-05-06T07:08:09Z", "DateTime", "Int64"],
        "{}",
        done.text()
    );
}

#[test]
fn tab_offers_names_and_ids() {
    let sandbox = Sandbox::start(&[]);
    let done = run(
        &sandbox,
        "function Complete($s) { ([System.Management.Automation.CommandCompletion]::CompleteInput($s, $s.Length, $null)).CompletionMatches.CompletionText -join ',' }
        Complete 'Get-JIMRunProfile -ConnectedSystemName H'
        Complete 'Start-JIMRunProfile -ConnectedSystemName \"HR CSV Source\" -RunProfileName F'
        Complete 'Get-JIMRunProfile -ConnectedSystemId 2'",
    );
    assert_eq!(
        done.stdout.lines().map(str::trim).collect::<Vec<_>>(),
        ["'HR CSV Source'", "'Full Import','Full Synchronisation'", "2"],
        "{}",
        done.text()
    );
}

#[test]
fn lists_are_whole_and_stop_when_nobody_wants_more() {
    let sandbox = Sandbox::start(&["--systems", "260"]);
    let all = run(&sandbox, "@(Get-JIMConnectedSystem).Count");
    assert_eq!(all.stdout.trim(), "260", "{}", all.text());
    let sandbox = Sandbox::start(&["--systems", "5000"]);
    let first = run(&sandbox, "Get-JIMConnectedSystem | Select-Object -First 1 | ForEach-Object { 1 }");
    assert_eq!(first.stdout.trim(), "1", "{}", first.text());
    let pages = sandbox.record().iter().filter(|r| r.ends_with("/connected-systems")).count();
    assert!(pages < 20, "{pages} of 50 pages were read for one object");
}

#[test]
fn a_run_that_ends_well_says_only_what_was_asked_for() {
    let sandbox = Sandbox::start(&["--run-speed", "20"]);
    let start = "Start-JIMRunProfile -ConnectedSystemId 1 -RunProfileName 'full import' -Wait";
    let done = run(
        &sandbox,
        &format!(
            "Show-Outcome {{ $silent = @({start}).Count; $silent; {start} -PassThru; {start} -PassThruActivity }}"
        ),
    )
    .json();
    assert_eq!((&done["errors"], &done["warnings"]), (&serde_json::json!([]), &serde_json::json!([])), "{done:#}");
    let values = done["values"].as_array().unwrap();
    assert_eq!((values.len(), &values[0]), (3, &0.into()), "{done:#}");
    // The answer to the start, as the official module gives it.
    for property in ["ActivityId", "TaskId", "Message", "Warnings"] {
        assert!(values[1].get(property).is_some(), "no {property}: {done:#}");
    }
    assert_eq!(values[2]["Status"], "Complete", "{done:#}");
    assert_eq!((&values[2]["ObjectsProcessed"], &values[2]["TargetName"]), (&40.into(), &"Full Import".into()));
}

#[test]
fn a_failed_run_stops_a_script_that_wants_to_stop_and_others_go_on() {
    let sandbox = Sandbox::start(&["--run-speed", "20"]);
    let done = run(
        &sandbox,
        "$runs = @(@{ ConnectedSystemId = 2; Id = 4 }, @{ ConnectedSystemId = 1; Id = 1 }) | ForEach-Object { [pscustomobject] $_ }
        Show-Outcome { ($runs | Start-JIMRunProfile -Wait -PassThruActivity).Status }
        Show-Outcome { $runs | Start-JIMRunProfile -Wait -PassThru -ErrorAction Stop | Out-Null; 'reached' }",
    );
    let lines: Vec<serde_json::Value> =
        done.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    assert_eq!(lines[0]["errors"].as_array().unwrap().len(), 1, "{:#}", lines[0]);
    assert!(lines[0]["values"].to_string().contains("\"Complete\""), "the second run was done: {:#}", lines[0]);
    assert_eq!((&lines[1]["terminating"], &lines[1]["count"]), (&true.into(), &0.into()), "{:#}", lines[1]);
    let started = sandbox.record().iter().filter(|request| request.ends_with("/execute")).count();
    assert_eq!(started, 3, "after -ErrorAction Stop nothing more is started");
}
