//! The whole server from the front: tokens, the documented job from its samples, faults, the record.
//!
//! `JIMHOST_SAMPLES` names the folder with the documented requests and answers; without it a small document of this
//! file goes the same way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use axum::http::{HeaderValue, header};
use serde_json::{Value, json};

use super::super::SandboxOptions;
use super::super::app::{App, Verdict};
use super::super::tests::{app, bare_call};
use super::super::wire::{Call, Reply};
use super::json::Node;

const JOBS: &str = "/GroupIDDataService/api/DataSyncJobs";
const FORM: &str = "grant_type=password&username=sandbox&password=sandbox-password&client_Id=sandbox-client&client_secret=sandbox-secret&identity_store_id=2";
const SMALL: &str = r#"{
  "isTemplate": false, "weight": 1.50, "big": 12345678901234567890, "unknown": {"b": [1e3, null], "a": "\u00e9\/"},
  "jobCollectionInfo": {"id": 0, "name": "Small", "totalJobs": 0, "created": "2024-06-04T10:46:33.13Z", "enabled": false,
    "jobs": [{"jobId": 0, "name": "One", "collectionId": null}]},
  "jobs": [{"jobInfo": {"jobId": 0, "name": "One", "type": 2, "collectionId": 0},
    "fieldsMap": [{"transform": "Static:value=a=b;c&d", "id": 0}], "objectsOption": [{"id": 0, "jobId": 0}],
    "syncQuery": [], "settings": [{"id": 0, "key": "Destination.Type"}, {"id": 0, "key": "Destination.Type"}]}]
}"#;

struct Client {
    app: App,
    token: String,
}

impl Client {
    fn new(options: SandboxOptions) -> Self {
        let mut client = Self { app: app(options), token: String::new() };
        client.sign_in();
        client
    }

    fn sign_in(&mut self) -> Value {
        let mut call = bare_call("POST", "/GroupIDSecurityService/connect/token", FORM);
        call.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let answer: Value = serde_json::from_slice(&self.send(call).body).unwrap();
        self.token = answer["access_token"].as_str().unwrap().to_owned();
        answer
    }

    fn send(&mut self, call: Call) -> Reply {
        let ailment = self.app.strike(&call);
        match self.app.handle(call, &ailment) {
            Verdict::Answer(reply) => reply,
            Verdict::Drop => panic!("dropped"),
        }
    }

    fn reply(&mut self, method: &str, path: &str, body: &str) -> Reply {
        let mut call = bare_call(method, &format!("{JOBS}{path}"), body);
        let bearer = format!("Bearer {}", self.token);
        call.headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&bearer).unwrap());
        self.send(call)
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Value {
        let reply = self.reply(method, path, body);
        assert_eq!(reply.status, 200, "{method} {path}");
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// The document as text.
    fn document(&mut self, id: i64) -> String {
        let reply = self.reply("GET", &format!("/Collections/{id}/Details"), "");
        let envelope = Node::parse(std::str::from_utf8(&reply.body).unwrap()).unwrap();
        envelope.get("data").unwrap().to_string()
    }

    fn names(&mut self, path: &str, body: &str) -> Vec<String> {
        let answer = self.ask("GET", path, body);
        let rows = answer["data"].as_array().unwrap();
        assert_eq!(answer["count"], rows.len());
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }

    fn fault(&mut self, json: &str) {
        assert_eq!(self.app.switch(&bare_call("POST", "/sandbox/faults", json), (0, 0)).unwrap().status, 200);
    }
}

fn client() -> Client {
    Client::new(SandboxOptions::default())
}

fn sample(name: &str) -> Option<String> {
    let folder = std::env::var_os("JIMHOST_SAMPLES")?;
    Some(std::fs::read_to_string(PathBuf::from(folder).join(name)).unwrap())
}

