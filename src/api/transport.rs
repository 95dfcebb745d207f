//! One attempt: sends a request once, reads the bounded answer, and says what a failure means.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::error::{ApiError, Attempted, Unexpected};
use super::message::{Accept, Method, Request};
use super::tls::TlsRefusal;

/// What one attempt needs besides the request.
pub(super) struct Setting<'a> {
    pub client: &'a reqwest::Client,
    pub credential: Option<(HeaderName, HeaderValue)>,
    pub request_timeout: Duration,
    pub connect_timeout: Duration,
    pub max_answer_bytes: usize,
}

/// Any answer, success or not.
#[derive(Debug)]
pub(super) struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub url: Url,
}

/// How far a failed attempt came, which decides who may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// No byte of the request left: every method may be sent again.
    Nothing,
    /// The server may have it: only idempotent methods may be sent again.
    Unknown,
    /// The same would happen again, or it took its time already.
    Final,
}

#[derive(Debug)]
pub(super) struct Failed {
    pub error: ApiError,
    pub reached: Reached,
}

pub(super) async fn attempt(setting: &Setting<'_>, request: &Request, url: Url) -> Result<Answered, Failed> {
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    };
    let mut builder = setting.client.request(method, url.clone()).header(
        ACCEPT,
        match request.accept {
            Accept::Json => "application/json",
            Accept::Any => "*/*",
        },
    );
    if let Some((name, value)) = &setting.credential {
        builder = builder.header(name, value);
    }
    if let Some(body) = &request.body {
        let kind = if request.form { "application/x-www-form-urlencoded" } else { "application/json" };
        builder = builder.header(CONTENT_TYPE, kind).body(body.clone());
    }
    let failed = |cause: reqwest::Error| failure(&cause, setting, request, &url);
    let mut response = builder.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let limit = setting.max_answer_bytes;
    let expected = response.content_length().unwrap_or(0).min(limit as u64);
    let mut body = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        // Counted after decompression: a small answer can unfold to a large one.
        if body.len() + chunk.len() > limit {
            return Err(Failed {
                error: ApiError::UnexpectedAnswer {
                    status,
                    url: without_query(&url),
                    subject: request.subject.clone(),
                    what: Unexpected::TooLarge { limit },
                    request_id: super::failure::request_id(&headers),
                },
                reached: Reached::Final,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answered { status, headers, body, url })
}

/// URL for messages: a query may hold what others should not read.
pub(super) fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// `host:port` of a URL, the port also where it is the scheme's own.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn failure(cause: &reqwest::Error, setting: &Setting<'_>, request: &Request, url: &Url) -> Failed {
    let found = Causes::of(cause);
    let attempted = |place: String, in_doubt: bool| {
        Box::new(Attempted { place, subject: request.subject.clone(), cause: found.words.clone(), in_doubt })
    };
    // A repeated PUT or DELETE ends in the state that was asked for, so only the others leave a doubt.
    let in_doubt = !request.method.is_idempotent();
    let connecting = cause.is_connect();
    if cause.is_timeout() {
        let limit = if connecting { setting.connect_timeout } else { setting.request_timeout };
        let place = format!("{} {}", request.method, without_query(url));
        let error = ApiError::Timeout { limit, connecting, attempted: attempted(place, in_doubt && !connecting) };
        return Failed { error, reached: Reached::Final };
    }
    let place = place(url);
    if let Some(reason) = found.tls {
        let error = ApiError::TlsRefused { reason, attempted: attempted(place, false) };
        return Failed { error, reached: Reached::Final };
    }
    if connecting || cause.is_builder() {
        let attempted = attempted(place, false);
        let error = if found.dns {
            ApiError::NameNotResolved(attempted)
        } else if found.io == Some(io::ErrorKind::ConnectionRefused) {
            ApiError::ConnectionRefused(attempted)
        } else {
            ApiError::NotReachable(attempted)
        };
        return Failed { error, reached: if connecting { Reached::Nothing } else { Reached::Final } };
    }
    Failed { error: ApiError::ConnectionLost(attempted(place, in_doubt)), reached: Reached::Unknown }
}

/// What lies at the bottom of a chain of causes.
#[derive(Default)]
struct Causes {
    dns: bool,
    tls: Option<TlsRefusal>,
    io: Option<io::ErrorKind>,
    words: String,
}

impl Causes {
    fn of(error: &reqwest::Error) -> Self {
        let mut causes = Self { dns: error.is_dns(), ..Self::default() };
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                causes.tls = Some(TlsRefusal::of(tls));
            }
            // reqwest repeats the URL in its own words, query included: never take those.
            if !error.is::<reqwest::Error>() {
                causes.words = error.to_string();
            }
            next = match error.downcast_ref::<io::Error>() {
                Some(io) => {
                    causes.io = Some(io.kind());
                    // An io::Error hides the error it carries from `source`.
                    match io.get_ref() {
                        Some(inner) => Some(inner),
                        None => error.source(),
                    }
                }
                None => error.source(),
            };
        }
        causes.words = causes.words.trim_end_matches('.').to_owned();
        if causes.words.is_empty() {
            causes.words = "no further details".to_owned();
        }
        causes
    }
}
