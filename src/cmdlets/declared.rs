//! Runs a cmdlet from its row alone: names to ids, ShouldProcess, the request, paging, output.

use super::Context;
use super::jim::rewrite::Read;
use super::lookup::{self, acted};
use super::names::{sentence, shown};
use super::output::{check, emit, emit_answer, reason, warn};
use super::pages::Pages;
use super::session::Connected;
use crate::api::{Event, Method, Page, Request, Response};
use crate::binding::{Built, Variables, built};
use crate::catalog::row::{self, Cmdlet, Current, Emit, Form, Kind, NoChange, Paging};
use crate::failure::Failure;
use crate::protocol::Confirm;
use crate::shape;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::rc::Rc;
use std::time::Instant;

pub async fn run(context: &Context<'_>) -> Result<(), Failure> {
    let mut variables = prepared(context).await?;
    run_with(context, &mut variables, None).await
}

/// The variables of a call: what input objects bring, and names that became ids.
pub async fn prepared<'a>(context: &'a Context<'_>) -> Result<Variables<'a>, Failure> {
    super::jim::connection_for(context)?;
    let mut variables = Variables::new(&context.arguments);
    provide(context, &mut variables)?;
    lookup::resolve(context, &mut variables).await?;
    Ok(variables)
}

/// The request that the row states for these arguments, not sent yet.
pub fn request_for(context: &Context<'_>, variables: &Variables<'_>) -> Result<Request, Failure> {
    let template = context.row.cmdlet.request.iter().find(|r| context.arguments.holds(&r.when));
    template.map(|t| request_of(t, built(t, variables))).ok_or(Failure::NothingToChange)
}

/// The request of the row, and what follows from it. `read` is the entity as it is, when a handler
/// has read it already.
pub async fn run_with(context: &Context<'_>, variables: &mut Variables<'_>, read: Option<Read>) -> Result<(), Failure> {
    let cmdlet = &context.row.cmdlet;
    let connected = super::jim::connection_for(context)?;
    let Some(template) = cmdlet.request.iter().find(|r| context.arguments.holds(&r.when)) else {
        return Err(Failure::NothingToChange);
    };
    let built = built(template, variables);
    if template.method == row::Method::Get || template.read_only {
        let request = request_of(template, built);
        return match emit_all(context, &connected, template, request, variables).await {
            Err(failure) if cmdlet.missing_is_nothing && is_missing(&failure) => Ok(()),
            other => other,
        };
    }
    change(context, &connected, template, built, variables, read).await
}

fn is_missing(failure: &Failure) -> bool {
    matches!(failure, Failure::Request { error } | Failure::Api { error, .. } if error.status() == Some(404))
}

async fn change(
    context: &Context<'_>,
    connected: &Rc<Connected>,
    template: &row::Request,
    mut built: Built,
    variables: &mut Variables<'_>,
    read: Option<Read>,
) -> Result<(), Failure> {
    let cmdlet = &context.row.cmdlet;
    if let Some(no_change) = cmdlet.no_change
        && built.body.as_ref().is_some_and(|b| b.keys().all(|k| k == "changeReason"))
    {
        if no_change == NoChange::Error {
            return Err(Failure::NothingToChange);
        }
        warn_of_no_change(context, variables).await;
        return Ok(());
    }
    let passes = context.arguments.flag("PassThru");
    let before = match &cmdlet.current {
        Some(current) if read.is_none() && needs_current(context, current, passes) => {
            read_current(context, connected, current, variables).await?
        }
        _ => read.as_ref().map(|read| read.raw.clone()),
    };
    if let Some(current) = &cmdlet.current
        && let Some(before) = before.as_deref()
    {
        check_before(context, current, before, variables)?;
        built = crate::binding::built(template, variables);
    }
    let secrets = secret_fields(cmdlet, template);
    if !asked(context, variables, before.as_deref(), built.body.as_ref(), &secrets).await {
        return Ok(());
    }
    if let Some(read) = &read {
        read.still_holds(context, connected, variables).await?;
    }
    let request = request_of(template, built);
    let lane = context.session.lane(&request.path).await;
    let answer = send(context, connected, &request).await;
    drop(lane);
    if let Some(mark) = context.pipeline.as_deref().filter(|_| renames(context)) {
        context.session.pipelines.forget_names(mark);
    }
    let answer = answer.map_err(|f| worded(context, f, variables))?;
    warn(context, &answer).await;
    if !passes && cmdlet.emit != Emit::Always {
        return Ok(());
    }
    emit_changed(context, connected, template, variables, before, answer).await
}

