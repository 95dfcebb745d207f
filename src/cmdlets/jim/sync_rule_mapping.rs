//! `New-JIMSyncRuleMapping`: the direction follows from the target, the sources from an expression or
//! a list of attributes.

use super::super::Context;
use super::super::declared;
use crate::binding::{Arguments, BindError};
use crate::failure::Failure;
use serde_json::{Map, Value, json};

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let sources = sources(&context.row.cmdlet.name, &context.arguments)?;
    let mut variables = declared::prepared(context).await?;
    variables.set("Sources", sources);
    variables.set("InboundValueProcessing", Value::from(value_processing(&context.arguments)));
    declared::run_with(context, &mut variables, None).await
}

fn is_import(arguments: &Arguments) -> bool {
    arguments.set.starts_with("Import")
}

fn sources(cmdlet: &str, arguments: &Arguments) -> Result<Value, BindError> {
    let missing = |name: &str| Err(BindError::Missing { cmdlet: cmdlet.to_owned(), name: name.to_owned() });
    let (target, ids, field) = if is_import(arguments) {
        ("TargetMetaverseAttributeId", "SourceConnectedSystemAttributeId", "connectedSystemAttributeId")
    } else {
        ("TargetConnectedSystemAttributeId", "SourceMetaverseAttributeId", "metaverseAttributeId")
    };
    if !arguments.is_bound(target) {
        return missing(target);
    }
    if arguments.set.ends_with("Expression") {
        let Some(text) = arguments.text("Expression").filter(|t| !t.trim().is_empty()) else {
            return missing("Expression");
        };
        let mut source = Map::from_iter([("order".to_owned(), json!(0)), ("expression".to_owned(), json!(text))]);
        if let Some(behaviour) = arguments.get("MissingInputBehaviour") {
            source.insert("missingInputBehaviour".to_owned(), behaviour.clone());
        }
        return Ok(json!([source]));
    }
    match arguments.get(ids).and_then(Value::as_array).filter(|list| !list.is_empty()) {
        None => missing(ids),
        Some(list) => Ok(list.iter().enumerate().map(|(order, id)| json!({ "order": order, field: id })).collect()),
    }
}

/// The flags as the API takes them, joined in one text.
fn value_processing(arguments: &Arguments) -> String {
    let flags = [
        (!arguments.flag("PreserveWhitespace"), "TreatWhitespaceAsNoValue"),
        (arguments.flag("TrimWhitespace"), "TrimWhitespace"),
        (arguments.flag("CollapseInternalWhitespace"), "CollapseInternalWhitespace"),
    ];
    let names: Vec<&str> = flags.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
    if names.is_empty() { "None".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bound(given: Value) -> Arguments {
        let row = crate::catalog::find("New-JIMSyncRuleMapping").unwrap();
        Arguments::bind(&row.cmdlet, None, given.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn sources_follow_the_direction() {
        let export = bound(
            json!({"SyncRuleId": 1, "TargetConnectedSystemAttributeId": 9, "SourceMetaverseAttributeId": [4, 5]}),
        );
        assert_eq!(
            sources("x", &export).unwrap(),
            json!([{"order": 0, "metaverseAttributeId": 4}, {"order": 1, "metaverseAttributeId": 5}])
        );
        let import = bound(json!({"SyncRuleId": 1, "TargetMetaverseAttributeId": 9, "Expression": "cs[\"a\"]"}));
        assert_eq!(sources("x", &import).unwrap(), json!([{"order": 0, "expression": "cs[\"a\"]"}]));
    }

    #[test]
    fn half_a_mapping_is_refused() {
        let no_target = bound(json!({"SyncRuleId": 1, "SourceConnectedSystemAttributeId": [4]}));
        assert!(sources("x", &no_target).unwrap_err().to_string().contains("-TargetMetaverseAttributeId"));
        let blank = bound(json!({"SyncRuleId": 1, "TargetMetaverseAttributeId": 9, "Expression": " "}));
        assert!(sources("x", &blank).unwrap_err().to_string().contains("-Expression"));
    }

    #[test]
    fn flags_are_one_text() {
        let of = |extra: Value| {
            let mut all = json!({"SyncRuleId": 1, "TargetMetaverseAttributeId": 9, "Expression": "x"});
            all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            value_processing(&bound(all))
        };
        assert_eq!(of(json!({})), "TreatWhitespaceAsNoValue");
        assert_eq!(of(json!({"PreserveWhitespace": true})), "None");
        assert_eq!(
            of(json!({"PreserveWhitespace": true, "TrimWhitespace": true, "CollapseInternalWhitespace": true})),
            "TrimWhitespace, CollapseInternalWhitespace"
        );
    }
}
