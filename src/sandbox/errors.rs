//! The five shapes in which the real server says no. Which one a caller gets depends on how far its request came.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use super::clock;
use super::wire::{Call, Reply};

/// Shape 1: model validation, problem details. `errors` keeps the order given.
pub(super) fn invalid(errors: Vec<(String, Vec<String>)>) -> Reply {
    let errors: Map<String, Value> = errors.into_iter().map(|(field, texts)| (field, json!(texts))).collect();
    Reply::bare_json(
        StatusCode::BAD_REQUEST,
        &json!({
            "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
            "title": "One or more validation errors occurred.",
            "status": 400,
            "errors": errors,
            "traceId": trace_id(),
        }),
    )
}

pub(super) fn invalid_field(field: &str, text: impl Into<String>) -> Reply {
    invalid(vec![(field.to_owned(), vec![text.into()])])
}

/// Problem details without `errors` (415, and 404 of certificates).
pub(super) fn problem(status: StatusCode, section: &str) -> Reply {
    Reply::bare_json(
        status,
        &json!({
            "type": format!("https://tools.ietf.org/html/rfc9110#section-{section}"),
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "traceId": trace_id(),
        }),
    )
}

/// Shapes 2 and 3: business errors; schedules and keys leave `code` empty.
pub(super) fn business(call: &Call, status: StatusCode, code: &str, message: impl Into<String>) -> Reply {
    Reply::json(status, &business_body(call, code, message.into(), Value::Null))
}

pub(super) fn business_body(call: &Call, code: &str, message: String, fields: Value) -> Value {
    json!({
        "code": code,
        "message": message,
        "details": null,
        "validationErrors": fields,
        "timestamp": clock::fresh(call.now),
    })
}

pub(super) fn not_found(call: &Call, message: impl Into<String>) -> Reply {
    business(call, StatusCode::NOT_FOUND, "NOT_FOUND", message)
}

pub(super) fn bad_request(call: &Call, message: impl Into<String>) -> Reply {
    business(call, StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

/// `VALIDATION_ERROR` with its fields.
pub(super) fn rejected(call: &Call, message: &str, fields: Value) -> Reply {
    Reply::json(StatusCode::BAD_REQUEST, &business_body(call, "VALIDATION_ERROR", message.to_owned(), fields))
}

/// An exception that no controller caught: the same fields, a content type without charset.
pub(super) fn uncaught(call: &Call, status: StatusCode, code: &str, message: &str) -> Reply {
    let mut reply = business(call, status, code, message);
    for (name, value) in &mut reply.headers {
        if *name == CONTENT_TYPE {
            *value = "application/json".to_owned();
        }
    }
    reply
}

/// An exception that the server keeps to itself, as for U+0000 in a name.
pub(super) fn internal(call: &Call) -> Reply {
    uncaught(call, StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "An unexpected error occurred.")
}

/// Shape 4: the same body whether a key is missing, unknown, disabled or sent as Bearer.
pub(super) fn unauthorised() -> Reply {
    Reply::bare_json(StatusCode::UNAUTHORIZED, &json!({"error": "Unauthorized", "message": "Authentication required"}))
}

/// Shape 5: nothing but the status.
pub(super) fn forbidden() -> Reply {
    Reply::empty(StatusCode::FORBIDDEN)
}

/// 429; its content type has no charset, unlike every other answer.
pub(super) fn too_many(call: &Call, retry_after: Option<String>) -> Reply {
    let body = business_body(
        call,
        "TOO_MANY_REQUESTS",
        "Too many requests. Please retry after the indicated delay.".to_owned(),
        Value::Null,
    );
    let reply = Reply {
        status: StatusCode::TOO_MANY_REQUESTS,
        headers: vec![(CONTENT_TYPE, "application/json".to_owned())],
        body: body.to_string().into(),
    };
    match retry_after {
        Some(value) => reply.with("retry-after", value),
        None => reply,
    }
}

fn trace_id() -> String {
    format!("00-{:032x}-{:016x}-00", fastrand::u128(..), fastrand::u64(..))
}
