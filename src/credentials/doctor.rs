//! The state of everything keys are found in, for `jimhost doctor`. Names and paths, no secrets.

use std::path::PathBuf;

use serde::Serialize;

use super::remembered::{Connection, Remembered};
use super::source::{self, Environment};
use super::store::Store;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialReport {
    pub account: String,
    pub keyring: KeyringReport,
    /// The list of remembered connections; `None` when the account has no such place.
    pub config_file: Option<PathBuf>,
    pub connections: Vec<Connection>,
    /// Names of the environment variables that are set.
    pub environment: Vec<&'static str>,
    pub warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyringReport {
    pub usable: bool,
    /// `ok`, or the stable code of the failure.
    pub state: &'static str,
    pub message: Option<String>,
    pub advice: Option<String>,
}

/// Those of Directory Manager, which only cmdlets read.
const NDM_VARIABLES: &[&str] = &[
    "NDM_SERVER",
    "NDM_USERNAME",
    "NDM_PASSWORD",
    "NDM_PASSWORD_FILE",
    "NDM_CLIENT_ID",
    "NDM_CLIENT_SECRET",
    "NDM_CLIENT_SECRET_FILE",
    "NDM_IDENTITY_STORE_ID",
];

fn names_set() -> Vec<&'static str> {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let mut names = Environment::of_this_process().names_set();
    names.extend(NDM_VARIABLES.iter().copied().filter(is_set));
    names
}

/// Writes and deletes a probe entry, so a locked keyring may ask for its password.
pub async fn report(store: &Store) -> CredentialReport {
    let keyring = match store.probe().await {
        Ok(()) => KeyringReport { usable: true, state: "ok", message: None, advice: None },
        Err(error) => KeyringReport {
            usable: false,
            state: error.code(),
            message: Some(error.to_string()),
            advice: Some(error.advice().into_owned()),
        },
    };
    let (remembered, warning) = Remembered::load();
    CredentialReport {
        account: source::account(),
        keyring,
        config_file: remembered.path().map(ToOwned::to_owned),
        connections: remembered.connections().to_vec(),
        environment: names_set(),
        warnings: warning.into_iter().collect(),
    }
}
