//! The subcommands: parsing, and what each prints. Only here and in the protocol's writer is stdout
//! touched.

mod demo;
mod doctor;
mod generate;
mod invoke;
mod sandbox;

use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;
use tokio::task::LocalSet;

/// Cmdlet host for JIM and Netwrix Directory Manager.
#[derive(Parser)]
#[command(name = "jimhost", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a PowerShell module: JSON lines on stdin and stdout (docs/protocol.md)
    Serve,
    /// Run one cmdlet from any shell: objects as JSON lines on stdout, messages on stderr
    Invoke(invoke::Options),
    /// Serve look-alikes of JIM and Directory Manager from memory, for trying and rehearsing
    Sandbox(sandbox::Options),
    /// Say what this program finds on this machine: credentials, PowerShell, remembered connections
    Doctor(doctor::Options),
    /// Start the sandbox and show the main job in a real PowerShell
    Demo(demo::Options),
    /// Write the PowerShell module, its help and the reference pages from the catalogue
    Generate(generate::Options),
}

pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve => block_on(crate::host::serve()),
        // A request may outlive its call.
        Command::Invoke(options) => return block_on(LocalSet::new().run_until(invoke::run(options))),
        Command::Sandbox(options) => block_on(sandbox::run(options)),
        Command::Doctor(options) => block_on(doctor::run(options)),
        Command::Demo(options) => return block_on(demo::run(options)),
        Command::Generate(options) => return generate::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Who read our output has seen enough (`jimhost doctor | head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// One thread is enough: the work is waiting. Files and keyring have threads of their own.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => {
            fail(&format!("the runtime can't start: {error}"));
            std::process::exit(1)
        }
    }
}

/// A line on stdout.
fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// A line on stderr.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn fail(text: &str) -> ExitCode {
    note(&format!("jimhost: {text}"));
    ExitCode::FAILURE
}
