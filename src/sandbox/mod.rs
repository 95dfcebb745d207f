//! `jimhost sandbox`: a stateful look-alike of a JIM server, in memory, for demos, rehearsals and tests; on the same
//! port the job API of Directory Manager (`ndm`).
//!
//! It shares no code with the client side: it is held to what a real server (0.14.0) was observed to answer, so that
//! it can't agree with the client's mistakes. Besides the API it has its own identity provider under `/idp` and, for
//! callers on this machine only, switches under `/sandbox` (faults, record, reset).

mod activities;
mod api_keys;
mod app;
mod areas;
mod attribute_priorities;
mod auth;
mod body;
mod certificates;
mod change_history;
mod clock;
mod connected_systems;
mod connector_space;
mod connectors;
mod criteria;
mod errors;
mod example_data;
mod executions;
mod expressions;
mod faults;
mod file_system;
mod front;
mod idp;
mod mappings;
mod matching_rules;
mod metaverse;
mod metaverse_attributes;
mod metaverse_types;
pub mod ndm;
mod object_history;
mod paging;
mod passwords;
mod pending_exports;
mod people;
mod predefined_searches;
mod previews;
mod record;
mod roles;
mod run_profiles;
mod runs;
mod schedules;
mod seed;
mod settings;
mod state;
mod structure;
mod sync_rules;
mod system;
mod tables;
mod wire;
mod worker_tasks;

#[cfg(test)]
mod replay;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::SecretString;

pub use faults::Faults;

/// The administrator key a sandbox accepts unless it is told another.
pub const DEFAULT_KEY: &str = "jim_ak_sandbox_0123456789";

/// How long Directory Manager's tokens live by default, as documented.
pub const NDM_TOKEN_SECONDS: u64 = 1200;

/// How a sandbox behaves.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Port 0: any free one.
    pub listen: SocketAddr,
    /// The administrator key.
    pub api_key: SecretString,
    /// `None`: no limits for anybody.
    pub rate_limit: Option<RateLimit>,
    /// Added to every answer.
    pub latency: Duration,
    /// What goes wrong from the start.
    pub faults: Faults,
    /// 1.0: a run takes about six seconds.
    pub run_speed: f64,
    /// Connected systems; beyond the three that tell a story they are generated.
    pub seed_systems: usize,
    /// Offers an interactive login; without it `/auth/config` answers 503.
    pub identity_provider: bool,
    /// How long Directory Manager's tokens live, in seconds.
    pub ndm_token_seconds: u64,
    /// Directory Manager's GET requests lose their bodies, as behind some proxies.
    pub ndm_drop_get_bodies: bool,
}

/// Requests each key may make in a sliding window; those without a valid key share a tenth of it per address.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    pub per_window: u32,
    pub window: Duration,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: SecretString::from(DEFAULT_KEY),
            rate_limit: None,
            latency: Duration::ZERO,
            faults: Faults::default(),
            run_speed: 1.0,
            seed_systems: 3,
            identity_provider: true,
            ndm_token_seconds: NDM_TOKEN_SECONDS,
            ndm_drop_get_bodies: false,
        }
    }
}

/// Why a sandbox could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox can't listen on {address}: {source}. Choose another address or port 0")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the sandbox stopped: {0}")]
    Serve(std::io::Error),
}

/// Serves until the future is dropped; `ready` hears the address that was bound.
///
/// Connections that are open when the future is dropped end with their runtime.
///
/// # Errors
/// When the address can't be bound.
pub async fn serve(options: SandboxOptions, ready: impl FnOnce(SocketAddr)) -> Result<(), SandboxError> {
    front::serve(options, ready).await
}
