//! The client with the embedded registry.

mod common;

use common::{Served, avro, record};
use fletch_registry::{
    Client, ClientConfig, NewSchema, Reference, ReferencedSchema, RegistryError, SchemaKind,
};
use serde_json::json;

fn client(served: &Served) -> Client {
    Client::new(ClientConfig::new(&served.url())).unwrap()
}

#[tokio::test]
async fn registers_finds_and_fetches() {
    let served = Served::start().await;
    let client = client(&served);
    let text = record(r#"{"name":"a","type":"int"}"#);
    let schema = NewSchema::avro(text.clone());
    assert_eq!(client.register("a/b-value", &schema).await.unwrap(), 1);
    assert_eq!(client.register("a/b-value", &schema).await.unwrap(), 1);
    assert_eq!(client.subjects().await.unwrap(), ["a/b-value"]);

    let fetched = client.schema(1).await.unwrap();
    assert_eq!(
        (fetched.id, fetched.kind, &fetched.text),
        (1, SchemaKind::Avro, &text)
    );
    assert!(fetched.references.is_empty());
    let found = client.look_up("a/b-value", &schema).await.unwrap();
    assert_eq!((found.subject.as_str(), found.version), ("a/b-value", 1));
    assert_eq!(found.schema, *fetched);
    assert_eq!(client.version("a/b-value", None).await.unwrap(), found);
    assert_eq!(client.version("a/b-value", Some(1)).await.unwrap(), found);

    let missing = client.schema(9).await.unwrap_err();
    let RegistryError::NotFound { what, answer, .. } = &missing else {
        panic!("{missing}")
    };
    assert_eq!(
        (what.as_str(), answer.status, answer.code),
        ("schema 9", 404, Some(40403))
    );
    let missing = client.version("nope", None).await.unwrap_err();
    assert!(
        matches!(missing, RegistryError::NotFound { .. }),
        "{missing}"
    );

    let other = NewSchema::avro(record(r#"{"name":"a","type":"string"}"#));
    let refused = client.register("a/b-value", &other).await.unwrap_err();
    let RegistryError::Refused { answer, .. } = &refused else {
        panic!("{refused}")
    };
    assert_eq!((answer.status, answer.code), (409, Some(409)));
    assert!(answer.message.contains("TYPE_MISMATCH"), "{refused}");
    let refused = client
        .register("t", &NewSchema::avro("{"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("code 42201"), "{refused}");
}

#[tokio::test]
async fn follows_references_dependencies_first() {
    let served = Served::start().await;
    let fixed = |name: &str| format!(r#"{{"type":"fixed","name":"{name}","size":4}}"#);
    served.register("a", &fixed("A")).await;
    served.register("z", &fixed("Z")).await;
    let field = |name: &str, of: &str| format!(r#"{{"name":"{name}","type":"{of}"}}"#);
    let of = |name: &str, fields: String| {
        format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#)
    };
    let reference =
        |name: &str, subject: &str| json!({"name": name, "subject": subject, "version": 1});
    let b = of("B", field("x", "A"));
    let body = json!({"schema": b, "references": [reference("A", "a")]});
    served.post("/subjects/b/versions", &body).await.ok();
    // A diamond: C needs B and A, and B needs A.
    let c = of(
        "C",
        [field("x", "Z"), field("y", "B"), field("z", "A")].join(","),
    );
    let references = [
        reference("Z", "z"),
        reference("B", "b"),
        reference("A", "a"),
    ];
    let body = json!({"schema": c, "references": references});
    let id = served.post("/subjects/c/versions", &body).await.ok()["id"]
        .as_u64()
        .unwrap() as u32;

    let schema = client(&served).schema(id).await.unwrap();
    let named = |name: &str, text: &str| ReferencedSchema {
        name: name.into(),
        text: text.into(),
    };
    let expected = [
        named("Z", &fixed("Z")),
        named("A", &fixed("A")),
        named("B", &b),
    ];
    assert_eq!(schema.references, expected);
    // Both sides of the crate see the same.
    assert_eq!(*served.registry.schema(id).unwrap(), *schema);

    let again = NewSchema {
        kind: SchemaKind::Avro,
        text: c,
        references: ["Z", "B", "A"]
            .map(|name| Reference {
                name: name.into(),
                subject: name.to_lowercase(),
                version: 1,
            })
            .into(),
    };
    assert_eq!(client(&served).register("c", &again).await.unwrap(), id);
}

#[tokio::test]
async fn a_schema_registered_after_it_was_missed_is_found() {
    let served = Served::start().await;
    let mut config = ClientConfig::new(&served.url());
    config.cache.missing_ttl = std::time::Duration::from_millis(50);
    let client = Client::new(config).unwrap();
    assert!(client.schema(1).await.is_err());
    served
        .post("/subjects/t/versions", &avro("\"int\""))
        .await
        .ok();
    assert!(
        client.schema(1).await.is_err(),
        "what is missing is held for a while"
    );
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(client.schema(1).await.unwrap().text, "\"int\"");
}

#[tokio::test]
async fn other_kinds_come_as_what_they_are() {
    let served = Served::start().await;
    let client = client(&served);
    for (kind, text) in [
        (SchemaKind::Json, r#"{"type":"object"}"#),
        (SchemaKind::Protobuf, "syntax = \"proto3\";\nmessage M {}\n"),
    ] {
        let schema = NewSchema {
            kind,
            text: text.into(),
            references: vec![],
        };
        let id = client.register(kind.as_str(), &schema).await.unwrap();
        let fetched = client.schema(id).await.unwrap();
        assert_eq!((fetched.kind, fetched.text.as_str()), (kind, text));
    }
}
