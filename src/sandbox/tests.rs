//! The sandbox as a whole: helpers for the areas' tests, and the walls around the areas.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use axum::http::{HeaderMap, HeaderValue};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::app::{App, Verdict};
use super::faults::Ailment;
use super::state::World;
use super::wire::{Call, Reply};
use super::{DEFAULT_KEY, RateLimit, SandboxOptions, seed};

fn plan() -> seed::Plan {
    seed::Plan { systems: 3, speed: 1.0, admin_key: DEFAULT_KEY.to_owned() }
}

pub(super) fn app(options: SandboxOptions) -> App {
    App::new(options, plan())
}

pub(super) fn world() -> World {
    World::new(&plan())
}

/// Asks the API as the administrator; `path` begins after `/api/v1`.
pub(super) fn ask(world: &mut World, method: &str, path: &str, body: &str) -> (u16, Value) {
    ask_at(world, Utc::now(), method, path, body)
}

pub(super) fn ask_at(world: &mut World, now: DateTime<Utc>, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut app = app(SandboxOptions::default());
    std::mem::swap(&mut app.world, world);
    let mut call = call(method, path, body, Some(DEFAULT_KEY));
    call.now = now;
    let reply = answer(&mut app, call);
    std::mem::swap(&mut app.world, world);
    (reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap_or_default())
}

/// A request without credentials.
pub(super) fn bare_call(method: &str, path: &str, body: &str) -> Call {
    let mut headers = HeaderMap::new();
    if !body.is_empty() {
        headers.insert("content-type", HeaderValue::from_static("application/json"));
    }
    let uri = path.parse().unwrap();
    Call::new(method.parse().unwrap(), &uri, headers, body.to_owned().into())
}

fn call(method: &str, path: &str, body: &str, key: Option<&str>) -> Call {
    let mut call = bare_call(method, &format!("/api/v1{path}"), body);
    if let Some(key) = key {
        call.headers.insert("x-api-key", HeaderValue::from_str(key).unwrap());
    }
    call
}

fn answer(app: &mut App, call: Call) -> Reply {
    let ailment = app.strike(&call);
    match app.handle(call, &ailment) {
        Verdict::Answer(reply) => reply,
        Verdict::Drop => panic!("dropped"),
    }
}

