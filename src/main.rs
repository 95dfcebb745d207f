//! The command line of `jimhost`. People meet `demo`, `doctor` and `sandbox`; the PowerShell module
//! runs `serve`, other shells `invoke`.

mod api;
mod binding;
mod catalog;
mod cli;
mod cmdlets;
mod credentials;
mod documents;
mod failure;
mod host;
mod login;
mod powershell;
mod protocol;
mod sandbox;
mod shape;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
