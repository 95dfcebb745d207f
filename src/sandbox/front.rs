//! The HTTP front: listens, reads bodies, waits where a fault says so, and drops connections on request.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::serve::{IncomingStream, Listener};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::app::{App, Verdict};
use super::wire::{Call, Reply};
use super::{SandboxError, SandboxOptions, seed};

const MAX_BODY: usize = 16 * 1024 * 1024;
/// Pieces of a slow body.
const PIECE: usize = 256;

pub(super) struct Shared {
    pub(super) app: Mutex<App>,
    latency: Duration,
    connections: AtomicU64,
    at_once: AtomicU64,
    most_at_once: AtomicU64,
}

impl Shared {
    pub(super) fn new(options: SandboxOptions) -> Self {
        let plan = seed::Plan {
            systems: options.seed_systems,
            speed: options.run_speed,
            admin_key: options.api_key.expose_secret().to_owned(),
        };
        Self {
            latency: options.latency,
            app: Mutex::new(App::new(options, plan)),
            connections: AtomicU64::new(0),
            at_once: AtomicU64::new(0),
            most_at_once: AtomicU64::new(0),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut App) -> T) -> T {
        act(&mut self.app.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) async fn serve(options: SandboxOptions, ready: impl FnOnce(SocketAddr)) -> Result<(), SandboxError> {
    let address = options.listen;
    let listen = |source| SandboxError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let shared = Arc::new(Shared::new(options));
    let door = Door { listener, shared: Arc::clone(&shared) };
    let service = Router::new().fallback(answer).with_state(shared).into_make_service_with_connect_info::<Peer>();
    ready(bound);
    axum::serve(door, service).await.map_err(SandboxError::Serve)
}

/// Takes part in the count of requests that are open at the same time, however it ends.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        let now = shared.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        shared.most_at_once.fetch_max(now, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<Peer>>().map(|info| info.0.clone());
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return Reply::empty(StatusCode::PAYLOAD_TOO_LARGE).into_response(None);
    };
    let mut call = Call::new(parts.method, &parts.uri, parts.headers, body);
    call.peer = peer.as_ref().map(|peer| peer.address.ip());

    let traffic = (shared.connections.load(Ordering::Relaxed), shared.most_at_once.load(Ordering::Relaxed));
    if let Some(reply) = shared.with(|app| app.switch(&call, traffic)) {
        if call.method != "GET" && (call.path.ends_with("/reset") || call.path.ends_with("/record")) {
            shared.connections.store(0, Ordering::Relaxed);
            shared.most_at_once.store(0, Ordering::Relaxed);
        }
        return reply.into_response(None);
    }

    let _open = Open::new(&shared);
    let ailment = shared.with(|app| app.strike(&call));
    let wait = shared.latency + Duration::from_millis(ailment.latency_ms);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    match shared.with(|app| app.handle(call, &ailment)) {
        Verdict::Answer(reply) => {
            let slow = ailment.slow_body_ms.map(|pause| drip(reply.body.clone(), pause));
            reply.into_response(slow)
        }
        Verdict::Drop => {
            if let Some(peer) = peer {
                peer.cut.store(true, Ordering::Relaxed);
            }
            Reply::empty(StatusCode::SERVICE_UNAVAILABLE).into_response(None)
        }
    }
}

fn drip(body: Bytes, pause_ms: u64) -> Body {
    Body::from_stream(futures_util::stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        let piece = rest.split_to(rest.len().min(PIECE));
        Some((Ok::<_, io::Error>(piece), rest))
    }))
}

/// Who is at the other end, and the string to pull to drop the connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A listener that counts connections and gives each a string to pull.
struct Door {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Listener for Door {
    type Io = Line;
    type Addr = Peer;

    async fn accept(&mut self) -> (Line, Peer) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small answers at once, as the real server sends them. What can't be set can't be helped.
        let _ = stream.set_nodelay(true);
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        let cut = Arc::new(AtomicBool::new(false));
        (Line { stream, cut: Arc::clone(&cut) }, Peer { address, cut })
    }

