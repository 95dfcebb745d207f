//! Lists: the paging envelope of the server, and the bare arrays it uses for short lists.

use serde::Deserialize;
use serde_json::value::RawValue;

/// One page of a list; the items stay the server's own bytes.
///
/// Every number but the items is optional: lists that are bare arrays have none of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<'a> {
    /// The items of this page, each as it was sent.
    #[serde(borrow)]
    pub items: Vec<&'a RawValue>,
    /// Items on all pages together.
    #[serde(default)]
    pub total_count: Option<u64>,
    /// Number of this page, from 1.
    #[serde(default)]
    pub page: Option<u64>,
    /// Items a page holds; the server clamps it to 100 without saying so.
    #[serde(default)]
    pub page_size: Option<u64>,
    #[serde(default)]
    pub total_pages: Option<u64>,
    #[serde(default)]
    pub has_next_page: Option<bool>,
}

impl<'a> Page<'a> {
    /// A list that came without an envelope: all there is.
    pub(super) fn whole(items: Vec<&'a RawValue>) -> Self {
        Self { items, total_count: None, page: None, page_size: None, total_pages: None, has_next_page: None }
    }

    /// Whether another page is worth asking for.
    ///
    /// An empty page is the end whatever the envelope says, so that a paging loop always ends.
    #[must_use]
    pub fn has_more(&self) -> bool {
        if self.items.is_empty() {
            return false;
        }
        if let Some(next) = self.has_next_page {
            return next;
        }
        match (self.page, self.total_pages, self.page_size, self.total_count) {
            (Some(page), Some(pages), _, _) => page < pages,
            (Some(page), None, Some(size), Some(total)) => page.saturating_mul(size) < total,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn page(text: &str) -> Page<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn items_stay_the_bytes_that_were_sent() {
        let page = page(
            r#"{"items":[{"id": 1.50 ,"x":null}],"totalCount":3,"page":1,"pageSize":1,"totalPages":3,"hasNextPage":true,"hasPreviousPage":false}"#,
        );
        assert_eq!(page.items[0].get(), r#"{"id": 1.50 ,"x":null}"#);
        assert_eq!((page.total_count, page.total_pages), (Some(3), Some(3)));
        assert!(page.has_more());
    }

    #[test]
    fn the_end_is_found_without_has_next_page() {
        assert!(page(r#"{"items":[1],"page":1,"totalPages":2}"#).has_more());
        assert!(!page(r#"{"items":[1],"page":2,"totalPages":2}"#).has_more());
        assert!(page(r#"{"items":[1],"page":1,"pageSize":1,"totalCount":2}"#).has_more());
        assert!(!page(r#"{"items":[1]}"#).has_more());
    }

    #[test]
    fn an_empty_page_ends_the_loop_even_if_more_is_promised() {
        assert!(!page(r#"{"items":[],"page":9,"hasNextPage":true}"#).has_more());
    }
}
