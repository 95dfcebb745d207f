//! `jimhost sandbox`: the look-alike servers on a port of this machine.

use super::say;
use crate::sandbox::{self, SandboxOptions, ndm};
use clap::Args;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// What a running sandbox can be told by HTTP, from this machine only.
const SWITCHES: &str = r#"Switches of a running sandbox (POST as JSON, from this machine only):
  /sandbox/faults         what goes wrong next, one object or a list; GET shows them, DELETE clears them
  /sandbox/expire-tokens  all access tokens end now
  /sandbox/reset          everything as it was at the start
  /sandbox/record         GET: the requests and whether they were carried out; DELETE empties it

A fault is one effect, limited by "method", "path" (its beginning) and "count":
  {"nextStatus": [429, 503], "retryAfter": "2"}   {"latencyMs": 500}   {"reset": "before" or "after"}
  {"html": true}   {"emptyBody": true}   {"truncatedJson": true}   {"wrongShape": true}   {"slowBody": 20}
  {"databaseDown": true}
Only for Directory Manager, where {"nextStatus": [403]} is a page of IIS:
  {"failingStatus": {"status": 1, "message": "...", "errorCode": "..."}}   a failure under HTTP 200; all three optional
  {"failingItems": [3]}       these ids can't be deleted
  {"dropGetBodies": true}     GET requests lose their bodies: lists come unfiltered
  {"tokenSeconds": 2}         lifetime of the next tokens
  {"blankPasswords": true}    documents are read with their static passwords left out

The next update of a job collection fails:
  curl http://127.0.0.1:5230/sandbox/faults -d '{"failingStatus": {}, "method": "PATCH", "count": 1}'"#;

#[derive(Args)]
#[command(after_help = SWITCHES)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:5230")]
    listen: SocketAddr,
    /// The key it accepts; it opens nothing but the sandbox
    #[arg(long, default_value = sandbox::DEFAULT_KEY)]
    api_key: String,
    /// Added to every answer, in milliseconds
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Requests allowed per window and key; unlimited when absent
    #[arg(long)]
    rate_limit: Option<u32>,
    /// Length of the rate limit's window, in seconds
    #[arg(long, default_value_t = 60.0)]
    rate_window: f64,
    /// How fast runs are: 1 takes about six seconds, 20 a third of one
    #[arg(long, default_value_t = 1.0)]
    run_speed: f64,
    /// Connected systems to start with; 3 are described, further ones generated
    #[arg(long, default_value_t = 3)]
    systems: usize,
    /// Offer no login: /auth/config answers 503
    #[arg(long)]
    no_identity_provider: bool,
    /// Lifetime of Directory Manager's tokens, in seconds
    #[arg(long, default_value_t = sandbox::NDM_TOKEN_SECONDS)]
    ndm_token_seconds: u64,
    /// Directory Manager's GET requests lose their bodies, as behind some proxies: lists come unfiltered
    #[arg(long)]
    ndm_drop_get_bodies: bool,
}

pub async fn run(options: Options) -> io::Result<()> {
    let key = options.api_key.clone();
    let served = sandbox::serve(options.into(), |address| {
        // A reader that is gone doesn't stop the server.
        let _ = say(&format!("JIM sandbox at http://{address} (API key {key}). Ctrl-C ends it."));
        let _ = say(&format!(
            "Directory Manager sandbox at the same address (user {}, password {}, identity store {}, client {}, client secret {}).",
            ndm::USER,
            ndm::PASSWORD,
            ndm::IDENTITY_STORE,
            ndm::CLIENT,
            ndm::CLIENT_SECRET
        ));
    });
    tokio::select! {
        outcome = served => outcome.map_err(io::Error::other),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

impl From<Options> for SandboxOptions {
    fn from(options: Options) -> Self {
        Self {
            listen: options.listen,
            api_key: options.api_key.into(),
            rate_limit: options.rate_limit.map(|per_window| sandbox::RateLimit {
                per_window,
                window: Duration::from_secs_f64(options.rate_window.clamp(0.001, 86_400.0)),
            }),
            latency: Duration::from_millis(options.latency),
            run_speed: options.run_speed,
            seed_systems: options.systems,
            identity_provider: !options.no_identity_provider,
            ndm_token_seconds: options.ndm_token_seconds,
            ndm_drop_get_bodies: options.ndm_drop_get_bodies,
            ..Self::default()
        }
    }
}
