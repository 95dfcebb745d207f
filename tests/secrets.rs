//! The key appears nowhere but in the request that needs it and the store that keeps it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use support::{KEY, Pwsh, Sandbox, Stub, json};

/// Every file below a folder that holds the key.
fn files_with_the_key(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with_the_key(&path));
        } else if std::fs::read(&path).is_ok_and(|bytes| bytes.windows(KEY.len()).any(|w| w == KEY.as_bytes())) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Commands that work, fail and complain, with every stream open; what the host's process shows comes last.
const WORK: &str = r#"
$VerbosePreference = 'Continue'; $DebugPreference = 'Continue'; $InformationPreference = 'Continue'
$secure = ConvertTo-SecureString -String $ApiKey -AsPlainText -Force
Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist
Connect-JIM -Url $Url -ApiKey $secure -NoPersist
Get-JIMConnection | Format-List -Property *
Get-JIMConnectedSystem
Set-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -PageSize 5 -Confirm:$false
Get-JIMRunProfile -ConnectedSystemId 99
New-JIMRunProfile -ConnectedSystemId 1 -Name ('x' * 300) -RunType Export -Confirm:$false
try { Connect-JIM -Url 'http://127.0.0.1:1' -ApiKey $ApiKey } catch { $_ | Format-List -Property * -Force }
Connect-JIM -Url $Url -ApiKey $secure -NoPersist
foreach ($record in $Error) { $record | Format-List -Property * -Force; $record.Exception | Format-List -Property * -Force; $record.Exception.Data | ConvertTo-Json -Depth 4; $record.ErrorDetails | Format-List -Property * -Force }
$host_ = Get-Process -Name jimhost | Where-Object { (Get-Content -Raw -Path "/proc/$($_.Id)/status") -match "PPid:\s+$PID\b" }
"host processes: $(@($host_).Count)"
foreach ($process in $host_) {
    'argv: ' + (Get-Content -Raw -Path "/proc/$($process.Id)/cmdline")
    'environment: ' + (Get-Content -Raw -Path "/proc/$($process.Id)/environ").Replace("TEST_KEY=$ApiKey", '')
}
"#;

#[test]
fn the_key_is_in_no_stream_no_process_list_and_no_file() {
    let sandbox = Sandbox::start(&[]);
    let mut pwsh = Pwsh::new(&sandbox.url).env("JIM_API_KEY", KEY);
    let run = pwsh.run(WORK);
    assert!(run.stdout.contains("host processes: 1"), "{}", run.text());
    assert!(
        run.stdout.contains("argv: ") && run.text().contains("VERBOSE: GET ") && run.text().contains("DEBUG: GET "),
        "{}",
        run.text()
    );
    for (stream, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        let line = text.lines().find(|l| l.contains(KEY));
        assert!(line.is_none(), "the key is on {stream}: {}", line.unwrap_or_default().replace(KEY, "<KEY>"));
    }
    assert_eq!(files_with_the_key(pwsh.home.path()), Vec::<String>::new());
}

#[test]
fn a_server_that_echoes_the_key_does_not_get_it_shown() {
    let stub = Stub::start(|_, path, _| {
        if path.starts_with("/api/v1/health/ready") {
            json(200, r#"{"status":"ready"}"#)
        } else if path.starts_with("/api/v1/health") {
            json(200, r#"{"status":"healthy"}"#)
        } else {
            json(401, &format!(r#"{{"error":"Unauthorized","message":"Key {KEY} is unknown"}}"#))
        }
    });
    let run = Pwsh::new(&stub.url).run("try { Connect-JIM -Url $Url -ApiKey $ApiKey -Verbose -Debug } catch { $_ | Format-List -Property * -Force; $_.Exception.Message; $_.Exception.Data | ConvertTo-Json }");
    assert!(run.stdout.contains("Authentication failed"), "{}", run.text());
    assert!(!run.text().contains(KEY), "{}", run.text().replace(KEY, "<KEY>"));
}
