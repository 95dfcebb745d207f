//! How many requests of a connection are on their way at once: a window that halves when the server
//! says 429 and opens again, place by place, while it answers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// Answers for each place of the window before it gets one more.
const ANSWERS_PER_PLACE: u32 = 4;

#[derive(Debug)]
pub(super) struct Window {
    most: u32,
    places: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    allowed: u32,
    /// Places taken away while they were in use: whoever leaves next doesn't give theirs back.
    owed: u32,
    answered: u32,
}

/// A place in the window; dropping it leaves.
#[derive(Debug)]
pub(super) struct Place<'a>(&'a Window);

impl Window {
    /// `most` requests at once; 0 counts as 1.
    pub(super) fn new(most: u32) -> Self {
        let most = most.max(1);
        let state = Mutex::new(State { allowed: most, owed: 0, answered: 0 });
        Self { most, places: Semaphore::new(most as usize), state }
    }

    /// Waits for a place; first come, first served.
    pub(super) async fn enter(&self) -> Place<'_> {
        if let Ok(permit) = self.places.acquire().await {
            permit.forget();
        }
        Place(self)
    }

    /// Half as many from now on, one at least.
    pub(super) fn shrink(&self) {
        let mut state = self.state();
        let fewer = (state.allowed / 2).max(1);
        state.owed += state.allowed - fewer;
        state.allowed = fewer;
        state.answered = 0;
    }

    /// Notes an answer that was no 429.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        if state.allowed >= self.most {
            return;
        }
        state.answered += 1;
        if state.answered < state.allowed * ANSWERS_PER_PLACE {
            return;
        }
        state.answered = 0;
        state.allowed += 1;
        if state.owed > 0 {
            state.owed -= 1;
        } else {
            self.places.add_permits(1);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.owed > 0 {
            state.owed -= 1;
        } else {
            self.0.places.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    async fn is_full(window: &Window) -> bool {
        tokio::time::timeout(Duration::from_millis(20), window.enter()).await.is_err()
    }

    #[tokio::test]
    async fn no_more_than_its_places_are_on_their_way() {
        let window = Window::new(2);
        let (first, _second) = (window.enter().await, window.enter().await);
        assert!(is_full(&window).await);
        drop(first);
        assert!(!is_full(&window).await);
    }

    #[tokio::test]
    async fn it_halves_and_recovers() {
        let window = Window::new(4);
        let all = [window.enter().await, window.enter().await, window.enter().await, window.enter().await];
        window.shrink();
        drop(all);
        let two = [window.enter().await, window.enter().await];
        assert!(is_full(&window).await);
        for _ in 0..2 * ANSWERS_PER_PLACE {
            window.answered();
        }
        let third = window.enter().await;
        assert!(is_full(&window).await);
        drop((two, third));
        for _ in 0..100 {
            window.answered();
        }
        let _all = [window.enter().await, window.enter().await, window.enter().await, window.enter().await];
        assert!(is_full(&window).await, "never more than at first");
    }

    #[tokio::test]
    async fn one_place_always_stays() {
        let window = Window::new(1);
        window.shrink();
        window.shrink();
        let place = window.enter().await;
        drop(place);
        assert!(!is_full(&window).await);
    }
}
