//! Where API keys and refresh tokens live: the OS keyring, files, the environment, and a list of
//! remembered connections that holds no secret.

pub mod key_file;
mod server_key;

pub use key_file::KeyFileError;
pub use server_key::ServerKey;