    fn local_addr(&self) -> io::Result<Peer> {
        let address = self.listener.local_addr()?;
        Ok(Peer { address, cut: Arc::default() })
    }
}

/// A connection that resets instead of sending once its string has been pulled.
struct Line {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
}

impl Line {
    fn check(&self) -> io::Result<()> {
        if self.cut.load(Ordering::Relaxed) {
            // The client sees a reset, not an orderly end.
            let _ = self.stream.set_zero_linger();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::{DEFAULT_KEY, serve};
    use super::*;

    /// Runs `test` against a sandbox on a real port.
    fn with_sandbox<T>(test: impl AsyncFnOnce(SocketAddr) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let options = SandboxOptions::default();
            let serving = tokio::spawn(serve(options, move |address| sender.send(address).unwrap()));
            let result = test(receiver.await.unwrap()).await;
            serving.abort();
            result
        })
    }

    async fn ask(stream: &mut TcpStream, method: &str, path: &str, body: &str) -> io::Result<String> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {DEFAULT_KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        loop {
            let mut part = [0; 4096];
            let read = stream.read(&mut part).await?;
            text.push_str(&String::from_utf8_lossy(&part[..read]));
            let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                match length {
                    Some(length) => body.len() >= length.parse().unwrap(),
                    None => body.ends_with("0\r\n\r\n") || head.contains(" 204 "),
                }
            });
            if whole || read == 0 {
                return Ok(text);
            }
        }
    }

    #[test]
    fn connections_are_kept_and_counted() {
        with_sandbox(async |address| {
            let mut line = TcpStream::connect(address).await.unwrap();
            for _ in 0..3 {
                let text = ask(&mut line, "GET", "/api/v1/security/roles", "").await.unwrap();
                assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
            }
            let record = ask(&mut line, "GET", "/sandbox/record", "").await.unwrap();
            assert!(record.contains(r#""total":3"#) && record.contains(r#""connections":1"#), "{record}");
        });
    }

    #[test]
    fn a_reset_drops_the_connection_without_an_answer() {
        with_sandbox(async |address| {
            let mut line = TcpStream::connect(address).await.unwrap();
            let fault = r#"{"reset": "after", "method": "PUT", "count": 1}"#;
            ask(&mut line, "POST", "/sandbox/faults", fault).await.unwrap();
            let put = "/api/v1/synchronisation/connected-systems/1/run-profiles/1";
            let lost = ask(&mut line, "PUT", put, r#"{"pageSize": 321}"#).await;
            assert!(lost.as_ref().is_err() || lost.as_ref().is_ok_and(String::is_empty), "{lost:?}");
            let mut line = TcpStream::connect(address).await.unwrap();
            let list =
                ask(&mut line, "GET", "/api/v1/synchronisation/connected-systems/1/run-profiles", "").await.unwrap();
            assert!(list.contains(r#""pageSize":321"#), "carried out: {list}");
        });
    }

    #[test]
    fn a_slow_body_arrives_whole_and_late() {
        with_sandbox(async |address| {
            let mut line = TcpStream::connect(address).await.unwrap();
            ask(&mut line, "POST", "/sandbox/faults", r#"{"slowBody": 20, "count": 1}"#).await.unwrap();
            let start = Instant::now();
            let text = ask(&mut line, "GET", "/api/v1/synchronisation/connected-systems", "").await.unwrap();
            assert!(text.contains("hasPreviousPage") && start.elapsed() >= Duration::from_millis(60), "{text}");
        });
    }

    #[test]
    fn login_configuration_points_to_this_server() {
        with_sandbox(async |address| {
            let mut line = TcpStream::connect(address).await.unwrap();
            let text = ask(&mut line, "GET", "/api/v1/auth/config", "").await.unwrap();
            assert!(text.contains(r#""authority":"http://localhost/idp""#), "{text}");
            let text = ask(&mut line, "GET", "/idp/.well-known/openid-configuration", "").await.unwrap();
            assert!(text.contains(r#""token_endpoint":"http://localhost/idp/token""#), "{text}");
        });
    }
}
