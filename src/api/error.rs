//! What can go wrong between here and the server: closed, with stable codes, in words for people.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use super::connection::AuthKind;
use super::retry::Seconds;
use super::tls::TlsRefusal;
use crate::protocol::Category;

/// A failed call. [`ApiError::code`] is stable; `Display` is the full message for people.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 401.
    #[error("{}", texts::authentication(*.credential, .answer))]
    AuthenticationFailed { credential: AuthKind, answer: Box<Answer> },
    /// 401 while the server's database is down: it then refuses every key.
    #[error(
        "The server can't reach its database (its readiness check answers 503), and so it refuses every key with {}. The key is not at fault.{}",
        .answer.status, texts::said(.answer)
    )]
    DatabaseDown { answer: Box<Answer> },
    /// 400 with an `IDX…` text: the server can't check a token.
    #[error("{}", texts::identity_provider(*.credential, .answer))]
    IdentityProviderDown { credential: AuthKind, answer: Box<Answer> },
    /// 403, mostly with an empty body.
    #[error(
        "Access denied{} ({}). The server knows who you are, but that identity lacks the role for this, or was never given one.{}",
        texts::to(.answer), .answer.status, texts::said(.answer)
    )]
    AccessDenied { answer: Box<Answer> },
    /// 404.
    #[error("Resource not found: {}{}", texts::message(.answer), texts::validation(.answer))]
    NotFound { answer: Box<Answer> },
    /// 409.
    #[error("{}", texts::refused(.answer))]
    Conflict { answer: Box<Answer> },
    /// 400 or 422 about named fields, or `VALIDATION_ERROR`.
    #[error("{}", texts::refused(.answer))]
    ValidationFailed { answer: Box<Answer> },
    /// Every other status that is no success.
    #[error("{}", texts::refused(.answer))]
    BadRequest { answer: Box<Answer> },
    /// 429, and waiting as often as allowed did not help.
    #[error("The server limits the rate of requests (429){}, also after {retries} retries.{}", texts::about(&.answer.subject), texts::said(.answer))]
    RateLimited { retries: u32, answer: Box<Answer> },
    /// 500 and other server errors.
    #[error("The server failed{} ({}): {}{}", texts::about(&.answer.subject), .answer.status, texts::message_only(.answer), texts::validation(.answer))]
    ServerError { answer: Box<Answer> },
    /// 502, 503, 504.
    #[error("The server is not available{} ({}): {}", texts::about(&.answer.subject), .answer.status, texts::message_only(.answer))]
    ServiceUnavailable { answer: Box<Answer> },
    /// A redirect that is not followed.
    #[error("The server redirects ({status}) to {target}{}, which is not followed: {}", texts::about(.subject), .why.words())]
    Redirected { status: u16, target: String, subject: String, why: Unfollowed, use_url: Option<String> },
    /// A success that is none.
    #[error("Unexpected answer{} ({status}) from {url}: {what}", texts::about(.subject))]
    UnexpectedAnswer { status: u16, url: String, subject: String, what: Unexpected, request_id: Option<String> },
    #[error("Could not connect to {}: the connection was refused. Is the server running, and is the port right?", .0.place)]
    ConnectionRefused(Box<Attempted>),
    #[error("Could not connect to {}: the name could not be resolved ({}).", .0.place, .0.cause)]
    NameNotResolved(Box<Attempted>),
    /// No connection, for another reason than the two above (no route, a proxy that refuses …).
    #[error("Could not connect to {}: {}.", .0.place, .0.cause)]
    NotReachable(Box<Attempted>),
    #[error("No trusted connection to {}: {} ({}). {}", .attempted.place, .reason.words(), .attempted.cause, .reason.advice())]
    TlsRefused { reason: TlsRefusal, attempted: Box<Attempted> },
    /// The connection broke after something may have been sent.
    #[error("The connection to {} was lost{} ({}).{}", .0.place, texts::about(&.0.subject), .0.cause, texts::doubt(.0))]
    ConnectionLost(Box<Attempted>),
    #[error("No answer within {}{}: {}.{}", Seconds(*.limit), texts::about(&.attempted.subject), .attempted.place, texts::doubt(.attempted))]
    Timeout { limit: Duration, connecting: bool, attempted: Box<Attempted> },
    #[error("The certificate file '{}' can't be used: {cause}.", .path.display())]
    CertificateFile { path: PathBuf, cause: String },
    #[error("The address '{url}' can't be used: {cause}.")]
    InvalidUrl { url: String, cause: &'static str },
    #[error(
        "The credentials can't be sent: they contain characters that a header can't carry (a line break or control character, perhaps pasted along)."
    )]
    InvalidCredentials,
    #[error("The request{} can't be sent: {cause}.", texts::about(.subject))]
    InvalidRequest { subject: String, cause: &'static str },
    #[error("The HTTP client could not be set up: {cause}.")]
    Setup { cause: String },
}

