//! The server as people write it: a host, host and port, or an address.

use super::error::NdmError;
use std::net::Ipv6Addr;
use url::Url;

/// The port of the product's web services in every page of its documentation.
const PORT: u16 = 4443;

/// `dm01`, `dm01:4443`, `https://dm01:4443`. Without a port in the text `port` counts, else 4443.
pub fn parse(text: &str, port: Option<u16>) -> Result<Url, NdmError> {
    let bad = |problem: &str| NdmError::BadServer { text: shown(text), problem: problem.to_owned() };
    let trimmed = text.trim().trim_end_matches('/');
    let (scheme, rest) = match trimmed.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
        Some(_) => return Err(bad("it must begin with https:// or http://, or be a host name")),
        None => ("https", trimmed),
    };
    if rest.contains('@') {
        return Err(bad("it must not hold a user name or password; give those with -Credential"));
    }
    if rest.contains(['/', '?', '#', '\\']) {
        return Err(bad("it must be the server alone, without a path"));
    }
    // An IPv6 address is full of colons, and only brackets tell its port apart.
    let is_bare_v6 = rest.parse::<Ipv6Addr>().is_ok();
    let (host, own) = match rest.rsplit_once(':') {
        Some((host, own)) if !is_bare_v6 && !own.ends_with(']') => (host.to_owned(), Some(own)),
        _ if is_bare_v6 => (format!("[{rest}]"), None),
        _ => (rest.to_owned(), None),
    };
    let own = match own {
        Some(own) => Some(
            own.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(|| bad("its port is no number from 1 to 65535"))?,
        ),
        None => None,
    };
    if let (Some(own), Some(port)) = (own, port)
        && own != port
    {
        return Err(bad(&format!("it names port {own}, and -Port says {port}")));
    }
    let port = own.or(port).unwrap_or(PORT);
    let url = Url::parse(&format!("{scheme}://{host}:{port}")).map_err(|_| bad("it is no host name"))?;
    if url.host_str().is_none_or(str::is_empty) || host.trim().is_empty() {
        return Err(bad("it names no host"));
    }
    Ok(url)
}

/// What was typed, without a password that stands before an `@`.
fn shown(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn servers_as_people_write_them() {
        for (text, port, url) in [
            ("dm01", None, "https://dm01:4443/"),
            (" DM01.example.com ", Some(8443), "https://dm01.example.com:8443/"),
            ("dm01:5000", None, "https://dm01:5000/"),
            ("https://dm01", None, "https://dm01:4443/"),
            ("https://dm01:443/", None, "https://dm01/"),
            ("HTTP://127.0.0.1:5201", Some(5201), "http://127.0.0.1:5201/"),
            ("::1", None, "https://[::1]:4443/"),
            ("[::1]:5000", None, "https://[::1]:5000/"),
            ("[::1]", None, "https://[::1]:4443/"),
        ] {
            assert_eq!(parse(text, port).unwrap().as_str(), url, "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_and_a_password_in_it_is_not_shown() {
        for text in ["", "https://", "ftp://dm01", "dm01/portal", "dm01:x", "dm01:0", "dm 01", "me:hunter2@dm01"] {
            let error = parse(text, None).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(parse("dm01:1", Some(2)).unwrap_err().to_string().contains("-Port says 2"));
    }
}
