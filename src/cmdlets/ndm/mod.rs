//! Cmdlets of Directory Manager: connection, the endpoints of its Synchronize jobs, and what is built
//! on them. Documents hold secrets, so nothing here writes one to an output or a message.

mod change;
mod collection_jobs;
mod collections;
mod connect;
mod connection;
mod documents;
mod edit;
mod envelope;
mod error;
mod listing;
mod lists;
mod review;
mod server;
mod service;
mod sign_in;
mod words;

pub use connection::Connected;
pub use error::NdmError;

use super::Context;
use crate::failure::Failure;

/// The handlers that rows name.
#[cfg(test)]
const HANDLERS: &[&str] = &[
    "compare-collections",
    "add-collection-job",
    "connect",
    "copy-collection",
    "disable-notification",
    "disconnect",
    "export-collections",
    "enable-notification",
    "get-collection-jobs",
    "get-collections",
    "get-connection",
    "get-job-names",
    "get-jobs",
    "import-collection",
    "move-collection-job",
    "new-collection",
    "new-job",
    "remove-collection-job",
    "remove-collections",
    "remove-jobs",
    "test-collection",
    "rename-collection",
    "set-collection",
    "set-collection-job",
];

pub async fn run(handler: &str, context: &Context<'_>) -> Result<(), Failure> {
    match handler {
        "compare-collections" => review::compare(context).await,
        "add-collection-job" => collection_jobs::add(context).await,
        "connect" => connect::run(context).await,
        "copy-collection" => collections::copy(context).await,
        "disable-notification" => collections::disable_notification(context).await,
        "disconnect" => connect::disconnect(context).await,
        "export-collections" => review::export(context).await,
        "enable-notification" => collections::enable_notification(context).await,
        "get-collection-jobs" => lists::collection_jobs(context).await,
        "get-collections" => lists::collections(context).await,
        "get-connection" => connect::get(context).await,
        "get-job-names" => lists::names(context).await,
        "get-jobs" => lists::jobs(context).await,
        "import-collection" => review::import(context).await,
        "move-collection-job" => collection_jobs::relocate(context).await,
        "new-collection" => collections::create(context).await,
        "new-job" => change::new_job(context).await,
        "remove-collection-job" => collection_jobs::remove(context).await,
        "remove-collections" => change::remove_collections(context).await,
        "remove-jobs" => change::remove_jobs(context).await,
        "test-collection" => review::test(context).await,
        "rename-collection" => collections::rename(context).await,
        "set-collection" => collections::set(context).await,
        "set-collection-job" => collection_jobs::set(context).await,
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
