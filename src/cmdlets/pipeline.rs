//! What the calls of one cmdlet in one pipeline share: the names they looked up, and the order in
//! which their changes leave.

use serde_json::Value;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell, OwnedMutexGuard};

/// Pipelines that are remembered: those that may be running at once, in a few runspaces.
const MOST: usize = 16;

/// Names of a list with their ids.
pub type Names = Rc<OnceCell<Vec<(String, Value)>>>;

/// A call holds it until its changing request leaves, so that changes leave in the order of the calls.
pub type Turn = OwnedMutexGuard<()>;

/// The pipelines of a session. A pipeline's mark is never used again, so nothing outlives it.
#[derive(Default)]
pub struct Pipelines(RefCell<VecDeque<Pipeline>>);

struct Pipeline {
    mark: String,
    lists: Vec<(String, Names)>,
    turn: Arc<Mutex<()>>,
}

impl Pipelines {
    fn with<T>(&self, mark: &str, act: impl FnOnce(&mut Pipeline) -> T) -> T {
        let mut all = self.0.borrow_mut();
        let mut found = match all.iter().position(|p| p.mark == mark).and_then(|place| all.remove(place)) {
            Some(found) => found,
            None => Pipeline { mark: mark.to_owned(), lists: Vec::new(), turn: Arc::default() },
        };
        let result = act(&mut found);
        // The one used longest ago goes first.
        all.push_back(found);
        if all.len() > MOST {
            all.pop_front();
        }
        result
    }

    /// Waits until earlier calls of the pipeline have sent their changes.
    pub async fn turn(&self, mark: &str) -> Turn {
        self.with(mark, |pipeline| Arc::clone(&pipeline.turn)).lock_owned().await
    }

    /// The names of the list at `path`; filled by whoever needs them first.
    pub fn names(&self, mark: &str, path: &str) -> Names {
        self.with(mark, |pipeline| {
            if let Some((_, names)) = pipeline.lists.iter().find(|(known, _)| known == path) {
                return Rc::clone(names);
            }
            let names = Names::default();
            pipeline.lists.push((path.to_owned(), Rc::clone(&names)));
            names
        })
    }

    /// The list at `path` is to be read again.
    pub fn forget_list(&self, mark: &str, path: &str) {
        self.with(mark, |pipeline| pipeline.lists.retain(|(known, _)| known != path));
    }

    /// Names have changed.
    pub fn forget_names(&self, mark: &str) {
        self.with(mark, |pipeline| pipeline.lists.clear());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pipelines_share_nothing_and_old_ones_go() {
        let pipelines = Pipelines::default();
        pipelines.names("1", "/a").set(vec![]).unwrap();
        assert!(pipelines.names("1", "/a").initialized());
        assert!(!pipelines.names("1", "/b").initialized() && !pipelines.names("2", "/a").initialized());
        pipelines.forget_list("1", "/a");
        assert!(!pipelines.names("1", "/a").initialized());
        for mark in 0..100 {
            pipelines.names(&format!("p{mark}"), "/a");
        }
        assert_eq!(pipelines.0.borrow().len(), MOST);
    }

    #[tokio::test]
    async fn turns_come_in_order() {
        let pipelines = Rc::new(Pipelines::default());
        let order = Rc::new(RefCell::new(Vec::new()));
        let first = pipelines.turn("1").await;
        let local = tokio::task::LocalSet::new();
        for number in 0..5 {
            let (pipelines, order) = (Rc::clone(&pipelines), Rc::clone(&order));
            local.spawn_local(async move {
                let _turn = pipelines.turn("1").await;
                order.borrow_mut().push(number);
            });
        }
        drop(first);
        local.await;
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
    }
}
