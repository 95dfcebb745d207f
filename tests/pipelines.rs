//! Pipelines that are sent ahead: a script can't tell them from one call at a time, except by the clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{COLLECT, KEY, Pwsh, Sandbox, Stub, greeting, json};

const CONNECT: &str = "$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist 6>$null 3>$null\n";
const ITEMS: &str = "$items = 1..20 | ForEach-Object { [pscustomobject]@{ ConnectedSystemId = 1; Id = $_ } }\n";

/// A server whose run profiles answer after `wait(id)`; keeps what came when, and how many were at once.
struct Slow {
    stub: Stub,
    most: Arc<AtomicUsize>,
    changes: Arc<Mutex<Vec<(String, Instant)>>>,
}

impl Slow {
    fn start(wait: impl Fn(usize) -> u64 + Send + Sync + 'static, missing: &'static [usize]) -> Self {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let changes = Arc::new(Mutex::new(Vec::new()));
        let (high, log) = (Arc::clone(&most), Arc::clone(&changes));
        let stub = Stub::start(move |method, path, text| {
            if let Some(answer) = greeting(path).filter(|_| !path.contains("run-profiles")) {
                return answer;
            }
            let plain = path.split('?').next().unwrap();
            let id: usize = if plain.ends_with("/run-profiles") {
                plain.split('/').nth(5).unwrap().parse().unwrap()
            } else {
                plain.rsplit('/').next().unwrap().parse().unwrap()
            };
            if method == "PUT" {
                let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
                log.lock().unwrap().push((format!("{id} {body}"), Instant::now()));
            }
            high.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            std::thread::sleep(Duration::from_millis(wait(id)));
            now.fetch_sub(1, SeqCst);
            match method {
                _ if missing.contains(&id) => json(404, r#"{"code":"NOT_FOUND","message":"Not there."}"#),
                "GET" => json(200, &format!(r#"[{{"id":{id},"name":"P{id}","connectedSystemId":{id}}}]"#)),
                _ => json(200, &format!(r#"{{"id":{id},"name":"P{id}","connectedSystemId":1,"pageSize":5}}"#)),
            }
        });
        Self { stub, most, changes }
    }

    fn run(&self, script: &str) -> Value {
        Pwsh::new(&self.stub.url).run(&format!("{COLLECT}{CONNECT}{ITEMS}Show-Outcome {{ {script} }}")).json()
    }

    /// The ids that were changed, in the order of arrival.
    fn changed(&self) -> Vec<usize> {
        let changes = self.changes.lock().unwrap();
        changes.iter().map(|(text, _)| text.split(' ').next().unwrap().parse().unwrap()).collect()
    }
}

fn no_errors(outcome: &Value) {
    assert_eq!(outcome["errors"].as_array().unwrap().len(), 0, "{outcome:#}");
}

#[test]
fn results_come_in_the_order_of_the_input_whatever_the_server_does() {
    let slow = Slow::start(|id| (id as u64 * 37) % 50 + 10, &[]);
    let outcome =
        slow.run("1..40 | ForEach-Object { [pscustomobject]@{ Id = $_ } } | Get-JIMRunProfile | ForEach-Object Id");
    no_errors(&outcome);
    let ids: Vec<u64> = outcome["values"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=40).collect::<Vec<_>>());
    let most = slow.most.load(SeqCst);
    assert!((4..=8).contains(&most), "{most} at once");
}

#[test]
fn one_at_a_time_when_the_connection_says_so() {
    let slow = Slow::start(|_| 10, &[]);
    let script = format!(
        "{COLLECT}$null = Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist -MaxConcurrency 1 6>$null\n{ITEMS}
        Show-Outcome {{ $items | Set-JIMRunProfile -PageSize 5; $items | Get-JIMRunProfile | Out-Null }}"
    );
    no_errors(&Pwsh::new(&slow.stub.url).run(&script).json());
    assert_eq!(slow.most.load(SeqCst), 1);
}

#[test]
fn errors_stand_where_their_item_stood_and_stop_nobody_else() {
    let slow = Slow::start(|id| if id == 7 { 80 } else { 10 }, &[7, 13]);
    let outcome =
        slow.run("$items | Set-JIMRunProfile -PageSize 5 -ErrorVariable e; $e | ForEach-Object { $_.TargetObject }");
    let targets: Vec<&str> = outcome["values"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert!(targets.len() == 2 && targets[0].contains('7') && targets[1].contains("13"), "{outcome:#}");
    let mut changed = slow.changed();
    changed.sort_unstable();
    assert_eq!(changed, (1..=20).collect::<Vec<_>>());
    assert!(slow.most.load(SeqCst) > 1, "it was sent ahead");
}

#[test]
fn nothing_after_the_failing_item_is_sent_when_errors_stop() {
    for script in [
        "$items | Set-JIMRunProfile -PageSize 5 -ErrorAction Stop",
        "$ErrorActionPreference = 'Stop'; $items | Set-JIMRunProfile -PageSize 5",
    ] {
        let slow = Slow::start(|_| 5, &[6]);
        let outcome = slow.run(script);
        assert_eq!(outcome["terminating"], true, "{outcome:#}");
        assert_eq!(slow.changed(), (1..=6).collect::<Vec<_>>(), "{script}");
        assert_eq!(slow.most.load(SeqCst), 1);
    }
}

#[test]
fn a_change_with_output_waits_for_what_stands_downstream() {
    for (script, expected) in [
        ("$items | Set-JIMRunProfile -PageSize 5 -PassThru | Select-Object -First 1", 1),
        (
            "try { $items | Set-JIMRunProfile -PageSize 5 -PassThru | ForEach-Object { if ($_.Id -eq 3) { throw 'enough' } } } catch { 'caught' }",
            3,
        ),
        (
            "foreach ($n in 1, 2) { $items | Set-JIMRunProfile -PageSize 5 -PassThru | ForEach-Object { if ($_.Id -eq 2) { continue } } }",
            4,
        ),
        (
            "foreach ($once in 1) { $items | Set-JIMRunProfile -PageSize 5 -PassThru | ForEach-Object { if ($_.Id -eq 4) { break } } }",
            4,
        ),
    ] {
        let slow = Slow::start(|_| 5, &[]);
        slow.run(script);
        assert_eq!(slow.changed().len(), expected, "{script}");
    }
}

#[test]
fn questions_and_previews_go_one_by_one() {
    let slow = Slow::start(|_| 5, &[]);
    no_errors(&slow.run("$items | Set-JIMRunProfile -PageSize 5 -WhatIf"));
    assert_eq!(slow.changed().len(), 0);
    no_errors(&slow.run("$items | Set-JIMRunProfile -PageSize 5 -Verbose 4>$null"));
    assert_eq!((slow.changed().len(), slow.most.load(SeqCst)), (20, 1));
}

#[test]
fn one_resource_is_never_changed_twice_at_once() {
    let slow = Slow::start(|_| 15, &[]);
    let outcome = slow.run(
        "1..30 | ForEach-Object { [pscustomobject]@{ ConnectedSystemId = 1; RunProfileId = 5 } } | ForEach-Object { $_ } | Set-JIMRunProfile -PageSize 5; \
         $items | Set-JIMRunProfile -PageSize 6",
    );
    no_errors(&outcome);
    let changes = slow.changes.lock().unwrap();
    assert_eq!(changes.len(), 50);
    for pair in changes[..30].windows(2) {
        assert!(pair[1].1 - pair[0].1 >= Duration::from_millis(14), "the earlier one had been answered");
    }
}

#[test]
fn a_slow_producer_sees_each_result_before_its_next_item() {
    let slow = Slow::start(|_| 5, &[]);
    let outcome = slow.run(
        "$seen = [System.Collections.Generic.List[string]]::new(); 1..6 | ForEach-Object { $seen.Add(\"in $_\"); \
         [pscustomobject]@{ Id = $_ }; [System.Threading.Thread]::Sleep(150) } | Get-JIMRunProfile | ForEach-Object { $seen.Add(\"out $($_.Id)\") }; $seen -join ','",
    );
    assert_eq!(
        outcome["values"][0], "in 1,out 1,in 2,out 2,in 3,out 3,in 4,out 4,in 5,out 5,in 6,out 6",
        "{outcome:#}"
    );
}

#[test]
fn what_a_pipeline_that_was_cut_off_had_sent_is_said_by_the_next_cmdlet() {
    for cut in ["throw 'no more'", "break"] {
        let slow = Slow::start(|id| if id < 3 { 5 } else { 60 }, &[8]);
        let outcome = slow.run(&format!(
            "foreach ($once in 1) {{ try {{ $items | ForEach-Object {{ if ($_.Id -eq 9) {{ {cut} }}; $_ }} | Set-JIMRunProfile -PageSize 5 }} catch {{}} }}
             Get-JIMRunProfile -ConnectedSystemId 1 | Out-Null"
        ));
        let warnings = outcome["warnings"].to_string();
        assert!(
            warnings.contains("was stopped with changes on their way") && warnings.contains("1 failed"),
            "{outcome:#}"
        );
        assert!(warnings.contains("Not there."), "{outcome:#}");
        let mut changed = slow.changed();
        changed.sort_unstable();
        assert_eq!(changed, (1..=8).collect::<Vec<_>>(), "{cut}");
    }
}

#[test]
fn other_calls_of_the_script_wait_for_changes_in_flight() {
    let slow = Slow::start(|_| 30, &[]);
    let outcome = slow.run(
        "$items | ForEach-Object { if ($_.Id -eq 10) { Get-JIMRunProfile -ConnectedSystemId 77 | Out-Null }; $_ } | Set-JIMRunProfile -PageSize 5",
    );
    no_errors(&outcome);
    let seen = slow.stub.seen();
    let read = seen.iter().position(|line| line.contains("/77/run-profiles")).unwrap();
    let before = seen[..read].iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(before, 9);
    assert_eq!(slow.changed().len(), 20);
}

#[test]
fn ctrl_c_sends_nothing_new() {
    let slow = Slow::start(|_| 200, &[]);
    let script = "$ps = [powershell]::Create()
        $null = $ps.AddScript(\"Import-Module $env:TEST_MODULE; 1..200 | ForEach-Object { [pscustomobject]@{ ConnectedSystemId = 1; Id = `$_ } } | Set-JIMRunProfile -PageSize 5\")
        $running = $ps.BeginInvoke()
        [System.Threading.Thread]::Sleep(2500)
        $watch = [System.Diagnostics.Stopwatch]::StartNew()
        $ps.Stop()
        $watch.ElapsedMilliseconds
        [System.Threading.Thread]::Sleep(1500)";
    let outcome = slow.run(script);
    let took = outcome["values"][0].as_u64().unwrap();
    assert!(took < 600, "{took} ms");
    let changes = slow.changes.lock().unwrap();
    assert!(changes.len() > 3 && changes.len() < 150, "{}", changes.len());
    let (last, first) = (changes.last().unwrap().1, changes.first().unwrap().1);
    assert!(last - first < Duration::from_millis(2900), "{:?} after the first", last - first);
}

#[test]
fn a_name_is_looked_up_once_in_a_pipeline_and_again_in_the_next() {
    let stub = Stub::start(|method, path, _| match method {
        "GET" if path.ends_with("/run-profiles") => json(200, r#"[{"id":9,"name":"Full"}]"#),
        _ => greeting(path).unwrap_or_else(|| json(200, r#"{"id":9,"name":"Full","connectedSystemId":4}"#)),
    });
    let script = format!(
        "{COLLECT}{CONNECT}Show-Outcome {{ foreach ($round in 1, 2) {{ 1..12 | ForEach-Object {{ [pscustomobject]@{{ ConnectedSystemId = 4 }} }} | \
         Set-JIMRunProfile -RunProfileName Full -PageSize 5 }}
         1..3 | ForEach-Object {{ [pscustomobject]@{{ ConnectedSystemId = 4 }} }} | Set-JIMRunProfile -RunProfileName Other -PageSize 5 }}"
    );
    let outcome = Pwsh::new(&stub.url).run(&script).json();
    let seen = stub.seen();
    let count = |start: &str, end: &str| seen.iter().filter(|l| l.starts_with(start) && l.ends_with(end)).count();
    assert_eq!(count("PUT", "/9"), 24, "{outcome:#}");
    // Twice; then once for the first name that is missing, and again for each further one.
    assert_eq!(count("GET", "/run-profiles"), 2 + 3, "{seen:#?}");
    assert_eq!(outcome["errors"].as_array().unwrap().len(), 3, "{outcome:#}");
}

#[test]
fn stopping_downstream_stops_the_fetching() {
    let sandbox = Sandbox::start(&["--systems", "3000"]);
    let script = format!("{COLLECT}{CONNECT}Show-Outcome {{ Get-JIMConnectedSystem | Select-Object -First 3 }}");
    sandbox.clear_record();
    let outcome = Pwsh::new(&sandbox.url).run(&script).json();
    no_errors(&outcome);
    assert_eq!(outcome["count"], 3);
    std::thread::sleep(Duration::from_millis(300));
    let pages = sandbox.record().iter().filter(|line| line.contains("connected-systems")).count();
    assert!(pages < 30, "{pages} pages of 30 served");
}

#[test]
fn a_rate_limit_slows_down_and_fails_nobody() {
    let sandbox = Sandbox::start(&["--rate-limit", "300", "--rate-window", "1.5"]);
    let script = format!(
        "{COLLECT}{CONNECT}Show-Outcome {{ $many = 1..2000 | ForEach-Object {{ [pscustomobject]@{{ ConnectedSystemId = 1; RunProfileId = 1 + $_ % 3 }} }}
         $many | Set-JIMRunProfile -PageSize 77 }}"
    );
    let outcome = Pwsh::new(&sandbox.url).run(&script).json();
    no_errors(&outcome);
    let (all, refused) = sandbox.counts(429);
    assert!(all >= 2000 && refused > 0, "{all} requests, {refused} refused");
    assert!(refused * 20 < all, "{refused} of {all} were answered 429");
}

#[test]
fn eight_runspaces_share_a_connection_and_mix_nothing() {
    let sandbox = Sandbox::start(&["--systems", "40"]);
    let script = format!(
        "{COLLECT}{CONNECT}Show-Outcome {{ $wrong = 1..8 | ForEach-Object -ThrottleLimit 8 -Parallel {{
            Import-Module $env:TEST_MODULE
            $mine = $_
            foreach ($n in 1..1250) {{ $id = 1 + ($n * $mine) % 40; $s = Get-JIMConnectedSystem -Id $id; if ($s.Id -ne $id) {{ \"$mine $n\" }} }}
            'done'
         }}; $wrong }}"
    );
    sandbox.clear_record();
    let outcome = Pwsh::new(&sandbox.url).run(&script).json();
    no_errors(&outcome);
    assert_eq!(outcome["values"].as_array().unwrap().iter().filter(|v| *v == "done").count(), 8, "{outcome:#}");
    assert_eq!(outcome["count"], 8, "{outcome:#}");
}

#[test]
fn a_server_that_restarts_in_mid_pipeline_loses_nothing() {
    let sandbox = Sandbox::start(&["--latency", "10"]);
    let address = sandbox.address().to_owned();
    let script = format!(
        "{COLLECT}{CONNECT}'started' | Out-Host
        Show-Outcome {{ 1..600 | ForEach-Object {{ [pscustomobject]@{{ ConnectedSystemId = 1; RunProfileId = 1 + $_ % 3 }} }} | Set-JIMRunProfile -PageSize 321
            Get-JIMRunProfile -ConnectedSystemId 1 | ForEach-Object PageSize }}"
    );
    let url = sandbox.url.clone();
    let restarting = std::thread::spawn(move || {
        let changes = |s: &Sandbox| s.record().iter().filter(|line| line.starts_with("PUT")).count();
        while changes(&sandbox) < 100 {
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(sandbox);
        Sandbox::start_at(&address, &["--latency", "10"])
    });
    let outcome = Pwsh::new(&url).run(&script).json();
    let again = restarting.join().unwrap();
    no_errors(&outcome);
    assert_eq!(outcome["values"], serde_json::json!([321, 321, 321]));
    let changes = again.record().iter().filter(|line| line.starts_with("PUT")).count();
    assert!((1..600).contains(&changes), "{changes} after the restart");
}

/// 200,000 objects in 2,000 pages, none of which is kept: memory stays flat on both sides.
#[cfg(target_os = "linux")]
#[test]
fn a_long_list_costs_no_memory() {
    let stub = Stub::start(|_, path, _| {
        let Some(page) = path.split("page=").nth(1).and_then(|rest| rest.split('&').next()) else {
            return greeting(path).unwrap();
        };
        let page: usize = page.parse().unwrap();
        let rows: Vec<String> = (0..100)
            .map(|row| {
                let id = page * 100 - 99 + row;
                format!(
                    r#"{{"id":{id},"name":"System {id}","description":"Number {id} of many","objectCount":{row},"connectorName":"CSV File","status":"Active"}}"#
                )
            })
            .collect();
        json(
            200,
            &format!(
                r#"{{"items":[{}],"totalCount":200000,"page":{page},"pageSize":100,"totalPages":2000,"hasNextPage":{}}}"#,
                rows.join(","),
                page < 2000
            ),
        )
    });
    let script = format!(
        "{CONNECT}$n = 0; $sum = [long] 0; $early = 0
        Get-JIMConnectedSystem 3>$null | ForEach-Object {{ $n++; $sum += $_.Id; if ($n -eq 20000) {{ [GC]::Collect(); $early = [Environment]::WorkingSet }} }}
        [GC]::Collect()
        $late = [Environment]::WorkingSet
        $peak = foreach ($status in [System.IO.Directory]::GetDirectories('/proc') | ForEach-Object {{ \"$_/status\" }}) {{
            if (-not [System.IO.File]::Exists($status)) {{ continue }}
            try {{ $text = [System.IO.File]::ReadAllText($status) }} catch {{ continue }}
            if ($text -match \"PPid:\\s+$PID\\b\" -and $text -match 'Name:\\s+jimhost' -and $text -match 'VmHWM:\\s+(\\d+)') {{ [long] $Matches[1] }}
        }}
        ConvertTo-Json -Compress -InputObject @{{ n = $n; sum = $sum; early = $early; late = $late; peak = $peak }}"
    );
    let result = Pwsh::new(&stub.url).run(&script).json();
    assert_eq!((result["n"].as_u64(), result["sum"].as_u64()), (Some(200_000), Some(20_000_100_000)), "{result}");
    assert!(result["peak"].as_u64().unwrap() < 40 * 1024, "host: {result}");
    let (early, late) = (result["early"].as_u64().unwrap(), result["late"].as_u64().unwrap());
    assert!(late < early + 60 * 1024 * 1024, "PowerShell: {result}");
}

/// Small and good enough: which faults come is written by the seed, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// 5,000 calls in 50 rounds, each with faults of its own: every item is answered exactly once, no
/// update is lost, and nothing that is not idempotent is carried out twice.
#[test]
fn faults_in_flight_lose_nothing_and_do_nothing_twice() {
    let sandbox = Sandbox::start(&[]);
    let mut dice = Dice(0x5eed_0004);
    let kinds = [
        r#"{"reset":"before","path":"/api/v1/synchronisation","count":N}"#,
        r#"{"reset":"after","path":"/api/v1/synchronisation","count":N}"#,
        r#"{"nextStatus":[503],"retryAfter":"1","path":"/api/v1/synchronisation","method":"GET"}"#,
        r#"{"slowBody":2,"path":"/api/v1/synchronisation","count":N}"#,
        r#"{"truncatedJson":true,"method":"POST","path":"/api/v1/synchronisation","count":N}"#,
        r#"{"nextStatus":[504],"method":"PUT","path":"/api/v1/synchronisation"}"#,
    ];
    let rounds: Vec<String> = (0..50)
        .map(|_| {
            // At most three strikes: as many as a call is sent again.
            let faults: Vec<String> = (0..2)
                .map(|_| kinds[dice.roll(kinds.len() as u64) as usize].replace("count\":N", "count\":1"))
                .collect();
            format!("[{}]", faults.join(","))
        })
        .collect();
    let list = rounds.iter().map(|r| format!("'{r}'")).collect::<Vec<_>>().join(",\n");
    let script = format!(
        "{CONNECT}$WarningPreference = 'SilentlyContinue'
        $rounds = @({list})
        $report = foreach ($round in 0..49) {{
            $null = Invoke-RestMethod -Uri \"$Url/sandbox/faults\" -Method Post -Body $rounds[$round] -ContentType 'application/json'
            $items = 1..85 | ForEach-Object {{ [pscustomobject]@{{ ConnectedSystemId = 1 + $_ % 3; RunProfileId = 1 + ($_ % 3) * 3; Mark = $_ }} }}
            $bad = @()
            1..85 | ForEach-Object {{ [pscustomobject]@{{ ConnectedSystemId = 1; RunProfileId = 1 + $_ % 3 }} }} |
                Set-JIMRunProfile -PageSize (100 + $round) -ErrorAction SilentlyContinue -ErrorVariable bad
            $made = @(); $failed = @()
            foreach ($n in 1..15) {{
                $name = \"R$round N$n\"
                try {{ $p = New-JIMRunProfile -ConnectedSystemId 1 -Name $name -RunType FullImport -PassThru -ErrorAction Stop; $made += $name }}
                catch {{ $failed += $name }}
            }}
            $null = Invoke-RestMethod -Uri \"$Url/sandbox/faults\" -Method Delete
            $sizes = @(Get-JIMRunProfile -ConnectedSystemId 1 | Where-Object {{ $_.Id -le 3 }} | ForEach-Object PageSize)
            [pscustomobject]@{{ round = $round; errors = @($bad).Count; said = @($bad | ForEach-Object {{ $_.Exception.Message }}); made = $made; failed = $failed; sizes = $sizes }}
        }}
        $names = @(Get-JIMRunProfile -ConnectedSystemId 1 | ForEach-Object Name)
        ConvertTo-Json -InputObject @{{ report = @($report); names = $names }} -Depth 6 -Compress"
    );
    let run = Pwsh::new(&sandbox.url).run(&script);
    let result = run.json();
    let mut count: HashMap<&str, usize> = HashMap::new();
    for name in result["names"].as_array().unwrap() {
        *count.entry(name.as_str().unwrap()).or_default() += 1;
    }
    let (mut calls, mut failures) = (0, 0);
    for round in result["report"].as_array().unwrap() {
        let list = |name: &str| round[name].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect::<Vec<_>>();
        let (made, failed) = (list("made"), list("failed"));
        assert_eq!(made.len() + failed.len(), 15, "{round}");
        for name in &made {
            assert_eq!(count.get(name), Some(&1), "{name} was reported as made: {round}");
        }
        for name in &failed {
            assert!(count.get(name).copied().unwrap_or_default() <= 1, "{name} was made twice: {round}");
        }
        failures += failed.len();
        // Changes are idempotent: they are sent again until they are through.
        assert_eq!(round["errors"], 0, "{round}");
        let wanted = 100 + round["round"].as_u64().unwrap();
        assert!(round["sizes"].as_array().unwrap().iter().all(|size| size.as_u64() == Some(wanted)), "{round}");
        calls += 100;
    }
    assert_eq!(calls, 5000);
    assert!(failures > 0, "the faults reached the calls that must not be repeated");
    assert!(!run.text().contains(KEY));
}