/// What a change writes: the entity as it was, as the answer has it, or as it is read once more.
async fn emit_changed(
    context: &Context<'_>,
    connected: &Connected,
    template: &row::Request,
    variables: &Variables<'_>,
    before: Option<Box<RawValue>>,
    answer: Response,
) -> Result<(), Failure> {
    let cmdlet = &context.row.cmdlet;
    match cmdlet.emit {
        Emit::Never => {}
        Emit::PassThruBefore => match before {
            Some(before) => context.output.item(context.type_name(), shape::output(&before, &[])).await,
            None => context.output.input().await,
        },
        Emit::Always | Emit::PassThru => {
            let answer = match &cmdlet.refetch {
                Some(path) => {
                    let again = Request::new(Method::Get, variables.path(path));
                    match send(context, connected, &again).await {
                        Err(failure) if cmdlet.missing_is_nothing && is_missing(&failure) => return Ok(()),
                        answer => answer.map_err(|f| worded(context, f, variables))?,
                    }
                }
                None => answer,
            };
            emit_answer(context, template, &answer, variables).await?;
        }
    }
    Ok(())
}

fn renames(context: &Context<'_>) -> bool {
    ["Name", "NewName"].iter().any(|name| context.arguments.is_bound(name))
}

/// Whether the user wants the change.
pub async fn asked(
    context: &Context<'_>,
    variables: &Variables<'_>,
    before: Option<&RawValue>,
    body: Option<&Map<String, Value>>,
    secrets: &[&str],
) -> bool {
    if !context.output.preferences.ask {
        return true;
    }
    context.output.confirm(&question(context, variables, before, body, secrets)).await
}

/// The entity as it is, for a change that needs to know it. `None` with `-WhatIf` when it can't be
/// read: what was asked for is shown all the same, and nothing will be sent.
pub async fn read_first(
    context: &Context<'_>,
    connected: &Connected,
    path: &str,
    variables: &Variables<'_>,
) -> Result<Option<Response>, Failure> {
    match send(context, connected, &Request::new(Method::Get, variables.path(path))).await {
        Ok(answer) => Ok(Some(answer)),
        Err(_) if context.output.preferences.what_if => Ok(None),
        Err(failure) => Err(worded(context, failure, variables)),
    }
}

/// Shows with `-WhatIf` what the row's requests would send, as far as it is known.
pub async fn only_shown(context: &Context<'_>, variables: &Variables<'_>) -> Result<(), Failure> {
    for template in &context.row.cmdlet.request {
        let body = built(template, variables).body;
        let secrets = secret_fields(&context.row.cmdlet, template);
        if body.as_ref().is_some_and(|b| b.keys().any(|k| k != "changeReason")) {
            asked(context, variables, None, body.as_ref(), &secrets).await;
        }
    }
    Ok(())
}

/// Stops a change that must not be sent, and takes over what the request needs of the entity.
fn check_before(
    context: &Context<'_>,
    current: &Current,
    before: &RawValue,
    variables: &mut Variables<'_>,
) -> Result<(), Failure> {
    let is_true = |property: &str| shape::property(before, property).is_some_and(|v| v.get() == "true");
    if let Some(refuse) = current.refuse.iter().find(|r| is_true(&r.when)) {
        return Err(Failure::Refused { action: context.action(variables), reason: reason(&refuse.text, before) });
    }
    for (variable, property) in &current.provides {
        let value = shape::property(before, property).and_then(|v| serde_json::from_str(v.get()).ok());
        variables.set(variable, value.unwrap_or_default());
    }
    Ok(())
}

pub async fn warn_of_no_change(context: &Context<'_>, variables: &Variables<'_>) {
    context.output.warning(&format!("No updates specified: {} was not sent.", context.action(variables))).await;
}

/// What an input object brings along.
fn provide(context: &Context<'_>, variables: &mut Variables<'_>) -> Result<(), Failure> {
    for parameter in &context.row.cmdlet.parameter {
        let Some(Value::Object(object)) = context.arguments.get(&parameter.name) else { continue };
        for (variable, property) in &parameter.provides {
            // A row of a CSV file has RunProfileId where a run profile has Id.
            let named = |name: &str| object.iter().find(|(k, v)| k.eq_ignore_ascii_case(name) && !v.is_null());
            match named(property).or_else(|| named(variable)).map(|(_, value)| value) {
                Some(value) => variables.set(variable, value.clone()),
                None => {
                    return Err(Failure::InputLacks {
                        cmdlet: context.row.cmdlet.name.clone(),
                        property: property.clone(),
                    });
                }
            }
        }
    }
    Ok(())
}

pub fn request_of(template: &row::Request, built: Built) -> Request {
    // No subject: the action stands before every message about this request.
    let mut request = Request::new(method(template.method), built.path);
    request.query = built.query;
    request.anonymous = template.anonymous;
    match built.body {
        Some(body) => request.with_body(Value::Object(body).to_string()),
        None => request,
    }
}

