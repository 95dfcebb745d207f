//! The way out of one call: everything a cmdlet writes goes through here, in order, with
//! back-pressure from the client.

use crate::catalog::row::Product;
use crate::failure::Failure;
use crate::protocol::{Confirm, ErrorReport, FromHost, Items, Message, Preferences, Progress};
use serde_json::value::RawValue;
use std::cell::Cell;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};

/// `items` messages a client may have unread. With the limits below this bounds what a slow
/// reader costs both sides to a few MiB.
pub const UNREAD_MESSAGES: usize = 32;
/// A message holds at most so many objects and, unless one object is larger, so many bytes.
const ITEMS_PER_MESSAGE: usize = 64;
const BYTES_PER_MESSAGE: usize = 64 * 1024;
/// People can't read progress faster, and PowerShell pays for each record.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// What the session loop keeps to reach a running call.
#[derive(Debug)]
pub struct Controls {
    pub credit: std::rc::Rc<Semaphore>,
    pub answers: mpsc::UnboundedSender<bool>,
    /// A changing request has left.
    pub sent: std::rc::Rc<Cell<bool>>,
}

#[derive(Debug)]
pub struct Output {
    id: u64,
    pub preferences: Preferences,
    lines: mpsc::Sender<Vec<u8>>,
    credit: std::rc::Rc<Semaphore>,
    answers: tokio::sync::Mutex<mpsc::UnboundedReceiver<bool>>,
    last_progress: Cell<Option<Instant>>,
    sent: std::rc::Rc<Cell<bool>>,
    /// Whose cmdlet it is: error codes begin with it.
    pub product: Cell<Product>,
}

impl Output {
    pub fn new(id: u64, preferences: Preferences, lines: mpsc::Sender<Vec<u8>>) -> (Self, Controls) {
        let credit = std::rc::Rc::new(Semaphore::new(UNREAD_MESSAGES));
        let (sender, receiver) = mpsc::unbounded_channel();
        let sent = std::rc::Rc::new(Cell::new(false));
        let controls =
            Controls { credit: std::rc::Rc::clone(&credit), answers: sender, sent: std::rc::Rc::clone(&sent) };
        let output = Self {
            id,
            preferences,
            lines,
            credit,
            answers: tokio::sync::Mutex::new(receiver),
            last_progress: Cell::new(None),
            sent,
            product: Cell::new(Product::Jim),
        };
        (output, controls)
    }

    async fn send(&self, message: Message<'_>) {
        // The writer is gone only when the client is: the session loop is ending too.
        let _ = self.lines.send(FromHost { id: self.id, message }.line()).await;
    }

    /// Output objects; waits while the client has too many unread.
    pub async fn items(&self, type_name: Option<&str>, values: &[Box<RawValue>]) {
        self.send_items(Items { type_name, values, ..Items::default() }).await;
    }

    /// An object with passwords in the properties named.
    pub async fn item_with_secrets(&self, type_name: Option<&str>, value: Box<RawValue>, secrets: &[&str]) {
        self.send_items(Items { type_name, secrets, values: &[value], ..Items::default() }).await;
    }

    /// Bytes, as one value in base64.
    pub async fn bytes(&self, base64: &str) {
        self.send_items(Items { bytes: true, values: &[crate::shape::value(&base64)], ..Items::default() }).await;
    }

    async fn send_items(&self, items: Items<'_>) {
        let mut rest = items.values;
        while !rest.is_empty() {
            let mut bytes = 0;
            let count = rest
                .iter()
                .take(ITEMS_PER_MESSAGE)
                .take_while(|value| {
                    let fits = bytes == 0 || bytes + value.get().len() <= BYTES_PER_MESSAGE;
                    bytes += value.get().len();
                    fits
                })
                .count();
            let (now, later) = rest.split_at(count);
            if let Ok(permit) = self.credit.acquire().await {
                permit.forget();
            }
            let guarded = now.iter().any(|value| value.get().contains(crate::shape::GUARD));
            self.send(Message::Items(Items { guarded, values: now, ..items })).await;
            rest = later;
        }
    }

    pub async fn item(&self, type_name: Option<&str>, value: Box<RawValue>) {
        self.items(type_name, &[value]).await;
    }

