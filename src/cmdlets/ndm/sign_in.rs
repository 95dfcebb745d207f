//! What a password grant needs, and where it is found: parameters, the environment, the keyring.

use super::super::Context;
use super::error::NdmError;
use super::server;
use crate::credentials::{SecretKind, ServerKey, Store, key_file};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::path::Path;
use url::Url;

/// All that the token service asks for. The documentation calls the client's id a secret too.
#[derive(Debug, Clone)]
pub struct SignIn {
    pub user_name: String,
    pub password: SecretString,
    pub client_id: SecretString,
    pub client_secret: SecretString,
    pub identity_store_id: i64,
}

/// Where user name and password came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Parameter,
    Environment,
    Keyring,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameter => "parameter -Credential",
            Self::Environment => "environment variables NDM_USERNAME and NDM_PASSWORD",
            Self::Keyring => "keyring",
        })
    }
}

/// A complete sign-in. `given`: a part of it came by parameter, so it is worth keeping.
pub struct Found {
    pub sign_in: SignIn,
    pub origin: Origin,
    pub given: bool,
}

/// The form in the keyring.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    user_name: String,
    password: String,
    client_id: String,
    client_secret: String,
    identity_store_id: i64,
}

/// Pairs belong together: a user name from here and a password from there would be a wrong guess.
#[derive(Default)]
struct Parts {
    user: Option<(String, SecretString, Origin)>,
    client: Option<(SecretString, SecretString)>,
    store: Option<i64>,
}

impl Parts {
    fn is_complete(&self) -> bool {
        self.user.is_some() && self.client.is_some() && self.store.is_some()
    }

    fn fill(&mut self, other: Self) {
        self.user = self.user.take().or(other.user);
        self.client = self.client.take().or(other.client);
        self.store = self.store.or(other.store);
    }
}

/// Looks at the parameters, then the environment, then the keyring, each for what is still missing.
///
/// # Errors
/// [`NdmError::Incomplete`] names what is missing and where it was looked for.
pub async fn find(context: &Context<'_>, url: &Url) -> Result<Found, NdmError> {
    let mut parts = given(context);
    let by_parameter = parts.user.is_some() || parts.client.is_some() || parts.store.is_some();
    let mut looked = Vec::new();
    if !parts.is_complete() {
        match meant_for(&context.environment, url) {
            Ok(()) => {
                parts.fill(environment(context).await?);
                looked.push("the environment variables NDM_…".to_owned());
            }
            Err(why) => looked.push(format!("the environment variables NDM_… ({why})")),
        }
    }
    if !parts.is_complete() && !context.arguments.flag("NoPersist") {
        let store = Store::new();
        match store.get(SecretKind::NdmSignIn, &ServerKey::of(url)).await {
            Ok(Some(text)) => match read(&text) {
                Some(kept) => parts.fill(kept),
                None => looked.push("the keyring (its entry can't be understood)".into()),
            },
            Ok(None) => looked.push("the keyring (no entry for this server)".into()),
            Err(error) => looked.push(format!("the keyring ({error} {})", error.remedy())),
        }
    }
    match parts {
        Parts {
            user: Some((user_name, password, origin)),
            client: Some((client_id, client_secret)),
            store: Some(store),
        } => {
            let sign_in = SignIn { user_name, password, client_id, client_secret, identity_store_id: store };
            Ok(Found { sign_in, origin, given: by_parameter })
        }
        parts => Err(NdmError::Incomplete {
            server: url.as_str().trim_end_matches('/').to_owned(),
            missing: missing(&parts),
            looked: if looked.is_empty() { String::new() } else { format!(" Looked at: {}.", looked.join(", ")) },
        }),
    }
}

fn missing(parts: &Parts) -> String {
    let names = [
        (parts.user.is_none(), "a user name and password (-Credential)"),
        (parts.store.is_none(), "the identity store (-IdentityStoreId)"),
        (parts.client.is_none(), "the client (-ClientId and -ClientSecret)"),
    ];
    names.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect::<Vec<_>>().join(", and ")
}

fn given(context: &Context<'_>) -> Parts {
    let arguments = &context.arguments;
    let secret = |name: &str| arguments.text(name).map(SecretString::from);
    let credential = arguments.get("Credential").filter(|_| arguments.is_bound("Credential"));
    let text = |name: &str| credential.and_then(|c| c.get(name)).and_then(Value::as_str);
    Parts {
        user: text("userName")
            .zip(text("password"))
            .map(|(name, password)| (name.to_owned(), SecretString::from(password), Origin::Parameter)),
        client: secret("ClientId").zip(secret("ClientSecret")),
        store: arguments.integer("IdentityStoreId"),
    }
}

