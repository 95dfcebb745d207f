//! Which keyring entry holds which secret, per platform. Blocking calls: only the keyring's own
//! thread comes here.
//!
//! Refresh tokens use the names under which other JIM clients look: Windows target `JIM:<key>`,
//! macOS service `JIM` and account `<key>`, Secret Service attributes `service=JIM`, `url=<key>`.

use keyring_core::{Entry, Error};
use secrecy::zeroize::{Zeroize, Zeroizing};
use secrecy::{ExposeSecret, SecretString};

use super::server_key::ServerKey;
use super::store_error::{StoreError, WINDOWS_LIMIT_BYTES};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    ApiKey,
    RefreshToken,
    /// All that a password grant of Directory Manager needs, as one JSON text.
    NdmSignIn,
}

/// The names of one entry before the platform turns them into its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub kind: SecretKind,
    pub service: &'static str,
    pub account: String,
}

impl Names {
    pub fn of(kind: SecretKind, key: &ServerKey) -> Self {
        match kind {
            SecretKind::ApiKey => Self { kind, service: "jimhost", account: format!("api-key {key}") },
            SecretKind::RefreshToken => Self { kind, service: "JIM", account: key.to_string() },
            SecretKind::NdmSignIn => Self { kind, service: "jimhost", account: format!("ndm-sign-in {key}") },
        }
    }

    /// Written and deleted again to learn whether the keyring takes entries at all.
    pub fn probe() -> Self {
        Self { kind: SecretKind::ApiKey, service: "jimhost", account: "probe".to_owned() }
    }
}

pub(super) fn get(names: &Names) -> Result<Option<SecretString>, StoreError> {
    ready()?;
    for entry in platform::find(names)? {
        match entry.get_secret() {
            Ok(bytes) => return decode(bytes).map(Some),
            Err(Error::NoEntry) => {}
            Err(error) => return Err(StoreError::from_keyring(&error)),
        }
    }
    Ok(None)
}

pub(super) fn set(names: &Names, secret: &SecretString) -> Result<(), StoreError> {
    let bytes = encode(names.kind, secret, cfg!(windows))?;
    ready()?;
    platform::write(names, &bytes).map_err(|error| StoreError::from_keyring(&error))
}

/// True when there was an entry.
pub(super) fn delete(names: &Names) -> Result<bool, StoreError> {
    ready()?;
    let mut any = false;
    for entry in platform::find(names)? {
        match entry.delete_credential() {
            Ok(()) => any = true,
            Err(Error::NoEntry) => {}
            Err(error) => return Err(StoreError::from_keyring(&error)),
        }
    }
    Ok(any)
}

/// The library opens the platform's store once per process and remembers a failure.
fn ready() -> Result<(), StoreError> {
    keyring::Entry::store_status().as_ref().copied().map_err(StoreError::from_keyring)
}

/// UTF-8, except refresh tokens on Windows: other JIM clients read those as UTF-16. One that only
/// fits as UTF-8 is kept so, since a token nobody else can read is better than none.
fn encode(kind: SecretKind, secret: &SecretString, windows: bool) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let text = secret.expose_secret();
    if !windows {
        return Ok(Zeroizing::new(text.as_bytes().to_vec()));
    }
    if kind == SecretKind::RefreshToken {
        let mut wide = Zeroizing::new(Vec::with_capacity(text.len() * 2));
        for unit in text.encode_utf16() {
            wide.extend_from_slice(&unit.to_le_bytes());
        }
        if wide.len() <= WINDOWS_LIMIT_BYTES {
            return Ok(wide);
        }
    }
    if text.len() > WINDOWS_LIMIT_BYTES {
        return Err(StoreError::TooLong { limit: WINDOWS_LIMIT_BYTES });
    }
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

/// Either encoding: keys and tokens hold no NUL, while UTF-16 of ASCII is half NULs.
fn decode(bytes: Vec<u8>) -> Result<SecretString, StoreError> {
    let bytes = Zeroizing::new(bytes);
    if bytes.len().is_multiple_of(2) && bytes.contains(&0) {
        let units: Zeroizing<Vec<u16>> =
            Zeroizing::new(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect());
        let text = String::from_utf16(&units).map_err(|_| StoreError::not_text())?;
        return Ok(SecretString::from(text));
    }
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(StoreError::not_text())
        }
    }
}

#[cfg(all(unix, not(target_os = "macos")))]
mod platform {
    use std::collections::HashMap;

    use super::{Entry, Error, Names, SecretKind, StoreError};

    /// By `url`, not by the attributes the library adds: other programs' entries lack those.
    fn attributes(names: &Names) -> HashMap<&str, &str> {
        let name = match names.kind {
            SecretKind::RefreshToken => "url",
            SecretKind::ApiKey | SecretKind::NdmSignIn => "username",
        };
        HashMap::from([("service", names.service), (name, names.account.as_str())])
    }

