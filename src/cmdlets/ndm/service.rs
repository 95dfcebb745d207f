//! The endpoints of `GroupIDDataService/api/DataSyncJobs`, one function each. Documents go through as
//! the bytes they are; what the documentation leaves open is said where it matters.

use super::super::Context;
use super::connection::{Access, Connected};
use super::envelope::{Envelope, Outcome, Refusal, without_values};
use super::error::NdmError;
use super::listing::{List, Rows, Search};
use crate::api::{ApiError, Event, Method, Request, Response, Unexpected};
use crate::host::Output;
use crate::shape;
use serde_json::value::RawValue;
use std::rc::Rc;
use std::time::Instant;

pub(super) const JOBS: &str = "/GroupIDDataService/api/DataSyncJobs";
pub(super) const COLLECTIONS: &str = "/GroupIDDataService/api/DataSyncJobs/Collections";

/// The data service, as one call of one cmdlet uses it: verbose and debug lines go to its output.
pub struct Service<'a> {
    output: &'a Output,
    connected: Rc<Connected>,
}

/// Which of the two kinds of things a call is about. Their ids are numbers of the same range, so
/// mixing them up hits something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    Collection,
    Job,
}

impl Entity {
    pub fn noun(self) -> &'static str {
        match self {
            Self::Collection => "job collection",
            Self::Job => "job",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Collection => COLLECTIONS,
            Self::Job => JOBS,
        }
    }

    /// Where a document has its own id and name: the object, and the id's name in it.
    fn identity(self) -> (&'static str, &'static str) {
        match self {
            Self::Collection => ("jobCollectionInfo", "id"),
            Self::Job => ("jobInfo", "jobId"),
        }
    }

    /// The part of a document that says who it is: the summary of the collection or job.
    pub fn info(self, document: &RawValue) -> Option<&RawValue> {
        shape::property(document, self.identity().0).filter(|info| info.get().starts_with('{'))
    }

    /// The id that a document says it has.
    pub fn id_in(self, document: &RawValue) -> Option<i64> {
        shape::text_property(self.info(document)?, self.identity().1)?.parse().ok()
    }

    pub fn name_in(self, document: &RawValue) -> Option<String> {
        shape::text_property(self.info(document)?, "name")
    }
}

impl<'a> Service<'a> {
    /// On the session's connection.
    ///
    /// # Errors
    /// [`NdmError::NotConnected`].
    pub fn new(context: &Context<'a>) -> Result<Self, NdmError> {
        let connected = context.session.ndm().ok_or(NdmError::NotConnected)?;
        Ok(Self::on(context, connected))
    }

    pub fn on(context: &Context<'a>, connected: Rc<Connected>) -> Self {
        Self { output: context.output, connected }
    }

    /// The server's address, for messages.
    pub fn server(&self) -> &str {
        &self.connected.server
    }

    // ---- job collections -------------------------------------------------------------------------

    /// Summaries of job collections, page by page (endpoint 1).
    pub fn collections(&self, search: Search) -> Rows<'_, 'a> {
        Rows::new(self, List::Collections, search)
    }

    /// The whole document of a collection, byte for byte (3). It holds secrets.
    pub async fn collection(&self, id: i64) -> Result<Box<RawValue>, NdmError> {
        self.document(Entity::Collection, id).await
    }

    /// Creates a collection from a document (4); the new id.
    pub async fn create_collection(&self, document: impl Into<Vec<u8>>) -> Result<i64, NdmError> {
        self.create(Entity::Collection, document.into()).await
    }

    /// Replaces the collection that the document names inside (5): the address has no id. The id the
    /// server answers with, where it does.
    pub async fn update_collection(&self, document: impl Into<Vec<u8>>) -> Result<Option<i64>, NdmError> {
        let action = "update the job collection";
        let request = Request::new(Method::Patch, COLLECTIONS).with_body(document);
        let response = self.send(action, &request).await?;
        let envelope = self.accepted(action, None, &response)?;
        Ok(envelope.id())
    }

    /// Deletes collections (6). The query says `jobids` for collections too, as documented.
    pub async fn delete_collections(&self, ids: &[i64]) -> Result<Vec<Outcome>, NdmError> {
        self.delete(Entity::Collection, ids).await
    }