/// Gives the ids of `theirs` to `ours`, whose shape is the same; only ids may differ.
fn take_ids(ours: &mut Node, theirs: &Node, is_id: bool) {
    match (ours, theirs) {
        (Node::Object(ours), Node::Object(theirs)) => {
            for (key, value) in ours {
                let id = matches!(key.as_str(), "\"id\"" | "\"jobId\"" | "\"collectionId\"");
                if let Some((_, theirs)) = theirs.iter().find(|(name, _)| name == key) {
                    take_ids(value, theirs, id);
                }
            }
        }
        (Node::List(ours), Node::List(theirs)) => {
            assert_eq!(ours.len(), theirs.len());
            ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| take_ids(ours, theirs, false));
        }
        (ours @ Node::Leaf(_), theirs) if is_id => *ours = theirs.clone(),
        _ => {}
    }
}

#[test]
fn the_documented_job_goes_in_and_comes_back_as_it_was_sent() {
    let (create, update) = (sample("create-job-collection.request.json"), sample("update-job-collection.request.json"));
    let create = create.unwrap_or_else(|| SMALL.to_owned());
    let update = update.unwrap_or_else(|| SMALL.replace("a=b;c&d", "other").replace("1.50", "2.500"));
    let mut client = client();

    let answer = client.ask("POST", "/Collections", &create);
    let expected = sample("create-job-collection.response.json").map_or_else(
        || json!({"name": null, "type": 6, "status": 0, "message": null, "data": 21, "identityStoreObject": null, "details": [], "currentDirectoryServer": null, "errorCode": null, "exceptionMessagesAttributeWise": null, "isResyncAble": true}),
        |text| serde_json::from_str(&text).unwrap(),
    );
    assert_eq!(answer.to_string(), expected.to_string(), "members, order and values");

    let stored = client.document(21);
    let read = Node::parse(&stored).unwrap();
    let mut sent = Node::parse(&create).unwrap();
    take_ids(&mut sent, &read, false);
    assert_eq!(stored, sent.to_string());
    assert!(!stored.contains("\"id\":0") && !stored.contains("\"jobId\":0"), "everything got an id");

    let mut update = Node::parse(&update).unwrap();
    take_ids(&mut update, &read, false);
    let update = update.to_string();
    assert_ne!(update, stored);
    let mut expected = expected;
    expected["data"] = json!(21);
    assert_eq!(client.ask("PATCH", "/Collections", &update).to_string(), expected.to_string());
    assert_eq!(client.document(21), update);
}

#[test]
fn lists_summarise_documents_and_contradict_them_as_documented() {
    let mut client = client();
    let list = client.ask("GET", "/Collections", "");
    assert_eq!(list.as_object().unwrap().keys().collect::<Vec<_>>(), ["count", "data", "status", "message"]);
    let row = &list["data"][0];
    assert_eq!(
        (&row["id"], &row["totalJobs"], &row["enabled"], &row["jobs"], &row["jobCollectionGuid"]),
        (&json!(3), &json!(2), &json!(true), &json!([]), &Value::Null)
    );
    let details = client.ask("GET", "/Collections/3/Details", "");
    let info = &details["data"]["jobCollectionInfo"];
    assert_eq!((&details["count"], &info["totalJobs"], &info["enabled"]), (&json!(2), &json!(0), &json!(false)));
    let job = &details["data"]["jobs"][0];
    assert_eq!(job["jobInfo"].as_object().unwrap().len(), 24);
    assert_eq!(job["settings"].as_array().unwrap().len(), 27);
    assert_eq!(job["jobInfo"]["jobId"], info["jobs"][0]["jobId"]);
    let types = job["settings"].as_array().unwrap().iter().filter(|row| row["key"] == "Destination.Type");
    assert_eq!(types.count(), 2);
}

