//! Directory Manager: signing in, renewing the token, what counts as success, lists and deletions,
//! against a server that does what each test tells it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{COLLECT, Pwsh, Run, Stub, json};

const PASSWORD: &str = "pa$$ w&rd=ü-4711";
const CLIENT_ID: &str = "client-8f31c7";
const CLIENT_SECRET: &str = "sec+ret/55e2a1";
const TOKEN: &str = "/GroupIDSecurityService/connect/token";
const JOBS: &str = "/GroupIDDataService/api/DataSyncJobs";

const CONNECT: &str = r#"
$Credential = [pscredential]::new('CORP\ann', (ConvertTo-SecureString -String $env:TEST_PASSWORD -AsPlainText -Force))
$SignIn = @{ Server = $Url; Credential = $Credential; IdentityStoreId = 2; ClientId = $env:TEST_CLIENT_ID; ClientSecret = $env:TEST_CLIENT_SECRET; NoPersist = $true }
"#;

fn run(stub: &Stub, script: &str) -> Run {
    pwsh(&stub.url).run(&format!("{CONNECT}{COLLECT}{script}"))
}

fn pwsh(url: &str) -> Pwsh {
    Pwsh::new(url)
        .env("TEST_PASSWORD", PASSWORD)
        .env("TEST_CLIENT_ID", CLIENT_ID)
        .env("TEST_CLIENT_SECRET", CLIENT_SECRET)
}

fn token(number: usize, seconds: u64) -> String {
    json(
        200,
        &format!(
            r#"{{"access_token":"tok-{number}-c0ffee","refresh_token":"refresh-99","token_type":"Bearer","expires_in":{seconds}}}"#
        ),
    )
}