#[test]
fn every_bad_credential_gets_the_same_401_and_a_key_without_roles_403() {
    let mut app = app(SandboxOptions::default());
    let list = "/synchronisation/connected-systems";
    for key in [None, Some("notakey"), Some("jim_ak_unknown000000000000")] {
        let reply = answer(&mut app, call("GET", list, "", key));
        assert_eq!(reply.status, 401);
        assert_eq!(reply.body, r#"{"error":"Unauthorized","message":"Authentication required"}"#);
    }
    let reply = answer(&mut app, call("GET", list, "", Some(seed::READER_KEY)));
    assert_eq!((reply.status.as_u16(), reply.body.len()), (403, 0));
    let mut bearer = call("GET", list, "", None);
    bearer.headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {DEFAULT_KEY}")).unwrap());
    assert_eq!(answer(&mut app, bearer).status, 401);
}

#[test]
fn unknown_paths_are_a_page_and_unknown_methods_are_an_empty_400() {
    let mut app = app(SandboxOptions::default());
    for path in [
        "/synchronisation/nonesuch",
        "/synchronisation/connected-systems/abc/run-profiles",
        "/synchronisation/connected-systems/1/run-profiles/1",
        "/activities/1",
    ] {
        let reply = answer(&mut app, call("GET", path, "", Some(DEFAULT_KEY)));
        assert!(reply.status == 200 && reply.headers[0].1.starts_with("text/html"), "{path}");
    }
    let reply = answer(&mut app, call("DELETE", "/synchronisation/connected-systems", "", Some(DEFAULT_KEY)));
    assert_eq!((reply.status.as_u16(), reply.body.len(), reply.headers.len()), (400, 0, 0));
}

#[test]
fn a_full_window_is_429_until_it_slides() {
    let limit = RateLimit { per_window: 2, window: std::time::Duration::from_secs(60) };
    let mut app = app(SandboxOptions { rate_limit: Some(limit), ..SandboxOptions::default() });
    let start = Utc::now();
    let mut at = |seconds: i64| {
        let mut call = call("GET", "/activities", "", Some(DEFAULT_KEY));
        call.now = start + chrono::TimeDelta::seconds(seconds);
        answer(&mut app, call)
    };
    assert_eq!((at(0).status.as_u16(), at(30).status.as_u16()), (200, 200));
    let refused = at(31);
    assert_eq!(refused.status, 429);
    assert!(refused.headers.iter().any(|(name, value)| name == "retry-after" && value == "60"));
    assert_eq!(at(61).status, 200, "the first request has left the window");
    assert_eq!(at(62).status, 429);
    let health = call("GET", "/health", "", None);
    assert_eq!(answer(&mut app, health).status, 200);
}

#[test]
fn a_database_that_is_down_makes_good_keys_look_bad() {
    let mut app = app(SandboxOptions::default());
    let down = bare_call("POST", "/sandbox/faults", r#"{"databaseDown": true}"#);
    assert_eq!(app.switch(&down, (0, 0)).unwrap().status, 200);
    assert_eq!(answer(&mut app, call("GET", "/activities", "", Some(DEFAULT_KEY))).status, 401);
    assert_eq!(answer(&mut app, call("GET", "/health/ready", "", None)).status, 503);
    assert_eq!(answer(&mut app, call("GET", "/health", "", None)).status, 200);
}

#[test]
fn a_lost_answer_was_carried_out_and_a_planned_status_was_not() {
    let mut app = app(SandboxOptions::default());
    let path = "/synchronisation/connected-systems";
    let create = || call("POST", path, r#"{"name": "New", "connectorDefinitionId": 2}"#, Some(DEFAULT_KEY));
    let faults = r#"[{"reset": "after", "method": "POST", "count": 1}, {"nextStatus": [503], "method": "PUT"}]"#;
    app.switch(&bare_call("POST", "/sandbox/faults", faults), (0, 0));
    let ailment = app.strike(&create());
    assert!(matches!(app.handle(create(), &ailment), Verdict::Drop));
    assert_eq!(app.world.systems.len(), 4);
    let put = call("PUT", "/synchronisation/connected-systems/1", r#"{"name": "x"}"#, Some(DEFAULT_KEY));
    assert_eq!(answer(&mut app, put).status, 503);
    let record = app.record.show(0, 0);
    assert_eq!((&record["requests"][0]["executed"], &record["requests"][0]["status"]), (&json!(true), &json!(0)));
    assert_eq!(
        (&record["requests"][1]["executed"], &record["requests"][1]["bodyFields"]),
        (&json!(false), &json!(["name"]))
    );
    assert!(!record.to_string().contains(DEFAULT_KEY));
}

#[test]
fn switches_answer_this_machine_only() {
    let mut app = app(SandboxOptions::default());
    let mut call = bare_call("GET", "/sandbox/record", "");
    call.peer = Some("203.0.113.9".parse().unwrap());
    assert_eq!(app.switch(&call, (0, 0)).unwrap().status, 403);
    call.peer = Some("::1".parse().unwrap());
    assert_eq!(app.switch(&call, (0, 0)).unwrap().status, 200);
}

#[test]
fn spoiled_answers_were_good_before() {
    let mut app = app(SandboxOptions::default());
    let body = |app: &mut App, ailment: Ailment| match app
        .handle(call("GET", "/security/roles", "", Some(DEFAULT_KEY)), &ailment)
    {
        Verdict::Answer(reply) => reply.body,
        Verdict::Drop => panic!("dropped"),
    };
    let good = body(&mut app, Ailment::default());
    let cut = body(&mut app, Ailment { truncated: true, ..Ailment::default() });
    assert!(good.starts_with(&cut) && serde_json::from_slice::<Value>(&cut).is_err());
    assert!(body(&mut app, Ailment { empty_body: true, ..Ailment::default() }).is_empty());
    assert_eq!(body(&mut app, Ailment { wrong_shape: true, ..Ailment::default() }), r#"{"unexpected":true}"#);
}
