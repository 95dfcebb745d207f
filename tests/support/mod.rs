//! What the end-to-end tests share: the program under test, a sandbox, a scripted server, the real
//! PowerShell engine, and a client of the host's own messages.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod host;
pub mod http;
pub mod pwsh;
pub mod sandbox;
pub mod stub;
pub mod told;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The key a sandbox accepts.
pub const KEY: &str = "jim_ak_sandbox_0123456789";
/// A key it knows and gives no role.
pub const READER_KEY: &str = "jim_ak_sandbox_reader_000000";

/// The program under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_jimhost"))
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn module() -> PathBuf {
    root().join("module").join("JimHost").join("JimHost.psd1")
}

/// The program with nothing of this machine's: no keys, no remembered connections, no keyring.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(program());
    alone(&mut command, home);
    command
}

/// Takes away what belongs to whoever runs the tests.
pub fn alone(command: &mut Command, home: &Path) {
    for name in [
        "DBUS_SESSION_BUS_ADDRESS",
        "JIM_URL",
        "JIM_API_KEY",
        "JIM_API_KEY_FILE",
        "JIM_RUNPROFILE_ABORT_SENTINEL",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home);
    command.env("XDG_CONFIG_HOME", home.join("config")).env("XDG_DATA_HOME", home.join("data"));
    command.env("JIMHOST_CONFIG_DIR", home.join("jimhost")).env("JIMHOST_PATH", program());
    command.env("TZ", "UTC").env("NO_COLOR", "1");
}

/// Waits for an end, at most so long; None when it goes on.
pub fn wait_for(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if start.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
