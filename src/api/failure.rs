//! From an answer that is no success to an error: the five shapes of error bodies the server uses,
//! and the web pages of whatever stands before it.

use std::time::SystemTime;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::{Map, Value};

use super::connection::AuthKind;
use super::error::{Answer, ApiError};
use super::retry::parse_retry_after;

/// Longest message that is kept; a person reads no more, and logs shall not burst.
const LONGEST_MESSAGE: usize = 2000;

/// The refusal in a form to speak about, whatever shape its body has.
pub(super) fn answer(status: u16, headers: &HeaderMap, body: &[u8], subject: &str) -> Answer {
    let mut answer = Answer { status, subject: subject.to_owned(), ..Answer::default() };
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(object)) => read_object(&object, &mut answer),
        Ok(Value::String(message)) => answer.message = presentable(&message),
        _ if is_web_page(headers, body) => {
            answer.web_page = true;
            answer.message = page_title(text);
        }
        _ => answer.message = presentable(text),
    }
    if let Some(id) = request_id(headers) {
        answer.request_id = Some(id);
    }
    answer.retry_after =
        headers.get(RETRY_AFTER).and_then(|value| parse_retry_after(value.to_str().ok()?, SystemTime::now()));
    answer
}

/// The error a refusal is. 401 and 429 need more knowledge and are decided by the connection.
pub(super) fn error(answer: Answer, credential: AuthKind, retries: u32) -> ApiError {
    let validation = !answer.validation.is_empty()
        || answer.server_code.as_deref() == Some("VALIDATION_ERROR")
        || answer.status == 422;
    let identity_provider = answer.message.as_deref().is_some_and(is_identity_provider_text);
    let answer = Box::new(answer);
    match answer.status {
        400 if identity_provider => ApiError::IdentityProviderDown { credential, answer },
        401 => ApiError::AuthenticationFailed { credential, answer },
        403 => ApiError::AccessDenied { answer },
        404 => ApiError::NotFound { answer },
        409 => ApiError::Conflict { answer },
        429 => ApiError::RateLimited { retries, answer },
        502..=504 => ApiError::ServiceUnavailable { answer },
        500..=599 => ApiError::ServerError { answer },
        _ if validation => ApiError::ValidationFailed { answer },
        _ => ApiError::BadRequest { answer },
    }
}

fn read_object(object: &Map<String, Value>, answer: &mut Answer) {
    let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    // OAuth bodies have the code in `error` and the words beside it.
    let oauth = text("error").filter(|_| object.contains_key("error_description"));
    answer.server_code = text("code").or_else(|| text("errorCode")).or(oauth).map(str::to_owned);
    answer.request_id = text("traceId").map(str::to_owned);
    // `error` holds the status in words beside `message`; alone it is all there is (OAuth bodies too).
    let message = ["message", "error_description", "detail", "title", "error"].into_iter().find_map(text);
    answer.message = message.and_then(presentable);
    if let Some(details) = text("details").and_then(presentable) {
        let known = answer.message.get_or_insert_default();
        if !known.contains(&details) {
            if !known.is_empty() {
                known.push(' ');
            }
            known.push_str(&details);
        }
    }
    for name in ["errors", "validationErrors"] {
        if let Some(Value::Object(fields)) = object.get(name) {
            answer.validation.extend(fields.iter().map(|(field, messages)| (clean(field), texts(messages))));
        }
    }
    if answer.message.is_none() && answer.validation.is_empty() && !object.is_empty() {
        // A shape nobody has seen yet: the raw text is better than nothing, but for what may be a whole entity.
        let mut object = object.clone();
        object.remove("data");
        answer.message = presentable(&Value::Object(object).to_string());
    }
}

fn texts(messages: &Value) -> Vec<String> {
    match messages {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => presentable(text).into_iter().collect(),
        Value::Null => Vec::new(),
        other => vec![other.to_string()],
    }
}

/// The id under which the server, or a proxy before it, logged the request.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-request-id", "x-correlation-id", "request-id"]
        .into_iter()
        .find_map(|name| headers.get(name)?.to_str().ok())
        .map(clean)
        .filter(|id| !id.is_empty())
}

