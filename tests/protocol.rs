//! Transcripts of `jimhost serve`: what a client other than our module can rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::host::{Host, Messages};
use support::sandbox::Sandbox;
use support::stub::{Stub, Told, greeting};

const SOON: Duration = Duration::from_secs(1);

fn error(said: &Messages) -> &Value {
    let errors: Vec<&Value> = said.iter().filter_map(|message| message.get("error")).collect();
    assert_eq!(errors.len(), 1, "{said:#?}");
    errors[0]
}

fn values(said: &Messages) -> Vec<Value> {
    let items = said.iter().filter_map(|message| message["items"]["values"].as_array());
    items.flatten().cloned().collect()
}

// ---- greeting ---------------------------------------------------------------------------------------

#[test]
fn both_sides_say_hello() {
    let mut host = Host::silent();
    assert_eq!(host.line_within(Duration::from_millis(100)), None, "the client speaks first");
    host.send(&json!({"hello": {"protocol": 1, "client": "tests 1.0"}}));
    let hello = host.next();
    assert_eq!(hello["id"], 0);
    assert_eq!(hello["hello"]["protocol"], 1);
    assert_eq!(hello["hello"]["version"], env!("CARGO_PKG_VERSION"));
    let features = hello["hello"]["features"].as_array().unwrap();
    for feature in ["cancel", "confirm", "acknowledge"] {
        assert!(features.contains(&json!(feature)), "{hello}");
    }
}

#[test]
fn another_version_is_told_who_must_be_updated() {
    for (protocol, what) in [(99, "jimhost program"), (0, "module")] {
        let mut host = Host::silent();
        host.send(&json!({"hello": {"protocol": protocol, "client": "tests 9.9"}}));
        assert_eq!(host.next()["hello"]["protocol"], 1, "the host says what it speaks");
        let said = host.until_end(0);
        assert_eq!(error(&said)["code"], "JIM.Protocol");
        assert!(error(&said)["recommendation"].as_str().unwrap().contains(what), "{said:#?}");
        let said = host.call(1, "Get-JIMHealth", json!({}));
        assert_eq!(error(&said)["code"], "JIM.Protocol", "and does nothing else");
    }
}

#[test]
fn a_call_before_the_hello_is_refused() {
    let mut host = Host::silent();
    let said = host.call(1, "Get-JIMHealth", json!({}));
    assert_eq!(error(&said)["code"], "JIM.Protocol");
    assert!(error(&said)["message"].as_str().unwrap().contains("hello"), "{said:#?}");
}

// ---- what a client may get wrong --------------------------------------------------------------------

#[test]
fn an_unknown_cmdlet_is_an_error_of_that_call() {
    let mut host = Host::start();
    let said = host.call(7, "Get-JIMNothing", json!({}));
    assert_eq!(error(&said)["code"], "JIM.UnknownCmdlet");
    assert!(error(&said)["message"].as_str().unwrap().contains("Get-JIMNothing"));
}

#[test]
fn a_line_that_is_no_message_is_not_repeated_and_does_no_harm() {
    let mut host = Host::start();
    for line in [
        "{\"call\": {\"id\": 1, \"cmdlet\": \"jim_ak_secret\", }}\n",
        "jim_ak_secret\n",
        "\u{1}\u{2}[[[[jim_ak_secret\n",
    ] {
        host.send_text(line);
        let said = host.until_end(0);
        assert_eq!(error(&said)["code"], "JIM.Protocol", "{line}");
        assert!(!said.iter().any(|message| message.to_string().contains("jim_ak_secret")), "{said:#?}");
    }
    let said = host.call(1, "Get-JIMConnection", json!({}));
    assert!(said.iter().all(|message| message.get("error").is_none()), "{said:#?}");
}

#[test]
fn an_id_that_is_in_use_is_refused_without_touching_the_first_call() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox.url);
    sandbox.faults(r#"{"latencyMs": 400, "count": 1}"#);
    host.start_call(5, "Get-JIMConnectedSystem", json!({"Id": 1}));
    host.start_call(5, "Get-JIMConnectedSystem", json!({"Id": 2}));
    let first = host.until_end(5);
    assert_eq!(error(&first)["code"], "JIM.Protocol");
    let second = host.until_end(5);
    assert_eq!(values(&second)[0]["Id"], 1, "{second:#?}");
}

#[test]
fn an_argument_that_does_not_fit_is_an_error_that_names_it() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox.url);
    let said = host.call(1, "Get-JIMConnectedSystem", json!({"Id": "many"}));
    assert_eq!(error(&said)["code"], "JIM.InvalidArgument");
    assert!(error(&said)["message"].as_str().unwrap().contains("Id"), "{said:#?}");
}

// ---- output -----------------------------------------------------------------------------------------

