//! What can be wrong with a document, with a stable code.

/// A document that can't be used as asked. No variant holds a value that may be a secret: only paths,
/// names of jobs and positions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("this is not JSON: {cause}, at line {line}, column {column}")]
    NotJson { line: usize, column: usize, cause: String },
    #[error("the document is nested more than {limit} levels deep")]
    TooDeep { limit: usize },
    #[error("{} is not {expected}", place(path))]
    Shape { path: String, expected: &'static str },
    #[error("secrets are missing: {}. Give them by these paths, or keep those the server has", paths.join(", "))]
    Unfilled { paths: Vec<String> },
    #[error("the collection has no job {job}; it has {}", list(names))]
    NoSuchJob { job: String, names: Vec<String> },
    #[error("the collection has more than one job named '{name}': name it by its id ({})", ids.join(", "))]
    AmbiguousJob { name: String, ids: Vec<String> },
    #[error("there is no position {position} among {count} jobs")]
    NoSuchPosition { position: usize, count: usize },
    #[error("the map of references can't be used: {cause}")]
    BadMap { cause: String },
}

impl DocumentError {
    /// Stable across versions; scripts filter by it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "DocumentNotJson",
            Self::TooDeep { .. } => "DocumentTooDeep",
            Self::Shape { .. } => "DocumentShape",
            Self::Unfilled { .. } => "DocumentSecretMissing",
            Self::NoSuchJob { .. } => "DocumentNoSuchJob",
            Self::AmbiguousJob { .. } => "DocumentAmbiguousJob",
            Self::NoSuchPosition { .. } => "DocumentNoSuchPosition",
            Self::BadMap { .. } => "DocumentBadMap",
        }
    }
}

fn place(path: &str) -> &str {
    if path.is_empty() { "the document" } else { path }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
