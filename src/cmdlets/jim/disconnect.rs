//! `Disconnect-JIM`: ends the session, and forgets what is stored when told to.

use super::super::Context;
use super::{parse_url, trimmed};
use crate::credentials::{JIM, KeptIn, Remembered, SecretKind, ServerKey, Store};
use crate::failure::Failure;
use url::Url;

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let arguments = &context.arguments;
    let url = arguments.text("Url").map(parse_url).transpose()?;
    if arguments.flag("All") {
        return forget_all(context).await;
    }
    let current = context.session.current();
    let ends = current.as_ref().is_some_and(|c| url.as_ref().is_none_or(|u| trimmed(u) == c.url));
    let target: Option<Url> = match (&url, &current) {
        (Some(url), _) => Some(url.clone()),
        (None, Some(connected)) => Some(connected.api.base().clone()),
        (None, None) => None,
    };
    if ends && let Some(connected) = &current {
        context.session.set(None);
        context.output.information(&format!("Disconnected from {}.", connected.url)).await;
    }
    let Some(target) = target else {
        context.output.verbose("There was no connection.").await;
        return Ok(());
    };
    forget(context, &target, arguments.flag("Forget")).await;
    Ok(())
}

/// The stored login of a server goes always, its API key only when `-Forget` says so.
async fn forget(context: &Context<'_>, url: &Url, keys_too: bool) {
    let (mut remembered, _) = Remembered::load();
    let entry = remembered.find(JIM, url);
    if entry.is_none() && !keys_too {
        return;
    }
    let store = Store::new();
    let server = ServerKey::of(url);
    let mut kinds = vec![(SecretKind::RefreshToken, "login")];
    if keys_too {
        kinds.push((SecretKind::ApiKey, "API key"));
    }
    let mut kept = Vec::new();
    let mut failure = None;
    for (kind, what) in kinds {
        match store.delete(kind, &server).await {
            Ok(true) => {
                context.output.information(&format!("The stored {what} of {} is forgotten.", trimmed(url))).await
            }
            Ok(false) => {}
            Err(error) => {
                kept.push(what);
                failure = Some(error);
            }
        }
    }
    if let Some(error) = failure {
        let text = format!("The stored {} could not be removed: {error} {}", kept.join(" and "), error.remedy());
        // Without -Forget it is tidiness only.
        if keys_too { context.output.warning(&text).await } else { context.output.verbose(&text).await }
    }
    let is_login = entry.is_some_and(|e| e.source == KeptIn::Login);
    if (keys_too || is_login) && remembered.forget(JIM, url) {
        save(context, &remembered).await;
    }
}

async fn forget_all(context: &Context<'_>) -> Result<(), Failure> {
    context.session.set(None);
    let (mut remembered, _) = Remembered::load();
    let store = Store::new();
    let mut count = 0;
    for entry in remembered.of(JIM) {
        let server = ServerKey::of(&entry.url);
        for kind in [SecretKind::RefreshToken, SecretKind::ApiKey] {
            match store.delete(kind, &server).await {
                Ok(true) => count += 1,
                Ok(false) => {}
                Err(error) => {
                    context
                        .output
                        .warning(&format!("What is stored for {} could not be removed: {error}", entry.url))
                        .await;
                }
            }
        }
    }
    remembered.forget_all(JIM);
    save(context, &remembered).await;
    context.output.information(&format!("Disconnected. {count} stored credentials are forgotten.")).await;
    Ok(())
}

async fn save(context: &Context<'_>, remembered: &Remembered) {
    if let Err(error) = remembered.save() {
        context.output.warning(&format!("The list of connections could not be saved: {error}")).await;
    }
}
