//! The command line of `jimhost`.

mod api;
mod credentials;
mod login;
mod sandbox;

fn main() {}
