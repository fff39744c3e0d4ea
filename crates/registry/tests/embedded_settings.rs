//! Compatibility levels and modes of the embedded registry.

mod common;

use common::{Served, avro, record};
use serde_json::json;

const A: &str = r#"{"name":"a","type":"int"}"#;
const A_LONG: &str = r#"{"name":"a","type":"long"}"#;
const B: &str = r#"{"name":"b","type":"int"}"#;
const B_OPTIONAL: &str = r#"{"name":"b","type":"int","default":0}"#;

#[tokio::test]
async fn levels_are_set_shown_inherited_and_removed() {
    let served = Served::start().await;
    assert_eq!(
        served.get("/config").await.ok(),
        json!({"compatibilityLevel": "BACKWARD"})
    );
    assert_eq!(served.get("/config/t").await.error(), (404, 40408));
    let inherited = served.get("/config/t?defaultToGlobal=true").await.ok();
    assert_eq!(inherited, json!({"compatibilityLevel": "BACKWARD"}));

    let full = json!({"compatibility": "FULL"});
    assert_eq!(served.put("/config/t", &full).await.ok(), full);
    assert_eq!(
        served.get("/config/t").await.ok(),
        json!({"compatibilityLevel": "FULL"})
    );
    assert_eq!(served.get("/subjects").await.ok(), json!([]));
    assert_eq!(
        served
            .put("/config", &json!({"compatibility": "none"}))
            .await
            .ok(),
        json!({"compatibility": "NONE"})
    );
    assert_eq!(
        served.get("/config").await.ok(),
        json!({"compatibilityLevel": "NONE"})
    );
    served
        .put("/config/t", &json!({"normalize": true}))
        .await
        .ok();
    let both = json!({"compatibilityLevel": "FULL", "normalize": true});
    assert_eq!(served.get("/config/t").await.ok(), both);
    assert_eq!(served.delete("/config/t").await.ok(), both);
    assert_eq!(served.delete("/config/t").await.error(), (404, 40408));
    served.delete("/config").await.ok();
    assert_eq!(
        served.get("/config").await.ok(),
        json!({"compatibilityLevel": "BACKWARD"})
    );

    for wrong in [
        json!({"compatibility": "SIDEWARD"}),
        json!({"compatibility": 7}),
    ] {
        assert_eq!(
            served.put("/config", &wrong).await.error(),
            (422, 42203),
            "{wrong}"
        );
    }
    // What would not be acted upon is not taken.
    assert_eq!(
        served.put("/config", &json!({"alias": "x"})).await.error(),
        (422, 422)
    );
    assert_eq!(served.put("/config", &json!([])).await.error(), (422, 422));
}

/// Registers the first schema, and tells which of the others may follow it under each level.
async fn follow(level: &str, schemas: &[String]) -> Vec<bool> {
    let served = Served::start().await;
    served
        .put("/config", &json!({"compatibility": level}))
        .await
        .ok();
    let mut taken = Vec::new();
    for schema in schemas {
        let check = "/compatibility/subjects/t/versions";
        let said = served.post(check, &avro(schema)).await.ok()["is_compatible"] == true;
        let status = served
            .post("/subjects/t/versions", &avro(schema))
            .await
            .status;
        assert!(status == 200 || status == 409);
        assert_eq!(said, status == 200, "{level}: {schema}");
        taken.push(status == 200);
    }
    taken
}