    /// Summaries of the jobs in a collection (2).
    pub fn collection_jobs(&self, collection: i64, search: Search) -> Rows<'_, 'a> {
        Rows::new(self, List::CollectionJobs(collection), search)
    }

    // ---- jobs ------------------------------------------------------------------------------------

    /// Summaries of jobs (7).
    pub fn jobs(&self, search: Search) -> Rows<'_, 'a> {
        Rows::new(self, List::Jobs, search)
    }

    /// The whole document of a job, byte for byte (8). It holds secrets.
    pub async fn job(&self, id: i64) -> Result<Box<RawValue>, NdmError> {
        self.document(Entity::Job, id).await
    }

    /// Creates a job from a document (9); the new id.
    pub async fn create_job(&self, document: impl Into<Vec<u8>>) -> Result<i64, NdmError> {
        self.create(Entity::Job, document.into()).await
    }

    /// Deletes jobs (10).
    pub async fn delete_jobs(&self, ids: &[i64]) -> Result<Vec<Outcome>, NdmError> {
        self.delete(Entity::Job, ids).await
    }

    /// Names of jobs and templates (11): a bare array, the only answer without an envelope.
    pub async fn job_names(&self) -> Result<Vec<Box<RawValue>>, NdmError> {
        let action = "read the names of the jobs";
        let response = self.send(action, &Request::new(Method::Get, format!("{JOBS}/Names"))).await?;
        let whole: &RawValue = response.json().map_err(|e| self.failed(action, e))?;
        if whole.get().starts_with('[') {
            return response.json().map_err(|e| self.failed(action, e));
        }
        let envelope = self.accepted(action, None, &response)?;
        self.rows(action, &response, &envelope)
    }

    // ---- what they share -------------------------------------------------------------------------

    async fn document(&self, entity: Entity, id: i64) -> Result<Box<RawValue>, NdmError> {
        let noun = entity.noun();
        let action = format!("read {noun} {id}");
        let response =
            match self.send(&action, &Request::new(Method::Get, format!("{}/{id}/Details", entity.path()))).await {
                Err(NdmError::Api { error, .. }) if error.status() == Some(404) => {
                    return Err(NdmError::NotFound { noun, id, said: error.server_message().map(str::to_owned) });
                }
                other => other?,
            };
        let envelope = self.accepted(&action, Some(id.to_string()), &response)?;
        let Some(data) = envelope.data.filter(|data| data.get() != "null") else {
            return Err(NdmError::NotFound { noun, id, said: None });
        };
        // A proxy's cache, or a server that is at odds with itself: the wrong one must not be changed.
        if entity.id_in(data).is_none_or(|found| found != id) {
            let cause = format!("it is no document of {noun} {id}");
            return Err(self.failed(&action, response.unexpected(Unexpected::WrongShape { cause })));
        }
        Ok(data.to_owned())
    }

    async fn create(&self, entity: Entity, document: Vec<u8>) -> Result<i64, NdmError> {
        let action = format!("create the {}", entity.noun());
        let response = self.send(&action, &Request::new(Method::Post, entity.path()).with_body(document)).await?;
        let envelope = self.accepted(&action, None, &response)?;
        envelope.id().ok_or_else(|| {
            let cause = "the server says it is done, but not under which id; look for it by its name".into();
            self.failed(&action, response.unexpected(Unexpected::WrongShape { cause }))
        })
    }

    async fn delete(&self, entity: Entity, ids: &[i64]) -> Result<Vec<Outcome>, NdmError> {
        // Nobody knows what the server deletes when the query names nothing.
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let named: Vec<String> = ids.iter().map(i64::to_string).collect();
        let several = if ids.len() > 1 { "s" } else { "" };
        let action = format!("delete {}{several} {}", entity.noun(), named.join(", "));
        let mut request = Request::new(Method::Delete, entity.path());
        for id in &named {
            request = request.with_query("jobids", id.as_str());
        }
        let response = self.send(&action, &request).await?;
        if response.is_empty() {
            return Ok(ids.iter().map(|id| Outcome { id: *id, result: Ok(()) }).collect());
        }
        let envelope = Envelope::of(&response).map_err(|e| self.failed(&action, e))?;
        envelope.outcomes(ids).map_err(|refusal| refused(&action, Some(named.join(", ")), refusal))
    }

