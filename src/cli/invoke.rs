//! `jimhost invoke`: one cmdlet for shells that aren't PowerShell. It speaks to the same code as the
//! module, through the same messages.

use super::{fail, note, say};
use crate::catalog::{
    self,
    row::{Impact, Product},
};
use crate::cmdlets::{self, Session};
use crate::host::{Controls, Output};
use crate::protocol::{Call, Preferences};
use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::process::ExitCode;
use std::rc::Rc;
use tokio::sync::mpsc;

#[derive(Args)]
pub struct Options {
    /// Cmdlet, such as Get-JIMRunProfile
    cmdlet: String,
    /// Arguments as a JSON object; "-" reads it from stdin (use that for secrets)
    #[arg(long, default_value = "{}")]
    json: String,
    /// Server; JIM_URL or NDM_SERVER, or the one remembered connection, when absent
    #[arg(long)]
    url: Option<String>,
    /// Show what would change and change nothing
    #[arg(long)]
    what_if: bool,
    /// Carry out changes of high impact, which are refused otherwise
    #[arg(long)]
    yes: bool,
    /// Say on stderr what is being done
    #[arg(long, short)]
    verbose: bool,
}

/// A message as this command needs it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    items: Option<Items<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    confirm: Option<&'a RawValue>,
    end: Option<bool>,
}

#[derive(Deserialize)]
struct Items<'a> {
    #[serde(borrow)]
    values: Vec<&'a RawValue>,
}

pub async fn run(options: Options) -> ExitCode {
    let arguments = match read_arguments(&options.json) {
        Ok(arguments) => arguments,
        Err(text) => return fail(&text),
    };
    let Some(row) = catalog::find(&options.cmdlet) else {
        return fail(&format!("there is no cmdlet {}", options.cmdlet));
    };
    let session = Rc::new(Session::default());
    let preferences = Preferences { verbose: options.verbose, ..Preferences::default() };
    if row.cmdlet.session {
        let (cmdlet, server) = match row.product {
            Product::Jim => ("Connect-JIM", "Url"),
            Product::Ndm => ("Connect-NDM", "Server"),
        };
        let mut given = Map::from_iter([("NoPersist".to_owned(), json!(false))]);
        if let Some(url) = &options.url {
            given.insert(server.into(), json!(url));
        }
        let connect = call(cmdlet, given, preferences);
        if !shown(&session, connect, Show::OnlyProblems, false).await {
            return ExitCode::FAILURE;
        }
    }
    let risky = row.cmdlet.impact == Some(Impact::High) && !options.yes;
    let preferences = Preferences { ask: options.what_if || risky, what_if: options.what_if, ..preferences };
    if shown(&session, call(&row.cmdlet.name, arguments, preferences), Show::All, options.what_if).await {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read_arguments(text: &str) -> Result<Map<String, Value>, String> {
    let mut read = String::new();
    let text = if text == "-" {
        std::io::stdin().read_to_string(&mut read).map_err(|e| format!("stdin can't be read: {e}"))?;
        &read
    } else {
        text
    };
    // serde's text could quote a secret.
    serde_json::from_str(text)
        .map_err(|e| format!("the arguments are no JSON object (line {}, column {})", e.line(), e.column()))
}

fn call(cmdlet: &str, arguments: Map<String, Value>, preferences: Preferences) -> Call {
    Call {
        id: 1,
        cmdlet: cmdlet.to_owned(),
        set: None,
        arguments,
        preferences,
        environment: environment(cmdlet),
        pipeline: None,
    }
}

/// What the cmdlet may see of this process's environment.
fn environment(cmdlet: &str) -> Map<String, Value> {
    let names = catalog::find(cmdlet).map(|row| row.cmdlet.environment.clone()).unwrap_or_default();
    names.into_iter().filter_map(|name| Some((name.clone(), json!(std::env::var(name).ok()?)))).collect()
}

#[derive(PartialEq, Clone, Copy)]
enum Show {
    All,
    OnlyProblems,
}

/// Runs a call and prints what it says; false when there was an error.
async fn shown(session: &Rc<Session>, call: Call, show: Show, what_if: bool) -> bool {
    let (lines, mut read) = mpsc::channel(16);
    let (output, controls) = Output::new(1, call.preferences, lines);
    let running = async {
        if let Err(failure) = cmdlets::run(session, call, &output).await {
            output.failure(&failure).await;
        }
        output.end().await;
    };
    let printing = async {
        let mut good = true;
        while let Some(line) = read.recv().await {
            let Ok(message) = serde_json::from_slice::<Line<'_>>(&line) else { continue };
            if message.end.is_some() {
                break;
            }
            good &= print(&line, &message, &controls, show, what_if);
        }
        good
    };
    tokio::join!(running, printing).1
}

fn print(line: &[u8], message: &Line<'_>, controls: &Controls, show: Show, what_if: bool) -> bool {
    if let Some(items) = &message.items {
        controls.credit.add_permits(1);
        if show == Show::All && items.values.iter().any(|value| say(value.get()).is_err()) {
            // Nobody reads any more: as good an end as any.
            std::process::exit(0);
        }
        return true;
    }
    if let Some(confirm) = message.confirm {
        let _ = controls.answers.send(false);
        note(&format!("{{\"{}\":{}}}", if what_if { "whatIf" } else { "needsYes" }, confirm.get()));
        return what_if;
    }
    if show == Show::All || message.error.is_some() {
        note(String::from_utf8_lossy(line).trim_end());
    }
    message.error.is_none()
}
