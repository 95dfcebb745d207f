//! What can go wrong with Directory Manager, in words for people.

use super::envelope::Refusal;
use crate::api::{Answer, ApiError};
use crate::documents::DocumentError;
use crate::protocol::Category;

/// A failed call. Codes are stable; `Display` is the full message.
#[derive(Debug, thiserror::Error)]
pub enum NdmError {
    #[error("Not connected to Directory Manager. Run Connect-NDM -Server <host> first.")]
    NotConnected,
    #[error("'{text}' can't be used as the server: {problem}.")]
    BadServer { text: String, problem: String },
    #[error("No server: give -Server, or set NDM_SERVER.{0}")]
    NoServer(String),
    #[error("{name} {problem}.")]
    BadSetting { name: String, problem: String },
    /// Not all that a password grant needs was given or found.
    #[error("Signing in to {server} needs {missing}, and that was not found.{looked}")]
    Incomplete { server: String, missing: String, looked: String },
    #[error("Couldn't connect to Directory Manager at {server}: {cause}")]
    Connect { server: String, cause: Box<NdmError> },
    #[error("{0}")]
    SignInRefused(SignInRefused),
    /// The token ended and the token service gives no new one.
    #[error("The session at {server} has ended and can't be renewed. {refused}")]
    SessionEnded { server: String, refused: SignInRefused },
    /// A token that was given, or one that is fresh and refused all the same.
    #[error("Couldn't {action}: {server} doesn't accept the access token (401).{}", said(.answer))]
    TokenRefused { action: String, server: String, given: bool, answer: Box<Answer> },
    /// IIS turned the caller away before the API saw the request.
    #[error(
        "Couldn't {action}: the web server (IIS) at {server} turned this computer away (403) before Directory Manager saw the request{}. \
         The likely reason: GroupIDDataService accepts requests only from the addresses on its list, by default from the server itself.",
        page_title(.answer)
    )]
    AddressNotAllowed { action: String, server: String, answer: Box<Answer> },
    #[error("Couldn't {action}: this user's roles don't allow it (403).{}", said(.answer))]
    AccessDenied { action: String, answer: Box<Answer> },
    /// The server's own verdict, whatever the HTTP status was.
    #[error("Couldn't {action}: {refusal}")]
    Refused { action: String, target: Option<String>, refusal: Box<Refusal> },
    #[error("There is no {noun} {id}.{}", server_words(.said))]
    NotFound { noun: &'static str, id: i64, said: Option<String> },
    #[error("{noun} {id} is called '{found}', not '{expected}'. Nothing was sent: id and name don't belong together.")]
    NotTheSame { noun: &'static str, id: i64, found: String, expected: String },
    #[error("{place} is no {noun} document: {problem}. Nothing was sent.")]
    BadDocument { noun: &'static str, place: String, problem: String },
    #[error("{place}: {error}. Nothing was sent.")]
    Document { place: String, error: DocumentError },
    #[error(
        "{place} has placeholders where secrets belong: {}. Nothing was sent; -KeepExistingSecret and -Secret say which secrets to send.",
        paths.join(", ")
    )]
    SecretMissing { place: String, paths: Vec<String> },
    #[error("{place} has no placeholder at {}; it has {}. Nothing was sent.", paths.join(", "), list(known))]
    StrangeSecret { place: String, paths: Vec<String>, known: Vec<String> },
    /// Only a person knows whether they belong there.
    #[error("{place} has no-break spaces inside values: {}. Nothing was sent.", counted(values))]
    NoBreakSpaces { place: String, values: Vec<(String, usize)> },
    #[error("Job collection {id} ('{name}') was changed at the server after it was read. Nothing was sent.")]
    ChangedMeanwhile { id: i64, name: String },
    #[error("There is a job collection named '{name}' already ({}). Nothing was sent.", ids.join(", "))]
    NameTaken { name: String, ids: Vec<String> },
    /// What another server's document names means nothing, or something else, on this one.
    #[error("{place} names what {from} has, and -ReferenceMap doesn't say what that is here: {}. Nothing was sent.", references.join("; "))]
    Unmapped { place: String, from: String, references: Vec<String> },
    #[error("{place} has no id, so which job collection it is to update isn't known. Nothing was sent.")]
    NoCollectionId { place: String },
    #[error("Couldn't {action}: {error}")]
    Api { action: String, error: Box<ApiError> },
}

