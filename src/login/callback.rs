//! Where the browser comes back to: a listener on this machine that waits for the one good
//! callback and answers everything else with an error page, without ending the login.

use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use url::form_urlencoded;

use super::LoginError;
use super::error::words;

/// Registered with the provider, so neither the path nor its last slash can change.
const PATH: &str = "/callback/";
/// How long a browser may take to collect its last page.
const LAST_PAGE: Duration = Duration::from_secs(2);

/// What a good callback (one with the state of this login) brought.
pub(super) enum Outcome {
    Code(SecretString),
    Refused { error: String, description: Option<String> },
}

/// The good callback; the browser waits until `reply` says how the login ended.
pub(super) struct Arrival {
    pub outcome: Outcome,
    pub reply: oneshot::Sender<Page>,
}

/// A page for the person at the browser.
pub(super) struct Page {
    status: StatusCode,
    title: &'static str,
    text: String,
}

impl Page {
    pub fn signed_in() -> Self {
        Self::new(StatusCode::OK, "You are signed in", "You can close this page and go back to PowerShell.")
    }

    pub fn failed(why: &LoginError) -> Self {
        Self::new(
            StatusCode::OK,
            "You are not signed in",
            format!("{}. {}", why.to_string().trim_end_matches('.'), why.advice()),
        )
    }

    fn over() -> Self {
        Self::new(
            StatusCode::GONE,
            "This login is over",
            "Go back to PowerShell and run Connect-JIM again if you still need to sign in.",
        )
    }

    fn bogus(why: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "This is not the expected answer",
            format!("{why} The login in PowerShell is still waiting: finish it in the page it opened."),
        )
    }

    fn not_here() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Nothing here", "This address only waits for a login to come back.")
    }

    fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { status, title, text }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let (title, text) = (escape(self.title), escape(&self.text));
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <style>body{{font-family:sans-serif;max-width:36em;margin:4em auto;padding:0 1em}}</style>\
             </head><body><h1>{title}</h1><p>{text}</p></body></html>"
        );
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            // The address holds a code: nothing may load, frame, keep or pass it on.
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONNECTION, "close"),
        ];
        (self.status, headers, html).into_response()
    }
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Both loopback addresses of one port: `localhost` means either, as the browser likes.
pub(super) struct Listener {
    v4: TcpListener,
    v6: Option<TcpListener>,
    port: u16,
}

impl Listener {
    /// Takes the first free port, in order.
    pub async fn bind(ports: impl IntoIterator<Item = u16>) -> Result<Self, LoginError> {
        let (mut first, mut last) = (None, 0);
        let mut cause = Error::from(ErrorKind::AddrNotAvailable);
        for port in ports {
            match Self::bind_one(port).await {
                Ok(listener) => return Ok(listener),
                Err(e) => cause = e,
            }
            first.get_or_insert(port);
            last = port;
        }
        Err(LoginError::NoPort { first: first.unwrap_or(last), last, cause: cause.to_string() })
    }

    async fn bind_one(port: u16) -> Result<Self, Error> {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = v4.local_addr()?.port();
        let v6 = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(listener) => Some(listener),
            // Another program would get the browser, and with it the code.
            Err(e) if e.kind() == ErrorKind::AddrInUse => return Err(e),
            // No IPv6 here.
            Err(_) => None,
        };
        Ok(Self { v4, v6, port })
    }

    /// Always by the name `localhost`, as registered with the provider.
    pub fn redirect_uri(&self) -> String {
        format!("http://localhost:{}{PATH}", self.port)
    }

    /// Listens until `work` ends, then lets the browser collect its last page. `work` gets the
    /// receiver of the one good callback. Dropping the future closes the listener and the
    /// connections.
    pub async fn serve<T, W: Future<Output = T>>(
        self,
        state: SecretString,
        work: impl FnOnce(oneshot::Receiver<Arrival>) -> W,
    ) -> T {
        let (good, arrival) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let gate = Arc::new(Gate { state, good: Mutex::new(Some(good)) });
        let router = Router::new().fallback(handle).with_state(gate);
        let server = axum::serve(self, router).with_graceful_shutdown(async move {
            // Sent or dropped: the end either way.
            let _ = stopped.await;
        });
        let mut server = Box::pin(server.into_future());

        let mut work = Box::pin(work(arrival));
        let result = tokio::select! {
            result = &mut work => result,
            // The server ends only when told to; if it ever does, the wait has its own time-out.
            _ = &mut server => return work.await,
        };
        drop(stop);
        let _ = tokio::time::timeout(LAST_PAGE, server).await;
        result
    }
}

