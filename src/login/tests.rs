//! Whole logins against a scripted identity provider, which holds the client to PKCE, single-use
//! codes and rotating refresh tokens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use url::{Url, form_urlencoded};

use super::flow::Login;
use super::*;

type Fields = HashMap<String, String>;

const CODE: &str = "code/1+SECRET";
const ACCESS: &str = "access-SECRET";
const SCOPE: &str = "openid profile offline_access jim-api";

/// JIM's anonymous endpoint and an identity provider below `/realms/jim`, in one server.
#[derive(Default)]
struct Script {
    origin: String,
    no_sso: bool,
    /// The provider refuses at the authorisation endpoint.
    denies: bool,
    /// Refresh answers carry a new refresh token.
    rotates: bool,
    /// (challenge, redirect URI) of the code not yet used.
    pending: Option<(String, String)>,
    forms: Vec<Fields>,
}

type Shared = Arc<Mutex<Script>>;

async fn serve(script: Script) -> (Shared, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let base = Url::parse(&origin).unwrap();
    let shared = Arc::new(Mutex::new(Script { origin, ..script }));
    let router = Router::new()
        .route("/api/v1/auth/config", get(config))
        .route("/realms/jim/.well-known/openid-configuration", get(document))
        .route("/realms/jim/auth", get(authorize))
        .route("/realms/jim/token", post(token))
        .with_state(shared.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (shared, base)
}

async fn config(State(s): State<Shared>) -> Response {
    let s = s.lock().unwrap();
    if s.no_sso {
        let body = json!({"code": "SERVICE_UNAVAILABLE", "message": "SSO is not set up."});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    Json(json!({
        "authority": format!("{}/realms/jim", s.origin), "clientId": "jim-powershell",
        "scopes": SCOPE.split(' ').collect::<Vec<_>>(),
        "responseType": "code", "usePkce": true, "codeChallengeMethod": "S256",
    }))
    .into_response()
}

async fn document(State(s): State<Shared>) -> Response {
    let origin = &s.lock().unwrap().origin;
    Json(json!({
        "issuer": format!("{origin}/realms/jim"),
        "authorization_endpoint": format!("{origin}/realms/jim/auth?p=policy"),
        "token_endpoint": format!("{origin}/realms/jim/token"),
    }))
    .into_response()
}

async fn authorize(State(s): State<Shared>, Query(q): Query<Fields>) -> Response {
    let mut s = s.lock().unwrap();
    assert_eq!(q["p"], "policy");
    assert_eq!(q["response_type"], "code");
    assert_eq!(q["client_id"], "jim-powershell");
    assert_eq!(q["code_challenge_method"], "S256");
    assert_eq!(q["scope"], SCOPE);
    let mut back = Url::parse(&q["redirect_uri"]).unwrap();
    assert_eq!((back.host_str(), back.path()), (Some("localhost"), "/callback/"));
    assert!(q["redirect_uri"].ends_with("/callback/"));
    back.query_pairs_mut().append_pair("state", &q["state"]);
    if s.denies {
        back.query_pairs_mut()
            .append_pair("error", "access_denied")
            .append_pair("error_description", "<b>You</b> are not assigned.");
    } else {
        s.pending = Some((q["code_challenge"].clone(), q["redirect_uri"].clone()));
        back.query_pairs_mut().append_pair("code", CODE);
    }
    (StatusCode::FOUND, [(header::LOCATION, back.to_string())]).into_response()
}

async fn token(State(s): State<Shared>, body: String) -> Response {
    let mut s = s.lock().unwrap();
    let form: Fields = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    s.forms.push(form.clone());
    let granted = match form["grant_type"].as_str() {
        "authorization_code" => s.pending.take().is_some_and(|(challenge, redirect)| {
            let verifier = PkceCodeVerifier::new(form["code_verifier"].clone());
            PkceCodeChallenge::from_code_verifier_sha256(&verifier).as_str() == challenge
                && form["redirect_uri"] == redirect
                && form["code"] == CODE
        }),
        "refresh_token" => form["refresh_token"] == "refresh-1",
        _ => false,
    };
    if !granted || form["client_id"] != "jim-powershell" || form.contains_key("client_secret") {
        let said = form.get("refresh_token").or(form.get("code")).cloned().unwrap_or_default();
        let body = json!({"error": "invalid_grant", "error_description": format!("Stale: {said}")});
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    let mut body = json!({"access_token": ACCESS, "token_type": "Bearer", "expires_in": 300});
    if form["grant_type"] == "authorization_code" {
        body["refresh_token"] = "refresh-1".into();
    } else if s.rotates {
        body["refresh_token"] = "refresh-2".into();
    }
    Json(body).into_response()
}

fn client() -> Client {
    // A second installation fails, and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

/// What the browser of a test does with the address.
type Visit = JoinHandle<(u16, String)>;

async fn page(http: &Client, url: impl reqwest::IntoUrl) -> (u16, String) {
    let response = http.get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Logs in on any free port; `browse` is given the address instead of a browser.
async fn sign_in<F: Future<Output = (u16, String)> + 'static>(
    base: &Url,
    timeout: Duration,
    browse: impl Fn(Client, Url) -> F,
) -> (Result<Tokens, LoginError>, (u16, String)) {
    let http = client();
    let config = auth_config(&http, base).await.unwrap();
    let endpoints = discover(&http, &config).await.unwrap();
    let visit: RefCell<Option<Visit>> = RefCell::new(None);
    let open = |url: &Url| {
        *visit.borrow_mut() = Some(spawn_local(browse(client(), url.clone())));
        true
    };
    let login = Login { http: &http, config: &config, endpoints: &endpoints };
    let result = login.run([0], timeout, open, |_| {}).await;
    let seen = visit.take().unwrap().await.unwrap();
    (result, seen)
}

const SOON: Duration = Duration::from_secs(10);

/// The program's runtime: one thread, futures that need not be Send.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn a_browser_login_ends_with_tokens_and_a_page_that_says_so() {
    run(async {
        let (script, base) = serve(Script::default()).await;
        let before = SystemTime::now();
        let (result, (status, html)) = sign_in(&base, SOON, async |http, url| page(&http, url).await).await;
        let tokens = result.unwrap();
        assert_eq!(tokens.access.expose_secret(), ACCESS);
        assert_eq!(tokens.refresh.as_ref().unwrap().expose_secret(), "refresh-1");
        let life = tokens.expires_at.duration_since(before).unwrap().as_secs();
        assert!((240..250).contains(&life), "{life}");
        assert_eq!(status, 200);
        assert!(html.contains("You are signed in"), "{html}");
        assert!(!html.contains("http") && !html.contains("SECRET"), "{html}");

        let text = format!("{tokens:?}");
        assert!(!text.contains("SECRET") && !text.contains("refresh-1"), "{text}");
        let form = &script.lock().unwrap().forms[0];
        assert_eq!(form.len(), 5, "{form:?}");
        assert_eq!(form["code_verifier"].len(), 64);
    });
}

#[test]
fn bogus_callbacks_get_an_error_page_and_do_not_end_the_login() {
    run(async {
        let (_, base) = serve(Script::default()).await;
        let (result, last) = sign_in(&base, SOON, async |http, url| {
            let query: Fields = url.query_pairs().into_owned().collect();
            let (back, state) = (&query["redirect_uri"], &query["state"]);
            let root = back.trim_end_matches("callback/");
            for (address, status) in [
                (format!("{back}?code=x&state=forged"), 400),
                (format!("{back}?error=access_denied&state=forged"), 400),
                (format!("{back}?state={state}"), 400),
                (back.clone(), 400),
                (format!("{root}favicon.ico"), 404),
                (format!("{root}callback?code=x&state={state}"), 404),
            ] {
                assert_eq!(page(&http, &address).await.0, status, "{address}");
            }
            let head = http.head(format!("{back}?code=x&state={state}")).send().await.unwrap();
            assert_eq!(head.status().as_u16(), 400);
            page(&http, url).await
        })
        .await;
        assert_eq!(result.unwrap().access.expose_secret(), ACCESS);
        assert_eq!(last.0, 200);
    });
}

#[test]
fn the_providers_refusal_ends_the_login_in_its_words() {
    run(async {
        let (script, base) = serve(Script { denies: true, ..Script::default() }).await;
        let (result, (_, html)) = sign_in(&base, SOON, async |http, url| page(&http, url).await).await;
        let error = result.unwrap_err();
        assert_eq!(error.code(), "LoginRefused");
        assert_eq!(error.to_string(), "the identity provider refused: access_denied: <b>You</b> are not assigned.");
        assert!(html.contains("&lt;b&gt;You&lt;/b&gt; are not assigned."), "{html}");
        assert!(!html.contains("<b>"));
        assert!(script.lock().unwrap().forms.is_empty());
    });
}

#[test]
fn a_code_the_provider_does_not_accept_shows_on_both_sides_without_the_code() {
    run(async {
        let (_, base) = serve(Script::default()).await;
        let (result, (_, html)) = sign_in(&base, SOON, async |http, url| {
            // A code of somebody else's login, with the right state.
            let query: Fields = url.query_pairs().into_owned().collect();
            let mut back = Url::parse(&query["redirect_uri"]).unwrap();
            back.query_pairs_mut().append_pair("state", &query["state"]).append_pair("code", CODE);
            page(&http, back).await
        })
        .await;
        let error = result.unwrap_err();
        let text = format!("{error} {error:?} {html}");
        assert!(text.contains("invalid_grant: Stale: ***"), "{text}");
        assert!(!text.contains("SECRET"), "{text}");
        assert!(html.contains("You are not signed in"));
    });
}

#[test]
fn waiting_ends_after_the_timeout() {
    run(async {
        let (_, base) = serve(Script::default()).await;
        let timeout = Duration::from_secs(1);
        let (result, _) = sign_in(&base, timeout, async |_, _| (0, String::new())).await;
        assert_eq!(result.unwrap_err(), LoginError::TimedOut { seconds: 1 });
    });
}

#[test]
fn without_a_browser_the_address_is_told_and_dropping_the_login_frees_the_port() {
    run(async {
        let (_, base) = serve(Script::default()).await;
        let http = client();
        let config = auth_config(&http, &base).await.unwrap();
        let endpoints = discover(&http, &config).await.unwrap();
        let told = RefCell::new(Vec::new());
        // The public way in, with the registered ports.
        let login = browser_login(
            &http,
            &config,
            &endpoints,
            LoginOptions { timeout: SOON },
            |_| false,
            |line| told.borrow_mut().push(line.to_owned()),
        );
        let stopped = tokio::time::timeout(Duration::from_millis(300), login).await;
        assert!(stopped.is_err());

        let told = told.into_inner();
        let url = told.iter().find_map(|line| Url::parse(line).ok()).expect("no address told");
        assert!(told.iter().any(|line| line.contains("No browser was found")), "{told:?}");
        let query: Fields = url.query_pairs().into_owned().collect();
        let port = Url::parse(&query["redirect_uri"]).unwrap().port().unwrap();
        assert!((8400..=8409).contains(&port), "{port}");
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    });
}

#[test]
fn refresh_takes_the_new_token_or_keeps_the_old_one() {
    run(async {
        for (rotates, expected) in [(true, "refresh-2"), (false, "refresh-1")] {
            let (script, base) = serve(Script { rotates, ..Script::default() }).await;
            let http = client();
            let config = auth_config(&http, &base).await.unwrap();
            let endpoints = discover(&http, &config).await.unwrap();
            let old: SecretString = "refresh-1".to_owned().into();
            let tokens = refresh(&http, &config, &endpoints.token, &old).await.unwrap();
            assert_eq!(tokens.refresh.unwrap().expose_secret(), expected);
            assert_eq!(tokens.access.expose_secret(), ACCESS);
            assert_eq!(script.lock().unwrap().forms[0]["scope"], SCOPE);

            let stale: SecretString = "stale-SECRET".to_owned().into();
            let error = refresh(&http, &config, &endpoints.token, &stale).await.unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains("Stale: ***") && !text.contains("SECRET"), "{text}");

            let none: SecretString = String::new().into();
            let error = refresh(&http, &config, &endpoints.token, &none).await.unwrap_err();
            assert_eq!(error, LoginError::NoRefreshToken);
        }
    });
}

#[test]
fn a_server_without_single_sign_on_says_so() {
    run(async {
        let (_, base) = serve(Script { no_sso: true, ..Script::default() }).await;
        let error = auth_config(&client(), &base).await.unwrap_err();
        assert_eq!(error.code(), "LoginNotConfigured");
        let text = error.to_string();
        assert!(text.contains(base.as_str()) && text.contains("SSO is not set up."), "{text}");
        assert!(text.contains("-ApiKey"));
    });
}

#[test]
fn nobody_there_and_nonsense_are_told_apart() {
    run(async {
        let (_, base) = serve(Script::default()).await;
        let elsewhere = base.join("elsewhere/").unwrap();
        let error = auth_config(&client(), &elsewhere).await.unwrap_err();
        assert!(matches!(error, LoginError::BadAnswer { status: Some(404), .. }), "{error}");

        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let nobody = Url::parse(&format!("http://{free}")).unwrap();
        let error = auth_config(&client(), &nobody).await.unwrap_err();
        assert!(matches!(error, LoginError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
    });
}
