//! Job collections as documents: what leaves is what the server gave but for what was changed,
//! placeholders and strangers' changes stop it, and secrets show nowhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use std::sync::{Arc, Mutex};
use support::{COLLECT, Pwsh, Run, Sandbox, Stub, json};

const BASE: &str = "/GroupIDDataService/api/DataSyncJobs";
/// What the sandbox's documents hold where real ones have secrets.
const PLANTED: &[&str] = &[
    "Demo-Only-Passw0rd=1",
    "Demo-Only-Cloud-Passw0rd",
    "VGhpcyBpcyBvbmx5IGEgZGVtb25zdHJhdGlvbg",
    "Tm90IGEgY2VydGlmaWNhdGUsIG9ubHkgYSBkZW1vbnN0cmF0aW9u",
    "QW5vdGhlciBkZW1vbnN0cmF0aW9u",
];

/// `Read-Stored` shows the stored document as the API gives it, past the module.
const CONNECT: &str = r#"
$Password = ConvertTo-SecureString -String 'sandbox-password' -AsPlainText -Force
$null = Connect-NDM -Server $Url -Credential ([pscredential]::new('sandbox', $Password)) -IdentityStoreId 2 -ClientId sandbox-client -ClientSecret sandbox-secret -NoPersist 6>$null
function Read-Stored([int] $Id) {
    $form = @{ grant_type = 'password'; username = 'sandbox'; password = 'sandbox-password'; client_Id = 'sandbox-client'; client_secret = 'sandbox-secret'; identity_store_id = '2' }
    $token = (Invoke-RestMethod -Method Post -Uri "$Url/GroupIDSecurityService/connect/token" -Body $form).access_token
    $answer = Invoke-WebRequest -Uri "$Url/GroupIDDataService/api/DataSyncJobs/Collections/$Id/Details" -Headers @{ Authorization = "Bearer $token" }
    "stored: $($answer.Content)"
}
"#;

fn run(sandbox: &Sandbox, script: &str) -> Run {
    Pwsh::new(&sandbox.url).run(&format!("{CONNECT}{COLLECT}{script}"))
}

/// The `data` of each `Read-Stored`, as text.
fn stored(run: &Run) -> Vec<String> {
    let all: Vec<String> = run
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("stored: "))
        .map(|text| {
            let start = text.find("\"data\":").expect("data") + 7;
            let end = text.rfind(",\"status\":").expect("status");
            text[start..end].to_owned()
        })
        .collect();
    assert!(!all.is_empty(), "{}", run.text());
    all
}

fn changes(sandbox: &Sandbox) -> Vec<String> {
    let mut record = sandbox.record();
    record.retain(|request| !request.starts_with("GET ") && !request.contains("/connect/token"));
    record
}

#[test]
fn a_changed_property_is_all_that_differs_in_what_is_stored() {
    let sandbox = Sandbox::start(&[]);
    let run = run(
        &sandbox,
        "Read-Stored 12
        $c = Get-NDMJobCollection -Id 12
        $c.isNotificationEnabled = $true
        $c.jobs[1].settings[9].value = 'Leavers $ü'
        $c | Set-NDMJobCollection -KeepExistingSecret 3>$null
        Read-Stored 12",
    );
    let documents = stored(&run);
    let expected = documents[0].replacen("\"isNotificationEnabled\":false", "\"isNotificationEnabled\":true", 1);
    let at = expected.find("\"Entra leavers\",\"type\":2").unwrap();
    let second_job = expected[at + 10..].find("\"fieldsMap\"").unwrap();
    let (head, tail) = expected.split_at(at + second_job);
    let table =
        tail.rfind("\"key\":\"Source.Table\",\"value\":\"").unwrap() + "\"key\":\"Source.Table\",\"value\":\"".len();
    let expected = format!("{head}{}Leavers $ü{}", &tail[..table], &tail[table..]);
    assert_eq!(documents[1], expected, "{}", run.stderr);
    assert_eq!(changes(&sandbox), [format!("PATCH {BASE}/Collections")]);
}

