//! Job-collection documents of Netwrix Directory Manager as values: read, shown, changed, compared,
//! checked and carried to another server. Pure functions: no files, no HTTP, no PowerShell.
//!
//! A document is never converted to types of ours: the product's own members are only partly
//! documented, so everything nobody changed leaves as the text that came in.

mod compare;
mod error;
mod identity;
mod lint;
mod merge;
mod node;
mod path;
mod references;
mod renewal;
mod repair;
mod rows;
mod secrets;
#[cfg(test)]
mod tests;

pub use compare::{Change, CompareOptions, Difference, Kind, compare};
pub use error::DocumentError;
pub use identity::{
    Identity, Job, JobKey, Notification, OnFailure, Place, add_job, agree, describe, identity, jobs, move_job,
    remove_job, rename, rename_job, set_notification, set_on_failure,
};
pub use lint::{Finding, Purpose, Severity, lint};
pub use merge::{merge, surface};
pub use node::{Document, Node};
pub use path::Path;
pub use references::{Reference, ReferenceKind, ReferenceMap, Remapped, references, remap};
pub use renewal::{as_new, fingerprint, new_job};
pub use repair::{Repaired, repair};
pub use secrets::{fill, has_password_mapping, placeholders, secret_paths};