/// The variables belong to the server that NDM_SERVER names: a password must not go to another one.
fn meant_for(environment: &Map<String, Value>, url: &Url) -> Result<(), String> {
    let Some(named) = variable(environment, "NDM_SERVER") else { return Ok(()) };
    match server::parse(named, None) {
        Ok(other) if ServerKey::of(&other) == ServerKey::of(url) => Ok(()),
        Ok(other) => Err(format!("not used, because NDM_SERVER names another server, {}", ServerKey::of(&other))),
        Err(_) => Err("not used, because NDM_SERVER is no server".into()),
    }
}

async fn environment(context: &Context<'_>) -> Result<Parts, NdmError> {
    let environment = &context.environment;
    let password = secret(context, "NDM_PASSWORD", "NDM_PASSWORD_FILE").await?;
    let client_secret = secret(context, "NDM_CLIENT_SECRET", "NDM_CLIENT_SECRET_FILE").await?;
    let store = match variable(environment, "NDM_IDENTITY_STORE_ID") {
        None => None,
        Some(text) => Some(text.trim().parse::<i64>().map_err(|_| NdmError::BadSetting {
            name: "The environment variable NDM_IDENTITY_STORE_ID".into(),
            problem: "must be a whole number".into(),
        })?),
    };
    let user = variable(environment, "NDM_USERNAME").map(str::to_owned);
    let client = variable(environment, "NDM_CLIENT_ID").map(SecretString::from);
    Ok(Parts {
        user: user.zip(password).map(|(name, password)| (name, password, Origin::Environment)),
        client: client.zip(client_secret),
        store,
    })
}

/// A variable's value; an empty one counts as unset.
pub fn variable<'a>(environment: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    environment.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

/// The variable itself, else the content of the file that the other one names.
async fn secret(context: &Context<'_>, name: &str, file: &str) -> Result<Option<SecretString>, NdmError> {
    if let Some(text) = variable(&context.environment, name) {
        return Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n']))));
    }
    let Some(path) = variable(&context.environment, file) else { return Ok(None) };
    let (secret, warning) = key_file::read(Path::new(path)).map_err(|error| NdmError::BadSetting {
        name: format!("The file '{path}' that {file} names"),
        problem: error.what,
    })?;
    if let Some(warning) = warning {
        context.output.warning(&warning).await;
    }
    Ok(Some(secret))
}

/// The sign-in as it is kept in the keyring.
pub fn kept(sign_in: &SignIn) -> SecretString {
    let kept = Kept {
        user_name: sign_in.user_name.clone(),
        password: sign_in.password.expose_secret().to_owned(),
        client_id: sign_in.client_id.expose_secret().to_owned(),
        client_secret: sign_in.client_secret.expose_secret().to_owned(),
        identity_store_id: sign_in.identity_store_id,
    };
    // Texts and a number: this doesn't fail.
    SecretString::from(serde_json::to_string(&kept).unwrap_or_default())
}

fn read(text: &SecretString) -> Option<Parts> {
    let kept: Kept = serde_json::from_str(text.expose_secret()).ok()?;
    Some(Parts {
        user: Some((kept.user_name, SecretString::from(kept.password), Origin::Keyring)),
        client: Some((SecretString::from(kept.client_id), SecretString::from(kept.client_secret))),
        store: Some(kept.identity_store_id),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let sign_in = SignIn {
            user_name: "CORP\\ann".into(),
            password: SecretString::from("pa\"ss"),
            client_id: SecretString::from("c"),
            client_secret: SecretString::from("s"),
            identity_store_id: 2,
        };
        let parts = read(&kept(&sign_in)).unwrap();
        let (name, password, origin) = parts.user.unwrap();
        assert_eq!((name.as_str(), password.expose_secret(), origin), ("CORP\\ann", "pa\"ss", Origin::Keyring));
        assert_eq!(parts.store, Some(2));
        assert!(read(&SecretString::from("{}")).is_none());
        assert!(!format!("{sign_in:?}").contains("pa\"ss"));
    }

    #[test]
    fn variables_are_for_the_server_they_name() {
        let map = |server: &str| Map::from_iter([("NDM_SERVER".to_owned(), Value::from(server))]);
        let url = server::parse("dm01", None).unwrap();
        assert!(meant_for(&map("https://DM01:4443"), &url).is_ok());
        assert!(meant_for(&map(""), &url).is_ok());
        assert!(meant_for(&map("dm02"), &url).unwrap_err().contains("https://dm02:4443"));
    }
}
