//! Everything that goes wrong between here and the server, triggered: one clear error record each,
//! with a category, a stable id, the server's own words and what to do next.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use support::pwsh::{Pwsh, pwsh};
use support::sandbox::Sandbox;
use support::stub::{Stub, Told, greeting};
use support::told::{is_error, no_error, one_error};

/// The one outcome of a script at a server.
fn outcome(url: &str, script: &str) -> Value {
    pwsh(url, script).ok().json()
}

/// What `Get-JIMConnectedSystem -Id 1` says of a sandbox with this fault.
fn with_fault(fault: &str) -> Value {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(fault);
    outcome(&sandbox.url, "Connect; Write-Result (Get-Outcome { Get-JIMConnectedSystem -Id 1 })")
}

/// What `Get-JIMConnectedSystem -Id 1` says of a server that answers this, and how often it asked.
fn with_answer(told: Told) -> (Value, usize) {
    let stub = Stub::start(move |asked| greeting(asked).unwrap_or_else(|| told.clone()));
    let outcome = outcome(&stub.url(), "Connect; Write-Result (Get-Outcome { Get-JIMConnectedSystem -Id 1 })");
    let times = stub.requests().iter().filter(|asked| asked.ends_with("/connected-systems/1")).count();
    (outcome, times)
}

// ---- the server is not there, or not what was meant -------------------------------------------------

#[test]
fn an_address_without_http_is_refused_before_anything_is_sent() {
    let outcome = outcome("", "Write-Result (Get-Outcome { Connect-JIM -Url 'jim.example' -ApiKey k -NoPersist })");
    one_error(&outcome, "JIM.InvalidUrl", "InvalidArgument", &["jim.example", "https://"]);
    assert_eq!(outcome["terminated"], true);
}

#[test]
fn a_name_that_does_not_resolve() {
    let script = "Write-Result (Get-Outcome { Connect-JIM -Url 'https://nonexistent.invalid' -ApiKey k -NoPersist })";
    let outcome = outcome("", script);
    let error = one_error(&outcome, "JIM.NameNotResolved", "ConnectionError", &["nonexistent.invalid", "resolved"]);
    assert!(error["advice"].as_str().unwrap().contains("spelling"), "{error:#}");
}

#[test]
fn a_server_that_is_down() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let script = "Write-Result (Get-Outcome { Connect-JIM -Url $Url -ApiKey k -NoPersist })";
    let outcome = outcome(&format!("http://{free}"), script);
    let error = one_error(&outcome, "JIM.ConnectionRefused", "ConnectionError", &["refused", &free.to_string()]);
    assert_eq!(error["retryable"], true);
}