fn method(method: row::Method) -> Method {
    match method {
        row::Method::Get => Method::Get,
        row::Method::Post => Method::Post,
        row::Method::Put => Method::Put,
        row::Method::Patch => Method::Patch,
        row::Method::Delete => Method::Delete,
    }
}

/// Whether the entity must be read first: for a question, for the output, or to be sure it is there.
fn needs_current(context: &Context<'_>, current: &Current, passes: bool) -> bool {
    let input_stands_for_it = current.input
        && context.row.cmdlet.parameter.iter().any(|p| !p.provides.is_empty() && context.arguments.is_bound(&p.name));
    let wanted = context.output.preferences.ask
        || must_be_read(context, current)
        || (passes && context.row.cmdlet.emit == Emit::PassThruBefore);
    wanted && !input_stands_for_it
}

/// A change that needs the entity, or must be sure of it. A name that was looked up is proof enough.
fn must_be_read(context: &Context<'_>, current: &Current) -> bool {
    let last = || Some(current.path.rsplit_once('{')?.1.split_once('}')?.0);
    let entity = current.find.as_deref().or_else(last);
    let looked_up =
        context.row.cmdlet.lookup.iter().any(|l| Some(l.into.as_str()) == entity && context.arguments.is_bound(&l.by));
    !current.provides.is_empty() || !current.refuse.is_empty() || (current.must_exist && !looked_up)
}

async fn read_current(
    context: &Context<'_>,
    connected: &Rc<Connected>,
    current: &Current,
    variables: &Variables<'_>,
) -> Result<Option<Box<RawValue>>, Failure> {
    let id = current.find.as_deref().map(|v| variables.text(v)).unwrap_or_default();
    let request = Request::new(Method::Get, variables.path(&current.path));
    let response = match send(context, connected, &request).await {
        Ok(response) => response,
        Err(failure) if must_be_read(context, current) => return Err(worded(context, failure, variables)),
        // The name in the question is a courtesy; the change itself will say what is wrong.
        Err(_) => return Ok(None),
    };
    if current.find.is_none() {
        return Ok(response.json::<&RawValue>().ok().map(ToOwned::to_owned));
    }
    let page = response.page().map_err(|e| Failure::api(context.action(variables), None, e))?;
    let found = page.items.into_iter().find(|item| shape::text_property(item, "id").is_some_and(|text| text == id));
    if found.is_none() && must_be_read(context, current) {
        return Err(Failure::EntityNotFound { noun: current.noun.clone(), id });
    }
    Ok(found.map(ToOwned::to_owned))
}

/// The body fields whose values are never shown.
fn secret_fields<'a>(cmdlet: &'a Cmdlet, template: &'a row::Request) -> Vec<&'a str> {
    let secret = |name: &str| {
        cmdlet
            .parameter
            .iter()
            .any(|p| p.name == name && matches!(p.kind, Kind::Secret | Kind::SecureString | Kind::Credential))
    };
    template
        .body
        .iter()
        .filter(|f| f.form == Form::TypedValues || f.from.as_deref().is_some_and(secret))
        .map(|f| f.name.as_str())
        .collect()
}

/// The texts of ShouldProcess: what is done to what, and each field as it is and as it would become.
pub fn question(
    context: &Context<'_>,
    variables: &Variables<'_>,
    before: Option<&RawValue>,
    body: Option<&Map<String, Value>>,
    secrets: &[&str],
) -> Confirm {
    let cmdlet = &context.row.cmdlet;
    let mut what = sentence(&context.action(variables));
    let name_property = cmdlet.current.as_ref().map_or("name", |c| c.name.as_str());
    let name =
        before.and_then(|b| shape::text_property(b, name_property)).or_else(|| input_name(context, name_property));
    if let Some(name) = name.filter(|n| !what.contains(n.as_str())) {
        what.push_str(&format!(" ('{name}')"));
    }
    let mut lines = Vec::new();
    for (field, value) in body.into_iter().flatten() {
        let label = shape::pascal(field);
        if secrets.contains(&field.as_str()) {
            lines.push(format!("{label}: (secret)"));
            continue;
        }
        let now =
            before.and_then(|b| shape::property(b, field)).and_then(|v| serde_json::from_str::<Value>(v.get()).ok());
        lines.push(match now {
            Some(now) if now == *value => format!("{label}: {} (unchanged)", shown(value)),
            Some(now) => format!("{label}: {} -> {}", shown(&now), shown(value)),
            None => format!("{label}: {}", shown(value)),
        });
    }
    Confirm::about(&cmdlet.name, &what, &lines)
}

