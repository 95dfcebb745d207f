//! Lines from stdin, lines to stdout. Where both are pipes (a client that started us) and the system
//! can wait for pipes, no thread stands between: each hand-over would cost a call about 40 µs.
//! Otherwise a plain thread each, because reading a terminal or a file can't be cancelled.

use crate::protocol::ToHost;
use std::io::{self, BufRead, Write};
use tokio::sync::mpsc;

/// A line longer than this is a fault of the client (bytes).
const LONGEST_LINE: usize = 64 * 1024 * 1024;
/// Lines are joined up to this size for one write (bytes).
const BATCH: usize = 64 * 1024;

pub enum Input {
    Message(Box<ToHost>),
    /// A line that is no message: its fault, for people.
    Fault(String),
    /// The client is gone.
    Closed,
}

type Inputs = mpsc::UnboundedSender<Input>;
type Lines = mpsc::Receiver<Vec<u8>>;

/// Starts reading and writing. Called inside the runtime's local set.
pub fn attach(inputs: Inputs, lines: Lines) -> io::Result<()> {
    #[cfg(unix)]
    if let Some((stdin, stdout)) = pipes::open() {
        tokio::task::spawn_local(pipes::read(stdin, inputs));
        tokio::task::spawn_local(pipes::write(stdout, lines));
        return Ok(());
    }
    std::thread::Builder::new().name("stdin".into()).spawn(move || read(io::stdin().lock(), &inputs))?;
    std::thread::Builder::new().name("stdout".into()).spawn(move || write(io::stdout().lock(), lines))?;
    Ok(())
}

#[cfg(unix)]
mod pipes {
    use super::{BATCH, Inputs, LONGEST_LINE, Lines, forward};
    use std::io;
    use std::os::fd::AsFd;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::unix::pipe;

    /// Both ends, or none when one of them is no pipe: one that waits and one that doesn't would share flags.
    pub fn open() -> Option<(pipe::Receiver, pipe::Sender)> {
        let stdin = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned().ok()?).ok()?;
        let stdout = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned().ok()?).ok()?;
        Some((stdin, stdout))
    }

    pub async fn read(stdin: pipe::Receiver, inputs: Inputs) {
        let mut stdin = BufReader::with_capacity(BATCH, stdin);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = (&mut stdin).take(LONGEST_LINE as u64 + 1).read_until(b'\n', &mut line).await;
            if !forward(length, &line, &inputs) {
                return;
            }
        }
    }

    pub async fn write(mut stdout: pipe::Sender, mut lines: Lines) {
        while let Some(mut batch) = lines.recv().await {
            while batch.len() < BATCH
                && let Ok(more) = lines.try_recv()
            {
                batch.extend_from_slice(&more);
            }
            if stdout.write_all(&batch).await.is_err() {
                return;
            }
        }
    }
}

fn read(mut stdin: impl BufRead, inputs: &Inputs) {
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = io::Read::take(&mut stdin, LONGEST_LINE as u64 + 1).read_until(b'\n', &mut line);
        if !forward(length, &line, inputs) {
            return;
        }
    }
}

fn write(mut stdout: impl Write, mut lines: Lines) {
    while let Some(mut batch) = lines.blocking_recv() {
        while batch.len() < BATCH
            && let Ok(more) = lines.try_recv()
        {
            batch.extend_from_slice(&more);
        }
        if stdout.write_all(&batch).and_then(|()| stdout.flush()).is_err() {
            return;
        }
    }
}

/// Passes on what was read; false when that was the last.
fn forward(length: io::Result<usize>, line: &[u8], inputs: &Inputs) -> bool {
    let input = match length {
        Ok(0) | Err(_) => Input::Closed,
        Ok(length) if length > LONGEST_LINE => Input::Fault("a line is longer than 64 MiB".into()),
        Ok(_) => match parse(line) {
            Some(input) => input,
            None => return true,
        },
    };
    let last = matches!(input, Input::Closed);
    inputs.send(input).is_ok() && !last
}

/// `None` for an empty line. A byte order mark is forgiven: some clients can't help writing one.
fn parse(line: &[u8]) -> Option<Input> {
    let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    if text.is_empty() {
        return None;
    }
    Some(match serde_json::from_slice(text) {
        Ok(message) => Input::Message(Box::new(message)),
        // serde's text can quote a value of the line, and the line may hold a key.
        Err(error) => Input::Fault(format!("line is no message of this protocol (column {})", error.column())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faulty_line_is_not_quoted() {
        let Some(Input::Fault(text)) = parse(br#"{"call":{"id":1,"cmdlet":5,"k":"jim_ak_secret"}}"#) else {
            unreachable!("a number is no cmdlet name")
        };
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn byte_order_marks_and_line_ends_are_forgiven() {
        let line = b"\xEF\xBB\xBF{\"cancel\":{\"id\":3}}\r\n";
        assert!(matches!(parse(line), Some(Input::Message(m)) if matches!(*m, ToHost::Cancel(ref c) if c.id == 3)));
        assert!(parse(b"\r\n").is_none());
    }
}