fn names() -> String {
    json(200, r#"[{"name":"Sync_API","type":"1"},{"name":"Template","type":"3"}]"#)
}

/// A server whose tokens are good; `answer` speaks for the rest of it.
fn server(answer: impl Fn(&str, &str, &str) -> Option<String> + Send + Sync + 'static) -> Stub {
    Stub::start(move |method, path, text| {
        answer(method, path, text).unwrap_or_else(|| match path {
            TOKEN => token(1, 1200),
            _ if path.ends_with("/Names") => names(),
            _ => json(404, ""),
        })
    })
}

fn count(stub: &Stub, request: &str) -> usize {
    stub.seen().iter().filter(|seen| *seen == request).count()
}

fn assert_no_secret(run: &Run) {
    for secret in [PASSWORD, CLIENT_ID, CLIENT_SECRET, "c0ffee", "refresh-99"] {
        assert!(!run.text().contains(secret), "{}", run.text().replace(secret, "<SECRET>"));
    }
}

#[test]
fn the_grant_has_the_documented_fields_and_no_secret_comes_out() {
    let forms = std::sync::Arc::new(Mutex::new(Vec::new()));
    let kept = std::sync::Arc::clone(&forms);
    let stub = server(move |_, path, text| {
        kept.lock().unwrap().push((path.to_owned(), text.to_owned()));
        None
    });
    let run = run(
        &stub,
        r#"$VerbosePreference = 'Continue'; $DebugPreference = 'Continue'; $InformationPreference = 'Continue'
        Connect-NDM @SignIn -PassThru | Format-List -Property *
        Get-NDMConnection | Format-List -Property *
        Get-NDMJobName
        Get-NDMJob -Id 5
        $Error | ForEach-Object { $_ | Format-List -Property * -Force; $_.Exception.Data | ConvertTo-Json }
        Disconnect-NDM
        "left: $(@(Get-NDMConnection).Count)""#,
    );
    assert!(run.stdout.contains("UserName        : CORP\\ann") && run.stdout.contains("left: 0"), "{}", run.text());
    assert!(run.stdout.contains("Template"), "{}", run.text());
    assert_no_secret(&run);
    let forms = forms.lock().unwrap();
    let (_, sent) = forms.iter().find(|(path, _)| path == TOKEN).unwrap();
    assert!(sent.starts_with(&format!("POST {TOKEN} ")) && !sent.to_lowercase().contains("authorization"), "{sent}");
    assert!(sent.to_lowercase().contains("content-type: application/x-www-form-urlencoded"), "{sent}");
    let body = sent.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(
        body,
        "grant_type=password&username=CORP%5Cann&password=pa%24%24+w%26rd%3D%C3%BC-4711&client_Id=client-8f31c7&client_secret=sec%2Bret%2F55e2a1&identity_store_id=2"
    );
    let (_, proof) = forms.iter().find(|(path, _)| path.ends_with("/Names")).unwrap();
    assert!(proof.to_lowercase().contains("authorization: bearer tok-1-c0ffee"), "{proof}");
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let issued = AtomicUsize::new(0);
    let stub = server(move |_, path, text| {
        let now = issued.load(Ordering::SeqCst);
        match path {
            TOKEN => Some(token(issued.fetch_add(1, Ordering::SeqCst) + 1, 2)),
            _ if text.contains(&format!("tok-{now}-")) => None,
            _ => Some(json(401, "")),
        }
    });
    let run = run(
        &stub,
        "Connect-NDM @SignIn 6>$null; Start-Sleep -Milliseconds 1300; @(Get-NDMJobName).Count; @(Get-NDMJobName).Count",
    );
    assert_eq!(run.stdout.split_whitespace().collect::<Vec<_>>(), ["2", "2"], "{}", run.text());
    assert_eq!(count(&stub, &format!("POST {TOKEN}")), 2);
    // Before, not after a refusal: no request was answered by 401.
    assert_eq!(count(&stub, &format!("GET {JOBS}/Names")), 3);
}

#[test]
fn after_a_401_the_token_is_renewed_once_for_all_who_wait() {
    let issued = AtomicUsize::new(0);
    let proofs = AtomicUsize::new(0);
    let stub = server(move |_, path, text| match path {
        TOKEN => {
            std::thread::sleep(std::time::Duration::from_millis(150));
            Some(token(issued.fetch_add(1, Ordering::SeqCst) + 1, 1200))
        }
        // The first token proves itself, then the server forgets it.
        _ if text.contains("tok-1-") && proofs.fetch_add(1, Ordering::SeqCst) > 0 => Some(json(401, "")),
        _ => None,
    });
    let run = run(
        &stub,
        "Connect-NDM @SignIn 6>$null
        $module = $env:TEST_MODULE
        $all = 1..4 | ForEach-Object -ThrottleLimit 4 -Parallel { Import-Module $using:module; @(Get-NDMJobName).Count }
        \"$all\"",
    );
    assert!(run.stdout.contains("2 2 2 2"), "{}", run.text());
    assert_eq!(count(&stub, &format!("POST {TOKEN}")), 2);
}

#[test]
fn a_server_that_refuses_every_token_is_asked_for_one_new_token_only() {
    let proofs = AtomicUsize::new(0);
    let stub = server(move |_, path, _| {
        (path.ends_with("/Names") && proofs.fetch_add(1, Ordering::SeqCst) > 0).then(|| json(401, ""))
    });
    let told = run(&stub, "Connect-NDM @SignIn 6>$null; Show-Outcome { Get-NDMJobName }").json();
    assert_eq!(told["errors"][0]["id"], "NDM.AuthenticationFailed,Get-NDMJobName", "{told}");
    assert_eq!(count(&stub, &format!("POST {TOKEN}")), 2);
}

#[test]
fn a_refused_renewal_is_not_tried_again() {
    let issued = AtomicUsize::new(0);
    let proofs = AtomicUsize::new(0);
    let stub = server(move |_, path, _| match path {
        TOKEN if issued.fetch_add(1, Ordering::SeqCst) > 0 => {
            Some(json(400, r#"{"error":"invalid_grant","error_description":"account locked"}"#))
        }
        _ if path.ends_with("/Names") && proofs.fetch_add(1, Ordering::SeqCst) > 0 => Some(json(401, "")),
        _ => None,
    });
    let told =
        run(&stub, "Connect-NDM @SignIn 6>$null; Show-Outcome { 1..3 | ForEach-Object { Get-NDMJobName } }").json();
    let errors = told["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3, "{told}");
    for error in errors {
        assert_eq!(error["id"], "NDM.SessionExpired,Get-NDMJobName");
        assert!(error["message"].as_str().unwrap().contains("account locked"), "{error}");
    }
    assert_eq!(count(&stub, &format!("POST {TOKEN}")), 2, "a locked account must not be knocked at again");
}

#[test]
fn a_wrong_password_is_told_without_showing_it_even_when_the_server_does() {
    let stub = server(|_, path, _| {
        (path == TOKEN).then(|| {
            let said = format!("bad password {PASSWORD} / pa%24%24+w%26rd%3D%C3%BC-4711 / {CLIENT_SECRET}");
            json(400, &format!(r#"{{"error":"invalid_grant","error_description":"{said}"}}"#))
        })
    });
    let run = run(&stub, "Show-Outcome { Connect-NDM @SignIn }; @(Get-NDMConnection).Count");
    let told = run.json();
    let error = &told["errors"][0];
    assert_eq!(
        (error["id"].as_str(), error["category"].as_str()),
        (Some("NDM.SignInRefused,Connect-NDM"), Some("AuthenticationError")),
        "{told}"
    );
    assert_eq!(told["terminating"], true);
    assert!(error["message"].as_str().unwrap().contains("invalid_grant: bad password ***"), "{error}");
    assert!(error["advice"].as_str().unwrap().contains("lock the account"), "{error}");
    assert!(run.stdout.trim_end().ends_with('0'));
    assert_no_secret(&run);
    assert!(!run.text().contains("w%26rd"), "{}", run.text());
    assert_eq!(count(&stub, &format!("POST {TOKEN}")), 1);
}

#[test]
fn a_403_of_the_web_server_is_explained_and_its_page_is_not_dumped() {
    let page = "<!DOCTYPE html><html><head><title>403 - Forbidden: Access is denied.</title></head><body><div id=\"header\"><h1>Server Error</h1></div></body></html>";
    let stub = server(move |_, path, _| {
        path.ends_with("/Names").then(|| {
            format!("HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}", page.len())
        })
    });
    let told = run(&stub, "Show-Outcome { Connect-NDM @SignIn }").json();
    let error = &told["errors"][0];
    assert_eq!(error["id"], "NDM.AddressNotAllowed,Connect-NDM", "{told}");
    let text = format!("{} {}", error["message"], error["advice"]);
    assert!(text.contains("403 - Forbidden: Access is denied.") && text.contains("allow-list"), "{text}");
    assert!(text.contains("GroupIDDataService") && !text.contains("<html") && !text.contains("Server Error"), "{text}");
}

#[test]
fn a_given_token_is_used_and_never_renewed() {
    let proofs = AtomicUsize::new(0);
    let stub = server(move |_, path, text| {
        (path.ends_with("/Names") && (!text.contains("tok-mine-c0ffee") || proofs.fetch_add(1, Ordering::SeqCst) > 0))
            .then(|| json(401, ""))
    });
    let run = run(&stub, "Connect-NDM $Url -AccessToken 'tok-mine-c0ffee' 6>$null; Show-Outcome { Get-NDMJobName }");
    let error = run.json()["errors"][0].clone();
    assert_eq!(error["id"], "NDM.AuthenticationFailed,Get-NDMJobName");
    assert!(error["advice"].as_str().unwrap().contains("can't be renewed"), "{error}");
    assert_eq!(count(&stub, &format!("POST {TOKEN}")), 0);
    assert_no_secret(&run);
}

#[test]
fn the_environment_is_enough_and_only_for_the_server_it_names() {
    let stub = server(|_, _, _| None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let with = |server: &str| {
        pwsh(&stub.url)
            .env("NDM_SERVER", server)
            .env("NDM_USERNAME", "CORP\\svc")
            .env("NDM_PASSWORD_FILE", file.to_str().unwrap())
            .env("NDM_CLIENT_ID", CLIENT_ID)
            .env("NDM_CLIENT_SECRET", CLIENT_SECRET)
            .env("NDM_IDENTITY_STORE_ID", "2")
    };
    let alone = with(&stub.url).run("Connect-NDM 6>$null; (Get-NDMConnection).UserName");
    assert!(alone.stdout.contains("CORP\\svc"), "{}", alone.text());
    let other = with("dm99").run(&format!("{COLLECT} Show-Outcome {{ Connect-NDM -Server $Url -NoPersist }}"));
    let message = other.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("NDM_SERVER names another server, https://dm99:4443"), "{message}");
    assert!(message.contains("-Credential") && message.contains("-ClientSecret"), "{message}");
    assert_no_secret(&other);
}

// ---- what counts as success -----------------------------------------------------------------------

#[test]
fn a_failing_status_under_http_200_is_an_error_with_the_servers_words() {
    let stub = server(|method, path, _| {
        (method == "GET" && path == JOBS).then(|| {
            json(
                200,
                r#"{"count":0,"data":null,"status":3,"message":"The provider is offline.","errorCode":"DS-12","details":[{"status":9,"message":"AdStore"}]}"#,
            )
        })
    });
    let told = run(&stub, "Connect-NDM @SignIn 6>$null; Show-Outcome { Get-NDMJob }").json();
    let error = &told["errors"][0];
    assert_eq!(
        (error["id"].as_str(), &told["count"]),
        (Some("NDM.Refused,Get-NDMJob"), &serde_json::json!(0)),
        "{told}"
    );
    let message = error["message"].as_str().unwrap();
    for words in ["Couldn't read the jobs", "The provider is offline.", "status 3", "error code DS-12", "AdStore"] {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(error["server"], "The provider is offline.");
}

fn collection(id: i64, name: &str) -> String {
    json(
        200,
        &format!(
            r#"{{"count":1,"data":{{"jobCollectionInfo":{{"id":{id},"name":"{name}"}},"jobs":[]}},"status":0,"message":null}}"#
        ),
    )
}

fn collections_7_and_8(path: &str) -> Option<String> {
    match path.strip_prefix(JOBS)? {
        "/Collections/7/Details" => Some(collection(7, "HR")),
        "/Collections/8/Details" => Some(collection(8, "Sales")),
        _ => None,
    }
}

#[test]
fn a_partly_failed_deletion_is_an_error_for_each_item_that_failed() {
    let stub = server(|method, path, _| match method {
        "DELETE" => Some(json(
            200,
            r#"{"type":7,"status":0,"message":null,"data":null,"details":[{"status":0},{"status":5,"message":"It is running."}]}"#,
        )),
        _ => collections_7_and_8(path),
    });
    let told =
        run(&stub, "Connect-NDM @SignIn 6>$null; Show-Outcome { Remove-NDMJobCollection -Id 7, 8, 9 -Force }").json();
    let errors = told["errors"].as_array().unwrap();
    // $Error has the newest first: 9 was not there, 8 could not be deleted.
    assert_eq!(errors.len(), 2, "{told}");
    assert_eq!(
        (errors[0]["target"].as_str(), errors[0]["id"].as_str()),
        (Some("8"), Some("NDM.Refused,Remove-NDMJobCollection"))
    );
    assert!(
        errors[0]["message"].as_str().unwrap().contains("8 ('Sales')")
            && errors[0]["message"].as_str().unwrap().contains("It is running.")
    );
    assert_eq!(
        (errors[1]["target"].as_str(), errors[1]["id"].as_str()),
        (Some("9"), Some("NDM.NotFound,Remove-NDMJobCollection"))
    );
    // Collections, never jobs: the same query one level up would delete those.
    let deletions: Vec<_> = stub.seen().into_iter().filter(|r| r.starts_with("DELETE")).collect();
    assert_eq!(deletions, [format!("DELETE {JOBS}/Collections?jobids=7&jobids=8")]);
}

#[test]
fn what_is_deleted_is_named_and_id_and_name_must_belong_together() {
    let stub = server(|_, path, _| collections_7_and_8(path));
    let run = run(
        &stub,
        "Connect-NDM @SignIn 6>$null
        [pscustomobject] @{ id = 7; name = 'HR' } | Remove-NDMJobCollection -Force -WhatIf
        Show-Outcome { [pscustomobject] @{ id = 8; name = 'HR' } | Remove-NDMJobCollection -Force }
        Show-Outcome { [pscustomobject] @{ id = 7; name = 'HR' } | Remove-NDMJob -Force }",
    );
    assert!(run.stdout.contains("What if: Delete job collection 7 ('HR') at http://127.0.0.1"), "{}", run.text());
    let lines: Vec<&str> = run.stdout.lines().filter(|l| l.starts_with('{')).collect();
    assert!(lines[0].contains("NDM.NotTheSame") && lines[0].contains("is called 'Sales', not 'HR'"), "{}", lines[0]);
    // A collection doesn't bind where a job is meant.
    assert!(lines[1].contains("ParameterBindingException") || lines[1].contains("InputObjectNotBound"), "{}", lines[1]);
    assert!(!stub.seen().iter().any(|r| r.starts_with("DELETE")), "{:?}", stub.seen());
}

// ---- lists ----------------------------------------------------------------------------------------

/// Rows `from..to` as an answer. `count` says what it likes.
fn page(from: usize, to: usize, count: usize) -> String {
    let rows: Vec<String> = (from..to)
        .map(|n| {
            format!(
                r#"{{"id":{n},"name":"{} {n}","created":"2024-06-04T10:08:43.887Z","totalJobs":2}}"#,
                if n % 2 == 0 { "HR" } else { "Sales" }
            )
        })
        .collect();
    json(200, &format!(r#"{{"count":{count},"data":[{}],"status":0,"message":null}}"#, rows.join(",")))
}

#[test]
fn pages_are_walked_without_trusting_the_count_and_values_stay_what_they_are() {
    let stub = server(|_, path, text| {
        let index = text.split("\"PageIndex\":").nth(1)?.split(',').next()?.parse::<usize>().ok()?;
        // Counts rows of the page, not matches, and repeats the last page for ever.
        path.ends_with("/Collections").then(|| if index == 1 { page(0, 100, 100) } else { page(100, 200, 100) })
    });
    let run = run(
        &stub,
        "Connect-NDM @SignIn 6>$null
        $all = @(Get-NDMJobCollection)
        \"$($all.Count) $(@($all.id | Sort-Object -Unique).Count) $($all[0].created) $($all[0].created.GetType().Name) $($all[0].PSTypeNames[0])\"
        \"$(@(Get-NDMJobCollection -Skip 99 -First 2).id)\"
        \"$(@(Get-NDMJobCollection -Name 'hr*' -SortBy id -Descending -First 2).id)\"",
    );
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(
        lines,
        ["200 200 2024-06-04T10:08:43.887Z String NDM.JobCollectionSummary", "99 100", "198 196"],
        "{}",
        run.text()
    );
}

#[test]
fn a_filter_that_the_server_does_not_get_is_applied_all_the_same() {
    let stub = server(|_, path, text| {
        let asked = text.contains(r#""operator":"is exactly","attribute":"Name","value":"HR 4""#);
        path.ends_with("/Collections").then(|| if asked { page(0, 10, 10) } else { page(0, 12, 12) })
    });
    let run = run(
        &stub,
        "Connect-NDM @SignIn 6>$null
        \"exact: $(@(Get-NDMJobCollection -Name 'hr 4').id); pattern: $(@(Get-NDMJobCollection -Name 'HR 1*').id)\"
        \"asked: $(@(Get-NDMJobCollection -Name 'HR 4').id)\"",
    );
    assert!(run.stdout.contains("exact: 4; pattern: 10") && run.stdout.contains("asked: 4"), "{}", run.text());
}

#[test]
fn a_job_document_is_posted_byte_for_byte_but_for_the_spaces_of_web_pages() {
    let sent = std::sync::Arc::new(Mutex::new(Vec::new()));
    let kept = std::sync::Arc::clone(&sent);
    let stub = server(move |method, path, text| {
        (method == "POST" && path == JOBS).then(|| {
            kept.lock().unwrap().push(text.split_once("\r\n\r\n").unwrap().1.to_owned());
            json(201, r#"{"type":6,"status":0,"data":16,"details":[]}"#)
        })
    });
    let document = "{ \"jobInfo\": {\"jobId\":0, \"name\":\"Sync\",\n \"created\": \"2024-06-04T10:46:33.130Z\"}, \"x\": 1.50, \"x2\":null }";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.json");
    std::fs::write(&file, document).unwrap();
    let bad = folder.path().join("bad.json");
    std::fs::write(&bad, document.replace(' ', "\u{a0}")).unwrap();
    let run = run(
        &stub,
        &format!(
            "Connect-NDM @SignIn 6>$null
            New-NDMJob -Path '{0}' -WhatIf
            \"id: $(New-NDMJob -Path '{0}')\"
            \"id: $(New-NDMJob -Path '{1}')\"",
            file.display(),
            bad.display()
        ),
    );
    assert!(run.stdout.contains("What if: Create job 'Sync' at ") && run.stdout.contains("id: 16"), "{}", run.text());
    assert_eq!(*sent.lock().unwrap(), [document, document]);
    assert_eq!(count(&stub, &format!("POST {JOBS}")), 2);
}

#[test]
fn without_a_connection_every_cmdlet_says_how_to_get_one() {
    let told = Pwsh::new("")
        .run(&format!("{COLLECT} Show-Outcome {{ Get-NDMJobCollection; Get-NDMJob; Remove-NDMJob -Id 1 -Force }}"))
        .json();
    let errors = told["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3, "{told}");
    assert!(errors.iter().all(|e| e["message"].as_str().unwrap().contains("Run Connect-NDM")), "{told}");
}
