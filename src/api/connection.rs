//! A connection to one server: pool, base address, credentials, and the way of a request through
//! pauses, retries and redirects to an answer or an error.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::{Host, Url};

use super::error::{Answer, ApiError, Unexpected, Unfollowed};
use super::failure;
use super::message::{Accept, Method, Request, Response};
use super::retry::{Event, Gate, RetryPolicy};
use super::tls::{self, TlsOptions};
use super::transport::{self, Answered, Reached, Setting};
use super::window::{Place, Window};

const USER_AGENT: &str = concat!("jimhost/", env!("CARGO_PKG_VERSION"));
const MOST_REDIRECTS: u32 = 5;

/// Who we are to the server.
#[derive(Debug, Clone)]
pub enum Auth {
    Anonymous,
    /// Header `X-API-Key`.
    ApiKey(SecretString),
    /// Header `Authorization: Bearer`.
    Bearer(SecretString),
}

/// The kind of credentials, without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthKind {
    Anonymous,
    ApiKey,
    Bearer,
}

impl Auth {
    #[must_use]
    pub fn kind(&self) -> AuthKind {
        match self {
            Self::Anonymous => AuthKind::Anonymous,
            Self::ApiKey(_) => AuthKind::ApiKey,
            Self::Bearer(_) => AuthKind::Bearer,
        }
    }

    fn secret(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::ApiKey(secret) | Self::Bearer(secret) => Some(secret.expose_secret()),
        }
    }

    fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>, ApiError> {
        let (name, text) = match self {
            Self::Anonymous => return Ok(None),
            Self::ApiKey(key) => (HeaderName::from_static("x-api-key"), key.expose_secret().to_owned()),
            Self::Bearer(token) => (AUTHORIZATION, format!("Bearer {}", token.expose_secret())),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| ApiError::InvalidCredentials)?;
        // Kept out of Debug, and out of HTTP/2's header tables.
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }
}

/// Where and how to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// http or https; a trailing slash is dropped.
    pub base: Url,
    pub tls: TlsOptions,
    /// From sending to the last byte of the answer, for each attempt. Default 100 s.
    pub request_timeout: Duration,
    /// Default 15 s.
    pub connect_timeout: Duration,
    pub retry: RetryPolicy,
    /// Largest answer that is read, after decompression. Default 256 MiB.
    pub max_answer_bytes: usize,
    /// Requests on their way at once; others wait. Default 8.
    pub max_in_flight: u32,
    /// Asked (anonymously) after a 401 whether the server's database is up: it refuses good keys
    /// while that is down. `None` for servers without such a path.
    pub readiness_path: Option<String>,
}

impl Options {
    /// The defaults, for a server of the first product.
    #[must_use]
    pub fn new(base: Url) -> Self {
        Self {
            base,
            tls: TlsOptions::default(),
            request_timeout: Duration::from_secs(100),
            connect_timeout: Duration::from_secs(15),
            retry: RetryPolicy::default(),
            max_answer_bytes: 256 * 1024 * 1024,
            max_in_flight: 8,
            readiness_path: Some("/api/v1/health/ready".to_owned()),
        }
    }
}

