//! Files that documents are written to: names that every file system takes, whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Longest name in characters, without the extension.
const LONGEST: usize = 100;

/// Writes through a file beside it. `private`: for the owner alone from the first byte; on Windows
/// the folder's access rules hold.
pub fn write(path: &Path, bytes: &[u8], private: bool, replace: bool) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".jimhost-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The umask still counts.
        builder.permissions(std::fs::Permissions::from_mode(if private { 0o600 } else { 0o666 }));
    }
    #[cfg(not(unix))]
    let _ = private;
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    if replace { file.persist(path) } else { file.persist_noclobber(path) }.map_err(|error| error.error)?;
    Ok(())
}

/// Whether the path names a folder: one that is there, or by a separator at its end.
pub fn is_folder(path: &str) -> bool {
    path.ends_with(std::path::is_separator) || Path::new(path).is_dir()
}

/// The file for a collection in a folder. `number` tells apart collections whose names make the same
/// file name.
pub fn in_folder(folder: &Path, name: &str, number: Option<i64>) -> PathBuf {
    let number = number.map(|id| format!(" ({id})")).unwrap_or_default();
    folder.join(format!("{}{number}.json", safe(name)))
}

/// A name that Windows, macOS and Linux take, and that stays inside its folder.
fn safe(name: &str) -> String {
    let replaced: String =
        name.chars()
            .map(|c| {
                if c.is_control() || matches!(c, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*') {
                    '_'
                } else {
                    c
                }
            })
            .take(LONGEST)
            .collect();
    // Windows drops these at the end; at the beginning a dot hides the file.
    let trimmed = replaced.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let base = trimmed.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let device = matches!(base.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (base.len() == 4
            && (base.starts_with("COM") || base.starts_with("LPT"))
            && base.ends_with(|c: char| c.is_ascii_digit()));
    match trimmed {
        "" => "_".to_owned(),
        name if device => format!("_{name}"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_safe_everywhere() {
        for (name, expected) in [
            ("HR to AD", "HR to AD"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("a:b*c?", "a_b_c_"),
            ("con", "_con"),
            ("Com1.x", "_Com1.x"),
            ("comet", "comet"),
            (" ends. ", "ends"),
            ("...", "_"),
            ("Überprüfung\n", "Überprüfung_"),
        ] {
            assert_eq!(safe(name), expected, "{name}");
        }
        assert_eq!(safe(&"ä".repeat(300)).chars().count(), LONGEST);
        assert_eq!(in_folder(Path::new("x"), "a/b", Some(7)), Path::new("x").join("a_b (7).json"));
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_the_owners_alone_also_in_the_place_of_another() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"one", false, false).unwrap();
        assert_eq!(write(&path, b"two", false, false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        write(&path, b"three", true, true).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary stays");
    }
}