    /// The envelope of an answer that is a success in every part.
    pub(super) fn accepted<'r>(
        &self,
        action: &str,
        target: Option<String>,
        response: &'r Response,
    ) -> Result<Envelope<'r>, NdmError> {
        let envelope = Envelope::of(response).map_err(|e| self.failed(action, e))?;
        match envelope.refusal() {
            Some(refusal) => Err(refused(action, target, refusal)),
            None => Ok(envelope),
        }
    }

    /// `data` as rows.
    pub(super) fn rows(
        &self,
        action: &str,
        response: &Response,
        envelope: &Envelope<'_>,
    ) -> Result<Vec<Box<RawValue>>, NdmError> {
        let Some(data) = envelope.data.filter(|data| data.get() != "null") else { return Ok(Vec::new()) };
        let wrong =
            |cause: &str| self.failed(action, response.unexpected(Unexpected::WrongShape { cause: cause.to_owned() }));
        let rows: Vec<&RawValue> = serde_json::from_str(data.get()).map_err(|_| wrong("its data is no list"))?;
        if rows.iter().any(|row| !row.get().starts_with('{')) {
            return Err(wrong("its data has an item that is no object"));
        }
        Ok(rows.into_iter().map(ToOwned::to_owned).collect())
    }

    fn failed(&self, action: &str, error: ApiError) -> NdmError {
        let given = matches!(self.connected.access, Access::Token);
        NdmError::api(action, &self.connected.server, given, safe(error))
    }

    pub(super) async fn send(&self, action: &str, request: &Request) -> Result<Response, NdmError> {
        let output = self.output;
        output.verbose(&format!("{} {}{}", request.method, self.connected.server, request.path)).await;
        let observe = |event: Event| match event {
            Event::Sending if request.method == Method::Get => {}
            Event::Sending => output.sending(),
            event => output.verbose_now(&event.to_string()),
        };
        let started = Instant::now();
        let outcome = self.connected.send(action, request, &observe).await;
        if output.preferences.debug {
            // Sizes only: bodies hold secrets.
            let answer = match &outcome {
                Ok(response) => format!("{} with {} bytes", response.status, response.body.len()),
                Err(error) => format!("NDM.{}", error.identity().0),
            };
            let sent = request.body.as_ref().map_or(0, Vec::len);
            let took = started.elapsed().as_millis();
            output
                .debug(&format!("{} {} ({sent} bytes) answered {answer} in {took} ms", request.method, request.path))
                .await;
        }
        outcome
    }
}

/// A parser quotes what it stumbles over; our own words stay.
fn safe(error: ApiError) -> ApiError {
    match &error {
        ApiError::UnexpectedAnswer { what: Unexpected::WrongShape { cause }, .. } if cause.contains("invalid type") => {
            without_values(error)
        }
        _ => error,
    }
}

