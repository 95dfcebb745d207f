//! Comparing, references, and the offline check.

use super::*;

fn told(now: &Document) -> Vec<String> {
    let found = compare(&document(&collection()), now, CompareOptions::default());
    for secret in PLANTED {
        assert!(!format!("{found:?}").contains(secret), "{found:?}");
    }
    let line = |one: Difference| {
        let Difference { change, job, kind, item, property, then, now } = one;
        let (job, then, now) = (job.unwrap_or_default(), then.unwrap_or_default(), now.unwrap_or_default());
        format!("{change:?} {kind:?} [{job}] [{item}] {property}: {then} -> {now}")
    };
    found.into_iter().map(line).collect()
}

#[test]
fn differences_are_told_as_an_administrator_reads_them() {
    let text = collection();
    assert!(told(&document(&text)).is_empty());
    assert!(told(&as_new(&document(&text))).is_empty(), "{:?}", told(&as_new(&document(&text))));
    assert!(told(&surface(&document(&text), true)).is_empty());
    let cases = [
        ("\"HR\"", "\"HR 2\"", "Changed Collection [] [] name: HR -> HR 2"),
        (
            "separator=_x_",
            "separator=.",
            "Changed Mapping [Users] [User: cn] transform: Join:field=First;separator=_x_;field=Last -> Join:field=First;separator=.;field=Last",
        ),
        ("Planted1", "Other", "Changed Mapping [Users] [User: unicodePwd] transform: a secret -> another secret"),
        ("SELECT *", "SELECT a", "Changed Query [Users] [User: source] query: SELECT * -> SELECT a"),
        (
            "\"value\":\"24\"",
            "\"value\":\"25\"",
            "Changed Setting [Users] [Destination.Type (System.Int32)] value: 24 -> 25",
        ),
        (
            "\\\"dn\\\":\\\"OU=API",
            "\\\"dn\\\":   \\\"OU=New",
            "Changed Setting [Users] [Destination.ContainerDetails] value:dn: OU=API,DC=lab -> OU=New,DC=lab",
        ),
        (
            "End Sub",
            "End Function",
            "Changed Setting [Users] [Destination.ExposedScriptCode] value: 3 lines -> 1 line changed, first at line 3",
        ),
        (
            "\"destinationField\":\"cn\"",
            "\"destinationField\":\"sn\"",
            "Removed Mapping [Users] [User: cn] : Join:field=First;separator=_x_;field=Last -> ",
        ),
    ];
    for (old, new, expected) in cases {
        let told = told(&changed(&text, old, new));
        assert_eq!(told.first().map(String::as_str), Some(expected), "{told:?}");
        assert_eq!(told.len(), if expected.starts_with("Removed") { 2 } else { 1 }, "{told:?}");
    }
}

#[test]
fn a_renamed_job_is_told_once_and_a_removed_one_by_name() {
    let mut renamed = document(&collection());
    rename_job(&mut renamed, &JobKey::Id(9), "People").unwrap();
    assert_eq!(told(&renamed), ["Changed Job [Users] [] name: Users -> People"]);
    remove_job(&mut renamed, &JobKey::Id(9)).unwrap();
    let told = told(&renamed);
    assert!(told.iter().any(|line| line.starts_with("Removed Job [Users]")), "{told:?}");
}

