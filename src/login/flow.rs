//! One login with a browser, from the free port to the tokens.

use std::ops::RangeInclusive;
use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use reqwest::Client;
use secrecy::SecretString;
use tokio::sync::oneshot;
use url::Url;

use super::callback::{Arrival, Listener, Outcome, Page};
use super::discovery::require_secure;
use super::{AuthConfig, Endpoints, LoginError, LoginOptions, Tokens, token};

/// The ports administrators register with the provider, as the official module uses them.
const PORTS: RangeInclusive<u16> = 8400..=8409;

/// Signs in with the user's browser: waits for it on `http://localhost:<port>/callback/`, the first
/// free port of 8400 to 8409, and trades the code it brings for tokens.
///
/// `open` starts a browser and says whether it could; `tell` gets lines for people, the address to
/// visit among them. A stray or forged callback gets an error page and the wait goes on. Dropping
/// the future ends the login and closes the listener.
///
/// `http` should not follow redirects for POST: the code and its verifier are in the body.
///
/// # Errors
/// `NoPort`, `TimedOut`, `Refused` (by the provider, in its words), `Insecure`, `Unreachable`,
/// `BadAnswer`.
pub async fn browser_login(
    http: &Client,
    config: &AuthConfig,
    endpoints: &Endpoints,
    options: LoginOptions,
    open: impl Fn(&Url) -> bool,
    tell: impl Fn(&str),
) -> Result<Tokens, LoginError> {
    let login = Login { http, config, endpoints };
    login.run(PORTS, options.timeout, open, tell).await
}

pub(super) struct Login<'a> {
    pub http: &'a Client,
    pub config: &'a AuthConfig,
    pub endpoints: &'a Endpoints,
}

impl Login<'_> {
    pub async fn run(
        &self,
        ports: impl IntoIterator<Item = u16>,
        timeout: Duration,
        open: impl Fn(&Url) -> bool,
        tell: impl Fn(&str),
    ) -> Result<Tokens, LoginError> {
        require_secure(&self.endpoints.authorization)?;
        require_secure(&self.endpoints.token)?;
        let listener = Listener::bind(ports).await?;
        let redirect_uri = listener.redirect_uri();
        let request = self.request(&redirect_uri)?;
        listener
            .serve(request.state, async |arrival| {
                invite(&request.url, &open, &tell);
                let arrival = wait(arrival, timeout).await?;
                let result = match arrival.outcome {
                    Outcome::Code(code) => {
                        let (http, token_url) = (self.http, &self.endpoints.token);
                        let verifier = &request.verifier;
                        token::exchange(http, self.config, token_url, &code, &redirect_uri, verifier).await
                    }
                    Outcome::Refused { error, description } => Err(LoginError::Refused { error, description }),
                };
                // The browser may be gone by now; the login stands all the same.
                let _ = arrival.reply.send(match &result {
                    Ok(_) => Page::signed_in(),
                    Err(why) => Page::failed(why),
                });
                result
            })
            .await
    }

    fn request(&self, redirect_uri: &str) -> Result<Request, LoginError> {
        let redirect = RedirectUrl::new(redirect_uri.to_owned()).map_err(|e| {
            // The port alone varies in it.
            LoginError::BadAnswer {
                what: "this machine",
                url: self.endpoints.authorization.clone().into(),
                status: None,
                detail: e.to_string(),
            }
        })?;
        // The official module's sizes: 48 random bytes of verifier, 32 of state.
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256_len(48);
        let (url, state) = BasicClient::new(ClientId::new(self.config.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(self.endpoints.authorization.clone()))
            .set_redirect_uri(redirect)
            .authorize_url(|| CsrfToken::new_random_len(32))
            .add_scopes(self.config.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge)
            .url();
        Ok(Request { url, state: state.into_secret().into(), verifier: verifier.into_secret().into() })
    }
}

/// One authorisation request and what its answer will be checked with.
struct Request {
    url: Url,
    state: SecretString,
    verifier: SecretString,
}

fn invite(url: &Url, open: &impl Fn(&Url) -> bool, tell: &impl Fn(&str)) {
    tell("Sign in with the browser. If it does not open, visit this address on this machine:");
    tell(url.as_str());
    if !open(url) {
        tell("No browser was found here. Visit the address above, or stop and connect with -ApiKey.");
    }
}

async fn wait(arrival: oneshot::Receiver<Arrival>, timeout: Duration) -> Result<Arrival, LoginError> {
    match tokio::time::timeout(timeout, arrival).await {
        Ok(Ok(arrival)) => Ok(arrival),
        // The listener went away by itself: nobody can come back any more.
        Ok(Err(_)) | Err(_) => Err(LoginError::TimedOut { seconds: timeout.as_secs() }),
    }
}
