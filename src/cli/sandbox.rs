//! `jimhost sandbox`: the look-alike server on a port of this machine.

use super::say;
use crate::sandbox::{self, SandboxOptions};
use clap::Args;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Args)]
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
}

pub async fn run(options: Options) -> io::Result<()> {
    let key = options.api_key.clone();
    let served = sandbox::serve(options.into(), |address| {
        // A reader that is gone doesn't stop the server.
        let _ = say(&format!("JIM sandbox at http://{address} (API key {key}). Ctrl-C ends it."));
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
            ..Self::default()
        }
    }
}
