//! Every way a call can fail: one clear ErrorRecord with category, stable id, the server's words and advice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use support::{COLLECT, Pwsh, READER_KEY, Sandbox, Stub, greeting, json};

const CONNECT: &str = "$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null\n";

/// Runs a statement against the sandbox and gives back what became of it.
fn outcome(sandbox: &Sandbox, script: &str) -> Value {
    Pwsh::new(&sandbox.url).run(&format!("{COLLECT}{CONNECT}Show-Outcome {{ {script} }}")).json()
}

/// Exactly one error, with these marks.
#[track_caller]
fn one_error(outcome: &Value, id: &str, category: &str, words: &[&str]) {
    let errors = outcome["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{outcome:#}");
    let error = &errors[0];
    assert!(error["id"].as_str().unwrap().starts_with(&format!("JIM.{id},")), "{error:#}");
    assert_eq!(error["category"], category, "{error:#}");
    let message = error["message"].as_str().unwrap();
    for word in words {
        assert!(message.contains(word), "no '{word}' in: {message}");
    }
    assert_ne!(error["advice"], "", "{error:#}");
    assert!(!message.contains("jim_ak_"), "{message}");
}

fn fault(json: &str) -> Value {
    let sandbox = Sandbox::start(&[]);
    let connect = format!("{COLLECT}{CONNECT}");
    let script = format!(
        "{connect}$null = Invoke-RestMethod -Method Post -Uri \"$Url/sandbox/faults\" -ContentType application/json -Body '{json}'\nShow-Outcome {{ Get-JIMRunProfile -ConnectedSystemId 1 }}"
    );
    Pwsh::new(&sandbox.url).run(&script).json()
}

#[test]
fn no_address() {
    for url in ["ftp://example.org", "jim.example.com"] {
        let outcome =
            Pwsh::new(url).run(&format!("{COLLECT}Show-Outcome {{ Connect-JIM -Url $Url -ApiKey x }}")).json();
        one_error(&outcome, "InvalidUrl", "InvalidArgument", &[url, "http://"]);
        assert_eq!(outcome["terminating"], true);
    }
}

#[test]
fn no_such_name() {
    let outcome = Pwsh::new("http://nonexistent.invalid")
        .run(&format!("{COLLECT}Show-Outcome {{ Connect-JIM -Url $Url -ApiKey $ApiKey 3>$null }}"))
        .json();
    one_error(&outcome, "NameNotResolved", "ConnectionError", &["nonexistent.invalid", "could not be resolved"]);
}

#[test]
fn server_down() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let outcome = Pwsh::new(&url)
        .run(&format!("{COLLECT}Show-Outcome {{ Connect-JIM -Url $Url -ApiKey $ApiKey }}; Get-JIMConnection"))
        .json();
    one_error(&outcome, "ConnectionRefused", "ConnectionError", &[&url, "refused"]);
    assert_eq!(outcome["terminating"], true);
}

#[test]
fn timeout() {
    let sandbox = Sandbox::start(&[]);
    let script = format!(
        "{COLLECT}$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist -RequestTimeoutSeconds 1 6>$null
        $null = Invoke-RestMethod -Method Post -Uri \"$Url/sandbox/faults\" -ContentType application/json -Body '{{\"latencyMs\":5000}}'
        Show-Outcome {{ Get-JIMRunProfile -ConnectedSystemId 1 }}"
    );
    one_error(&Pwsh::new(&sandbox.url).run(&script).json(), "Timeout", "OperationTimeout", &["1 s"]);
}

#[test]
fn validation_errors_as_problem_details() {
    let outcome =
        outcome(&Sandbox::start(&[]), "New-JIMRunProfile -ConnectedSystemId 1 -Name ('x' * 201) -RunType Export");
    one_error(&outcome, "ValidationFailed", "InvalidData", &["Name", "200"]);
    assert_eq!(outcome["errors"][0]["status"], 400);
    assert_eq!(outcome["terminating"], false);
}

#[test]
fn unknown_key() {
    let sandbox = Sandbox::start(&[]);
    let outcome = Pwsh::new(&sandbox.url)
        .run(&format!("{COLLECT}Show-Outcome {{ Connect-JIM -Url $Url -ApiKey jim_ak_wrong_0000000 }}"))
        .json();
    one_error(
        &outcome,
        "AuthenticationFailed",
        "AuthenticationError",
        &["Authentication failed", "API key may be invalid", "Authentication required"],
    );
}

