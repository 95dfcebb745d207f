//! The defects of the official module that must be gone, each with the test that proves it.
//!
//! | Defect | Test |
//! |---|---|
//! | `-Force -WhatIf` executes | whatif.rs::no_cmdlet_sends_a_change_under_whatif_also_with_force |
//! | lists end early without a word | here::lists_are_whole_or_say_what_they_left_out; run_profiles.rs::lists_are_whole_and_stop_when_nobody_wants_more |
//! | any key "connects" | errors.rs::unknown_key; keyring.rs::nothing_is_kept_when_told_so_or_when_the_key_is_refused |
//! | slow | benches, as ratios |
//! | a failing item ends the script, or the call goes on with id 0 | errors.rs::one_bad_item_does_not_stop_the_others, ::no_such_name, ::quiet_errors_are_remembered_and_ignored_ones_are_not |
//! | three look-ups by name never work | here::names_are_found_where_they_never_were |
//! | every item looks its names up again | pipelines.rs |
//! | no retry, no time limit, no redirects | errors.rs::server_errors_are_not_retried_but_a_gateway_is, ::a_lost_connection_is_retried_for_reads_and_told_for_creations, ::timeout |
//! | `-Wait` ignores how the run ended; warnings are lost | run_profiles.rs::a_run_that_fails_is_an_error_with_the_activitys_words, ::the_servers_warnings_at_the_start_are_shown; rewrites.rs::a_schedule_that_fails_is_written_and_an_error |
//! | certificates: no export after a login, no local files | here::a_certificate_goes_in_from_a_local_file_and_out_also_after_a_login |
//! | text that looks like a date is changed | run_profiles.rs::dates_are_dates_and_text_that_looks_like_one_stays_text |
//! | dates and time spans depend on the machine | here::dates_go_out_in_utc_and_time_spans_as_the_api_writes_them |
//! | secrets in memory, streams, arguments | secrets.rs; here::passwords_are_in_no_stream |
//! | `http://` without a warning | here::an_unprotected_address_is_warned_of |
//! | empty texts and page envelopes leak | here::no_cmdlet_leaks_an_empty_text_or_a_page |
//! | one session per runspace | pipelines.rs; lifecycle.rs::one_host_serves_the_whole_process |
//! | no views, no completion | help.rs::what_comes_out_has_a_view_and_reads_well; run_profiles.rs::tab_offers_names_and_ids |
//! | read, change, write without a look at others | rewrites.rs::what_somebody_else_changed_meanwhile_is_not_overwritten; here::nobody_elses_change_is_overwritten |
//! | two ids needed, inconsistent binding | run_profiles.rs::objects_from_a_get_bind_to_set_remove_and_start |
//! | a missing predefined search is silence | here::a_search_that_is_not_there_is_an_error |
//! | help and pages drift | invoke.rs::the_checked_in_module_is_what_the_catalogue_says |
//! | keys of maps are rewritten | here::keys_of_a_map_stay_as_they_are |
//! | the secret of a new API key is lost | here::the_secret_of_a_new_key_is_shown_or_the_key_is_taken_back |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use support::{COLLECT, Pwsh, Run, Sandbox, Stub, greeting};

const CONNECT: &str = "$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null 3>$null\n";
const GUID: &str = "0c7f1f5e-6a51-4b0c-9d3e-2f41a7b8c901";

fn outcome(url: &str, script: &str) -> Value {
    Pwsh::new(url).run(&format!("{COLLECT}{CONNECT}Show-Outcome {{ {script} }}")).json()
}

fn lines(run: &Run) -> Vec<&str> {
    assert_eq!(run.code, Some(0), "{}", run.text());
    run.stdout.lines().collect()
}

