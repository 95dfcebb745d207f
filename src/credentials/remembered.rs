//! Remembered connections: which servers this account used and where each key is kept. No secrets.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use super::key_file;
use super::server_key::{ServerKey, without_secrets};

const FILE: &str = "connections.json";
const VERSION: u32 = 1;

/// The products, as the list names them.
pub const JIM: &str = "jim";
pub const NDM: &str = "ndm";

/// Overrides the platform's configuration directory.
pub const CONFIG_DIRECTORY_VARIABLE: &str = "JIMHOST_CONFIG_DIR";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeptIn {
    /// An API key in the OS keyring.
    Keyring,
    /// An API key in the file `key_file`.
    File,
    /// A refresh token in the OS keyring.
    Login,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    pub url: Url,
    pub product: String,
    pub source: KeptIn,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The account of this machine under which it was made.
    pub account: String,
    /// Seconds since 1970-01-01 UTC.
    pub last_used: u64,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    connections: Vec<Connection>,
}

/// The list as it was read. Load, change and save at once: other sessions write the same file.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    path: Option<PathBuf>,
    connections: Vec<Connection>,
}

impl Remembered {
    /// Never fails: what cannot be read is a warning and an empty list.
    pub fn load() -> (Self, Option<String>) {
        match path() {
            Some(path) => Self::load_from(path),
            None => (
                Self::default(),
                Some(format!(
                    "This account has no configuration directory, so connections are not remembered. Set {CONFIG_DIRECTORY_VARIABLE} to a directory."
                )),
            ),
        }
    }

    fn load_from(path: PathBuf) -> (Self, Option<String>) {
        let empty = |path| Self { path: Some(path), connections: Vec::new() };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return (empty(path), None),
            Err(error) => {
                let warning = format!("The remembered connections in '{}' cannot be read: {error}.", path.display());
                return (empty(path), Some(warning));
            }
        };
        let why = match serde_json::from_slice::<Document>(&bytes) {
            Ok(document) if document.version == VERSION => {
                let connections = document.connections;
                let path = Some(path);
                return (Self { path, connections }, None);
            }
            Ok(document) => format!("it has version {}, not {VERSION}", document.version),
            Err(error) => error.to_string(),
        };
        let warning = move_aside(&path, &why);
        (empty(path), Some(warning))
    }

    /// Where the list is kept; `None` when the account has no configuration directory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// Those of one product.
    pub fn of<'a>(&'a self, product: &'a str) -> impl Iterator<Item = &'a Connection> {
        self.connections.iter().filter(move |connection| connection.product == product)
    }

    /// By server: scheme, host and port. Two products may share one.
    pub fn find(&self, product: &str, url: &Url) -> Option<&Connection> {
        let key = ServerKey::of(url);
        self.connections.iter().find(|c| c.product == product && ServerKey::of(&c.url) == key)
    }

    /// Replaces what was remembered for the same server. A password in the address is dropped.
    pub fn remember(&mut self, mut connection: Connection) {
        connection.url = without_secrets(&connection.url);
        self.forget(&connection.product, &connection.url);
        self.connections.push(connection);
    }

    /// True when the server was remembered.
    pub fn forget(&mut self, product: &str, url: &Url) -> bool {
        let key = ServerKey::of(url);
        let before = self.connections.len();
        self.connections.retain(|c| c.product != product || ServerKey::of(&c.url) != key);
        self.connections.len() != before
    }

    pub fn forget_all(&mut self, product: &str) {
        self.connections.retain(|connection| connection.product != product);
    }

    /// Replaces the file whole; its directory is made when it is missing.
    pub fn save(&self) -> std::io::Result<()> {
        let Some((path, directory)) = self.path.as_deref().and_then(|p| Some((p, p.parent()?))) else {
            return Err(std::io::Error::new(ErrorKind::NotFound, "this account has no configuration directory"));
        };
        fs::create_dir_all(directory)?;
        let mut text =
            serde_json::to_vec_pretty(&Document { version: VERSION, connections: self.connections.clone() })?;
        text.push(b'\n');
        key_file::replace(directory, path, &text)
    }
}

