//! Cmdlets of Directory Manager: connection, the endpoints of its Synchronize jobs, and what is built
//! on them. Documents hold secrets, so nothing here writes one to an output or a message.

mod change;
mod connect;
mod connection;
mod envelope;
mod error;
mod listing;
mod lists;
mod server;
mod service;
mod sign_in;

pub use connection::Connected;
pub use error::NdmError;

use super::Context;
use crate::failure::Failure;

/// The handlers that rows name.
#[cfg(test)]
const HANDLERS: &[&str] = &[
    "connect",
    "disconnect",
    "get-collection-jobs",
    "get-collections",
    "get-connection",
    "get-job-names",
    "get-jobs",
    "new-job",
    "remove-collections",
    "remove-jobs",
];

pub async fn run(handler: &str, context: &Context<'_>) -> Result<(), Failure> {
    match handler {
        "connect" => connect::run(context).await,
        "disconnect" => connect::disconnect(context).await,
        "get-collection-jobs" => lists::collection_jobs(context).await,
        "get-collections" => lists::collections(context).await,
        "get-connection" => connect::get(context).await,
        "get-job-names" => lists::names(context).await,
        "get-jobs" => lists::jobs(context).await,
        "new-job" => change::new_job(context).await,
        "remove-collections" => change::remove_collections(context).await,
        "remove-jobs" => change::remove_jobs(context).await,
        // A unit test holds the catalogue to `HANDLERS`.
        other => Err(Failure::UnknownCmdlet(format!("{} (handler {other})", context.row.cmdlet.name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::row::Product;
    use std::collections::BTreeSet;

    #[test]
    fn every_handler_that_a_row_names_exists_and_is_used() {
        let rows = crate::catalog::all().filter(|row| row.product == Product::Ndm);
        let named: BTreeSet<String> = rows.filter_map(|row| row.cmdlet.handler).collect();
        let known: BTreeSet<String> = HANDLERS.iter().map(ToString::to_string).collect();
        assert_eq!(named, known);
    }
}