#[test]
fn key_without_roles() {
    let sandbox = Sandbox::start(&[]);
    let script = format!(
        "{COLLECT}$c = Connect-JIM -Url $Url -ApiKey {READER_KEY} -NoPersist 3>$null 6>$null\nif ($c.Authorised) {{ throw 'authorised' }}\nShow-Outcome {{ Get-JIMConnectedSystem }}"
    );
    one_error(
        &Pwsh::new(&sandbox.url).run(&script).json(),
        "AccessDenied",
        "PermissionDenied",
        &["Access denied", "403"],
    );
}

#[test]
fn not_found() {
    let outcome = outcome(&Sandbox::start(&[]), "Set-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 999 -PageSize 5");
    one_error(&outcome, "NotFound", "ObjectNotFound", &["not found", "run profile 999 of connected system 1"]);
    assert_eq!(outcome["errors"][0]["status"], 404);
    assert_eq!(outcome["errors"][0]["type"], "KeyNotFoundException");
}

#[test]
fn conflict() {
    one_error(&fault(r#"{"nextStatus":[409]}"#), "Conflict", "ResourceExists", &["409"]);
}

#[test]
fn rate_limit_passes_with_and_without_retry_after() {
    for fault_json in [r#"{"nextStatus":[429],"retryAfter":"1","count":1}"#, r#"{"nextStatus":[429],"count":1}"#] {
        let outcome = fault(fault_json);
        assert_eq!(outcome["errors"].as_array().unwrap().len(), 0, "{outcome:#}");
        assert_eq!(outcome["count"], 3);
    }
}

#[test]
fn server_errors_are_not_retried_but_a_gateway_is() {
    one_error(&fault(r#"{"nextStatus":[500]}"#), "ServerError", "NotSpecified", &["500"]);
    let outcome = fault(r#"{"nextStatus":[503,502],"count":2}"#);
    assert_eq!(outcome["count"], 3, "{outcome:#}");
}

#[test]
fn a_web_page_instead_of_json() {
    one_error(&fault(r#"{"html":true,"count":1}"#), "UnexpectedAnswer", "ProtocolError", &["web page"]);
}

#[test]
fn an_empty_answer() {
    one_error(&fault(r#"{"emptyBody":true,"count":1}"#), "UnexpectedAnswer", "ProtocolError", &["empty"]);
}

#[test]
fn json_that_is_cut_off() {
    one_error(&fault(r#"{"truncatedJson":true,"count":1}"#), "UnexpectedAnswer", "ProtocolError", &["cut off"]);
}

#[test]
fn an_answer_of_another_shape() {
    one_error(&fault(r#"{"wrongShape":true,"count":1}"#), "UnexpectedAnswer", "InvalidResult", &["shape"]);
}

#[test]
fn the_401_that_means_a_database_that_is_down() {
    one_error(&fault(r#"{"databaseDown":true}"#), "DatabaseDown", "ResourceUnavailable", &["database", "not at fault"]);
}

#[test]
fn a_lost_connection_is_retried_for_reads_and_told_for_creations() {
    let outcome = fault(r#"{"reset":"before","count":2}"#);
    assert_eq!(outcome["count"], 3, "{outcome:#}");
    let stub = Stub::start(|method, path, _| match (method, path.split('?').next().unwrap()) {
        ("GET", "/api/v1/health") => json(200, r#"{"status":"healthy"}"#),
        ("GET", "/api/v1/synchronisation/connected-systems") => json(200, r#"{"items":[]}"#),
        ("POST", _) => String::new(),
        _ => json(404, "{}"),
    });
    let outcome = Pwsh::new(&stub.url)
        .run(&format!(
            "{COLLECT}{CONNECT}Show-Outcome {{ New-JIMRunProfile -ConnectedSystemId 1 -Name x -RunType Export }}"
        ))
        .json();
    one_error(&outcome, "ConnectionLost", "ConnectionError", &["lost", "may or may not"]);
    assert_eq!(stub.seen().iter().filter(|r| r.starts_with("POST")).count(), 1, "{:?}", stub.seen());
}

#[test]
fn one_bad_item_does_not_stop_the_others() {
    let sandbox = Sandbox::start(&[]);
    let outcome = outcome(
        &sandbox,
        "1, 99, 2 | ForEach-Object { [pscustomobject] @{ Id = $_ } } | Get-JIMRunProfile | Select-Object -ExpandProperty ConnectedSystemId -Unique",
    );
    one_error(&outcome, "NotFound", "ObjectNotFound", &["99"]);
    assert_eq!(outcome["terminating"], false);
    assert_eq!(outcome["values"], serde_json::json!([1, 2]));
}

#[test]
fn stop_is_honoured_as_parameter_and_as_preference_of_the_script() {
    let sandbox = Sandbox::start(&[]);
    let parameter = outcome(&sandbox, "Get-JIMRunProfile -ConnectedSystemId 99 -ErrorAction Stop; 'reached'");
    assert_eq!(
        (&parameter["terminating"], &parameter["count"]),
        (&Value::Bool(true), &Value::from(0)),
        "{parameter:#}"
    );
    let script = format!(
        "{COLLECT}{CONNECT}$ErrorActionPreference = 'Stop'\nShow-Outcome {{ Get-JIMRunProfile -ConnectedSystemId 99; 'reached' }}"
    );
    let preference = Pwsh::new(&sandbox.url).run(&script).json();
    assert_eq!(
        (&preference["terminating"], &preference["count"]),
        (&Value::Bool(true), &Value::from(0)),
        "{preference:#}"
    );
}

#[test]
fn a_catch_can_tell_failures_apart() {
    let sandbox = Sandbox::start(&[]);
    let run = Pwsh::new(&sandbox.url).run(&format!(
        "{CONNECT}try {{ Get-JIMRunProfile -ConnectedSystemId 99 -ErrorAction Stop }}
        catch [System.Collections.Generic.KeyNotFoundException] {{ \"caught $($_.FullyQualifiedErrorId)\" }}"
    ));
    assert!(run.stdout.contains("caught JIM.NotFound,Get-JIMRunProfile"), "{}", run.text());
}

#[test]
fn not_connected() {
    let outcome = Pwsh::new("http://127.0.0.1:9")
        .run(&format!("{COLLECT}Show-Outcome {{ Get-JIMRunProfile -ConnectedSystemId 1 }}"))
        .json();
    one_error(&outcome, "NotConnected", "ConnectionError", &["Connect-JIM"]);
}

#[test]
fn names_that_are_unknown_or_ambiguous() {
    let sandbox = Sandbox::start(&[]);
    let unknown = outcome(&sandbox, "Get-JIMRunProfile -ConnectedSystemName Payroll");
    one_error(&unknown, "NameNotFound", "ObjectNotFound", &["not found", "Payroll"]);
    let ambiguous = outcome(
        &sandbox,
        "New-JIMRunProfile -ConnectedSystemId 1 -Name 'Full Import' -RunType Export; Set-JIMRunProfile -ConnectedSystemId 1 -RunProfileName 'full import' -PageSize 5",
    );
    one_error(&ambiguous, "NameAmbiguous", "InvalidArgument", &["Multiple", "-RunProfileId"]);
}

/// What `Get-JIMConnectedSystem -Id 1` says of a server that answers this, and how often it asked.
fn answered(answer: String) -> (Value, usize) {
    let stub = Stub::start(move |_, path, _| greeting(path).unwrap_or_else(|| answer.clone()));
    let script = format!("{COLLECT}{CONNECT}Show-Outcome {{ Get-JIMConnectedSystem -Id 1 }}");
    let outcome = Pwsh::new(&stub.url).run(&script).json();
    let times = stub.seen().iter().filter(|request| request.ends_with("/connected-systems/1")).count();
    (outcome, times)
}

#[test]
fn validation_errors_with_the_servers_own_code_name_each_field() {
    let body = r#"{"code":"VALIDATION_ERROR","message":"One or more settings are invalid.","details":null,"validationErrors":{"File Path":["File not found: 'x'."]}}"#;
    let (outcome, times) = answered(json(400, body));
    let words = ["One or more settings are invalid.", "File Path: File not found: 'x'."];
    one_error(&outcome, "ValidationFailed", "InvalidData", &words);
    assert_eq!(times, 1);
}

#[test]
fn a_plain_bad_request_keeps_the_servers_words() {
    let (outcome, times) = answered(json(400, r#"{"code":"BAD_REQUEST","message":"The filter makes no sense."}"#));
    one_error(&outcome, "BadRequest", "InvalidArgument", &["(400)", "The filter makes no sense."]);
    assert_eq!(outcome["errors"][0]["server"], "The filter makes no sense.");
    assert_eq!(times, 1);
}

#[test]
fn a_rate_limit_that_stays_is_an_error_in_the_end() {
    let body = r#"{"error":"Too Many Requests","message":"Rate limit exceeded."}"#;
    let length = body.len();
    let (outcome, times) = answered(format!(
        "HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    one_error(&outcome, "RateLimited", "LimitsExceeded", &["429", "Rate limit exceeded."]);
    assert_eq!(times, 6, "tried five times more");
}

#[test]
fn a_proxy_that_has_lost_its_server_is_asked_again_and_its_page_is_not_shown() {
    let page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    let length = page.len();
    let (outcome, times) =
        answered(format!("HTTP/1.1 502 X\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}"));
    one_error(&outcome, "ServiceUnavailable", "ResourceUnavailable", &["(502)", "502 Bad Gateway"]);
    assert!(!outcome["errors"][0]["message"].as_str().unwrap().contains('<'), "{outcome:#}");
    assert!(times > 1);
}

#[test]
fn the_page_of_another_site_is_not_taken_for_the_server() {
    let sandbox = Sandbox::start(&[]);
    let script = format!("{COLLECT}Show-Outcome {{ Connect-JIM -Url \"$Url/elsewhere\" -ApiKey $ApiKey -NoPersist }}");
    let outcome = Pwsh::new(&sandbox.url).run(&script).json();
    one_error(&outcome, "UnexpectedAnswer", "ProtocolError", &["web page", "Check the URL"]);
}

#[test]
fn a_list_with_something_else_in_it_is_no_list_of_objects() {
    for body in [r#"["unexpected"]"#, "[1]", r#"{"items":[["unexpected"]],"totalCount":1}"#] {
        let (outcome, _) = answered(json(200, body));
        if body.starts_with('[') {
            one_error(&outcome, "UnexpectedAnswer", "InvalidResult", &["another shape"]);
            assert_eq!(outcome["count"], 0, "{outcome:#}");
        }
        let stub = Stub::start(move |_, path, _| match path {
            path if path.ends_with("/run-profiles") => json(200, body),
            path => greeting(path).unwrap_or_else(|| json(404, "{}")),
        });
        let script = format!("{COLLECT}{CONNECT}Show-Outcome {{ Get-JIMRunProfile -ConnectedSystemId 1 }}");
        let outcome = Pwsh::new(&stub.url).run(&script).json();
        one_error(&outcome, "UnexpectedAnswer", "InvalidResult", &["another shape"]);
        assert_eq!(outcome["count"], 0, "{outcome:#}");
    }
}

#[test]
fn what_can_be_sent_twice_survives_a_lost_answer() {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(
        r#"[{"reset": "after", "method": "PUT", "count": 1}, {"reset": "after", "method": "DELETE", "count": 1}]"#,
    );
    let told = outcome(
        &sandbox,
        "Set-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -PageSize 7 -PassThru
        Remove-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -Force
        @(Get-JIMRunProfile -ConnectedSystemId 1).Count",
    );
    assert_eq!(told["errors"], serde_json::json!([]), "a removal that happened isn't called missing: {told:#}");
    assert_eq!((&told["values"][0]["PageSize"], &told["values"][1]), (&7.into(), &2.into()), "{told:#}");
}

#[test]
fn quiet_errors_are_remembered_and_ignored_ones_are_not() {
    let sandbox = Sandbox::start(&[]);
    let quiet = "Get-JIMConnectedSystem -Id 99 -ErrorAction SilentlyContinue -ErrorVariable problem; $problem.Count";
    let told = outcome(&sandbox, quiet);
    one_error(&told, "NotFound", "ObjectNotFound", &["99"]);
    assert_eq!(told["values"][0], 1, "{told:#}");
    let told = outcome(&sandbox, "Get-JIMConnectedSystem -Id 99 -ErrorAction Ignore");
    assert_eq!(told["errors"], serde_json::json!([]), "{told:#}");
}
