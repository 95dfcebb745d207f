//! Replays recorded exchanges of a real server against a fresh sandbox and compares status, content type and the
//! shape of the JSON: same keys in the same order, same types. The recordings are not part of this repository; the
//! environment variable `JIMHOST_RECORDED` names their folder, and without it there is nothing to compare.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use chrono::{TimeDelta, Utc};
use serde_json::Value;

use super::app::{App, Verdict};
use super::faults::Ailment;
use super::state::{ApiKey, World};
use super::tests::bare_call;
use super::wire::{Call, Reply};
use super::{DEFAULT_KEY, RateLimit, SandboxOptions, seed};

/// In the order in which the recorded server was asked.
const COVERED: &[&str] = &[
    "conn-01", "conn-02", "conn-03", "conn-04", "conn-05", "conn-06", "conn-07", "conn-08", "conn-09", "conn-10",
    "conn-12", "auth-01", "auth-02", "auth-03", "auth-04", "auth-05", "auth-06", "auth-08", "auth-09", "auth-10",
    "auth-11", "auth-12", "route-01", "route-02", "route-03", "route-04", "route-05", "route-06", "route-07",
    "route-08", "route-10", "cs-01", "cs-02", "cs-03", "cs-04", "cs-05", "cs-06", "cs-07", "cs-08", "cs-09", "cs-10",
    "cs-11", "cs-12", "cs-13", "cs-14", "cs-15", "cs-16", "cs-17", "cs-18", "cs-19", "cs-20", "cs-21", "cs-22",
    "cs-23", "cs-24", "cs-25", "cs-26", "cs-27", "cs-28", "rp-01", "rp-02", "rp-03", "rp-04", "rp-05", "rp-10",
    "rp-11", "rp-12", "rp-13", "rp-14", "rp-15", "rp-16", "rp-17", "rp-18", "rp-19", "rp-20", "rp-21", "rp-22",
    "rp-23", "rp-24", "rp-25", "rp-26", "rp-27", "rp-28", "rp-29", "rp-30", "rp-31", "rp-32", "rp-33", "rp-34",
    "rp-35", "rp-40", "rp-41", "rp-42", "rp-43", "rp-44", "rp-45", "rp-46", "rp-47", "rp-48", "rp-49", "rp-50",
    "rp-51", "rp-52", "rp-53", "rp-54", "rp-55", "rp-56", "rp-57", "rp-58", "rp-59", "rp-60", "rp-61", "rp-62",
    "rp-63", "rp-64", "rp-70", "rp-71", "rp-72", "rp-73", "cs-34", "cs-35", "cs-36", "cs-37", "exec-01", "exec-02",
    "exec-03", "exec-04", "exec-05", "exec-06", "+8", "exec-07", "exec-08", "exec-09", "exec-10", "exec-11", "exec-12",
    "+8", "exec-20", "exec-21", "exec-22", "exec-23", "exec-26", "+8", "act-01", "act-02", "act-03", "act-04",
    "act-05", "act-06", "act-07", "act-08", "rp-06", "rp-07", "exec-30", "+8", "exec-31", "exec-32", "exec-33",
    "exec-34", "exec-35", "+8", "exec-36", "exec-37", "exec-38", "exec-39", "cs-40", "cs-41", "cs-42", "cs-43",
    "cs-44", "sr-01", "sr-02", "sr-03", "mv-03", "set-01", "mv-01", "mv-02", "mv-04", "mv-05", "sched-03", "sched-02",
    "sched-04", "sched-05", "sched-10", "more-321", "sched-11", "sched-12", "sched-13", "sched-14", "sched-15",
    "sched-16", "sched-17", "sched-18", "sched-20", "sched-21", "+20", "sched-22", "sched-25", "sched-26", "sched-30",
    "sched-31", "sched-32", "sched-33", "sched-34", "key-01", "key-02", "key-03", "key-04", "key-05", "key-06",
    "key-07", "key-08", "set-02", "sec-01", "more-121", "more-146", "more-312", "more-317", "more-371", "more-385",
    "more-396", "more-015", "more-022", "rate-10", "rate-11", "rate-13",
];

