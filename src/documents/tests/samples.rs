//! The documented create and update requests, in the folder the environment variable `JIMHOST_SAMPLES`
//! names; without it there is nothing to compare with.

use super::*;
use std::collections::HashMap;
use std::path::PathBuf;

fn sample(name: &str) -> Option<String> {
    let Some(folder) = std::env::var_os("JIMHOST_SAMPLES") else {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "JIMHOST_SAMPLES is not set: no documented sample to compare with");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    Some(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

#[test]
fn documented_requests_come_through_unchanged() {
    for name in ["create-job-collection.request.json", "update-job-collection.request.json"] {
        let Some(text) = sample(name) else { return };
        let live = document(&text);
        assert_eq!(document(&live.pretty()).compact(), live.compact());
        let kept: String = live.pretty().split_whitespace().collect();
        assert_eq!(kept, text.split_whitespace().collect::<String>());
        assert_eq!(secret_paths(&live), ["jobs[0].fieldsMap[4].transform"]);
        let sent = surface(&live, true);
        let filled = fill(&merge(&live, &sent).unwrap(), Some(&live), &HashMap::new()).unwrap();
        assert_eq!(filled.compact(), live.compact());
        let purpose = if name.starts_with("create") { Purpose::Create } else { Purpose::Update };
        assert!(lint(&text, purpose).iter().all(|finding| finding.code == "Script"), "{:?}", lint(&text, purpose));
    }
}

#[test]
fn the_documented_update_made_new_is_the_documented_create() {
    let (Some(create), Some(update)) =
        (sample("create-job-collection.request.json"), sample("update-job-collection.request.json"))
    else {
        return;
    };
    let (create, update) = (document(&create), document(&update));
    let new = as_new(&update);
    assert_eq!(surface(&new, true).compact(), surface(&create, true).compact());
    let found = compare(&create, &update, CompareOptions::default());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].item, "User: password");
}

#[test]
fn documented_requests_as_copied_are_reported() {
    let Some(text) = sample("update-job-collection.request.nbsp-in-strings.json") else { return };
    let repaired = repair(&text);
    assert_eq!(repaired.outside, 0);
    assert_eq!(repaired.inside.iter().map(|(_, count)| count).sum::<usize>(), 360);
    let found = lint(&text, Purpose::Update);
    assert!(found.iter().any(|finding| finding.code == "NestedJson"), "{found:?}");
    let all = repair(&text.replace(' ', "\u{a0}"));
    assert!(all.outside > 7000);
    Document::parse(&all.text).unwrap();
}
