//! Where API keys and refresh tokens live: the OS keyring, files, the environment, and a list of
//! remembered connections that holds no secret.

mod entries;
pub mod key_file;
mod server_key;
mod store;
mod store_error;

pub use key_file::KeyFileError;
pub use server_key::ServerKey;
pub use store::{SecretKind, Store, StoreError};
