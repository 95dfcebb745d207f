//! The command line of `jimhost`.

mod api;
mod credentials;
mod sandbox;

fn main() {}
