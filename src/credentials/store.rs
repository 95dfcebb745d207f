//! The OS keyring behind an async interface. Its library blocks (a locked keyring may prompt, and
//! nobody may answer), so it has a thread of its own and every request a time limit.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::oneshot;

pub use super::entries::SecretKind;
use super::entries::{self, Names};
use super::server_key::ServerKey;
pub use super::store_error::StoreError;

/// Long enough to type a password into an unlock prompt, short enough for a script.
const LIMIT: Duration = Duration::from_secs(15);

type Answer<T> = Result<T, StoreError>;
type Job = Box<dyn FnOnce() + Send>;

/// A handle on the keyring; clones share one thread, which starts at the first request.
#[derive(Clone)]
pub struct Store {
    worker: Arc<Worker>,
    limit: Duration,
}

#[derive(Default)]
struct Worker {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    /// The call under way; the thread can do nothing else until it returns.
    call: Arc<Mutex<Option<Call>>>,
}

struct Call {
    begun: Instant,
    /// Someone waited for the whole limit, so nobody need wait again.
    timed_out: bool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    pub fn new() -> Self {
        Self::with_limit(LIMIT)
    }

    /// `limit` holds for each request by itself.
    pub fn with_limit(limit: Duration) -> Self {
        Self { worker: Arc::default(), limit }
    }

    /// Writes an entry and deletes it again: to be asked before a login, so that a token is not
    /// fetched that then cannot be kept. May show the platform's unlock prompt.
    pub async fn probe(&self) -> Answer<()> {
        self.ask(|| {
            let names = Names::probe();
            entries::set(&names, &SecretString::from("probe"))?;
            entries::delete(&names).map(|_| ())
        })
        .await
    }

    pub async fn get(&self, kind: SecretKind, key: &ServerKey) -> Answer<Option<SecretString>> {
        let names = Names::of(kind, key);
        self.ask(move || entries::get(&names)).await
    }

    /// After `TimedOut` the entry may still be written, should the prompt be answered later.
    pub async fn set(&self, kind: SecretKind, key: &ServerKey, secret: &SecretString) -> Answer<()> {
        let (names, secret) = (Names::of(kind, key), secret.clone());
        self.ask(move || entries::set(&names, &secret)).await
    }

    /// True when there was an entry to delete.
    pub async fn delete(&self, kind: SecretKind, key: &ServerKey) -> Answer<bool> {
        let names = Names::of(kind, key);
        self.ask(move || entries::delete(&names)).await
    }

    async fn ask<T, F>(&self, work: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Answer<T> + Send + 'static,
    {
        let timed_out = StoreError::TimedOut { seconds: self.limit.as_secs() };
        // Waiting again behind a call that already hangs would only add up.
        if self.worker.hangs(self.limit) {
            return Err(timed_out);
        }
        let (answer, answered) = oneshot::channel();
        self.worker.send(Box::new(move || {
            // Nobody waits any more: what was given up must not happen later.
            if !answer.is_closed() {
                let _ = answer.send(work());
            }
        }))?;
        match tokio::time::timeout(self.limit, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Platform("its thread ended".to_owned())),
            Err(_) => {
                if let Some(call) = lock(&self.worker.call).as_mut() {
                    call.timed_out = true;
                }
                Err(timed_out)
            }
        }
    }
}

/// Ends the call on drop, so that a panic does not leave it hanging for ever.
struct UnderWay<'a>(&'a Mutex<Option<Call>>);

impl<'a> UnderWay<'a> {
    fn begin(call: &'a Mutex<Option<Call>>) -> Self {
        *lock(call) = Some(Call { begun: Instant::now(), timed_out: false });
        Self(call)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *lock(self.0) = None;
    }
}

impl Worker {
    /// By time as well: whoever began the call may have been cancelled before the limit.
    fn hangs(&self, limit: Duration) -> bool {
        lock(&self.call).as_ref().is_some_and(|call| call.timed_out || call.begun.elapsed() >= limit)
    }

    fn send(&self, job: Job) -> Answer<()> {
        let mut jobs = lock(&self.jobs);
        let job = match jobs.as_ref() {
            None => job,
            Some(sender) => match sender.send(job) {
                Ok(()) => return Ok(()),
                // The thread ended (the library panicked); another takes its place.
                Err(mpsc::SendError(job)) => job,
            },
        };
        let (sender, receiver) = mpsc::channel::<Job>();
        let call = Arc::clone(&self.call);
        thread::Builder::new()
            .name("keyring".to_owned())
            .spawn(move || {
                for job in receiver {
                    let _under_way = UnderWay::begin(&call);
                    job();
                }
            })
            .map_err(|error| StoreError::Platform(format!("its thread did not start: {error}")))?;
        // The receiver is alive: its thread waits for this very job.
        let _ = sender.send(job);
        *jobs = Some(sender);
        Ok(())
    }
}

