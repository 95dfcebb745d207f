//! `jimhost sandbox`: the look-alike server on a port of this machine.

use super::say;
use crate::sandbox;
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
    /// How long a run takes, in seconds
    #[arg(long, default_value_t = 6.0)]
    run_seconds: f64,
    /// Connected systems to start with; 3 are described, further ones generated
    #[arg(long, default_value_t = 3)]
    systems: usize,
}

pub async fn run(options: Options) -> io::Result<()> {
    let key = options.api_key.clone();
    let served = sandbox::serve(options.into(), |address| {
        // A reader that is gone doesn't stop the server.
        let _ = say(&format!("JIM sandbox at http://{address} (API key {key}). Ctrl-C ends it."));
    });
    tokio::select! {
        outcome = served => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

impl From<Options> for sandbox::Options {
    fn from(options: Options) -> Self {
        Self {
            listen: options.listen,
            api_key: options.api_key,
            rate_limit: options.rate_limit.map(|per_window| sandbox::RateLimit {
                per_window,
                window: Duration::from_secs_f64(options.rate_window.max(0.001)),
            }),
            latency: Duration::from_millis(options.latency),
            run_seconds: options.run_seconds,
            systems: options.systems,
        }
    }
}