#[test]
fn references_are_found_and_replaced_in_every_place() {
    let one = document(&collection());
    let all = remap(&one, &ReferenceMap::default()).unmapped;
    let of = |kind| {
        all.iter().filter(|one| one.kind == kind).map(|one| (one.value.as_str(), one.paths.len())).collect::<Vec<_>>()
    };
    assert_eq!(of(ReferenceKind::Provider), [("24", 4)]);
    assert_eq!(of(ReferenceKind::ProviderName), [("ExcelOne", 2), ("ADEnt", 2)]);
    assert_eq!(of(ReferenceKind::Container), [("OU=API,DC=lab", 4)]);
    assert_eq!(of(ReferenceKind::ContainerId), [("efc6ad49-9091-47f4-91f0-0e033177e87e", 2)]);
    assert_eq!(of(ReferenceKind::Owner), [("b9989fd7-bdbf-41cb-9aa4-eca35a329682", 2)]);
    assert!(of(ReferenceKind::Schedule).is_empty());
    let map = ReferenceMap::parse(r#"{"provider":{"24":31},"providerName":{"excelone":"Sheet","ADEnt":"ADEnt"},"container":{"ou=api,dc=lab":"OU=New"},"containerId":{"efc6ad49-9091-47f4-91f0-0e033177e87e":"id-2"},"owner":{"b9989fd7-bdbf-41cb-9aa4-eca35a329682":"id-3"}}"#).unwrap();
    let remapped = remap(&one, &map);
    assert!(remapped.unmapped.iter().all(|one| !one.kind.is_required()), "{:?}", remapped.unmapped);
    let expected = collection()
        .replace("\"24\"", "\"31\"")
        .replace("ExcelOne", "Sheet")
        .replace("OU=API,DC=lab", "OU=New")
        .replace("efc6ad49-9091-47f4-91f0-0e033177e87e", "id-2")
        .replace("b9989fd7-bdbf-41cb-9aa4-eca35a329682", "id-3");
    assert!(compare(&remapped.document, &document(&expected), CompareOptions::default()).is_empty());
    assert!(matches!(ReferenceMap::parse(r#"{"nonsense":{}}"#), Err(DocumentError::BadMap { .. })));
}

fn codes(text: &str, purpose: Purpose) -> Vec<(&'static str, Option<usize>)> {
    let mut codes: Vec<_> = lint(text, purpose).into_iter().map(|finding| (finding.code, finding.line)).collect();
    codes.dedup_by_key(|(code, _)| *code);
    codes
}

#[test]
fn a_sound_document_has_nothing_but_its_scripts_to_tell() {
    assert_eq!(codes(&collection(), Purpose::Update).iter().map(|(code, _)| *code).collect::<Vec<_>>(), ["Script"]);
}

#[test]
fn mistakes_are_found_with_their_lines() {
    let pretty = document(&collection()).pretty();
    let line = |part: &str| pretty.lines().position(|line| line.contains(part)).map(|at| at + 1);
    let cases = [
        ("\"id\": 7,", "\"id\": 0,", "NoIdOnUpdate", line("\"id\": 7,")),
        ("\"runOrder\": 2", "\"runOrder\": 1", "CopiesDisagree", None),
        ("\"name\": \"Users\"", "\"name\": \"People\"", "CopiesDisagree", None),
        ("\"isKey\": true", "\"isKey\": false", "NoKeyMapping", None),
        ("\"key\": \"Unheard.Of\"", "\"key\": \"JobOwners\"", "SettingTwice", None),
        ("\"collectionId\": 7", "\"collectionId\": 8", "CollectionIdDiffers", line("\"collectionId\": 7")),
        ("\"Nightly\"", "\"{{secret:x}}\"", "PlaceholderLeft", line("Nightly")),
        ("\\\"dn\\\":", "\\\"dn\\\"", "NestedJson", None),
        ("\"Nightly\"", "\"Night\u{a0}ly\"", "NoBreakSpaceInside", line("Nightly")),
        ("  \"description\": null", "\u{a0} \"description\": null", "NoBreakSpaceOutside", None),
        ("\"description\": null,", "\"description\": ,", "NotJson", line("\"description\": null")),
        ("\"jobs\": [", "\"nobs\": [", "JobUnpaired", None),
    ];
    assert!(!codes(&pretty, Purpose::Update).iter().any(|(code, _)| *code != "Script"));
    for (old, new, code, at) in cases {
        assert!(pretty.contains(old), "{old}");
        let found = lint(&pretty.replacen(old, new, 1), Purpose::Update);
        let finding = found.iter().find(|finding| finding.code == code).unwrap_or_else(|| panic!("{code}: {found:?}"));
        assert!(at.is_none() || finding.line == at, "{finding:?} {at:?}");
    }
    let create = lint(&pretty, Purpose::Create);
    assert_eq!(
        create.iter().filter(|finding| finding.code == "IdOnCreate").count(),
        1 + 2 + 2 * 2 + 2 * (2 + 2 + 2 + 9)
    );
    assert!(lint(&pretty, Purpose::Any).iter().all(|finding| finding.code == "Script"));
    for text in [r#"{"count":1,"data":{}}"#, r#"{"jobInfo":{}}"#, "[]", "{}"] {
        assert!(lint(text, Purpose::Any).iter().any(|finding| finding.code == "WrongRoot"), "{text}");
    }
    let gap = pretty.replace("\"runOrder\": 2", "\"runOrder\": 3");
    assert!(lint(&gap, Purpose::Any).iter().any(|finding| finding.code == "RunOrderGap"));
}

#[test]
fn a_document_at_rest_is_the_same_after_every_run() {
    let text = collection();
    let ran = text
        .replace("\"timesRun\":4", "\"timesRun\":5")
        .replace("\"lastOutCome\":\"Failed\"", "\"lastOutCome\":\"Completed\"")
        .replace("\"lastRun\":null", "\"lastRun\":\"2024-06-05T00:00:00Z\"")
        .replace("\"lastRunDate\":\"2024-06-04T10:45:47Z\"", "\"lastRunDate\":\"2024-06-05T00:00:00Z\"")
        .replace("\"modified\":\"2024-06-04T10:45:47Z\"", "\"modified\":\"2024-06-05T00:00:01Z\"")
        .replace("\"hasAccess\":false", "\"hasAccess\":true")
        .replace("\"totalJobs\":0", "\"totalJobs\":2");
    let resting = at_rest(&document(&text)).pretty();
    assert_eq!(at_rest(&document(&ran)).pretty(), resting);
    assert_eq!(at_rest(&document(&resting)).pretty(), resting);
    // Neither ids nor anything a person set is touched.
    assert!(resting.contains("\"created\": \"2024-06-04T10:46:33.13Z\"") && resting.contains("\"id\": 7,"));
    assert_ne!(at_rest(&changed(&text, "\"notifyWhen\":3", "\"notifyWhen\":2")).pretty(), resting);
}

#[test]
fn an_origin_is_put_on_and_taken_off() {
    let plain = document(&collection());
    let origin = Origin { server: Some("https://dm01:4443".into()), fingerprint: Some(fingerprint(&plain)) };
    let marked = with_origin(&plain, &origin);
    assert!(marked.pretty().starts_with("{\n  \"exportedFrom\": \"https://dm01:4443\",\n  \"fingerprint\": "));
    assert_eq!(without_origin(&marked), (plain.clone(), origin));
    assert_eq!(without_origin(&plain), (plain, Origin::default()));
}

#[test]
fn a_document_from_elsewhere_adopts_ids_and_run_state_of_the_live_one() {
    let live = document(&collection());
    // Nothing but ids and run state was lost, so all comes back.
    assert_eq!(merge(&live, &adopt(&as_new(&live), &live)).unwrap().compact(), live.compact());
    assert_eq!(merge(&live, &adopt(&at_rest(&live), &live)).unwrap().compact(), live.compact());
    // What was changed stays changed, in the row it is about.
    let edited = changed(&as_new(&live).compact(), "separator=_x_", "separator=.");
    let told = compare(&live, &adopt(&edited, &live), CompareOptions { ignore_ids: false, include_run_state: true });
    assert_eq!(told.iter().map(|one| one.property.as_str()).collect::<Vec<_>>(), ["transform"]);
}

#[test]
fn what_the_live_document_lacks_is_new_in_it() {
    let mut live = document(&collection());
    let file = live.clone();
    remove_job(&mut live, &JobKey::Name("Groups".into())).unwrap();
    let adopted = adopt(&file, &live);
    let jobs = jobs(&adopted).unwrap();
    assert_eq!(jobs.iter().map(|job| (job.id, job.name.as_str())).collect::<Vec<_>>(), [(9, "Users"), (0, "Groups")]);
    let new = &adopted.root().get("jobs").unwrap().items()[1];
    assert_eq!(new.get("jobInfo").unwrap().get("collectionId").unwrap().integer(), Some(7), "it joins this collection");
    let mut ids = Vec::new();
    for name in ["fieldsMap", "objectsOption", "syncQuery", "settings"] {
        ids.extend(new.get(name).unwrap().items().iter().map(|row| row.get("id").unwrap().integer()));
    }
    assert!(ids.len() > 10 && ids.iter().all(|id| *id == Some(0)), "{ids:?}");
    // A row of a job that is there.
    let without = changed(&live.compact(), "\"key\":\"Unheard.Of\"", "\"key\":\"Other\"");
    let more = changed(
        &as_new(&live).compact(),
        "\"objectType\":1,\"id\":0,\"jobId\":0",
        "\"objectType\":4,\"id\":0,\"jobId\":0",
    );
    let row = adopt(&more, &without);
    let option = &row.root().get("jobs").unwrap().items()[0].get("objectsOption").unwrap().items()[0];
    assert_eq!((option.get("id").unwrap().integer(), option.get("jobId").unwrap().integer()), (Some(0), Some(9)));
}
