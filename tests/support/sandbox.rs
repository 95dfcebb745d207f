//! A sandbox of its own for a test: the program under test as `jimhost sandbox`.

use super::{KEY, http, program};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub struct Sandbox {
    process: Child,
    /// Without a slash at its end.
    pub url: String,
}

impl Sandbox {
    /// `args` after `jimhost sandbox --listen 127.0.0.1:0`.
    pub fn start(args: &[&str]) -> Self {
        let mut process = Command::new(program())
            .args(["sandbox", "--listen", "127.0.0.1:0"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap_or_else(|| panic!("the sandbox says no address: {line:?}"));
        Self { process, url: url.to_owned() }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Adds one fault or a list of them (src/sandbox/faults.rs).
    pub fn faults(&self, json: &str) {
        let (status, body) = http::ask(self.address(), "POST", "/sandbox/faults", &[], json);
        assert!((200..300).contains(&status), "{status} {body}");
    }

    pub fn clear_faults(&self) {
        let (status, body) = http::ask(self.address(), "DELETE", "/sandbox/faults", &[], "");
        assert!((200..300).contains(&status), "{status} {body}");
    }

    /// What it was asked: `{requests: […], counts: {…}}` (src/sandbox/record.rs).
    pub fn record(&self) -> Value {
        let (status, body) = http::ask(self.address(), "GET", "/sandbox/record", &[], "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The requests it was asked as "METHOD /path status".
    pub fn requests(&self) -> Vec<String> {
        let record = self.record();
        let text = |entry: &Value, name: &str| entry[name].to_string().trim_matches('"').to_owned();
        let entries = record["requests"].as_array().unwrap();
        entries.iter().map(|e| format!("{} {} {}", text(e, "method"), text(e, "path"), text(e, "status"))).collect()
    }

    pub fn forget_record(&self) {
        let (status, body) = http::ask(self.address(), "DELETE", "/sandbox/record", &[], "");
        assert!((200..300).contains(&status), "{status} {body}");
    }

    /// As freshly started.
    pub fn reset(&self) {
        let (status, body) = http::ask(self.address(), "POST", "/sandbox/reset", &[], "");
        assert!((200..300).contains(&status), "{status} {body}");
    }

    /// A request to its API with the administrator's key.
    pub fn api(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = http::ask(self.address(), method, path, &[("X-Api-Key", KEY)], body);
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
