//! Certificates: which are believed, and what is said about the others.

use std::io::Write as _;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::scripted::Server;
use super::*;

fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(server_config(certificate, key)))
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A server with a self-signed certificate, and that certificate.
async fn self_signed(params: CertificateParams) -> (Server, rcgen::Certificate) {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (Server::start_tls(acceptor(certificate.der().clone(), &key)).await, certificate)
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

async fn send(base: &str, tls: TlsOptions) -> Result<Response, ApiError> {
    let mut options = options(base);
    options.tls = tls;
    Connection::new(options, Auth::Anonymous)?.send(&get("/x")).await
}

fn trusting(bytes: &[u8]) -> (TlsOptions, tempfile::NamedTempFile) {
    let file = file(bytes);
    let path = Some(file.path().to_owned());
    (TlsOptions { skip_certificate_check: false, certificate_file: path }, file)
}

fn reason(result: Result<Response, ApiError>) -> TlsRefusal {
    match result {
        Err(ApiError::TlsRefused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_certificate_is_refused_with_both_ways_out() {
    let (server, _) = self_signed(params("127.0.0.1")).await;
    let error = send(&server.base(), TlsOptions::default()).await.unwrap_err();
    assert_eq!((error.code(), error.category(), error.retryable()), ("TlsRefused", Category::SecurityError, false));
    assert_eq!(server.accepted(), 1, "a certificate doesn't become better by asking again");
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{}", server.port())), "{text}");
    assert!(text.contains("-CertificateFile") && text.contains("-SkipCertificateCheck"), "{text}");
    assert_eq!(reason(Err(error)), TlsRefusal::UnknownIssuer);

    let skip = TlsOptions { skip_certificate_check: true, certificate_file: None };
    assert_eq!(send(&server.base(), skip).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_servers_own_certificate_can_be_named() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        for name in ["127.0.0.1", "some-other-name"] {
            let mut params = params(name);
            params.is_ca = is_ca;
            let (server, certificate) = self_signed(params).await;
            let (pem, _pem) = trusting(certificate.pem().as_bytes());
            assert_eq!(send(&server.base(), pem).await.unwrap().status, 200);
            let (der, _der) = trusting(certificate.der());
            assert_eq!(send(&server.base(), der).await.unwrap().status, 200);
        }
    }
}

#[tokio::test]
async fn another_certificate_of_the_same_name_is_not_believed() {
    let (server, _) = self_signed(params("127.0.0.1")).await;
    let impostor = params("127.0.0.1").self_signed(&KeyPair::generate().unwrap()).unwrap();
    let (tls, _file) = trusting(impostor.pem().as_bytes());
    assert_eq!(reason(send(&server.base(), tls).await), TlsRefusal::UnknownIssuer);
}

#[tokio::test]
async fn a_private_root_vouches_for_its_names_only() {
    let mut root = params("Example Root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let (tls, _file) = trusting(root.pem().as_bytes());
    for (name, good) in [("127.0.0.1", true), ("jim.example", false)] {
        let key = KeyPair::generate().unwrap();
        let leaf = params(name).signed_by(&key, &root).unwrap();
        let server = Server::start_tls(acceptor(leaf.der().clone(), &key)).await;
        let result = send(&server.base(), tls.clone()).await;
        if good {
            assert_eq!(result.unwrap().status, 200);
        } else {
            assert_eq!(reason(result), TlsRefusal::WrongHost);
        }
    }
}

#[tokio::test]
async fn an_expired_certificate_is_refused_even_if_named() {
    let mut params = params("127.0.0.1");
    (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    let (server, certificate) = self_signed(params).await;
    let (tls, _file) = trusting(certificate.pem().as_bytes());
    assert_eq!(reason(send(&server.base(), tls).await), TlsRefusal::Expired);
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered() {
    let key = KeyPair::generate().unwrap();
    let certificate = params("127.0.0.1").self_signed(&key).unwrap();
    let mut config = server_config(certificate.der().clone(), &key);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let server = Server::start_tls(TlsAcceptor::from(Arc::new(config))).await;
    let (tls, _file) = trusting(certificate.pem().as_bytes());
    // The scripted server has no HTTP/2, so the call fails; the preface is what counts.
    send(&server.base(), tls).await.unwrap_err();
    assert!(server.requests()[0].starts_with("PRI * HTTP/2.0"), "{:?}", server.requests());
}

#[tokio::test]
async fn https_to_a_plain_port_says_so() {
    // A scripted server waits for the end of a request; a real one answers the odd bytes.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!(reason(send(&format!("https://{address}"), TlsOptions::default()).await), TlsRefusal::NotTls);
}

#[test]
fn a_certificate_file_is_checked_before_anything_is_sent() {
    let connect = |path: std::path::PathBuf| {
        let mut options = Options::new(Url::parse("https://jim.example").unwrap());
        options.tls.certificate_file = Some(path);
        Connection::new(options, Auth::Anonymous).unwrap_err()
    };
    let error = connect("/no/such/file.pem".into());
    assert_eq!(error.code(), "CertificateFileInvalid");
    assert!(error.to_string().contains("/no/such/file.pem"), "{error}");
    for bad in ["no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let file = file(bad.as_bytes());
        assert_eq!(connect(file.path().to_owned()).code(), "CertificateFileInvalid", "{bad}");
    }
}