/// What the server said when it refused.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    /// What the request was about, in words.
    pub subject: String,
    /// The server's own code, such as `NOT_FOUND`; often empty.
    pub server_code: Option<String>,
    /// The server's own message, without stack traces and control characters.
    pub message: Option<String>,
    /// Field and what is wrong with it.
    pub validation: Vec<(String, Vec<String>)>,
    pub request_id: Option<String>,
    pub retry_after: Option<Duration>,
    /// A web page: whatever stands before the API answered, not the API.
    pub web_page: bool,
}

/// A request that got no answer.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// `host:port`, for a timeout method and URL (without its query).
    pub place: String,
    pub subject: String,
    /// The deepest cause, as the system words it.
    pub cause: String,
    /// Whether the server may have carried out a change nobody heard about.
    pub in_doubt: bool,
}

/// Why a redirect was not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfollowed {
    OtherOrigin,
    NotGet,
    TooMany,
    NoTarget,
}

impl Unfollowed {
    fn words(self) -> &'static str {
        match self {
            Self::OtherOrigin => {
                "it is another server, port or scheme, and credentials are only ever sent where you said."
            }
            Self::NotGet => "only reading requests are redirected; a change would have to be sent twice.",
            Self::TooMany => "it was the sixth redirect in a row.",
            Self::NoTarget => "it names no usable target.",
        }
    }
}

/// What is wrong with an answer that claims success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unexpected {
    #[error("the server answered with a web page instead of data{}. Check the URL: a server that does not know an address shows its start page.", texts::page_title(.title))]
    WebPage { title: Option<String> },
    #[error("the answer is cut off after {bytes} bytes")]
    Truncated { bytes: usize },
    #[error("the answer is empty, although data was expected")]
    Empty,
    #[error("the answer is not valid JSON ({cause})")]
    NotJson { cause: String },
    #[error(
        "the answer has another shape than expected ({cause}). The server may be of a version that is not known yet"
    )]
    WrongShape { cause: String },
    #[error("the answer is larger than {} MiB; narrow the request down", .limit / (1024 * 1024))]
    TooLarge { limit: usize },
}

impl ApiError {
    /// Code and category in one table: the code is stable, callers put the product before it.
    fn identity(&self) -> (&'static str, Category) {
        use Category as C;
        match self {
            Self::AuthenticationFailed { .. } => ("AuthenticationFailed", C::AuthenticationError),
            Self::DatabaseDown { .. } => ("DatabaseDown", C::ResourceUnavailable),
            Self::IdentityProviderDown { .. } => ("IdentityProviderDown", C::AuthenticationError),
            Self::AccessDenied { .. } => ("AccessDenied", C::PermissionDenied),
            Self::NotFound { .. } => ("NotFound", C::ObjectNotFound),
            Self::Conflict { .. } => ("Conflict", C::ResourceExists),
            Self::ValidationFailed { .. } => ("ValidationFailed", C::InvalidData),
            Self::BadRequest { .. } => ("BadRequest", C::InvalidArgument),
            Self::RateLimited { .. } => ("RateLimited", C::LimitsExceeded),
            Self::ServerError { .. } => ("ServerError", C::NotSpecified),
            Self::ServiceUnavailable { .. } => ("ServiceUnavailable", C::ResourceUnavailable),
            Self::Redirected { .. } => ("Redirected", C::SecurityError),
            Self::UnexpectedAnswer { what: Unexpected::TooLarge { .. }, .. } => ("AnswerTooLarge", C::LimitsExceeded),
            Self::UnexpectedAnswer { what: Unexpected::WrongShape { .. }, .. } => {
                ("UnexpectedAnswer", C::InvalidResult)
            }
            Self::UnexpectedAnswer { .. } => ("UnexpectedAnswer", C::ProtocolError),
            Self::ConnectionRefused(_) => ("ConnectionRefused", C::ConnectionError),
            Self::NameNotResolved(_) => ("NameNotResolved", C::ConnectionError),
            Self::NotReachable(_) => ("NotReachable", C::ConnectionError),
            Self::TlsRefused { .. } => ("TlsRefused", C::SecurityError),
            Self::ConnectionLost(_) => ("ConnectionLost", C::ConnectionError),
            Self::Timeout { .. } => ("Timeout", C::OperationTimeout),
            Self::CertificateFile { .. } => ("CertificateFileInvalid", C::InvalidArgument),
            Self::InvalidUrl { .. } => ("UrlInvalid", C::InvalidArgument),
            Self::InvalidCredentials => ("CredentialsInvalid", C::InvalidArgument),
            Self::InvalidRequest { .. } => ("RequestInvalid", C::InvalidArgument),
            Self::Setup { .. } => ("SetupFailed", C::NotSpecified),
        }
    }