/// Whether a body is HTML, by its declared type or, where that is missing, by its first bytes.
pub(super) fn is_web_page(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared = headers.get(reqwest::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if declared.to_ascii_lowercase().contains("json") {
        return false;
    }
    let start = body.trim_ascii_start();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let begins = |with: &[u8]| start.get(..with.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(with));
    declared.to_ascii_lowercase().starts_with("text/html") || begins(b"<!doctype html") || begins(b"<html")
}

/// The title of a web page: all of it that helps.
pub(super) fn page_title(html: &str) -> Option<String> {
    // ASCII case only, so that offsets in the copy are offsets in the original.
    let lower = html.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower.get(open..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    presentable(html.get(start..end)?)
}

fn is_identity_provider_text(message: &str) -> bool {
    message.strip_prefix("IDX").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// A server's text fit for a terminal: no stack trace, no control characters, bounded.
fn presentable(text: &str) -> Option<String> {
    // .NET traces come with real line breaks or with the two characters `\n`.
    let cut = ["\n   at ", "\r\n   at ", "\\n   at ", "\\n --->", "\n --->"]
        .into_iter()
        .filter_map(|mark| text.find(mark))
        .min()
        .unwrap_or(text.len());
    let mut text = text.get(..cut).unwrap_or(text);
    // "IDX20803: what. Will retry at '01/01/0001'. Exception: 'System.…": only the first part is for people.
    if is_identity_provider_text(text) {
        for mark in [" Will retry at", " Exception:"] {
            text = text.split(mark).next().unwrap_or(text);
        }
    }
    let mut text = clean(text);
    if let Some((end, _)) = text.char_indices().nth(LONGEST_MESSAGE) {
        text.truncate(end);
        text.push('…');
    }
    (!text.is_empty()).then_some(text)
}

/// Control characters (escape sequences of terminals) become spaces, line breaks stay.
fn clean(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::protocol::Category;

    fn fail(status: u16, body: &str) -> ApiError {
        error(answer(status, &HeaderMap::new(), body.as_bytes(), "connected system 9"), AuthKind::ApiKey, 5)
    }

    #[test]
    fn problem_details_name_each_field() {
        let error = fail(
            400,
            r#"{"type":"https://example/400","title":"One or more validation errors occurred.","status":400,"errors":{"PageSize":["Too large.","Not round."],"$.runType":["Unknown."]},"traceId":"00-abc-01"}"#,
        );
        assert_eq!((error.code(), error.category()), ("ValidationFailed", Category::InvalidData));
        assert_eq!(error.request_id(), Some("00-abc-01"));
        assert_eq!(error.validation().len(), 2);
        let text = error.to_string();
        assert!(text.contains("(400): One or more validation errors occurred."), "{text}");
        assert!(
            text.ends_with("\n  - PageSize: Too large.\n  - PageSize: Not round.\n  - $.runType: Unknown."),
            "{text}"
        );
    }

    #[test]
    fn business_errors_keep_the_servers_words() {
        let error = fail(
            404,
            r#"{"code":"NOT_FOUND","message":"Connected System with ID 9 not found.","details":null,"validationErrors":null,"timestamp":"2026-01-01T00:00:00Z"}"#,
        );
        assert_eq!((error.code(), error.category()), ("NotFound", Category::ObjectNotFound));
        assert_eq!(
            error.to_string(),
            "Resource not found: Connected System with ID 9 not found. This was about connected system 9."
        );
        assert_eq!(error.server_message(), Some("Connected System with ID 9 not found."));

        let bare = fail(404, r#"{"title":"Not Found","status":404,"traceId":"t"}"#);
        assert_eq!(bare.to_string(), "Resource not found: connected system 9.");
        let unstopped = fail(404, r#"{"code":"","message":"Schedule not found: 7"}"#);
        assert!(unstopped.to_string().contains("Schedule not found: 7. This was"), "{unstopped}");

        let settings = fail(
            400,
            r#"{"code":"VALIDATION_ERROR","message":"Bad settings.","details":"See below.","validationErrors":{"File Path":["File not found: 'x'."]}}"#,
        );
        let text = settings.to_string();
        assert!(text.contains("(400): Bad settings. See below.\n  - File Path: File not found: 'x'."), "{text}");
    }

    #[test]
    fn an_empty_code_is_no_code() {
        let error = fail(400, r#"{"code":"","message":"Name is required.","details":null,"validationErrors":null}"#);
        assert_eq!(error.code(), "BadRequest");
        assert_eq!(error.answer().unwrap().server_code, None);
        assert!(error.to_string().contains("(400): Name is required."));
        assert_eq!(fail(409, r#"{"code":"","message":"In use."}"#).code(), "Conflict");
    }

    #[test]
    fn a_refused_key_says_what_scripts_match_on() {
        let error = fail(401, r#"{"error":"Unauthorized","message":"Authentication required"}"#);
        let text = error.to_string();
        for words in
            ["Authentication failed", "the API key may be invalid or expired", "Connect-JIM", "Authentication required"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(error.category(), Category::AuthenticationError);
    }

    #[test]
    fn a_forbidden_answer_has_no_body() {
        let error = fail(403, "");
        assert!(error.to_string().starts_with("Access denied to connected system 9 (403)."), "{error}");
        assert_eq!((error.code(), error.server_message()), ("AccessDenied", None));
    }

    #[test]
    fn a_trace_of_the_identity_provider_is_cut_to_its_first_sentence() {
        let body = r#"{"code":"BAD_REQUEST","message":"IDX20803: Unable to obtain configuration from: '/realms/x'. Will retry at '01/01/0001'. Exception: 'System.IO.IOException: IDX20804: no.\\n ---\u003E System.Net: refused\\n   at System.Net.Sockets.Awaitable'"}"#;
        let error = fail(400, body);
        assert_eq!(error.code(), "IdentityProviderDown");
        assert_eq!(error.server_message(), Some("IDX20803: Unable to obtain configuration from: '/realms/x'."));
        let text = error.to_string();
        assert!(text.contains("API key may be invalid") && !text.contains("System."), "{text}");
    }

    #[test]
    fn stack_traces_and_escape_sequences_do_not_reach_the_terminal() {
        let error = fail(500, "{\"message\":\"Broken \\u001b[31mred.\\r\\n   at Some.Method()\"}");
        assert_eq!(error.server_message(), Some("Broken  [31mred."));
        assert_eq!((error.code(), error.status(), error.retryable()), ("ServerError", Some(500), false));
    }

    #[test]
    fn pages_and_plain_text_of_a_proxy_are_understood() {
        let page = "<!DOCTYPE html><html><head><TITLE lang=en>502 Bad\n Gateway</TITLE></head><body>x</body></html>";
        let error = fail(502, page);
        assert_eq!(error.server_message(), Some("502 Bad\n Gateway"));
        assert_eq!((error.code(), error.retryable()), ("ServiceUnavailable", true));
        assert_eq!(fail(418, "I'm a teapot").server_message(), Some("I'm a teapot"));
        assert!(fail(405, "").to_string().contains("(405): Method Not Allowed"));
        assert!(fail(400, r#"{"odd":1}"#).to_string().contains(r#"{"odd":1}"#));
        assert_eq!(fail(500, &"x".repeat(5000)).server_message().unwrap().chars().count(), LONGEST_MESSAGE + 1);
    }

    #[test]
    fn headers_give_request_id_and_wait() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "60".parse().unwrap());
        headers.insert("x-request-id", "r-1".parse().unwrap());
        let error = error(answer(429, &headers, b"{}", ""), AuthKind::ApiKey, 5);
        assert!(error.to_string().contains("429"));
        assert_eq!((error.request_id(), error.retry_after()), (Some("r-1"), Some(Duration::from_secs(60))));
        assert_eq!((error.code(), error.category()), ("RateLimited", Category::LimitsExceeded));
    }
}
