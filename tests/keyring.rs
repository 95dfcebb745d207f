//! API keys and logins in a real Secret Service, and the other places a key may come from.
//! `tests/run` starts these under a session bus with an unlocked keyring.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::os::unix::fs::PermissionsExt;
use support::{KEY, Pwsh, Sandbox, Stub, json};

const STATE: &str = "; $c = Get-JIMConnection; \"connected=$($c.Connected) source=$($c.Source) account=$($c.Account)\"";

#[test]
fn a_key_is_kept_found_replaced_and_forgotten() {
    let sandbox = Sandbox::start(&[]);
    let mut pwsh = Pwsh::new(&sandbox.url).with_keyring();
    let first = pwsh.run("$null = Connect-JIM -Url $Url -ApiKey $ApiKey 6>$null");
    assert_eq!(first.text().trim(), "");
    // Another process, with nothing but the address, and with nothing at all.
    for script in ["$null = Connect-JIM -Url $Url 6>$null", "$null = Connect-JIM 6>$null"] {
        let found = pwsh.run(&format!("{script}{STATE}"));
        assert!(found.stdout.contains("connected=True source=keyring"), "{}", found.text());
        assert!(found.stdout.contains("account=tester"), "{}", found.text());
    }
    // A job is a process of its own.
    let job = pwsh.run(
        "Start-Job {
            Import-Module $env:TEST_MODULE
            $null = Connect-JIM -Url $env:TEST_URL 6>$null
            Get-JIMRunProfile -ConnectedSystemId 1 | ForEach-Object Name
        } | Receive-Job -Wait",
    );
    assert!(job.stdout.contains("Full Import"), "{}", job.text());
    // A new key takes the old one's place.
    let replaced = pwsh.run(
        "$null = Connect-JIM -Url $Url -ApiKey $ApiKey 6>$null
        $new = New-JIMApiKey -Name second -RoleIds 1 -PassThru
        $null = Connect-JIM -Url $Url -ApiKey $new.Key 6>$null; (Get-JIMConnection).ApiKey",
    );
    let preview = replaced.stdout.lines().last().unwrap_or_default().trim().to_owned();
    assert!(!preview.is_empty() && !preview.ends_with("6789"), "{}", replaced.text());
    let again = pwsh.run("$null = Connect-JIM -Url $Url 6>$null; (Get-JIMConnection).ApiKey");
    assert_eq!(again.stdout.trim(), preview, "{}", again.text());
    // Disconnecting keeps the key, forgetting doesn't.
    let kept = pwsh.run(&format!(
        "$null = Connect-JIM -Url $Url 6>$null; Disconnect-JIM 6>$null; $null = Connect-JIM -Url $Url 6>$null{STATE}"
    ));
    assert!(kept.stdout.contains("connected=True"), "{}", kept.text());
    let forgotten = pwsh.run(
        "$null = Connect-JIM -Url $Url 6>$null; Disconnect-JIM -Forget 6>$null
        try { Connect-JIM -Url $Url } catch { $_.FullyQualifiedErrorId; $_.Exception.Message }",
    );
    assert!(forgotten.stdout.contains("JIM.NoCredentials,Connect-JIM"), "{}", forgotten.text());
    assert!(
        forgotten.stdout.contains("account 'tester'") && forgotten.stdout.contains("keyring (Secret Service)"),
        "{}",
        forgotten.text()
    );
}

#[test]
fn nothing_is_kept_when_told_so_or_when_the_key_is_refused() {
    let sandbox = Sandbox::start(&[]);
    let mut pwsh = Pwsh::new(&sandbox.url).with_keyring();
    pwsh.run("$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null");
    pwsh.run("try { Connect-JIM -Url $Url -ApiKey jim_ak_wrong_000000000 } catch { }");
    let after = pwsh.run("try { Connect-JIM -Url $Url 6>$null } catch { $_.FullyQualifiedErrorId }; Get-JIMConnection");
    assert_eq!(after.stdout.trim(), "JIM.NoCredentials,Connect-JIM", "{}", after.text());
}

#[test]
fn without_a_keyring_the_connection_stands_and_the_advice_is_complete() {
    let sandbox = Sandbox::start(&[]);
    let run = Pwsh::new(&sandbox.url).run("$c = Connect-JIM -Url $Url -ApiKey $ApiKey 6>$null 3>&1 | ForEach-Object { if ($_ -is [System.Management.Automation.WarningRecord]) { \"warning: $_\" } else { \"connected: $($_.Connected)\" } }; $c");
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.text());
    for word in ["JIM_API_KEY", "JIM_API_KEY_FILE", "-KeyFile", "No keyring service"] {
        assert!(lines[0].contains(word), "{}", lines[0]);
    }
    assert_eq!(lines[1], "connected: True");
}

#[test]
fn a_key_file_is_closed_to_others_and_found_again() {
    let sandbox = Sandbox::start(&[]);
    let mut pwsh = Pwsh::new(&sandbox.url);
    let file = pwsh.home.path().join("jim.key");
    let path = file.display();
    let kept = pwsh.run(&format!("$null = Connect-JIM -Url $Url -ApiKey $ApiKey -KeyFile '{path}' 6>$null"));
    assert_eq!(kept.text().trim(), "");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for script in
        [format!("Connect-JIM -Url $Url -KeyFile '{path}'"), "Connect-JIM -Url $Url".into(), "Connect-JIM".into()]
    {
        let found = pwsh.run(&format!("$null = {script} 6>$null{STATE}"));
        assert!(found.stdout.contains("connected=True source=key file"), "{script}: {}", found.text());
    }
    std::fs::remove_file(&file).unwrap();
    let gone = pwsh.run(&format!("try {{ Connect-JIM -Url $Url -KeyFile '{path}' }} catch {{ $_.Exception.Message }}"));
    assert!(gone.stdout.contains("jim.key"), "{}", gone.text());
}

