//! Cmdlets of Directory Manager: connection, the endpoints of its Synchronize jobs, and what is built
//! on them. Documents hold secrets, so nothing here writes one to an output or a message.

mod change;
mod connect;
mod connection;
mod envelope;
mod error;
mod listing;
mod lists;
mod review;
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
    "compare-collections",
    "connect",
    "disconnect",
    "export-collections",
    "get-collection-jobs",
    "get-collections",
    "get-connection",
    "get-job-names",
    "get-jobs",
    "import-collection",
    "new-job",
    "remove-collections",
    "remove-jobs",
    "test-collection",
];

pub async fn run(handler: &str, context: &Context<'_>) -> Result<(), Failure> {
    match handler {
        "compare-collections" => review::compare(context).await,
        "connect" => connect::run(context).await,
        "disconnect" => connect::disconnect(context).await,
        "export-collections" => review::export(context).await,
        "get-collection-jobs" => lists::collection_jobs(context).await,
        "get-collections" => lists::collections(context).await,
        "get-connection" => connect::get(context).await,
        "get-job-names" => lists::names(context).await,
        "get-jobs" => lists::jobs(context).await,
        "import-collection" => review::import(context).await,
        "new-job" => change::new_job(context).await,
        "remove-collections" => change::remove_collections(context).await,
        "remove-jobs" => change::remove_jobs(context).await,
        "test-collection" => review::test(context).await,
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
