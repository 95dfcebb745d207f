//! Job-collection documents of Netwrix Directory Manager as values: read, shown, changed, compared,
//! checked and carried to another server. Pure functions: no files, no HTTP, no PowerShell.
//!
//! A document is never converted to types of ours: the product's own members are only partly
//! documented, so everything nobody changed leaves as the text that came in.

mod adopt;
mod compare;
mod error;
mod identity;
mod lint;
mod merge;
mod node;
mod origin;
mod path;
mod references;
mod renewal;
mod repair;
mod rows;
mod secrets;
#[cfg(test)]
mod tests;

pub use adopt::adopt;
pub use compare::{Change, CompareOptions, Difference, Kind, compare};
pub use error::DocumentError;
pub use identity::{
    Identity, JobKey, Notification, OnFailure, Place, add_job, agree, describe, identity, jobs, move_job, remove_job,
    rename, rename_job, set_notification, set_on_failure,
};
pub use lint::{Finding, Purpose, Severity, lint};
pub use merge::{merge, surface};
pub use node::{Document, Node};
pub use origin::{FINGERPRINT, Origin, with_origin, without_origin};
pub use references::{ReferenceKind, ReferenceMap, remap};
pub use renewal::{as_new, at_rest, fingerprint};
pub use repair::repair;
pub use secrets::{fill, has_password_mapping, placeholders, secret_paths};
