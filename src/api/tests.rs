//! The client against a scripted server: what goes over the wire, how often, and what comes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod scripted;
mod tls;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use url::Url;

use super::message::Accept;
use super::tls::TlsRefusal;
use super::*;
use crate::protocol::Category;
use scripted::{Reply, Server, answer, json};
use secrecy::SecretString;

const KEY: &str = "jim_ak_hush-hush-0123456789";

fn options(base: &str) -> Options {
    let mut options = Options::new(Url::parse(base).unwrap());
    options.retry.scale = 0.002;
    options.request_timeout = Duration::from_secs(5);
    options
}

fn connect(server: &Server) -> Connection {
    Connection::new(options(&server.base()), Auth::ApiKey(SecretString::from(KEY))).unwrap()
}

/// Keeps what happened between the attempts.
fn note<T>(events: &Mutex<Vec<T>>, event: Event, shown: impl Fn(Event) -> T) {
    if event != Event::Sending {
        events.lock().unwrap().push(shown(event));
    }
}

fn get(path: &str) -> Request {
    Request::new(Method::Get, path).about("run profile 7")
}

fn post(path: &str) -> Request {
    Request::new(Method::Post, path).with_body("{\"a\":1}")
}

#[tokio::test]
async fn one_connection_carries_all_requests() {
    let server = Server::start(|_, _| json(200, r#"{"ok":true}"#)).await;
    let connection = connect(&server);
    for _ in 0..3 {
        let response = connection.send(&get("/x")).await.unwrap();
        assert_eq!(response.json::<serde_json::Value>().unwrap()["ok"], true);
    }
    assert_eq!((server.accepted(), server.requests().len()), (1, 3));
}

#[tokio::test]
async fn a_request_carries_key_agent_and_encoded_query() {
    let server = Server::start(|_, _| json(200, "[]")).await;
    let connection = connect(&server);
    connection.send(&get("/x").with_query("q", "a+b c")).await.unwrap();
    connection.send(&Request { anonymous: true, ..get("/y") }).await.unwrap();
    connection.set_auth(Auth::Bearer(SecretString::from("token-1"))).unwrap();
    connection.send(&post("/z")).await.unwrap();
    let seen = server.requests();
    assert!(seen[0].starts_with("GET /x?q=a%2Bb%20c HTTP/1.1\r\n"), "{}", seen[0]);
    assert!(seen[0].contains(&format!("x-api-key: {KEY}\r\n")));
    assert!(seen[0].contains(concat!("user-agent: jimhost/", env!("CARGO_PKG_VERSION"), "\r\n")));
    assert!(seen[0].contains("accept: application/json\r\n") && seen[0].contains("accept-encoding: gzip\r\n"));
    assert!(!seen[1].contains("x-api-key") && !seen[1].contains(KEY));
    assert!(seen[2].contains("authorization: Bearer token-1\r\n") && !seen[2].contains("x-api-key"));
    assert!(seen[2].contains("content-type: application/json\r\n") && seen[2].ends_with("{\"a\":1}"));
}

#[tokio::test]
async fn reading_is_repeated_after_a_reset_and_after_503() {
    let server = Server::start(|n, _| match n {
        0 => Reply::Close,
        1 => Reply::Cut(answer(200, "content-type: application/json", "[1,2]"), 3),
        2 => json(503, ""),
        _ => json(200, "[1,2]"),
    })
    .await;
    let events = Mutex::new(Vec::new());
    let response =
        connect(&server).send_observed(&get("/x"), &|event| note(&events, event, |e| e.to_string())).await.unwrap();
    assert_eq!(response.body, b"[1,2]");
    let events = events.into_inner().unwrap();
    assert_eq!(events.len(), 3);
    assert!(events[2].contains("not available (503). Retry 3 of 3 in"), "{}", events[2]);
}

#[tokio::test]
async fn retries_end() {
    let server = Server::start(|_, _| json(503, r#"{"message":"Warming up."}"#)).await;
    let error = connect(&server).send(&get("/x")).await.unwrap_err();
    assert_eq!((error.code(), error.retryable(), server.requests().len()), ("ServiceUnavailable", true, 4));
    assert!(error.to_string().contains("(503): Warming up."), "{error}");
    let once = Request { once: true, ..get("/x") };
    connect(&server).send(&once).await.unwrap_err();
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn a_post_is_sent_once_and_its_loss_says_so() {
    let server = Server::start(|_, _| Reply::Close).await;
    for method in [Method::Post, Method::Patch] {
        let request = Request { method, ..post("/x") };
        let error = connect(&server).send(&request).await.unwrap_err();
        assert_eq!((error.code(), error.retryable()), ("ConnectionLost", false));
        assert!(
            error.to_string().contains("may or may not have been carried out")
                || error.to_string().contains("may or may not have carried it out")
        );
        assert!(error.advice().contains("whether the change arrived"));
    }
    assert_eq!(server.requests().len(), 2);
    let server = Server::start(|_, _| json(503, "")).await;
    assert_eq!(connect(&server).send(&post("/x")).await.unwrap_err().code(), "ServiceUnavailable");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_500_is_not_repeated() {
    let server = Server::start(|_, _| json(500, "")).await;
    assert_eq!(connect(&server).send(&get("/x")).await.unwrap_err().code(), "ServerError");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_post_survives_a_pooled_connection_that_the_server_closed() {
    let server = Server::start(|n, _| match n {
        0 => Reply::ThenClose(answer(200, "content-type: application/json", "{}")),
        _ => json(201, "{}"),
    })
    .await;
    let connection = connect(&server);
    connection.send(&get("/x")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(connection.send(&post("/x")).await.unwrap().status, 201);
    assert_eq!((server.accepted(), server.requests().len()), (2, 2));
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_is_done_when_it_is_gone() {
    let script = |n: usize, _: &str| {
        if n == 0 { Reply::Close } else { json(404, r#"{"message":"gone"}"#) }
    };
    let delete = Request::new(Method::Delete, "/x");
    let server = Server::start(script).await;
    let response = connect(&server).send(&delete).await.unwrap();
    assert_eq!((response.status, response.is_empty()), (204, true));
    // Without a lost answer, and for other methods, 404 stays 404.
    let server = Server::start(|_, _| json(404, "")).await;
    assert_eq!(connect(&server).send(&delete).await.unwrap_err().code(), "NotFound");
    let server = Server::start(script).await;
    assert_eq!(connect(&server).send(&get("/x")).await.unwrap_err().code(), "NotFound");
}

#[tokio::test]
async fn a_429_pauses_the_whole_connection() {
    let server = Server::start(|n, _| match n {
        0 => answer(429, "retry-after: 3", "").into(),
        _ => json(200, "[]"),
    })
    .await;
    let mut options = options(&server.base());
    options.retry.scale = 0.1;
    let connection = Connection::new(options, Auth::Anonymous).unwrap();
    let start = Instant::now();
    let events = Mutex::new(Vec::new());
    let limited = post("/limited");
    let (first, second) = tokio::join!(connection.send(&limited), async {
        while server.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        connection.send_observed(&get("/other"), &|event| note(&events, event, |e| e)).await
    });
    assert!(first.is_ok() && second.is_ok());
    assert!(start.elapsed() >= Duration::from_millis(295), "{:?}", start.elapsed());
    let arrivals = server.arrivals();
    assert_eq!(arrivals.len(), 3);
    for later in &arrivals[1..] {
        assert!(*later - arrivals[0] >= Duration::from_millis(290), "{arrivals:?}");
    }
    assert!(matches!(events.into_inner().unwrap()[..], [Event::Paused { .. }]));
}

#[tokio::test]
async fn a_429_gives_up_after_five_retries() {
    let server = Server::start(|_, _| answer(429, "retry-after: 60", r#"{"message":"Slow down."}"#).into()).await;
    let events = Mutex::new(Vec::new());
    let mut options = options(&server.base());
    options.retry.scale = 0.0002;
    let connection = Connection::new(options, Auth::Anonymous).unwrap();
    let error =
        connection.send_observed(&post("/x"), &|event| note(&events, event, |e| e.to_string())).await.unwrap_err();
    assert_eq!((error.code(), server.requests().len()), ("RateLimited", 6));
    assert!(error.to_string().contains("429") && error.to_string().contains("Slow down."), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    assert_eq!(events.into_inner().unwrap()[0], "The server asked to wait 60 s (429), retry 1 of 5.");
}

#[tokio::test]
async fn a_wait_ends_when_the_caller_gives_up() {
    let server = Server::start(|_, _| answer(429, "retry-after: 60", "").into()).await;
    let connection = Connection::new(Options::new(Url::parse(&server.base()).unwrap()), Auth::Anonymous).unwrap();
    let gave_up = tokio::time::timeout(Duration::from_millis(150), connection.send(&get("/x"))).await;
    assert!(gave_up.is_err());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_cut_by_the_connection_is_lost_one_cut_in_its_text_is_unexpected() {
    let cut = || Reply::Cut(answer(200, "content-type: application/json", "[1,2]"), 3);
    let server = Server::start(move |_, _| cut()).await;
    let error = connect(&server).send(&get("/x")).await.unwrap_err();
    assert_eq!((error.code(), server.requests().len()), ("ConnectionLost", 4));
    let server = Server::start(|_, _| json(200, r#"{"items":[1,2"#)).await;
    let response = connect(&server).send(&get("/x")).await.unwrap();
    let error = response.page().unwrap_err();
    assert_eq!(error.code(), "UnexpectedAnswer");
    assert!(error.to_string().contains("cut off after 13 bytes"), "{error}");
}

#[tokio::test]
async fn a_web_page_is_no_answer() {
    let page = "<!DOCTYPE html><html><head><title>JIM</title></head></html>";
    let server = Server::start(move |_, _| answer(200, "content-type: text/html; charset=utf-8", page).into()).await;
    let error = connect(&server).send(&get("/x").with_query("secret", "hush")).await.unwrap_err();
    assert_eq!((error.code(), error.status()), ("UnexpectedAnswer", Some(200)));
    let text = error.to_string();
    assert!(text.contains("web page") && text.contains("'JIM'") && text.contains("Check the URL"), "{text}");
    assert!(!text.contains("hush"), "{text}");
    let any = Request { accept: Accept::Any, ..get("/x") };
    assert_eq!(connect(&server).send(&any).await.unwrap().body, page.as_bytes());
}

#[tokio::test]
async fn an_answer_has_a_largest_size() {
    let server = Server::start(|_, _| json(200, &format!("[{}1]", "1,".repeat(100_000)))).await;
    let mut options = options(&server.base());
    options.max_answer_bytes = 64 * 1024;
    let connection = Connection::new(options, Auth::Anonymous).unwrap();
    let error = connection.send(&get("/x")).await.unwrap_err();
    assert_eq!((error.code(), error.category()), ("AnswerTooLarge", Category::LimitsExceeded));
}

#[tokio::test]
async fn a_401_is_the_keys_fault_only_if_the_server_is_ready() {
    for (ready, code) in [(200, "AuthenticationFailed"), (503, "DatabaseDown")] {
        let server = Server::start(move |_, head| {
            if head.starts_with("GET /api/v1/health/ready ") {
                json(ready, r#"{"status":"x"}"#)
            } else {
                json(401, r#"{"error":"Unauthorized","message":"Authentication required"}"#)
            }
        })
        .await;
        let error = connect(&server).send(&get("/x")).await.unwrap_err();
        assert_eq!((error.code(), error.status()), (code, Some(401)));
        assert_eq!(error.to_string().contains("API key may be invalid"), ready == 200, "{error}");
        let seen = server.requests();
        assert_eq!(seen.len(), 2);
        assert!(!seen[1].contains(KEY), "the readiness check is anonymous");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_says_how_long() {
    let server = Server::start(|_, _| Reply::Hang).await;
    let mut options = options(&server.base());
    options.request_timeout = Duration::from_millis(200);
    let connection = Connection::new(options, Auth::Anonymous).unwrap();
    let error = connection.send(&get("/slow").with_query("q", "hush")).await.unwrap_err();
    assert_eq!((error.code(), error.category(), server.requests().len()), ("Timeout", Category::OperationTimeout, 1));
    let text = error.to_string();
    assert!(text.contains("No answer within 0.2 s, about run profile 7: GET http://127.0.0.1:"), "{text}");
    assert!(!text.contains("hush") && !text.contains("may or may not"), "{text}");
    let error = connection.send(&post("/slow")).await.unwrap_err();
    assert!(error.to_string().contains("may or may not") && !error.retryable(), "{error}");
}

#[tokio::test]
async fn a_refused_port_and_an_unknown_name_are_told_apart() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let connection = Connection::new(options(&format!("http://{free}")), Auth::Anonymous).unwrap();
    let events = Mutex::new(0);
    let error = connection
        .send_observed(&post("/x"), &|event| *events.lock().unwrap() += u32::from(event != Event::Sending))
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.category()), ("ConnectionRefused", Category::ConnectionError));
    assert!(error.to_string().contains(&free.to_string()) && error.advice().contains("-Url"), "{error}");
    assert_eq!(*events.lock().unwrap(), 3, "nothing was sent, so a POST is retried too");

    let mut options = options("http://no-such-host.invalid:5200");
    options.retry.transport_retries = 0;
    let connection = Connection::new(options, Auth::Anonymous).unwrap();
    let error = connection.send(&get("/x")).await.unwrap_err();
    assert_eq!(error.code(), "NameNotResolved", "{error}");
    assert!(error.to_string().contains("no-such-host.invalid:5200"), "{error}");
}

#[tokio::test]
async fn redirects_stay_with_the_server_that_was_named() {
    let other = Server::start(|_, _| json(200, "[]")).await;
    let elsewhere = format!("location: {}/api/x", other.base());
    let server = Server::start(move |_, head| {
        if head.contains(" /here ") {
            answer(302, "location: /there", "").into()
        } else if head.contains(" /loop ") {
            answer(307, "location: /loop", "").into()
        } else if head.contains(" /there ") {
            json(200, "[1]")
        } else {
            answer(301, &elsewhere, "").into()
        }
    })
    .await;
    let connection = connect(&server);
    assert_eq!(connection.send(&get("/here")).await.unwrap().body, b"[1]");
    assert!(server.requests()[1].contains(KEY));
    assert_eq!(connection.send(&post("/here")).await.unwrap_err().code(), "Redirected");
    let before = server.requests().len();
    assert!(connection.send(&get("/loop")).await.unwrap_err().to_string().contains("sixth redirect"));
    assert_eq!(server.requests().len() - before, 6);
    let error = connection.send(&get("/api/x")).await.unwrap_err();
    assert_eq!((error.code(), error.status()), ("Redirected", Some(301)));
    assert!(
        error.to_string().contains(&other.base()) && error.advice().ends_with(&format!("-Url {}", other.base())),
        "{error} {}",
        error.advice()
    );
    assert_eq!(other.accepted(), 0, "nothing, and no key, goes to another server");
}

#[tokio::test]
async fn a_key_never_shows() {
    let server = Server::start(|_, head| {
        let echo =
            serde_json::to_string(&serde_json::json!({"message": head, "validationErrors": {"h": [head]}})).unwrap();
        json(400, &echo)
    })
    .await;
    let connection = connect(&server);
    let request = get("/x");
    let error = connection.send(&request).await.unwrap_err();
    let text = format!("{connection:?} {request:?} {error:?} {error} {}", error.advice());
    assert!(text.contains("***") && !text.contains("hush"), "{text}");
    let bad = Connection::new(options(&server.base()), Auth::ApiKey(SecretString::from("hush\nhush"))).unwrap_err();
    assert_eq!(bad.code(), "CredentialsInvalid");
    assert!(!format!("{bad:?} {bad}").contains("hush"));
}

#[test]
fn a_base_address_is_checked() {
    let connect = |base: &str| Connection::new(Options::new(Url::parse(base).unwrap()), Auth::Anonymous);
    for bad in ["ftp://x", "https://u:hush@x", "https://x/?a=1", "https://x/#a"] {
        let error = connect(bad).unwrap_err();
        assert_eq!(error.code(), "UrlInvalid", "{bad}");
        assert!(!format!("{error:?}").contains("hush"), "{error}");
    }
    assert_eq!(connect("https://x/jim/").unwrap().base().as_str(), "https://x/jim");
    assert!(connect("http://jim.example").unwrap().is_clear_text());
    for safe in ["https://jim.example", "http://localhost:1", "http://127.9.0.1", "http://[::1]:80"] {
        assert!(!connect(safe).unwrap().is_clear_text(), "{safe}");
    }
}

#[test]
fn futures_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let connection = Connection::new(Options::new(Url::parse("http://localhost").unwrap()), Auth::Anonymous).unwrap();
    let request = get("/x");
    is_send(&connection.send(&request));
}