/// The name of a piped object, when the client sent it.
fn input_name(context: &Context<'_>, property: &str) -> Option<String> {
    let parameter = context.row.cmdlet.parameter.iter().find(|p| !p.provides.is_empty())?;
    let object = context.arguments.get(&parameter.name)?.as_object()?;
    object.iter().find(|(k, _)| k.eq_ignore_ascii_case(property))?.1.as_str().map(str::to_owned)
}

/// Sends one request of a call, with its verbose lines.
pub async fn send(context: &Context<'_>, connected: &Connected, request: &Request) -> Result<Response, Failure> {
    let output = context.output;
    output.verbose(&format!("{} {}{}", request.method, connected.url, request.path)).await;
    let observe = |event: Event| match event {
        Event::Sending if request.method == Method::Get => {}
        Event::Sending => context.leaving(),
        event => output.verbose_now(&event.to_string()),
    };
    let started = Instant::now();
    let outcome = connected.send(request, &observe).await;
    if output.preferences.debug {
        // Sizes and names only: bodies may hold secrets.
        let answer = match &outcome {
            Ok(response) => format!("{} with {} bytes", response.status, response.body.len()),
            Err(failure) => failure.report(context.row.product).code,
        };
        let names: Vec<&str> = request.query.iter().map(|(name, _)| name.as_str()).collect();
        let sent = request.body.as_ref().map_or(0, Vec::len);
        let took = started.elapsed().as_millis();
        output
            .debug(&format!(
                "{} {} (query: {}; {sent} bytes) answered {answer} in {took} ms",
                request.method,
                request.path,
                names.join(", ")
            ))
            .await;
    }
    outcome
}

/// "run profile 7 of connected system 1": the action without its verb.
pub fn subject(context: &Context<'_>, variables: &Variables<'_>) -> String {
    let action = context.action(variables);
    action.split_once(' ').map_or(action.clone(), |(_, rest)| rest.to_owned())
}

/// An API failure in the words of this cmdlet.
pub fn worded(context: &Context<'_>, failure: Failure, variables: &Variables<'_>) -> Failure {
    if let Failure::Request { error } = failure {
        let own = error.status().and_then(|s| context.row.cmdlet.failure.get(&s.to_string()));
        return match own {
            Some(text) => Failure::Worded { text: format!("{} {error}", variables.sentence(text)), error },
            None => {
                Failure::Api { action: context.action(variables), target: Some(subject(context, variables)), error }
            }
        };
    }
    acted(failure, "", "")
}

/// Who asked for no page in particular is told that this is only one.
fn left_out(context: &Context<'_>, page: &Page<'_>) -> Option<String> {
    let asked_for = ["Page", "PageSize"].iter().any(|name| context.arguments.is_bound(name));
    let total = page.total_count.filter(|_| !asked_for && page.has_more())?;
    let shown = page.items.len();
    Some(format!("These are the first {shown} of {total}. Use -All for all of them, or -Page and -PageSize."))
}

pub async fn emit_all(
    context: &Context<'_>,
    connected: &Rc<Connected>,
    template: &row::Request,
    mut request: Request,
    variables: &Variables<'_>,
) -> Result<(), Failure> {
    let all = match template.paging {
        Paging::None | Paging::List => {
            let answer = send(context, connected, &request).await.map_err(|f| worded(context, f, variables))?;
            if template.paging == Paging::List {
                let page =
                    answer.page().map_err(|e| worded(context, Failure::Request { error: Box::new(e) }, variables))?;
                check(context, template, &answer, &page.items, variables)?;
                emit(context, template, page.items, variables).await;
                return Ok(());
            }
            return emit_answer(context, template, &answer, variables).await;
        }
        Paging::Single => false,
        Paging::Optional => context.arguments.flag("All"),
        Paging::All => true,
    };
    request.query.retain(|(name, _)| name != "page" && name != "pageSize");
    let mut pages = Pages::new(context, connected, request, template.paging, all)
        .with_size(context.arguments.integer("PageSize"))
        .starting_at(context.arguments.integer("Page").filter(|_| !all))
        .capped(template.paging == Paging::Optional && !context.arguments.flag("Force"));
    while let Some(response) = pages.next().await.map_err(|f| worded(context, f, variables))? {
        let page = response.page().map_err(|e| worded(context, Failure::Request { error: Box::new(e) }, variables))?;
        check(context, template, &response, &page.items, variables)?;
        pages.saw(&page);
        let warning = if all { pages.warning(&page) } else { left_out(context, &page) };
        if let Some(warning) = warning {
            context.output.warning(&warning).await;
        }
        pages.while_writing(emit(context, template, page.items, variables)).await;
    }
    Ok(())
}
