//! What the end-to-end tests share: the sandbox as a process, the real PowerShell engine, a stub
//! server that answers what it is told. Nothing here is skipped: what is missing fails the test.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const KEY: &str = "jim_ak_sandbox_0123456789";
pub const READER_KEY: &str = "jim_ak_sandbox_reader_000000";

pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_jimhost")
}

pub fn module() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("module/JimHost/JimHost.psd1")
}

/// The sandbox as its own process; ends with the test.
pub struct Sandbox {
    process: Child,
    pub url: String,
    address: String,
}

impl Sandbox {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", arguments)
    }

    pub fn start_at(address: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(program())
            .args(["sandbox", "--listen", address])
            .args(arguments)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|w| w.starts_with("http://")).expect("an address").to_owned();
        let address = url.trim_start_matches("http://").to_owned();
        Self { process, url, address }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sets what goes wrong from now on.
    pub fn faults(&self, json: &str) {
        let answer = request(&self.address, "POST", "/sandbox/faults", json);
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }

    pub fn clear_faults(&self) {
        request(&self.address, "DELETE", "/sandbox/faults", "");
    }

    pub fn clear_record(&self) {
        request(&self.address, "DELETE", "/sandbox/record", "");
    }

    /// How many requests there were, and how many of them were answered with this status.
    pub fn counts(&self, status: u16) -> (u64, u64) {
        let answer = request(&self.address, "GET", "/sandbox/record", "");
        let value: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let counts = &value["counts"];
        (counts["total"].as_u64().unwrap(), counts["byStatus"][status.to_string()].as_u64().unwrap_or_default())
    }

    pub fn expire_tokens(&self) {
        request(&self.address, "POST", "/sandbox/expire-tokens", "");
    }

    /// Method and path of every request that was carried out since the record was cleared.
    pub fn record(&self) -> Vec<String> {
        let answer = request(&self.address, "GET", "/sandbox/record", "");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let value: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"));
        let list = value["requests"].as_array().or_else(|| value.as_array()).expect("a list of requests");
        list.iter().map(|r| format!("{} {}", r["method"].as_str().unwrap(), r["path"].as_str().unwrap())).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn request(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A server that gives each request to a function and writes what comes back, byte for byte.
pub struct Stub {
    pub url: String,
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    /// `answer` gets method, path with query, and the whole request text.
    pub fn start(answer: impl Fn(&str, &str, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { url, seen }
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<String>>, answer: &dyn Fn(&str, &str, &str) -> String) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut text = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            text.push_str(&line);
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        text.push_str(&String::from_utf8_lossy(&body));
        let mut words = text.split_whitespace();
        let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        log.lock().unwrap().push(format!("{method} {path}"));
        let reply = answer(&method, &path, &text);
        if reply.is_empty() || stream.write_all(reply.as_bytes()).is_err() || reply.contains("Connection: close") {
            return;
        }
    }
}

/// An HTTP answer with a JSON body.
pub fn json(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The real PowerShell engine.
pub fn find_pwsh() -> PathBuf {
    if let Some(path) = std::env::var_os("JIMHOST_PWSH") {
        return PathBuf::from(path);
    }
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("pwsh"))
        .find(|path| path.is_file())
        .expect("PowerShell: install it (https://aka.ms/powershell) or set JIMHOST_PWSH")
}

/// A PowerShell process with the module imported.
pub struct Pwsh {
    command: Command,
    pub home: tempfile::TempDir,
}

pub struct Run {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

impl Pwsh {
    /// `$Url` and `$ApiKey` are there; no keyring, no settings of the user's.
    pub fn new(url: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(find_pwsh());
        command.args(["-NoLogo", "-NoProfile", "-NonInteractive", "-File"]);
        for (name, _) in std::env::vars() {
            if name.starts_with("JIM_") || name.starts_with("NDM_") || name.to_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path().join("config"))
            .env("XDG_DATA_HOME", home.path().join("data"))
            .env("JIMHOST_CONFIG_DIR", home.path().join("jimhost"))
            .env("JIMHOST_PATH", program())
            .env("TZ", "UTC")
            .env("NO_COLOR", "1")
            .env("USER", "tester")
            .env("TEST_URL", url)
            .env("TEST_KEY", KEY)
            .env("TEST_MODULE", module())
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdin(Stdio::null());
        Self { command, home }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// The keyring of the session the tests run in.
    pub fn with_keyring(mut self) -> Self {
        let bus = std::env::var("DBUS_SESSION_BUS_ADDRESS").expect("tests/run starts a session bus with a keyring");
        self.command.env("DBUS_SESSION_BUS_ADDRESS", bus);
        self
    }

    fn script(&self, text: &str) -> PathBuf {
        let path = self.home.path().join("script.ps1");
        let head = "Set-StrictMode -Version Latest\n$Url = $env:TEST_URL; $ApiKey = $env:TEST_KEY\nImport-Module $env:TEST_MODULE\n";
        std::fs::write(&path, format!("{head}{text}\n")).unwrap();
        path
    }

    pub fn run(&mut self, text: &str) -> Run {
        let path = self.script(text);
        let mut command = clone(&self.command);
        let Output { status, stdout, stderr } = command.arg(path).output().unwrap();
        Run {
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            code: status.code(),
        }
    }

    /// The shell command that runs a script in this environment, at whatever terminal it finds.
    pub fn terminal_command(&mut self, text: &str) -> String {
        let path = self.script(text);
        let mut words = vec!["env".to_owned()];
        for (name, value) in self.command.get_envs() {
            words.push(match value {
                Some(value) => format!("{}='{}'", name.to_string_lossy(), value.to_string_lossy()),
                None => format!("-u {}", name.to_string_lossy()),
            });
        }
        words.sort_by_key(|word| (word != "env", !word.starts_with("-u")));
        words.push(find_pwsh().display().to_string());
        words.push("-NoLogo -NoProfile -File".into());
        words.push(path.display().to_string());
        words.join(" ")
    }

    pub fn spawn(&mut self, text: &str) -> Child {
        let path = self.script(text);
        clone(&self.command).arg(path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

fn clone(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => copy.env(name, value),
            None => copy.env_remove(name),
        };
    }
    copy
}

impl Run {
    /// The last line of stdout as JSON.
    pub fn json(&self) -> Value {
        let line = self.stdout.lines().rev().find(|l| l.starts_with(['{', '['])).unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }

    /// All that was said, for assertions about words.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

/// PowerShell text that collects what a piece of script does, as one JSON line.
pub const COLLECT: &str = r#"
function Show-Outcome([scriptblock] $Do) {
    $Error.Clear()
    $output = @()
    $terminating = $false
    try { $output = @(& $Do 2>$null 3>&1 6>$null) } catch { $terminating = $true }
    $warnings = @($output | Where-Object { $_ -is [System.Management.Automation.WarningRecord] } | ForEach-Object { $_.Message })
    $values = @($output | Where-Object { $_ -isnot [System.Management.Automation.WarningRecord] })
    $errors = @(foreach ($record in $Error) {
        if ($record -isnot [System.Management.Automation.ErrorRecord]) { continue }
        @{
            id = $record.FullyQualifiedErrorId; category = "$($record.CategoryInfo.Category)"; message = $record.Exception.Message
            advice = "$(if ($record.ErrorDetails) { $record.ErrorDetails.RecommendedAction })"; type = $record.Exception.GetType().Name
            status = $record.Exception.Data['Status']; server = $record.Exception.Data['ServerMessage']; target = "$($record.TargetObject)"
        }
    })
    ConvertTo-Json -InputObject @{ errors = $errors; count = $values.Count; terminating = $terminating; warnings = $warnings; values = $values } -Depth 6 -Compress
}
"#;

/// The program itself, with nothing of this machine's user: no keys, no connections, no keyring, no browser.
pub fn command(home: &std::path::Path) -> Command {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars() {
        if name.starts_with("JIM_") || name.starts_with("NDM_") || name.to_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command.env("HOME", home).env("XDG_CONFIG_HOME", home.join("config")).env("XDG_DATA_HOME", home.join("data"));
    command.env("JIMHOST_CONFIG_DIR", home.join("jimhost")).env_remove("DBUS_SESSION_BUS_ADDRESS").env("PATH", home);
    command
}

/// What Connect-JIM asks a server, answered well: for stubs of which something else is of interest.
pub fn greeting(path: &str) -> Option<String> {
    let list = r#"{"items":[],"totalCount":0,"page":1,"pageSize":1,"totalPages":0,"hasNextPage":false}"#;
    match path.split('?').next()? {
        "/api/v1/health" => Some(json(200, r#"{"status":"healthy"}"#)),
        "/api/v1/health/version" => Some(json(200, r#"{"version":"0.14.0"}"#)),
        "/api/v1/synchronisation/connected-systems" => Some(json(200, list)),
        _ => None,
    }
}