#[test]
fn bodies_of_get_requests_filter_and_page_unless_they_are_dropped() {
    let filter = r#"{"filterCriteria":{"operator":"is exactly","attribute":"Name","value":"Groups nightly","valueType":0,"valueTypes":[0],"donotEscapeValue":true,"child":null},"SearchOption":{"PageSize":10,"PageIndex":1,"SortColumnName":"","SortOrder":1}}"#;
    let members = r#"{"filters":{"Operator":"is exactly","Attribute":"Name","Value":"HR to Active Directory"},"SearchOption":{"PageSize":1,"PageIndex":2,"SortColumnName":"","SortOrder":1},"jobCollectionId":3}"#;
    let mut client = client();
    assert_eq!(client.names("/Collections", filter), ["Groups nightly"]);
    assert_eq!(client.names("/Collections/Details", members), ["HR changes"]);
    let page = r#"{"SearchOption":{"PageSize":2,"PageIndex":2}}"#;
    assert_eq!(client.names("/Collections", page), ["Cloud accounts"]);
    assert_eq!(
        client.reply("GET", "/Collections", r#"{"filterCriteria":{"operator":"string","attribute":"Name"}}"#).status,
        400
    );

    client.fault(r#"{"dropGetBodies": true, "count": 1}"#);
    assert_eq!(client.names("/Collections", filter).len(), 3);
    assert_eq!(client.names("/Collections", filter).len(), 1);
    let mut client = Client::new(SandboxOptions { ndm_drop_get_bodies: true, ..SandboxOptions::default() });
    assert_eq!(client.names("/Collections", filter).len(), 3);
    assert_eq!(client.names("/Collections/Details", members).len(), 5);
}

#[test]
fn jobs_are_listed_read_created_and_deleted() {
    let mut client = client();
    let all = client.names("", "");
    assert_eq!(all.len(), 6);
    let source = r#"{"filterCriteria":{"operator":"starts with","attribute":"Source","value":"demo"}}"#;
    assert_eq!(client.names("", source), ["Entra accounts", "Entra leavers"]);
    let names = client.ask("GET", "/Names", "");
    assert_eq!(names[0], json!({"name": "Contractors", "type": "1"}));
    assert_eq!(names.as_array().unwrap().last().unwrap()["type"], "3");

    let single = client.ask("GET", "", "")["data"][0]["jobId"].as_i64().unwrap();
    let details = client.ask("GET", &format!("/{single}/Details"), "");
    assert_eq!((&details["count"], &details["data"]["jobInfo"]["collectionId"]), (&json!(0), &Value::Null));
    let created = client.ask("POST", "", &details["data"].to_string())["data"].as_i64().unwrap();
    assert!(created > single);
    let deleted = client.ask("DELETE", &format!("?jobids={single}&jobids={created}"), "");
    assert_eq!((&deleted["type"], &deleted["data"], &deleted["status"]), (&json!(7), &Value::Null, &json!(0)));
    assert_eq!(deleted["details"].as_array().unwrap().len(), 2);
    assert_eq!(client.reply("GET", &format!("/{created}/Details"), "").status, 404);
    assert_eq!(client.names("", "").len(), 5);
}

#[test]
fn a_batch_fails_item_by_item() {
    let mut client = client();
    let partly = client.ask("DELETE", "/Collections?jobids=3&jobids=99", "");
    let statuses: Vec<&Value> = partly["details"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
    assert_eq!((statuses, &partly["status"]), (vec![&json!(0), &json!(1)], &json!(0)));
    assert_eq!(partly["details"][1]["errorCode"], "JobCollectionNotFound");
    client.fault(r#"{"failingItems": [7], "count": 1}"#);
    let none = client.ask("DELETE", "/Collections?jobids=7", "");
    assert_eq!((&none["status"], &none["details"][0]["status"]), (&json!(1), &json!(1)));
    assert_eq!(client.names("/Collections", ""), ["Groups nightly", "Cloud accounts"]);
    assert_eq!(client.reply("DELETE", "/Collections", "").status, 400);
    assert_eq!(client.reply("DELETE", "/Collections?jobids=x", "").status, 400);
}

#[test]
fn tokens_end_and_401_says_so() {
    let mut client = Client::new(SandboxOptions { ndm_token_seconds: 30, ..SandboxOptions::default() });
    assert_eq!(client.reply("GET", "/Names", "").status, 200);
    client.app.switch(&bare_call("POST", "/sandbox/expire-tokens", ""), (0, 0));
    let refused = client.reply("GET", "/Names", "");
    assert_eq!((refused.status.as_u16(), refused.body.len()), (401, 0));
    assert!(refused.headers[0].1.contains("invalid_token"));
    assert_eq!(client.sign_in()["expires_in"], 30);
    assert_eq!(client.reply("GET", "/Names", "").status, 200);
    client.fault(r#"{"tokenSeconds": 0}"#);
    assert_eq!(client.sign_in()["expires_in"], 0);
    assert_eq!(client.reply("GET", "/Names", "").status, 401);
    assert_eq!(client.send(bare_call("GET", &format!("{JOBS}/Names"), "")).status, 401, "no token");
}

#[test]
fn faults_answer_as_this_product_does() {
    let mut client = client();
    client.fault(r#"{"nextStatus": [403], "path": "/GroupIDDataService"}"#);
    let page = client.reply("GET", "/Names", "");
    assert_eq!(page.status, 403);
    assert!(page.headers[0].1 == "text/html" && page.body.starts_with(b"<!DOCTYPE"));

    let before = client.document(3);
    client.fault(
        r#"{"failingStatus": {"status": 4, "message": "No.", "errorCode": "E4"}, "method": "PATCH", "count": 1}"#,
    );
    let changed = before.replace("HR joiners", "Renamed");
    let failed = client.ask("PATCH", "/Collections", &changed);
    assert_eq!((&failed["status"], &failed["message"], &failed["errorCode"]), (&json!(4), &json!("No."), &json!("E4")));
    assert_eq!(client.document(3), before);
    assert_eq!(client.ask("PATCH", "/Collections", &changed)["status"], 0);
    let unknown = client.ask("PATCH", "/Collections", &changed.replacen("\"id\":3", "\"id\":99", 1));
    assert_eq!((&unknown["status"], &unknown["data"]), (&json!(1), &Value::Null));

    client.fault(r#"{"blankPasswords": true, "count": 1}"#);
    assert_eq!(client.document(3), changed.replace("Static:value=Demo-Only-Passw0rd=1;a&b", "Static:value="));
}

#[test]
fn the_record_knows_what_was_carried_out_and_no_secret() {
    let mut client = client();
    client.fault(r#"{"failingStatus": {}, "method": "POST", "count": 1}"#);
    client.ask("POST", "/Collections", SMALL);
    client.ask("POST", "/Collections", SMALL);
    let record = client.app.record.show(0, 0);
    let executed: Vec<&Value> = record["requests"].as_array().unwrap().iter().map(|entry| &entry["executed"]).collect();
    assert_eq!(executed, [&json!(true), &json!(false), &json!(true)]);
    assert_eq!(record["requests"][2]["path"], format!("{JOBS}/Collections"));
    let text = record.to_string();
    assert!(!text.contains(&client.token) && !text.contains("sandbox-password") && !text.contains("sandbox-secret"));
}

#[test]
fn wrong_paths_verbs_and_bodies_are_told_apart() {
    let mut client = client();
    assert_eq!(client.reply("PUT", "/Collections", SMALL).status, 405);
    assert_eq!(client.reply("GET", "/Collections/3/Run", "").status, 404);
    assert_eq!(client.reply("GET", "/Collections/99/Details", "").status, 404);
    assert_eq!(client.reply("POST", "/Collections", "{\u{a0}}").status, 400);
    assert_eq!(client.send(bare_call("GET", "/GroupIDDataService/api/Users", "")).status, 404);
    assert_eq!(client.ask("POST", "/Collections", "{}")["status"], 1);
}
