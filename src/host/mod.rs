//! The session loop of `jimhost serve`: reads calls from stdin, runs them side by side, writes
//! what they say to stdout, ends with its client.
//!
//! Everything runs on one thread. The reader never waits for the loop, so a client that writes never
//! blocks on a host that writes.

mod output;
mod stdio;

pub use output::{Controls, Output};

use crate::cmdlets::{self, Session};
use crate::failure::Failure;
use crate::protocol::{self, Call, ClientHello, FromHost, HostHello, Message, Preferences, ToHost};
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::rc::Rc;
use stdio::Input;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, LocalSet};

/// Lines waiting for stdout. Small: back-pressure starts here and reaches the server through paging.
const WAITING_LINES: usize = 64;

/// Runs until the client closes stdin.
pub async fn serve() -> io::Result<()> {
    ignore_interrupts();
    let (inputs, messages) = mpsc::unbounded_channel();
    let (lines, written) = mpsc::channel(WAITING_LINES);
    let served = async move {
        stdio::attach(inputs, written)?;
        Host::new(lines).run(messages).await;
        Ok(())
    };
    LocalSet::new().run_until(served).await
}

/// Ctrl-C goes to the whole process group of a terminal; the client cancels the call it means.
fn ignore_interrupts() {
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
}

struct Running {
    task: AbortHandle,
    controls: Controls,
}

/// The calls in flight, by id.
type Calls = Rc<RefCell<HashMap<u64, Running>>>;

struct Host {
    lines: mpsc::Sender<Vec<u8>>,
    session: Rc<Session>,
    calls: Calls,
    greeted: bool,
}

impl Host {
    fn new(lines: mpsc::Sender<Vec<u8>>) -> Self {
        Self { lines, session: Rc::new(Session::default()), calls: Calls::default(), greeted: false }
    }

    async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Input>) {
        while let Some(input) = messages.recv().await {
            match input {
                Input::Closed => return,
                Input::Fault(text) => self.complain(0, Failure::Protocol(text)).await,
                Input::Message(message) => self.handle(*message).await,
            }
        }
    }

    async fn handle(&mut self, message: ToHost) {
        match message {
            ToHost::Hello(hello) => self.greet(&hello).await,
            ToHost::Call(call) if !self.greeted => {
                self.complain(call.id, Failure::Protocol("the first message must be a hello".into())).await;
            }
            ToHost::Call(call) => self.start(call).await,
            ToHost::Complete(complete) => self.complete(complete),
            ToHost::Answer(answer) => {
                if let Some(running) = self.calls.borrow().get(&answer.id) {
                    let _ = running.controls.answers.send(answer.yes);
                }
            }
            ToHost::Acknowledge(taken) => {
                if let Some(running) = self.calls.borrow().get(&taken.id) {
                    running.controls.credit.add_permits((taken.messages as usize).min(output::UNREAD_MESSAGES));
                }
            }
            ToHost::Cancel(reference) if reference.unsent => self.cancel_unsent(reference.id).await,
            ToHost::Cancel(reference) => {
                let running = self.calls.borrow_mut().remove(&reference.id);
                if let Some(running) = running {
                    running.task.abort();
                    self.say(reference.id, Message::End).await;
                }
            }
        }
    }

    /// Ends a call that has changed nothing yet; one that has sent its request goes on.
    async fn cancel_unsent(&self, id: u64) {
        let waits = |running: &Running| !running.controls.sent.get();
        let running = match self.calls.borrow_mut().entry(id) {
            Entry::Occupied(entry) if waits(entry.get()) => entry.remove(),
            _ => return,
        };
        running.task.abort();
        self.complain(id, Failure::NotSent).await;
    }

    async fn greet(&mut self, hello: &ClientHello) {
        if hello.protocol == protocol::VERSION {
            self.greeted = true;
        }
        let mine =
            HostHello { protocol: protocol::VERSION, version: env!("CARGO_PKG_VERSION"), features: protocol::FEATURES };
        self.say(0, Message::Hello(mine)).await;
        if !self.greeted {
            let failure = Failure::ProtocolVersion { client: hello.client.clone(), theirs: hello.protocol };
            self.complain(0, failure).await;
        }
    }

    async fn start(&mut self, call: Call) {
        let id = call.id;
        if id == 0 || self.calls.borrow().contains_key(&id) {
            self.complain(id, Failure::Protocol(format!("call id {id} is in use or 0"))).await;
            return;
        }
        let (output, controls) = Output::new(id, call.preferences, self.lines.clone());
        let session = Rc::clone(&self.session);
        let calls = Rc::clone(&self.calls);
        let task = tokio::task::spawn_local(async move {
            if let Err(failure) = cmdlets::run(&session, call, &output).await {
                output.failure(&failure).await;
            }
            calls.borrow_mut().remove(&id);
            output.end().await;
        });
        self.calls.borrow_mut().insert(id, Running { task: task.abort_handle(), controls });
    }

    /// Not among the calls: it can't be cancelled, it ends by itself soon.
    fn complete(&self, complete: protocol::Complete) {
        let (output, _controls) = Output::new(complete.id, Preferences::default(), self.lines.clone());
        let session = Rc::clone(&self.session);
        tokio::task::spawn_local(async move {
            cmdlets::complete(&session, &complete, &output).await;
            output.end().await;
        });
    }

    async fn say(&self, id: u64, message: Message<'_>) {
        let _ = self.lines.send(FromHost { id, message }.line()).await;
    }

    async fn complain(&self, id: u64, failure: Failure) {
        let (output, _controls) = Output::new(id, Preferences::default(), self.lines.clone());
        output.failure(&failure).await;
        output.end().await;
    }
}
