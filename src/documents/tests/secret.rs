//! Secrets: found wherever they were planted, put back where they belong.

use super::*;
use secrecy::SecretString;
use std::collections::HashMap;

#[test]
fn every_planted_secret_is_found_and_nothing_is_shown() {
    assert!(secrets::patterns_compile());
    let shown = surface(&document(&collection()), true);
    for text in [shown.compact(), shown.pretty(), format!("{shown:?}")] {
        for secret in PLANTED {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    let paths = secret_paths(&document(&collection()));
    assert_eq!(paths.len(), 2 * PLANTED.len(), "{paths:?}");
    for path in [
        "jobs[0].fieldsMap[1].transform",
        "jobs[0].settings[3].value!clientSecret",
        "jobs[0].settings[4].value!pwd",
        "jobs[1].settings[5].value",
        "jobs[1].settings[8].value!password",
    ] {
        assert!(paths.iter().any(|known| known == path), "{path} is not in {paths:?}");
    }
    assert!(shown.compact().contains("Static:value={{secret:jobs[0].fieldsMap[1].transform}}"));
    assert_eq!(placeholders(&shown).len(), paths.len());
    // What stands for a secret is none.
    assert!(secret_paths(&shown).is_empty());
    assert_eq!(surface(&shown, true), shown);
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    for (key, value) in [("Destination.ChangePassword", "True"), ("Destination.ConfiguredMessagingProvider", "x")] {
        let text = format!(r#"{{"settings":[{{"key":"{key}","value":"{value}","dataType":"System.String"}}]}}"#);
        assert!(secret_paths(&document(&text)).is_empty(), "{text}");
    }
    let typed = r#"{"settings":[{"key":"PasswordLength","value":"8","dataType":"System.Int32"}]}"#;
    assert!(secret_paths(&document(typed)).is_empty());
    let last_set = r#"{"fieldsMap":[{"destinationField":"pwdLastSet","transform":"Static:value=0"}]}"#;
    assert!(secret_paths(&document(last_set)).is_empty());
    assert!(has_password_mapping(&document(last_set)));
    assert!(!has_password_mapping(&document(r#"{"fieldsMap":[{"destinationField":"cn"}]}"#)));
}

#[test]
fn kept_secrets_come_back_byte_for_byte_although_jobs_moved() {
    let live = document(&collection());
    let mut sent = surface(&live, true);
    let mut expected = live.clone();
    for document in [&mut sent, &mut expected] {
        move_job(document, &JobKey::Id(10), &Place::Position(1)).unwrap();
        rename_job(document, &JobKey::Id(10), "Teams").unwrap();
    }
    let merged = merge(&live, &sent).unwrap();
    let filled = fill(&merged, Some(&live), &HashMap::new()).unwrap();
    assert_eq!(filled.compact(), expected.compact());
}

#[test]
fn secrets_are_not_taken_from_a_row_of_another_meaning() {
    let live = changed(&collection(), "Destination.MessagingProviderPassword", "Destination.OtherPassword");
    let sent = surface(&document(&collection()), true);
    let error = fill(&sent, Some(&live), &HashMap::new()).unwrap_err();
    assert_eq!(error, DocumentError::Unfilled { paths: vec!["jobs[0].settings[5].value".to_owned()] });
    assert!(error.to_string().contains("jobs[0].settings[5].value"), "{error}");
}

#[test]
fn given_secrets_are_put_in_and_the_missing_named() {
    let sent = surface(&document(&collection()), true);
    let mut given: HashMap<String, SecretString> =
        secret_paths(&document(&collection())).into_iter().map(|path| (path, SecretString::from("a\"b\\"))).collect();
    let filled = fill(&sent, None, &given).unwrap();
    assert!(placeholders(&filled).is_empty());
    let details =
        filled.root().get("jobs").unwrap().items()[0].get("settings").unwrap().items()[3].get("value").unwrap();
    let inner = Node::parse(&details.text().unwrap()).unwrap();
    assert_eq!(inner.get("clientSecret").unwrap().text().unwrap(), "a\"b\\");
    given.remove("jobs[1].settings[5].value");
    let error = fill(&sent, None, &given).unwrap_err();
    assert_eq!(error, DocumentError::Unfilled { paths: vec!["jobs[1].settings[5].value".to_owned()] });
}

#[test]
fn members_with_odd_names_keep_their_secrets() {
    let live = document(r#"{"my!{pwd}.x":"hidden","inner":"{\"a!b.secret\":\"hidden\"}"}"#);
    let shown = surface(&live, true);
    assert!(!shown.compact().contains("hidden"));
    assert_eq!(fill(&shown, Some(&live), &HashMap::new()).unwrap(), live);
    let given = secret_paths(&live).into_iter().map(|path| (path, SecretString::from("hidden"))).collect();
    assert_eq!(fill(&shown, None, &given).unwrap(), live);
}
