//! Which servers are trusted: the operating system's roots, one certificate file, or no check at all.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::error::ApiError;

/// How the server's certificate is checked.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// Accept any certificate. Traffic is encrypted, but nothing proves who answers.
    pub skip_certificate_check: bool,
    /// PEM (or DER) file, trusted besides the system's roots: a private root, or the
    /// server's own (self-signed) certificate, which is then recognised as it is.
    pub certificate_file: Option<PathBuf>,
}

/// The TLS configuration of one connection.
///
/// # Errors
/// [`ApiError::CertificateFile`] if the file can't be read or holds no certificate.
pub(super) fn client_config(options: &TlsOptions) -> Result<ClientConfig, ApiError> {
    let provider = Arc::new(ring::default_provider());
    let named = match &options.certificate_file {
        Some(path) => read_certificates(path)?,
        None => Vec::new(),
    };
    let trust =
        Trust { provider: Arc::clone(&provider), skip: options.skip_certificate_check, named, system: OnceLock::new() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| ApiError::Setup { cause: cause.to_string() })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth();
    // reqwest leaves a configuration it is given as it is, so HTTP/2 must be offered here.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ApiError> {
    let refused = |cause: String| ApiError::CertificateFile { path: path.to_path_buf(), cause };
    let bytes = std::fs::read(path).map_err(|cause| refused(cause.to_string()))?;
    let mut found = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| refused(cause.to_string()))?;
    // Windows exports DER by default: a SEQUENCE whose first byte is 0x30.
    if found.is_empty() && bytes.first() == Some(&0x30) {
        found.push(CertificateDer::from(bytes));
    }
    if found.is_empty() {
        return Err(refused("it holds no certificate (expected '-----BEGIN CERTIFICATE-----')".into()));
    }
    for certificate in &found {
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|cause| refused(format!("it holds a certificate that can't be used: {cause}")))?;
    }
    Ok(found)
}

/// Decides about a server's certificate.
struct Trust {
    provider: Arc<CryptoProvider>,
    skip: bool,
    named: Vec<CertificateDer<'static>>,
    /// Reading the system's roots costs milliseconds and may fail where there are none,
    /// so it waits for the first handshake: plain http never needs it.
    system: OnceLock<Result<Verifier, rustls::Error>>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("skip", &self.skip).field("named", &self.named.len()).finish_non_exhaustive()
    }
}

impl Trust {
    fn system(&self) -> Result<&Verifier, rustls::Error> {
        self.system
            .get_or_init(|| Verifier::new_with_extra_roots(self.named.iter().cloned(), Arc::clone(&self.provider)))
            .as_ref()
            .map_err(Clone::clone)
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.skip {
            return Ok(ServerCertVerified::assertion());
        }
        let verdict = self
            .system()
            .and_then(|system| system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now));
        match verdict {
            Ok(verified) => Ok(verified),
            Err(expired) if is_out_of_date(&expired) => Err(expired),
            // The server shows the very certificate the user named: neither a chain nor a
            // host name can prove more. (webpki refuses a self-signed CA as a leaf, which is
            // what `openssl req -x509` makes.)
            Err(_) if self.named.iter().any(|named| named == end_entity) => Ok(ServerCertVerified::assertion()),
            Err(other) => Err(other),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn is_out_of_date(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        error,
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
    )
}

/// Why a TLS handshake failed, as far as advice differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsRefusal {
    /// No trusted root signed the certificate (self-signed, private root, missing intermediate).
    UnknownIssuer,
    /// The certificate is for other host names.
    WrongHost,
    /// The certificate is past its end, or the clock here is wrong.
    Expired,
    /// The certificate starts in the future, or the clock here is wrong.
    NotYetValid,
    /// The other side doesn't speak TLS on this port.
    NotTls,
    /// Anything else; the cause has the words.
    Other,
}

impl TlsRefusal {
    pub(super) fn of(error: &rustls::Error) -> Self {
        use CertificateError as C;
        match error {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                C::UnknownIssuer | C::BadSignature => Self::UnknownIssuer,
                C::NotValidForName | C::NotValidForNameContext { .. } => Self::WrongHost,
                C::Expired | C::ExpiredContext { .. } => Self::Expired,
                C::NotValidYet | C::NotValidYetContext { .. } => Self::NotYetValid,
                // What webpki says about a self-signed CA shown as the server's certificate.
                C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => Self::UnknownIssuer,
                _ => Self::Other,
            },
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Other,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "its certificate is not signed by an authority this computer trusts",
            Self::WrongHost => "its certificate was issued for another host name",
            Self::Expired => "its certificate has expired (or the clock of this computer is wrong)",
            Self::NotYetValid => "its certificate is not valid yet (or the clock of this computer is wrong)",
            Self::NotTls => "it does not speak TLS on this port",
            Self::Other => "the TLS handshake failed",
        }
    }

    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::UnknownIssuer => {
                "Name the issuer's or the server's certificate with -CertificateFile, or, for a test server only, use -SkipCertificateCheck."
            }
            Self::WrongHost => {
                "Use the host name that the certificate was issued for in -Url, name the server's certificate with -CertificateFile, or, for a test server only, use -SkipCertificateCheck."
            }
            Self::Expired | Self::NotYetValid => {
                "Check the clock of this computer and have the server's certificate renewed; -CertificateFile can't help here. For a test server only, use -SkipCertificateCheck."
            }
            Self::NotTls => "Check the port in -Url, or use http:// if this server is meant to run without TLS.",
            Self::Other => {
                "Check that -Url names the right server and port. If its certificate is a private one, use -CertificateFile or, for a test server only, -SkipCertificateCheck."
            }
        }
    }
}
