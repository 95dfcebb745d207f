//! Tab completion: names and ids from the look-ups of the catalogue, kept for a few seconds, never an
//! error and never a long wait.

use super::Session;
use crate::api::{Method, Request, encode_segment};
use crate::binding::plain;
use crate::catalog;
use crate::catalog::row::Lookup;
use crate::host::Output;
use crate::protocol::Complete;
use crate::shape;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A prompt that waits longer feels broken; the list is then offered at the next Tab.
const PATIENCE: Duration = Duration::from_millis(1000);
/// Long enough for a few Tabs in a row, short enough for a name that was just created.
const KEPT: Duration = Duration::from_secs(20);
/// One page: more can't be read at a prompt.
const MOST: &str = "100";

/// Lists by the path they come from.
#[derive(Default)]
pub struct Cache {
    lists: RefCell<HashMap<String, Kept>>,
}

/// A list and when it was read.
type Kept = (Instant, Rc<Vec<Named>>);

/// An entity with its id.
struct Named {
    id: String,
    name: String,
}

/// One offer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Offer<'a> {
    text: &'a str,
    label: String,
}

impl Cache {
    pub fn clear(&self) {
        self.lists.borrow_mut().clear();
    }

    fn fresh(&self, path: &str) -> Option<Rc<Vec<Named>>> {
        let lists = self.lists.borrow();
        lists.get(path).filter(|(at, _)| at.elapsed() < KEPT).map(|(_, list)| Rc::clone(list))
    }

    fn keep(&self, path: String, list: &Rc<Vec<Named>>) {
        self.lists.borrow_mut().insert(path, (Instant::now(), Rc::clone(list)));
    }
}

/// Answers a completion. Nothing is said when there is nothing to offer.
pub async fn complete(session: &Rc<Session>, wanted: &Complete, output: &Output) {
    let (source, ids) = match wanted.source.strip_suffix(":id") {
        Some(source) => (source, true),
        None => (wanted.source.as_str(), false),
    };
    let Some(lookup) = catalog::lookup(source) else { return };
    let Ok(Some(list)) = tokio::time::timeout(PATIENCE, list(session, lookup, wanted)).await else { return };
    let word = wanted.word.to_lowercase();
    let offers: Vec<_> = list
        .iter()
        .filter(|item| item.name.to_lowercase().starts_with(&word) || (ids && item.id.starts_with(&word)))
        .map(|item| {
            let text = if ids { &item.id } else { &item.name };
            shape::value(&Offer { text, label: format!("{} ({})", item.name, item.id) })
        })
        .collect();
    output.items(None, &offers).await;
}

async fn list(session: &Rc<Session>, lookup: &Lookup, wanted: &Complete) -> Option<Rc<Vec<Named>>> {
    let connected = session.current()?;
    let path = if lookup.path.contains("{ConnectedSystemId}") {
        let system = system_id(session, wanted).await?;
        lookup.path.replace("{ConnectedSystemId}", &encode_segment(&system))
    } else {
        lookup.path.clone()
    };
    read(session, &connected, lookup, path).await
}

/// The connected system on the command line, by id or by name.
async fn system_id(session: &Rc<Session>, wanted: &Complete) -> Option<String> {
    let given = |name: &str| wanted.arguments.get(name).map(plain).filter(|text| !text.is_empty());
    if let Some(id) = given("ConnectedSystemId") {
        return Some(id);
    }
    let name = given("ConnectedSystemName")?.to_lowercase();
    let lookup = catalog::lookup("connected-system")?;
    let connected = session.current()?;
    let systems = read(session, &connected, lookup, lookup.path.clone()).await?;
    systems.iter().find(|system| system.name.to_lowercase() == name).map(|system| system.id.clone())
}

async fn read(
    session: &Rc<Session>,
    connected: &super::session::Connected,
    lookup: &Lookup,
    path: String,
) -> Option<Rc<Vec<Named>>> {
    if let Some(list) = session.completions.fresh(&path) {
        return Some(list);
    }
    let mut request = Request::new(Method::Get, path.clone()).with_query("pageSize", MOST).about("tab completion");
    request.once = true;
    let answer = connected.send(&request, &|_| ()).await.ok()?;
    let page = answer.page().ok()?;
    let text = |object: &shape::Object<'_>, name: &str| {
        object.0.iter().find(|(key, _)| key == name).and_then(|(_, value)| shape::plain_text(value))
    };
    let list = page
        .items
        .iter()
        .filter_map(|item| {
            let object = serde_json::from_str::<shape::Object<'_>>(item.get()).ok()?;
            Some(Named { id: text(&object, &lookup.id)?, name: text(&object, &lookup.name)? })
        })
        .collect();
    let list = Rc::new(list);
    session.completions.keep(path, &list);
    Some(list)
}
