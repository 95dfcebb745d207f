//! Transcripts with `jimhost serve`: what any client may rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use support::{KEY, Sandbox, Stub, greeting, program};

struct Host {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Host {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("jimhost-protocol-{}", std::process::id()));
        let mut process = Command::new(program())
            .arg("serve")
            .env("JIMHOST_CONFIG_DIR", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Self { process, stdin, stdout }
    }

    fn greeted() -> Self {
        let mut host = Self::start();
        host.say(r#"{"hello":{"protocol":1,"client":"test"}}"#);
        assert_eq!(host.hear()["hello"]["protocol"], 1);
        host
    }

    fn connected(sandbox: &Sandbox) -> Self {
        Self::connected_to(&sandbox.url)
    }

    fn connected_to(url: &str) -> Self {
        let mut host = Self::greeted();
        let call = json!({"call": {"id": 1000, "cmdlet": "Connect-JIM", "arguments": {"Url": url, "ApiKey": KEY, "NoPersist": true}}});
        host.say(&call.to_string());
        let said = host.until_end();
        assert!(said.iter().any(|m| m["items"]["values"][0]["Connected"] == true), "{said:?}");
        host
    }

    fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
        stdin.flush().unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(line.starts_with("{\"id\":"), "{line:?}");
        serde_json::from_str(&line).unwrap()
    }

    /// All messages up to the end of a call.
    fn until_end(&mut self) -> Vec<Value> {
        let mut said = Vec::new();
        loop {
            let message = self.hear();
            if message.get("end").is_some() {
                return said;
            }
            said.push(message);
        }
    }

    fn call(&mut self, id: u64, cmdlet: &str, arguments: Value) -> Vec<Value> {
        self.say(&json!({"call": {"id": id, "cmdlet": cmdlet, "arguments": arguments}}).to_string());
        self.until_end()
    }

