//! The shapes of answers: the result envelope of writes, the list and item envelope of reads, and what comes without
//! any. All members are always there, in the order of the documented samples.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use super::super::wire::{JSON, Reply};
use super::json::Node;

/// `type` of a create or an update.
pub(super) const WRITTEN: i64 = 6;
/// `type` of a deletion.
pub(super) const DELETED: i64 = 7;

/// What the server can't do although the request was understood: a `status` other than 0 under HTTP 200. No such
/// answer is documented; numbers, codes and words are this sandbox's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Failure {
    pub(in crate::sandbox) status: i64,
    pub(in crate::sandbox) message: String,
    pub(in crate::sandbox) code: String,
}

impl Failure {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 1, message: message.into(), code: code.to_owned() }
    }
}

/// One result as the server describes it, alone or as an entry of another's `details`.
pub(super) fn entry(kind: i64, outcome: &Result<Option<i64>, Failure>, details: Vec<Value>) -> Value {
    let (data, failure) = match outcome {
        Ok(id) => (*id, None),
        Err(failure) => (None, Some(failure)),
    };
    json!({
        "name": null,
        "type": kind,
        "status": failure.map_or(0, |failure| failure.status),
        "message": failure.map(|failure| &failure.message),
        "data": data,
        "identityStoreObject": null,
        "details": details,
        "currentDirectoryServer": null,
        "errorCode": failure.map(|failure| &failure.code),
        "exceptionMessagesAttributeWise": null,
        "isResyncAble": true,
    })
}

pub(super) fn result(kind: i64, outcome: &Result<Option<i64>, Failure>) -> Reply {
    Reply::bare_json(StatusCode::OK, &entry(kind, outcome, Vec::new()))
}

/// One entry per item. What the whole says about a batch that failed in part is not documented; here it says 0, so
/// that a client which doesn't look at `details` is found out. A batch of which nothing succeeded fails as a whole.
pub(super) fn batch(kind: i64, items: &[Result<Option<i64>, Failure>]) -> Reply {
    let all_failed = items.iter().all(Result::is_err);
    let whole = match items.first() {
        Some(Err(failure)) if all_failed => Err(failure.clone()),
        _ => Ok(None),
    };
    let details = items.iter().map(|item| entry(kind, item, Vec::new())).collect();
    Reply::bare_json(StatusCode::OK, &entry(kind, &whole, details))
}

/// `data` is a list or an object, as text of its own.
pub(super) fn read(count: usize, data: &Node) -> Reply {
    json_text(format!(r#"{{"count":{count},"data":{data},"status":0,"message":null}}"#))
}

/// A read that fails under HTTP 200.
pub(super) fn unread(failure: &Failure) -> Reply {
    let body = json!({"count": 0, "data": null, "status": failure.status, "message": failure.message});
    Reply::bare_json(StatusCode::OK, &body)
}

pub(super) fn json_text(text: String) -> Reply {
    Reply { status: StatusCode::OK, headers: vec![(CONTENT_TYPE, JSON.to_owned())], body: text.into() }
}

/// 400; the shape of error bodies is not documented.
pub(super) fn bad_request(message: &str) -> Reply {
    Reply::bare_json(StatusCode::BAD_REQUEST, &json!({"message": message}))
}

/// 401 without a body; why is in the header.
pub(super) fn unauthorised(expired: bool) -> Reply {
    let why = if expired { r#"Bearer error="invalid_token", error_description="The token expired""# } else { "Bearer" };
    let mut reply = Reply::empty(StatusCode::UNAUTHORIZED);
    reply.headers.push((WWW_AUTHENTICATE, why.to_owned()));
    reply
}

/// A page of the web server in front of the API, as its allow-list of addresses sends it.
pub(super) fn iis(status: StatusCode) -> Reply {
    let (title, text) = match status.as_u16() {
        403 => (
            "403 - Forbidden: Access is denied.",
            "You do not have permission to view this directory or page using the credentials that you supplied.",
        ),
        503 => ("503 - Service Unavailable", "The service is unavailable."),
        _ => ("Server Error", "The page cannot be displayed."),
    };
    let page = format!(
        "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\r\n<html xmlns=\"http://www.w3.org/1999/xhtml\">\r\n<head>\r\n<title>{title}</title>\r\n</head>\r\n<body>\r\n<div id=\"header\"><h1>Server Error</h1></div>\r\n<div id=\"content\">\r\n  <h2>{title}</h2>\r\n  <h3>{text}</h3>\r\n</div>\r\n</body>\r\n</html>\r\n"
    );
    Reply { status, headers: vec![(CONTENT_TYPE, "text/html".to_owned())], body: page.into() }
        .with("server", "Microsoft-IIS/10.0")
}
