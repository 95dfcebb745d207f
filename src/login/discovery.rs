//! Who the identity provider is and where its endpoints are; and the HTTP both this and
//! `token.rs` need.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use url::{Host, Url};

use super::error::words;
use super::{AuthConfig, Endpoints, LoginError};

/// These are small questions: who does not answer in this time does not answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Discovery documents are a few KiB, tokens with many groups some tens.
const LARGEST_ANSWER: usize = 1 << 20;

const JIM: &str = "JIM";
const PROVIDER: &str = "the identity provider";

/// Asks JIM who its identity provider is. `base` is the address given to Connect-JIM and may have
/// a path.
///
/// # Errors
/// `NotConfigured` for 503; `Insecure` when the authority is neither https nor this machine.
pub async fn auth_config(http: &Client, base: &Url) -> Result<AuthConfig, LoginError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        authority: Url,
        client_id: String,
        #[serde(default)]
        scopes: Option<Vec<String>>,
    }

    let url = below(base, &["api", "v1", "auth", "config"]);
    let answer = send(JIM, &url, http.get(url.clone())).await?;
    if answer.status == StatusCode::SERVICE_UNAVAILABLE {
        return Err(LoginError::NotConfigured { url: base.clone().into(), detail: message(&answer.body) });
    }
    let body: Body = answer.json(JIM, &url)?;
    require_secure(&body.authority)?;
    if body.client_id.trim().is_empty() {
        return Err(answer.bad(JIM, &url, "no client id for signing in".into()));
    }
    Ok(AuthConfig { authority: body.authority, client_id: body.client_id, scopes: body.scopes.unwrap_or_default() })
}

/// Reads the provider's OpenID Connect discovery document. The issuer is not compared with the
/// authority: Entra's multi-tenant documents name a template there.
///
/// # Errors
/// `Insecure` when the authority, the place a redirect led to, or an endpoint is neither https nor
/// this machine.
pub async fn discover(http: &Client, config: &AuthConfig) -> Result<Endpoints, LoginError> {
    #[derive(Deserialize)]
    struct Body {
        authorization_endpoint: Url,
        token_endpoint: Url,
    }

    require_secure(&config.authority)?;
    let url = below(&config.authority, &[".well-known", "openid-configuration"]);
    let answer = send(PROVIDER, &url, http.get(url.clone())).await?;
    require_secure(&answer.url)?;
    let body: Body = answer.json(PROVIDER, &url)?;
    require_secure(&body.authorization_endpoint)?;
    require_secure(&body.token_endpoint)?;
    Ok(Endpoints { authorization: body.authorization_endpoint, token: body.token_endpoint })
}

/// Codes and tokens cross this address, so it is https or does not leave this machine.
pub(super) fn require_secure(url: &Url) -> Result<(), LoginError> {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err(LoginError::Insecure { url: url.clone().into() }),
    }
}

/// An answer read to its end.
pub(super) struct Answer {
    /// Where it came from in the end; a client that follows redirects may land elsewhere.
    pub url: Url,
    pub status: StatusCode,
    pub body: Vec<u8>,
}

impl Answer {
    fn json<T: for<'de> Deserialize<'de>>(&self, what: &'static str, url: &Url) -> Result<T, LoginError> {
        if !self.status.is_success() {
            let detail = message(&self.body)
                .or_else(|| plain_words(&self.body))
                .unwrap_or_else(|| "an error without words".into());
            return Err(self.bad(what, url, detail));
        }
        serde_json::from_slice(&self.body).map_err(|e| {
            let detail = format!("something that is not the expected JSON ({})", words(&e.to_string()));
            self.bad(what, url, detail)
        })
    }

    pub fn bad(&self, what: &'static str, url: &Url, detail: String) -> LoginError {
        LoginError::BadAnswer { what, url: url.clone().into(), status: Some(self.status.as_u16()), detail }
    }
}

/// Sends and reads the whole answer, whatever its status.
pub(super) async fn send(what: &'static str, url: &Url, request: RequestBuilder) -> Result<Answer, LoginError> {
    let unreachable = |e: reqwest::Error| LoginError::Unreachable { what, url: url.clone().into(), cause: cause(e) };
    let mut response =
        request.header("accept", "application/json").timeout(REQUEST_TIMEOUT).send().await.map_err(unreachable)?;
    let mut answer = Answer { url: response.url().clone(), status: response.status(), body: Vec::new() };
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if answer.body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(answer.bad(what, url, format!("more than {LARGEST_ANSWER} bytes")));
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// reqwest says "error sending request" and hides the reason in its sources.
fn cause(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} seconds", REQUEST_TIMEOUT.as_secs());
    }
    let error = error.without_url();
    let mut texts = vec![error.to_string()];
    let mut source = std::error::Error::source(&error);
    while let Some(e) = source {
        let text = e.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        source = e.source();
    }
    words(&texts.join(": "))
}

/// The human part of a JSON error: JIM's `message`, problem details' `detail` or `title`, OAuth's
/// fields.
fn message(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    ["message", "detail", "title", "error_description", "error"]
        .iter()
        .filter_map(|key| json.get(key)?.as_str())
        .map(words)
        .find(|text| !text.is_empty())
}

/// A body that is not JSON, without its HTML tags: proxies and gateways answer like this.
pub(super) fn plain_words(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let mut plain = String::new();
    let mut in_tag = false;
    for c in text.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                plain.push(' ');
            }
            c if !in_tag => plain.push(c),
            _ => {}
        }
    }
    Some(words(&plain)).filter(|w| !w.is_empty())
}

/// `base` with segments below its path, whether or not it ends in a slash.
fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn addresses_are_built_below_a_path() {
        for base in ["https://x.example/realms/jim", "https://x.example/realms/jim/"] {
            let url = below(&Url::parse(base).unwrap(), &[".well-known", "openid-configuration"]);
            assert_eq!(url.as_str(), "https://x.example/realms/jim/.well-known/openid-configuration");
        }
        let url = below(&Url::parse("http://localhost:5200").unwrap(), &["api", "v1"]);
        assert_eq!(url.as_str(), "http://localhost:5200/api/v1");
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for good in ["https://a.example/", "http://localhost:1/", "http://127.9.0.1/", "http://[::1]/"] {
            assert!(require_secure(&Url::parse(good).unwrap()).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/",
            "http://localhost.a.example/",
            "http://127.0.0.1.a.example/",
            "ftp://localhost/",
            "file:///etc/passwd",
        ] {
            assert!(require_secure(&Url::parse(bad).unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn html_is_reduced_to_its_words() {
        assert_eq!(plain_words(b"<html><h1>502 Bad\nGateway</h1><hr>nginx</html>").unwrap(), "502 Bad Gateway nginx");
        assert_eq!(plain_words(b"<html></html>"), None);
    }
}
