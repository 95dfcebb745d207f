//! Passwords of accounts: `Set-JIMConnectedSystemObjectPassword` for one, `Set-JIMMetaverseObjectPassword`
//! for those of a person. They travel to the server in bodies only and come back as SecureStrings.

use super::super::Context;
use super::super::declared::{asked, prepared, send, worded};
use super::super::names;
use super::super::session::Connected;
use crate::api::{Method, Request, Response, encode_segment};
use crate::binding::Variables;
use crate::failure::Failure;
use crate::protocol::Confirm;
use crate::shape;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The answer of the password generator; its `Debug` shows no password.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    password: Option<SecretText>,
    #[serde(default)]
    problems: Vec<String>,
    #[serde(default)]
    systems_with_no_discovered_policy: Vec<String>,
}

#[derive(Debug)]
struct SecretText(SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::from(text)))
    }
}

/// One account, one password.
pub async fn set_for_account(context: &Context<'_>) -> Result<(), Failure> {
    let variables = prepared(context).await?;
    let connected = context.session.connection()?;
    let generate = context.arguments.flag("Generate");
    let passes = context.arguments.flag("PassThru");
    let shown = options(context);
    if !asked(context, &variables, None, Some(&shown), &[]).await {
        return Ok(());
    }
    if generate && !passes {
        context.output.warning("The generated password is not shown to anyone: use -PassThru to get it.").await;
    }
    let system = variables.text("ConnectedSystemId");
    let password = if generate {
        let path = format!("/api/v1/synchronisation/connected-systems/{}/generate-password", encode_segment(&system));
        generated(context, &connected, &variables, &Request::new(Method::Post, path)).await?
    } else {
        supplied(context)
    };
    let answer = set(context, &connected, &system, &variables.text("Id"), &password)
        .await
        .map_err(|f| worded(context, f, &variables))?;
    if passes {
        let raw: &RawValue =
            answer.json().map_err(|e| worded(context, Failure::Request { error: Box::new(e) }, &variables))?;
        let added: Vec<shape::Added<'_>> =
            if generate { vec![("password", json!(guarded(&password)).to_string())] } else { Vec::new() };
        context.output.item_with_secrets(context.type_name(), shape::output(raw, &added), &["password"]).await;
    }
    Ok(())
}

/// What is shown of the request before it is sent.
fn options(context: &Context<'_>) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(expiry) = context.arguments.get("ExpiryBehaviour") {
        fields.insert("expiryBehaviour".to_owned(), expiry.clone());
    }
    if context.arguments.flag("EnableAccount") {
        fields.insert("enableAccount".to_owned(), Value::Bool(true));
    }
    fields
}

fn supplied(context: &Context<'_>) -> SecretString {
    SecretString::from(context.arguments.text("Password").unwrap_or_default().to_owned())
}

/// A password that looks like a date must stay text until it becomes a SecureString.
fn guarded(password: &SecretString) -> String {
    format!("{}{}", shape::GUARD, password.expose_secret())
}

async fn generated(
    context: &Context<'_>,
    connected: &Connected,
    variables: &Variables<'_>,
    request: &Request,
) -> Result<SecretString, Failure> {
    let answer = send(context, connected, request).await.map_err(|f| worded(context, f, variables))?;
    let generated: Generated =
        answer.json().map_err(|e| worded(context, Failure::Request { error: Box::new(e) }, variables))?;
    let Some(password) = generated.password.filter(|p| !p.0.expose_secret().is_empty()) else {
        let why =
            if generated.problems.is_empty() { "It gives no reason.".into() } else { generated.problems.join(" ") };
        return Err(Failure::Refused {
            action: context.action(variables),
            reason: format!("the server could not generate a password. {why}"),
        });
    };
    for problem in &generated.problems {
        context.output.warning(&format!("The generated password may be refused: {problem}")).await;
    }
    let unknown = &generated.systems_with_no_discovered_policy;
    if !unknown.is_empty() {
        let systems = unknown.join(", ");
        context.output.warning(&format!("The password policy of these systems is not known, so they may refuse the generated password: {systems}.")).await;
    }
    Ok(password.0)
}

async fn set(
    context: &Context<'_>,
    connected: &Connected,
    system: &str,
    object: &str,
    password: &SecretString,
) -> Result<Response, Failure> {
    let mut body = Map::from_iter([("password".to_owned(), Value::from(password.expose_secret()))]);
    body.extend(options(context));
    let path = format!(
        "/api/v1/synchronisation/connected-systems/{}/connector-space/{}/password",
        encode_segment(system),
        encode_segment(object)
    );
    send(context, connected, &Request::new(Method::Post, path).with_body(Value::Object(body).to_string())).await
}

/// An account of a person, as the metaverse object lists it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    id: String,
    connected_system_id: i64,
    #[serde(default)]
    connected_system_name: Option<String>,
    #[serde(default)]
    display_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    connected_system_objects: Vec<Account>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Applied {
    #[serde(default)]
    applied_expiry_behaviour: Value,
    #[serde(default)]
    expiry_behaviour_warning: Value,
}

