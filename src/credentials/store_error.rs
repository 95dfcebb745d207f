//! Why the OS keyring did not serve, and what a person can do about each case.

use std::borrow::Cow;

use keyring_core::Error as Keyring;

/// Windows keeps at most this many bytes in one credential (CRED_MAX_CREDENTIAL_BLOB_SIZE).
pub const WINDOWS_LIMIT_BYTES: usize = 2560;

/// The complete ways around a keyring; every advice ends with them.
const WITHOUT_A_KEYRING: &str = "Without a keyring, all of these work: the environment variable JIM_API_KEY, a file named by JIM_API_KEY_FILE, or -KeyFile PATH.";

/// A keyring failure. The text of `Platform` is the platform's own; no variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("No keyring service answers this account.")]
    NoService,
    #[error("The keyring is locked.")]
    Locked,
    #[error("The keyring service runs, but it has no keyring to keep entries in.")]
    NoCollection,
    #[error("Windows gives this logon no credential store (error 1312: a specified logon session does not exist).")]
    NoLogonSession,
    #[error("The secret is longer than the {limit} bytes the keyring holds in one entry.")]
    TooLong { limit: usize },
    #[error("The keyring did not answer within {seconds} seconds.")]
    TimedOut { seconds: u64 },
    #[error("The keyring failed: {0}")]
    Platform(String),
}

