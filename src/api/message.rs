//! A request as the cmdlets state it, and the answer as they read it.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::error::Category as JsonFault;
use serde_json::value::RawValue;
use url::Url;

use super::error::{ApiError, Unexpected};
use super::page::Page;

/// Everything but the unreserved characters of RFC 3986: what users give is data, never syntax.
const DATA: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes one path segment. `.` and `..` can't be encoded; a request with them is refused.
#[must_use]
pub fn encode_segment(text: &str) -> String {
    utf8_percent_encode(text, DATA).to_string()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// Whether sending it twice does what sending it once does.
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Put | Self::Delete)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What kind of success is acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accept {
    /// JSON or nothing; a web page is an error.
    #[default]
    Json,
    /// Any content (downloads).
    Any,
}

/// One request. Its `Debug` shows neither body nor query values.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    /// Percent-encoded, from the leading `/`.
    pub path: String,
    /// Names and values in the clear; repeated names stay repeated, in order.
    pub query: Vec<(String, String)>,
    /// JSON text, or a form when `form` says so. A GET may have one too.
    pub body: Option<Vec<u8>>,
    /// The body is `application/x-www-form-urlencoded`, as token services want it.
    pub form: bool,
    /// Secrets of the body: taken out of whatever the server repeats of them in a refusal.
    pub hidden: Vec<SecretString>,
    /// Send no credentials.
    pub anonymous: bool,
    /// Send once: no retry, and no waiting for a pause of the connection.
    pub once: bool,
    pub accept: Accept,
    /// What it is about, for messages: "run profile 7 of connected system 1".
    pub subject: String,
}

impl Request {
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            form: false,
            hidden: Vec::new(),
            anonymous: false,
            once: false,
            accept: Accept::Json,
            subject: String::new(),
        }
    }

    /// Adds a name and value to the query.
    #[must_use]
    pub fn with_query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn with_body(mut self, json: impl Into<Vec<u8>>) -> Self {
        self.body = Some(json.into());
        self
    }

    /// A form in place of JSON. The values are never shown, nor is anything the server repeats of `hidden`.
    #[must_use]
    pub fn with_form<'a>(
        mut self,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
        hidden: Vec<SecretString>,
    ) -> Self {
        self.body =
            Some(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes());
        self.form = true;
        self.hidden = hidden;
        self
    }

    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// The address under `base`, which has no trailing slash.
    ///
    /// # Errors
    /// [`ApiError::InvalidRequest`] if the path is not what would be asked for (`..` climbs, a
    /// bare `?` or space changes meaning): a name must not reach another resource.
    pub(super) fn url(&self, base: &Url) -> Result<Url, ApiError> {
        let invalid = |cause| ApiError::InvalidRequest { subject: self.subject.clone(), cause };
        if !self.path.starts_with('/') {
            return Err(invalid("its path does not begin with '/'"));
        }
        let path = format!("{}{}", base.path().trim_end_matches('/'), self.path);
        let mut url = base.clone();
        url.set_path(&path);
        if url.path() != path {
            return Err(invalid(
                "a name or id in its path ('.', '..' or an unencoded character) would change which resource is meant",
            ));
        }
        if !self.query.is_empty() {
            let encode = |text: &str| utf8_percent_encode(text, DATA).to_string();
            let pairs: Vec<_> =
                self.query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
            url.set_query(Some(&pairs.join("&")));
        }
        Ok(url)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.query.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &names)
            .field("body_bytes", &self.body.as_ref().map(Vec::len))
            .field("anonymous", &self.anonymous)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// A successful answer. Its `Debug` shows no content.
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
    pub request_id: Option<String>,
    pub content_type: Option<String>,
    pub(super) url: String,
    pub(super) subject: String,
}

