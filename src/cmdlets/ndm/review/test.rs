//! `Test-NDMJobCollection`: mistakes that show without a server, with the lines they are on.

use super::super::super::Context;
use super::super::documents as room;
use crate::binding::BindError;
use crate::documents::{self, Document, Finding, Purpose, Severity};
use crate::failure::Failure;
use crate::shape;
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let purpose = match (arguments.flag("ForCreate"), arguments.flag("ForUpdate")) {
        (true, _) => Purpose::Create,
        (_, true) => Purpose::Update,
        _ => Purpose::Any,
    };
    let (file, mut found) = findings(context, purpose)?;
    for one in &mut found {
        // In a file that is only looked at, that is how it should be.
        if purpose == Purpose::Any && one.code == "PlaceholderLeft" {
            one.severity = Severity::Information;
        }
    }
    if arguments.flag("Quiet") {
        let good = found.iter().all(|one| one.severity != Severity::Error);
        context.output.item(None, shape::value(&good)).await;
        return Ok(());
    }
    let rows: Vec<Box<RawValue>> = found.iter().map(|one| shape::texts_kept(&shape::value(&row(one, file)))).collect();
    context.output.items(context.type_name(), &rows).await;
    Ok(())
}

/// The file, where it is one, and what is wrong.
fn findings<'a>(context: &'a Context<'_>, purpose: Purpose) -> Result<(Option<&'a str>, Vec<Finding>), Failure> {
    if let Some(path) = context.arguments.text("Path") {
        return Ok((Some(path), documents::lint(&room::text(path)?, purpose)));
    }
    let object =
        context.arguments.get("InputObject").filter(|object| object.as_object().is_some_and(|o| !o.is_empty()));
    let Some(object) = object else {
        let cmdlet = context.row.cmdlet.name.clone();
        return Err(BindError::Missing { cmdlet, name: "Path, or a job collection as -InputObject".into() }.into());
    };
    let text = object.to_string();
    // What a Get cmdlet adds is not the server's.
    let plain = Document::parse(&text).map(|document| documents::without_origin(&document).0.compact());
    let mut found = documents::lint(plain.as_ref().unwrap_or(&text), purpose);
    // An object has no lines.
    found.iter_mut().for_each(|one| one.line = None);
    Ok((None, found))
}

fn row(one: &Finding, file: Option<&str>) -> Value {
    json!({
        "Severity": format!("{:?}", one.severity),
        "Code": one.code,
        "Line": one.line,
        "Path": one.path,
        "Message": one.message,
        "File": file,
    })
}