struct Exchange {
    name: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    kind: String,
    location: Option<String>,
    versions: Option<String>,
    answer: String,
}

fn read(folder: &Path, prefix: &str) -> Option<Exchange> {
    let start = format!("{prefix}-");
    let file = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with(&start))?;
    let text = std::fs::read_to_string(file.path()).ok()?;
    if prefix.starts_with("more-") {
        return read_second_form(file.file_name().to_string_lossy().into_owned(), &text);
    }
    let (request, answer) = text.split_once("<<<\n")?;
    let mut sent =
        request.lines().filter_map(|line| line.strip_prefix(">>>")).map(|line| line.strip_prefix(' ').unwrap_or(line));
    let (method, path) = sent.next()?.split_once(' ')?;
    let mut headers = Vec::new();
    for line in sent.by_ref() {
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let body = sent.collect::<Vec<_>>().join("\n");
    let (head, answer) = answer.split_once("\n\n").unwrap_or((answer, ""));
    let header =
        |wanted: &str| head.lines().find_map(|line| line.strip_prefix(wanted)).map(|value| value.trim().to_owned());
    Some(Exchange {
        name: file.file_name().to_string_lossy().into_owned(),
        method: method.to_owned(),
        path: path.trim_start_matches("http://jim.example").to_owned(),
        headers,
        body,
        status: head.split(' ').nth(1)?.parse().ok()?,
        kind: header("Content-Type:").unwrap_or_default(),
        location: header("Location:"),
        versions: header("api-supported-versions:"),
        answer: answer.trim().to_owned(),
    })
}

/// The second round of recordings: `> ` and `< ` before the heads, bodies as they are.
fn read_second_form(name: String, text: &str) -> Option<Exchange> {
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let mut request = lines().filter_map(|line| line.strip_prefix("> "));
    let answer: Vec<&str> = lines().filter_map(|line| line.strip_prefix("< ")).collect();
    let header = |wanted: &str| answer.iter().find_map(|line| line.strip_prefix(wanted)).map(str::to_owned);
    let mut bodies = text.split("\n>\n").nth(1)?.splitn(2, "\n< ");
    let mut first = request.next()?.split(' ');
    Some(Exchange {
        name,
        method: first.next()?.to_owned(),
        path: first.next()?.to_owned(),
        headers: request
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), second_form_key(value)))
            .collect(),
        body: bodies.next()?.trim().to_owned(),
        status: answer.first()?.split(' ').nth(1)?.parse().ok()?,
        kind: header("Content-Type: ").unwrap_or_default(),
        location: header("Location: "),
        versions: header("api-supported-versions: "),
        answer: text.split("\n<\n").nth(1).unwrap_or_default().trim().to_owned(),
    })
}

fn second_form_key(value: &str) -> String {
    match value {
        "jim_ak_<infrastructure-admin-key>" => "<infrastructure-admin-key>",
        "jim_ak_<noroles-key>" => "<key-without-roles>",
        other => other,
    }
    .to_owned()
}

/// The recorded server had no file for its first import, no partitions, and one more key.
fn recorded_world(app: &mut App) {
    let world: &mut World = &mut app.world;
    for profile in &mut world.profiles {
        profile.file_path = None;
    }
    world.profiles.retain(|profile| profile.partition_id.is_none());
    world.systems.iter_mut().for_each(|system| system.partitions.clear());
    // Eleven profiles there, twelve here: the next one is number 12 in both.
    world.reuse_profile_id();
    let mut disabled = ApiKey::new("Disabled", "jim_ak_disabled_000000000000".to_owned(), true, Utc::now());
    disabled.enabled = false;
    world.keys.push(disabled);
}

