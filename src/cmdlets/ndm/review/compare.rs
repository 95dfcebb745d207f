//! `Compare-NDMJobCollection`: what differs, as objects.

use super::super::super::Context;
use super::super::service::Service;
use super::source;
use crate::binding::BindError;
use crate::documents::{self, CompareOptions, Difference, Document};
use crate::failure::Failure;
use crate::shape;
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let then = side(context, "Reference").await?;
    let now = side(context, "Difference").await?;
    let options = CompareOptions {
        ignore_ids: !context.arguments.flag("IncludeId"),
        include_run_state: context.arguments.flag("IncludeRunState"),
    };
    let found = documents::compare(&then, &now, options);
    let rows: Vec<Box<RawValue>> = found.iter().map(|one| shape::texts_kept(&shape::value(&row(one)))).collect();
    context.output.items(context.type_name(), &rows).await;
    Ok(())
}

/// `-ReferencePath`, `-ReferenceId` or `-ReferenceObject`; the same of the difference. The row sees to
/// it that there is one at most.
async fn side(context: &Context<'_>, side: &str) -> Result<Document, Failure> {
    let arguments = &context.arguments;
    if let Some(path) = arguments.text(&format!("{side}Path")) {
        return Ok(source::file(context, path).await?.document);
    }
    if let Some(id) = arguments.integer(&format!("{side}Id")) {
        return Ok(source::live(&Service::new(context)?, id).await?);
    }
    match arguments.get(&format!("{side}Object")) {
        Some(object) => Ok(source::object(&format!("-{side}Object"), object)?.document),
        None => {
            let cmdlet = context.row.cmdlet.name.clone();
            let name = format!("{side}Path, -{side}Id or -{side}Object");
            Err(BindError::Missing { cmdlet, name }.into())
        }
    }
}

fn row(one: &Difference) -> Value {
    json!({
        "Change": format!("{:?}", one.change),
        "Job": one.job,
        "Kind": format!("{:?}", one.kind),
        "Item": one.item,
        "Property": one.property,
        "Then": one.then,
        "Now": one.now,
    })
}