#[test]
fn what_wasnt_changed_isnt_sent() {
    let sandbox = Sandbox::start(&[]);
    let told = run(
        &sandbox,
        "Show-Outcome {
            Get-NDMJobCollection -Id 7 | Set-NDMJobCollection
            Get-NDMJobCollection -Id 3 | Set-NDMJobCollection -KeepExistingSecret
            Disable-NDMJobCollectionNotification -Id 7 -Confirm:$false
        }",
    )
    .json();
    assert_eq!((told["errors"].as_array().unwrap().len(), changes(&sandbox).len()), (0, 0), "{told}");
    let warnings = told["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 3, "{told}");
    assert!(warnings.iter().all(|w| w.as_str().unwrap().starts_with("Nothing was sent: job collection ")), "{told}");
}

#[test]
fn placeholders_are_refused_unless_they_are_filled() {
    let sandbox = Sandbox::start(&[]);
    let run = run(
        &sandbox,
        "$c = Get-NDMJobCollection -Id 3
        $c.notificationRecipients = 'a@x'
        Show-Outcome {
            $c | Set-NDMJobCollection -Force
            $c | New-NDMJobCollection -Force
            $c.jobs[0] | New-NDMJob -Force
            $c | Set-NDMJobCollection -Secret @{ 'jobs[0].fieldsMap[0].transform' = 'typo' }
            $new = $c | ConvertTo-Json -Depth 32 | ConvertFrom-Json -Depth 32
            $new.jobs[1].fieldsMap[1].transform = 'Static:value={{secret:jobs[1].fieldsMap[1].transform}}'
            $new | Set-NDMJobCollection -KeepExistingSecret
        }
        $secret = ConvertTo-SecureString -String 'Given-4711' -AsPlainText -Force
        $c | Set-NDMJobCollection -Secret @{ 'jobs[0].fieldsMap[4].transform' = $secret } 3>$null
        Set-NDMJobCollection -Id 12 -Secret @{ 'jobs[0].fieldsMap[2].transform' = 'Given-0815' } 3>$null
        Read-Stored 3
        Read-Stored 12",
    );
    let told = run.json();
    let errors = told["errors"].as_array().unwrap();
    let ids: Vec<&str> = errors.iter().rev().map(|e| e["id"].as_str().unwrap().split(',').next().unwrap()).collect();
    let missing = "NDM.DocumentSecretMissing";
    assert_eq!(ids, [missing, missing, missing, "NDM.DocumentNoSuchSecret", missing], "{told}");
    let words = told.to_string();
    assert!(words.contains("-KeepExistingSecret") && words.contains("jobs[1].fieldsMap[1].transform"), "{told}");
    let documents = stored(&run);
    assert!(documents[0].contains("Static:value=Given-4711") && !documents[0].contains("Demo-Only-Passw0rd"));
    assert!(documents[1].contains("Static:value=Given-0815") && documents[1].contains(PLANTED[3]));
    assert!(documents.iter().all(|text| !text.contains("{{secret:") && !text.contains("fingerprint")));
    assert_eq!(changes(&sandbox).len(), 2);
}

#[test]
fn a_change_by_somebody_else_stops_it_and_force_goes_on() {
    let sandbox = Sandbox::start(&[]);
    let run = run(
        &sandbox,
        "$c = Get-NDMJobCollection -Id 7
        Set-NDMJobCollection -Id 7 -Description 'by somebody else'
        $c.notifyWhen = 1
        Show-Outcome { $c | Set-NDMJobCollection }
        $c.PSObject.Properties.Remove('fingerprint')
        $c.jobCollectionInfo.name = 'Another'
        Show-Outcome { $c | Set-NDMJobCollection }
        $c = Get-NDMJobCollection -Id 7
        Set-NDMJobCollection -Id 7 -NotifyWhen 2
        $c.jobCollectionInfo.name = 'Renamed'
        $c | Set-NDMJobCollection -Force
        Read-Stored 7",
    );
    let told: Vec<Value> = run.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(told[0]["errors"][0]["id"], "NDM.ChangedMeanwhile,Set-NDMJobCollection", "{}", run.text());
    assert_eq!(told[1]["errors"][0]["id"], "NDM.NotTheSame,Set-NDMJobCollection", "{}", run.text());
    let document = &stored(&run)[0];
    assert!(document.contains("\"name\":\"Renamed\"") && document.contains("by somebody else"), "{document}");
    assert!(document.contains("\"notifyWhen\":3"), "the forced document counts: {document}");
}