/// Recorded ids → those of this sandbox, learned from the answers to what was created.
struct Ids(HashMap<String, String>);

impl Ids {
    fn translate(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    }

    fn learn(&mut self, theirs: &Value, ours: &Value) {
        match (theirs, ours) {
            (Value::Object(theirs), Value::Object(ours)) => {
                for (key, value) in theirs {
                    self.learn(value, ours.get(key).unwrap_or(&Value::Null));
                }
            }
            (Value::Array(theirs), Value::Array(ours)) => {
                theirs.iter().zip(ours).for_each(|(theirs, ours)| self.learn(theirs, ours));
            }
            (Value::String(theirs), Value::String(ours)) if is_id(theirs) && is_id(ours) => {
                self.0.entry(theirs.clone()).or_insert_with(|| ours.clone());
            }
            _ => {}
        }
    }
}

fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok() && !text.starts_with("00000000")
}

fn call(exchange: &Exchange, ids: &Ids, bearer: &str) -> Call {
    let key = |text: &str| match text {
        "<infrastructure-admin-key>" | "<ordinary-admin-key>" => DEFAULT_KEY.to_owned(),
        "<key-without-roles>" => seed::READER_KEY.to_owned(),
        "<disabled-key>" => "jim_ak_disabled_000000000000".to_owned(),
        other => other.replace("Bearer <jwt>", bearer).replace("<ordinary-admin-key>", DEFAULT_KEY),
    };
    let mut call = bare_call(&exchange.method, &ids.translate(&exchange.path), "");
    call.body = ids.translate(&exchange.body).into();
    for (name, value) in &exchange.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        call.headers.insert(name, HeaderValue::from_str(&key(value)).unwrap());
    }
    call
}

/// Where two answers differ in shape; null stands for any value, and an empty list for any list.
fn differences(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(a), Value::Object(b)) => {
            let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            // Counts by kind have data for keys.
            if !path.ends_with("operationCounts") && names(a) != names(b) {
                found.push(format!("{path}: keys {:?}, not {:?}", names(b), names(a)));
            }
            for (key, value) in a {
                differences(&format!("{path}.{key}"), value, b.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            a.iter().zip(b).for_each(|(a, b)| differences(&format!("{path}[]"), a, b, found));
        }
        (Value::String(a), Value::String(b)) if time_form(a).is_none() || time_form(a) == time_form(b) => {}
        (Value::String(a), Value::String(b)) => found.push(format!("{path}: time {b:?}, not like {a:?}")),
        (a, b) if std::mem::discriminant(a) != std::mem::discriminant(b) => {
            found.push(format!("{path}: {b}, not like {a}"))
        }
        _ => {}
    }
}

fn time_form(text: &str) -> Option<&'static str> {
    chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(if text.ends_with('Z') { "Z" } else { "+00:00" })
}

/// The texts of an error, which are promises; ids and times in them are not.
fn error_texts(body: &Value) -> Value {
    serde_json::json!([
        body["code"],
        body["message"],
        body["error"],
        body["errors"],
        body["validationErrors"],
        body["title"]
    ])
}

fn compare(exchange: &Exchange, reply: &Reply, ids: &Ids) -> Vec<String> {
    let mut found = Vec::new();
    let header =
        |wanted: &str| reply.headers.iter().find(|(name, _)| name.as_str() == wanted).map(|(_, value)| value.clone());
    if reply.status.as_u16() != exchange.status {
        found.push(format!(
            "status {}, not {}: {}",
            reply.status,
            exchange.status,
            String::from_utf8_lossy(&reply.body)
        ));
        return found;
    }
    if header("content-type").unwrap_or_default() != exchange.kind {
        found.push(format!("content type {:?}, not {:?}", header("content-type"), exchange.kind));
    }
    if header("api-supported-versions") != exchange.versions {
        found.push(format!("versions {:?}, not {:?}", header("api-supported-versions"), exchange.versions));
    }
    if header("location") != exchange.location.as_deref().map(|location| ids.translate(location)) {
        found.push(format!("location {:?}, not {:?}", header("location"), exchange.location));
    }
    if exchange.kind.contains("html") {
        return found;
    }
    let theirs: Value = serde_json::from_str(&exchange.answer).unwrap_or_default();
    let ours: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    if exchange.answer.is_empty() != reply.body.is_empty() {
        found.push("one body is empty".to_owned());
    }
    differences("", &theirs, &ours, &mut found);
    if exchange.status >= 400 {
        let theirs: Value = serde_json::from_str(&ids.translate(&error_texts(&theirs).to_string())).unwrap();
        if theirs != error_texts(&ours) {
            found.push(format!("error {}, not {theirs}", error_texts(&ours)));
        }
    }
    found
}

