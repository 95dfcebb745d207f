//! The pages of a list: read in order, fetched ahead while what came before is written. How far
//! ahead is bounded, so that a consumer who stops early, or is slow, costs a few pages at most.

use super::Context;
use super::declared::send;
use super::session::Connected;
use crate::api::{Page, Request, Response};
use crate::catalog::row::Paging;
use crate::failure::Failure;
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

/// Objects asked for at once, as the official module does.
const PAGE_SIZE: u64 = 100;
/// Pages that `-All` reads without `-Force`.
const MOST_PAGES: u64 = 1000;
/// Rows the server lets anybody skip; beyond that it answers 400.
const DEEPEST_ROW: u64 = 1_000_000;
/// From here a list is worth a word of warning.
const LARGE: u64 = 10_000;

/// A walk over the pages of a list.
pub struct Pages<'c> {
    context: &'c Context<'c>,
    connected: &'c Rc<Connected>,
    request: Request,
    /// The list knows pages; a bare array doesn't.
    paged: bool,
    all: bool,
    /// Stops after `MOST_PAGES`, as `-All` without `-Force` does.
    capped: bool,
    size: u64,
    /// The page whose turn is next, the first one not asked for, and the last one known to exist.
    turn: u64,
    unasked: u64,
    last: u64,
    read: u64,
    /// Pages that may be on their way: one after the first page, then twice as many, to a limit.
    width: usize,
    flying: FuturesUnordered<LocalBoxFuture<'c, (u64, Result<Response, Failure>)>>,
    landed: BTreeMap<u64, Result<Response, Failure>>,
}

impl<'c> Pages<'c> {
    pub fn new(
        context: &'c Context<'c>,
        connected: &'c Rc<Connected>,
        request: Request,
        paging: Paging,
        all: bool,
    ) -> Self {
        let paged = !matches!(paging, Paging::None | Paging::List);
        Self {
            context,
            connected,
            request,
            paged,
            all,
            capped: false,
            size: PAGE_SIZE,
            turn: 1,
            unasked: 1,
            last: 1,
            read: 0,
            width: 1,
            flying: FuturesUnordered::new(),
            landed: BTreeMap::new(),
        }
    }

    pub fn with_size(mut self, size: Option<i64>) -> Self {
        self.size = size.and_then(|n| u64::try_from(n).ok()).unwrap_or(PAGE_SIZE);
        self
    }

    pub fn starting_at(mut self, number: Option<i64>) -> Self {
        let number = number.and_then(|n| u64::try_from(n).ok()).unwrap_or(1);
        (self.turn, self.unasked, self.last) = (number, number, number);
        self
    }

    pub fn capped(mut self, capped: bool) -> Self {
        self.capped = capped;
        self
    }

    /// The next page, or `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Response>, Failure> {
        if self.turn > self.last {
            return Ok(None);
        }
        self.ask(1);
        let response = loop {
            if let Some(landed) = self.landed.remove(&self.turn) {
                break landed?;
            }
            match self.flying.next().await {
                Some((number, outcome)) => self.landed.insert(number, outcome),
                // Asked for above: it is flying or has landed.
                None => return Ok(None),
            };
        };
        self.turn += 1;
        self.read += 1;
        Ok(Some(response))
    }

    /// Sends requests until `most` pages are on their way or wait for their turn.
    fn ask(&mut self, most: usize) {
        while self.unasked <= self.last && self.flying.len() + self.landed.len() < most {
            let mut request = self.request.clone();
            let number = self.unasked;
            if self.paged {
                request = request.with_query("page", number.to_string()).with_query("pageSize", self.size.to_string());
            }
            let (context, connected) = (self.context, self.connected);
            self.flying.push(async move { (number, send(context, connected, &request).await) }.boxed_local());
            self.unasked += 1;
        }
    }

    /// Writes, and fetches further pages meanwhile. They are looked after all the time: a request
    /// left alone behind a slow consumer would run into its time-out.
    pub async fn while_writing(&mut self, writing: impl Future<Output = ()>) {
        self.ask(self.width);
        self.width = (self.width * 2).min(self.connected.max_concurrency as usize).max(1);
        let mut writing = std::pin::pin!(writing);
        loop {
            tokio::select! {
                biased;
                () = &mut writing => return,
                Some((number, outcome)) = self.flying.next(), if !self.flying.is_empty() => {
                    self.landed.insert(number, outcome);
                }
            }
        }
    }

    /// Notes what the page says about further ones.
    pub fn saw(&mut self, page: &Page<'_>) {
        if !self.all || !page.has_more() || self.at_cap() || self.at_depth(page) {
            self.last = self.turn - 1;
            return;
        }
        let size = page.page_size.unwrap_or(self.size).max(1);
        let known = page.total_count.map_or(0, |total| total.div_ceil(size));
        let mut last = known.max(self.turn).min(DEEPEST_ROW / size);
        if self.capped {
            last = last.min(self.turn - self.read + MOST_PAGES - 1);
        }
        self.last = last;
    }

    fn at_cap(&self) -> bool {
        self.capped && self.read >= MOST_PAGES
    }

    fn at_depth(&self, page: &Page<'_>) -> bool {
        (self.turn - 1) * page.page_size.unwrap_or(self.size) >= DEEPEST_ROW
    }

    /// What people should know about this page: a list that is long, or that ends early.
    pub fn warning(&self, page: &Page<'_>) -> Option<String> {
        if !self.all {
            return None;
        }
        let total = page.total_count.unwrap_or(0);
        if self.read == 1 && total >= LARGE {
            return Some(format!("This is a large result set: {total} objects. Consider a filter."));
        }
        if self.turn <= self.last || !page.has_more() {
            return None;
        }
        if self.at_cap() {
            return Some(format!(
                "The list was stopped after {MOST_PAGES} pages of {total} objects in all. Use -Force to read them all."
            ));
        }
        Some(format!(
            "The list ends at the server's retrieval depth of {DEEPEST_ROW} rows ({total} objects in all). Use a filter to see the rest."
        ))
    }
}