pub(super) fn refused(action: &str, target: Option<String>, refusal: Refusal) -> NdmError {
    NdmError::Refused { action: action.to_owned(), target, refusal: Box::new(refusal) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::api::tests::scripted::{Reply, Server, json};
    use crate::api::{Auth, Connection, Options};
    use crate::credentials::ServerKey;
    use crate::protocol::Preferences;
    use secrecy::SecretString;

    /// Runs `call` on a server that answers every request with `reply`; the result and what was sent.
    async fn told<T>(
        reply: impl Fn() -> Reply + Send + Sync + 'static,
        call: impl AsyncFnOnce(&Service<'_>) -> T,
    ) -> (T, Vec<String>) {
        let server = Server::start(move |_, _| reply()).await;
        let url = url::Url::parse(&server.base()).unwrap();
        let mut options = Options::new(url.clone());
        options.retry.scale = 0.001;
        let api = Connection::new(options, Auth::Bearer(SecretString::from("token-1"))).unwrap();
        let connected = Connected { api, server: server.base(), key: ServerKey::of(&url), access: Access::Token };
        let (lines, _read) = tokio::sync::mpsc::channel(64);
        let (output, _controls) = Output::new(1, Preferences::default(), lines);
        let result = call(&Service { output: &output, connected: Rc::new(connected) }).await;
        (result, server.requests())
    }

    #[tokio::test]
    async fn a_document_comes_as_the_bytes_it_is() {
        let document = "{ \"jobCollectionInfo\" : {\"id\":7,\"name\":\"A\\u00e4\"},\n  \"notifyWhen\":3.0, \"x\":1, \"x\":null,\"created\":\"2024-06-04T10:46:33.130Z\" }";
        let answer = format!("{{\"count\":2,\"data\":{document},\"status\":0,\"message\":null}}");
        let (read, sent) = told(move || json(200, &answer), async |s| s.collection(7).await).await;
        assert_eq!(read.unwrap().get(), document);
        assert!(
            sent[0].starts_with("GET /GroupIDDataService/api/DataSyncJobs/Collections/7/Details HTTP"),
            "{}",
            sent[0]
        );
    }

    #[tokio::test]
    async fn a_document_of_another_id_or_none_is_an_error() {
        let other = || json(200, r#"{"data":{"jobInfo":{"jobId":8,"name":"x"}},"status":0}"#);
        let error = told(other, async |s| s.job(9).await).await.0.unwrap_err();
        assert!(error.to_string().contains("it is no document of job 9"), "{error}");
        for nothing in [(404, ""), (200, r#"{"data":null,"status":0}"#)] {
            let error = told(move || json(nothing.0, nothing.1), async |s| s.job(9).await).await.0.unwrap_err();
            assert!(matches!(error, NdmError::NotFound { noun: "job", id: 9, .. }), "{error}");
        }
        // HTTP says yes, the envelope doesn't say anything.
        let shapeless = told(|| json(200, r#"{"data":{}}"#), async |s| s.job(9).await).await.0.unwrap_err();
        assert_eq!(shapeless.identity().0, "UnexpectedAnswer");
    }

    #[tokio::test]
    async fn create_and_update_send_the_document_untouched_to_the_one_address() {
        let document = "{\"jobCollectionInfo\": {\"id\":7, \"n\":1.50}}";
        let done = || json(201, r#"{"type":6,"status":0,"data":21,"details":[],"isResyncAble":true}"#);
        let (id, sent) = told(done, async |s| s.create_collection(document).await).await;
        assert_eq!(id.unwrap(), 21);
        assert!(sent[0].starts_with("POST /GroupIDDataService/api/DataSyncJobs/Collections HTTP"), "{}", sent[0]);
        assert!(sent[0].ends_with(document) && sent[0].contains("application/json"), "{}", sent[0]);
        let (id, sent) = told(done, async |s| s.update_collection(document).await).await;
        assert_eq!(id.unwrap(), Some(21));
        assert!(sent[0].starts_with("PATCH /GroupIDDataService/api/DataSyncJobs/Collections HTTP"), "{}", sent[0]);
        assert!(sent[0].ends_with(document), "{}", sent[0]);
        let failing = || json(200, r#"{"status":0,"data":21,"details":[{"status":1,"message":"Not owner."}]}"#);
        let error = told(failing, async |s| s.update_collection(document).await).await.0.unwrap_err();
        assert!(error.to_string().contains("Not owner."), "{error}");
    }

    #[tokio::test]
    async fn a_change_is_never_sent_twice_by_itself() {
        let (result, sent) = told(|| Reply::Close, async |s| s.create_collection("{}").await).await;
        assert!(result.unwrap_err().to_string().contains("may or may not"));
        assert_eq!(sent.len(), 1);
    }

    #[tokio::test]
    async fn nothing_is_deleted_without_an_id() {
        let (outcomes, sent) = told(|| json(200, ""), async |s| s.delete_jobs(&[]).await).await;
        assert!(outcomes.unwrap().is_empty() && sent.is_empty());
        let (outcomes, sent) = told(|| json(200, r#"{"status":0}"#), async |s| s.delete_jobs(&[1, 2]).await).await;
        assert_eq!(outcomes.unwrap().len(), 2);
        assert!(
            sent[0].starts_with("DELETE /GroupIDDataService/api/DataSyncJobs?jobids=1&jobids=2 HTTP"),
            "{}",
            sent[0]
        );
    }

    #[tokio::test]
    async fn a_value_that_breaks_the_shape_is_not_quoted() {
        let answer = || json(200, r#"{"status":0,"details":"hush-hush"}"#);
        let error = told(answer, async |s| s.job(9).await).await.0.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
        let names = || json(200, r#""hush-hush""#);
        let error = told(names, async |s| s.job_names().await).await.0.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}
