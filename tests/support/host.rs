//! A client of `jimhost serve`: lines in, lines out.

use super::{alone, program, wait_for};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub struct Host {
    pub process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    _home: tempfile::TempDir,
}

/// Everything a call said, up to its end.
pub type Messages = Vec<Value>;

impl Host {
    /// Started, not yet greeted.
    pub fn silent() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        alone(&mut command, home.path());
        command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { process, stdin, lines, _home: home }
    }

    /// Started and greeted.
    pub fn start() -> Self {
        let mut host = Self::silent();
        host.send(&json!({"hello": {"protocol": 1, "client": "tests"}}));
        assert_eq!(host.next()["hello"]["protocol"], 1);
        host
    }

    /// Started, greeted and connected to a server.
    pub fn connected(url: &str) -> Self {
        let mut host = Self::start();
        let arguments = json!({"Url": url, "ApiKey": super::KEY, "NoPersist": true});
        let said = host.call(1_000_000, "Connect-JIM", arguments);
        assert!(said.iter().all(|message| message.get("error").is_none()), "{said:#?}");
        host
    }

    pub fn send(&mut self, message: &Value) {
        self.send_text(&format!("{message}\n"));
    }

    pub fn send_text(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// The next line as it is; None when there is none within the time.
    pub fn line_within(&self, limit: Duration) -> Option<String> {
        self.lines.recv_timeout(limit).ok()
    }

    pub fn line(&self) -> String {
        self.line_within(Duration::from_secs(20)).expect("the host says nothing")
    }

    pub fn next(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("no protocol line ({error}): {line}"))
    }

    /// Up to the end of call `id`; lines of other calls are dropped.
    pub fn until_end(&self, id: u64) -> Messages {
        let mut said = Vec::new();
        loop {
            let message = self.next();
            if message["id"] == id {
                if message.get("end").is_some() {
                    return said;
                }
                said.push(message);
            }
        }
    }

    pub fn start_call(&mut self, id: u64, cmdlet: &str, arguments: Value) {
        self.send(&json!({"call": {"id": id, "cmdlet": cmdlet, "arguments": arguments}}));
    }

    pub fn call(&mut self, id: u64, cmdlet: &str, arguments: Value) -> Messages {
        self.start_call(id, cmdlet, arguments);
        self.until_end(id)
    }

    /// Closes stdin and waits for the end.
    pub fn close(&mut self, limit: Duration) -> Option<ExitStatus> {
        drop(self.stdin.take());
        wait_for(&mut self.process, limit)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