impl axum::serve::Listener for Listener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        // axum's own accept waits and goes on when the machine is short of sockets.
        let v4 = axum::serve::Listener::accept(&mut self.v4);
        match &mut self.v6 {
            Some(v6) => tokio::select! {
                accepted = v4 => accepted,
                accepted = axum::serve::Listener::accept(v6) => accepted,
            },
            None => v4.await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.v4.local_addr()
    }
}

/// Lets the first good callback through, once.
struct Gate {
    state: SecretString,
    good: Mutex<Option<oneshot::Sender<Arrival>>>,
}

async fn handle(State(gate): State<Arc<Gate>>, method: Method, uri: Uri) -> Page {
    if uri.path() != PATH {
        return Page::not_here();
    }
    // HEAD and the like come from link checkers and must not use up the code.
    if method != Method::GET {
        return Page::bogus("Only GET is answered here.");
    }
    let outcome = match parse(uri.query().unwrap_or_default(), &gate.state) {
        Ok(outcome) => outcome,
        Err(why) => return Page::bogus(why),
    };
    let good = gate.good.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (reply, page) = oneshot::channel();
    // Already used, nobody waits any more, or the login was stopped meanwhile: it is over.
    let delivered = good.is_some_and(|good| good.send(Arrival { outcome, reply }).is_ok());
    match page.await {
        Ok(page) if delivered => page,
        _ => Page::over(),
    }
}

/// Reads a callback's query; `Err` says what is wrong with it.
fn parse(query: &str, expected_state: &SecretString) -> Result<Outcome, &'static str> {
    let (mut state, mut code, mut error, mut description) = (None, None, None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let field = match &*key {
            "state" => &mut state,
            "code" => &mut code,
            "error" => &mut error,
            "error_description" => &mut description,
            _ => continue,
        };
        if field.replace(value).is_some() {
            return Err("A parameter came twice.");
        }
    }
    if !state.is_some_and(|s| same_secret(&s, expected_state)) {
        return Err("It does not belong to this login.");
    }
    if let Some(error) = error {
        return Ok(Outcome::Refused {
            error: words(&error),
            description: description.map(|d| words(&d)).filter(|d| !d.is_empty()),
        });
    }
    match code.filter(|c| !c.is_empty()) {
        Some(code) => Ok(Outcome::Code(code.into_owned().into())),
        None => Err("It carries no code."),
    }
}

/// Compares without telling by its duration how much was right.
fn same_secret(given: &str, expected: &SecretString) -> bool {
    let expected = expected.expose_secret();
    given.len() == expected.len()
        && given.bytes().zip(expected.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read(query: &str) -> Result<Outcome, &'static str> {
        parse(query, &"s3cret".to_owned().into())
    }

    #[test]
    fn only_the_right_state_counts() {
        for bogus in [
            "",
            "code=1",
            "state=&code=1",
            "state=s3creT&code=1",
            "state=s3cre&code=1",
            "state=s3cret",
            "state=s3cret&code=",
            "state=s3cret&state=s3cret&code=1",
            "state=other&error=access_denied",
        ] {
            assert!(read(bogus).is_err(), "{bogus}");
        }
        let Ok(Outcome::Code(code)) = read("code=a%2Fb&session_state=x&state=s3cret") else {
            panic!("a good callback was refused");
        };
        assert_eq!(code.expose_secret(), "a/b");
    }

    #[test]
    fn the_providers_words_are_kept() {
        let Ok(Outcome::Refused { error, description }) =
            read("state=s3cret&error=access_denied&error_description=You+are%0Anot+assigned.")
        else {
            panic!("a refusal was not read");
        };
        assert_eq!(error, "access_denied");
        assert_eq!(description.unwrap(), "You are not assigned.");
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(escape("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    }

    #[tokio::test]
    async fn a_taken_port_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let listener = Listener::bind([port, 0]).await.unwrap();
        assert_ne!(listener.port, port);
        assert_eq!(listener.redirect_uri(), format!("http://localhost:{}/callback/", listener.port));

        let Err(error) = Listener::bind([port]).await else {
            panic!("bound a taken port");
        };
        assert!(matches!(error, LoginError::NoPort { first, last, .. } if first == port && last == port));
    }

    #[tokio::test]
    async fn a_port_taken_on_ipv6_alone_is_passed_over() {
        let Ok(taken) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else {
            return; // no IPv6 on this machine
        };
        let port = taken.local_addr().unwrap().port();
        assert!(Listener::bind([port]).await.is_err());
    }
}