fn path() -> Option<PathBuf> {
    let directory = std::env::var_os(CONFIG_DIRECTORY_VARIABLE)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| directories::ProjectDirs::from("", "", "jimhost").map(|d| d.config_dir().to_owned()))?;
    Some(directory.join(FILE))
}

/// Kept rather than deleted: it may be a person's edit with one comma too many.
fn move_aside(path: &Path, why: &str) -> String {
    let aside = path.with_extension("json.unreadable");
    match fs::rename(path, &aside) {
        Ok(()) => format!(
            "The remembered connections in '{}' could not be understood ({why}). The file is now '{}'; a new list begins.",
            path.display(),
            aside.display()
        ),
        Err(error) => format!(
            "The remembered connections in '{}' could not be understood ({why}), and the file could not be moved aside: {error}.",
            path.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn connection(url: &str, source: KeptIn) -> Connection {
        Connection {
            url: Url::parse(url).unwrap(),
            product: "jim".to_owned(),
            source,
            key_file: None,
            account: "svc".to_owned(),
            last_used: 1_790_000_000,
        }
    }

    fn at(path: &Path) -> (Remembered, Option<String>) {
        Remembered::load_from(path.to_owned())
    }

    #[test]
    fn what_is_remembered_is_found_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new").join(FILE);
        let (mut list, warning) = at(&path);
        assert_eq!(warning, None);
        list.remember(connection("https://a", KeptIn::Keyring));
        list.remember(connection("https://b", KeptIn::Login));
        assert_eq!(list.connections().len(), 2);
        let mut third = connection("https://me:hunter2@A:443/path", KeptIn::File);
        third.key_file = Some(PathBuf::from("/run/key"));
        list.remember(third.clone());
        list.save().unwrap();
        assert!(!fs::read_to_string(&path).unwrap().contains("hunter2"));
        third.url = Url::parse("https://a/path").unwrap();

        let (mut list, warning) = at(&path);
        assert_eq!(warning, None);
        assert_eq!(list.connections().len(), 2);
        let a = Url::parse("https://a/").unwrap();
        assert_eq!(list.find(JIM, &a), Some(&third));
        assert!(!list.forget(NDM, &a), "another product's server");
        assert!(list.forget(JIM, &a));
        assert!(!list.forget(JIM, &a));
        assert_eq!(list.connections()[0].source, KeptIn::Login);
        list.forget_all(NDM);
        assert_eq!(list.of(JIM).count(), 1);
        list.forget_all(JIM);
        list.save().unwrap();
        assert!(at(&path).0.connections().is_empty());
    }

    #[test]
    fn the_file_has_the_names_it_is_documented_with() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let mut list = at(&path).0;
        let mut one = connection("https://a", KeptIn::File);
        one.key_file = Some(PathBuf::from("k"));
        list.remember(one);
        list.save().unwrap();
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(
            read,
            serde_json::json!({"version": 1, "connections": [{
                "url": "https://a/", "product": "jim", "source": "file", "keyFile": "k",
                "account": "svc", "lastUsed": 1_790_000_000,
            }]})
        );
    }

    #[test]
    fn a_corrupt_list_is_moved_aside_with_a_warning() {
        for content in ["{oops", r#"{"version":2,"connections":[]}"#] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(FILE);
            fs::write(&path, content).unwrap();
            let (list, warning) = at(&path);
            assert!(list.connections().is_empty());
            let aside = directory.path().join("connections.json.unreadable");
            assert!(warning.unwrap().contains(&*aside.to_string_lossy()));
            assert_eq!(fs::read_to_string(aside).unwrap(), content);
            assert!(!path.exists());
        }
    }
}
