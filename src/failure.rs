//! Everything that can go wrong in a cmdlet, and its one translation into an error report.

use crate::api::ApiError;
use crate::binding::BindError;
use crate::catalog::row::Product;
use crate::cmdlets::NdmError;
use crate::credentials::{KeyFileError, NotFound, StoreError};
use crate::login::LoginError;
use crate::protocol::{Category, ErrorReport};
use serde_json::{Map, Value};
use std::fmt;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Failure {
    #[error("{0}")]
    Protocol(String),
    #[error(
        "This host ({}) speaks protocol {}, the client ({client}) protocol {theirs}.",
        env!("CARGO_PKG_VERSION"),
        crate::protocol::VERSION
    )]
    ProtocolVersion { client: String, theirs: u32 },
    #[error("There is no cmdlet {0}.")]
    UnknownCmdlet(String),
    #[error("{0}.")]
    Binding(#[from] BindError),
    #[error("It was not sent: the command was stopped before.")]
    NotSent,
    #[error("Not connected to JIM. Run Connect-JIM -Url <address> first.")]
    NotConnected,
    /// An API failure, with what was being done.
    #[error("Couldn't {action}: {error}")]
    Api { action: String, target: Option<String>, error: Box<ApiError> },
    #[error("Couldn't connect to JIM at {url}: {cause}")]
    Connect { url: String, cause: Box<Failure> },
    #[error("{error}")]
    Request { error: Box<ApiError> },
    #[error("The {noun} was not found: '{name}'. Names are compared exactly, without regard to case.")]
    NameNotFound { noun: String, name: String },
    #[error("Multiple {noun}s found with name '{name}' ({ids}): use -{parameter}.")]
    NameAmbiguous { noun: String, name: String, ids: String, parameter: String },
    #[error("{} not found: {id}.", capital(.noun))]
    EntityNotFound { noun: String, id: String },
    #[error("The input object has no {property}: pipe an object that {cmdlet} can use, or name it by its parameters.")]
    InputLacks { cmdlet: String, property: String },
    #[error("Nothing to change: none of the parameters that change something was given.")]
    NothingToChange,
    #[error("Couldn't {verb} the file '{path}': {cause}")]
    File { verb: &'static str, path: String, cause: String },
    #[error("The file '{path}' exists already. Use -Force to replace it.")]
    FileExists { path: String },
    /// No request failed, but what the server said first rules the change out.
    #[error("Couldn't {action}: {reason}")]
    Refused { action: String, reason: String },
    /// A row's own words for a status.
    #[error("{text}")]
    Worded { text: String, error: Box<ApiError> },
    #[error("'{url}' is no address of a server: it must start with http:// or https://.")]
    BadUrl { url: String },
    #[error("No address: give -Url, or set JIM_URL.{0}")]
    NoUrl(String),
    #[error("{0}")]
    NoCredentials(Box<NotFound>),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    KeyFile(#[from] KeyFileError),
    #[error("{0}")]
    Login(#[from] LoginError),
    #[error("The session has expired and can't be renewed: {0} Run Connect-JIM again.")]
    SessionExpired(Box<LoginError>),
    #[error("Couldn't {action}: the run ended with {status}. {text}")]
    RunFailed { action: String, awaited: Awaited, status: String, text: String },
    #[error("{what} did not end within {seconds} s and goes on: {awaited}.")]
    WaitTimedOut { what: String, seconds: i64, awaited: Awaited },
    #[error("The waiting for {awaited} was ended by the file that JIM_RUNPROFILE_ABORT_SENTINEL names: {text}")]
    WaitAborted { awaited: Awaited, text: String },
    #[error("The waiting for {awaited} ended: {cause}")]
    WaitFailed { awaited: Awaited, cause: Box<Failure> },
    /// Somebody else changed the entity between reading and writing it.
    #[error("Couldn't {action}: it was changed by somebody else meanwhile ({fields}). Nothing was sent.")]
    ChangedMeanwhile { action: String, fields: String },
    /// What goes wrong with Directory Manager has words of its own.
    #[error("{0}")]
    Ndm(#[from] Box<NdmError>),
}

impl From<NdmError> for Failure {
    fn from(error: NdmError) -> Self {
        Self::Ndm(Box::new(error))
    }
}

/// What a cmdlet waits for, with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awaited {
    Activity(String),
    ScheduleExecution(String),
    Preview(String),
}

impl Awaited {
    pub fn id(&self) -> &str {
        match self {
            Self::Activity(id) | Self::ScheduleExecution(id) | Self::Preview(id) => id,
        }
    }

    /// How to go on looking.
    fn advice(&self) -> String {
        match self {
            Self::Activity(id) => format!("Get-JIMActivity -Id {id} -Follow goes on watching."),
            Self::ScheduleExecution(id) => format!("Get-JIMScheduleExecution -Id {id} shows how far each step is."),
            Self::Preview(id) => format!("Get-JIMConfigurationChangePreview -ActivityId {id} shows how far it is."),
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Activity(_) => "activity",
            Self::ScheduleExecution(_) => "schedule execution",
            Self::Preview(_) => "preview",
        };
        write!(f, "{what} {}", self.id())
    }
}

impl Failure {
    pub fn api(action: impl Into<String>, target: Option<String>, error: ApiError) -> Self {
        Self::Api { action: action.into(), target, error: Box::new(error) }
    }

    /// The one translation to the wire. The code begins with the product whose cmdlet failed.
    pub fn report(&self, product: Product) -> ErrorReport {
        let (code, category) = self.identity();
        let api = self.api_error();
        let validation: Map<String, Value> = api
            .map(|e| e.validation().iter().map(|(field, texts)| (field.clone(), Value::from(texts.clone()))).collect())
            .unwrap_or_default();
        ErrorReport {
            code: match product {
                Product::Jim => format!("JIM.{code}"),
                Product::Ndm => format!("NDM.{code}"),
            },
            category,
            message: self.to_string(),
            server_message: self.server_message(),
            validation,
            target: self.target(),
            status: self.status(),
            request_id: api.and_then(|e| e.request_id().map(str::to_owned)),
            retryable: api.is_some_and(ApiError::retryable),
            retry_after: api.and_then(ApiError::retry_after).map(|wait| wait.as_secs()),
            recommendation: self.recommendation(),
            terminating: self.ends_the_command(),
        }
    }

    fn status(&self) -> Option<u16> {
        match self {
            Self::Ndm(error) => error.status(),
            _ => self.api_error().and_then(ApiError::status),
        }
    }

    fn server_message(&self) -> Option<String> {
        match self {
            Self::Ndm(error) => error.server_message(),
            _ => self.api_error()?.server_message().map(str::to_owned),
        }
    }

    fn api_error(&self) -> Option<&ApiError> {
        match self {
            Self::Ndm(error) => error.api_error(),
            Self::Api { error, .. } | Self::Request { error } | Self::Worded { error, .. } => Some(error),
            Self::Connect { cause, .. } | Self::WaitFailed { cause, .. } => cause.api_error(),
            _ => None,
        }
    }

    fn identity(&self) -> (&'static str, Category) {
        use Category as C;
        match self {
            Self::Protocol(_) | Self::ProtocolVersion { .. } => ("Protocol", C::ProtocolError),
            Self::UnknownCmdlet(_) => ("UnknownCmdlet", C::InvalidOperation),
            Self::Binding(_) => ("InvalidArgument", C::InvalidArgument),
            Self::NotConnected => ("NotConnected", C::ConnectionError),
            Self::NotSent => ("NotSent", C::OperationStopped),
            Self::Api { error, .. } | Self::Request { error } | Self::Worded { error, .. } => {
                (error.code(), error.category())
            }
            Self::Connect { cause, .. } => cause.identity(),
            Self::NameNotFound { .. } => ("NameNotFound", C::ObjectNotFound),
            Self::NameAmbiguous { .. } => ("NameAmbiguous", C::InvalidArgument),
            Self::EntityNotFound { .. } => ("NotFound", C::ObjectNotFound),
            Self::InputLacks { .. } => ("InvalidInputObject", C::InvalidArgument),
            Self::NothingToChange => ("NothingToChange", C::InvalidArgument),
            Self::File { .. } => ("File", C::ResourceUnavailable),
            Self::FileExists { .. } => ("FileExists", C::ResourceExists),
            Self::Refused { .. } => ("Refused", C::InvalidOperation),
            Self::BadUrl { .. } | Self::NoUrl(_) => ("InvalidUrl", C::InvalidArgument),
            Self::NoCredentials(_) => ("NoCredentials", C::AuthenticationError),
            Self::Store(error) => (error.code(), C::ResourceUnavailable),
            Self::KeyFile(_) => ("KeyFile", C::ResourceUnavailable),
            Self::Login(error) => (error.code(), C::AuthenticationError),
            Self::SessionExpired(_) => ("SessionExpired", C::AuthenticationError),
            Self::RunFailed { .. } => ("RunFailed", C::InvalidResult),
            Self::WaitTimedOut { .. } => ("WaitTimedOut", C::OperationTimeout),
            Self::WaitAborted { .. } => ("WaitAborted", C::OperationStopped),
            Self::WaitFailed { cause, .. } => cause.identity(),
            Self::ChangedMeanwhile { .. } => ("ChangedMeanwhile", C::InvalidOperation),
            Self::Ndm(error) => error.identity(),
        }
    }

    fn target(&self) -> Option<String> {
        match self {
            Self::Api { target, .. } => target.clone(),
            Self::Connect { url, .. } | Self::BadUrl { url } => Some(url.clone()),
            Self::NameNotFound { name, .. } | Self::NameAmbiguous { name, .. } => Some(name.clone()),
            Self::EntityNotFound { id, .. } => Some(id.clone()),
            Self::Ndm(error) => error.target(),
            Self::File { path, .. } | Self::FileExists { path } => Some(path.clone()),
            Self::RunFailed { awaited, .. }
            | Self::WaitTimedOut { awaited, .. }
            | Self::WaitAborted { awaited, .. }
            | Self::WaitFailed { awaited, .. } => Some(awaited.id().to_owned()),
            _ => None,
        }
    }

    fn recommendation(&self) -> String {
        match self {
            Self::Ndm(error) => error.advice(),
            Self::Protocol(_) => "Report this: the client sent what it must not send.".into(),
            Self::ProtocolVersion { theirs, .. } if *theirs > crate::protocol::VERSION => {
                "Update the jimhost program: the module is newer.".into()
            }
            Self::ProtocolVersion { .. } => "Update the JimHost module: the program is newer.".into(),
            Self::UnknownCmdlet(_) => "Update the jimhost program: the module is newer.".into(),
            Self::NotConnected => "Run Connect-JIM -Url <address>.".into(),
            Self::BadUrl { .. } => "Give the address as the browser shows it, such as https://jim.example.com.".into(),
            Self::Binding(_) => "See Get-Help for the cmdlet's parameters.".into(),
            Self::InputLacks { cmdlet, .. } => format!("Get-Help {cmdlet} -Full says what can be piped."),
            Self::EntityNotFound { noun, .. } => format!("List the {noun}s to see what is there."),
            Self::NameNotFound { noun, .. } => format!("List the {noun}s to see their names."),
            Self::NameAmbiguous { parameter, .. } => format!("Use -{parameter} with one of the ids."),
            Self::Store(error) => error.advice().to_string(),
            Self::Login(error) => error.advice().to_string(),
            Self::NoCredentials(_) | Self::NoUrl(_) => {
                "Run Connect-JIM -Url <address> -ApiKey <key> once, or see Get-Help Connect-JIM.".into()
            }
            Self::RunFailed { awaited: Awaited::Activity(id), .. } => {
                format!("Get-JIMActivity -Id {id} -ExecutionItems shows what happened to each object.")
            }
            Self::RunFailed { awaited, .. }
            | Self::WaitTimedOut { awaited, .. }
            | Self::WaitAborted { awaited, .. }
            | Self::WaitFailed { awaited, .. } => awaited.advice(),
            Self::ChangedMeanwhile { .. } => "Look at it again, then repeat the command.".into(),
            _ => self.api_error().map(|e| e.advice().into_owned()).unwrap_or_default(),
        }
    }

    /// Can the command go on with the next item?
    fn ends_the_command(&self) -> bool {
        if let Self::Ndm(error) = self {
            return error.ends_the_command();
        }
        matches!(
            self,
            Self::Connect { .. }
                | Self::BadUrl { .. }
                | Self::NoUrl(_)
                | Self::NoCredentials(_)
                | Self::KeyFile(_)
                | Self::Login(_)
                | Self::WaitTimedOut { awaited: Awaited::Activity(_), .. }
                | Self::WaitAborted { .. }
                | Self::ProtocolVersion { .. }
        )
    }
}

fn capital(text: &str) -> String {
    crate::shape::pascal(text).into_owned()
}
