//! The messages between the PowerShell module (or any other client) and the host: types only, no
//! I/O. `docs/protocol.md` describes them for people who write another client.
//!
//! One JSON object a line, UTF-8. Every message from the host starts with `{"id":N,` so that a
//! client can route a line without reading the rest.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Version of the messages. A client with another number is told what to update.
pub const VERSION: u32 = 1;

/// What this host can do beyond version 1; clients ignore what they don't know.
pub const FEATURES: &[&str] = &["cancel", "confirm", "acknowledge", "complete", "window"];

/// A message to the host.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToHost {
    Hello(ClientHello),
    Call(Call),
    /// The answer to a `confirm` message.
    Answer(Answer),
    /// The client has taken so many `items` messages of a call: more may come.
    Acknowledge(Acknowledge),
    /// Asks for values to offer at the prompt.
    Complete(Complete),
    /// The client is no longer interested: the user pressed Ctrl-C, or what follows in the pipeline has enough.
    Cancel(Reference),
}

#[derive(Debug, Deserialize)]
pub struct ClientHello {
    pub protocol: u32,
    /// Name and version, for messages: "JimHost 0.1.0".
    #[serde(default)]
    pub client: String,
}

/// A cmdlet with its bound arguments.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Chosen by the client, unique in the session, greater than 0.
    pub id: u64,
    pub cmdlet: String,
    /// The parameter set PowerShell chose; worked out from the arguments when absent.
    #[serde(default)]
    pub set: Option<String>,
    #[serde(default)]
    pub arguments: Map<String, Value>,
    #[serde(default)]
    pub preferences: Preferences,
    /// Values of the client's environment that cmdlets may use; the rows say which.
    #[serde(default)]
    pub environment: Map<String, Value>,
    /// Calls of one cmdlet in one pipeline share this text: names are looked up once for all of them.
    #[serde(default)]
    pub pipeline: Option<String>,
}

/// The preferences that change what the host sends or does.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preferences {
    pub verbose: bool,
    pub debug: bool,
    pub progress: bool,
    /// Changing calls ask with a `confirm` message before the first changing request.
    pub ask: bool,
    /// `-WhatIf`: the `confirm` message shows the difference, the answer will be no.
    pub what_if: bool,
}

#[derive(Debug, Deserialize)]
pub struct Answer {
    pub id: u64,
    pub yes: bool,
}

#[derive(Debug, Deserialize)]
pub struct Acknowledge {
    pub id: u64,
    pub messages: u32,
}

/// Tab completion; answered by items with `Text` and `Label`, never by an error.
#[derive(Debug, Deserialize)]
pub struct Complete {
    pub id: u64,
    /// A look-up of the catalogue ("run-profile"), with ":id" when ids are wanted.
    pub source: String,
    /// What is typed so far.
    #[serde(default)]
    pub word: String,
    /// Arguments on the command line that narrow the choice.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
pub struct Reference {
    pub id: u64,
    /// Only if nothing that changes anything was sent yet; else the call goes on to its end.
    #[serde(default)]
    pub unsent: bool,
}

/// A message from the host.
#[derive(Debug)]
pub struct FromHost<'a> {
    /// The call it belongs to; 0 for the hello and for faults of the session itself.
    pub id: u64,
    pub message: Message<'a>,
}

