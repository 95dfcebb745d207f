//! A connection to Directory Manager: its token, renewed before it ends and once after a 401.

use super::error::{NdmError, SignInRefused};
use super::sign_in::{Origin, SignIn};
use crate::api::{ApiError, Auth, Connection, Event, Method, Request, Response};
use crate::credentials::ServerKey;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::time::{Duration, SystemTime};

const TOKEN_PATH: &str = "/GroupIDSecurityService/connect/token";
/// Tokens are renewed this long before they end; short-lived ones at half of their life.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

/// A proven connection.
pub struct Connected {
    pub api: Connection,
    /// Without a trailing slash.
    pub server: String,
    pub key: ServerKey,
    pub access: Access,
}

/// What the connection proves itself with.
pub enum Access {
    /// A token that was given: it can't be renewed.
    Token,
    Password(Box<Grant>),
}

/// A sign-in that renews itself.
pub struct Grant {
    pub sign_in: SignIn,
    pub origin: Origin,
    token: RefCell<Token>,
    /// One renewal at a time; whoever waited finds the new token.
    renewing: tokio::sync::Mutex<()>,
    /// A refused sign-in is not tried again.
    refused: RefCell<Option<SignInRefused>>,
}

/// A token, without its text: the client has that.
#[derive(Debug, Clone, Default)]
struct Token {
    /// Counts the tokens of a connection, so that a call knows which one it used.
    number: u64,
    /// Unknown where the server doesn't tell; a 401 will.
    ends: Option<SystemTime>,
    renew_at: Option<SystemTime>,
}

/// A token as the service hands it out.
#[derive(Debug)]
pub struct Issued {
    pub access_token: SecretString,
    pub lifetime: Option<Duration>,
}

impl Grant {
    pub fn new(sign_in: SignIn, origin: Origin, issued: &Issued) -> Self {
        Self {
            sign_in,
            origin,
            token: RefCell::new(Token::default().next(issued.lifetime, SystemTime::now())),
            renewing: tokio::sync::Mutex::new(()),
            refused: RefCell::new(None),
        }
    }

    pub fn ends(&self) -> Option<SystemTime> {
        self.token.borrow().ends
    }

    fn number(&self) -> u64 {
        self.token.borrow().number
    }

    fn is_due(&self) -> bool {
        self.token.borrow().renew_at.is_some_and(|at| at <= SystemTime::now())
    }

    fn has_ended(&self) -> bool {
        self.token.borrow().ends.is_some_and(|at| at <= SystemTime::now())
    }
}

impl Token {
    fn next(&self, lifetime: Option<Duration>, now: SystemTime) -> Self {
        let before = |life: Duration| life.saturating_sub(RENEW_BEFORE.min(life / 2));
        Self {
            number: self.number + 1,
            ends: lifetime.and_then(|life| now.checked_add(life)),
            renew_at: lifetime.and_then(|life| now.checked_add(before(life))),
        }
    }
}

impl Connected {
    /// Sends a request; `action` is what it does, for errors.
    ///
    /// # Errors
    /// Every refusal of the server or the way to it; a token that can't be renewed.
    pub async fn send(&self, action: &str, request: &Request, observe: &impl Fn(Event)) -> Result<Response, NdmError> {
        let Access::Password(grant) = &self.access else {
            let answer = self.api.send_observed(request, observe).await;
            return answer.map_err(|error| NdmError::api(action, &self.server, true, error));
        };
        let failed = |error| NdmError::api(action, &self.server, false, error);
        // A token service that is away for a moment stops nobody whose token is still good.
        if grant.is_due()
            && let Err(error) = self.renew(grant, grant.number()).await
            && grant.has_ended()
        {
            return Err(error);
        }
        let used = grant.number();
        match self.api.send_observed(request, observe).await {
            // Refused before anything was done, so any method may be sent again.
            Err(ApiError::AuthenticationFailed { .. }) => {
                self.renew(grant, used).await?;
                self.api.send_observed(request, observe).await.map_err(failed)
            }
            other => other.map_err(failed),
        }
    }

    /// A new token, unless somebody fetched one since the token `used`.
    async fn renew(&self, grant: &Grant, used: u64) -> Result<(), NdmError> {
        let _turn = grant.renewing.lock().await;
        if grant.number() != used {
            return Ok(());
        }
        let ended = |refused| NdmError::SessionEnded { server: self.server.clone(), refused };
        if let Some(refused) = grant.refused.borrow().clone() {
            return Err(ended(refused));
        }
        let issued = match request_token(&self.api, &self.server, &grant.sign_in).await {
            Ok(issued) => issued,
            Err(NdmError::SignInRefused(refused)) => {
                *grant.refused.borrow_mut() = Some(refused.clone());
                return Err(ended(refused));
            }
            Err(other) => return Err(other),
        };
        let auth = Auth::Bearer(issued.access_token);
        self.api.set_auth(auth).map_err(|e| NdmError::api("renew the session", &self.server, false, e))?;
        let next = grant.token.borrow().next(issued.lifetime, SystemTime::now());
        *grant.token.borrow_mut() = next;
        Ok(())
    }
}

/// The password grant, with the fields as the product's documentation spells them.
///
/// # Errors
/// [`NdmError::SignInRefused`] for 400 and 401; the sign-in's secrets are in no error.
pub async fn request_token(api: &Connection, server: &str, sign_in: &SignIn) -> Result<Issued, NdmError> {
    let action = "sign in";
    let store = sign_in.identity_store_id.to_string();
    let fields = [
        ("grant_type", "password"),
        ("username", sign_in.user_name.as_str()),
        ("password", sign_in.password.expose_secret()),
        ("client_Id", sign_in.client_id.expose_secret()),
        ("client_secret", sign_in.client_secret.expose_secret()),
        ("identity_store_id", store.as_str()),
    ];
    let hidden = vec![sign_in.password.clone(), sign_in.client_secret.clone(), sign_in.client_id.clone()];
    let mut request = Request::new(Method::Post, TOKEN_PATH).with_form(fields, hidden).about("the token service");
    request.anonymous = true;
    let response = api.send(&request).await.map_err(|error| match error {
        ApiError::AuthenticationFailed { answer, .. }
        | ApiError::IdentityProviderDown { answer, .. }
        | ApiError::BadRequest { answer }
        | ApiError::ValidationFailed { answer }
            if matches!(answer.status, 400 | 401) =>
        {
            NdmError::SignInRefused(SignInRefused::of(&answer))
        }
        error => NdmError::api(action, server, false, error),
    })?;
    let failed = |error| NdmError::api(action, server, false, super::envelope::without_values(error));
    let answer: Map<String, Value> = response.json().map_err(failed)?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(token) = text("access_token") else {
        let what = crate::api::Unexpected::WrongShape { cause: "it has no access_token".into() };
        return Err(failed(response.unexpected(what)));
    };
    let seconds = answer.get("expires_in").and_then(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok()));
    Ok(Issued { access_token: SecretString::from(token), lifetime: seconds.map(Duration::from_secs) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_is_renewed_a_minute_before_its_end_and_a_short_one_at_half_its_life() {
        let now = SystemTime::UNIX_EPOCH;
        let due = |seconds| {
            let token = Token::default().next(Some(Duration::from_secs(seconds)), now);
            token.renew_at.unwrap().duration_since(now).unwrap().as_secs()
        };
        assert_eq!(due(1200), 1140);
        assert_eq!(due(60), 30);
        assert_eq!(due(0), 0);
        assert_eq!(Token::default().next(None, now).renew_at, None);
    }
}
