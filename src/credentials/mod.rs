//! Where API keys and refresh tokens live: the OS keyring, files, the environment, and a list of
//! remembered connections that holds no secret.

pub mod doctor;
mod entries;
pub mod key_file;
mod remembered;
mod server_key;
mod source;
mod store;
mod store_error;

pub use key_file::KeyFileError;
pub use remembered::{Connection, JIM, KeptIn, NDM, Remembered};
pub use server_key::ServerKey;
pub use source::{Environment, Found, NotFound, Source, account, find_key};
pub use store::{SecretKind, Store, StoreError};
