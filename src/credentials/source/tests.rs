#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::super::remembered::Connection;
use super::*;
use secrecy::ExposeSecret;
use serde_json::json;

fn environment(value: serde_json::Value) -> Environment {
    Environment::from_map(value.as_object().unwrap())
}

fn url() -> Url {
    Url::parse("https://jim.invalid/").unwrap()
}

fn remembered(path: Option<&Path>) -> Remembered {
    let mut list = Remembered::default();
    list.remember(Connection {
        url: url(),
        product: "jim".to_owned(),
        source: KeptIn::File,
        key_file: path.map(ToOwned::to_owned),
        account: "svc".to_owned(),
        last_used: 0,
    });
    list
}

struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    fn key(&self, key: &str) -> PathBuf {
        let path = self.directory.path().join(key);
        key_file::write(&path, &SecretString::from(key)).unwrap();
        path
    }
}

async fn find(remembered: &Remembered, environment: &Environment, key_file: Option<&Path>) -> Result<Found, NotFound> {
    // Whether this machine has a keyring must not matter: it holds nothing for this server.
    let store = Store::with_limit(std::time::Duration::from_secs(5));
    find_key(&store, remembered, environment, &url(), key_file).await
}

#[tokio::test]
async fn the_order_is_parameter_variable_file_remembered() {
    let files = Files::new();
    let (parameter, named, kept) = (files.key("parameter"), files.key("named"), files.key("kept"));
    let list = remembered(Some(&kept));
    let both = environment(json!({"JIM_API_KEY": "variable\n", "JIM_API_KEY_FILE": named}));
    let file = environment(json!({"JIM_API_KEY": " ", "JIM_API_KEY_FILE": named}));
    let none = Environment::default();
    for (environment, key_file, source, key) in [
        (&both, Some(&parameter), Source::KeyFile(parameter.clone()), "parameter"),
        (&both, None, Source::EnvironmentVariable, "variable"),
        (&file, None, Source::EnvironmentFile(named.clone()), "named"),
        (&none, None, Source::KeyFile(kept.clone()), "kept"),
    ] {
        let found = find(&list, environment, key_file.map(PathBuf::as_path)).await;
        let found = found.unwrap();
        assert_eq!(found.source, source);
        assert_eq!(found.key.expose_secret(), key);
    }
}

#[tokio::test]
async fn a_key_for_one_server_is_not_sent_to_another() {
    let files = Files::new();
    for (named, used) in [
        ("https://JIM.invalid:443/some/path", true),
        ("https://other.invalid", false),
        ("http://jim.invalid", false),
        ("https://jim.invalid:8443", false),
        ("jim.invalid", false),
    ] {
        for key in [
            json!({"JIM_URL": named, "JIM_API_KEY": "k"}),
            json!({"JIM_URL": named, "JIM_API_KEY_FILE": files.key("k")}),
        ] {
            let found = find(&Remembered::default(), &environment(key), None).await;
            assert_eq!(found.is_ok(), used, "{named}");
            if let Err(error) = found {
                assert!(error.to_string().contains("JIM_URL"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_file_that_was_named_and_fails_is_not_passed_over() {
    let files = Files::new();
    let missing = files.directory.path().join("missing");
    let list = remembered(Some(&files.key("kept")));
    let variable = environment(json!({"JIM_API_KEY": "hunter2"}));
    let error = find(&list, &variable, Some(&missing)).await.unwrap_err();
    assert_eq!(error.tried.len(), 1);
    assert!(error.tried[0].source.contains("missing"));
    assert!(!format!("{error} {error:?}").contains("hunter2"));

    let file = environment(json!({"JIM_API_KEY_FILE": missing}));
    let error = find(&list, &file, None).await.unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn not_found_says_where_it_looked_and_what_to_do() {
    let error = find(&remembered(None), &Environment::default(), None).await;
    let error = error.unwrap_err();
    let text = error.to_string();
    for word in [
        "https://jim.invalid/",
        error.account.as_str(),
        "JIM_API_KEY:",
        "JIM_API_KEY_FILE:",
        KEYRING,
        "remembered key file",
        "-KeyFile PATH",
    ] {
        assert!(text.contains(word), "{word} is missing in: {text}");
    }
    assert_eq!(error.tried.len(), 4);
}

#[test]
fn names_of_variables_and_no_values() {
    let set = environment(json!({"JIM_API_KEY": "hunter2", "JIM_URL": "https://a", "X": 1}));
    assert_eq!(set.names_set(), ["JIM_URL", "JIM_API_KEY"]);
    assert!(!format!("{set:?}").contains("hunter2"));
}