    /// Waits for the process to end by itself.
    fn ends_within(&mut self, limit: Duration) -> bool {
        let started = Instant::now();
        while started.elapsed() < limit {
            if self.process.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn another_protocol_version_says_what_to_update() {
    for (version, words) in [(99, "Update the jimhost program"), (0, "Update the JimHost module")] {
        let mut host = Host::start();
        host.say(&format!(r#"{{"hello":{{"protocol":{version},"client":"test"}}}}"#));
        assert_eq!(host.hear()["hello"]["protocol"], 1);
        let error = host.hear()["error"].clone();
        assert!(error["recommendation"].as_str().unwrap().contains(words), "{error}");
    }
}

#[test]
fn a_call_before_the_hello_is_refused() {
    let mut host = Host::start();
    let said = host.call(5, "Get-JIMHealth", json!({}));
    assert_eq!(said[0]["id"], 5);
    assert_eq!(said[0]["error"]["code"], "JIM.Protocol");
}

#[test]
fn unknown_cmdlets_and_wrong_arguments_are_named() {
    let mut host = Host::greeted();
    assert_eq!(host.call(1, "Get-Nothing", json!({}))[0]["error"]["code"], "JIM.UnknownCmdlet");
    let error = host.call(2, "Set-JIMRunProfile", json!({"ConnectedSystemId": 1, "RunProfileId": 1, "PageSize": 0}))[0]
        ["error"]
        .clone();
    assert_eq!(error["code"], "JIM.InvalidArgument");
    assert!(error["message"].as_str().unwrap().contains("from 1 to 10000"), "{error}");
}

#[test]
fn a_faulty_line_is_answered_without_quoting_it_and_the_session_goes_on() {
    let mut host = Host::greeted();
    host.say(r#"{"call":{"id":"jim_ak_secret"}}"#);
    let said = host.until_end();
    assert_eq!(said[0]["id"], 0);
    assert!(!said[0].to_string().contains("jim_ak_secret"), "{said:?}");
    assert_eq!(host.call(1, "Test-JIMConnection", json!({"Quiet": true}))[0]["items"]["values"], json!([false]));
}

#[test]
fn nothing_one_and_many_are_distinct() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox);
    assert!(host.call(1, "Get-JIMConnectedSystem", json!({"Name": "none*"})).is_empty());
    let one = host.call(2, "Get-JIMConnectedSystem", json!({"Name": "HR*"}));
    assert_eq!(one[0]["items"]["values"].as_array().unwrap().len(), 1);
    let many = host.call(3, "Get-JIMRunProfile", json!({"ConnectedSystemId": 1}));
    assert_eq!(many[0]["items"]["type"], "JIM.RunProfile");
    assert_eq!(many[0]["items"]["values"].as_array().unwrap().len(), 3);
}

#[test]
fn a_question_waits_for_its_answer_and_no_sends_nothing() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox);
    sandbox.clear_record();
    for (id, yes) in [(1, false), (2, true)] {
        let arguments = json!({"ConnectedSystemId": 1, "RunProfileId": 1, "PageSize": 77});
        host.say(&json!({"call": {"id": id, "cmdlet": "Set-JIMRunProfile", "arguments": arguments, "preferences": {"ask": true}}}).to_string());
        let question = host.hear();
        assert!(question["confirm"]["description"].as_str().unwrap().contains("PageSize: 500 -> 77"), "{question}");
        host.say(&json!({"answer": {"id": id, "yes": yes}}).to_string());
        assert!(host.until_end().is_empty());
        let puts = sandbox.record().iter().filter(|r| r.starts_with("PUT")).count();
        assert_eq!(puts, usize::from(yes));
    }
}

#[test]
fn a_cancelled_call_ends_and_others_go_on() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox);
    sandbox.faults(r#"{"latencyMs":20000,"path":"/api/v1/synchronisation/connected-systems/1/run-profiles"}"#);
    host.say(r#"{"call":{"id":1,"cmdlet":"Get-JIMRunProfile","arguments":{"ConnectedSystemId":1}}}"#);
    std::thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    host.say(r#"{"cancel":{"id":1}}"#);
    assert_eq!(host.hear(), json!({"id": 1, "end": true}));
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(host.call(2, "Get-JIMRunProfile", json!({"ConnectedSystemId": 2}))[0]["id"], 2);
}

#[test]
fn calls_are_answered_side_by_side() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox);
    sandbox.faults(r#"{"latencyMs":500,"path":"/api/v1/synchronisation/connected-systems/1/run-profiles"}"#);
    host.say(r#"{"call":{"id":1,"cmdlet":"Get-JIMRunProfile","arguments":{"ConnectedSystemId":1}}}"#);
    host.say(r#"{"call":{"id":2,"cmdlet":"Get-JIMRunProfile","arguments":{"ConnectedSystemId":2}}}"#);
    assert_eq!(host.hear()["id"], 2, "the quick one first");
}

#[test]
fn the_host_ends_with_its_client_also_in_mid_request() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox);
    sandbox.faults(r#"{"latencyMs":20000}"#);
    host.say(r#"{"call":{"id":1,"cmdlet":"Get-JIMRunProfile","arguments":{"ConnectedSystemId":1}}}"#);
    std::thread::sleep(Duration::from_millis(100));
    host.stdin = None;
    assert!(host.ends_within(Duration::from_secs(2)));
}

#[cfg(unix)]
#[test]
fn an_interrupt_does_not_end_the_host() {
    let mut host = Host::greeted();
    let status = Command::new("kill").args(["-INT", &host.process.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert!(!host.ends_within(Duration::from_millis(300)));
    assert_eq!(host.call(1, "Test-JIMConnection", json!({"Quiet": true}))[0]["items"]["values"], json!([false]));
}

#[test]
fn completion_offers_names_and_is_silent_without_a_connection() {
    let complete = r#"{"complete":{"id":7,"source":"connected-system","word":"hr","arguments":{}}}"#;
    let mut host = Host::greeted();
    host.say(complete);
    assert!(host.until_end().is_empty());
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox);
    host.say(complete);
    assert_eq!(
        host.until_end()[0]["items"]["values"],
        json!([{"Text": "HR CSV Source", "Label": "HR CSV Source (1)"}])
    );
}

#[test]
fn unread_output_stops_the_paging() {
    let sandbox = Sandbox::start(&["--systems", "6000"]);
    let mut host = Host::connected(&sandbox);
    sandbox.clear_record();
    host.say(r#"{"call":{"id":1,"cmdlet":"Get-JIMConnectedSystem"}}"#);
    std::thread::sleep(Duration::from_millis(1500));
    let pages = sandbox.record().len();
    assert!(pages < 40, "{pages} of 60 pages were read although nobody took the output");
    let mut count = 0;
    loop {
        let message = host.hear();
        if message.get("end").is_some() {
            break;
        }
        let Some(values) = message["items"]["values"].as_array() else { continue };
        count += values.len();
        host.say(r#"{"acknowledge":{"id":1,"messages":1}}"#);
    }
    assert_eq!(count, 6000);
}

fn values(said: &[Value]) -> Vec<Value> {
    said.iter().filter_map(|message| message["items"]["values"].as_array()).flatten().cloned().collect()
}

fn ask_to_remove(host: &mut Host, id: u64, profile: u64) {
    let arguments = json!({"ConnectedSystemId": 1, "RunProfileId": profile});
    let call =
        json!({"id": id, "cmdlet": "Remove-JIMRunProfile", "arguments": arguments, "preferences": {"ask": true}});
    host.say(&json!({"call": call}).to_string());
    let question = host.hear();
    assert_eq!(question["id"], id);
    for part in ["description", "question", "caption"] {
        assert!(question["confirm"][part].as_str().is_some_and(|text| !text.is_empty()), "{question}");
    }
}

fn deletions(sandbox: &Sandbox) -> Vec<String> {
    sandbox.record().into_iter().filter(|request| request.starts_with("DELETE")).collect()
}

#[test]
fn an_answer_reaches_its_own_call_and_no_other() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox);
    ask_to_remove(&mut host, 1, 2);
    ask_to_remove(&mut host, 2, 3);
    host.say(r#"{"answer":{"id":99,"yes":true}}"#);
    host.say(r#"{"answer":{"id":2,"yes":true}}"#);
    host.until_end();
    host.say(r#"{"answer":{"id":1,"yes":false}}"#);
    host.until_end();
    let deletions = deletions(&sandbox);
    assert_eq!(deletions.len(), 1);
    assert!(deletions[0].ends_with("/run-profiles/3"), "{deletions:?}");
}

#[test]
fn a_cancelled_question_sends_nothing_whatever_is_answered_later() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox);
    ask_to_remove(&mut host, 1, 2);
    host.say(r#"{"cancel":{"id":1}}"#);
    assert!(host.until_end().is_empty());
    host.say(r#"{"answer":{"id":1,"yes":true}}"#);
    assert_eq!(values(&host.call(2, "Get-JIMConnectedSystem", json!({"Id": 2}))).len(), 1);
    assert!(deletions(&sandbox).is_empty());
}

#[test]
fn an_open_question_does_not_keep_the_host() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox);
    ask_to_remove(&mut host, 1, 2);
    drop(host.stdin.take());
    assert!(host.ends_within(Duration::from_secs(1)));
    assert!(deletions(&sandbox).is_empty());
}

#[test]
fn an_id_in_use_is_refused_and_the_first_call_goes_on() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox);
    sandbox.faults(r#"{"latencyMs": 400, "count": 1}"#);
    for system in [1, 2] {
        let call = json!({"call": {"id": 5, "cmdlet": "Get-JIMConnectedSystem", "arguments": {"Id": system}}});
        host.say(&call.to_string());
    }
    let refused = host.until_end();
    assert_eq!(refused[0]["error"]["code"], "JIM.Protocol", "{refused:?}");
    assert_eq!(values(&host.until_end())[0]["Id"], 1);
}

#[test]
fn null_is_an_item_and_an_empty_list_stays_one() {
    let stub = Stub::start(|_, path, _| match path {
        "/api/v1/synchronisation/connected-systems/1/run-profiles" => support::json(200, "[null]"),
        "/api/v1/synchronisation/connected-systems/2/run-profiles" => {
            support::json(200, r#"[{"id":1,"tags":[]},{"id":2,"tags":["one"]},{"id":3,"tags":null}]"#)
        }
        path => greeting(path).unwrap_or_else(|| support::json(404, "{}")),
    });
    let mut host = Host::connected_to(&stub.url);
    let null = values(&host.call(1, "Get-JIMRunProfile", json!({"ConnectedSystemId": 1})));
    assert_eq!(null.len(), 1);
    let many = values(&host.call(2, "Get-JIMRunProfile", json!({"ConnectedSystemId": 2})));
    let tags: Vec<_> = many.iter().map(|item| item["Tags"].clone()).collect();
    assert_eq!(tags, [json!([]), json!(["one"]), Value::Null]);
}

#[test]
fn numbers_and_texts_travel_unchanged() {
    let stub = Stub::start(|_, path, _| {
        let body = r#"[{"id":9007199254740993,"pageSize":1.50,"name":"a\u2028\ud83d\ude00"}]"#;
        greeting(path).unwrap_or_else(|| support::json(200, body))
    });
    let mut host = Host::connected_to(&stub.url);
    host.say(r#"{"call":{"id":1,"cmdlet":"Get-JIMRunProfile","arguments":{"ConnectedSystemId":1}}}"#);
    let mut line = String::new();
    host.stdout.read_line(&mut line).unwrap();
    assert!(line.contains("9007199254740993") && line.contains(":1.50"), "{line}");
    let message: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(message["items"]["values"][0]["Name"], "a\u{2028}\u{1f600}");
}

#[test]
fn every_kind_of_message_begins_with_the_id_of_its_call() {
    let sandbox = Sandbox::start(&["--run-speed", "20"]);
    let mut host = Host::connected(&sandbox);
    let arguments = json!({"ConnectedSystemId": 1, "RunProfileName": "Full Import", "Wait": true, "PassThru": true});
    let all = json!({"verbose": true, "debug": true, "progress": true});
    let call = json!({"id": 42, "cmdlet": "Start-JIMRunProfile", "arguments": arguments, "preferences": all});
    host.say(&json!({"call": call}).to_string());
    let mut kinds = Vec::new();
    loop {
        let mut line = String::new();
        host.stdout.read_line(&mut line).unwrap();
        assert!(line.starts_with("{\"id\":42,\""), "{line}");
        let message: serde_json::Map<String, Value> = serde_json::from_str(&line).unwrap();
        assert_eq!(message.len(), 2, "{line}");
        kinds.extend(message.keys().filter(|key| *key != "id").cloned());
        if message.contains_key("end") {
            break;
        }
    }
    for kind in ["verbose", "debug", "progress", "items"] {
        assert!(kinds.iter().any(|seen| seen == kind), "no {kind}: {kinds:?}");
    }
}
