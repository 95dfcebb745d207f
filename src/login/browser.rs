//! Starts the user's browser, without waiting for it and without lending it our streams: stdout
//! is the protocol's.

use std::process::{Command, Stdio};
use std::thread;

use url::Url;

/// Opens `url` in a browser. True when one was started; whether it shows the page, nobody knows.
pub fn open_browser(url: &Url) -> bool {
    // The address comes from a server: never let it name a file or a program.
    if !matches!(url.scheme(), "http" | "https") {
        return false;
    }
    command(url).is_some_and(start)
}

/// Whether there is a program that opens pages. Without one a login would only wait for its time-out.
pub fn has_browser() -> bool {
    Url::parse("http://localhost/").is_ok_and(|url| command(&url).is_some())
}

fn start(mut command: Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    detach(&mut command);
    let Ok(mut child) = command.spawn() else {
        return false;
    };
    // Some openers live as long as the browser; without a wait each would stay behind as a zombie.
    let reaper = thread::Builder::new().name("browser".into()).spawn(move || {
        let _ = child.wait();
    });
    drop(reaper);
    true
}

/// Ctrl-C in the terminal must not reach the browser.
#[cfg(unix)]
fn detach(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(windows)]
fn detach(command: &mut Command) {
    const DETACHED_PROCESS: u32 = 0x0000_0008;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    std::os::windows::process::CommandExt::creation_flags(command, DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}

#[cfg(windows)]
fn command(url: &Url) -> Option<Command> {
    // By full path, so that no program of that name in the current folder is taken instead.
    let root = std::env::var_os("SystemRoot")?;
    let program = std::path::Path::new(&root).join("System32").join("rundll32.exe");
    let mut command = Command::new(program);
    command.arg("url.dll,FileProtocolHandler").arg(url.as_str());
    Some(command)
}

#[cfg(target_os = "macos")]
fn command(url: &Url) -> Option<Command> {
    let mut command = Command::new("/usr/bin/open");
    command.arg(url.as_str());
    Some(command)
}

#[cfg(not(any(windows, target_os = "macos")))]
fn command(url: &Url) -> Option<Command> {
    linux::command(|name| std::env::var_os(name), url)
}

#[cfg(not(any(windows, target_os = "macos")))]
mod linux {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::Command;

    use url::Url;

    /// The order of the official module.
    const OPENERS: [&str; 7] =
        ["xdg-open", "sensible-browser", "x-www-browser", "gnome-open", "firefox", "chromium-browser", "google-chrome"];

    pub fn command(env: impl Fn(&str) -> Option<OsString>, url: &Url) -> Option<Command> {
        let path = env("PATH")?;
        // Without a screen only xdg-open can know a way; the others would fail, or take the terminal, and
        // a script with nobody watching would wait for a login that can't come.
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        let screen = ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER"].into_iter().any(set);
        let usable = OPENERS.into_iter().filter(|name| screen || *name == "xdg-open");
        let program = usable.into_iter().find_map(|name| on_path(&path, name))?;
        let mut command = Command::new(program);
        command.arg(url.as_str());
        Some(command)
    }

    fn on_path(path: &OsStr, name: &str) -> Option<PathBuf> {
        std::env::split_paths(path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .find(|file| file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn only_web_addresses_are_opened() {
        assert!(!open_browser(&Url::parse("file:///bin/sh").unwrap()));
        assert!(!open_browser(&Url::parse("ms-settings:about").unwrap()));
    }

    #[cfg(not(any(windows, target_os = "macos")))]
    mod linux {
        use std::os::unix::fs::PermissionsExt;
        use std::time::{Duration, Instant};

        use super::*;

        fn tool(folder: &std::path::Path, name: &str, script: &str, mode: u32) {
            let file = folder.join(name);
            std::fs::write(&file, script).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }

        fn chosen(folder: &std::path::Path, screen: bool) -> Option<Command> {
            let path = folder.as_os_str().to_owned();
            let env = move |name: &str| match name {
                "PATH" => Some(path.clone()),
                "DISPLAY" if screen => Some(std::ffi::OsString::from(":0")),
                _ => None,
            };
            super::super::linux::command(env, &Url::parse("https://x.example/?a=1&b=$(id)").unwrap())
        }

        #[test]
        fn the_first_opener_that_can_run_is_taken_and_not_waited_for() {
            let folder = tempfile::tempdir().unwrap();
            let seen = folder.path().join("seen");
            let script = format!(
                "#!/bin/sh\necho noise\nprintf %s \"$1\" > {0}.part && mv {0}.part {0}\nexec sleep 5\n",
                seen.display()
            );
            tool(folder.path(), "xdg-open", &script, 0o644);
            tool(folder.path(), "sensible-browser", "#!/bin/sh\n", 0o644);
            tool(folder.path(), "firefox", &script, 0o755);
            tool(folder.path(), "google-chrome", "#!/bin/sh\n", 0o755);

            let begin = Instant::now();
            let mut command = chosen(folder.path(), true).unwrap();
            assert!(command.get_program().to_str().unwrap().ends_with("/firefox"));
            command.env("PATH", std::env::var_os("PATH").unwrap());
            assert!(start(command));
            while !seen.exists() {
                assert!(begin.elapsed() < Duration::from_secs(4), "the opener did not run");
                thread::sleep(Duration::from_millis(10));
            }
            let argument = std::fs::read_to_string(&seen).unwrap();
            assert_eq!(argument, "https://x.example/?a=1&b=$(id)");
            assert!(begin.elapsed() < Duration::from_secs(4), "the opener was waited for");
        }

        #[test]
        fn no_opener_means_no_browser_and_without_a_screen_only_xdg_open_counts() {
            let folder = tempfile::tempdir().unwrap();
            assert!(chosen(folder.path(), true).is_none());
            tool(folder.path(), "firefox", "#!/bin/sh\n", 0o755);
            assert!(chosen(folder.path(), false).is_none());
            assert!(chosen(folder.path(), true).is_some());
            tool(folder.path(), "xdg-open", "#!/bin/sh\n", 0o755);
            assert!(chosen(folder.path(), false).is_some());
        }
    }
}
