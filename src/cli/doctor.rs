//! `jimhost doctor`: what this program finds on this machine, and what to do about it.

use super::say;
use crate::credentials::{self, Store};
use crate::protocol;
use clap::Args;
use serde_json::json;
use std::io;
use std::path::PathBuf;

#[derive(Args)]
pub struct Options {
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub async fn run(options: Options) -> io::Result<()> {
    let credentials = credentials::doctor::report(&Store::new()).await;
    let program = std::env::current_exe()?;
    let powershell = find_powershell();
    if options.json {
        let report = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "protocol": protocol::VERSION,
            "program": program,
            "powershell": powershell,
            "credentials": credentials,
        });
        return say(&report.to_string());
    }
    say(&format!("jimhost      {} (protocol {})", env!("CARGO_PKG_VERSION"), protocol::VERSION))?;
    say(&format!("program      {}", program.display()))?;
    match powershell {
        Some(path) => say(&format!("PowerShell   {}", path.display()))?,
        None => say(&format!("PowerShell   not found. {HOW_TO_GET_POWERSHELL}"))?,
    }
    say(&format!("account      {}", credentials.account))?;
    match (&credentials.keyring.message, &credentials.keyring.advice) {
        (Some(message), advice) => {
            say(&format!("keyring      {message} ({})", credentials.keyring.state))?;
            say(&format!("             {}", advice.as_deref().unwrap_or_default()))?;
        }
        (None, _) => say("keyring      ok")?,
    }
    let set = if credentials.environment.is_empty() {
        "none of ours is set".into()
    } else {
        credentials.environment.join(", ")
    };
    say(&format!("environment  {set}"))?;
    for connection in &credentials.connections {
        say(&format!("remembered   {} ({:?})", connection.url, connection.source))?;
    }
    for warning in &credentials.warnings {
        say(&format!("warning      {warning}"))?;
    }
    Ok(())
}

pub const HOW_TO_GET_POWERSHELL: &str =
    "Install PowerShell 7.2 or later (https://aka.ms/powershell), or set JIMHOST_PWSH to its pwsh program.";

/// `JIMHOST_PWSH`, else `pwsh` on PATH.
pub fn find_powershell() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("JIMHOST_PWSH").filter(|p| !p.is_empty()) {
        return Some(PathBuf::from(path)).filter(|p| p.is_file());
    }
    let file = if cfg!(windows) { "pwsh.exe" } else { "pwsh" };
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(file)).find(|path| path.is_file())
}
