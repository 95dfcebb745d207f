//! The name under which a server's secrets are kept: `scheme://host:port`, lower-cased.

use std::fmt;

use url::Url;

/// One server as the stores know it. The port is always written out; path, query and user are
/// dropped, so two instances behind one host and port share an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerKey(String);

impl ServerKey {
    pub fn of(url: &Url) -> Self {
        let scheme = url.scheme();
        let host = url.host_str().unwrap_or_default().to_lowercase();
        Self(match url.port_or_known_default() {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        })
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// For files and messages: an address may carry a password, and a query anything.
pub(super) fn without_secrets(url: &Url) -> Url {
    let mut bare = url.clone();
    // These fail only for addresses without a host, which hold no password either.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare.set_query(None);
    bare.set_fragment(None);
    bare
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn key(url: &str) -> String {
        ServerKey::of(&Url::parse(url).unwrap()).to_string()
    }

    #[test]
    fn the_port_is_explicit_and_the_path_dropped() {
        assert_eq!(key("HTTPS://Jim.Example.COM/base/?a=b"), "https://jim.example.com:443");
        assert_eq!(key("http://jim"), "http://jim:80");
        assert_eq!(key("https://jim:5203/x"), "https://jim:5203");
        assert_eq!(key("https://user@[::1]:8443"), "https://[::1]:8443");
    }

    #[test]
    fn passwords_in_an_address_are_not_shown() {
        let url = Url::parse("https://me:hunter2@jim:8443/base/?token=x#y").unwrap();
        assert_eq!(without_secrets(&url).as_str(), "https://jim:8443/base/");
    }
}
