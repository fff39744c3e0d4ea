//! Copying one registry into another.

mod common;

use std::sync::Arc;

use common::{Served, record};
use fletch_registry::{
    Auth, Client, ClientConfig, EmbeddedConfig, MemoryJournal, RegistryError, User, import,
};
use serde_json::{Value, json};

fn client(served: &Served) -> Client {
    Client::new(ClientConfig::new(&served.url())).unwrap()
}

/// Everything that a registry shows of itself.
async fn shown(served: &Served) -> Value {
    let all = served.get_extended("/schemas?deleted=true").await.ok();
    let all: Vec<Value> = all
        .as_array()
        .unwrap()
        .iter()
        .cloned()
        .map(|mut version| {
            version.as_object_mut().unwrap().remove("ts");
            version
        })
        .collect();
    let mut settings = vec![
        served.get("/config").await.json(),
        served.get("/mode").await.json(),
    ];
    for subject in served
        .get("/subjects?deleted=true")
        .await
        .ok()
        .as_array()
        .unwrap()
    {
        let subject = subject.as_str().unwrap();
        settings.push(served.get(&format!("/config/{subject}")).await.json());
        settings.push(served.get(&format!("/mode/{subject}")).await.json());
    }
    settings.push(served.get("/config/:.eu:").await.json());
    json!([all, settings])
}

/// A registry with some of everything, and ids with gaps.
async fn lived_in() -> Served {
    let served = Served::start().await;
    let register = async |subject: &str, body: Value| {
        let answer = served
            .post_extended(&format!("/subjects/{subject}/versions"), &body)
            .await;
        answer.ok()["id"].as_u64().unwrap()
    };
    served.register("gone-value", r#""string""#).await;
    served
        .register("leaf-value", r#"{"type":"fixed","name":"Leaf","size":2}"#)
        .await;
    for fields in ["", r#"{"name":"a","type":"int","default":1}"#] {
        let fields = if fields.is_empty() {
            r#"{"name":"l","type":"Leaf"}"#.to_owned()
        } else {
            format!(r#"{{"name":"l","type":"Leaf"}},{fields}"#)
        };
        register(
            "tree-value",
            json!({"schema": record(&fields), "references": [
            {"name": "Leaf", "subject": "leaf-value", "version": 1}]}),
        )
        .await;
    }
    register(
        "proto-value",
        json!({"schemaType": "PROTOBUF", "schema":
        "syntax = \"proto3\"; // with a comment\nmessage M { string a = 1; }"}),
    )
    .await;
    register(
        "json-value",
        json!({"schemaType": "JSON", "schema": r#"{"type":"object"}"#,
        "metadata": {"properties": {"owner": "me"}}, "ruleSet": {"domainRules": []}}),
    )
    .await;
    served.register(":.eu:other-value", r#""int""#).await;
    served.register("twice-value", r#""string""#).await;
    for path in [
        "gone-value",
        "gone-value?permanent=true",
        "tree-value/versions/1",
        "twice-value",
    ] {
        served.delete(&format!("/subjects/{path}")).await.ok();
    }
    // What is referred to by what is deleted may be deleted.
    register(
        "top-value",
        json!({"schema": record(r#"{"name":"l","type":"Leaf"}"#), "references": [
        {"name": "Leaf", "subject": "leaf-value", "version": 1}]}),
    )
    .await;
    for subject in ["top-value", "tree-value"] {
        served.delete(&format!("/subjects/{subject}")).await.ok();
    }
    served.delete("/subjects/leaf-value").await.ok();
    served
        .put("/config", &json!({"compatibility": "FULL"}))
        .await
        .ok();
    served
        .put(
            "/config/proto-value",
            &json!({"compatibility": "NONE", "normalize": true}),
        )
        .await
        .ok();
    served
        .put("/config/:.eu:", &json!({"compatibility": "FORWARD"}))
        .await
        .ok();
    served
        .put("/mode/json-value", &json!({"mode": "READONLY"}))
        .await
        .ok();
    served
}

#[tokio::test]
async fn a_copy_is_the_same() {
    let source = lived_in().await;
    let target = Served::start().await;
    let report = import(&client(&source), &client(&target)).await.unwrap();
    assert_eq!(report.failures, [], "{report}");
    assert_eq!(
        (
            report.subjects,
            report.copied,
            report.present,
            report.deleted
        ),
        (7, 8, 0, 5),
        "{report}"
    );
    assert_eq!(shown(&target).await, shown(&source).await);

    // Once more: nothing to do, and nothing done.
    let again = import(&client(&source), &client(&target)).await.unwrap();
    assert_eq!(
        (again.copied, again.present, again.deleted),
        (0, 8, 0),
        "{again}"
    );
    assert_eq!(
        (again.settings.len(), again.failures.len()),
        (0, 0),
        "{again}"
    );
    assert_eq!(shown(&target).await, shown(&source).await);

    // The target goes on with ids of its own.
    let id = target.register("new-value", r#""bytes""#).await;
    assert!(id > 7, "{id}");
    // What was added since is added.
    source.register("late-value", r#""double""#).await;
    let late = import(&client(&source), &client(&target)).await.unwrap();
    assert_eq!((late.copied, late.present), (0, 8), "{late}");
    assert!(
        late.to_string()
            .contains("NOT copied: version 1 of subject late-value"),
        "{late}"
    );
}

#[tokio::test]
async fn what_is_there_stays() {
    let (source, target) = (Served::start().await, Served::start().await);
    source.register("a-value", r#""string""#).await;
    source.register("b-value", r#""bytes""#).await;
    target.register("a-value", r#""int""#).await;
    let report = import(&client(&source), &client(&target)).await.unwrap();
    assert_eq!((report.copied, report.failures.len()), (1, 1), "{report}");
    assert!(report.failures[0].1.contains("another schema"), "{report}");
    assert_eq!(
        target.get("/schemas/ids/1").await.ok()["schema"],
        r#""int""#
    );
    assert_eq!(
        target.get("/schemas/ids/2").await.ok()["schema"],
        r#""bytes""#
    );
    assert_eq!(target.get("/mode/b-value").await.error(), (404, 40409));
}

#[tokio::test]
async fn with_credentials() {
    let user = |name: &str| User {
        name: name.into(),
        password: format!("{name}'s secret").into(),
    };
    let guarded = async |name: &str| {
        let config = EmbeddedConfig {
            users: vec![user(name)],
            ..EmbeddedConfig::default()
        };
        Served::with(Arc::new(MemoryJournal::new()), config).await
    };
    let (source, target) = (guarded("reader").await, guarded("writer").await);
    let as_user = |served: &Served, name: &str| {
        let mut config = ClientConfig::new(&served.url());
        let User {
            name: user,
            password,
        } = user(name);
        config.auth = Auth::Basic { user, password };
        Client::new(config).unwrap()
    };
    let (from, to) = (as_user(&source, "reader"), as_user(&target, "writer"));
    let schema = fletch_registry::NewSchema::avro(r#""string""#);
    from.register("a-value", &schema).await.unwrap();
    let refused = import(&from, &as_user(&target, "reader")).await;
    assert!(
        matches!(refused, Err(RegistryError::Unauthorized { .. })),
        "{refused:?}"
    );
    let refused = import(&as_user(&source, "nobody"), &to).await;
    assert!(
        matches!(refused, Err(RegistryError::Unauthorized { .. })),
        "{refused:?}"
    );
    assert_eq!(import(&from, &to).await.unwrap().copied, 1);
    assert_eq!(to.schema(1).await.unwrap().text, r#""string""#);
}
