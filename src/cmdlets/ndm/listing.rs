//! Lists: a GET whose JSON body has filter and page, walked to its end. Proxies may drop such a body,
//! so that the answer is not what was asked for: every filter is applied here as well.

use super::super::wildcard::is_like;
use super::error::NdmError;
use super::service::{COLLECTIONS, JOBS, Service};
use crate::api::{Method, Request};
use crate::shape;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Rows asked for at a time; the documented samples ask for 10.
const PAGE_SIZE: usize = 100;

/// The three lists, which differ in the names and the casing of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    Collections,
    Jobs,
    /// Of the collection with this id.
    CollectionJobs(i64),
}

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// A name, or a pattern with PowerShell's wildcards.
    pub name: Option<String>,
    pub id: Option<i64>,
}

impl Search {
    /// The name, when it can be asked for with the one operator the samples show.
    fn exact_name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.is_empty() && !name.contains(['*', '?', '[', '`']))
    }
}

impl List {
    fn path(self) -> String {
        match self {
            Self::Collections => COLLECTIONS.into(),
            Self::Jobs => JOBS.into(),
            Self::CollectionJobs(_) => format!("{COLLECTIONS}/Details"),
        }
    }

    fn action(self) -> String {
        match self {
            Self::Collections => "read the job collections".into(),
            Self::Jobs => "read the jobs".into(),
            Self::CollectionJobs(id) => format!("read the jobs of job collection {id}"),
        }
    }

    fn id_property(self) -> &'static str {
        match self {
            Self::Collections => "id",
            Self::Jobs | Self::CollectionJobs(_) => "jobId",
        }
    }

    /// The body with the names, casing and order of the documented sample of this endpoint. Without a
    /// name there is no criterion: what the samples fill in then isn't documented.
    fn body(self, search: &Search, page: usize) -> Value {
        let options = json!({ "PageSize": PAGE_SIZE, "PageIndex": page, "SortColumnName": "", "SortOrder": 1 });
        match self {
            Self::Collections | Self::Jobs => {
                let criteria = search.exact_name().map(|name| {
                    json!({
                        "operator": "is exactly",
                        "attribute": "Name",
                        "value": name,
                        "valueType": 0,
                        "valueTypes": [0],
                        "donotEscapeValue": true,
                        "child": null,
                    })
                });
                json!({ "filterCriteria": criteria, "SearchOption": options })
            }
            // The sample filters by the collection's name though the rows are jobs: whose name is meant
            // isn't known, so the jobs' names are compared here alone.
            Self::CollectionJobs(id) => json!({ "filters": null, "SearchOption": options, "jobCollectionId": id }),
        }
    }

    /// Is the row one that was asked for?
    fn wants(self, search: &Search, row: &RawValue) -> bool {
        let text = |name: &str| shape::text_property(row, name);
        let named = search.name.as_deref().is_none_or(|name| is_like(&text("name").unwrap_or_default(), name));
        let known = search.id.is_none_or(|id| text(self.id_property()) == Some(id.to_string()));
        let inside = match self {
            // Rows often leave the collection out; only one that names another is certainly wrong.
            Self::CollectionJobs(id) => {
                text("collectionId").is_none_or(|found| found == "0" || found == id.to_string())
            }
            _ => true,
        };
        named && known && inside
    }
}

/// A walk over the pages of a list. It ends at an empty page, a short one, or one that brings nothing
/// new; the server's `count` can make it go on, never stop.
pub struct Rows<'s, 'a> {
    service: &'s Service<'a>,
    list: List,
    search: Search,
    page: usize,
    /// Rows the server gave so far, by id: pages move when somebody adds a row meanwhile.
    seen: HashSet<String>,
    done: bool,
}

impl<'s, 'a> Rows<'s, 'a> {
    pub(super) fn new(service: &'s Service<'a>, list: List, search: Search) -> Self {
        Self { service, list, search, page: 1, seen: HashSet::new(), done: false }
    }

    /// The rows of the next page that were asked for, possibly none of it; `None` after the last page.
    ///
    /// # Errors
    /// Those of a request; the rows before it were good.
    pub async fn next(&mut self) -> Result<Option<Vec<Box<RawValue>>>, NdmError> {
        if self.done {
            return Ok(None);
        }
        let action = self.list.action();
        let body = self.list.body(&self.search, self.page).to_string();
        let request = Request::new(Method::Get, self.list.path()).with_body(body);
        let response = self.service.send(&action, &request).await?;
        let envelope = self.service.accepted(&action, None, &response)?;
        let count = envelope.count();
        let rows = self.service.rows(&action, &response, &envelope)?;
        let got = rows.len();
        let mut new = rows;
        new.retain(|row| {
            let id = shape::text_property(row, self.list.id_property()).unwrap_or_else(|| row.get().to_owned());
            self.seen.insert(id)
        });
        // A server with smaller pages than asked for gives short ones all along.
        let more_counted = count.is_some_and(|count| usize::try_from(count).is_ok_and(|count| count > self.seen.len()));
        self.done = new.is_empty() || (got < PAGE_SIZE && !more_counted);
        self.page += 1;
        new.retain(|row| self.list.wants(&self.search, row));
        Ok(Some(new))
    }

    /// All that is left, for what needs the whole list.
    ///
    /// # Errors
    /// As [`Rows::next`].
    pub async fn all(mut self) -> Result<Vec<Box<RawValue>>, NdmError> {
        let mut all = Vec::new();
        while let Some(rows) = self.next().await? {
            all.extend(rows);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn bodies_are_spelled_as_the_samples_of_their_endpoint() {
        let search = Search { name: Some("DataSync_API".into()), id: None };
        assert_eq!(
            List::Collections.body(&search, 1).to_string(),
            r#"{"filterCriteria":{"operator":"is exactly","attribute":"Name","value":"DataSync_API","valueType":0,"valueTypes":[0],"donotEscapeValue":true,"child":null},"SearchOption":{"PageSize":100,"PageIndex":1,"SortColumnName":"","SortOrder":1}}"#
        );
        assert_eq!(
            List::CollectionJobs(21).body(&Search::default(), 2).to_string(),
            r#"{"filters":null,"SearchOption":{"PageSize":100,"PageIndex":2,"SortColumnName":"","SortOrder":1},"jobCollectionId":21}"#
        );
    }

    #[test]
    fn patterns_are_not_sent() {
        for name in ["HR*", "H?", "[HR]*", "a`*"] {
            assert_eq!(Search { name: Some(name.into()), id: None }.exact_name(), None, "{name}");
        }
    }

    #[test]
    fn rows_that_were_not_asked_for_go() {
        let row = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let search = Search { name: Some("hr*".into()), id: None };
        assert!(List::Collections.wants(&search, &row(r#"{"id":7,"name":"HR nightly"}"#)));
        assert!(!List::Collections.wants(&search, &row(r#"{"id":7,"name":"Sales"}"#)));
        let job = List::CollectionJobs(7);
        for (collection, wanted) in [("null", true), ("0", true), ("7", true), ("8", false)] {
            let text = format!(r#"{{"jobId":1,"name":"x","collectionId":{collection}}}"#);
            assert_eq!(job.wants(&Search::default(), &row(&text)), wanted, "{collection}");
        }
    }
}