    /// Stable code for scripts, without the product's prefix.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.identity().0
    }

    #[must_use]
    pub fn category(&self) -> Category {
        self.identity().1
    }

    /// The server's refusal, where there is one.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::AuthenticationFailed { answer, .. }
            | Self::DatabaseDown { answer }
            | Self::IdentityProviderDown { answer, .. }
            | Self::AccessDenied { answer }
            | Self::NotFound { answer }
            | Self::Conflict { answer }
            | Self::ValidationFailed { answer }
            | Self::BadRequest { answer }
            | Self::RateLimited { answer, .. }
            | Self::ServerError { answer }
            | Self::ServiceUnavailable { answer } => Some(answer),
            _ => None,
        }
    }

    /// HTTP status, if the server answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Redirected { status, .. } | Self::UnexpectedAnswer { status, .. } => Some(*status),
            _ => self.answer().map(|answer| answer.status),
        }
    }

    /// The server's own words.
    #[must_use]
    pub fn server_message(&self) -> Option<&str> {
        self.answer()?.message.as_deref()
    }

    /// Field by field what the server did not accept.
    #[must_use]
    pub fn validation(&self) -> &[(String, Vec<String>)] {
        self.answer().map_or(&[], |answer| &answer.validation)
    }

    /// The id under which the server's log knows the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::UnexpectedAnswer { request_id, .. } => request_id.as_deref(),
            _ => self.answer()?.request_id.as_deref(),
        }
    }

    /// Whether sending the same again can help, and does no harm.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::ServiceUnavailable { .. }
            | Self::DatabaseDown { .. }
            | Self::ConnectionRefused(_)
            | Self::NotReachable(_) => true,
            Self::ConnectionLost(attempted) | Self::Timeout { attempted, .. } => !attempted.in_doubt,
            Self::IdentityProviderDown { credential, .. } => *credential == AuthKind::Bearer,
            Self::UnexpectedAnswer { what, .. } => matches!(what, Unexpected::Truncated { .. }),
            _ => false,
        }
    }

    /// How long the server asks to wait before the next try.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.answer()?.retry_after
    }

    /// What to do next.
    #[must_use]
    pub fn advice(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::AuthenticationFailed { credential, .. } | Self::IdentityProviderDown { credential, .. } => {
                texts::sign_in(*credential)
            }
            Self::DatabaseDown { .. } => "Keep the key. Have the server's database started or checked, then try again.",
            Self::AccessDenied { .. } => {
                "Have an administrator give this identity (for a key: the key) the role that the operation needs."
            }
            Self::NotFound { .. } => "Check the name or id; it may have been deleted or renamed.",
            Self::Conflict { .. } => "Read the current state, then decide what should change.",
            Self::ValidationFailed { .. } => "Correct the fields that the message names.",
            Self::BadRequest { .. } => "Check the values against the server's message.",
            Self::RateLimited { .. } => {
                "Wait a minute. If it happens often, send fewer requests at once or have the limit of this key raised."
            }
            Self::ServerError { .. } => {
                "Look into the server's log; the request id, where there is one, leads to the entry."
            }
            Self::ServiceUnavailable { .. } => {
                "Try again in a while; if it lasts, check the server and any proxy before it."
            }
            Self::Redirected { use_url: Some(url), .. } => {
                return Cow::Owned(format!("Connect to that address: Connect-JIM -Url {url}"));
            }
            Self::Redirected { .. } => "Check -Url: it should be the address that answers without a redirect.",
            Self::UnexpectedAnswer { what, .. } => match what {
                Unexpected::WebPage { .. } => {
                    "Check -Url: it should be the server's address without anything behind it, for example https://jim.example."
                }
                Unexpected::TooLarge { .. } => "Ask for less: a filter, a search or a smaller page.",
                _ => "Try again; if it stays, check the versions of server and client and any proxy between them.",
            },
            Self::ConnectionRefused(_) | Self::NotReachable(_) => {
                "Check -Url (host and port), whether the server is running, and firewall or proxy settings (HTTPS_PROXY, NO_PROXY)."
            }
            Self::NameNotResolved(_) => {
                "Check the spelling of the host name in -Url, and whether this computer's name service (DNS, VPN) knows it."
            }
            Self::TlsRefused { reason, .. } => reason.advice(),
            Self::ConnectionLost(attempted) if attempted.in_doubt => texts::LOOK_FIRST,
            Self::Timeout { attempted, .. } if attempted.in_doubt => texts::LOOK_FIRST,
            Self::ConnectionLost(_) => "Try again; if it stays, check the server and any proxy or firewall between.",
            Self::Timeout { connecting: true, .. } => {
                "Check -Url (host and port) and whether a firewall silently drops the connection."
            }
            Self::Timeout { .. } => "Ask for less at once, allow a longer timeout, or check the load of the server.",
            Self::CertificateFile { .. } => {
                "Name a PEM file with the root's or the server's certificate in -CertificateFile."
            }
            Self::InvalidUrl { .. } => "Give -Url like https://jim.example or http://localhost:5200.",
            Self::InvalidCredentials => "Give the key again, on one line and without quotes.",
            Self::InvalidRequest { .. } => "Check the names and ids that were given.",
            Self::Setup { .. } => "Check the TLS set-up of this computer.",
        })
    }
}

