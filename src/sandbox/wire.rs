//! One request as the rooms see it (`Call`) and one answer (`Reply`): no I/O, so that every area is a plain
//! function of the world and the call.

use std::net::IpAddr;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::state::Actor;

pub(super) const JSON: &str = "application/json; charset=utf-8";

/// An answer, or an error answer that ends the handler early.
pub(super) type Handled = Result<Reply, Reply>;
/// `None`: this area has no such route.
pub(super) type Routed = Option<Handled>;

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// As sent, percent-encoding kept.
    pub(super) path: String,
    pub(super) raw_query: String,
    /// Path segments, decoded.
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) peer: Option<IpAddr>,
    pub(super) now: DateTime<Utc>,
    /// Who asks; the system itself until the call has been authenticated.
    pub(super) actor: Actor,
}

impl Call {
    pub(super) fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Self {
        let raw_query = uri.query().unwrap_or_default().to_owned();
        Self {
            method,
            path: uri.path().to_owned(),
            segments: uri.path().split('/').filter(|segment| !segment.is_empty()).map(decode).collect(),
            query: url::form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect(),
            raw_query,
            headers,
            body,
            peer: None,
            now: Utc::now(),
            actor: Actor::system(),
        }
    }

    /// First value of a query parameter; names are case-insensitive, empty values count as absent.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params(name).next()
    }

    /// All values of a repeated query parameter.
    pub(super) fn params<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .filter(move |(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Percent-decoding of one path segment (a plus sign stays a plus sign there).
fn decode(segment: &str) -> String {
    let kept = segment.replace('+', "%2B");
    url::form_urlencoded::parse(kept.as_bytes())
        .next()
        .map(|(name, value)| if value.is_empty() { name.into_owned() } else { format!("{name}={value}") })
        .unwrap_or_default()
}

/// An id in a path: the server's route constraints refuse anything else, and then no route matches.
pub(super) fn int(segment: &str) -> Option<i64> {
    segment.parse::<i32>().ok().map(i64::from)
}

pub(super) fn guid(segment: &str) -> Option<Uuid> {
    Uuid::try_parse(segment).ok()
}

#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Bytes,
}

impl Reply {
    /// JSON from a controller: it carries the version header.
    pub(super) fn json(status: StatusCode, value: &Value) -> Self {
        Self::bare_json(status, value).with("api-supported-versions", "1.0")
    }

    /// JSON from the pipeline before a controller (authentication, model validation): no version header.
    pub(super) fn bare_json(status: StatusCode, value: &Value) -> Self {
        Self { status, headers: vec![(CONTENT_TYPE, JSON.to_owned())], body: Bytes::from(value.to_string()) }
    }

    pub(super) fn ok(value: &Value) -> Self {
        Self::json(StatusCode::OK, value)
    }

    pub(super) fn created(value: &Value, location: String) -> Self {
        let mut reply = Self::json(StatusCode::CREATED, value);
        reply.headers.push((LOCATION, location));
        reply
    }

    pub(super) fn accepted(value: &Value) -> Self {
        Self::json(StatusCode::ACCEPTED, value)
    }

    pub(super) fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT).with("api-supported-versions", "1.0")
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// What the server's web interface answers to every path it does not know.
    pub(super) fn html() -> Self {
        const PAGE: &str = "\n<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n    <meta charset=\"utf-8\" />\n    <base href=\"/\" />\n    <title>JIM</title>\n</head>\n<body>\n    <div id=\"blazor-error-ui\"></div>\n    <script src=\"_framework/blazor.server.js\" autostart=\"false\"></script>\n</body>\n</html>\n";
        Self {
            status: StatusCode::OK,
            headers: vec![
                (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
                (CACHE_CONTROL, "no-cache, no-store, max-age=0".to_owned()),
            ],
            body: Bytes::from_static(PAGE.as_bytes()),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((HeaderName::from_static(name), value.into()));
        self
    }

    pub(super) fn into_response(self, body: Option<Body>) -> Response<Body> {
        let mut response = Response::new(body.unwrap_or_else(|| Body::from(self.body)));
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn segments_are_decoded_and_query_names_ignore_case() {
        let uri: Uri = "/api/v1/a%20b+c/?PageSize=5&status=A&status=B&empty=".parse().unwrap();
        let call = Call::new(Method::GET, &uri, HeaderMap::new(), Bytes::new());
        assert_eq!(call.segments, ["api", "v1", "a b+c"]);
        assert_eq!(call.param("pagesize"), Some("5"));
        assert_eq!(call.params("Status").collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(call.param("empty"), None);
    }

    #[test]
    fn ids_beyond_32_bits_are_no_ids() {
        assert_eq!(int("7"), Some(7));
        assert_eq!(int("99999999999"), None);
        assert_eq!(int("abc"), None);
    }
}