/// What these locks guard is valid after any panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn a_call_that_hangs_times_out_once_and_then_at_once() {
        let store = Store::with_limit(Duration::from_millis(200));
        let (release, held) = mpsc::channel::<()>();
        let begun = Instant::now();
        let hung = store.ask(move || {
            let _ = held.recv();
            Ok(())
        });
        assert_eq!(hung.await.unwrap_err().code(), "keyring-timed-out");
        assert!(begun.elapsed() >= Duration::from_millis(200));

        let ran = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ran);
        let again = Instant::now();
        let second = store.ask(move || {
            seen.store(true, Ordering::SeqCst);
            Ok(())
        });
        assert_eq!(second.await.unwrap_err().code(), "keyring-timed-out");
        assert!(again.elapsed() < Duration::from_millis(150));

        release.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!ran.load(Ordering::SeqCst));
        assert_eq!(store.clone().ask(|| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn work_given_up_while_it_waits_is_not_done_later() {
        let store = Store::with_limit(Duration::from_millis(200));
        let first = store.ask(|| {
            thread::sleep(Duration::from_millis(400));
            Ok(())
        });
        let ran = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ran);
        let second = store.ask(move || {
            seen.store(true, Ordering::SeqCst);
            Ok(())
        });
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_err() && second.is_err());
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(!ran.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_thread_that_died_is_replaced() {
        // Long: a busy machine must not turn the death into a time-out.
        let store = Store::with_limit(Duration::from_secs(30));
        let died: Answer<()> = store.ask(|| panic!("the library panicked")).await;
        assert_eq!(died.unwrap_err().code(), "keyring-platform");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(store.ask(|| Ok(7)).await, Ok(7));
    }
}

/// Against a real Secret Service: `JIMHOST_TEST_SECRET_SERVICE=1`, inside `dbus-run-session` with
/// an unlocked gnome-keyring. Set it to an error's code instead to state what must go wrong.
#[cfg(all(test, target_os = "linux"))]
mod secret_service {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
    use super::*;
    use secrecy::ExposeSecret;
    use std::io::Write;
    use std::process::{Command, Stdio};
    use url::Url;

    fn asked_for() -> Option<String> {
        let wanted = std::env::var("JIMHOST_TEST_SECRET_SERVICE").ok();
        if wanted.is_none() {
            println!("not run: JIMHOST_TEST_SECRET_SERVICE is not set");
        }
        wanted
    }

    fn key(host: &str) -> ServerKey {
        ServerKey::of(&Url::parse(&format!("https://{host}.example")).unwrap())
    }

    async fn text(store: &Store, kind: SecretKind, key: &ServerKey) -> Option<String> {
        let secret = store.get(kind, key).await.unwrap();
        secret.map(|s| s.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn entries_come_and_go() {
        if asked_for().as_deref() != Some("1") {
            return;
        }
        let store = Store::new();
        store.probe().await.unwrap();
        for kind in [SecretKind::ApiKey, SecretKind::RefreshToken] {
            let key = key("come-and-go");
            store.delete(kind, &key).await.unwrap();
            assert_eq!(text(&store, kind, &key).await, None);
            for value in ["first", "second, longer ü"] {
                store.set(kind, &key, &SecretString::from(value)).await.unwrap();
                assert_eq!(text(&store, kind, &key).await.as_deref(), Some(value));
            }
            assert!(store.delete(kind, &key).await.unwrap());
            assert!(!store.delete(kind, &key).await.unwrap());
            assert_eq!(text(&store, kind, &key).await, None);
        }
    }

    /// `secret-tool` is how other JIM clients reach the same entries.
    fn secret_tool(arguments: &[&str], input: &str) -> String {
        let mut child = Command::new("secret-tool")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("secret-tool (package libsecret-tools) is needed for this test");
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(input.as_bytes()).unwrap();
        drop(pipe);
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    #[tokio::test]
    async fn refresh_tokens_are_shared_by_name() {
        if asked_for().as_deref() != Some("1") {
            return;
        }
        let store = Store::new();
        let kind = SecretKind::RefreshToken;
        for host in ["theirs-first", "ours-first"] {
            let key = key(host);
            let names = ["service", "JIM", "url", &key.to_string()];
            let keep = ["store", "--label", "test"];
            store.delete(kind, &key).await.unwrap();
            if host == "theirs-first" {
                secret_tool(&[&keep[..], &names[..]].concat(), "theirs");
                assert_eq!(text(&store, kind, &key).await.as_deref(), Some("theirs"));
            }
            store.set(kind, &key, &SecretString::from("ours")).await.unwrap();
            assert_eq!(secret_tool(&[&["lookup"], &names[..]].concat(), ""), "ours");

            secret_tool(&[&keep[..], &names[..]].concat(), "theirs again");
            assert_eq!(text(&store, kind, &key).await.as_deref(), Some("theirs again"));
            store.set(kind, &key, &SecretString::from("ours again")).await.unwrap();
            assert_eq!(secret_tool(&[&["lookup"], &names[..]].concat(), ""), "ours again");
            assert_eq!(text(&store, kind, &key).await.as_deref(), Some("ours again"));

            assert!(store.delete(kind, &key).await.unwrap());
            assert_eq!(secret_tool(&[&["lookup"], &names[..]].concat(), ""), "");
        }
    }

    #[tokio::test]
    async fn failures_have_the_stated_code() {
        let Some(code) = asked_for().filter(|wanted| wanted != "1") else {
            return;
        };
        let store = Store::new();
        let begun = Instant::now();
        let error = store.probe().await.unwrap_err();
        assert!(begun.elapsed() < LIMIT + Duration::from_secs(1));
        let read = store.get(SecretKind::ApiKey, &key("kept")).await;
        println!("reading: {:?}", read.map(|found| found.is_some()));
        println!("{error:?} after {:?}: {error} {}", begun.elapsed(), error.advice());
        assert_eq!(error.code(), code);
        // The second request did not wait for the limit once more.
        assert!(begun.elapsed() < LIMIT + Duration::from_secs(2));
    }
}
