//! The host as a process: started when needed, interrupted without harm, gone with its session.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{COLLECT, Pwsh, Sandbox};

const CONNECT: &str = "$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null\n";
const HOSTS: &str = "function Get-OwnHost { Get-Process -Name jimhost -ErrorAction Ignore | Where-Object { (Get-Content -Raw -Path \"/proc/$($_.Id)/status\") -match \"PPid:\\s+$PID\\b\" } }\n";

#[test]
fn importing_the_module_starts_nothing() {
    let run = Pwsh::new("http://127.0.0.1:9").run(&format!("{HOSTS}@(Get-OwnHost).Count"));
    assert_eq!(run.stdout.trim(), "0", "{}", run.text());
}

#[test]
fn one_host_serves_the_whole_process() {
    let sandbox = Sandbox::start(&[]);
    let run = Pwsh::new(&sandbox.url).run(&format!(
        "{HOSTS}{CONNECT}
        $spaces = 1..3 | ForEach-Object {{ $s = [powershell]::Create(); $null = $s.AddScript('param($m, $id) Import-Module $m; @(Get-JIMRunProfile -ConnectedSystemId $id).Count').AddArgument($env:TEST_MODULE).AddArgument($_); @{{ shell = $s; handle = $s.BeginInvoke() }} }}
        ($spaces | ForEach-Object {{ $_.shell.EndInvoke($_.handle) }}) -join ','
        @(Get-OwnHost).Count"
    ));
    let lines: Vec<&str> = run.stdout.lines().map(str::trim).collect();
    assert_eq!(lines.last(), Some(&"1"), "{}", run.text());
    assert!(lines[0].starts_with("3,"), "no connection in the other runspaces: {}", run.text());
}

#[test]
fn a_host_that_dies_is_reported_and_replaced() {
    let sandbox = Sandbox::start(&[]);
    sandbox.faults(r#"{"latencyMs":10000,"path":"/api/v1/synchronisation/connected-systems/1/run-profiles"}"#);
    let run = Pwsh::new(&sandbox.url).run(&format!(
        "{COLLECT}{HOSTS}{CONNECT}
        $id = (Get-OwnHost).Id
        & /bin/sh -c \"(sleep 1; kill -9 $id) > /dev/null 2>&1 &\"
        Show-Outcome {{ Get-JIMRunProfile -ConnectedSystemId 1 }}
        {CONNECT}@(Get-JIMRunProfile -ConnectedSystemId 2).Count -gt 0
        (Get-OwnHost).Id -ne $id"
    ));
    let outcome = run.json();
    assert_eq!(outcome["errors"].as_array().unwrap().len(), 1, "{outcome:#}");
    assert!(outcome["errors"][0]["id"].as_str().unwrap().starts_with("JIM.HostEnded,"), "{outcome:#}");
    assert!(outcome["errors"][0]["message"].as_str().unwrap().contains("ended"), "{outcome:#}");
    assert_eq!(run.stdout.lines().rev().take(2).map(str::trim).collect::<Vec<_>>(), ["True", "True"], "{}", run.text());
}

#[test]
fn a_host_that_is_not_there_is_one_clear_error() {
    let run = Pwsh::new("http://127.0.0.1:9")
        .env("JIMHOST_PATH", "/nowhere/jimhost")
        .run(&format!("{COLLECT}Show-Outcome {{ Connect-JIM -Url $Url -ApiKey x }}"));
    let outcome = run.json();
    assert!(outcome["errors"][0]["id"].as_str().unwrap().starts_with("JIM.HostNotStarted,"), "{outcome:#}");
    assert!(
        outcome["errors"][0]["message"].as_str().unwrap().contains("JIMHOST_PATH names '/nowhere/jimhost'"),
        "{outcome:#}"
    );
}

#[test]
fn the_host_goes_with_its_session_also_when_that_is_killed() {
    let sandbox = Sandbox::start(&[]);
    for kill in [false, true] {
        let mut pwsh = Pwsh::new(&sandbox.url);
        let ending = if kill { "Start-Sleep -Seconds 60" } else { "exit" };
        let mut session = pwsh.spawn(&format!("{HOSTS}{CONNECT}(Get-OwnHost).Id\n{ending}"));
        let mut line = String::new();
        BufReader::new(session.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let host: u32 = line.trim().parse().unwrap_or_else(|_| panic!("no process id: {line:?}"));
        if kill {
            session.kill().unwrap();
        }
        session.wait().unwrap();
        let started = Instant::now();
        while std::path::Path::new(&format!("/proc/{host}")).exists() {
            assert!(started.elapsed() < Duration::from_secs(3), "host {host} lives on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A PowerShell at a terminal of its own: Ctrl-C goes to the whole foreground group, as from a keyboard.
#[test]
fn ctrl_c_gives_the_prompt_back_and_cancels_in_the_host() {
    let sandbox = Sandbox::start(&["--run-speed", "0.05"]);
    let mut pwsh = Pwsh::new(&sandbox.url);
    let script = format!(
        "{CONNECT}$sw = [System.Diagnostics.Stopwatch]::StartNew()
        try {{ [Console]::WriteLine('waiting'); Start-JIMRunProfile -ConnectedSystemId 1 -RunProfileId 1 -Wait }} finally {{ [Console]::WriteLine(\"stopped $(([DateTimeOffset]::UtcNow).ToUnixTimeMilliseconds())\") }}"
    );
    let mut session = pwsh.spawn_at_terminal(&script);
    let mut output = BufReader::new(session.stdout.take().unwrap());
    let mut input = session.stdin.take().unwrap();
    let mut line = String::new();
    while !line.contains("waiting") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "PowerShell ended early");
    }
    std::thread::sleep(Duration::from_millis(1500));
    let pressed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    input.write_all(b"\x03").unwrap();
    input.flush().unwrap();
    let mut stopped = String::new();
    while !stopped.contains("stopped") {
        stopped.clear();
        assert!(output.read_line(&mut stopped).unwrap() > 0, "PowerShell ended without its finally block");
    }
    let at: u128 = stopped.split_whitespace().last().unwrap().parse().unwrap();
    let took = at.saturating_sub(pressed);
    // 0.3 s on a machine with nothing else to do; the margin is for one that is busy.
    assert!(took < 1000, "{took} ms from Ctrl-C to the end of the command");
    std::thread::sleep(Duration::from_millis(300));
    sandbox.clear_record();
    std::thread::sleep(Duration::from_millis(3000));
    assert_eq!(sandbox.record(), Vec::<String>::new(), "the host goes on polling");
    let _ = session.kill();
    let _ = session.wait();
    let mut rest = String::new();
    let _ = output.read_to_string(&mut rest);
}

impl Pwsh {
    /// Under `script`, which gives the process a terminal.
    fn spawn_at_terminal(&mut self, text: &str) -> std::process::Child {
        let inner = self.terminal_command(text);
        Command::new("script")
            .args(["--quiet", "--flush", "--command", &inner, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program `script` (bsdutils)")
    }
}