#[test]
fn nothing_null_one_and_a_list_are_four_things() {
    let stub = Stub::start(|asked| {
        greeting(asked).unwrap_or_else(|| match asked.path.as_str() {
            "/api/v1/synchronisation/connected-systems/1/run-profiles" => Told::json(200, "[]"),
            "/api/v1/synchronisation/connected-systems/2/run-profiles" => Told::json(200, r#"[{"id":1,"tags":null}]"#),
            "/api/v1/synchronisation/connected-systems/3/run-profiles" => {
                Told::json(200, r#"[{"id":1,"tags":[]},{"id":2,"tags":["one"]}]"#)
            }
            "/api/v1/synchronisation/connected-systems/4/run-profiles" => Told::json(200, "[null]"),
            _ => Told::json(404, "{}"),
        })
    });
    let mut host = Host::connected(&stub.url());
    let mut ask = |id: u64| host.call(id, "Get-JIMRunProfile", json!({"ConnectedSystemId": id}));
    assert_eq!(ask(1), Vec::<Value>::new(), "nothing is no message at all");
    let one = values(&ask(2));
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["Tags"], Value::Null);
    let two = values(&ask(3));
    assert_eq!(two.len(), 2);
    assert_eq!((&two[0]["Tags"], &two[1]["Tags"]), (&json!([]), &json!(["one"])));
    let null = values(&ask(4));
    assert_eq!(null.len(), 1, "null is an item");
}

#[test]
fn numbers_come_as_the_server_wrote_them() {
    let stub = Stub::start(|asked| {
        let body = r#"[{"id":9007199254740993,"pageSize":1.50,"name":"a\u2028\ud83d\ude00"}]"#;
        greeting(asked).unwrap_or_else(|| Told::json(200, body))
    });
    let mut host = Host::connected(&stub.url());
    host.start_call(1, "Get-JIMRunProfile", json!({"ConnectedSystemId": 1}));
    let line = host.line();
    assert!(line.contains("9007199254740993") && line.contains(":1.50"), "{line}");
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["items"]["values"][0]["Name"], "a\u{2028}\u{1f600}");
}

#[test]
fn calls_run_side_by_side() {
    let sandbox = Sandbox::start(&["--latency", "300"]);
    let mut host = Host::connected(&sandbox.url);
    let start = Instant::now();
    for id in 1..=4 {
        host.start_call(id, "Get-JIMConnectedSystem", json!({"Id": 1}));
    }
    let mut ended = 0;
    while ended < 4 {
        ended += usize::from(host.next().get("end").is_some());
    }
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
}

#[test]
fn a_client_that_takes_nothing_stops_the_reading_of_pages() {
    let sandbox = Sandbox::start(&["--systems", "6000"]);
    let mut host = Host::connected(&sandbox.url);
    sandbox.forget_record();
    host.start_call(1, "Get-JIMConnectedSystem", json!({}));
    let mut messages = 0;
    while let Some(line) = host.line_within(Duration::from_millis(1500)) {
        assert!(!line.contains("\"end\""), "it must not get to the end unread");
        messages += 1;
    }
    assert!(messages <= 32, "{messages} messages unread");
    let asked = sandbox.requests().len();
    assert!(asked < 60, "{asked} pages were read ahead");
    host.send(&json!({"acknowledge": {"id": 1, "messages": 32}}));
    assert!(host.line_within(SOON).is_some(), "it goes on once messages are taken");
}

// ---- questions --------------------------------------------------------------------------------------

fn ask_to_remove(host: &mut Host, id: u64, profile: u64) -> Value {
    host.send(&json!({"call": {"id": id, "cmdlet": "Remove-JIMRunProfile", "preferences": {"ask": true},
        "arguments": {"ConnectedSystemId": 1, "RunProfileId": profile}}}));
    let question = host.next();
    assert_eq!(question["id"], id);
    question["confirm"].clone()
}

#[test]
fn no_means_that_nothing_is_sent_and_yes_that_it_is() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox.url);
    let question = ask_to_remove(&mut host, 1, 2);
    for part in ["description", "question", "caption"] {
        assert!(question[part].as_str().is_some_and(|text| !text.is_empty()), "{question}");
    }
    assert!(question["question"].as_str().unwrap().contains("Full Synchronisation"), "{question}");
    assert!(!sandbox.requests().iter().any(|asked| asked.starts_with("DELETE")), "asked before it is sent");
    host.send(&json!({"answer": {"id": 1, "yes": false}}));
    assert_eq!(host.until_end(1), Vec::<Value>::new());
    assert!(!sandbox.requests().iter().any(|asked| asked.starts_with("DELETE")));

    ask_to_remove(&mut host, 2, 2);
    host.send(&json!({"answer": {"id": 2, "yes": true}}));
    assert_eq!(host.until_end(2), Vec::<Value>::new());
    assert!(sandbox.requests().iter().any(|asked| asked.starts_with("DELETE")));
}

