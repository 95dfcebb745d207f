//! API keys and passwords in files that a person or a service manager chose: systemd credentials, container
//! secrets, a file written on request.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use secrecy::zeroize::{Zeroize, Zeroizing};
use secrecy::{ExposeSecret, SecretString};

/// Larger files are refused: nobody's API key, and a typo may name a log.
const LARGEST: u64 = 64 * 1024;

/// What went wrong with one file; never holds its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The key file '{}' {what}.", path.display())]
pub struct KeyFileError {
    pub path: PathBuf,
    pub what: String,
}

impl KeyFileError {
    fn new(path: &Path, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), what: what.into() }
    }
}

/// Reads the key, without line ends after it. The warning tells of a file that others may read.
pub fn read(path: &Path) -> Result<(SecretString, Option<String>), KeyFileError> {
    let refuse = |what: &str| KeyFileError::new(path, what);
    let failed = |error: std::io::Error| KeyFileError::new(path, format!("cannot be read: {error}"));

    // Windows would call a directory "access denied", which misleads.
    if fs::metadata(path).map_err(failed)?.is_dir() {
        return Err(refuse("is a directory"));
    }
    let file = File::open(path).map_err(failed)?;
    let warning = readable_by_others(path, &file);
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(refuse("is larger than 64 KiB, which no key is"));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| refuse("is not UTF-8 text; save it as UTF-8 (Set-Content -Encoding utf8NoBOM)"))?;
    let key = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
    if key.trim().is_empty() {
        return Err(refuse("is empty"));
    }
    Ok((SecretString::from(key), warning))
}

/// Only for files of this account: a service manager's own files are its business.
#[cfg(unix)]
fn readable_by_others(path: &Path, file: &File) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let about = file.metadata().ok()?;
    // A fresh temporary file has this account's id; std has no call that tells it without unsafe.
    let own = tempfile::tempfile().ok()?.metadata().ok()?.uid();
    (about.uid() == own && about.mode() & 0o077 != 0).then(|| {
        format!(
            "The key file '{0}' is open to other accounts (mode {1:03o}). Close it with: chmod 600 '{0}'",
            path.display(),
            about.mode() & 0o777
        )
    })
}

#[cfg(not(unix))]
fn readable_by_others(_path: &Path, _file: &File) -> Option<String> {
    None
}

/// Writes the key and a line end, replacing the file whole. Mode 0600 from the first byte on Unix;
/// on Windows the directory's inherited access rules hold.
pub fn write(path: &Path, key: &SecretString) -> Result<(), KeyFileError> {
    let failed = |error: std::io::Error| KeyFileError::new(path, format!("cannot be written: {error}"));
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(KeyFileError::new(
            path,
            format!("cannot be written: the directory '{}' does not exist; create it first", directory.display()),
        ));
    }
    let mut line = format!("{}\n", key.expose_secret());
    let written = replace(directory, path, line.as_bytes());
    line.zeroize();
    written.map_err(failed)
}

/// Also used for the list of connections: the old file or the new one, never half of one.
pub(super) fn replace(directory: &Path, path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".jimhost-").tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn with(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, content).unwrap();
        (directory, path)
    }

    #[test]
    fn what_is_written_is_read_back_and_closed_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, &SecretString::from("jim_ak_1")).unwrap();
        write(&path, &SecretString::from("jim_ak_2")).unwrap();
        let (key, warning) = read(&path).unwrap();
        assert_eq!(key.expose_secret(), "jim_ak_2");
        assert_eq!(warning, None);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn line_ends_go_and_inner_text_stays() {
        let (_directory, path) = with(b"\xef\xbb\xbfa b\r\n\n");
        assert_eq!(read(&path).unwrap().0.expose_secret(), "a b");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_open_to_others_is_a_warning() {
        use std::os::unix::fs::PermissionsExt;
        let (_directory, path) = with(b"k");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let warning = read(&path).unwrap().1.unwrap();
        assert!(warning.contains("640"), "{warning}");
        assert!(warning.contains("chmod 600"), "{warning}");
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for (content, word) in
            [(&b"\r\n"[..], "empty"), (&b"secret\xff"[..], "UTF-8"), (&vec![b'x'; 65 * 1024][..], "64 KiB")]
        {
            let (_directory, path) = with(content);
            let error = read(&path).unwrap_err();
            assert!(error.what.contains(word), "{error}");
            assert!(error.to_string().contains(&*path.to_string_lossy()));
            assert!(!format!("{error:?}").contains("secret"));
        }
        let (directory, path) = with(b"k");
        assert!(read(directory.path()).unwrap_err().what.contains("directory"));
        let below = path.with_file_name("none").join("key");
        assert!(read(&below).is_err());
        let error = write(&below, &SecretString::from("k")).unwrap_err();
        assert!(error.what.contains("does not exist"), "{error}");
    }
}
