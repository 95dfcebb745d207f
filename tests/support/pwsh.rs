//! Scripts in the real PowerShell engine, with the module imported.

use super::{KEY, alone, module, wait_for};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `Write-Result` writes lines that begin like this.
const MARK: &str = "@@result ";
/// No test needs so long; a hang shall be a failure with its output.
const LIMIT: Duration = Duration::from_secs(150);

/// What a script said.
#[derive(Debug)]
pub struct Run {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Run {
    /// Every `Write-Result` of the script, in order.
    pub fn results(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .filter_map(|line| line.strip_prefix(MARK))
            .map(|json| serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}")))
            .collect()
    }

    /// The only `Write-Result` of the script.
    pub fn json(&self) -> Value {
        let mut results = self.results();
        assert_eq!(results.len(), 1, "one result expected\n{self:#?}");
        results.remove(0)
    }

    /// What went to stdout beside the results.
    pub fn output(&self) -> String {
        let lines: Vec<&str> = self.stdout.lines().filter(|line| !line.starts_with(MARK)).collect();
        lines.join("\n")
    }

    /// The script ran to its end.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }
}

/// A PowerShell to come: a home of its own, no keyring, no environment of ours.
pub struct Pwsh {
    pub home: PathBuf,
    _folder: Option<tempfile::TempDir>,
    /// For further variables; set before `run`.
    pub command: Command,
}

/// The engine: `JIMHOST_PWSH`, else `pwsh` on PATH.
pub fn engine() -> PathBuf {
    let named = std::env::var_os("JIMHOST_PWSH").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named
        .or_else(|| std::env::split_paths(&path).map(|folder| folder.join("pwsh")).find(|file| file.is_file()))
        .expect("PowerShell was not found: install PowerShell 7.2 or later (https://aka.ms/powershell), or set JIMHOST_PWSH to its pwsh program")
}

impl Pwsh {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut new = Self::at(folder.path());
        new._folder = Some(folder);
        new
    }

    /// In a home that outlives the session.
    pub fn at(home: &Path) -> Self {
        let mut command = Command::new(engine());
        command.args(["-NoProfile", "-NonInteractive"]);
        alone(&mut command, home);
        Self { home: home.to_owned(), _folder: None, command }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// With the Secret Service of the session that `tests/run` starts.
    pub fn with_keyring(mut self) -> Self {
        let bus = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
        self.command.env("DBUS_SESSION_BUS_ADDRESS", bus);
        self
    }

    /// Starts a script that finds `$Url`, `$ApiKey` and the helpers of [`PRELUDE`].
    pub fn start(&mut self, url: &str, script: &str) -> Child {
        let file = self.home.join(format!("script-{}.ps1", fastrand::u64(..)));
        let module = module().display().to_string();
        // In the file, not in the environment or in argv: tests look there for the key.
        let text = format!("$Url = '{url}'\n$ApiKey = '{KEY}'\nImport-Module '{module}'\n{PRELUDE}\n{script}\n");
        std::fs::write(&file, text).unwrap();
        self.command.arg("-File").arg(&file);
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().unwrap_or_else(|error| panic!("{}: {error}", engine().display()))
    }

    pub fn run(mut self, url: &str, script: &str) -> Run {
        let mut child = self.start(url, script);
        finish(&mut child, LIMIT)
    }
}

/// Reads both outputs to their ends and waits.
pub fn finish(child: &mut Child, limit: Duration) -> Run {
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let status = wait_for(child, limit);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let run = Run {
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
        code: status.and_then(|status| status.code()).unwrap_or(-1),
    };
    assert!(status.is_some(), "PowerShell did not end within {limit:?}\n{run:#?}");
    run
}

fn collect(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs a script in a PowerShell of its own.
pub fn pwsh(url: &str, script: &str) -> Run {
    Pwsh::new().run(url, script)
}

/// `Write-Result` hands a value to the test. `Get-Outcome { … }` runs a block and tells its output,
/// each error record, warnings, and whether it was cut off by a terminating error. `Connect` is the
/// connection nearly every test needs.
pub const PRELUDE: &str = r#"
function Write-Result($Value) { [Console]::Out.WriteLine('@@result ' + (ConvertTo-Json -InputObject $Value -Depth 12 -Compress -WarningAction SilentlyContinue)) }
function ConvertTo-Told($Record) {
    @{
        message = $Record.Exception.Message; type = $Record.Exception.GetType().Name
        id = $Record.FullyQualifiedErrorId; category = [string] $Record.CategoryInfo.Category
        target = [string] $Record.TargetObject
        advice = [string] $(if ($Record.ErrorDetails) { $Record.ErrorDetails.RecommendedAction })
        status = $Record.Exception.Data['Status']; serverMessage = $Record.Exception.Data['ServerMessage']
        retryAfter = $Record.Exception.Data['RetryAfter']; retryable = $Record.Exception.Data['Retryable']
        shown = ($Record | Out-String)
    }
}
function Get-Outcome([scriptblock] $Do) {
    $output = [System.Collections.Generic.List[object]]::new()
    $errors = [System.Collections.Generic.List[object]]::new()
    $warnings = [System.Collections.Generic.List[object]]::new()
    $terminated = $false
    $Error.Clear()
    try {
        & $Do 2>&1 3>&1 | ForEach-Object {
            if ($_ -is [System.Management.Automation.ErrorRecord]) { $errors.Add((ConvertTo-Told $_)) }
            elseif ($_ -is [System.Management.Automation.WarningRecord]) { $warnings.Add($_.Message) }
            else { $output.Add($_) }
        }
    }
    catch {
        $terminated = $true
        $errors.Add((ConvertTo-Told $_))
    }
    @{ output = $output.ToArray(); errors = $errors.ToArray(); warnings = $warnings.ToArray(); terminated = $terminated; remembered = $Error.Count }
}
function Connect { Connect-JIM -Url $Url -ApiKey $ApiKey -NoPersist @args 3>$null | Out-Null }
"#;