/// The same password for several accounts of a person; each has a result of its own.
pub async fn set_for_person(context: &Context<'_>) -> Result<(), Failure> {
    let variables = prepared(context).await?;
    let connected = context.session.connection()?;
    let request = Request::new(Method::Get, variables.path("/api/v1/metaverse/objects/{Id}"));
    let answer = send(context, &connected, &request).await.map_err(|f| worded(context, f, &variables))?;
    let person: Person =
        answer.json().map_err(|e| worded(context, Failure::Request { error: Box::new(e) }, &variables))?;
    let chosen = chosen(context, &person).await;
    if chosen.is_empty() {
        context.output.warning(&format!("{} has no such account: nothing was set.", of(&person, &variables))).await;
        return Ok(());
    }
    if context.output.preferences.ask && !context.output.confirm(&question(context, &person, &chosen, &variables)).await
    {
        return Ok(());
    }
    let generate = context.arguments.flag("Generate");
    let password = if generate {
        let mut systems: Vec<i64> = Vec::new();
        for account in &chosen {
            if !systems.contains(&account.connected_system_id) {
                systems.push(account.connected_system_id);
            }
        }
        let request = Request::new(Method::Post, "/api/v1/synchronisation/connected-systems/generate-password")
            .with_body(json!({ "connectedSystemIds": systems }).to_string());
        generated(context, &connected, &variables, &request).await?
    } else {
        supplied(context)
    };
    for account in &chosen {
        let outcome = set_one(context, &connected, account, &password, &variables).await;
        let mut row = json!({
            "ConnectedSystemId": account.connected_system_id,
            "ConnectedSystemName": account.connected_system_name,
            "ConnectedSystemObjectId": account.id,
            "Success": outcome.is_ok(),
            "AppliedExpiryBehaviour": outcome.as_ref().map_or(&Value::Null, |a| &a.applied_expiry_behaviour),
            "ExpiryBehaviourWarning": outcome.as_ref().map_or(&Value::Null, |a| &a.expiry_behaviour_warning),
            "Message": outcome.as_ref().err().map(ToString::to_string),
        });
        if generate {
            row["GeneratedPassword"] = Value::from(guarded(&password));
        }
        context.output.item_with_secrets(context.type_name(), shape::value(&row), &["GeneratedPassword"]).await;
        if let Err(failure) = outcome {
            context.output.failure(&failure).await;
        }
    }
    Ok(())
}

async fn set_one(
    context: &Context<'_>,
    connected: &Connected,
    account: &Account,
    password: &SecretString,
    variables: &Variables<'_>,
) -> Result<Applied, Failure> {
    let system = account.connected_system_id.to_string();
    let named = |failure| match worded(context, failure, variables) {
        Failure::Api { action, error, .. } => {
            Failure::Api { action: format!("{action} in {}", place(account)), target: Some(account.id.clone()), error }
        }
        other => other,
    };
    let answer = set(context, connected, &system, &account.id, password).await.map_err(named)?;
    answer.json().map_err(|e| named(Failure::Request { error: Box::new(e) }))
}

/// The accounts asked for; a system where the person has none is said.
async fn chosen(context: &Context<'_>, person: &Person) -> Vec<Account> {
    let accounts = &person.connected_system_objects;
    let Some(Value::Array(wanted)) = context.arguments.get("ConnectedSystemId") else { return accounts.clone() };
    for id in wanted {
        if !accounts.iter().any(|a| Some(a.connected_system_id) == id.as_i64()) && wanted.len() > 1 {
            context.output.warning(&format!("There is no account in connected system {id}.")).await;
        }
    }
    accounts.iter().filter(|a| wanted.iter().any(|id| id.as_i64() == Some(a.connected_system_id))).cloned().collect()
}

fn question(context: &Context<'_>, person: &Person, chosen: &[Account], variables: &Variables<'_>) -> Confirm {
    let mut details: Vec<String> = chosen.iter().map(place).collect();
    details.extend(
        options(context).iter().map(|(field, value)| format!("{}: {}", shape::pascal(field), names::shown(value))),
    );
    let what = format!("Set the password of {} in {} account(s)", of(person, variables), chosen.len());
    Confirm::about(&context.row.cmdlet.name, &what, &details)
}

/// "'Ana' (metaverse object 0c7f…)"
fn of(person: &Person, variables: &Variables<'_>) -> String {
    match &person.display_name {
        Some(name) => format!("'{name}' (metaverse object {})", variables.text("Id")),
        None => format!("Metaverse object {}", variables.text("Id")),
    }
}

/// "Payroll (ana)"
fn place(account: &Account) -> String {
    let system = account.connected_system_name.clone().unwrap_or_else(|| account.connected_system_id.to_string());
    match &account.display_name {
        Some(name) => format!("{system} ({name})"),
        None => system,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_generated_password_is_not_in_debug_output() {
        let generated: Generated = serde_json::from_str(r#"{"password":"hush","problems":[]}"#).unwrap();
        assert!(!format!("{generated:?}").contains("hush"));
    }
}