#[test]
fn a_server_that_goes_down_in_the_middle() {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(r#"{"reset": "before", "path": "/api/v1/synchronisation/connected-systems/1"}"#);
    let outcome = outcome(&sandbox.url, "Connect; Write-Result (Get-Outcome { Get-JIMConnectedSystem -Id 1 })");
    one_error(&outcome, "JIM.ConnectionLost", "ConnectionError", &["connection", "lost"]);
}

#[test]
fn a_new_object_whose_answer_was_lost_is_said_to_be_in_doubt_and_not_sent_again() {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(r#"{"reset": "after", "method": "POST"}"#);
    let script =
        "Connect; Write-Result (Get-Outcome { New-JIMRunProfile -ConnectedSystemId 1 -Name New -RunType Export })";
    let outcome = outcome(&sandbox.url, script);
    let words = ["lost", "may or may not have carried it out"];
    let error = one_error(&outcome, "JIM.ConnectionLost", "ConnectionError", &words);
    assert_eq!(error["retryable"], false, "{error:#}");
    let posts = sandbox.requests().iter().filter(|asked| asked.starts_with("POST ")).count();
    assert_eq!(posts, 1);
}

#[test]
fn a_change_that_can_be_sent_twice_survives_a_lost_answer() {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(
        r#"[{"reset": "after", "method": "PUT", "count": 1}, {"reset": "before", "method": "DELETE", "count": 1}]"#,
    );
    let script = "Connect
Write-Result (Get-Outcome { Set-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -PageSize 7 -PassThru })
Write-Result (Get-Outcome { Remove-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -Force })";
    let told = pwsh(&sandbox.url, script).ok().results();
    no_error(&told[0]);
    assert_eq!(told[0]["output"][0]["PageSize"], 7);
    no_error(&told[1]);
}

#[test]
fn a_removal_whose_answer_was_lost_is_not_called_missing() {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(r#"{"reset": "after", "method": "DELETE", "count": 1}"#);
    let script =
        "Connect; Write-Result (Get-Outcome { Remove-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -Force })";
    no_error(&outcome(&sandbox.url, script));
}

#[test]
fn no_answer_in_time() {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(r#"{"latencyMs": 20000, "path": "/api/v1/synchronisation/connected-systems/1"}"#);
    let script = "Connect -RequestTimeoutSeconds 1; Write-Result (Get-Outcome { Get-JIMConnectedSystem -Id 1 })";
    let start = Instant::now();
    let outcome = outcome(&sandbox.url, script);
    one_error(&outcome, "JIM.Timeout", "OperationTimeout", &["1 s", "/api/v1/synchronisation/connected-systems/1"]);
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[test]
fn a_page_of_another_site_is_not_taken_for_the_server() {
    let sandbox = Sandbox::start(&[]);
    let script = "Write-Result (Get-Outcome { Connect-JIM -Url \"$Url/elsewhere\" -ApiKey $ApiKey -NoPersist })";
    let outcome = outcome(&sandbox.url, script);
    one_error(&outcome, "JIM.UnexpectedAnswer", "ProtocolError", &["web page", "Check the URL"]);
}

// ---- certificates -----------------------------------------------------------------------------------

fn tls_server() -> (Stub, String) {
    Stub::start_tls(|asked| greeting(asked).unwrap_or_else(|| Told::json(200, "{}")))
}

#[test]
fn a_certificate_nobody_vouches_for_is_refused() {
    let (server, _) = tls_server();
    let script = "Write-Result (Get-Outcome { Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist })";
    let outcome = outcome(&server.url(), script);
    let error = one_error(&outcome, "JIM.TlsRefused", "SecurityError", &["certificate", "not signed by an authority"]);
    assert!(error["advice"].as_str().unwrap().contains("-CertificateFile"), "{error:#}");
    assert!(server.asked().is_empty(), "nothing was sent: {:?}", server.requests());
}

#[test]
fn a_certificate_that_is_named_is_trusted() {
    let (server, pem) = tls_server();
    let session = Pwsh::new();
    let file = session.home.join("server.pem");
    std::fs::write(&file, pem).unwrap();
    let file = file.display();
    let script = format!(
        "Write-Result (Get-Outcome {{ Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist -CertificateFile '{file}' }})"
    );
    let outcome = session.run(&server.url(), &script).ok().json();
    no_error(&outcome);
    assert_eq!(outcome["output"][0]["Connected"], true, "{outcome:#}");
    assert!(server.asked().len() >= 3);
}

#[test]
fn a_certificate_check_can_be_skipped() {
    let (server, _) = tls_server();
    let script =
        "Write-Result (Get-Outcome { Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist -SkipCertificateCheck })";
    let outcome = outcome(&server.url(), script);
    no_error(&outcome);
    assert_eq!(outcome["output"][0]["Connected"], true, "{outcome:#}");
}

#[test]
fn a_certificate_file_that_is_none() {
    let session = Pwsh::new();
    let file = session.home.join("none.pem");
    std::fs::write(&file, "nothing to see").unwrap();
    let script = format!(
        "Write-Result (Get-Outcome {{ Connect-JIM -Url https://127.0.0.1:9 -ApiKey k -NoPersist -CertificateFile '{}' }})",
        file.display()
    );
    let outcome = session.run("", &script).ok().json();
    one_error(&outcome, "JIM.CertificateFileInvalid", "InvalidArgument", &["none.pem", "no certificate"]);
}

// ---- the server says no -----------------------------------------------------------------------------

#[test]
fn validation_errors_of_problem_details_name_each_field() {
    let sandbox = Sandbox::start(&[]);
    let script = "Connect; Write-Result (Get-Outcome { Set-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -FilePath ('x' * 501) })";
    let outcome = outcome(&sandbox.url, script);
    let words = ["(400)", "FilePath: The field FilePath must be a string with a maximum length of 500."];
    let error = one_error(&outcome, "JIM.ValidationFailed", "InvalidData", &words);
    assert_eq!(error["status"], 400);
    assert_eq!(error["serverMessage"], "One or more validation errors occurred.");
}

#[test]
fn validation_errors_with_the_servers_own_code_name_each_field() {
    let body = r#"{"code":"VALIDATION_ERROR","message":"One or more settings are invalid.","details":null,"validationErrors":{"File Path":["File not found: 'x'."]},"timestamp":"2026-01-01T00:00:00Z"}"#;
    let (outcome, _) = with_answer(Told::json(400, body));
    let words = ["One or more settings are invalid.", "File Path: File not found: 'x'."];
    one_error(&outcome, "JIM.ValidationFailed", "InvalidData", &words);
}

#[test]
fn a_plain_bad_request_keeps_the_servers_words() {
    let body = r#"{"code":"BAD_REQUEST","message":"The filter makes no sense.","details":null}"#;
    let (outcome, times) = with_answer(Told::json(400, body));
    let error = one_error(&outcome, "JIM.BadRequest", "InvalidArgument", &["(400)", "The filter makes no sense."]);
    assert_eq!(error["serverMessage"], "The filter makes no sense.");
    assert_eq!(times, 1);
}

#[test]
fn a_key_that_is_refused() {
    let sandbox = Sandbox::start(&[]);
    let script = "Write-Result (Get-Outcome { Connect-JIM -Url $Url -ApiKey 'jim_ak_wrong' -NoPersist })";
    let outcome = outcome(&sandbox.url, script);
    let words = ["(401)", "Authentication required"];
    let error = one_error(&outcome, "JIM.AuthenticationFailed", "AuthenticationError", &words);
    assert!(!error["message"].as_str().unwrap().contains("jim_ak_wrong"), "{error:#}");
}

#[test]
fn the_401_of_a_server_without_its_database_does_not_blame_the_key() {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(r#"{"databaseDown": true}"#);
    let script = "Write-Result (Get-Outcome { Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist })";
    let outcome = outcome(&sandbox.url, script);
    let error = one_error(&outcome, "JIM.DatabaseDown", "ResourceUnavailable", &["database", "not at fault"]);
    assert!(error["advice"].as_str().unwrap().contains("Keep the key"), "{error:#}");
}

#[test]
fn the_database_may_go_down_after_connecting() {
    let outcome = with_fault(
        r#"[{"databaseDown": true, "path": "/api/v1/synchronisation/connected-systems/1"},
                                 {"databaseDown": true, "path": "/api/v1/health/ready"}]"#,
    );
    one_error(&outcome, "JIM.DatabaseDown", "ResourceUnavailable", &["database"]);
}

#[test]
fn a_key_without_the_role() {
    let sandbox = Sandbox::start(&[]);
    let key = support::READER_KEY;
    let script = format!(
        "Connect-JIM -Url $Url -ApiKey '{key}' -NoPersist 3>$null | Out-Null; Write-Result (Get-Outcome {{ Get-JIMConnectedSystem -Id 1 }})"
    );
    let outcome = outcome(&sandbox.url, &script);
    let error = one_error(&outcome, "JIM.AccessDenied", "PermissionDenied", &["(403)", "role"]);
    assert_eq!(error["status"], 403);
}

#[test]
fn something_that_does_not_exist() {
    let sandbox = Sandbox::start(&[]);
    let outcome = outcome(&sandbox.url, "Connect; Write-Result (Get-Outcome { Get-JIMConnectedSystem -Id 99 })");
    let words = ["Connected System with ID 99 not found."];
    let error = one_error(&outcome, "JIM.NotFound", "ObjectNotFound", &words);
    assert_eq!(error["serverMessage"], words[0]);
}

#[test]
fn a_conflict() {
    let body = r#"{"code":"CONFLICT","message":"A run is in progress.","details":null}"#;
    let (outcome, times) = with_answer(Told::json(409, body));
    one_error(&outcome, "JIM.Conflict", "ResourceExists", &["(409)", "A run is in progress."]);
    assert_eq!(times, 1);
}

// ---- the server can't -------------------------------------------------------------------------------

#[test]
fn a_rate_limit_with_a_time_is_waited_out() {
    let sandbox = Sandbox::start(&[]);
    let path = "/api/v1/synchronisation/connected-systems/1";
    sandbox.faults(&format!(r#"{{"nextStatus": [429], "retryAfter": "1", "path": "{path}"}}"#));
    let script = "Connect; $sw = [Diagnostics.Stopwatch]::StartNew(); $o = Get-Outcome { Get-JIMConnectedSystem -Id 1 }; $o.ms = $sw.ElapsedMilliseconds; Write-Result $o";
    let outcome = outcome(&sandbox.url, script);
    no_error(&outcome);
    assert_eq!(outcome["output"][0]["Name"], "HR CSV Source");
    let waited = outcome["ms"].as_i64().unwrap();
    assert!((950..4000).contains(&waited), "waited {waited} ms");
    let asked: Vec<_> = sandbox.requests().into_iter().filter(|asked| asked.contains(path)).collect();
    assert_eq!(asked, [format!("GET {path} 429"), format!("GET {path} 200")]);
}

#[test]
fn a_rate_limit_without_a_time_is_waited_out() {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(r#"{"nextStatus": [429], "path": "/api/v1/synchronisation/connected-systems/1"}"#);
    let script = "Connect; $sw = [Diagnostics.Stopwatch]::StartNew(); $o = Get-Outcome { Get-JIMConnectedSystem -Id 1 }; $o.ms = $sw.ElapsedMilliseconds; Write-Result $o";
    let outcome = outcome(&sandbox.url, script);
    no_error(&outcome);
    assert_eq!(outcome["output"][0]["Id"], 1);
    let waited = outcome["ms"].as_i64().unwrap();
    assert!((900..5000).contains(&waited), "waited {waited} ms");
}

#[test]
fn a_rate_limit_that_stays_is_an_error_in_the_end() {
    // Six answers with a second between them: the shortest that proves the end of patience.
    let body = r#"{"error":"Too Many Requests","message":"Rate limit exceeded."}"#;
    let (outcome, times) = with_answer(Told::json(429, body).header("Retry-After", "1"));
    let error = one_error(&outcome, "JIM.RateLimited", "LimitsExceeded", &["429", "Rate limit exceeded."]);
    assert_eq!(error["retryAfter"], 1, "{error:#}");
    assert_eq!(error["retryable"], true);
    assert_eq!(times, 6);
}

#[test]
fn a_failure_of_the_server_is_shown_with_its_words_and_not_repeated() {
    let body = r#"{"code":"INTERNAL_ERROR","message":"Object reference not set.","details":null}"#;
    let (outcome, times) = with_answer(Told::json(500, body));
    let error = one_error(&outcome, "JIM.ServerError", "NotSpecified", &["(500)", "Object reference not set."]);
    assert_eq!(error["status"], 500);
    assert_eq!(times, 1);
}

#[test]
fn a_server_that_is_away_for_a_moment_is_not_noticed() {
    let outcome = with_fault(r#"{"nextStatus": [503], "path": "/api/v1/synchronisation/connected-systems/1"}"#);
    no_error(&outcome);
    assert_eq!(outcome["output"][0]["Id"], 1);
}

#[test]
fn a_proxy_that_has_lost_its_server() {
    let page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    let told = Told { status: 502, headers: vec![("Content-Type".into(), "text/html".into())], body: page.into() };
    let (outcome, times) = with_answer(told);
    let error = one_error(&outcome, "JIM.ServiceUnavailable", "ResourceUnavailable", &["(502)", "502 Bad Gateway"]);
    assert!(!error["message"].as_str().unwrap().contains('<'), "{error:#}");
    assert!(times > 1, "a read is tried again");
}

// ---- success that is none ---------------------------------------------------------------------------

#[test]
fn a_page_instead_of_data() {
    let outcome = with_fault(r#"{"html": true, "path": "/api/v1/synchronisation/connected-systems/1"}"#);
    one_error(&outcome, "JIM.UnexpectedAnswer", "ProtocolError", &["web page"]);
}

#[test]
fn an_empty_answer() {
    let outcome = with_fault(r#"{"emptyBody": true, "path": "/api/v1/synchronisation/connected-systems/1"}"#);
    one_error(&outcome, "JIM.UnexpectedAnswer", "ProtocolError", &["empty"]);
}

#[test]
fn json_that_is_cut_off() {
    let outcome = with_fault(r#"{"truncatedJson": true, "path": "/api/v1/synchronisation/connected-systems/1"}"#);
    one_error(&outcome, "JIM.UnexpectedAnswer", "ProtocolError", &["cut off"]);
}

#[test]
fn an_answer_of_another_shape() {
    // A list with a text in it, in place of one object and in place of a page of objects.
    let sandbox = Sandbox::start(&[]);
    let script = "Connect
Invoke-RestMethod -Method Post -Uri \"$Url/sandbox/faults\" -Body '{\"wrongShape\": true}' -ContentType application/json | Out-Null
Write-Result (Get-Outcome { Get-JIMConnectedSystem -Id 1 })
Write-Result (Get-Outcome { Get-JIMConnectedSystem })";
    let told = pwsh(&sandbox.url, script).ok().results();
    for outcome in &told {
        one_error(outcome, "JIM.UnexpectedAnswer", "InvalidResult", &["another shape"]);
        assert_eq!(outcome["output"], serde_json::json!([]), "{outcome:#}");
    }
    assert_eq!(told.len(), 2);
}

// ---- how errors behave in PowerShell ----------------------------------------------------------------

const THREE: &str = "Connect\n$ids = 1, 99, 2\n";

#[test]
fn one_bad_item_does_not_stop_the_pipeline() {
    let sandbox = Sandbox::start(&[]);
    let script = format!(
        "{THREE}Write-Result (Get-Outcome {{ $ids | ForEach-Object {{ [pscustomobject] @{{ ConnectedSystemId = $_; Id = $(if ($_ -eq 2) {{ 4 }} else {{ 1 }}) }} }} | Set-JIMRunProfile -PageSize 7 -PassThru }})"
    );
    let outcome = outcome(&sandbox.url, &script);
    one_error(&outcome, "JIM.NotFound", "ObjectNotFound", &["99"]);
    assert_eq!(outcome["terminated"], false);
    let output = outcome["output"].as_array().unwrap();
    assert_eq!(output.len(), 2, "the first and the third: {outcome:#}");
    assert!(output.iter().all(|profile| profile["PageSize"] == 7), "{outcome:#}");
}

#[test]
fn error_action_stop_ends_the_pipeline_and_try_catches_it() {
    let sandbox = Sandbox::start(&[]);
    let script = format!(
        "{THREE}Write-Result (Get-Outcome {{ $ids | ForEach-Object {{ [pscustomobject] @{{ ConnectedSystemId = $_ }} }} | Get-JIMRunProfile -ErrorAction Stop }})"
    );
    let outcome = outcome(&sandbox.url, &script);
    assert_eq!(outcome["terminated"], true);
    is_error(&outcome["errors"][0], "JIM.NotFound", "ObjectNotFound", &["99"]);
    let of: Vec<_> = outcome["output"].as_array().unwrap().iter().map(|o| o["ConnectedSystemId"].clone()).collect();
    assert!(of.iter().all(|id| id == 1) && !of.is_empty(), "nothing after the failure: {outcome:#}");
    assert!(!sandbox.requests().iter().any(|asked| asked.contains("connected-systems/2/")));
}

#[test]
fn the_preference_of_the_calling_script_counts() {
    let sandbox = Sandbox::start(&[]);
    let script = "Connect
$ErrorActionPreference = 'Stop'
$caught = $false; $reached = $false
try { Get-JIMConnectedSystem -Id 99; $reached = $true } catch { $caught = $true; $id = $_.FullyQualifiedErrorId }
Write-Result @{ caught = $caught; reached = $reached; id = $id }";
    let told = outcome(&sandbox.url, script);
    assert_eq!(told["caught"], true, "{told:#}");
    assert_eq!(told["reached"], false, "{told:#}");
    assert!(told["id"].as_str().unwrap().starts_with("JIM.NotFound,"), "{told:#}");
}

#[test]
fn quiet_errors_are_remembered_and_ignored_ones_are_not() {
    let sandbox = Sandbox::start(&[]);
    let script = "Connect
Write-Result (Get-Outcome { Get-JIMConnectedSystem -Id 99 -ErrorAction SilentlyContinue -ErrorVariable problem; $problem.Count })
Write-Result (Get-Outcome { Get-JIMConnectedSystem -Id 99 -ErrorAction Ignore })";
    let told = pwsh(&sandbox.url, script).ok().results();
    assert_eq!(told[0]["errors"], serde_json::json!([]));
    assert_eq!((&told[0]["remembered"], &told[0]["output"][0]), (&1.into(), &1.into()), "{:#}", told[0]);
    assert_eq!((&told[1]["remembered"], &told[1]["errors"]), (&0.into(), &serde_json::json!([])), "{:#}", told[1]);
}

#[test]
fn without_a_connection_a_cmdlet_says_how_to_get_one() {
    let outcome = outcome("", "Write-Result (Get-Outcome { Get-JIMConnectedSystem })");
    let error = one_error(&outcome, "JIM.NotConnected", "ConnectionError", &["Connect-JIM"]);
    assert!(error["advice"].as_str().unwrap().contains("Connect-JIM"));
}
