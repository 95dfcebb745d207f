//! The HTTP client: one connection pool, credentials, TLS, retry, rate limits, paging, errors.
//!
//! It speaks of requests and answers only; cmdlets give each request a subject for the messages.

mod connection;
mod error;
mod failure;
mod message;
mod page;
mod retry;
mod tls;
mod transport;
mod window;

#[cfg(test)]
pub(crate) mod tests;

pub use connection::{Auth, Connection, Options};
pub use error::{Answer, ApiError, Unexpected};
pub use message::{Accept, Method, Request, Response, encode_segment};
pub use page::Page;
pub use retry::Event;
pub use tls::TlsOptions;
