//! `jimhost demo`: the main job, in front of the user: a sandbox, a real PowerShell, the module.

use super::doctor::{HOW_TO_GET_POWERSHELL, find_powershell};
use super::{fail, note};
use crate::powershell;
use crate::sandbox::{self, SandboxOptions, ndm};
use clap::Args;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitCode, Stdio};

const SCRIPT: &str = include_str!("demo.ps1");
/// A job collection in the documented shape, for the part about Directory Manager.
const COLLECTION: &str = include_str!("demo-collection.json");

#[derive(Args)]
pub struct Options {
    /// Leave the PowerShell session open afterwards, to go on by hand
    #[arg(long)]
    stay: bool,
}

pub async fn run(options: Options) -> ExitCode {
    let Some(pwsh) = find_powershell() else {
        return fail(&format!("PowerShell was not found. {HOW_TO_GET_POWERSHELL}"));
    };
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => return fail(&format!("no temporary folder: {error}")),
    };
    // The module as this program would generate it: the demo needs no checkout.
    let written = powershell::write(folder.path())
        .and_then(|()| std::fs::write(folder.path().join("demo.ps1"), SCRIPT))
        .and_then(|()| std::fs::write(folder.path().join("create.json"), COLLECTION));
    if let Err(error) = written {
        return fail(&format!("the demo can't be written: {error}"));
    }
    let (ready, address) = tokio::sync::oneshot::channel();
    let sandbox = sandbox::serve(SandboxOptions::default(), |address| {
        let _ = ready.send(address);
    });
    let session = async {
        match address.await {
            Ok(address) => show(&pwsh, folder.path(), address, options.stay).await,
            Err(_) => fail("the sandbox did not start"),
        }
    };
    tokio::select! {
        outcome = sandbox => match outcome {
            Ok(()) => fail("the sandbox ended"),
            Err(error) => fail(&format!("the sandbox can't start: {error}")),
        },
        code = session => code,
    }
}

async fn show(pwsh: &Path, folder: &Path, address: SocketAddr, stay: bool) -> ExitCode {
    let mut command = std::process::Command::new(pwsh);
    command.args(["-NoLogo", "-NoProfile"]);
    if stay {
        command.arg("-NoExit");
    }
    command.arg("-File").arg(folder.join("demo.ps1"));
    command.env("JIMHOST_DEMO_URL", format!("http://{address}")).env("JIMHOST_DEMO_KEY", sandbox::DEFAULT_KEY);
    command.env("JIMHOST_DEMO_MODULE", folder.join("module").join("JimHost").join("JimHost.psd1"));
    let sign_in = [
        ("JIMHOST_DEMO_USER", ndm::USER),
        ("JIMHOST_DEMO_PASSWORD", ndm::PASSWORD),
        ("JIMHOST_DEMO_STORE", ndm::IDENTITY_STORE),
        ("JIMHOST_DEMO_CLIENT", ndm::CLIENT),
        ("JIMHOST_DEMO_SECRET", ndm::CLIENT_SECRET),
    ];
    command.envs(sign_in).env("JIMHOST_DEMO_FOLDER", folder);
    // The demo leaves nothing behind: neither in the list of connections nor, at its end, in the keyring.
    command.env("JIMHOST_CONFIG_DIR", folder.join("config"));
    match std::env::current_exe() {
        Ok(program) => command.env("JIMHOST_PATH", program),
        Err(error) => return fail(&format!("this program can't find itself: {error}")),
    };
    command.stdin(if stay { Stdio::inherit() } else { Stdio::null() });
    // On a thread of its own: this one serves the sandbox.
    let (done, waiting) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = done.send(command.status());
    });
    match waiting.await {
        Ok(Ok(status)) if status.success() => ExitCode::SUCCESS,
        Ok(Ok(status)) => fail(&format!("the demo ended with {status}")),
        Ok(Err(error)) => fail(&format!("{} can't be started: {error}", pwsh.display())),
        Err(_) => {
            note("the demo was cut off");
            ExitCode::FAILURE
        }
    }
}
