//! Job collections under review: as files that git shows well, compared, checked, and brought to a
//! server. Secrets leave a server only into a file that was asked for by `-IncludeSecret`.

mod compare;
mod export;
mod file;
mod import;
mod onto;
mod source;
mod test;

pub use compare::run as compare;
pub use export::run as export;
pub use import::run as import;
pub use test::run as test;