#[tokio::test]
async fn each_level_takes_what_it_should() {
    let (with, without) = (record(&format!("{A},{B}")), record(A));
    let optional = record(&format!("{A},{B_OPTIONAL}"));
    // Adding a field without a default: old readers don't mind, new readers do.
    for (level, taken) in [
        ("NONE", true),
        ("BACKWARD", false),
        ("BACKWARD_TRANSITIVE", false),
        ("FORWARD", true),
        ("FORWARD_TRANSITIVE", true),
        ("FULL", false),
        ("FULL_TRANSITIVE", false),
    ] {
        assert_eq!(
            follow(level, &[without.clone(), with.clone()]).await,
            [true, taken],
            "{level}"
        );
    }
    // Removing it: the other way round.
    for (level, taken) in [
        ("NONE", true),
        ("BACKWARD", true),
        ("BACKWARD_TRANSITIVE", true),
        ("FORWARD", false),
        ("FORWARD_TRANSITIVE", false),
        ("FULL", false),
        ("FULL_TRANSITIVE", false),
    ] {
        assert_eq!(
            follow(level, &[with.clone(), without.clone()]).await,
            [true, taken],
            "{level}"
        );
    }
    // Adding it with a default, then dropping the default: only the transitive levels remember the
    // first version.
    let steps = [without, optional, with];
    for (level, taken) in [
        ("BACKWARD", [true, true, true]),
        ("BACKWARD_TRANSITIVE", [true, true, false]),
        ("FULL", [true, true, true]),
        ("FULL_TRANSITIVE", [true, true, false]),
    ] {
        assert_eq!(follow(level, &steps).await, taken, "{level}");
    }
    // A promotion goes one way.
    let (int, long) = (record(A), record(A_LONG));
    for (level, taken) in [("BACKWARD", true), ("FORWARD", false), ("FULL", false)] {
        assert_eq!(
            follow(level, &[int.clone(), long.clone()]).await,
            [true, taken],
            "{level}"
        );
    }
    for (level, taken) in [("BACKWARD", false), ("FORWARD", true), ("FULL", false)] {
        assert_eq!(
            follow(level, &[long.clone(), int.clone()]).await,
            [true, taken],
            "{level}"
        );
    }
}

#[tokio::test]
async fn compatibility_is_explained_when_asked() {
    let served = Served::start().await;
    let (one, two) = (record(A), record(&format!("{A},{B}")));
    served.register("t", &one).await;
    let path = "/compatibility/subjects/t/versions/latest";
    let answer = served.post(path, &avro(&two)).await.ok();
    assert_eq!(answer, json!({"is_compatible": false}));
    let answer = served
        .post(&format!("{path}?verbose=True"), &avro(&two))
        .await
        .ok();
    let messages = answer["messages"].as_array().unwrap();
    let text = |at: usize| messages[at].as_str().unwrap();
    assert!(text(0).starts_with("{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'"));
    assert!(text(0).ends_with("additionalInfo:'b'}"));
    assert_eq!(text(1), "{oldSchemaVersion: 1}");
    assert_eq!(text(2), format!("{{oldSchema: '{one}'}}"));
    assert_eq!(text(3), "{compatibility: 'BACKWARD'}");
    let answer = served
        .post(&format!("{path}?verbose=true"), &avro(&one))
        .await
        .ok();
    assert_eq!(answer, json!({"is_compatible": true, "messages": []}));

    let refused = served.post("/subjects/t/versions", &avro(&two)).await;
    assert_eq!(refused.error(), (409, 409));
    assert!(
        refused
            .body
            .contains("incompatible with an earlier schema for subject")
    );
    assert!(refused.body.contains("READER_FIELD_MISSING_DEFAULT_VALUE"));

    let other = "/compatibility/subjects/nope/versions/latest";
    assert_eq!(served.post(other, &avro(&one)).await.error(), (404, 40401));
    let other = "/compatibility/subjects/t/versions/7";
    assert_eq!(served.post(other, &avro(&one)).await.error(), (404, 40402));
    let all = "/compatibility/subjects/nope/versions";
    assert_eq!(
        served.post(all, &avro(&one)).await.ok(),
        json!({"is_compatible": true})
    );
    assert_eq!(served.post(path, &avro("{")).await.error(), (422, 42201));
    assert_eq!(
        served
            .post("/compatibility/subjects/t/versions/x", &avro(&one))
            .await
            .error(),
        (422, 42202)
    );
}