#[test]
fn whatif_shows_the_difference_and_sends_nothing() {
    let sandbox = Sandbox::start(&[]);
    let run = run(
        &sandbox,
        "$c = Get-NDMJobCollection -Id 12
        $c.jobs[0].jobInfo.onFailure = 'Continue'
        $c.jobCollectionInfo.jobs[0].onFailure = 'Continue'
        $c.jobs[0].fieldsMap[2].transform = 'Static:value=Fresh-Secret'
        $c.jobs[1].settings = @($c.jobs[1].settings | ForEach-Object { if ($_.key -eq 'Destination.ExposedScriptCode') { $_.value = $_.value.Replace('Trim', 'RTrim') }; $_ })
        $c | Set-NDMJobCollection -KeepExistingSecret -WhatIf -Force
        Remove-NDMJobCollectionJob -CollectionId 12 -JobName 'entra LEAVERS' -WhatIf -Force
        Add-NDMJobCollectionJob -CollectionId 7 -JobId 1 -WhatIf
        Move-NDMJobCollectionJob -CollectionId 3 -JobName 'HR changes' -Before 'HR joiners' -WhatIf
        Copy-NDMJobCollection -Id 3 -NewName 'Copy' -WhatIf
        New-NDMJobCollection -Name 'Made' -Job 1, 3 -WhatIf -PassThru",
    );
    for words in [
        "What if: Update job collection 12 ('Cloud accounts') at http://",
        "job 'Entra accounts', onFailure: Abort -> Continue",
        "job 'Entra accounts', mapping User: password, transform: a secret -> another secret",
        "job 'Entra leavers', setting Destination.ExposedScriptCode, value: ",
        "This changes code that the server runs.",
        "job 'Entra leavers': removed",
        "job 'HR joiners': added",
        "job 'HR changes', runOrder: 2 -> 1",
        "What if: Create job collection 'Copy' with 2 jobs at http://",
        "Jobs with code that the server runs: HR joiners, HR changes",
        "What if: Create job collection 'Made' with 2 jobs at http://",
    ] {
        assert!(run.stdout.contains(words), "{words}\nnot in\n{}", run.text());
    }
    assert!(!run.text().contains("Fresh-Secret"));
    assert_eq!(changes(&sandbox), Vec::<String>::new(), "{}", run.text());
}

#[test]
fn what_powershell_does_to_values_is_undone() {
    let sandbox = Sandbox::start(&[]);
    let run = run(
        &sandbox,
        "Read-Stored 7
        # A file that went through PowerShell's own conversion: dates are dates now, one job is no list.
        $c = Get-NDMJobCollection -Id 7 -AsJson | ConvertFrom-Json -Depth 32
        \"date: $($c.jobCollectionInfo.created.GetType().Name)\"
        $c.jobs = $c.jobs[0]
        $c.notifyWhen = 2
        $c | Set-NDMJobCollection
        Read-Stored 7
        $c = Get-NDMJobCollection -Id 7
        \"text: $($c.jobCollectionInfo.created.GetType().Name) $($c.jobs -is [array]) $($c.jobs[0].objectsOption -is [array])\"",
    );
    let documents = stored(&run);
    assert_eq!(documents[1], documents[0].replacen("\"notifyWhen\":3", "\"notifyWhen\":2", 1), "{}", run.text());
    assert!(run.stdout.contains("date: DateTime") && run.stdout.contains("text: String True True"), "{}", run.text());
}

#[test]
fn a_failing_status_under_200_is_an_error_and_passes_nothing_through() {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(
        r#"[{"failingStatus":{"status":3,"message":"Licence expired.","errorCode":"E77"},"method":"PATCH"},{"failingStatus":{"status":3,"message":"Licence expired."},"method":"POST","path":"/GroupIDDataService"}]"#,
    );
    let told = run(
        &sandbox,
        "Show-Outcome {
            Enable-NDMJobCollectionNotification -Id 7 -PassThru
            Copy-NDMJobCollection -Id 7 -NewName 'Copy'
        }",
    )
    .json();
    let errors = told["errors"].as_array().unwrap();
    assert_eq!((errors.len(), told["count"].as_u64()), (2, Some(0)), "{told}");
    assert!(errors.iter().all(|e| e["id"].as_str().unwrap().starts_with("NDM.Refused,")), "{told}");
    assert!(errors.iter().all(|e| e["message"].as_str().unwrap().contains("Licence expired.")), "{told}");
}

