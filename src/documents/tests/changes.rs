//! Reading, merging, and changes of identity.

use super::*;

fn merged(live: &str, sent: &str) -> String {
    merge(&document(live), &document(sent)).unwrap().compact()
}

#[test]
fn text_is_kept_as_it_came() {
    let text = "{\"b\":1.50,\"a\":-0,\"b\":1E+2,\"\\u0061x\":\"\\/\\u00e9\\ud800\",\"n\":[null,[],{}]}";
    assert_eq!(document(text).compact(), text);
    assert_eq!(
        document(r#"{"a":[1,{}],"b":{"c":"d"}}"#).pretty(),
        "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": \"d\"\n  }\n}\n"
    );
    assert_eq!(document(r#"{"a":"x\ud800y\\ud800"}"#).root().get("a").unwrap().text().unwrap(), "x\u{fffd}y\\ud800");
}

#[test]
fn what_is_no_document_says_where() {
    let error = Document::parse("{\n \"a\": }").unwrap_err();
    assert!(matches!(error, DocumentError::NotJson { line: 2, column: 7, .. }), "{error}");
    assert!(matches!(Document::parse("[]"), Err(DocumentError::Shape { .. })));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(70), "]".repeat(70));
    assert!(matches!(Document::parse(&deep), Err(DocumentError::TooDeep { limit: 64 })));
}

#[test]
fn what_powershell_does_to_values_is_undone() {
    assert_eq!(
        merged(r#"{"d":"2024-06-04T10:46:33.13Z"}"#, r#"{"d":"2024-06-04T12:46:33.1300000+02:00"}"#),
        r#"{"d":"2024-06-04T10:46:33.13Z"}"#
    );
    assert_eq!(
        merged(r#"{"d":"2024-06-04T10:46:33"}"#, r#"{"d":"2024-06-04T10:46:33Z"}"#),
        r#"{"d":"2024-06-04T10:46:33Z"}"#
    );
    assert_eq!(merged(r#"{"a":7.0,"b":1e2}"#, r#"{"a":7,"b":100}"#), r#"{"a":7.0,"b":1e2}"#);
    assert_eq!(merged(r#"{"jobs":[{"id":1,"x":1}]}"#, r#"{"jobs":{"id":1,"x":2}}"#), r#"{"jobs":[{"id":1,"x":2}]}"#);
    assert_eq!(merged(r#"{"a":[],"b":[1],"c":[3]}"#, r#"{"a":null,"b":1,"c":null}"#), r#"{"a":[],"b":[1],"c":[]}"#);
    // What the server had twice stays twice; only the one PowerShell can see may change.
    assert_eq!(merged(r#"{"a":1,"a":2}"#, r#"{"a":3}"#), r#"{"a":1,"a":3}"#);
    assert_eq!(surface(&document(r#"{"a":1,"a":2}"#), true).compact(), r#"{"a":2}"#);
    assert_eq!(merged(r#"{"isOn":1}"#, r#"{"ISON":2}"#), r#"{"isOn":2}"#);
}

#[test]
fn rows_are_matched_by_id_removed_and_put_in_the_order_sent() {
    let live = r#"{"rows":[{"id":1,"x":1.0,"u":"\/"},{"id":2,"x":2.0},{"id":3}]}"#;
    assert_eq!(
        merged(live, r#"{"rows":[{"id":3},{"id":1,"x":1,"new":true}]}"#),
        r#"{"rows":[{"id":3},{"id":1,"x":1.0,"u":"\/","new":true}]}"#
    );
    // A new row has nothing of the row that stood there.
    assert_eq!(merged(live, r#"{"rows":[{"id":5,"x":9}]}"#), r#"{"rows":[{"id":5,"x":9}]}"#);
    assert!(
        matches!(merge(&document(r#"{"a":{"b":1}}"#), &document(r#"{"a":5}"#)), Err(DocumentError::Shape { path, .. }) if path == "a")
    );
}

#[test]
fn no_break_spaces_are_repaired_outside_strings_and_reported_inside() {
    let repaired = repair("\u{feff}{\n\u{a0}\"a\":\u{a0}\"x\\\"\u{a0}y\", \"b\": [\"\u{a0}\u{a0}\"]}");
    assert_eq!(repaired.text, "{\n \"a\": \"x\\\"\u{a0}y\", \"b\": [\"\u{a0}\u{a0}\"]}");
    assert_eq!(repaired.outside, 2);
    let inside: Vec<_> = repaired.inside.iter().map(|(path, count)| (path.to_string(), *count)).collect();
    assert_eq!(inside, [("a".to_owned(), 1), ("b[0]".to_owned(), 2)]);
}

#[test]
fn both_copies_of_a_job_are_written_and_nothing_else() {
    let mut one = document(&collection());
    rename_job(&mut one, &JobKey::Name("users".into()), "People").unwrap();
    set_on_failure(&mut one, &JobKey::Id(9), OnFailure::Continue).unwrap();
    let expected = collection().replace(r#""name":"Users""#, r#""name":"People""#).replacen(
        r#""onFailure":"Abort""#,
        r#""onFailure":"Continue""#,
        1,
    );
    let expected =
        expected.replacen(r#""enabled":false,"onFailure":"Abort""#, r#""enabled":false,"onFailure":"Continue""#, 1);
    assert_eq!(one.compact(), document(&expected).compact());
    assert_eq!(identity(&one).unwrap(), Identity { id: 7, name: "HR".into() });
    let error = rename_job(&mut one, &JobKey::Name("Nobody".into()), "x").unwrap_err();
    assert_eq!(error.to_string(), "the collection has no job named 'Nobody'; it has People, Groups");
}

#[test]
fn collection_members_are_set_in_their_place() {
    let mut one = document(&collection());
    rename(&mut one, "HR 2").unwrap();
    describe(&mut one, "x\"y").unwrap();
    let wanted =
        Notification { enabled: Some(true), when: Some(3), recipients: Some("a@x".into()), individual_email: None };
    set_notification(&mut one, &wanted);
    let expected = collection()
        .replacen(r#""name":"HR""#, r#""name":"HR 2""#, 1)
        .replacen("\"Nightly\"", r#""x\"y""#, 1)
        .replacen(r#""isNotificationEnabled":false"#, r#""isNotificationEnabled":true"#, 1)
        .replacen(r#""notificationRecipients":"""#, r#""notificationRecipients":"a@x""#, 1);
    assert_eq!(one.compact(), document(&expected).compact());
}

#[test]
fn moving_adding_and_removing_keeps_both_copies_in_step() {
    let order = |document: &Document| -> Vec<(String, i64)> {
        let all = jobs(document).unwrap();
        assert!(all.iter().all(|job| job.summary == Some(job.index)));
        all.into_iter().map(|job| (job.name, job.run_order)).collect()
    };
    let named = |names: &[&str]| names.iter().zip(1..).map(|(name, at)| ((*name).to_owned(), at)).collect::<Vec<_>>();
    let key = |name: &str| JobKey::Name(name.to_owned());
    let mut one = document(&collection());
    let single =
        Document::parse(&one.root().get("jobs").unwrap().items()[0].compact().replace("Users", "Extra")).unwrap();
    add_job(&mut one, &single).unwrap();
    assert_eq!(jobs(&one).unwrap()[2].id, 0);
    assert_eq!(order(&one), named(&["Users", "Groups", "Extra"]));
    let added = one.root().get("jobs").unwrap().items()[2].get("jobInfo").unwrap();
    assert_eq!(added.get("collectionId").unwrap().integer(), Some(7));
    move_job(&mut one, &key("Extra"), &Place::Before(key("Users"))).unwrap();
    assert_eq!(order(&one), named(&["Extra", "Users", "Groups"]));
    move_job(&mut one, &key("Extra"), &Place::After(key("Groups"))).unwrap();
    assert_eq!(order(&one), named(&["Users", "Groups", "Extra"]));
    move_job(&mut one, &key("Groups"), &Place::After(key("Groups"))).unwrap();
    assert_eq!(order(&one), named(&["Users", "Groups", "Extra"]));
    let error = move_job(&mut one, &key("Extra"), &Place::Position(4)).unwrap_err();
    assert_eq!(error, DocumentError::NoSuchPosition { position: 4, count: 3 });
    remove_job(&mut one, &JobKey::Id(9)).unwrap();
    assert_eq!(order(&one), named(&["Groups", "Extra"]));
}

#[test]
fn a_document_made_new_has_no_ids_and_no_past() {
    let new = as_new(&document(&collection()));
    assert!(
        lint(&new.compact(), Purpose::Create).iter().all(|finding| finding.severity < Severity::Error),
        "{:?}",
        lint(&new.compact(), Purpose::Create)
    );
    let info = new.root().get("jobCollectionInfo").unwrap();
    assert_eq!(info.get("lastOutCome").unwrap().text().unwrap(), "None");
    assert_eq!(info.get("timesRun").unwrap().integer(), Some(0));
    assert_eq!(info.get("jobCollectionGuid").unwrap().text().unwrap(), "");
    assert!(info.get("lastRunDate").unwrap().is_null());
}

#[test]
fn the_fingerprint_sees_settings_but_neither_runs_nor_secrets() {
    let text = collection();
    let mark = fingerprint(&document(&text));
    assert_eq!(mark.len(), 64);
    assert_eq!(mark, fingerprint(&changed(&text, "\"timesRun\":4", "\"timesRun\":5")));
    assert_eq!(mark, fingerprint(&changed(&text, "Planted1", "Another")));
    assert_eq!(mark, fingerprint(&surface(&document(&text), true)));
    assert_ne!(mark, fingerprint(&changed(&text, "SELECT *", "SELECT a")));
    assert_ne!(mark, fingerprint(&changed(&text, "\"Nightly\"", "\"Daily\"")));
}

#[test]
fn a_change_of_one_copy_of_a_job_is_a_change_of_both() {
    let live = document(&collection());
    let mut changed = live.clone();
    // The first job in its own document, the second in the summary.
    let first = &mut changed.root_mut().get_mut("jobs").unwrap().items_mut().unwrap()[0];
    first.get_mut("jobInfo").unwrap().set("name", Node::string("Own"));
    let info = changed.root_mut().get_mut("jobCollectionInfo").unwrap();
    info.get_mut("jobs").unwrap().items_mut().unwrap()[1].set("onFailure", Node::string("Continue"));
    agree(&live, &mut changed).unwrap();
    let all = jobs(&changed).unwrap();
    assert_eq!((all[0].name.as_str(), all[1].on_failure.as_str()), ("Own", "Continue"));
    let summary = &changed.root().get("jobCollectionInfo").unwrap().get("jobs").unwrap().items()[0];
    assert_eq!(summary.get("name").unwrap().text().unwrap(), "Own");
    // What two copies of one job have always disagreed on is nobody's mistake.
    let mut untouched = live.clone();
    agree(&live, &mut untouched).unwrap();
    assert_eq!(untouched.compact(), live.compact());
}