fn handle(app: &mut App, call: Call) -> Reply {
    match app.handle(call, &Ailment::default()) {
        Verdict::Answer(reply) => reply,
        Verdict::Drop => panic!("dropped"),
    }
}

/// A token of the sandbox's own provider, got the way a browser would.
fn sign_in(app: &mut App) -> String {
    let query = "/idp/authorize?client_id=jim-powershell&response_type=code&redirect_uri=http://localhost:8400/callback/&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let back = handle(app, bare_call("GET", query, "")).headers[0].1.clone();
    let code = back.split("code=").nth(1).unwrap();
    let form = format!(
        "client_id=jim-powershell&grant_type=authorization_code&code={code}&redirect_uri=http://localhost:8400/callback/&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    let reply = handle(app, bare_call("POST", "/idp/token", &form));
    let tokens: Value = serde_json::from_slice(&reply.body).unwrap();
    format!("Bearer {}", tokens["access_token"].as_str().unwrap())
}

#[test]
fn answers_have_the_shape_of_a_real_servers() {
    let Some(folder) = std::env::var_os("JIMHOST_RECORDED") else {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "JIMHOST_RECORDED is not set: nothing to compare with");
        return;
    };
    let plan = seed::Plan { systems: 3, speed: 1.0, admin_key: DEFAULT_KEY.to_owned() };
    let mut app = App::new(SandboxOptions::default(), plan.clone());
    recorded_world(&mut app);
    let bearer = sign_in(&mut app);
    // The recorded server's second schedule is the only one here.
    let nightly = app.world.schedules[0].id();
    let known = ("162167b8-2251-4de9-9d96-72d96968edd3".to_owned(), nightly.to_string());
    let (mut ids, mut ahead, mut failures, mut count) = (Ids(HashMap::from([known])), TimeDelta::zero(), Vec::new(), 0);
    for step in COVERED {
        if let Some(seconds) = step.strip_prefix('+') {
            ahead += TimeDelta::seconds(seconds.parse().unwrap());
            continue;
        }
        let Some(exchange) = read(Path::new(&folder), step) else {
            failures.push(format!("{step}: no such recording"));
            continue;
        };
        if *step == "rate-10" {
            let limit = RateLimit { per_window: 0, window: Duration::from_secs(60) };
            app.options.rate_limit = Some(limit);
        }
        // Invalid tokens stay invalid.
        let token = if *step == "auth-06" { "Bearer nonsense" } else { bearer.as_str() };
        let mut call = call(&exchange, &ids, token);
        call.now += ahead;
        let reply = handle(&mut app, call);
        let (theirs, ours) = (serde_json::from_str(&exchange.answer), serde_json::from_slice(&reply.body));
        if let (Ok(theirs), Ok(ours)) = (theirs, ours) {
            ids.learn(&theirs, &ours);
        }
        count += 1;
        failures.extend(compare(&exchange, &reply, &ids).into_iter().map(|text| format!("{}: {text}", exchange.name)));
    }
    assert!(failures.is_empty(), "{} of {count} recordings differ:\n{}", failures.len(), failures.join("\n"));
}
