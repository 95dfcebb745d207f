//! Certificates and files of this machine: `Export-JIMCertificate` writes one, `Add-JIMCertificate
//! -LocalPath` reads one.

use super::super::Context;
use super::super::declared::{self, send, worded};
use crate::api::{Accept, Method, Request};
use crate::failure::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Larger files are no certificates; what is read is sent as one request.
const LARGEST: u64 = 1024 * 1024;

pub async fn add(context: &Context<'_>) -> Result<(), Failure> {
    let mut variables = declared::prepared(context).await?;
    if let Some(path) = context.arguments.text("LocalPath") {
        let bytes = read(Path::new(path)).map_err(|e| file_failure("read", path, &e))?;
        variables.set("CertificateData", Value::String(BASE64.encode(bytes)));
    }
    declared::run_with(context, &mut variables, None).await
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let size = std::fs::metadata(path)?.len();
    if size == 0 || size > LARGEST {
        return Err(io::Error::other(format!("it has {size} bytes, which no certificate has")));
    }
    std::fs::read(path)
}

pub async fn export(context: &Context<'_>) -> Result<(), Failure> {
    let variables = declared::prepared(context).await?;
    let connected = context.session.connection()?;
    let path = context.arguments.text("Path").map(PathBuf::from);
    let replace = context.arguments.flag("Force");
    if let Some(path) = path.as_ref().filter(|p| !replace && p.exists()) {
        return Err(exists(path));
    }
    let mut request = Request::new(Method::Get, variables.path("/api/v1/certificates/{Id}/download"));
    request.accept = Accept::Any;
    let answer = send(context, &connected, &request).await.map_err(|f| worded(context, f, &variables))?;
    match path {
        None => context.output.bytes(&BASE64.encode(&answer.body)).await,
        Some(path) => write(&path, &answer.body, replace).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&path),
            _ => file_failure("write", &path.display().to_string(), &error),
        })?,
    }
    Ok(())
}

/// The file is there whole or not at all, also when another program looks on.
fn write(path: &Path, bytes: &[u8], replace: bool) -> io::Result<()> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A certificate is public; a temporary file would be ours alone. The umask still counts.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    if replace { file.persist(path) } else { file.persist_noclobber(path) }.map_err(|e| e.error)?;
    Ok(())
}

fn exists(path: &Path) -> Failure {
    Failure::FileExists { path: path.display().to_string() }
}

fn file_failure(verb: &'static str, path: &str, error: &io::Error) -> Failure {
    Failure::File { verb, path: path.to_owned(), cause: error.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_existing_file_is_replaced_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.cer");
        write(&path, b"one", false).unwrap();
        assert_eq!(write(&path, b"two", false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write(&path, b"three", true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary stays");
    }

    #[test]
    fn what_is_no_certificate_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        assert!(read(&empty).unwrap_err().to_string().contains("0 bytes"));
        assert!(read(&folder.path().join("none")).is_err());
    }
}
