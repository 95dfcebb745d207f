//! `jimhost generate`: for developers of jimhost, in a source checkout.

use super::{fail, note};
use crate::powershell;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    /// Root of the source checkout
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Write nothing; fail when a file isn't what the catalogue says
    #[arg(long)]
    check: bool,
}

pub fn run(options: &Options) -> ExitCode {
    let faults = powershell::faults();
    if !faults.is_empty() {
        return fail(&format!("the views have faults:\n  {}", faults.join("\n  ")));
    }
    if !options.check {
        return match powershell::write(&options.root) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("the files can't be written: {error}")),
        };
    }
    let stale = powershell::stale(&options.root);
    for path in &stale {
        note(&format!("stale: {} (run `jimhost generate`)", path.display()));
    }
    if stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