/// One pool of connections to one server; clones share it.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    client: reqwest::Client,
    options: Options,
    auth: RwLock<Auth>,
    gate: Gate,
    window: Window,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("base", &self.base().as_str())
            .field("auth", &self.auth_kind())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens nothing yet: the first request connects.
    ///
    /// # Errors
    /// [`ApiError::InvalidUrl`], [`ApiError::CertificateFile`], [`ApiError::InvalidCredentials`].
    pub fn new(mut options: Options, auth: Auth) -> Result<Self, ApiError> {
        auth.header()?;
        check_base(&options.base)?;
        let path = options.base.path().trim_end_matches('/').to_owned();
        options.base.set_path(&path);
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .tls_backend_preconfigured(tls::client_config(&options.tls)?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .timeout(options.request_timeout)
            .tcp_nodelay(true)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .gzip(true);
        // A proxy has another loopback than we have.
        if is_loopback(&options.base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|cause| ApiError::Setup { cause: cause.to_string() })?;
        let window = Window::new(options.max_in_flight);
        let shared = Shared { client, options, auth: RwLock::new(auth), gate: Gate::default(), window };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The pool itself, for the identity provider of a login: same trust, no credentials.
    #[must_use]
    pub fn http_client(&self) -> &reqwest::Client {
        &self.shared.client
    }

    /// The server's address, without a trailing slash in its path (a bare host keeps its `/`).
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.shared.options.base
    }

    /// http to another computer: whoever is on the way can read the key.
    #[must_use]
    pub fn is_clear_text(&self) -> bool {
        self.base().scheme() == "http" && !is_loopback(self.base())
    }

    #[must_use]
    pub fn auth_kind(&self) -> AuthKind {
        self.shared.auth.read().unwrap_or_else(PoisonError::into_inner).kind()
    }

    /// Replaces the credentials for all clones, such as a renewed token; running attempts keep theirs.
    ///
    /// # Errors
    /// [`ApiError::InvalidCredentials`]; the old ones stay then.
    pub fn set_auth(&self, auth: Auth) -> Result<(), ApiError> {
        auth.header()?;
        *self.shared.auth.write().unwrap_or_else(PoisonError::into_inner) = auth;
        Ok(())
    }

    /// Sends a request and waits for its answer, with the retries that are safe for its method.
    ///
    /// # Errors
    /// Every [`ApiError`] but those of [`Connection::new`]. Dropping the future cancels it.
    pub async fn send(&self, request: &Request) -> Result<Response, ApiError> {
        self.send_observed(request, &|_| {}).await
    }

    /// As [`Connection::send`]; `observe` hears of waits, retries and redirects as they begin.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_observed<F: Fn(Event)>(&self, request: &Request, observe: &F) -> Result<Response, ApiError> {
        let url = request.url(self.base())?;
        let (auth, answered, retries) = self.exchange(request, url, observe).await?;
        if (200..300).contains(&answered.status) {
            return success(request, answered);
        }
        let answer = failure::answer(answered.status, &answered.headers, &answered.body, &request.subject);
        let answer = redacted(answer, &auth, &secrets(request));
        if answer.status == 401 && self.database_is_down().await {
            return Err(ApiError::DatabaseDown { answer: Box::new(answer) });
        }
        Err(failure::error(answer, auth.kind(), retries))
    }

    fn auth_for(&self, request: &Request) -> Auth {
        if request.anonymous {
            return Auth::Anonymous;
        }
        self.shared.auth.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn attempt(&self, request: &Request, auth: &Auth, url: Url) -> Result<Answered, transport::Failed> {
        let options = &self.shared.options;
        let setting = Setting {
            client: &self.shared.client,
            credential: auth.header().map_err(|error| transport::Failed { error, reached: Reached::Final })?,
            request_timeout: options.request_timeout,
            connect_timeout: options.connect_timeout,
            max_answer_bytes: options.max_answer_bytes,
        };
        transport::attempt(&setting, request, url).await
    }

    /// To the last answer: success, a refusal, or a redirect that is no longer followed.
    async fn exchange<F: Fn(Event)>(
        &self,
        request: &Request,
        mut url: Url,
        observe: &F,
    ) -> Result<(Auth, Answered, u32), ApiError> {
        let policy = &self.shared.options.retry;
        let (mut failures, mut limited, mut hops) = (0, 0, 0);
        let mut maybe_done = false;
        loop {
            let place = self.turn(request, limited > 0, observe).await;
            observe(Event::Sending);
            let auth = self.auth_for(request);
            let may_retry = !request.once && failures < policy.transport_retries;
            let attempted = self.attempt(request, &auth, url.clone()).await;
            drop(place);
            let (reason, asked) = match attempted {
                Ok(answered) if answered.status == 429 => {
                    let wait = policy.rate_limit_wait(limited, retry_after(&answered));
                    // Those already on their way bring more 429s: one pause, one step down.
                    if self.shared.gate.shut_for(policy.scaled(wait)) {
                        self.shared.window.shrink();
                    }
                    if request.once || limited >= policy.rate_limit_retries {
                        return Ok((auth, answered, limited));
                    }
                    limited += 1;
                    observe(Event::RateLimited { wait, retry: limited, of: policy.rate_limit_retries });
                    continue;
                }
                Ok(answered) if is_redirect(answered.status) => {
                    url = follow(request, &answered, hops)?;
                    hops += 1;
                    observe(Event::Redirected { path: url.path().to_owned() });
                    continue;
                }
                Ok(answered)
                    if may_retry && request.method.is_idempotent() && (502..=504).contains(&answered.status) =>
                {
                    // A gateway lost the answer; what stands behind it may have done its work.
                    maybe_done |= answered.status != 503;
                    (format!("The server is not available ({}).", answered.status), retry_after(&answered))
                }
                // An earlier attempt, whose answer was lost, deleted it.
                Ok(answered) if maybe_done && request.method == Method::Delete && answered.status == 404 => {
                    return Ok((auth, Answered { status: 204, body: Vec::new(), ..answered }, limited));
                }
                Ok(answered) => {
                    self.shared.window.answered();
                    return Ok((auth, answered, limited));
                }
                Err(failed) if may_retry && may_send_again(request.method, failed.reached) => {
                    maybe_done |= failed.reached == Reached::Unknown;
                    (failed.error.to_string(), None)
                }
                Err(failed) => return Err(failed.error),
            };
            let wait = policy.backoff(failures, asked);
            failures += 1;
            observe(Event::Retrying { reason, wait, retry: failures, of: policy.transport_retries });
            tokio::time::sleep(policy.scaled(wait)).await;
        }
    }

    /// Waits until the connection is not paused and the window has a place.
    /// `told`: this call brought the 429 home, its observer knows of the wait already.
    async fn turn<F: Fn(Event)>(&self, request: &Request, mut told: bool, observe: &F) -> Option<Place<'_>> {
        if request.once {
            return None;
        }
        loop {
            if let Some(left) = self.shared.gate.remaining() {
                if !told {
                    observe(Event::Paused { left });
                    told = true;
                }
                self.shared.gate.pass().await;
            }
            let place = self.shared.window.enter().await;
            // The pause may have begun while this call waited for its place.
            if self.shared.gate.remaining().is_none() {
                return Some(place);
            }
        }
    }

    /// With its database down the server refuses every key with 401; only its readiness tells.
    async fn database_is_down(&self) -> bool {
        let Some(path) = &self.shared.options.readiness_path else {
            return false;
        };
        let request = Request { anonymous: true, once: true, accept: Accept::Any, ..Request::new(Method::Get, path) };
        let Ok(url) = request.url(self.base()) else {
            return false;
        };
        matches!(self.attempt(&request, &Auth::Anonymous, url).await, Ok(answered) if answered.status == 503)
    }
}

