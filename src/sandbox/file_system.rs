//! The server's files, as far as it shows them: the folder of the connectors' files and nothing beside it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::state::World;
use super::wire::{Call, Reply, Routed};

const ROOT: &str = "/srv/jim/connector-files";
/// Path below the root; folders end with a slash.
const ENTRIES: [&str; 5] = ["ca/", "ca/directory.pem", "bulk-001.csv", "cross-domain.csv", "hr-users.csv"];

pub(super) fn route(_: &mut World, call: &Call, segments: &[&str]) -> Routed {
    if call.method != "GET" {
        return None;
    }
    let path = call.param("path").unwrap_or(ROOT).trim_end_matches('/');
    Some(match segments {
        ["filesystem", "roots"] => Ok(Reply::ok(&json!([ROOT]))),
        ["filesystem", "list"] => Ok(list(path)),
        ["filesystem", "validate"] => {
            Ok(Reply::ok(&json!({"path": call.param("path"), "isAllowed": inside(path).is_some()})))
        }
        _ => return None,
    })
}

/// The part below the root; `..` leads nowhere.
fn inside(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(ROOT)?;
    let below = rest.is_empty() || rest.starts_with('/');
    (below && !path.contains("..")).then(|| rest.trim_start_matches('/'))
}

fn list(path: &str) -> Reply {
    let Some(below) = inside(path) else {
        return failure(path, StatusCode::FORBIDDEN, "Access to this path is not allowed.");
    };
    let folder = format!("{below}/");
    if !below.is_empty() && !ENTRIES.contains(&folder.as_str()) {
        return failure(path, StatusCode::NOT_FOUND, "Directory not found.");
    }
    let entries: Vec<Value> = ENTRIES
        .iter()
        .filter_map(|entry| {
            let name = match below {
                "" => entry,
                _ => entry.strip_prefix(&folder)?,
            };
            let plain = name.trim_end_matches('/');
            (!plain.is_empty() && !plain.contains('/')).then(|| {
                json!({
                    "name": plain,
                    "fullPath": format!("{path}/{plain}"),
                    "isDirectory": name.ends_with('/'),
                })
            })
        })
        .collect();
    Reply::ok(&json!({
        "path": path,
        "entries": entries,
        "parentPath": path.rsplit_once('/').map(|(parent, _)| parent).filter(|_| !below.is_empty()),
        "isRoot": below.is_empty(),
        "error": null,
        "isAccessDenied": false,
        "success": true,
    }))
}

fn failure(path: &str, status: StatusCode, error: &str) -> Reply {
    let body = json!({
        "path": path,
        "entries": [],
        "parentPath": null,
        "isRoot": false,
        "error": error,
        "isAccessDenied": status == StatusCode::FORBIDDEN,
        "success": false,
    });
    Reply::json(status, &body)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    #[test]
    fn only_the_connectors_files_are_shown() {
        let mut world = world();
        let mut get = |path: &str| ask(&mut world, "GET", &format!("/filesystem/{path}"), "");
        assert_eq!(get("roots").1, json!([ROOT]));
        let (_, root) = get("list");
        assert_eq!(root["entries"].as_array().map(Vec::len), Some(4));
        let (_, folder) = get(&format!("list?path={ROOT}/ca"));
        assert_eq!((&folder["entries"][0]["name"], &folder["parentPath"]), (&json!("directory.pem"), &json!(ROOT)));
        assert_eq!((get("list?path=/etc").0, get(&format!("list?path={ROOT}/x")).0), (403, 404));
        assert_eq!(get(&format!("validate?path={ROOT}/../etc")).1["isAllowed"], false);
    }
}