#[test]
fn an_answer_reaches_its_own_call() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox.url);
    ask_to_remove(&mut host, 1, 2);
    ask_to_remove(&mut host, 2, 3);
    host.send(&json!({"answer": {"id": 99, "yes": true}}));
    host.send(&json!({"answer": {"id": 2, "yes": true}}));
    host.until_end(2);
    host.send(&json!({"answer": {"id": 1, "yes": false}}));
    host.until_end(1);
    let deletes: Vec<_> = sandbox.requests().into_iter().filter(|asked| asked.starts_with("DELETE")).collect();
    assert_eq!(deletes.len(), 1);
    assert!(deletes[0].contains("/run-profiles/3 "), "{deletes:?}");
}

// ---- cancelling and ending --------------------------------------------------------------------------

#[test]
fn a_cancelled_call_ends_at_once_and_its_request_is_dropped() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox.url);
    sandbox.faults(r#"{"latencyMs": 30000, "count": 1}"#);
    host.start_call(1, "Get-JIMConnectedSystem", json!({"Id": 1}));
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    host.send(&json!({"cancel": {"id": 1}}));
    assert_eq!(host.until_end(1), Vec::<Value>::new());
    assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
    // Neither a second cancel nor one of nobody's call disturbs.
    host.send(&json!({"cancel": {"id": 1}}));
    host.send(&json!({"cancel": {"id": 77}}));
    let said = host.call(2, "Get-JIMConnectedSystem", json!({"Id": 2}));
    assert_eq!(values(&said)[0]["Id"], 2);
}

#[test]
fn a_cancelled_question_sends_nothing() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox.url);
    ask_to_remove(&mut host, 1, 2);
    host.send(&json!({"cancel": {"id": 1}}));
    host.until_end(1);
    host.send(&json!({"answer": {"id": 1, "yes": true}}));
    let said = host.call(2, "Get-JIMConnectedSystem", json!({"Id": 2}));
    assert_eq!(values(&said).len(), 1);
    assert!(!sandbox.requests().iter().any(|asked| asked.starts_with("DELETE")));
}

#[test]
fn it_ends_with_its_client_also_when_idle() {
    let mut host = Host::start();
    let status = host.close(SOON).expect("it must end");
    assert!(status.success(), "{status}");
}

#[test]
fn it_ends_with_its_client_also_in_the_middle_of_a_request() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox.url);
    sandbox.faults(r#"{"latencyMs": 30000}"#);
    host.start_call(1, "Get-JIMConnectedSystem", json!({"Id": 1}));
    std::thread::sleep(Duration::from_millis(200));
    assert!(host.close(SOON).is_some(), "it must end");
}

#[test]
fn it_ends_with_its_client_also_when_a_question_is_open() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox.url);
    ask_to_remove(&mut host, 1, 2);
    assert!(host.close(SOON).is_some(), "it must end");
}

#[cfg(unix)]
#[test]
fn an_interrupt_of_the_terminal_is_for_the_client_to_handle() {
    let sandbox = Sandbox::start(&[]);
    let mut host = Host::connected(&sandbox.url);
    sandbox.faults(r#"{"latencyMs": 500, "count": 1}"#);
    host.start_call(1, "Get-JIMConnectedSystem", json!({"Id": 1}));
    for _ in 0..2 {
        let sent = std::process::Command::new("kill").args(["-INT", &host.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(values(&host.until_end(1))[0]["Id"], 1, "the call goes on");
    assert!(host.process.try_wait().unwrap().is_none());
}

#[test]
fn every_line_is_a_message_that_begins_with_its_id() {
    let sandbox = Sandbox::start(&["--run-speed", "20"]);
    let mut host = Host::connected(&sandbox.url);
    let all = json!({"verbose": true, "debug": true, "progress": true});
    let arguments = json!({"ConnectedSystemId": 1, "RunProfileName": "Full Import", "Wait": true, "PassThru": true});
    host.send(
        &json!({"call": {"id": 42, "cmdlet": "Start-JIMRunProfile", "arguments": arguments, "preferences": all}}),
    );
    let mut kinds = Vec::new();
    loop {
        let line = host.line();
        assert!(line.starts_with("{\"id\":42,\""), "{line}");
        let message: Value = serde_json::from_str(&line).unwrap();
        let kind = message.as_object().unwrap().keys().nth(1).unwrap().clone();
        kinds.push(kind);
        if message.get("end").is_some() {
            break;
        }
    }
    for kind in ["verbose", "debug", "progress", "items", "end"] {
        assert!(kinds.iter().any(|seen| seen == kind), "no {kind}: {kinds:?}");
    }
}
