//! TLS: a certificate nobody vouches for is refused with advice, and accepted when told so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use support::{COLLECT, Pwsh};

/// A JIM server of few words behind a self-signed certificate; gives its port and the certificate.
fn serve() -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || answer(stream, config));
        }
    });
    (port, made.cert.pem())
}

fn answer(stream: TcpStream, config: Arc<rustls::ServerConfig>) {
    let Ok(session) = rustls::ServerConnection::new(config) else { return };
    let mut tls = rustls::StreamOwned::new(session, stream);
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !seen.windows(4).any(|w| w == b"\r\n\r\n") {
        match tls.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => seen.extend_from_slice(&buffer[..n]),
        }
    }
    let head = String::from_utf8_lossy(&seen).to_lowercase();
    let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
    let ends = seen.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4 + length.unwrap_or(0);
    while seen.len() < ends {
        match tls.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => seen.extend_from_slice(&buffer[..n]),
        }
    }
    let body = if seen.starts_with(b"POST /GroupIDSecurityService/connect/token") {
        r#"{"access_token":"opaque","token_type":"Bearer","expires_in":1200}"#
    } else if seen.starts_with(b"GET /GroupIDDataService/api/DataSyncJobs/Names") {
        "[]"
    } else if seen.starts_with(b"GET /GroupIDDataService") {
        r#"{"count":0,"data":[],"status":0,"message":null}"#
    } else if seen.starts_with(b"GET /api/v1/synchronisation") {
        r#"{"items":[],"totalCount":0}"#
    } else {
        r#"{"status":"healthy","version":"0.14.0"}"#
    };
    let _ = write!(
        tls,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = tls.flush();
    tls.conn.send_close_notify();
    let _ = tls.flush();
}

#[test]
fn refused_by_default_accepted_when_pinned_or_told() {
    let (port, certificate) = serve();
    let mut pwsh = Pwsh::new(&format!("https://127.0.0.1:{port}"));
    std::fs::write(pwsh.home.path().join("server.pem"), certificate).unwrap();
    let refused =
        pwsh.run(&format!("{COLLECT}Show-Outcome {{ Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist }}")).json();
    let error = &refused["errors"][0];
    assert!(error["id"].as_str().unwrap().starts_with("JIM.TlsRefused,"), "{refused:#}");
    assert_eq!(error["category"], "SecurityError");
    let said = format!("{} {}", error["message"], error["advice"]);
    assert!(said.contains("-CertificateFile") && said.contains("-SkipCertificateCheck"), "{said}");
    for option in ["-SkipCertificateCheck", "-CertificateFile (Join-Path $HOME server.pem)"] {
        let run = pwsh.run(&format!("(Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist {option} 6>$null).Connected"));
        assert!(run.stdout.contains("True"), "{option}: {}", run.text());
    }
}

#[test]
fn directory_managers_certificates_are_mostly_self_signed() {
    const CONNECT: &str = "$secret = ConvertTo-SecureString -String Secret-1 -AsPlainText -Force
        Connect-NDM -Server $Url -Credential ([pscredential]::new('u', $secret)) -IdentityStoreId 2 -ClientId c -ClientSecret $secret -NoPersist";
    let (port, certificate) = serve();
    let mut pwsh = Pwsh::new(&format!("https://127.0.0.1:{port}"));
    std::fs::write(pwsh.home.path().join("server.pem"), certificate).unwrap();
    let refused = pwsh.run(&format!("{COLLECT}Show-Outcome {{ {CONNECT} }}")).json();
    let error = &refused["errors"][0];
    assert!(error["id"].as_str().unwrap().starts_with("NDM.TlsRefused,"), "{refused:#}");
    let said = format!("{} {}", error["message"], error["advice"]);
    assert!(said.contains("-CertificateFile") && said.contains("-SkipCertificateCheck"), "{said}");
    for option in ["-SkipCertificateCheck", "-CertificateFile (Join-Path $HOME server.pem)"] {
        let run = pwsh.run(&format!("$null = {CONNECT} {option} 6>$null 3>$null\n(Get-NDMConnection).Connected"));
        assert!(run.stdout.contains("True"), "{option}: {}", run.text());
    }
}
