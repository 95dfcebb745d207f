//! The subcommands for people and other shells: `invoke`, `doctor`, `sandbox`, `generate`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::Value;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use support::{KEY, Sandbox, command, find_pwsh, program};

/// What a run of the program left behind.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn objects(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

fn invoke_with(sandbox: &Sandbox, key: Option<&str>, arguments: &[&str], stdin: &str) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let mut command: Command = command(home.path());
    command.arg("invoke").args(arguments).env("JIM_URL", &sandbox.url);
    if let Some(key) = key {
        command.env("JIM_API_KEY", key);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap().into()
}

fn invoke(sandbox: &Sandbox, arguments: &[&str]) -> Ran {
    invoke_with(sandbox, Some(KEY), arguments, "")
}

#[test]
fn a_cmdlet_from_any_shell_is_one_json_object_a_line() {
    let sandbox = Sandbox::start(&[]);
    let ran = invoke(&sandbox, &["Get-JIMRunProfile", "--json", r#"{"ConnectedSystemId": 1}"#]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let names: Vec<_> = ran.objects().iter().map(|profile| profile["Name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["Full Import", "Full Synchronisation", "Delta Synchronisation"]);
    assert_eq!(ran.stderr, "");
}

#[test]
fn names_and_json_from_stdin_work_too() {
    let sandbox = Sandbox::start(&[]);
    let arguments = r#"{"ConnectedSystemName": "hr csv source", "Name": "*Import"}"#;
    let ran = invoke_with(&sandbox, Some(KEY), &["get-jimrunprofile", "--json", "-"], arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.objects().len(), 1);
}

#[test]
fn an_error_is_on_stderr_and_in_the_exit_code() {
    let sandbox = Sandbox::start(&[]);
    let ran = invoke(&sandbox, &["Get-JIMConnectedSystem", "--json", r#"{"Id": 99}"#]);
    assert_ne!(ran.code, 0);
    assert_eq!(ran.stdout, "");
    let error: Value = serde_json::from_str(ran.stderr.lines().next().unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "JIM.NotFound", "{error:#}");
}

#[test]
fn a_key_that_is_refused_is_an_error_that_does_not_show_it() {
    let sandbox = Sandbox::start(&[]);
    let ran = invoke_with(&sandbox, Some("jim_ak_wrong_key"), &["Get-JIMConnectedSystem"], "");
    assert_ne!(ran.code, 0);
    assert!(
        ran.stderr.contains("JIM.AuthenticationFailed") && !ran.stderr.contains("jim_ak_wrong_key"),
        "{}",
        ran.stderr
    );
}

#[test]
fn without_a_key_it_says_where_one_may_come_from() {
    let sandbox = Sandbox::start(&[]);
    let ran = invoke_with(&sandbox, None, &["Get-JIMConnectedSystem"], "");
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("JIM_API_KEY"), "{}", ran.stderr);
}

#[test]
fn what_if_shows_the_change_and_sends_none() {
    let sandbox = Sandbox::start(&[]);
    let change = r#"{"ConnectedSystemId": 1, "RunProfileId": 1, "PageSize": 750}"#;
    let ran = invoke(&sandbox, &["Set-JIMRunProfile", "--what-if", "--json", change]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("PageSize: 500 -> 750"), "{}", ran.stderr);
    assert!(!sandbox.record().iter().any(|asked| asked.starts_with("PUT")));
}

#[test]
fn a_deletion_needs_yes() {
    let sandbox = Sandbox::start(&[]);
    let which = r#"{"ConnectedSystemId": 1, "RunProfileId": 1}"#;
    let ran = invoke(&sandbox, &["Remove-JIMRunProfile", "--json", which]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("needsYes"), "{}", ran.stderr);
    assert!(!sandbox.record().iter().any(|asked| asked.starts_with("DELETE")));
    let ran = invoke(&sandbox, &["Remove-JIMRunProfile", "--yes", "--json", which]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(sandbox.record().iter().any(|asked| asked.starts_with("DELETE")));
}

#[test]
fn what_cannot_be_understood_is_not_quoted() {
    let sandbox = Sandbox::start(&[]);
    let ran = invoke(&sandbox, &["Get-JIMConnectedSystem", "--json", r#"{"ApiKey": "jim_ak_secret""#]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("JSON") && !ran.stderr.contains("jim_ak_secret"), "{}", ran.stderr);
    let ran = invoke(&sandbox, &["Get-JIMNothing"]);
    assert!(ran.code != 0 && ran.stderr.contains("Get-JIMNothing"), "{}", ran.stderr);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let sandbox = Sandbox::start(&["--systems", "2000"]);
    let home = tempfile::tempdir().unwrap();
    let mut command = command(home.path());
    command.args(["invoke", "Get-JIMConnectedSystem"]).env("JIM_URL", &sandbox.url).env("JIM_API_KEY", KEY);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn the_doctor_says_what_it_finds_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let pwsh = find_pwsh();
    let run = |arguments: &[&str]| -> Ran {
        let mut command = command(home.path());
        command.arg("doctor").args(arguments).env("JIMHOST_PWSH", &pwsh).env("JIM_API_KEY", "jim_ak_secret");
        command.output().unwrap().into()
    };
    let ran = run(&["--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["powershell"], pwsh.to_str().unwrap());
    assert_eq!(report["credentials"]["environment"], serde_json::json!(["JIM_API_KEY"]), "{report:#}");
    assert_ne!(report["credentials"]["keyring"]["state"], "ok", "there is no bus to reach one: {report:#}");
    assert!(report["credentials"]["keyring"]["advice"].as_str().is_some_and(|text| !text.is_empty()), "{report:#}");
    let text = run(&[]);
    for line in ["jimhost ", "program ", "PowerShell ", "keyring ", "environment  JIM_API_KEY"] {
        assert!(text.stdout.contains(line), "{line}: {}", text.stdout);
    }
    assert!(!format!("{}{}", ran.stdout, text.stdout).contains("jim_ak_secret"));
}

#[test]
fn a_sandbox_takes_the_key_it_is_given_and_no_other() {
    let sandbox = Sandbox::start(&["--api-key", "jim_ak_of_my_own", "--systems", "5"]);
    let ran = invoke_with(&sandbox, Some("jim_ak_of_my_own"), &["Get-JIMConnectedSystem"], "");
    assert_eq!((ran.code, ran.objects().len()), (0, 5), "{}", ran.stderr);
    let ran = invoke(&sandbox, &["Get-JIMConnectedSystem"]);
    assert!(ran.stderr.contains("JIM.AuthenticationFailed"), "{}", ran.stderr);
}

#[test]
fn a_sandbox_on_a_port_in_use_says_so() {
    let sandbox = Sandbox::start(&[]);
    let address = sandbox.url.trim_start_matches("http://");
    let ran: Ran = Command::new(program()).args(["sandbox", "--listen", address]).output().unwrap().into();
    assert!(ran.code != 0 && ran.stderr.contains(address), "{}", ran.stderr);
}

#[test]
fn the_checked_in_module_is_what_the_catalogue_says() {
    let ran: Ran = Command::new(program())
        .args(["generate", "--check", "--root"])
        .arg(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
        .into();
    assert_eq!(ran.code, 0, "run `jimhost generate`: {}", ran.stderr);
}

#[test]
fn a_generated_file_that_was_changed_by_hand_is_found() {
    let copy = tempfile::tempdir().unwrap();
    let generate = |check: &[&str]| -> Ran {
        Command::new(program()).arg("generate").args(check).arg("--root").arg(copy.path()).output().unwrap().into()
    };
    assert_eq!(generate(&[]).code, 0);
    let clean = generate(&["--check"]);
    assert_eq!(clean.code, 0, "{}", clean.stderr);
    let module = copy.path().join("module").join("JimHost").join("JimHost.psm1");
    let text = std::fs::read_to_string(&module).unwrap();
    std::fs::write(&module, format!("{text}\n# by hand\n")).unwrap();
    let ran = generate(&["--check"]);
    assert!(ran.code != 0 && ran.stderr.contains("JimHost.psm1"), "{}", ran.stderr);
}