/// The token service said no. Kept, so that a refused password isn't tried again: that locks accounts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The token service refused {what} ({status}).{}", server_words(.said))]
pub struct SignInRefused {
    pub status: u16,
    /// What was refused: "the user name or password".
    pub what: &'static str,
    /// The server's words, without anything secret.
    pub said: Option<String>,
}

impl SignInRefused {
    pub fn of(answer: &Answer) -> Self {
        let code = answer.server_code.as_deref().or(answer.message.as_deref()).unwrap_or_default();
        let what = match code {
            "invalid_client" | "unauthorized_client" => "-ClientId or -ClientSecret",
            "invalid_grant" => "the user name or password, or the identity store",
            _ => "the sign-in",
        };
        let said = match (&answer.server_code, &answer.message) {
            (Some(code), Some(message)) if code != message => Some(format!("{code}: {message}")),
            (code, message) => message.clone().or_else(|| code.clone()),
        };
        Self { status: answer.status, what, said }
    }
}

fn server_words(said: &Option<String>) -> String {
    said.as_ref().map(|text| format!(" The server said: {text}")).unwrap_or_default()
}

fn list(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

fn counted(values: &[(String, usize)]) -> String {
    let named: Vec<String> = values.iter().map(|(path, count)| format!("{path} ({count})")).collect();
    named.join(", ")
}

fn said(answer: &Answer) -> String {
    server_words(&answer.message)
}

fn page_title(answer: &Answer) -> String {
    answer.message.as_ref().map(|title| format!(" ('{title}')")).unwrap_or_default()
}

impl NdmError {
    /// An error of the HTTP client about an authenticated request.
    pub fn api(action: &str, server: &str, given_token: bool, error: ApiError) -> Self {
        let action = action.to_owned();
        let server = server.to_owned();
        match error {
            ApiError::AuthenticationFailed { answer, .. } => {
                Self::TokenRefused { action, server, given: given_token, answer }
            }
            // The product documents no 403 of its own, so one without words is the web server's as well.
            ApiError::AccessDenied { answer } if answer.web_page || answer.message.is_none() => {
                Self::AddressNotAllowed { action, server, answer }
            }
            ApiError::AccessDenied { answer } => Self::AccessDenied { action, answer },
            // These speak of API keys, which this product doesn't have.
            ApiError::IdentityProviderDown { answer, .. } => {
                Self::Api { action, error: Box::new(ApiError::BadRequest { answer }) }
            }
            error => Self::Api { action, error: Box::new(error) },
        }
    }

    /// Code and category in one table.
    pub fn identity(&self) -> (&'static str, Category) {
        use Category as C;
        match self {
            Self::NotConnected => ("NotConnected", C::ConnectionError),
            Self::BadServer { .. } => ("InvalidServer", C::InvalidArgument),
            Self::NoServer(_) => ("NoServer", C::InvalidArgument),
            Self::BadSetting { .. } => ("InvalidSetting", C::InvalidArgument),
            Self::Incomplete { .. } => ("NoCredentials", C::AuthenticationError),
            Self::Connect { cause, .. } => cause.identity(),
            Self::SignInRefused(_) => ("SignInRefused", C::AuthenticationError),
            Self::SessionEnded { .. } => ("SessionExpired", C::AuthenticationError),
            Self::TokenRefused { .. } => ("AuthenticationFailed", C::AuthenticationError),
            Self::AddressNotAllowed { .. } => ("AddressNotAllowed", C::PermissionDenied),
            Self::AccessDenied { .. } => ("AccessDenied", C::PermissionDenied),
            Self::Refused { .. } => ("Refused", C::InvalidResult),
            Self::NotFound { .. } => ("NotFound", C::ObjectNotFound),
            Self::NotTheSame { .. } => ("NotTheSame", C::InvalidArgument),
            Self::BadDocument { .. } => ("InvalidDocument", C::InvalidData),
            Self::Document { error, .. } => (error.code(), C::InvalidData),
            Self::SecretMissing { .. } => ("DocumentSecretMissing", C::InvalidData),
            Self::StrangeSecret { .. } => ("DocumentNoSuchSecret", C::InvalidArgument),
            Self::NoBreakSpaces { .. } => ("DocumentNoBreakSpaces", C::InvalidData),
            Self::ChangedMeanwhile { .. } => ("ChangedMeanwhile", C::InvalidOperation),
            Self::NameTaken { .. } => ("NameTaken", C::ResourceExists),
            Self::Unmapped { .. } => ("UnmappedReferences", C::InvalidData),
            Self::NoCollectionId { .. } => ("NoCollectionId", C::InvalidData),
            Self::Api { error, .. } => (error.code(), error.category()),
        }
    }

    pub fn target(&self) -> Option<String> {
        match self {
            Self::BadServer { text, .. } => Some(text.clone()),
            Self::Connect { server, .. } | Self::SessionEnded { server, .. } => Some(server.clone()),
            Self::NotFound { id, .. } | Self::NotTheSame { id, .. } | Self::ChangedMeanwhile { id, .. } => {
                Some(id.to_string())
            }
            Self::BadDocument { place, .. }
            | Self::Document { place, .. }
            | Self::SecretMissing { place, .. }
            | Self::StrangeSecret { place, .. }
            | Self::NoBreakSpaces { place, .. }
            | Self::Unmapped { place, .. }
            | Self::NoCollectionId { place } => Some(place.clone()),
            Self::NameTaken { name, .. } => Some(name.clone()),
            Self::Refused { target, .. } => target.clone(),
            _ => None,
        }
    }

    pub fn api_error(&self) -> Option<&ApiError> {
        match self {
            Self::Api { error, .. } => Some(error),
            Self::Connect { cause, .. } => cause.api_error(),
            _ => None,
        }
    }

    pub fn status(&self) -> Option<u16> {
        match self {
            Self::SignInRefused(refused) | Self::SessionEnded { refused, .. } => Some(refused.status),
            Self::TokenRefused { answer, .. }
            | Self::AddressNotAllowed { answer, .. }
            | Self::AccessDenied { answer, .. } => Some(answer.status),
            Self::Connect { cause, .. } => cause.status(),
            _ => self.api_error()?.status(),
        }
    }

    /// The server's own words.
    pub fn server_message(&self) -> Option<String> {
        match self {
            Self::SignInRefused(refused) | Self::SessionEnded { refused, .. } => refused.said.clone(),
            Self::TokenRefused { answer, .. }
            | Self::AddressNotAllowed { answer, .. }
            | Self::AccessDenied { answer, .. } => answer.message.clone(),
            Self::Refused { refusal, .. } => refusal.message.clone(),
            Self::NotFound { said, .. } => said.clone(),
            Self::Connect { cause, .. } => cause.server_message(),
            _ => self.api_error()?.server_message().map(str::to_owned),
        }
    }

    /// What to do next.
    pub fn advice(&self) -> String {
        match self {
            Self::NotConnected | Self::NoServer(_) | Self::Incomplete { .. } => {
                "Run Connect-NDM -Server <host> -Credential <user> -IdentityStoreId <id> -ClientId <id> -ClientSecret <secret> once, or see Get-Help Connect-NDM."
            }
            Self::BadServer { .. } => "Give the host alone (dm01), host and port (dm01:4443), or https://dm01:4443.",
            Self::BadSetting { .. } => "See Get-Help Connect-NDM.",
            Self::Connect { cause, .. } => return cause.advice(),
            Self::SignInRefused(refused) if refused.what.starts_with("-ClientId") => {
                "Ask the administrator of Directory Manager for the client's id and secret; they are kept in its database."
            }
            Self::SignInRefused(_) => {
                "Check user name, password and -IdentityStoreId. Repeated wrong passwords can lock the account."
            }
            Self::SessionEnded { .. } => {
                "Run Connect-NDM again. The refused sign-in isn't tried again by itself: that could lock the account."
            }
            Self::TokenRefused { given: true, .. } => {
                "The token may have ended; a token that was given can't be renewed. Run Connect-NDM with a new one, or with -Credential."
            }
            Self::TokenRefused { .. } => {
                "The token is fresh, so check that GroupIDDataService and GroupIDSecurityService belong together."
            }
            Self::AddressNotAllowed { .. } => {
                "Have the address of this computer added to the IP allow-list of GroupIDDataService in IIS, or run the command on the server itself."
            }
            Self::AccessDenied { .. } => {
                "Have a role of the identity store give the permission: Create, Edit, Delete or Run Job for own jobs, together with View Any Job for others'."
            }
            Self::Refused { .. } => "Read the server's words above; its log has more.",
            Self::NotFound { .. } => "List what is there first; it may have been deleted.",
            Self::NotTheSame { .. } => "Look it up again: the id may come from another server, or the name was changed.",
            Self::BadDocument { .. } => "Correct the document, then repeat the command.",
            Self::Document { error: DocumentError::NoSuchJob { .. } | DocumentError::NoSuchPosition { .. }, .. } => {
                "Get-NDMJobCollectionJob lists the jobs of the collection in their order."
            }
            Self::Document { error: DocumentError::AmbiguousJob { .. }, .. } => "Use -JobId with one of the ids.",
            Self::Document { .. } => "Correct the document, then repeat the command.",
            Self::SecretMissing { .. } => {
                "Give -KeepExistingSecret, where the cmdlet has it, to send the secrets that the server has, or the secrets themselves with -Secret @{ '<path>' = <SecureString> }."
            }
            Self::StrangeSecret { .. } => "Name secrets by the paths that the placeholders show.",
            Self::NoBreakSpaces { .. } => {
                "Replace them by plain spaces, as text copied from a web page needs it; -Force sends them as they are."
            }
            Self::ChangedMeanwhile { .. } => {
                "Read it again and repeat the change; -Force puts the change onto what the server has now."
            }
            Self::NameTaken { .. } => {
                "Give -NewName, or -OnConflict Rename for a free name, or -OnConflict Update to change the one that is there."
            }
            Self::Unmapped { .. } => {
                "Name each in -ReferenceMap, also what happens to be the same: @{ provider = @{ '4' = '12' }; container = @{ 'OU=A,DC=x' = 'OU=A,DC=y' } }. If it is the same server by another address, give -KeepReference."
            }
            Self::NoCollectionId { .. } => "Give -Id, or leave -Update out to create it.",
            Self::Api { error, .. } => return api_advice(error),
        }
        .to_owned()
    }

    /// Connecting goes by no items: its failure ends the command.
    pub fn ends_the_command(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::BadServer { .. }
                | Self::NoServer(_)
                | Self::BadSetting { .. }
                | Self::Incomplete { .. }
        )
    }
}

/// The client's advice, where it speaks of the other product's parameters in words of this one.
fn api_advice(error: &ApiError) -> String {
    match error {
        ApiError::ConnectionRefused(_) | ApiError::NotReachable(_) => {
            "Check -Server and -Port (4443 unless changed), whether the server is running, and firewall or proxy settings (HTTPS_PROXY, NO_PROXY).".into()
        }
        ApiError::NameNotResolved(_) => {
            "Check the spelling of the host in -Server, and whether this computer's name service (DNS, VPN) knows it.".into()
        }
        ApiError::Timeout { connecting: true, .. } => {
            "Check -Server and -Port, and whether a firewall silently drops the connection.".into()
        }
        ApiError::Redirected { .. } | ApiError::InvalidUrl { .. } => {
            "Check -Server and -Port: it should be the address that answers without a redirect.".into()
        }
        ApiError::NotFound { .. } | ApiError::UnexpectedAnswer { .. } => {
            "Check -Server and -Port: GroupIDSecurityService and GroupIDDataService must be installed there.".into()
        }
        ApiError::InvalidCredentials => "Give the token again, on one line and without quotes.".into(),
        other => other.advice().into_owned(),
    }
}
