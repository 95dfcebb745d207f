//! Cmdlets of JIM that data can't express, one file each.

mod activity;
mod activity_run;
mod api_key;
mod certificate;
mod change_history;
pub mod connect;
mod criterion;
mod disconnect;
mod example_data;
mod example_template;
mod initial_password;
mod metaverse_attribute;
mod password;
mod poll;
mod preview;
pub mod rewrite;
mod schedule;
mod schedule_step;
mod start_run_profile;
mod start_schedule;
mod status;
mod sync_rule_mapping;
mod watch_log;

use super::Context;
use super::session::{Connected, Credential};
use crate::api::{Auth, Connection, Options};
use crate::credentials::{ServerKey, Source};
use crate::failure::Failure;
use std::rc::Rc;
use url::Url;

/// The handlers that rows name.
#[cfg(test)]
const HANDLERS: &[&str] = &[
    "account-password",
    "activity",
    "activity",
    "add-certificate",
    "add-example-data-template-attribute",
    "add-schedule-step",
    "change-history",
    "connect",
    "connect",
    "criterion",
    "disconnect",
    "disconnect",
    "export-certificate",
    "get-connection",
    "get-connection",
    "get-schedule",
    "initial-password",
    "invoke-example-data-template",
    "new-api-key",
    "new-preview",
    "new-schedule",
    "new-sync-rule-mapping",
    "person-password",
    "remove-schedule-step",
    "set-api-key",
    "set-metaverse-attribute",
    "set-schedule",
    "start-run-profile",
    "start-run-profile",
    "start-schedule",
    "test-connection",
    "test-connection",
    "watch-log",
    "write-example-data-template",
];

pub async fn run(handler: &str, context: &Context<'_>) -> Result<(), Failure> {
    match handler {
        "account-password" => password::set_for_account(context).await,
        "activity" => activity::run(context).await,
        "add-certificate" => certificate::add(context).await,
        "add-example-data-template-attribute" => example_template::add_attribute(context).await,
        "add-schedule-step" => schedule_step::add(context).await,
        "change-history" => change_history::run(context).await,
        "connect" => connect::run(context).await,
        "criterion" => criterion::run(context).await,
        "disconnect" => disconnect::run(context).await,
        "export-certificate" => certificate::export(context).await,
        "get-connection" => status::get(context).await,
        "get-schedule" => schedule::get(context).await,
        "initial-password" => initial_password::run(context).await,
        "invoke-example-data-template" => example_template::invoke(context).await,
        "new-api-key" => api_key::create(context).await,
        "new-preview" => preview::new(context).await,
        "new-schedule" => schedule::new(context).await,
        "new-sync-rule-mapping" => sync_rule_mapping::run(context).await,
        "person-password" => password::set_for_person(context).await,
        "remove-schedule-step" => schedule_step::remove(context).await,
        "set-api-key" => api_key::change(context).await,
        "set-metaverse-attribute" => metaverse_attribute::run(context).await,
        "set-schedule" => schedule::set(context).await,
        "start-run-profile" => start_run_profile::run(context).await,
        "start-schedule" => start_schedule::run(context).await,
        "test-connection" => status::test(context).await,
        "watch-log" => watch_log::run(context).await,
        "write-example-data-template" => example_template::write(context).await,
        // A unit test holds the catalogue to `HANDLERS`.
        other => Err(Failure::UnknownCmdlet(format!("{} (handler {other})", context.row.cmdlet.name))),
    }
}

/// The connection a cmdlet works with: the session's, or, for cmdlets that need none, one without
/// credentials to `-Url`.
pub fn connection_for(context: &Context<'_>) -> Result<Rc<Connected>, Failure> {
    if context.row.cmdlet.session {
        return context.session.connection();
    }
    let Some(text) = context.arguments.text("Url").filter(|t| !t.is_empty()) else {
        return context.session.connection();
    };
    let url = parse_url(text)?;
    let api = Connection::new(Options::new(url.clone()), Auth::Anonymous)
        .map_err(|e| Failure::Request { error: Box::new(e) })?;
    Ok(Rc::new(Connected {
        api,
        url: trimmed(&url),
        key: ServerKey::of(&url),
        credential: Credential::ApiKey { preview: String::new(), source: Source::Parameter },
        server_version: None,
        max_concurrency: 1,
    }))
}

/// An address as people write it.
pub fn parse_url(text: &str) -> Result<Url, Failure> {
    let bad = || Failure::BadUrl { url: text.to_owned() };
    let url = Url::parse(text.trim().trim_end_matches('/')).map_err(|_| bad())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad());
    }
    Ok(url)
}

/// An address without its trailing slash, as it is shown and compared.
pub fn trimmed(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::row::Product;

    #[test]
    fn every_handler_that_a_row_names_exists_and_is_used() {
        let named: std::collections::BTreeSet<String> = crate::catalog::all()
            .filter(|row| row.product == Product::Jim)
            .filter_map(|row| row.cmdlet.handler)
            .collect();
        let known: std::collections::BTreeSet<String> = HANDLERS.iter().map(ToString::to_string).collect();
        assert_eq!(named, known);
    }

    #[test]
    fn addresses() {
        assert!(matches!(parse_url("https://jim.example.com/"), Ok(url) if trimmed(&url) == "https://jim.example.com"));
        assert!(matches!(parse_url("HTTP://x/base/"), Ok(url) if trimmed(&url) == "http://x/base"));
        for bad in ["ftp://example.org", "jim.example.com", "https://", ""] {
            assert!(matches!(parse_url(bad), Err(Failure::BadUrl { .. })), "{bad}");
        }
    }
}