impl StoreError {
    /// Stable, for scripts and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoService => "keyring-no-service",
            Self::Locked => "keyring-locked",
            Self::NoCollection => "keyring-no-collection",
            Self::NoLogonSession => "keyring-no-logon-session",
            Self::TooLong { .. } => "keyring-too-long",
            Self::TimedOut { .. } => "keyring-timed-out",
            Self::Platform(_) => "keyring-platform",
        }
    }

    /// What to do next, in whole sentences.
    pub fn advice(&self) -> Cow<'static, str> {
        Cow::Owned(format!("{} {WITHOUT_A_KEYRING}", self.remedy()))
    }

    /// What makes the keyring work, without the ways around it: those differ by product.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoService if cfg!(target_os = "linux") => {
                "Sign in on the desktop, or start a D-Bus session with a Secret Service \
                 (gnome-keyring, KWallet, KeePassXC), then open a new PowerShell."
            }
            Self::NoService => "Sign in on the desktop as this account, then open a new PowerShell.",
            Self::Locked if cfg!(target_os = "macos") => {
                "Unlock it with: security unlock-keychain, or sign in on the desktop and allow the request."
            }
            Self::Locked => {
                "Unlock it: sign in on the desktop and answer its request, or pipe the \
                 keyring's password to: gnome-keyring-daemon --unlock."
            }
            Self::NoCollection if cfg!(target_os = "macos") => "Create a default keychain in Keychain Access.",
            Self::NoCollection => {
                "Create a default keyring: sign in on the desktop once, or create one in \
                 'Passwords and Keys' (seahorse) and make it the default."
            }
            Self::NoLogonSession => {
                "Network logons (SSH, WinRM) have none. Sign in on the desktop, or run as a \
                 scheduled task with a stored password."
            }
            Self::TooLong { .. } => "Use a shorter key, or keep this one in a file that only your account can read.",
            Self::TimedOut { .. } => {
                "It may be waiting for its password in a window that nobody sees. Answer it, \
                 or unlock the keyring first, then try again."
            }
            Self::Platform(_) => "Run 'jimhost doctor' to see the state of the keyring.",
        }
    }

    /// Maps by the platform's own words: its error types belong to three different libraries,
    /// of which only one exists on each platform.
    pub(super) fn from_keyring(error: &Keyring) -> Self {
        match error {
            Keyring::PlatformFailure(cause) | Keyring::NoStorageAccess(cause) => {
                Self::from_words(&cause.to_string(), &format!("{cause:?}"))
            }
            Keyring::NoDefaultStore => Self::NoService,
            Keyring::TooLong(what, limit) if what == "secret" => Self::TooLong { limit: *limit as usize },
            // These carry the entry's bytes; their own Display is not ours to trust.
            Keyring::BadEncoding(_) | Keyring::BadDataFormat(..) => Self::not_text(),
            other => Self::Platform(other.to_string()),
        }
    }

    pub(super) fn not_text() -> Self {
        Self::Platform("the entry found is not text, so something else wrote it".to_owned())
    }

    fn from_words(text: &str, detail: &str) -> Self {
        let says = |words: &[&str]| words.iter().any(|w| text.contains(w) || detail.contains(w));
        if says(&["NO_SUCH_LOGON_SESSION", "PlatformError(1312)"]) {
            Self::NoLogonSession
        } else if says(&[
            "object locked",
            "prompt dismissed",
            "Secret.Error.IsLocked",
            "code: -25308,", // errSecInteractionNotAllowed
            "code: -25293,", // errSecAuthFailed
            "code: -128,",   // userCanceledErr
        ]) {
            Self::Locked
        } else if says(&[
            "result not returned from SS API",
            "Secret.Error.NoSuchObject",
            "code: -25307,", // errSecNoDefaultKeychain
            "code: -25294,", // errSecNoSuchKeychain
        ]) {
            Self::NoCollection
        } else if says(&[
            "no secret service provider",
            "Failed to connect to address", // no D-Bus session
            "DBus.Error.ServiceUnknown",
            "DBus.Error.NameHasNoOwner",
            "DBus.Error.Spawn",
            "code: -25291,", // errSecNotAvailable
        ]) {
            Self::NoService
        } else {
            Self::Platform(text.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn all() -> [StoreError; 7] {
        [
            StoreError::NoService,
            StoreError::Locked,
            StoreError::NoCollection,
            StoreError::NoLogonSession,
            StoreError::TooLong { limit: 2560 },
            StoreError::TimedOut { seconds: 15 },
            StoreError::Platform("disk full".to_owned()),
        ]
    }

    #[test]
    fn every_advice_names_the_complete_alternatives() {
        for error in all() {
            for way in ["JIM_API_KEY", "JIM_API_KEY_FILE", "-KeyFile PATH"] {
                assert!(error.advice().contains(way), "{error:?}: {}", error.advice());
            }
        }
    }

    #[test]
    fn codes_are_distinct() {
        let codes: std::collections::BTreeSet<_> = all().iter().map(StoreError::code).collect();
        assert_eq!(codes.len(), all().len());
    }

    #[test]
    fn the_platforms_words_are_recognised() {
        let of = |text: &str| {
            StoreError::from_keyring(&Keyring::PlatformFailure(Box::new(std::io::Error::other(text.to_owned()))))
        };
        assert_eq!(of("SS Error: object locked"), StoreError::Locked);
        assert_eq!(of("SS error: prompt dismissed"), StoreError::Locked);
        assert_eq!(of("SS error: result not returned from SS API"), StoreError::NoCollection);
        assert_eq!(of("no secret service provider or dbus session found"), StoreError::NoService);
        assert_eq!(
            of("zbus error: Failed to connect to address `unix:path=/run/user/0/bus`: No such file"),
            StoreError::NoService
        );
        assert_eq!(of("Windows ERROR_NO_SUCH_LOGON_SESSION"), StoreError::NoLogonSession);
        assert_eq!(of("disk full"), StoreError::Platform("disk full".to_owned()));
        assert_eq!(
            StoreError::from_keyring(&Keyring::TooLong("secret".to_owned(), 2560)),
            StoreError::TooLong { limit: 2560 }
        );
    }

    #[test]
    fn an_entrys_bytes_do_not_reach_the_error() {
        let error = StoreError::from_keyring(&Keyring::BadEncoding(b"hunter2".to_vec()));
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2") && !text.contains("104, 117"), "{text}");
    }
}