    /// The object that was piped in goes to the output as it is.
    pub async fn input(&self) {
        self.send(Message::Input).await;
    }

    pub async fn verbose(&self, text: &str) {
        if self.preferences.verbose {
            self.send(Message::Verbose(text)).await;
        }
    }

    /// For callbacks that can't wait: dropped when the client is far behind.
    pub fn verbose_now(&self, text: &str) {
        if self.preferences.verbose {
            let _ = self.lines.try_send(FromHost { id: self.id, message: Message::Verbose(text) }.line());
        }
    }

    pub async fn debug(&self, text: &str) {
        if self.preferences.debug {
            self.send(Message::Debug(text)).await;
        }
    }

    pub async fn warning(&self, text: &str) {
        self.send(Message::Warning(text)).await;
    }

    pub async fn information(&self, text: &str) {
        self.send(Message::Information(text)).await;
    }

    /// Throttled; the record that completes always goes out when one went before it.
    pub async fn progress(&self, progress: &Progress) {
        if !self.preferences.progress {
            return;
        }
        let due = self.last_progress.get().is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL);
        if progress.completed && self.last_progress.get().is_none() {
            return;
        }
        if due || progress.completed {
            self.last_progress.set(Some(Instant::now()));
            self.send(Message::Progress(progress)).await;
        }
    }

    /// Asks before a changing request: ShouldProcess in the client decides. A client that asked
    /// not to be asked has said yes already.
    pub async fn confirm(&self, confirm: &Confirm) -> bool {
        if !self.preferences.ask {
            return true;
        }
        self.send(Message::Confirm(confirm)).await;
        self.answers.lock().await.recv().await.unwrap_or(false)
    }

    /// Notes that a changing request leaves now: the call is no longer one that never happened.
    pub fn sending(&self) {
        self.sent.set(true);
    }

    /// Tells the client how many calls it may send ahead.
    pub async fn window(&self, calls: u32) {
        self.send(Message::Window(calls)).await;
    }

    pub async fn failure(&self, failure: &Failure) {
        self.error(&failure.report(self.product.get())).await;
    }

    pub async fn error(&self, report: &ErrorReport) {
        self.send(Message::Error(report)).await;
    }

    pub async fn end(&self) {
        self.send(Message::End).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_stops_the_output() {
        let (lines, mut read) = mpsc::channel(1000);
        let (output, controls) = Output::new(1, Preferences::default(), lines);
        let many: Vec<_> = (0..ITEMS_PER_MESSAGE * (UNREAD_MESSAGES + 8)).map(|n| raw(&n.to_string())).collect();
        let writing = output.items(None, &many);
        tokio::pin!(writing);
        let stopped = tokio::time::timeout(Duration::from_millis(50), &mut writing).await;
        assert!(stopped.is_err());
        assert_eq!(read.len(), UNREAD_MESSAGES);
        controls.credit.add_permits(8);
        writing.await;
        let mut count = 0;
        while let Ok(line) = read.try_recv() {
            count += String::from_utf8(line).unwrap().matches(',').count();
        }
        assert!(count >= many.len() - UNREAD_MESSAGES - 8);
    }

    #[tokio::test]
    async fn large_objects_travel_alone() {
        let (lines, mut read) = mpsc::channel(1000);
        let (output, _controls) = Output::new(1, Preferences::default(), lines);
        let large = raw(&format!("\"{}\"", "x".repeat(BYTES_PER_MESSAGE)));
        output.items(None, &[large.clone(), raw("1"), large]).await;
        let mut lines = 0;
        while read.try_recv().is_ok() {
            lines += 1;
        }
        assert_eq!(lines, 3);
    }

    #[tokio::test]
    async fn progress_is_throttled_and_its_end_is_not() {
        let (lines, read) = mpsc::channel(1000);
        let (output, _controls) = Output::new(1, Preferences { progress: true, ..Default::default() }, lines);
        output.progress(&Progress { completed: true, ..Default::default() }).await;
        assert_eq!(read.len(), 0, "nothing to complete");
        for _ in 0..50 {
            output.progress(&Progress::default()).await;
        }
        output.progress(&Progress { completed: true, ..Default::default() }).await;
        assert_eq!(read.len(), 2);
    }
}