#[test]
fn edits_are_written_to_both_copies() {
    let sandbox = Sandbox::start(&[]);
    let run = run(
        &sandbox,
        "$WarningPreference = 'SilentlyContinue'
        Rename-NDMJobCollection -Name 'hr to active directory' -NewName 'HR nightly' -NewDescription 'x'
        Set-NDMJobCollectionJob -CollectionId 3 -JobName 'HR joiners' -NewName 'Joiners' -OnFailure continue
        Move-NDMJobCollectionJob -CollectionId 3 -JobName 'Joiners' -After 'HR changes'
        $done = Add-NDMJobCollectionJob -CollectionId 3 -JobId 3 -PassThru
        Get-NDMJobCollectionJob -CollectionId 3 | Where-Object name -eq 'HR changes' | Remove-NDMJobCollectionJob -Force
        Get-NDMJobCollection -Name 'HR night*' | Enable-NDMJobCollectionNotification -Recipient 'a@x', 'b@x' -RecipientSeparator ';' -When 2 -IndividualEmail $true
        $c = Get-NDMJobCollection -Id 3
        $c.jobs[0].jobInfo.name = 'Starters'
        $c.jobCollectionInfo.jobs[1].onFailure = 'Continue'
        $c = $c | Set-NDMJobCollection -KeepExistingSecret -PassThru
        foreach ($infos in $c.jobs.jobInfo, $c.jobCollectionInfo.jobs) { @($infos | ForEach-Object { \"$($_.runOrder) $($_.name) $($_.onFailure)\" }) -join '; ' }
        \"$($c.jobCollectionInfo.name), $($c.jobCollectionInfo.description), $($c.isNotificationEnabled), $($c.notificationRecipients), $($c.notifyWhen), $($c.notificationSendIndividualEmail)\"
        \"passed: $($done.jobs.Count) $($done.PSTypeNames[0])\"",
    );
    let lines: Vec<&str> = run.stdout.lines().collect();
    let order = "1 Starters Continue; 2 Groups from table Continue";
    assert_eq!(
        lines,
        [order, order, "HR nightly, x, True, a@x;b@x, 2, True", "passed: 3 NDM.JobCollection"],
        "{}",
        run.text()
    );
}

#[test]
fn copies_are_new_and_jobs_make_a_collection() {
    let sandbox = Sandbox::start(&[]);
    let run = run(
        &sandbox,
        "$WarningPreference = 'SilentlyContinue'
        $id = Copy-NDMJobCollection -Id 3 -NewName 'HR (test)'
        Read-Stored 3
        Read-Stored $id
        $made = New-NDMJobCollection -Name 'Made' -Description 'd' -Job 3, 1 -OnFailure Continue -PassThru
        @($made.jobs.jobInfo | ForEach-Object { \"$($_.runOrder) $($_.name) $($_.type) $($_.onFailure)\" }) -join '; '
        Read-Stored $made.jobCollectionInfo.id",
    );
    let documents: Vec<Value> = stored(&run).iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(documents[1]["jobCollectionInfo"]["name"], "HR (test)");
    assert_ne!(documents[0]["jobs"][0]["jobInfo"]["jobId"], documents[1]["jobs"][0]["jobInfo"]["jobId"]);
    // The copy has the secret, though nobody saw it.
    let transform = |document: &Value| document["jobs"][0]["fieldsMap"][4]["transform"].clone();
    assert_eq!(transform(&documents[0]), transform(&documents[1]));
    assert!(run.stdout.contains("1 Groups from table 2 Continue; 2 HR joiners 2 Continue"), "{}", run.text());
    assert_eq!(transform(&documents[0]), documents[2]["jobs"][1]["fieldsMap"][4]["transform"]);
}

/// A collection in the documented shape, small.
fn small(id: i64) -> String {
    format!(
        r#"{{ "isTemplate": false, "notifyWhen": 3.0, "twice": 1, "twice": 2,
  "jobCollectionInfo": {{ "name": "Small", "id": {id}, "created": "2024-06-04T10:46:33.130Z", "jobs": [ {{ "jobId": 0, "name": "One" }} ] }},
  "jobs": [ {{ "jobInfo": {{ "jobId": 0, "name": "One" }}, "settings": [ {{ "id": 0, "key": "k", "value": "\u00e9 x" }} ] }} ] }}"#
    )
}

/// A server that keeps what is posted and patched, and reads back `live`.
fn keeping(live: String) -> (Stub, Arc<Mutex<Vec<String>>>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&sent);
    let stub = Stub::start(move |method, path, text| match (method, path) {
        (_, "/GroupIDSecurityService/connect/token") => {
            json(200, r#"{"access_token":"tok-1","token_type":"Bearer","expires_in":1200}"#)
        }
        ("POST" | "PATCH", _) => {
            kept.lock().unwrap().push(text.split_once("\r\n\r\n").unwrap().1.to_owned());
            json(200, r#"{"type":6,"status":0,"data":21,"details":[]}"#)
        }
        ("GET", path) if path.ends_with("/Details") => json(200, &format!(r#"{{"count":1,"data":{live},"status":0}}"#)),
        _ => json(200, "[]"),
    });
    (stub, sent)
}

#[test]
fn a_file_is_posted_as_it_stands() {
    let (stub, sent) = keeping("null".into());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let plain = write("plain.json", small(0));
    let copied = write("copied.json", format!("\u{feff}{}", small(0).replace("  ", "\u{a0}\u{a0}")));
    let damaged = write("damaged.json", small(0).replace("\\u00e9 x", "a\u{a0}x"));
    let exported = small(0).replacen('{', r#"{ "exportedFrom": "https://dm01:4443", "fingerprint": "f00","#, 1);
    let exported = write("exported.json", exported);
    let old = write("old.json", small(5));
    let script = format!(
        "{CONNECT}{COLLECT}
        \"ids: $(New-NDMJobCollection -Path '{plain}') $(New-NDMJobCollection '{copied}')\"
        Show-Outcome {{ New-NDMJobCollection '{damaged}' }}
        $null = New-NDMJobCollection '{damaged}' -Force
        $null = New-NDMJobCollection '{exported}'
        Show-Outcome {{ $null = New-NDMJobCollection '{old}' }}"
    );
    let run = Pwsh::new(&stub.url).run(&script);
    assert!(run.stdout.contains("ids: 21 21"), "{}", run.text());
    let told: Vec<Value> = run.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let error = &told[0]["errors"][0];
    assert_eq!(error["id"], "NDM.DocumentNoBreakSpaces,New-NDMJobCollection", "{}", run.text());
    assert!(error["message"].as_str().unwrap().contains("jobs[0].settings[0].value (1)"), "{error}");
    assert!(told[1]["warnings"][0].as_str().unwrap().contains("carries ids of an existing job collection"), "{told:?}");
    let sent = sent.lock().unwrap();
    assert_eq!(sent[..2], [small(0), small(0)]);
    assert!(sent[2].contains("a\u{a0}x"));
    assert_eq!(sent[3], compact(&small(0)));
    assert!(sent[4].contains("\"id\":0,\"created\"") && !sent[4].contains("\"id\":5"), "{}", sent[4]);
    assert_eq!(sent.len(), 5);
}

/// The documented requests; where they lie beside the project, `JIMHOST_SAMPLES` names their folder.
fn sample(name: &str) -> Option<(String, String)> {
    let path = std::path::PathBuf::from(std::env::var_os("JIMHOST_SAMPLES")?).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some((path.display().to_string(), text))
}

/// Without the space between values, in the order of the text: strings as they are written.
fn compact(text: &str) -> String {
    let (mut out, mut inside, mut escaped) = (String::new(), false, false);
    for character in text.chars() {
        if inside || !character.is_whitespace() {
            out.push(character);
        }
        inside = if character == '"' && !escaped { !inside } else { inside };
        escaped = inside && character == '\\' && !escaped;
    }
    out
}

#[test]
fn the_documented_requests_are_sent_as_documented() {
    let (Some(create), Some(update)) =
        (sample("create-job-collection.request.json"), sample("update-job-collection.request.json"))
    else {
        return;
    };
    let before =
        update.1.replacen("\"notifyWhen\": 3", "\"notifyWhen\": 1", 1).replacen("\"Abort\"", "\"Continue\"", 2);
    assert_ne!(before, update.1);
    let (stub, sent) = keeping(before);
    let script = format!(
        "{CONNECT}$WarningPreference = 'SilentlyContinue'
        New-NDMJobCollection -Path '{}'
        Set-NDMJobCollection -Path '{}'
        Get-NDMJobCollection -Id 7 | ForEach-Object {{ $_.notifyWhen = 3; $_.jobs[0].jobInfo.onFailure = 'Abort'; $_.jobCollectionInfo.jobs[0].onFailure = 'Abort'; $_ }} | Set-NDMJobCollection -KeepExistingSecret",
        create.0, update.0
    );
    let run = Pwsh::new(&stub.url).run(&script);
    assert_eq!(run.stdout.trim(), "21", "{}", run.text());
    let sent = sent.lock().unwrap();
    assert_eq!(sent[0], create.1);
    assert_eq!(compact(&sent[1]), compact(&update.1));
    assert_eq!(compact(&sent[2]), compact(&update.1));
}

#[test]
fn no_secret_comes_out_of_any_cmdlet() {
    let sandbox = Sandbox::start(&[]);
    let script = "$VerbosePreference = 'Continue'; $DebugPreference = 'Continue'; $InformationPreference = 'Continue'
        $all = 3, 7, 12
        $c = Get-NDMJobCollection -Id $all
        $c | Out-String; $c | ConvertTo-Json -Depth 32; $c | Format-List -Property *
        Get-NDMJobCollection -Detailed -AsJson
        $c[0].notifyWhen = 1; $c[2].notifyWhen = 1
        $c | Set-NDMJobCollection
        $c | Set-NDMJobCollection -KeepExistingSecret -WhatIf
        $c | Set-NDMJobCollection -KeepExistingSecret -PassThru | ConvertTo-Json -Depth 32
        $c | Set-NDMJobCollection -KeepExistingSecret
        foreach ($id in $all) {
            Rename-NDMJobCollection -Id $id -NewName \"New $id\" -PassThru | ConvertTo-Json -Depth 32
            Copy-NDMJobCollection -Id $id -NewName \"Copy $id\" -PassThru | ConvertTo-Json -Depth 32
            Enable-NDMJobCollectionNotification -Id $id -PassThru | ConvertTo-Json -Depth 32
            Disable-NDMJobCollectionNotification -Id $id -PassThru | ConvertTo-Json -Depth 32
            Add-NDMJobCollectionJob -CollectionId $id -JobId 4 -PassThru | ConvertTo-Json -Depth 32
            Set-NDMJobCollectionJob -CollectionId $id -JobName 'Entra accounts' -NewName 'Other' -PassThru | ConvertTo-Json -Depth 32
            Get-NDMJobCollectionJob -CollectionId $id | Select-Object -First 1 | Move-NDMJobCollectionJob -Position 2 -PassThru | ConvertTo-Json -Depth 32
            Get-NDMJobCollectionJob -CollectionId $id | Select-Object -First 1 | Remove-NDMJobCollectionJob -Force -PassThru | ConvertTo-Json -Depth 32
        }
        New-NDMJobCollection -Name 'Made' -Job 4, 1, 3 -PassThru | ConvertTo-Json -Depth 32
        $c[0].jobs[0] | New-NDMJob -Secret @{ 'jobs[0].fieldsMap[4].transform' = 'Demo-Only-Passw0rd=1' }
        $error | ForEach-Object { $_ | Format-List -Property * -Force | Out-String; $_.Exception.Data | ConvertTo-Json }";
    let run = run(&sandbox, script);
    let text = run.text();
    assert!(text.contains("{{secret:jobs[0].fieldsMap[4].transform}}") && text.contains("DEBUG: "), "{text}");
    assert!(changes(&sandbox).len() > 20, "{:?}\n{text}", changes(&sandbox));
    for secret in PLANTED {
        assert!(!text.contains(secret), "{secret} came out");
    }
    let shown = self::run(&sandbox, "Get-NDMJobCollection -Id 12 -IncludeSecret -AsJson").stdout;
    assert!(PLANTED[3..].iter().all(|secret| shown.contains(secret)), "asked for, they are shown");
}

#[test]
fn a_jobs_document_shows_no_secrets_unless_told() {
    let sandbox = Sandbox::start(&[]);
    let run = run(
        &sandbox,
        "foreach ($id in 1..6) { Get-NDMJob -Id $id -Detailed | ConvertTo-Json -Depth 32 -Compress; Get-NDMJob -Id $id -AsJson }
        'told: ' + [bool] ((Get-NDMJob -Id 1 -AsJson -IncludeSecret) -match 'Demo-Only-Passw0rd')
        'type: ' + (Get-NDMJob -Id 6 -Detailed).PSTypeNames[0]",
    );
    let text = run.text();
    for secret in PLANTED {
        assert!(!text.contains(secret), "{secret} shows");
    }
    assert!(text.contains("{{secret:") && text.contains("told: True") && text.contains("type: NDM.Job"), "{text}");
}
