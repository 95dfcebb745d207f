//! Names that become ids: exact, without regard to case; none or several are errors.

use super::Context;
use super::declared;
use crate::api::{Method, Request};
use crate::binding::Variables;
use crate::catalog;
use crate::catalog::row::{Lookup, Paging};
use crate::failure::Failure;
use crate::shape;
use serde_json::Value;

/// Fills in the ids of all names the row has look-ups for and the user gave.
pub async fn resolve(context: &Context<'_>, variables: &mut Variables<'_>) -> Result<(), Failure> {
    for used in &context.row.cmdlet.lookup {
        let Some(name) = context.arguments.text(&used.by).filter(|_| context.arguments.is_bound(&used.by)) else {
            continue;
        };
        if let Some(lookup) = catalog::lookup(&used.find) {
            let id = find(context, variables, lookup, name).await?;
            variables.set(&used.into, id);
        }
    }
    Ok(())
}

async fn find(context: &Context<'_>, variables: &Variables<'_>, lookup: &Lookup, name: &str) -> Result<Value, Failure> {
    let Some(pipeline) = context.pipeline.as_deref() else {
        return pick(lookup, &all(context, variables, lookup, name).await?, name);
    };
    let path = variables.path(&lookup.path);
    let names = context.session.pipelines.names(pipeline, &path);
    let known = names.initialized();
    // One flight for all calls that wait.
    let list = names.get_or_try_init(|| all(context, variables, lookup, name)).await?;
    match pick(lookup, list, name) {
        // It may be newer than what was read for an earlier item.
        Err(Failure::NameNotFound { .. }) if known => {
            context.session.pipelines.forget_list(pipeline, &path);
            pick(lookup, &all(context, variables, lookup, name).await?, name)
        }
        found => found,
    }
}

/// All names of a list with their ids; `name` is for messages.
pub async fn all(
    context: &Context<'_>,
    variables: &Variables<'_>,
    lookup: &Lookup,
    name: &str,
) -> Result<Vec<(String, Value)>, Failure> {
    let connected = context.session.connection()?;
    let action = format!("look up {} '{name}'", lookup.noun);
    let request = Request::new(Method::Get, variables.path(&lookup.path));
    let mut found = Vec::new();
    let mut pages = declared::Pages::new(request, lookup.paging, lookup.paging == Paging::All);
    while let Some(response) = pages.next(context, &connected).await.map_err(|f| acted(f, &action, name))? {
        let page = response.page().map_err(|e| Failure::api(&action, Some(name.to_owned()), e))?;
        pages.saw(&page);
        for item in page.items {
            let Ok(object) = serde_json::from_str::<shape::Object<'_>>(item.get()) else { continue };
            let get = |wanted: &str| object.0.iter().find(|(k, _)| k == wanted).map(|(_, v)| *v);
            if let (Some(name), Some(id)) = (get(&lookup.name).and_then(shape::plain_text), get(&lookup.id)) {
                found.push((name, serde_json::from_str(id.get()).unwrap_or_default()));
            }
        }
    }
    Ok(found)
}

/// The id of a name among all.
pub fn pick(lookup: &Lookup, all: &[(String, Value)], name: &str) -> Result<Value, Failure> {
    let wanted = name.to_lowercase();
    let ids: Vec<&Value> = all.iter().filter(|(n, _)| n.to_lowercase() == wanted).map(|(_, id)| id).collect();
    match ids.as_slice() {
        [] => Err(Failure::NameNotFound { noun: lookup.noun.clone(), name: name.to_owned() }),
        [id] => Ok((*id).clone()),
        several => Err(Failure::NameAmbiguous {
            noun: lookup.noun.clone(),
            name: name.to_owned(),
            ids: several.iter().map(|id| crate::binding::plain(id)).collect::<Vec<_>>().join(", "),
            parameter: lookup.id_parameter.clone(),
        }),
    }
}

/// Puts what was being done before an API failure.
pub fn acted(failure: Failure, action: &str, target: &str) -> Failure {
    match failure {
        Failure::Request { error } => {
            Failure::Api { action: action.to_owned(), target: Some(target.to_owned()), error }
        }
        other => other,
    }
}