/// A server that answers with what a function makes of method and path, and keeps the bodies.
fn recording(answer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> (Stub, Arc<Mutex<Vec<String>>>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    let stub = Stub::start(move |method, path, text| {
        if let Some(answer) = greeting(path) {
            return answer;
        }
        if method != "GET" {
            kept.lock().unwrap().push(text.split_once("\r\n\r\n").unwrap_or_default().1.to_owned());
        }
        answer(method, path)
    });
    (stub, bodies)
}

#[test]
fn lists_are_whole_or_say_what_they_left_out() {
    let sandbox = Sandbox::start(&["--systems", "130"]);
    let told = outcome(
        &sandbox.url,
        "@(Get-JIMConnectedSystem).Count; @(Get-JIMActivity).Count; @(Get-JIMActivity -All).Count; @(Get-JIMActivity -PageSize 7).Count; @(Get-JIMMetaverseAttribute).Count",
    );
    let values: Vec<u64> = told["values"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
    assert_eq!(values[0], 130, "{told:#}");
    assert!(values[1] < values[2] && values[2] > 200 && values[3] == 7, "{values:?}");
    // Only the list that nobody limited is a surprise.
    let warnings: Vec<&str> = told["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(warnings.len(), 1, "{told:#}");
    assert!(warnings[0].contains(&format!("first {} of {}", values[1], values[2])), "{warnings:?}");
    assert!(warnings[0].contains("-All"), "{warnings:?}");
}

#[test]
fn names_are_found_where_they_never_were() {
    let sandbox = Sandbox::start(&[]);
    let told = outcome(
        &sandbox.url,
        "$group = New-JIMScopingCriteriaGroup -SyncRuleId 2 -Type All -PassThru
        (New-JIMScopingCriterion -SyncRuleId 2 -GroupId $group.Id -MetaverseAttributeName 'department' -ComparisonType Equals -StringValue 'Sales' -PassThru).MetaverseAttributeName
        (New-JIMPredefinedSearchCriterion -PredefinedSearchId 1 -GroupId 1 -MetaverseAttributeName 'Department' -ComparisonType Equals -StringValue 'Sales' -PassThru).MetaverseAttributeName
        (Get-JIMHistoryCount -ConnectedSystemName 'hr csv source').ConnectedSystemId",
    );
    assert_eq!(told["errors"], json!([]), "{told:#}");
    assert_eq!(told["values"], json!(["Department", "Department", 1]), "{told:#}");
}

/// A browser that follows the login page's redirect.
fn browser(pwsh: &Pwsh) -> String {
    let folder = pwsh.home.path().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("xdg-open");
    std::fs::write(&file, "#!/bin/sh\nexec curl --silent --location --max-time 20 --output /dev/null \"$1\"\n")
        .unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_certificate_goes_in_from_a_local_file_and_out_also_after_a_login() {
    let sandbox = Sandbox::start(&[]);
    let made = rcgen::generate_simple_self_signed(vec!["partner.example".to_owned()]).unwrap().cert;
    let pwsh = Pwsh::new(&sandbox.url);
    std::fs::write(pwsh.home.path().join("partner.pem"), made.pem()).unwrap();
    std::fs::write(pwsh.home.path().join("partner.der"), made.der()).unwrap();
    let path = browser(&pwsh);
    let run = pwsh.env("PATH", &path).run(
        "$c = Connect-JIM -Url $Url -Interactive -NoPersist 6>$null 3>$null; $c.AuthMethod
        Set-Location $HOME
        foreach ($kind in 'pem', 'der') {
            $added = Add-JIMCertificate -Name \"Partner $kind\" -LocalPath \"./partner.$kind\" -PassThru
            Export-JIMCertificate -Id $added.Id -Path \"./out.$kind\"
            [Convert]::ToHexString([IO.File]::ReadAllBytes(\"$HOME/out.$kind\")) -eq [Convert]::ToHexString([IO.File]::ReadAllBytes(\"$HOME/partner.$kind\"))
            Remove-JIMCertificate -Id $added.Id -Force
        }",
    );
    assert_eq!(lines(&run), ["OAuth", "True", "True"], "{}", run.text());
}

#[test]
fn dates_go_out_in_utc_and_time_spans_as_the_api_writes_them() {
    let (stub, bodies) = recording(|_, _| support::json(200, "{}"));
    let asked = Pwsh::new(&stub.url).env("TZ", "Europe/Berlin").run(&format!(
        "{CONNECT}$ErrorActionPreference = 'SilentlyContinue'
        $local = [datetime]::new(2026, 7, 1, 14, 30, 0)
        $null = New-JIMApiKey -Name k -ExpiresAt $local 6>$null
        $null = New-JIMApiKey -Name k -ExpiresAt ([datetime]::SpecifyKind($local, 'Utc')) 6>$null
        $null = Set-JIMConnectedSystem -Id 1 -InitialPasswordTimeToLive '1.02:03:04'
        $null = Get-JIMActivity -CreatedFrom $local -CreatedTo '2026-12-01T00:00:00+02:00'"
    ));
    assert_eq!(asked.code, Some(0), "{}", asked.text());
    let bodies = bodies.lock().unwrap().clone();
    let sent: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(sent[0]["expiresAt"].as_str().unwrap()[..19], *"2026-07-01T12:30:00", "{sent:?}");
    assert_eq!(sent[1]["expiresAt"].as_str().unwrap()[..19], *"2026-07-01T14:30:00", "{sent:?}");
    assert!(sent[..2].iter().all(|body| body["expiresAt"].as_str().unwrap().ends_with('Z')), "{sent:?}");
    assert_eq!(sent[2]["initialPasswordTimeToLive"], "1.02:03:04", "{sent:?}");
    let query = stub.seen().into_iter().find(|r| r.contains("/activities")).unwrap();
    assert!(query.contains("2026-07-01T12%3A30%3A00") || query.contains("2026-07-01T12:30:00"), "{query}");
    assert!(query.contains("2026-11-30T22%3A00%3A00") || query.contains("2026-11-30T22:00:00"), "{query}");
}

#[test]
fn passwords_are_in_no_stream() {
    let (stub, bodies) = recording(|method, _| match method {
        "GET" => support::json(200, "{}"),
        // A server that says too much.
        _ => support::json(400, r#"{"title":"Refused","detail":"Correct-Horse-7 is in the list of known passwords"}"#),
    });
    let run = Pwsh::new(&stub.url).run(&format!(
        "{CONNECT}$password = ConvertTo-SecureString 'Correct-Horse-7' -AsPlainText -Force
        Set-JIMConnectedSystemObjectPassword -ConnectedSystemId 3 -Id {GUID} -Password $password -Force -Verbose -Debug *>&1 | Out-String -Width 500
        Sync-JIMMetaverseObjectPassword -Id {GUID} -Password $password -Verbose -Debug -Confirm:$false *>&1 | Out-String -Width 500
        Set-JIMConnectedSystemObjectPassword -ConnectedSystemId 3 -Id {GUID} -Password $password -WhatIf *>&1 | Out-String -Width 500
        ConvertTo-Json -InputObject @($Error | ForEach-Object {{ \"$_ $($_.ErrorDetails) $($_.TargetObject) $($_.InvocationInfo.Line)\" }})"
    ));
    assert_eq!(run.code, Some(0), "{}", run.text());
    // The bodies prove that it was sent at all.
    assert_eq!(bodies.lock().unwrap().iter().filter(|body| body.contains("Correct-Horse-7")).count(), 2);
    let said = run.text().replace("'Correct-Horse-7' -AsPlainText", "");
    assert!(!said.contains("Correct-Horse-7"), "{said}");
}

#[test]
fn an_unprotected_address_is_warned_of() {
    let run = Pwsh::new("").run(
        "try { Connect-JIM -Url http://jim.example.invalid -ApiKey $ApiKey -NoPersist -RequestTimeoutSeconds 5 -WarningVariable told 3>$null } catch { }
        $told -match 'http' | ForEach-Object { 'warned' }",
    );
    assert_eq!(lines(&run), ["warned"], "{}", run.text());
}

/// Calls every cmdlet in each parameter set with what it must have, and tells what should not come out.
const CALL_ALL: &str = r#"
$ErrorActionPreference = 'SilentlyContinue'; $ConfirmPreference = 'None'
$guid = '0c7f1f5e-6a51-4b0c-9d3e-2f41a7b8c901'
$object = [pscustomobject] @{ Id = 1; Name = 'x'; ConnectedSystemId = 1; SyncRuleId = 1; GroupId = 1; PredefinedSearchId = 1; ScheduleId = $guid; ObjectTypeId = 1; Uri = 'x' }
# The connection; what never ends or writes a file; and the one whose output is a page, officially too.
$own = 'Get-JIMDeletedObject', 'Connect-JIM', 'Disconnect-JIM', 'Get-JIMConnection', 'Test-JIMConnection', 'Watch-JIMLog', 'Export-JIMCertificate'
$called = 0
$leaks = foreach ($command in Get-Command -Module JimHost -CommandType Function | Where-Object Name -notin $own) {
    foreach ($set in $command.ParameterSets) {
        $arguments = @{}
        foreach ($parameter in $set.Parameters | Where-Object IsMandatory) {
            $values = $parameter.Attributes | Where-Object { $_ -is [ValidateSet] } | Select-Object -First 1
            $arguments[$parameter.Name] = if ($values) { $values.ValidValues[0] } else {
                switch ("$($parameter.ParameterType.Name)" -replace '\[\]$') {
                    'SecureString' { ConvertTo-SecureString -String 'Secret-1' -AsPlainText -Force }
                    'Guid' { $guid }
                    'Hashtable' { @{ a = 1 } }
                    'SwitchParameter' { $true }
                    'Boolean' { $true }
                    'PSObject' { $object }
                    'TimeSpan' { [timespan]::FromHours(1) }
                    'DateTime' { [datetime]::UtcNow }
                    'String' { 'x' }
                    default { 1 }
                }
            }
        }
        if ($command.Parameters.ContainsKey('Force')) { $arguments.Force = $true }
        $called++
        $items = @()
        try { $items = @(& $command @arguments 3>$null 6>$null) } catch { }
        foreach ($item in $items) {
            if ($null -eq $item) { "$($command.Name) $($set.Name): null" }
            elseif ($item -is [string] -and $item -eq '') { "$($command.Name) $($set.Name): an empty text" }
            elseif ($item.PSObject.Properties['Items'] -and $item.PSObject.Properties['TotalCount']) { "$($command.Name) $($set.Name): a page" }
        }
    }
}
ConvertTo-Json -Compress -InputObject @{ leaks = @($leaks); called = $called }
"#;

#[test]
fn no_cmdlet_leaks_an_empty_text_or_a_page() {
    let (stub, bodies) = recording(|method, path| match method {
        "GET" if path.contains("page=") => support::json(
            200,
            r#"{"items":[],"totalCount":0,"page":1,"pageSize":50,"totalPages":0,"hasNextPage":false}"#,
        ),
        "GET" if path.contains('?') || path.ends_with('s') => support::json(200, "[]"),
        "GET" => support::json(200, r#"{"id":1,"name":"x"}"#),
        _ => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
    });
    let told = Pwsh::new(&stub.url).run(&format!("{CONNECT}{CALL_ALL}")).json();
    assert!(told["called"].as_u64().unwrap() > 200, "{told:#}");
    assert!(bodies.lock().unwrap().len() > 60, "{} changes were sent", bodies.lock().unwrap().len());
    assert_eq!(told["leaks"], json!([]), "{told:#}");
}

/// A server on which an entity is another at the second look.
fn edited_meanwhile(entity: &'static str, first: &'static str, later: &'static str) -> Stub {
    let reads = AtomicUsize::new(0);
    Stub::start(move |method, path, _| {
        if let Some(answer) = greeting(path) {
            return answer;
        }
        if method == "GET" && path.starts_with(entity) {
            let now = if reads.fetch_add(1, Ordering::SeqCst) == 0 { first } else { later };
            return support::json(200, now);
        }
        support::json(200, "{}")
    })
}

#[test]
fn nobody_elses_change_is_overwritten() {
    let key = r#"{"id":"0c7f1f5e-6a51-4b0c-9d3e-2f41a7b8c901","name":"CI","description":null,"roles":[{"id":1,"name":"Administrators"}],"isEnabled":true,"expiresAt":null}"#;
    let revoked = r#"{"id":"0c7f1f5e-6a51-4b0c-9d3e-2f41a7b8c901","name":"CI","description":null,"roles":[],"isEnabled":false,"expiresAt":null}"#;
    let cases = [
        ("/api/v1/apikeys/", key, revoked, format!("Set-JIMApiKey -Id {GUID} -Name 'Payroll'"), "isEnabled, roles"),
        (
            "/api/v1/synchronisation/sync-rules/2/initial-password",
            r#"{"enabled":true,"source":"Custom","customPolicy":{"style":"Random","length":20}}"#,
            r#"{"enabled":true,"source":"Custom","customPolicy":{"style":"Random","length":32}}"#,
            "Set-JIMSyncRuleInitialPassword -Id 2 -MinimumSymbols 2".to_owned(),
            "customPolicy",
        ),
        (
            "/api/v1/metaverse/attributes/96",
            r#"{"id":96,"name":"Badge","type":"Text","attributePlurality":"SingleValued"}"#,
            r#"{"id":96,"name":"Badge","type":"Text","attributePlurality":"MultiValued"}"#,
            "Set-JIMMetaverseAttribute -Id 96 -Type Integer".to_owned(),
            "attributePlurality",
        ),
    ];
    for (entity, first, later, script, fields) in cases {
        let stub = edited_meanwhile(entity, first, later);
        let told = outcome(&stub.url, &script);
        let error = &told["errors"][0];
        assert!(error["id"].as_str().unwrap().starts_with("JIM.ChangedMeanwhile,"), "{script}: {told:#}");
        assert!(error["message"].as_str().unwrap().contains(fields), "{script}: {told:#}");
        assert!(stub.seen().iter().all(|request| request.starts_with("GET")), "{:?}", stub.seen());
        // What is given is not carried on: nobody else's value of it matters, and nothing else has changed.
        let stub = edited_meanwhile(entity, first, first);
        let told = outcome(&stub.url, &script);
        assert_eq!(told["errors"], json!([]), "{script}: {told:#}");
        assert_eq!(stub.seen().iter().filter(|request| !request.starts_with("GET")).count(), 1, "{:?}", stub.seen());
    }
}

#[test]
fn a_search_that_is_not_there_is_an_error() {
    let sandbox = Sandbox::start(&[]);
    for script in ["Get-JIMPredefinedSearch -Id 4711", "Get-JIMPredefinedSearchCriteriaGroup -PredefinedSearchId 4711"]
    {
        let told = outcome(&sandbox.url, script);
        assert_eq!(told["errors"].as_array().unwrap().len(), 1, "{script}: {told:#}");
        assert_eq!(told["errors"][0]["category"], "ObjectNotFound", "{script}: {told:#}");
        assert_eq!(told["count"], 0, "{script}: {told:#}");
    }
}

#[test]
fn keys_of_a_map_stay_as_they_are() {
    let (stub, _) = recording(|_, _| {
        support::json(200, r#"{"id":1,"operationCounts":{"added":1,"joined-elsewhere":2},"targetName":"x"}"#)
    });
    let told = outcome(&stub.url, &format!("ConvertTo-Json -Compress (Get-JIMActivity -Id {GUID})"));
    let shown: Value = serde_json::from_str(told["values"][0].as_str().unwrap()).unwrap();
    assert_eq!(shown["OperationCounts"], json!({"added": 1, "joined-elsewhere": 2}), "{told:#}");
    assert_eq!(shown["TargetName"], "x");
}

#[test]
fn the_secret_of_a_new_key_is_shown_or_the_key_is_taken_back() {
    let sandbox = Sandbox::start(&[]);
    let run = Pwsh::new(&sandbox.url).run(&format!(
        "{CONNECT}(New-JIMApiKey -Name one -PassThru).Key -match '^jim_ak_'
        @(New-JIMApiKey -Name two 6>&1 | Where-Object {{ \"$_\" -match 'jim_ak_' }}).Count"
    ));
    assert_eq!(lines(&run), ["True", "1"], "{}", run.text());

    // The call is stopped while the server is at work: nobody will see that key.
    let run = Pwsh::new(&sandbox.url).run(&format!(
        "{CONNECT}$other = [powershell]::Create()
        $null = $other.AddScript('Import-Module $env:TEST_MODULE; Get-JIMApiKey').Invoke()
        $other.Commands.Clear()
        $null = Invoke-RestMethod -Method Post -Uri \"$Url/sandbox/faults\" -ContentType application/json -Body '{{\"latencyMs\": 3000}}'
        $null = $other.AddScript('New-JIMApiKey -Name unseen -PassThru')
        $going = $other.BeginInvoke()
        Start-Sleep -Milliseconds 1000
        $other.Stop()
        $null = Invoke-RestMethod -Method Delete -Uri \"$Url/sandbox/faults\"
        foreach ($wait in 1..40) {{
            Start-Sleep -Milliseconds 250
            if ((Invoke-RestMethod -Uri \"$Url/sandbox/record\").requests.method -contains 'DELETE') {{ break }}
        }}
        @(Get-JIMApiKey).Name | Sort-Object"
    ));
    let keys = lines(&run);
    let made = sandbox.record().iter().filter(|request| *request == "POST /api/v1/apikeys").count();
    assert_eq!(made, 3, "the third key was asked for: {}", run.text());
    assert!(sandbox.record().iter().any(|request| request.starts_with("DELETE /api/v1/apikeys/")), "{}", run.text());
    assert!(keys.contains(&"one") && !keys.contains(&"unseen"), "{}", run.text());
}
