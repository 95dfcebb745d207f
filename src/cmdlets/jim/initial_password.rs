//! `Set-JIMSyncRuleInitialPassword`: the API takes the policy whole, so what isn't named stays as read.

use super::super::Context;
use super::super::declared::{self, worded};
use super::rewrite::Read;
use crate::binding::BindError;
use crate::failure::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

const PATH: &str = "/api/v1/synchronisation/sync-rules/{Id}/initial-password";

/// Parameter → field of the policy.
const POLICY: &[(&str, &str)] = &[
    ("Style", "style"),
    ("Length", "length"),
    ("MinimumUppercase", "minimumUppercase"),
    ("MinimumLowercase", "minimumLowercase"),
    ("MinimumDigits", "minimumDigits"),
    ("MinimumSymbols", "minimumSymbols"),
    ("PermittedSymbols", "permittedSymbols"),
    ("WordCount", "wordCount"),
    ("WordSeparator", "wordSeparator"),
    ("WordCapitalisation", "wordCapitalisation"),
    ("AppendedDigitCount", "appendedDigitCount"),
    ("AppendSymbol", "appendSymbol"),
    ("ExcludeAmbiguousCharacters", "excludeAmbiguousCharacters"),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    #[serde(default)]
    custom_policy: Option<Map<String, Value>>,
}

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let mut variables = declared::prepared(context).await?;
    match (arguments.flag("Enable"), arguments.flag("Disable")) {
        (true, true) => {
            let names = "-Enable, -Disable".to_owned();
            return Err(BindError::Ambiguous { cmdlet: context.row.cmdlet.name.clone(), names }.into());
        }
        (false, false) => {}
        (enable, _) => variables.set("Enabled", Value::Bool(enable)),
    }
    if !POLICY.iter().any(|(parameter, _)| arguments.is_bound(parameter)) {
        return declared::run_with(context, &mut variables, None).await;
    }
    let connected = context.session.connection()?;
    let Some(answer) = declared::read_first(context, &connected, PATH, &variables).await? else {
        return declared::only_shown(context, &variables).await;
    };
    let unreadable = |e| worded(context, Failure::Request { error: Box::new(e) }, &variables);
    let raw: &RawValue = answer.json().map_err(unreadable)?;
    let settings: Settings = answer.json().map_err(unreadable)?;
    let mut policy = settings.custom_policy.unwrap_or_default();
    for (parameter, field) in POLICY {
        if let Some(value) = arguments.get(parameter) {
            policy.insert((*field).to_owned(), value.clone());
        }
    }
    variables.set("CustomPolicy", Value::Object(policy));
    let read = Read { raw: raw.to_owned(), path: PATH, carried: vec!["customPolicy"] };
    declared::run_with(context, &mut variables, Some(read)).await
}
