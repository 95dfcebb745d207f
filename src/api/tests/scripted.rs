//! A server that does what a test tells it, down to the byte and the closed socket.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[derive(Debug)]
pub enum Reply {
    Full(String),
    /// Sends the answer, then closes without having said so.
    ThenClose(String),
    /// Sends all but the last bytes, then closes.
    Cut(String, usize),
    Close,
    Hang,
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::Full(text)
    }
}

pub fn answer(status: u16, header: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{header}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub fn json(status: u16, body: &str) -> Reply {
    Reply::Full(answer(status, "content-type: application/json; charset=utf-8", body))
}

#[derive(Default)]
struct Seen {
    accepted: AtomicUsize,
    requests: Mutex<Vec<(Instant, String)>>,
}

pub struct Server {
    address: std::net::SocketAddr,
    scheme: &'static str,
    seen: Arc<Seen>,
}

impl Server {
    /// The script gets the number of the request (from 0) and its text.
    pub async fn start(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, script).await
    }

    pub async fn start_tls(acceptor: TlsAcceptor) -> Self {
        Self::listen(Some(acceptor), |_, _| json(200, "[]")).await
    }

    async fn listen(tls: Option<TlsAcceptor>, script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let seen = Arc::new(Seen::default());
        let (script, kept) = (Arc::new(script), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                seen.accepted.fetch_add(1, Ordering::SeqCst);
                let (script, seen, tls) = (Arc::clone(&script), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => talk(socket, &*script, &seen).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                talk(socket, &*script, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, scheme, seen: kept }
    }

    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn accepted(&self) -> usize {
        self.seen.accepted.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().iter().map(|(_, text)| text.clone()).collect()
    }

    pub fn arrivals(&self) -> Vec<Instant> {
        self.seen.requests.lock().unwrap().iter().map(|(when, _)| *when).collect()
    }
}

async fn talk<S>(mut socket: S, script: &(dyn Fn(usize, &str) -> Reply + Send + Sync), seen: &Seen)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(text) = read_request(&mut socket).await {
        let number = {
            let mut requests = seen.requests.lock().unwrap();
            requests.push((Instant::now(), text.clone()));
            requests.len() - 1
        };
        let (bytes, stays) = match script(number, &text) {
            Reply::Full(answer) => (answer, true),
            Reply::ThenClose(answer) => (answer, false),
            Reply::Cut(answer, missing) => (answer[..answer.len() - missing].to_owned(), false),
            Reply::Close => return,
            Reply::Hang => std::future::pending().await,
        };
        if socket.write_all(bytes.as_bytes()).await.is_err() || socket.flush().await.is_err() || !stays {
            return;
        }
    }
}

async fn read_request<S: AsyncRead + Unpin>(socket: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