#[derive(Debug)]
pub enum Message<'a> {
    Hello(HostHello),
    /// Output objects, in order. "Nothing" is no message; null and an array are items like others.
    Items(Items<'a>),
    /// The input object itself goes to the output (`-PassThru` after a removal).
    Input,
    Verbose(&'a str),
    Debug(&'a str),
    Warning(&'a str),
    /// A line for people that is not output (the information stream).
    Information(&'a str),
    Progress(&'a Progress),
    Confirm(&'a Confirm),
    Error(&'a ErrorReport),
    /// How many calls the client may send ahead from now on; comes with a connection.
    Window(u32),
    /// The call has ended; nothing more comes with this id.
    End,
}

#[derive(Debug, Serialize)]
pub struct HostHello {
    pub protocol: u32,
    pub version: &'static str,
    pub features: &'static [&'static str],
}

/// Output objects of one type.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Items<'a> {
    /// Type name for views; absent when the objects have none.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<&'a str>,
    /// Some texts start with U+E000, which says "no date"; the client takes it off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub guarded: bool,
    /// Properties whose texts are passwords; the client turns them into SecureStrings before anyone sees them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub secrets: &'a [&'a str],
    /// The values are bytes in base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bytes: bool,
    pub values: &'a [Box<RawValue>],
}

/// The fields of `Write-Progress`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    pub activity: String,
    pub status: String,
    /// 0 to 100, or -1 when unknown.
    pub percent: i32,
    /// -1 when unknown.
    pub seconds_remaining: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
    pub completed: bool,
}

/// The three texts of ShouldProcess.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirm {
    /// Shown by -WhatIf and -Verbose.
    pub description: String,
    /// The question.
    pub question: String,
    /// The title of the question.
    pub caption: String,
}

impl Confirm {
    /// What a cmdlet is about to do, with a line for each detail.
    pub fn about(cmdlet: &str, what: &str, details: &[String]) -> Self {
        let detail: String = details.iter().map(|line| format!("\n  {line}")).collect();
        Self {
            description: format!("{what}{detail}"),
            question: format!("{what}?{detail}"),
            caption: cmdlet.to_owned(),
        }
    }
}

/// An error, complete: everything an ErrorRecord needs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorReport {
    /// Stable: "JIM.NotFound". First part of FullyQualifiedErrorId.
    pub code: String,
    pub category: Category,
    pub message: String,
    /// The server's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_message: Option<String>,
    /// Field → messages.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub validation: Map<String, Value>,
    /// What it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// Seconds the server asked to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// What to do next.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recommendation: String,
    /// The command can't go on at all, as opposed to this item.
    pub terminating: bool,
}

/// The members of PowerShell's ErrorCategory that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Category {
    AuthenticationError,
    ConnectionError,
    InvalidArgument,
    InvalidData,
    InvalidOperation,
    InvalidResult,
    LimitsExceeded,
    NotSpecified,
    ObjectNotFound,
    OperationStopped,
    OperationTimeout,
    PermissionDenied,
    ProtocolError,
    ResourceExists,
    ResourceUnavailable,
    SecurityError,
}

impl Serialize for FromHost<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("id", &self.id)?;
        match &self.message {
            Message::Hello(hello) => map.serialize_entry("hello", hello)?,
            Message::Items(items) => map.serialize_entry("items", items)?,
            Message::Input => map.serialize_entry("input", &true)?,
            Message::Window(calls) => map.serialize_entry("window", calls)?,
            Message::Verbose(text) => map.serialize_entry("verbose", text)?,
            Message::Debug(text) => map.serialize_entry("debug", text)?,
            Message::Warning(text) => map.serialize_entry("warning", text)?,
            Message::Information(text) => map.serialize_entry("information", text)?,
            Message::Progress(progress) => map.serialize_entry("progress", progress)?,
            Message::Confirm(confirm) => map.serialize_entry("confirm", confirm)?,
            Message::Error(error) => map.serialize_entry("error", error)?,
            Message::End => map.serialize_entry("end", &true)?,
        }
        map.end()
    }
}

impl FromHost<'_> {
    /// The message as a line, with its line end.
    pub fn line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(256);
        // Writing to a Vec doesn't fail, and no key here is anything but text.
        if serde_json::to_writer(&mut line, self).is_err() {
            line = format!(r#"{{"id":{},"end":true}}"#, self.id).into_bytes();
        }
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(message: Message<'_>) -> String {
        String::from_utf8(FromHost { id: 7, message }.line()).unwrap()
    }

    #[test]
    fn every_line_starts_with_the_id() {
        assert_eq!(text(Message::End), "{\"id\":7,\"end\":true}\n");
        assert_eq!(text(Message::Warning("a\nb")), "{\"id\":7,\"warning\":\"a\\nb\"}\n");
    }

    #[test]
    fn items_are_carried_as_they_are() {
        let values =
            [RawValue::from_string(r#"{"Id":1.50}"#.into()).unwrap(), RawValue::from_string("null".into()).unwrap()];
        let line = text(Message::Items(Items { type_name: Some("JIM.X"), values: &values, ..Items::default() }));
        assert_eq!(line, "{\"id\":7,\"items\":{\"type\":\"JIM.X\",\"values\":[{\"Id\":1.50},null]}}\n");
    }

    #[test]
    fn what_is_secret_or_bytes_is_said() {
        let values = [RawValue::from_string(r#"{"Password":"x"}"#.into()).unwrap()];
        let line = text(Message::Items(Items { secrets: &["Password"], values: &values, ..Items::default() }));
        assert_eq!(line, "{\"id\":7,\"items\":{\"secrets\":[\"Password\"],\"values\":[{\"Password\":\"x\"}]}}\n");
        let line = text(Message::Items(Items { bytes: true, values: &[], ..Items::default() }));
        assert_eq!(line, "{\"id\":7,\"items\":{\"bytes\":true,\"values\":[]}}\n");
    }

    #[test]
    fn a_call_needs_only_an_id_and_a_name() {
        let call = serde_json::from_str::<ToHost>(r#"{"call":{"id":1,"cmdlet":"Get-JIMHealth","later":1}}"#).unwrap();
        assert!(matches!(call, ToHost::Call(call) if call.id == 1 && !call.preferences.ask));
    }
}