fn check_base(base: &Url) -> Result<(), ApiError> {
    let cause = if !matches!(base.scheme(), "http" | "https") {
        "it must begin with https:// or http://"
    } else if !base.username().is_empty() || base.password().is_some() {
        "it must not hold a user name or password"
    } else if base.query().is_some() || base.fragment().is_some() {
        "it must not hold '?' or '#'"
    } else {
        return Ok(());
    };
    // A password in it must not come out again.
    let mut shown = base.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    Err(ApiError::InvalidUrl { url: transport::without_query(&shown), cause })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn retry_after(answered: &Answered) -> Option<Duration> {
    let value = answered.headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?;
    super::retry::parse_retry_after(value, std::time::SystemTime::now())
}

fn may_send_again(method: Method, reached: Reached) -> bool {
    match reached {
        Reached::Nothing => true,
        Reached::Unknown => method.is_idempotent(),
        Reached::Final => false,
    }
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The address a redirect leads to, if it may be followed: GET, the same origin, not too often.
fn follow(request: &Request, answered: &Answered, hops: u32) -> Result<Url, ApiError> {
    let location = answered.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|location| answered.url.join(location).ok());
    let refused = |why, target: Option<&Url>| ApiError::Redirected {
        status: answered.status,
        target: target.map_or_else(|| "nowhere".to_owned(), transport::without_query),
        subject: request.subject.clone(),
        why,
        use_url: target.and_then(|target| base_of(target, &request.path)),
    };
    let Some(target) = target else {
        return Err(refused(Unfollowed::NoTarget, None));
    };
    if target.origin() != answered.url.origin() {
        return Err(refused(Unfollowed::OtherOrigin, Some(&target)));
    }
    if request.method != Method::Get {
        return Err(refused(Unfollowed::NotGet, Some(&target)));
    }
    if hops >= MOST_REDIRECTS {
        return Err(refused(Unfollowed::TooMany, Some(&target)));
    }
    Ok(target)
}

/// The base address a redirect suggests: what stands before the path that was asked for.
fn base_of(target: &Url, path: &str) -> Option<String> {
    let prefix = target.path().strip_suffix(path)?;
    let origin = target.origin();
    origin.is_tuple().then(|| format!("{}{}", origin.ascii_serialization(), prefix.trim_end_matches('/')))
}

fn success(request: &Request, answered: Answered) -> Result<Response, ApiError> {
    let text = |headers: &HeaderMap, name| {
        headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned)
    };
    let page = request.accept == Accept::Json && failure::is_web_page(&answered.headers, &answered.body);
    let response = Response {
        status: answered.status,
        request_id: failure::request_id(&answered.headers),
        content_type: text(&answered.headers, CONTENT_TYPE),
        url: transport::without_query(&answered.url),
        subject: request.subject.clone(),
        body: answered.body,
    };
    if page && !response.is_empty() {
        let title = failure::page_title(&String::from_utf8_lossy(&response.body));
        return Err(response.unexpected(Unexpected::WebPage { title }));
    }
    Ok(response)
}

/// Debug pages and odd proxies echo request headers and bodies: a secret goes no further.
fn redacted(mut answer: Answer, auth: &Auth, hidden: &[SecretString]) -> Answer {
    // Very short ones would blank out half of a message, and are no secrets.
    let known = auth.secret().filter(|secret| secret.len() >= 6).into_iter();
    let sent = hidden.iter().map(ExposeSecret::expose_secret).filter(|secret| secret.len() >= 3);
    for secret in known.chain(sent) {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let hide = |text: &mut String| {
            for shown in [secret, encoded.as_str()] {
                if text.contains(shown) {
                    *text = text.replace(shown, "***");
                }
            }
        };
        answer.message.iter_mut().for_each(hide);
        answer.server_code.iter_mut().for_each(hide);
        answer.request_id.iter_mut().for_each(hide);
        for (field, messages) in &mut answer.validation {
            hide(field);
            messages.iter_mut().for_each(hide);
        }
    }
    answer
}

/// What nobody may see of a request: what it names, and the passwords of its body.
fn secrets(request: &Request) -> Vec<SecretString> {
    let mut found = request.hidden.clone();
    if let Some(body) = request.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()) {
        passwords(&body, &mut found);
    }
    found
}

fn passwords(value: &Value, found: &mut Vec<SecretString>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name.to_lowercase().ends_with("password") => found.push(text.clone().into()),
                    other => passwords(other, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| passwords(item, found)),
        _ => {}
    }
}
