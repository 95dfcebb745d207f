//! Where something is in a document: `jobs[0].fieldsMap[3].transform`.

use super::node::Node;
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    Member(String),
    Index(usize),
}

/// From the root down. The root itself is the empty path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Step>);

impl Path {
    pub fn member(&self, name: &str) -> Self {
        self.with(Step::Member(name.to_owned()))
    }

    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Of members that occur twice, the last: the one that counts for the server and for PowerShell.
    pub fn find<'a>(&self, root: &'a Node) -> Option<&'a Node> {
        self.0.iter().try_fold(root, |node, step| match step {
            Step::Member(name) => node.get(name),
            Step::Index(index) => node.items().get(*index),
        })
    }

    pub fn find_mut<'a>(&self, root: &'a mut Node) -> Option<&'a mut Node> {
        self.0.iter().try_fold(root, |node, step| match step {
            Step::Member(name) => node.get_mut(name),
            Step::Index(index) => node.items_mut()?.get_mut(*index),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                // Braces would end a placeholder, `!` the path in it; dots would read as another level.
                Step::Member(name) if name.is_empty() || name.contains(['.', '[', ']', '{', '}', '"', '!']) => {
                    write!(f, "['{}']", name.replace(['{', '}', '!'], "_"))?;
                }
                Step::Member(name) => write!(f, "{}{name}", if at == 0 { "" } else { "." })?,
            }
        }
        Ok(())
    }
}