impl Response {
    /// Nothing but white space.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.trim_ascii().is_empty()
    }

    /// Reads the body as JSON; depth is bounded by serde_json (128).
    ///
    /// # Errors
    /// [`ApiError::UnexpectedAnswer`]: empty, cut off, no JSON, or another shape than `T`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        if self.is_empty() {
            return Err(self.unexpected(Unexpected::Empty));
        }
        let text = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
        serde_json::from_slice(text).map_err(|cause| {
            self.unexpected(match cause.classify() {
                JsonFault::Eof => Unexpected::Truncated { bytes: self.body.len() },
                JsonFault::Data => Unexpected::WrongShape { cause: cause.to_string() },
                JsonFault::Syntax | JsonFault::Io => Unexpected::NotJson { cause: cause.to_string() },
            })
        })
    }

    /// Whether all items of this answer are objects; null stands for one that isn't there.
    ///
    /// # Errors
    /// [`ApiError::UnexpectedAnswer`]: another shape. The odd value isn't quoted, it may be anything.
    pub fn objects(&self, items: &[&RawValue]) -> Result<(), ApiError> {
        let odd = items.iter().find_map(|item| match item.get().as_bytes().first() {
            Some(b'{' | b'n') => None,
            Some(b'[') => Some("a list"),
            Some(b'"') => Some("a text"),
            _ => Some("a single value"),
        });
        odd.map_or(Ok(()), |odd| {
            Err(self.unexpected(Unexpected::WrongShape { cause: format!("{odd} where an object was expected") }))
        })
    }

    /// Reads a list: the paging envelope, or a bare array as one whole page.
    ///
    /// # Errors
    /// As [`Response::json`].
    pub fn page(&self) -> Result<Page<'_>, ApiError> {
        let text = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
        if text.trim_ascii_start().first() == Some(&b'[') {
            self.json::<Vec<&RawValue>>().map(Page::whole)
        } else {
            self.json()
        }
    }

    /// This answer as an error: a success that is none.
    #[must_use]
    pub fn unexpected(&self, what: Unexpected) -> ApiError {
        ApiError::UnexpectedAnswer {
            status: self.status,
            url: self.url.clone(),
            subject: self.subject.clone(),
            what,
            request_id: self.request_id.clone(),
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("url", &self.url)
            .field("content_type", &self.content_type)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn url(path: &str, query: &[(&str, &str)]) -> Result<String, ApiError> {
        let base = Url::parse("https://jim.example/base").unwrap();
        let mut request = Request::new(Method::Get, path);
        request.query = query.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        request.url(&base).map(|url| url.to_string())
    }

    fn response(body: &str) -> Response {
        Response {
            status: 200,
            body: body.into(),
            request_id: None,
            content_type: None,
            url: "https://jim.example/x".into(),
            subject: String::new(),
        }
    }

    #[test]
    fn query_values_are_data() {
        assert_eq!(
            url("/a/b", &[("filter", "name:eq:R&D +1/2=ü"), ("op", "a"), ("op", "b*")]).unwrap(),
            "https://jim.example/base/a/b?filter=name%3Aeq%3AR%26D%20%2B1%2F2%3D%C3%BC&op=a&op=b%2A"
        );
    }

    #[test]
    fn a_name_in_a_path_can_not_reach_another_resource() {
        for path in ["/a/../b", "/a/%2e%2e/b", "/a/./b", "/a?b", "/a#b", "/a b", "a", "/a/ü", "/a\\b"] {
            assert_eq!(url(path, &[]).unwrap_err().code(), "RequestInvalid", "{path}");
        }
        let encoded = format!("/a/{}", encode_segment("x/y ?#..ü%"));
        assert_eq!(url(&encoded, &[]).unwrap(), "https://jim.example/base/a/x%2Fy%20%3F%23..%C3%BC%25");
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_apart() {
        let fault = |body: &str| match response(body).json::<Vec<u32>>() {
            Err(ApiError::UnexpectedAnswer { what, .. }) => what,
            other => unreachable!("{other:?}"),
        };
        assert_eq!(fault(" \n"), Unexpected::Empty);
        assert_eq!(fault("[1,2"), Unexpected::Truncated { bytes: 4 });
        assert!(matches!(fault("[1,2]]"), Unexpected::NotJson { .. }));
        assert!(matches!(fault(r#"{"a":1}"#), Unexpected::WrongShape { .. }));
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(response(&deep).json::<serde_json::Value>().unwrap_err().to_string().contains("recursion"));
        assert_eq!(response("\u{feff}[1]").json::<Vec<u32>>().unwrap(), [1]);
    }

    #[test]
    fn lists_come_with_or_without_an_envelope() {
        assert_eq!(response(" [{\"a\":1},2]").page().unwrap().items.len(), 2);
        let enveloped = response(r#"{"items":[1,2],"totalCount":9,"hasNextPage":true}"#);
        let page = enveloped.page().unwrap();
        assert_eq!((page.items.len(), page.total_count, page.has_more()), (2, Some(9), true));
        assert!(matches!(
            response(r#"{"total":0}"#).page(),
            Err(ApiError::UnexpectedAnswer { what: Unexpected::WrongShape { .. }, .. })
        ));
    }

    #[test]
    fn debug_shows_no_content() {
        let request = Request::new(Method::Post, "/p").with_query("q", "hush-1").with_body("hush-2");
        let text = format!("{request:?} {:?}", response("hush-3"));
        assert!(!text.contains("hush"), "{text}");
    }
}
