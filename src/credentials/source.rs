//! Finds the API key for a server: where to look, in which order, and what to say when there is
//! none.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Serialize;
use url::Url;

use super::entries::SecretKind;
use super::key_file;
use super::remembered::{JIM, KeptIn, Remembered};
use super::server_key::{ServerKey, without_secrets};
use super::store::Store;

pub const URL: &str = "JIM_URL";
pub const API_KEY: &str = "JIM_API_KEY";
pub const API_KEY_FILE: &str = "JIM_API_KEY_FILE";

/// Where a key came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Parameter,
    Keyring,
    EnvironmentVariable,
    EnvironmentFile(PathBuf),
    KeyFile(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter => f.write_str("parameter -ApiKey"),
            Self::Keyring => f.write_str(KEYRING),
            Self::EnvironmentVariable => write!(f, "environment variable {API_KEY}"),
            Self::EnvironmentFile(path) => {
                write!(f, "file '{}' named by {API_KEY_FILE}", path.display())
            }
            Self::KeyFile(path) => write!(f, "key file '{}'", path.display()),
        }
    }
}

const KEYRING: &str = if cfg!(windows) {
    "Windows Credential Manager"
} else if cfg!(target_os = "macos") {
    "macOS Keychain"
} else {
    "keyring (Secret Service)"
};

/// The variables of one process; empty ones count as unset.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub url: Option<String>,
    pub api_key: Option<SecretString>,
    pub api_key_file: Option<PathBuf>,
}

impl Environment {
    pub fn of_this_process() -> Self {
        let text = |name| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
        Self {
            url: text(URL),
            api_key: text(API_KEY).as_deref().map(key_of),
            api_key_file: std::env::var_os(API_KEY_FILE)
                .filter(|value: &OsString| !value.is_empty())
                .map(PathBuf::from),
        }
    }

    /// The variables of the PowerShell process, as it sent them.
    pub fn from_map(map: &serde_json::Map<String, serde_json::Value>) -> Self {
        let text = |name| {
            let value = map.get(name).and_then(serde_json::Value::as_str);
            value.filter(|v| !v.trim().is_empty())
        };
        Self {
            url: text(URL).map(str::to_owned),
            api_key: text(API_KEY).map(key_of),
            api_key_file: text(API_KEY_FILE).map(PathBuf::from),
        }
    }

    /// Names of the variables that are set; never a value.
    pub fn names_set(&self) -> Vec<&'static str> {
        [(URL, self.url.is_some()), (API_KEY, self.api_key.is_some()), (API_KEY_FILE, self.api_key_file.is_some())]
            .into_iter()
            .filter_map(|(name, set)| set.then_some(name))
            .collect()
    }

    /// `Err` tells why the variables are not for this server: a key must not go to another one.
    fn meant_for(&self, url: &Url) -> Result<(), String> {
        let Some(named) = self.url.as_deref() else {
            return Ok(());
        };
        match Url::parse(named.trim()) {
            Ok(other) if ServerKey::of(&other) == ServerKey::of(url) => Ok(()),
            Ok(other) => Err(format!("not used, because {URL} names another server ({})", ServerKey::of(&other))),
            Err(_) => Err(format!("not used, because {URL} is not a valid address")),
        }
    }
}

/// `$env:JIM_API_KEY = Get-Content` and shells leave line ends.
fn key_of(value: &str) -> SecretString {
    SecretString::from(value.trim_end_matches(['\r', '\n']))
}

/// The key, where it came from, and what a person should know about that place.
#[derive(Debug)]
pub struct Found {
    pub key: SecretString,
    pub source: Source,
    pub warning: Option<String>,
}

/// One place that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    pub source: String,
    pub outcome: String,
}

/// No key anywhere: where it was looked for, and under which account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// Without user name, password and query.
    pub url: String,
    pub account: String,
    pub tried: Vec<Tried>,
}

impl std::error::Error for NotFound {}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "No API key was found for {} under the account '{}'. Looked at:", self.url, self.account)?;
        for Tried { source, outcome } in &self.tried {
            writeln!(f, "  - {source}: {outcome}")?;
        }
        write!(
            f,
            "Give the key once with Connect-JIM -Url {} -ApiKey KEY, or set {API_KEY}, or name a file with {API_KEY_FILE} or -KeyFile PATH. \
             Keys are kept per account: one kept by another account is not seen here.",
            self.url
        )
    }
}

/// Looks in this order: -KeyFile, JIM_API_KEY, JIM_API_KEY_FILE, keyring, remembered key file.
/// A file that was named by -KeyFile or the environment and cannot be used ends the search there:
/// going on would use a key the person did not mean.
pub async fn find_key(
    store: &Store,
    remembered: &Remembered,
    environment: &Environment,
    url: &Url,
    key_file: Option<&Path>,
) -> Result<Found, NotFound> {
    let mut search = Search::default();
    let found = search.run(store, remembered, environment, url, key_file).await;
    found.ok_or_else(|| NotFound { url: without_secrets(url).to_string(), account: account(), tried: search.tried })
}

#[derive(Default)]
struct Search {
    tried: Vec<Tried>,
}

impl Search {
    async fn run(
        &mut self,
        store: &Store,
        remembered: &Remembered,
        environment: &Environment,
        url: &Url,
        key_file: Option<&Path>,
    ) -> Option<Found> {
        if let Some(path) = key_file {
            return self.file(Source::KeyFile(path.to_owned()), path);
        }
        if let Err(why) = environment.meant_for(url) {
            self.note(format!("{API_KEY} and {API_KEY_FILE}"), why);
        } else if let Some(key) = &environment.api_key {
            return Some(Found { key: key.clone(), source: Source::EnvironmentVariable, warning: None });
        } else {
            self.note(Source::EnvironmentVariable, "not set");
            if let Some(path) = &environment.api_key_file {
                return self.file(Source::EnvironmentFile(path.clone()), path);
            }
            self.note(format!("environment variable {API_KEY_FILE}"), "not set");
        }
        if let Some(key) = self.keyring(store, url).await {
            return Some(Found { key, source: Source::Keyring, warning: None });
        }
        let kept = remembered.find(JIM, url).filter(|c| c.source == KeptIn::File);
        match kept.and_then(|connection| connection.key_file.as_deref()) {
            Some(path) => self.file(Source::KeyFile(path.to_owned()), path),
            None => {
                self.note("remembered key file", "none for this server");
                None
            }
        }
    }

    fn note(&mut self, source: impl fmt::Display, outcome: impl Into<String>) {
        self.tried.push(Tried { source: source.to_string(), outcome: outcome.into() });
    }

    fn file(&mut self, source: Source, path: &Path) -> Option<Found> {
        match key_file::read(path) {
            Ok((key, warning)) => Some(Found { key, source, warning }),
            Err(error) => {
                self.note(source, error.what);
                None
            }
        }
    }

    async fn keyring(&mut self, store: &Store, url: &Url) -> Option<SecretString> {
        match store.get(SecretKind::ApiKey, &ServerKey::of(url)).await {
            Ok(Some(key)) => return Some(key),
            Ok(None) => self.note(KEYRING, "no entry for this server"),
            Err(error) => self.note(KEYRING, format!("{error} {}", error.advice())),
        }
        None
    }
}

/// The account of this process as its environment names it; keys are kept per account.
pub fn account() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests;
