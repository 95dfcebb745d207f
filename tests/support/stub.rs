//! A server that answers what a test wants, over HTTP or TLS, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as the stub saw it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What it answers.
#[derive(Debug, Clone)]
pub struct Told {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Told {
    pub fn json(status: u16, body: &str) -> Self {
        let headers = vec![("Content-Type".into(), "application/json; charset=utf-8".into())];
        Self { status, headers, body: body.into() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

type Answer = dyn Fn(&Asked) -> Told + Send + Sync;

/// Ends with the test's process; one thread per connection.
pub struct Stub {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    scheme: &'static str,
}

impl Stub {
    pub fn start(answer: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> Self {
        Self::serve(None, Arc::new(answer))
    }

    /// Over TLS, with a certificate for `localhost` and 127.0.0.1 that nobody knows; its PEM comes along.
    pub fn start_tls(answer: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> (Self, String) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        (Self::serve(Some(Arc::new(config)), Arc::new(answer)), own.cert.pem())
    }

    fn serve(tls: Option<Arc<rustls::ServerConfig>>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, answer, log) = (tls.clone(), Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || attend(stream, tls, &*answer, &log));
            }
        });
        Self { address, asked, scheme }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests as "METHOD /path".
    pub fn requests(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect()
    }
}

fn attend(stream: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, answer: &Answer, log: &Mutex<Vec<Asked>>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let _ = stream.set_nodelay(true);
    match tls {
        None => converse(stream, answer, log),
        Some(config) => {
            let session = rustls::ServerConnection::new(config).unwrap();
            converse(rustls::StreamOwned::new(session, stream), answer, log);
        }
    }
}

/// Requests and answers until the client has gone.
fn converse(stream: impl Read + Write, answer: &Answer, log: &Mutex<Vec<Asked>>) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream) {
        let told = answer(&asked);
        log.lock().unwrap().push(asked);
        let mut head = format!("HTTP/1.1 {} Stub\r\nContent-Length: {}\r\n", told.status, told.body.len());
        for (name, value) in &told.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let text = format!("{head}\r\n{}", told.body);
        if stream.get_mut().write_all(text.as_bytes()).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

fn read(stream: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// What Connect-JIM asks a server, answered well; the key is good.
pub fn greeting(asked: &Asked) -> Option<Told> {
    let path = asked.path.split('?').next().unwrap_or_default();
    match path {
        "/api/v1/health" => Some(Told::json(200, r#"{"status":"healthy"}"#)),
        "/api/v1/health/version" => Some(Told::json(200, r#"{"version":"0.14.0"}"#)),
        "/api/v1/synchronisation/connected-systems" if asked.method == "GET" => Some(Told::json(
            200,
            r#"{"items":[],"totalCount":0,"page":1,"pageSize":1,"totalPages":0,"hasNextPage":false,"hasPreviousPage":false}"#,
        )),
        _ => None,
    }
}
