//! `Export-NDMJobCollection`: the document as a file that is the same as long as nobody changes the
//! collection.

use super::super::super::Context;
use super::super::documents as room;
use super::super::edit::name_of;
use super::super::service::Service;
use super::{file, source};
use crate::documents::{self, Document, Origin};
use crate::failure::Failure;
use crate::shape;
use serde_json::json;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let service = Service::new(context)?;
    let path = context.arguments.text("Path").unwrap_or_default();
    let ids = context.arguments.integers("Id");
    let folder = file::is_folder(path);
    if ids.len() > 1 && !folder {
        let cause = "several job collections need a folder, which must be there or end with a separator".to_owned();
        return Err(Failure::File { verb: "write", path: path.to_owned(), cause });
    }
    let mut written = HashSet::new();
    for id in ids {
        let result = one(context, &service, id, Path::new(path), folder, &mut written).await;
        if let Err(failure) = result {
            context.output.failure(&failure).await;
        }
    }
    Ok(())
}

async fn one(
    context: &Context<'_>,
    service: &Service<'_>,
    id: i64,
    path: &Path,
    folder: bool,
    written: &mut HashSet<PathBuf>,
) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let (portable, clear, replace) =
        (arguments.flag("Portable"), arguments.flag("IncludeSecret"), arguments.flag("Force"));
    let live = source::live(service, id).await?;
    let name = name_of(&live);
    let target = if folder { in_folder(path, &name, id, written)? } else { path.to_owned() };
    let exists = || Failure::FileExists { path: target.display().to_string() };
    if !replace && target.exists() {
        return Err(exists());
    }
    let text = text(&live, service.server(), portable, clear);
    let secrets = documents::secret_paths(&live).len();
    file::write(&target, text.as_bytes(), clear, replace).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(),
        _ => Failure::File { verb: "write", path: target.display().to_string(), cause: error.to_string() },
    })?;
    let place = target.display().to_string();
    if clear && secrets > 0 {
        let warning = format!(
            "'{place}' holds {secrets} secrets of job collection {id} ('{name}') in the clear. Keep it out of version control, and delete it when it has served."
        );
        context.output.warning(&warning).await;
    }
    written.insert(target);
    if arguments.flag("PassThru") {
        let kept = match (secrets, clear) {
            (0, _) => "None",
            (_, true) => "Included",
            (_, false) => "Redacted",
        };
        let value = json!({ "Path": place, "Id": id, "Name": name, "Portable": portable, "Secrets": kept });
        context.output.item(context.type_name(), shape::texts_kept(&shape::value(&value))).await;
    }
    Ok(())
}

/// What the file holds. Of the same collection it is the same text, whatever ran in between.
fn text(live: &Document, server: &str, portable: bool, clear: bool) -> String {
    let (plain, _) = documents::without_origin(live);
    let resting = documents::at_rest(&documents::surface(&plain, !clear));
    let origin = Origin {
        server: Some(server.to_owned()),
        // It is of one server's ids.
        fingerprint: (!portable).then(|| documents::fingerprint(&plain)),
    };
    let document = if portable { documents::as_new(&resting) } else { resting };
    documents::with_origin(&document, &origin).pretty()
}

/// The collection's file; with its id where another collection's is in the way.
fn in_folder(folder: &Path, name: &str, id: i64, written: &HashSet<PathBuf>) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::File {
        verb: "write",
        path: folder.display().to_string(),
        cause: error.to_string(),
    })?;
    let path = file::in_folder(folder, name, None);
    let foreign = || {
        let text = room::text(&path.display().to_string()).ok()?;
        let identity = documents::identity(&Document::parse(&text).ok()?).ok()?;
        Some(identity.name != name || (identity.id != 0 && identity.id != id))
    };
    let taken = written.contains(&path) || foreign() == Some(true);
    Ok(if taken { file::in_folder(folder, name, Some(id)) } else { path })
}