#[test]
fn the_environment_is_enough_for_a_scheduled_script() {
    let sandbox = Sandbox::start(&[]);
    let mut variable = Pwsh::new(&sandbox.url).env("JIM_URL", &sandbox.url).env("JIM_API_KEY", KEY);
    let run = variable.run(&format!("$null = Connect-JIM 6>$null{STATE}"));
    assert!(run.stdout.contains("connected=True source=environment variable JIM_API_KEY"), "{}", run.text());
    let file = variable.home.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let mut named = Pwsh::new(&sandbox.url).env("JIM_API_KEY_FILE", file.to_str().unwrap());
    let run = named.run(&format!("$null = Connect-JIM -Url $Url 6>$null{STATE}"));
    assert!(run.stdout.contains("connected=True source=file"), "{}", run.text());
    // A key for one server isn't sent to another.
    let mut other = Pwsh::new(&sandbox.url).env("JIM_URL", "https://jim.example.com").env("JIM_API_KEY", KEY);
    let run = other.run("try { Connect-JIM -Url $Url 6>$null } catch { $_.FullyQualifiedErrorId }");
    assert!(run.stdout.contains("JIM.NoCredentials"), "{}", run.text());
}

/// A browser that follows the login page's redirect, put first on PATH.
fn browser(pwsh: &Pwsh) -> String {
    let folder = pwsh.home.path().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("xdg-open");
    std::fs::write(
        &file,
        "#!/bin/sh\nexec curl --silent --show-error --location --max-time 20 --output /dev/null \"$1\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_login_is_kept_renewed_and_found_without_a_browser() {
    let sandbox = Sandbox::start(&[]);
    let pwsh = Pwsh::new(&sandbox.url).with_keyring();
    let path = browser(&pwsh);
    let mut pwsh = pwsh.env("PATH", &path);
    let login = pwsh.run("$c = Connect-JIM -Url $Url -Interactive 6>$null; \"$($c.AuthMethod) $($c.Connected)\"; @(Get-JIMConnectedSystem).Count");
    assert_eq!(login.stdout.lines().collect::<Vec<_>>(), ["OAuth True", "3"], "{}", login.text());
    // The browser is gone: the stored login must do.
    std::fs::remove_file(pwsh.home.path().join("bin/xdg-open")).unwrap();
    let again = pwsh.run(
        "$c = Connect-JIM -Url $Url 6>$null; \"$($c.AuthMethod) $($c.Status)\"
        $null = Invoke-RestMethod -Method Post -Uri \"$Url/sandbox/expire-tokens\"
        @(Get-JIMConnectedSystem).Count; Disconnect-JIM 6>$null
        try { Connect-JIM -Url $Url } catch { $_.FullyQualifiedErrorId }",
    );
    assert_eq!(
        again.stdout.lines().collect::<Vec<_>>(),
        ["OAuth Connected (cached)", "3", "JIM.NoCredentials,Connect-JIM"],
        "{}",
        again.text()
    );
}

#[test]
fn a_sign_in_to_directory_manager_is_kept_found_and_forgotten() {
    let stub = Stub::start(|_, path, text| match path {
        "/GroupIDSecurityService/connect/token"
            if text.ends_with("&password=Secret-4711&client_Id=c1&client_secret=s1&identity_store_id=2") =>
        {
            json(200, r#"{"access_token":"t","token_type":"Bearer","expires_in":1200}"#)
        }
        "/GroupIDSecurityService/connect/token" => json(400, r#"{"error":"invalid_grant"}"#),
        _ => json(200, "[]"),
    });
    let mut pwsh = Pwsh::new(&stub.url).with_keyring();
    let first = pwsh.run(
        "$user = [pscredential]::new('ann', (ConvertTo-SecureString -String 'Secret-4711' -AsPlainText -Force))
        Connect-NDM -Server $Url -Credential $user -IdentityStoreId 2 -ClientId c1 -ClientSecret s1 6>$null",
    );
    assert_eq!(first.text().trim(), "");
    let state = "; $c = Get-NDMConnection; \"$($c.UserName) $($c.IdentityStoreId) $($c.Source)\"";
    // Another process, with nothing but the server, and with nothing at all.
    for script in ["Connect-NDM -Server $Url 6>$null", "Connect-NDM 6>$null"] {
        let found = pwsh.run(&format!("{script}{state}"));
        assert_eq!(found.stdout.trim(), "ann 2 keyring", "{}", found.text());
    }
    // It is nobody's business but this product's.
    let other = pwsh.run("try { Connect-JIM } catch { $_.FullyQualifiedErrorId }; @(Get-JIMConnection -Remembered).Count; @(Get-NDMConnection -Remembered).Count");
    assert_eq!(
        other.stdout.split_whitespace().collect::<Vec<_>>(),
        ["JIM.InvalidUrl,Connect-JIM", "0", "1"],
        "{}",
        other.text()
    );
    let list = std::fs::read_to_string(pwsh.home.path().join("jimhost/connections.json")).unwrap();
    assert!(list.contains("ndm") && !list.contains("ann") && !list.contains("4711"), "{list}");
    let forgotten = pwsh.run("Connect-NDM 6>$null; Disconnect-NDM -Forget 6>$null; try { Connect-NDM -Server $Url } catch { $_.FullyQualifiedErrorId }");
    assert_eq!(forgotten.stdout.trim(), "NDM.NoCredentials,Connect-NDM", "{}", forgotten.text());
}