/// The parts messages are made of.
mod texts {
    use std::fmt::Write as _;

    use super::{Answer, Attempted, AuthKind};

    pub(super) const LOOK_FIRST: &str = "Look first whether the change arrived; send it again only if it did not.";

    pub(super) fn sign_in(credential: AuthKind) -> &'static str {
        match credential {
            AuthKind::ApiKey => {
                "Run Connect-JIM with a valid key; keys are made and checked on the server's API key page."
            }
            AuthKind::Bearer => "Sign in again with Connect-JIM.",
            AuthKind::Anonymous => "Run Connect-JIM first, with a key or an interactive sign-in.",
        }
    }

    pub(super) fn authentication(credential: AuthKind, answer: &Answer) -> String {
        let why = match credential {
            AuthKind::ApiKey => {
                "the API key may be invalid or expired (or disabled). Run Connect-JIM with a valid key."
            }
            AuthKind::Bearer => "the sign-in is not accepted or no longer valid. Sign in again with Connect-JIM.",
            AuthKind::Anonymous => "no credentials were sent. Run Connect-JIM first.",
        };
        format!("Authentication failed ({}): {why}{}", answer.status, said(answer))
    }

    pub(super) fn identity_provider(credential: AuthKind, answer: &Answer) -> String {
        let meaning = match credential {
            AuthKind::ApiKey => {
                " A good key is accepted even then, so the API key may be invalid or expired. Run Connect-JIM with a valid key."
            }
            AuthKind::Bearer => " Try again when the provider is back, or use Connect-JIM with an API key.",
            AuthKind::Anonymous => " Run Connect-JIM with an API key.",
        };
        format!(
            "Authentication failed ({}): the server can't reach its identity provider to check the credentials.{meaning}{}",
            answer.status,
            said(answer)
        )
    }

    pub(super) fn about(subject: &str) -> String {
        if subject.is_empty() { String::new() } else { format!(", about {subject}") }
    }

    pub(super) fn to(answer: &Answer) -> String {
        if answer.subject.is_empty() { String::new() } else { format!(" to {}", answer.subject) }
    }

    pub(super) fn said(answer: &Answer) -> String {
        let mut text = match &answer.message {
            Some(message) => format!(" The server said: {message}"),
            None => String::new(),
        };
        text.push_str(&validation(answer));
        text
    }

    /// The server's words, else what the status means.
    pub(super) fn message_only(answer: &Answer) -> String {
        match &answer.message {
            Some(message) => message.clone(),
            None => reqwest::StatusCode::from_u16(answer.status)
                .ok()
                .and_then(|status| status.canonical_reason())
                .unwrap_or("the server gave no reason")
                .to_owned(),
        }
    }

    /// The server's words, and the subject unless they name it themselves.
    pub(super) fn message(answer: &Answer) -> String {
        let subject = &answer.subject;
        // A bare "Not Found" repeats the status and says nothing of its own.
        match answer.message.as_deref().filter(|text| !text.eq_ignore_ascii_case("not found")) {
            None if subject.is_empty() => "the server knows nothing at this address (404).".to_owned(),
            None => format!("{subject}."),
            Some(message) if subject.is_empty() || message.to_lowercase().contains(&subject.to_lowercase()) => {
                message.to_owned()
            }
            Some(message) => {
                let stop = if message.ends_with(['.', '!', '?']) { "" } else { "." };
                format!("{message}{stop} This was about {subject}.")
            }
        }
    }

    pub(super) fn refused(answer: &Answer) -> String {
        format!(
            "The server refused the request{} ({}): {}{}",
            about(&answer.subject),
            answer.status,
            message_only(answer),
            validation(answer)
        )
    }

    pub(super) fn validation(answer: &Answer) -> String {
        let mut text = String::new();
        for (field, messages) in &answer.validation {
            // The server leaves the name empty when it means the body as a whole.
            let field = if field.is_empty() { "(body)" } else { field };
            for message in messages {
                let _ = write!(text, "\n  - {field}: {message}");
            }
        }
        text
    }

    pub(super) fn doubt(attempted: &Attempted) -> &'static str {
        if attempted.in_doubt { " The server may or may not have carried it out." } else { "" }
    }

    pub(super) fn page_title(title: &Option<String>) -> String {
        title.as_ref().map(|title| format!(" (titled '{title}')")).unwrap_or_default()
    }
}
