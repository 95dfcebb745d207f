//! The room's tests: by hand here, on generated documents in `property`, and on the documented samples
//! in `samples`, where they are at hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod property;
mod review;
mod samples;
mod secret;

use super::*;

/// Two jobs, with all that is peculiar about these documents.
pub fn collection() -> String {
    let job = |id: i64, name: &str, order: i64| {
        format!(
            r#"{{"isTemplate":false,"jobInfo":{{"jobId":{id},"jobGuid":null,"name":"{name}","type":2,"sourceProvider":"ExcelOne","destinationProvider":"ADEnt","lastRun":null,"lastOutCome":"None","timesRun":0,"created":"2024-06-04T10:46:33.13Z","schedule":"","smartgroupSchedule":"","enabled":false,"onFailure":"Abort","runOrder":{order},"action":0,"collectionId":7,"scheduledTask":null}},
"fieldsMap":[{{"action":0,"sourceField":"","destinationField":"cn","id":{id}5,"transform":"Join:field=First;separator=_x_;field=Last","objectType":1,"isKey":true,"options":null}},
{{"action":0,"sourceField":"","destinationField":"unicodePwd","id":{id}6,"transform":"Static:value=Planted1=;&\"x","objectType":1,"isKey":false,"options":"{{\"passwordLength\":7,\"passwordType\":0}}"}}],
"objectsOption":[{{"objectType":1,"id":{id}1,"jobId":{id},"containerOptionValue":"OU=API,DC=lab"}}],
"syncQuery":[{{"id":{id}2,"objectType":1,"query":"SELECT *","isSource":true}},{{"id":{id}3,"objectType":1,"query":"(x=1)","isSource":false}}],
"settings":[{{"action":0,"id":{id}7,"key":"Destination.Type","value":"24","dataType":"System.Int32","objectType":null}},
{{"action":0,"id":{id}8,"key":"Destination.Type","value":"24","dataType":"System.String","objectType":null}},
{{"action":0,"id":{id}9,"key":"JobOwners","value":"Admin#b9989fd7-bdbf-41cb-9aa4-eca35a329682","dataType":"System.String"}},
{{"action":0,"id":{id}10,"key":"Destination.ContainerDetails","value":"{{\r\n  \"id\": \"efc6ad49-9091-47f4-91f0-0e033177e87e\",\r\n \"dn\":\"OU=API,DC=lab\",\"clientSecret\":\"Planted2\\\"\\u00e9\"}}","dataType":"System.String"}},
{{"action":0,"id":{id}11,"key":"Destination.ExposedScriptCode","value":"Sub A\r\n  Dim pwd As String = \"Planted3\"\r\nEnd Sub","dataType":"System.String"}},
{{"action":0,"id":{id}12,"key":"Destination.MessagingProviderPassword","value":"12345","dataType":"System.String"}},
{{"action":0,"id":{id}13,"key":"Unheard.Of","value":"abc##defg#UGxhbnRlZDQ0NDQ=","dataType":"System.String"}},
{{"action":0,"id":{id}14,"key":"Destination.ChangeServiceAccount","value":"","dataType":"System.String"}},
{{"action":0,"id":{id}15,"key":"Source.Connection","value":"Server=a;Password=Planted5;User=b","dataType":"System.String"}}],"hasAccess":false}}"#
        )
        .replace("\r\n  \"id", r#"\r\n  \"id"#)
    };
    let summary = |id: i64, name: &str, order: i64| {
        format!(
            r#"{{"jobId":{id},"name":"{name}","smartgroupSchedule":null,"enabled":true,"onFailure":"Abort","runOrder":{order},"collectionId":null}}"#
        )
    };
    format!(
        r#"{{"isTemplate":false,"description":null,"isNotificationEnabled":false,"notifyWhen":3,"notificationRecipients":"","jobCollectionInfo":{{"id":7,"jobCollectionGuid":"g-1","name":"HR","description":"Nightly","timesRun":4,"lastRunDate":"2024-06-04T10:45:47Z","lastOutCome":"Failed","created":"2024-06-04T10:46:33.13Z","modified":"2024-06-04T10:45:47Z","schedule":"0","enabled":false,"jobs":[{},{}]}},"jobs":[{},{}],"totalJobs":0}}"#,
        summary(9, "Users", 1),
        summary(10, "Groups", 2),
        job(9, "Users", 1),
        job(10, "Groups", 2)
    )
}

pub const PLANTED: &[&str] = &["Planted1", "Planted2", "Planted3", "12345", "UGxhbnRlZDQ0NDQ", "Planted5"];

pub fn document(text: &str) -> Document {
    Document::parse(text).unwrap()
}

/// The text with a change, which must hit something.
pub fn changed(text: &str, old: &str, new: &str) -> Document {
    assert!(text.contains(old), "{old}");
    document(&text.replacen(old, new, 1))
}