    pub fn find(names: &Names) -> Result<Vec<Entry>, StoreError> {
        Entry::search(&attributes(names)).map_err(|error| StoreError::from_keyring(&error))
    }

    pub fn write(names: &Names, bytes: &[u8]) -> Result<(), Error> {
        let mut found = Entry::search(&attributes(names))?.into_iter();
        if let Some(first) = found.next() {
            first.set_secret(bytes)?;
            // A second entry under these names would one day be read instead of the first.
            return found.try_for_each(|other| other.delete_credential());
        }
        let label = match names.kind {
            SecretKind::RefreshToken => format!("JIM refresh token for {}", names.account),
            SecretKind::ApiKey | SecretKind::NdmSignIn => format!("jimhost {}", names.account),
        };
        let entry =
            Entry::new_with_modifiers(names.service, &names.account, &HashMap::from([("label", label.as_str())]))?;
        entry.set_secret(bytes)?;
        if names.kind == SecretKind::RefreshToken {
            entry.update_attributes(&HashMap::from([("url", names.account.as_str())]))?;
        }
        Ok(())
    }
}

#[cfg(windows)]
mod platform {
    use std::collections::HashMap;

    use super::{Entry, Error, Names, SecretKind, StoreError};

    /// `Local`: the default would roam with a domain profile to other machines.
    fn entry(names: &Names) -> Result<Entry, Error> {
        let target = format!("{}:{}", names.service, names.account);
        let mut modifiers = HashMap::from([("persistence", "Local")]);
        if names.kind == SecretKind::RefreshToken {
            modifiers.insert("target", target.as_str());
        }
        Entry::new_with_modifiers(names.service, &names.account, &modifiers)
    }

    pub fn find(names: &Names) -> Result<Vec<Entry>, StoreError> {
        entry(names).map(|entry| vec![entry]).map_err(|error| StoreError::from_keyring(&error))
    }

    pub fn write(names: &Names, bytes: &[u8]) -> Result<(), Error> {
        let entry = entry(names)?;
        entry.set_secret(bytes)?;
        if names.kind == SecretKind::RefreshToken {
            // With a target of our own the library leaves the user name empty.
            entry.update_attributes(&HashMap::from([("username", names.account.as_str())]))?;
        }
        Ok(())
    }
}

#[cfg(not(any(windows, all(unix, not(target_os = "macos")))))]
mod platform {
    use super::{Entry, Error, Names, StoreError};

    pub fn find(names: &Names) -> Result<Vec<Entry>, StoreError> {
        Entry::new(names.service, &names.account)
            .map(|entry| vec![entry])
            .map_err(|error| StoreError::from_keyring(&error))
    }

    pub fn write(names: &Names, bytes: &[u8]) -> Result<(), Error> {
        Entry::new(names.service, &names.account)?.set_secret(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use url::Url;

    #[test]
    fn names_are_those_other_clients_use() {
        let key = ServerKey::of(&Url::parse("https://JIM.example/x").unwrap());
        let token = Names::of(SecretKind::RefreshToken, &key);
        assert_eq!(token.service, "JIM");
        assert_eq!(token.account, "https://jim.example:443");
        let api_key = Names::of(SecretKind::ApiKey, &key);
        assert_eq!(api_key.service, "jimhost");
        assert_eq!(api_key.account, "api-key https://jim.example:443");
    }

    #[test]
    fn windows_length_is_counted_in_bytes() {
        let of = |length: usize| SecretString::from("k".repeat(length));
        let api = |length| encode(SecretKind::ApiKey, &of(length), true);
        assert_eq!(api(2560).unwrap().len(), 2560);
        assert_eq!(api(2561).unwrap_err(), StoreError::TooLong { limit: 2560 });
        let umlauts = SecretString::from("ü".repeat(1281));
        assert!(encode(SecretKind::ApiKey, &umlauts, true).is_err());
        assert!(encode(SecretKind::ApiKey, &of(9000), false).is_ok());
    }

    #[test]
    fn refresh_tokens_on_windows_are_utf_16_while_they_fit() {
        let kind = SecretKind::RefreshToken;
        for (length, bytes) in [(1, 2), (1280, 2560), (1281, 1281), (2560, 2560)] {
            let token = SecretString::from("t".repeat(length));
            let kept = encode(kind, &token, true).unwrap();
            assert_eq!(kept.len(), bytes);
            let back = decode(kept.to_vec()).unwrap();
            assert_eq!(back.expose_secret(), token.expose_secret());
        }
        assert!(encode(kind, &SecretString::from("t".repeat(2561)), true).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        assert!(decode(vec![0xff, 0xfe, 0xfd]).is_err());
    }
}