#[tokio::test]
async fn modes_forbid_and_allow() {
    let served = Served::start().await;
    assert_eq!(served.get("/mode").await.ok(), json!({"mode": "READWRITE"}));
    assert_eq!(served.get("/mode/t").await.error(), (404, 40409));
    assert_eq!(
        served.get("/mode/t?defaultToGlobal=true").await.ok(),
        json!({"mode": "READWRITE"})
    );
    served.register("t", "\"int\"").await;

    let readonly = json!({"mode": "READONLY"});
    assert_eq!(
        served.put("/mode/t?force=False", &readonly).await.ok(),
        readonly
    );
    assert_eq!(served.get("/mode/t").await.ok(), readonly);
    assert_eq!(
        served
            .post("/subjects/t/versions", &avro("\"long\""))
            .await
            .error(),
        (422, 42205)
    );
    // A serializer that registers what is there already is not stopped.
    assert_eq!(served.register("t", "\"int\"").await, 1);
    assert_eq!(served.delete("/subjects/t").await.error(), (422, 42205));
    assert_eq!(
        served.delete("/subjects/t/versions/1").await.error(),
        (422, 42205)
    );
    assert_eq!(served.delete("/mode/t").await.ok(), readonly);
    assert_eq!(served.register("t", "\"long\"").await, 2);

    served
        .put("/mode", &json!({"mode": "READONLY_OVERRIDE"}))
        .await
        .ok();
    served
        .put("/mode/t", &json!({"mode": "READWRITE"}))
        .await
        .ok();
    assert_eq!(
        served
            .post("/subjects/t/versions", &avro("\"double\""))
            .await
            .error(),
        (422, 42205)
    );
    served.delete("/mode").await.ok();
    assert_eq!(
        served.delete("/mode").await.ok(),
        json!({"mode": "READWRITE"})
    );
    for wrong in [json!({"mode": "SOMETIMES"}), json!({}), json!({"mode": 7})] {
        assert_eq!(
            served.put("/mode", &wrong).await.error(),
            (422, 42204),
            "{wrong}"
        );
    }
    assert_eq!(
        served
            .put("/mode/t", &json!({"mode": "READONLY_OVERRIDE"}))
            .await
            .error(),
        (422, 42204)
    );
}

#[tokio::test]
async fn import_keeps_ids_and_versions() {
    let served = Served::start().await;
    let with_id = json!({"schema": record(B), "id": 40, "version": 3});
    assert_eq!(
        served.post("/subjects/t/versions", &with_id).await.error(),
        (422, 42205)
    );
    served.register("here", "\"int\"").await;
    let import = json!({"mode": "IMPORT"});
    assert_eq!(served.put("/mode", &import).await.error(), (422, 42205));
    served.put("/mode/t", &import).await.ok();

    assert_eq!(
        served.post("/subjects/t/versions", &with_id).await.ok(),
        json!({"id": 40})
    );
    // In any order, unchecked, and twice.
    let first = json!({"schema": record(A), "id": 39, "version": 1});
    assert_eq!(
        served.post("/subjects/t/versions", &first).await.ok(),
        json!({"id": 39})
    );
    assert_eq!(
        served.post("/subjects/t/versions", &first).await.ok(),
        json!({"id": 39})
    );
    assert_eq!(served.get("/subjects/t/versions").await.ok(), json!([1, 3]));
    // One schema may have had several ids elsewhere; one id can't have several schemas.
    let twice = json!({"schema": "\"int\"", "id": 41, "version": 4});
    assert_eq!(
        served.post("/subjects/t/versions", &twice).await.ok(),
        json!({"id": 41})
    );
    let taken = json!({"schema": "\"string\"", "id": 40, "version": 5});
    assert_eq!(
        served.post("/subjects/t/versions", &taken).await.error(),
        (422, 42205)
    );
    let beyond = json!({"schema": "\"string\"", "id": 4_000_000_000u32, "version": 5});
    assert_eq!(
        served.post("/subjects/t/versions", &beyond).await.error(),
        (422, 422)
    );

    served.delete("/mode/t").await.ok();
    assert_eq!(served.register("u", "\"bytes\"").await, 42);
    assert_eq!(served.register("v", "\"int\"").await, 1);
}
