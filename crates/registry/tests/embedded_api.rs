//! The REST API of the embedded registry, as it is on the wire.

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{Served, V1, avro, raw, record};
use prost::Message as _;
use prost_types::uninterpreted_option::NamePart;
use prost_types::{FileDescriptorProto, FileOptions, UninterpretedOption};
use serde_json::{Value, json};

const A: &str = r#"{"name":"a","type":"int"}"#;
const A_TEXT: &str = r#"{"name":"a","type":"string"}"#;
const B_OPTIONAL: &str = r#"{"name":"b","type":["null","int"],"default":null}"#;

#[tokio::test]
async fn registers_once_and_gives_the_same_id_for_the_same_schema() {
    let served = Served::start().await;
    let one = record(A);
    let answer = served
        .post("/subjects/t-value/versions?normalize=False", &avro(&one))
        .await;
    assert_eq!(answer.ok(), json!({"id": 1}));
    assert_eq!(answer.headers["content-type"], V1);

    // Again, spelled otherwise, and under another subject.
    let spelled =
        r#"{ "fields": [ {"type": {"type":"int"}, "name":"a"} ], "name":"R", "type":"record" }"#;
    assert_eq!(served.register("t-value", spelled).await, 1);
    assert_eq!(served.register("other-value", &one).await, 1);
    assert_eq!(
        served.get("/subjects/t-value/versions").await.ok(),
        json!([1])
    );
    assert_eq!(
        served.get("/subjects").await.ok(),
        json!(["other-value", "t-value"])
    );

    let two = record(&format!("{A},{B_OPTIONAL}"));
    assert_eq!(served.register("t-value", &two).await, 2);
    assert_eq!(
        served.get("/subjects/t-value/versions").await.ok(),
        json!([1, 2])
    );
    assert_eq!(
        served.get("/schemas/ids/1").await.ok(),
        json!({"schema": one})
    );
    assert_eq!(
        served.get("/schemas/ids/2").await.ok(),
        json!({"schema": two})
    );

    // A new client is told more.
    let answer = served
        .post_extended("/subjects/t-value/versions", &avro(&two))
        .await
        .ok();
    let guid = answer["guid"].as_str().unwrap().to_owned();
    assert_eq!(
        answer,
        json!({"id": 2, "version": 2, "guid": guid, "schemaType": "AVRO"})
    );
    let answer = served.get_extended("/schemas/ids/2").await.ok();
    assert_eq!(answer["subject"], "t-value");
    assert_eq!(answer["version"], 2);
    assert_eq!(answer["guid"], guid.as_str());
    assert_eq!(answer["deleted"], false);
    assert!(answer["ts"].as_i64().unwrap() > 1_600_000_000_000);
    let by_guid = served.get(&format!("/schemas/guids/{guid}")).await.ok();
    assert_eq!(by_guid, json!({"schema": two}));
    let ids = served.get(&format!("/schemas/guids/{guid}/ids")).await.ok();
    assert_eq!(ids, json!([{"context": ".", "id": 2}]));
    assert_eq!(
        served.get("/schemas/guids/nonsense").await.error(),
        (404, 40403)
    );
}

#[tokio::test]
async fn looks_up_and_reads_versions() {
    let served = Served::start().await;
    let (one, two) = (record(A), record(&format!("{A},{B_OPTIONAL}")));
    served.register("t-value", &one).await;
    served.register("t-value", &two).await;

    let found = served
        .post("/subjects/t-value?deleted=True", &avro(&one))
        .await
        .ok();
    assert_eq!(
        found,
        json!({"subject": "t-value", "version": 1, "id": 1, "schema": one})
    );
    let unknown = served
        .post("/subjects/t-value", &avro(&record(A_TEXT)))
        .await;
    assert_eq!(unknown.error(), (404, 40403));
    assert_eq!(
        served.post("/subjects/nope", &avro(&one)).await.error(),
        (404, 40401)
    );

    let latest = json!({"subject": "t-value", "version": 2, "id": 2, "schema": two});
    for path in ["/latest", "/-1", "/2"] {
        let path = format!("/subjects/t-value/versions{path}");
        assert_eq!(served.get(&path).await.ok(), latest, "{path}");
    }
    let text = served.get("/subjects/t-value/versions/1/schema").await;
    assert_eq!((text.status, text.body.as_str()), (200, one.as_str()));
    assert_eq!(served.get("/schemas/ids/2/schema").await.body, two);
    assert_eq!(
        served.get("/subjects/t-value/versions/3").await.error(),
        (404, 40402)
    );
    assert_eq!(
        served.get("/subjects/nope/versions/1").await.error(),
        (404, 40401)
    );
    assert_eq!(
        served.get("/subjects/nope/versions/latest").await.error(),
        (404, 40401)
    );
    assert_eq!(
        served.get("/subjects/nope/versions").await.error(),
        (404, 40401)
    );
    for wrong in ["0", "first", "2147483648", "-2", "1.0"] {
        let answer = served
            .get(&format!("/subjects/t-value/versions/{wrong}"))
            .await;
        assert_eq!(answer.error(), (422, 42202), "{wrong}");
    }

    assert_eq!(served.get("/schemas/ids/9").await.error(), (404, 40403));
    assert_eq!(served.get("/schemas/ids/-1").await.error(), (404, 40403));
    assert_eq!(served.get("/schemas/ids/x").await.error(), (400, 400));
    let answer = served
        .get("/schemas/ids/1?fetchMaxId=true&subject=t-value")
        .await
        .ok();
    assert_eq!(answer, json!({"schema": one, "maxId": 2}));
    assert_eq!(
        served.get("/schemas/ids/1/subjects").await.ok(),
        json!(["t-value"])
    );
    let versions = served.get("/schemas/ids/2/versions").await.ok();
    assert_eq!(versions, json!([{"subject": "t-value", "version": 2}]));
    let all = served.get("/schemas?latestOnly=true").await.ok();
    assert_eq!(all, json!([latest]));
    assert_eq!(
        served.get("/schemas?limit=1&offset=1").await.ok(),
        json!([latest])
    );
    assert_eq!(
        served.get("/schemas/types").await.ok(),
        json!(["JSON", "PROTOBUF", "AVRO"])
    );
    assert_eq!(
        served
            .get("/subjects/t-value/versions?offset=1&limit=5")
            .await
            .ok(),
        json!([2])
    );
    assert_eq!(served.get("/subjects?limit=x").await.error(), (400, 400));
    assert_eq!(
        served.get("/subjects?offset=0&limit=-1").await.ok(),
        json!(["t-value"])
    );
}

#[tokio::test]
async fn refuses_what_it_cannot_take() {
    let served = Served::start().await;
    let path = "/subjects/t-value/versions";
    let bad = [
        json!({"schema": r#"{"type":"nope"}"#}),
        json!({"schema": "{"}),
        json!({"schema": ""}),
        json!({}),
        json!({"schema": "\"int\"", "schemaType": "THRIFT"}),
        json!({"schema": "[]", "schemaType": "JSON"}),
        json!({"schema": " ", "schemaType": "PROTOBUF"}),
        json!({"schema": "\"int\"", "references": [{"name": "X", "subject": "x", "version": 1}]}),
    ];
    for body in bad {
        assert_eq!(
            served.post(path, &body).await.error(),
            (422, 42201),
            "{body}"
        );
    }
    let shape = [
        json!({"schema": 7}),
        json!([]),
        json!({"schema": "\"int\"", "surprise": 1}),
        json!({"schema": "\"int\"", "metadata": 7}),
        json!({"schema": "\"int\"", "version": 7}),
    ];
    for body in shape {
        assert_eq!(served.post(path, &body).await.error(), (422, 422), "{body}");
    }
    let text = format!("content-type: {V1}\r\n");
    assert_eq!(
        served
            .send("POST", path, &text, "{\"schema\":")
            .await
            .error(),
        (400, 400)
    );
    assert_eq!(
        served.send("POST", path, &text, "").await.error(),
        (400, 400)
    );
    // Those who say that they send more than is known are taken at their word.
    let known = json!({"schema": "\"int\"", "surprise": 1});
    assert_eq!(served.post_extended(path, &known).await.status, 200);

    // A web page may send such a body without asking.
    let plain = served
        .send("POST", path, "content-type: text/plain\r\n", "{}")
        .await;
    assert_eq!(plain.error(), (415, 415));
    // Or one of no type; but it says where it comes from.
    let blob = served
        .send(
            "POST",
            path,
            "origin: https://example.com\r\n",
            &avro("\"int\"").to_string(),
        )
        .await;
    assert_eq!(blob.error(), (415, 415));
    let charset = "content-type: application/json; charset=utf-8\r\n";
    let answer = served
        .send("POST", path, charset, &avro("\"int\"").to_string())
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        served
            .send("POST", path, "", &avro("\"int\"").to_string())
            .await
            .status,
        200
    );

    for unknown in [
        "/nope",
        "/subjects/a/b",
        "/schemas/ids",
        "/contexts/x/nope",
        "/%ff",
    ] {
        assert_eq!(served.get(unknown).await.error(), (404, 404), "{unknown}");
    }
    assert_eq!(
        served.send("PATCH", "/subjects", "", "").await.error(),
        (405, 405)
    );
    assert_eq!(served.delete("/subjects").await.error(), (405, 405));
    assert_eq!(
        served.get("/subjects/%0a/versions").await.error(),
        (422, 42208)
    );
    assert_eq!(
        served
            .post("/subjects/:.ctx:/versions", &avro("\"int\""))
            .await
            .error(),
        (422, 42208)
    );

    let half = raw(
        served.address,
        b"GET /subjects HTTP/1.1\r\nhost: x\r\nbroken\r\n\r\n",
    )
    .await;
    assert_eq!(half.status, 400);
}

#[tokio::test]
async fn subjects_may_have_any_name() {
    let served = Served::start().await;
    served.register("a%2Fb%20c%3Fd-value", "\"int\"").await;
    assert_eq!(served.get("/subjects").await.ok(), json!(["a/b c?d-value"]));
    assert_eq!(
        served
            .get("/subjects/a%2Fb%20c%3Fd-value/versions")
            .await
            .ok(),
        json!([1])
    );
}

#[tokio::test]
async fn deletes_softly_then_for_good() {
    let served = Served::start().await;
    let (one, two) = (record(A), record(&format!("{A},{B_OPTIONAL}")));
    served.register("t", &one).await;
    served.register("t", &two).await;
    served
        .put("/config/t", &json!({"compatibility": "FULL"}))
        .await
        .ok();

    assert_eq!(
        served
            .delete("/subjects/t/versions/1?permanent=true")
            .await
            .error(),
        (404, 40407)
    );
    assert_eq!(served.delete("/subjects/t/versions/1").await.ok(), json!(1));
    assert_eq!(
        served.delete("/subjects/t/versions/1").await.error(),
        (404, 40406)
    );
    assert_eq!(served.get("/subjects/t/versions").await.ok(), json!([2]));
    assert_eq!(
        served.get("/subjects/t/versions?deleted=true").await.ok(),
        json!([1, 2])
    );
    assert_eq!(
        served
            .get("/subjects/t/versions?deletedOnly=true")
            .await
            .ok(),
        json!([1])
    );
    assert_eq!(
        served.get("/subjects/t/versions/1").await.error(),
        (404, 40402)
    );
    assert_eq!(
        served
            .get("/subjects/t/versions/1?deleted=true")
            .await
            .status,
        200
    );
    // Records written with it are still to be read.
    assert_eq!(served.get("/schemas/ids/1").await.status, 200);
    assert_eq!(served.get("/schemas/ids/1/subjects").await.ok(), json!([]));
    assert_eq!(
        served
            .get("/schemas/ids/1/subjects?deleted=true")
            .await
            .ok(),
        json!(["t"])
    );

    // Registered again it is a new version of the old schema.
    assert_eq!(served.register("t", &one).await, 1);
    assert_eq!(served.get("/subjects/t/versions").await.ok(), json!([2, 3]));
    assert_eq!(
        served.delete("/subjects/t/versions/latest").await.ok(),
        json!(3)
    );
    assert_eq!(
        served.delete("/subjects/t/versions/9").await.error(),
        (404, 40402)
    );

    assert_eq!(
        served.delete("/subjects/t?permanent=true").await.error(),
        (404, 40405)
    );
    assert_eq!(served.delete("/subjects/t").await.ok(), json!([2]));
    assert_eq!(served.delete("/subjects/t").await.error(), (404, 40404));
    assert_eq!(served.get("/subjects").await.ok(), json!([]));
    assert_eq!(
        served.get("/subjects?deleted=true").await.ok(),
        json!(["t"])
    );
    assert_eq!(
        served.get("/subjects?deleted_only=True").await.ok(),
        json!(["t"])
    );
    assert_eq!(served.get("/config/t").await.error(), (404, 40408));
    assert_eq!(
        served
            .get("/subjects/t/versions/latest?deleted=true")
            .await
            .ok()["version"],
        3
    );

    assert_eq!(
        served.delete("/subjects/t?permanent=true").await.ok(),
        json!([1, 2, 3])
    );
    assert_eq!(served.delete("/subjects/t").await.error(), (404, 40401));
    assert_eq!(served.get("/subjects?deleted=true").await.ok(), json!([]));
    assert_eq!(served.get("/schemas/ids/1").await.error(), (404, 40403));
    // What is still waiting to be decoded can be, and an id never means two things.
    assert_eq!(served.registry.schema(1).unwrap().text, one);
    assert_eq!(served.register("t", &two).await, 2);
    assert_eq!(served.register("u", "\"string\"").await, 3);
    assert_eq!(served.get("/subjects/t/versions").await.ok(), json!([1]));
}

#[tokio::test]
async fn references_are_followed_and_kept() {
    let served = Served::start().await;
    let inner = r#"{"type":"record","name":"Inner","namespace":"n","fields":[]}"#;
    let outer = r#"{"type":"record","name":"Outer","namespace":"n","fields":[{"name":"i","type":"Inner"}]}"#;
    served.register("inner", inner).await;
    let request = |version| {
        json!({"schema": outer, "schemaType": "AVRO",
            "references": [{"name": "n.Inner", "subject": "inner", "version": version}]})
    };
    assert_eq!(
        served
            .post("/subjects/outer/versions", &request(2))
            .await
            .error(),
        (422, 42201)
    );
    assert_eq!(
        served
            .post("/subjects/outer/versions", &request(1))
            .await
            .ok(),
        json!({"id": 2})
    );
    // The latest version now is version 1.
    assert_eq!(
        served
            .post("/subjects/outer/versions", &request(-1))
            .await
            .ok(),
        json!({"id": 2})
    );
    let found = served.get("/subjects/outer/versions/1").await.ok();
    let reference = json!([{"name": "n.Inner", "subject": "inner", "version": 1}]);
    assert_eq!(found["references"], reference);
    assert_eq!(
        served.get("/schemas/ids/2").await.ok()["references"],
        reference
    );
    let alone = served.get("/schemas/ids/2?format=resolved").await.ok();
    assert!(
        alone["schema"]
            .as_str()
            .unwrap()
            .contains(r#""type":"record","name":"Inner","fields""#),
        "{alone}"
    );
    assert_eq!(
        served
            .get("/subjects/inner/versions/1/referencedby")
            .await
            .ok(),
        json!([2])
    );
    assert_eq!(
        served
            .get("/subjects/inner/versions/latest/referencedby")
            .await
            .ok(),
        json!([2])
    );
    assert_eq!(
        served
            .get("/subjects/outer/versions/1/referencedby")
            .await
            .ok(),
        json!([])
    );

    let schema = served.registry.schema(2).unwrap();
    assert_eq!(schema.references.len(), 1);
    assert_eq!(schema.references[0].text, inner);

    assert_eq!(
        served.delete("/subjects/inner/versions/1").await.error(),
        (422, 42206)
    );
    assert_eq!(served.delete("/subjects/inner").await.error(), (422, 42206));
    for path in ["/subjects/outer", "/subjects/outer?permanent=true"] {
        served.delete(path).await.ok();
    }
    for path in ["/subjects/inner", "/subjects/inner?permanent=true"] {
        served.delete(path).await.ok();
    }
    // Another Inner doesn't change what the old Outer meant; with it, Outer is another schema.
    let other =
        r#"{"type":"record","name":"Inner","namespace":"n","fields":[{"name":"x","type":"int"}]}"#;
    assert_eq!(served.register("inner", other).await, 3);
    assert_eq!(served.registry.schema(2).unwrap().references[0].text, inner);
    assert_eq!(
        served
            .post("/subjects/outer/versions", &request(1))
            .await
            .ok(),
        json!({"id": 4})
    );
    assert_eq!(served.registry.schema(4).unwrap().references[0].text, other);
}

#[tokio::test]
async fn metadata_and_rules_are_kept_and_inherited() {
    let served = Served::start().await;
    let (one, two) = (record(A), record(&format!("{A},{B_OPTIONAL}")));
    let metadata = json!({"properties": {"owner": "me", "major": "1"}});
    let rules = json!({"domainRules": [{"name": "r", "kind": "CONDITION", "expr": "true"}]});
    let full = json!({"schema": one, "metadata": metadata, "ruleSet": rules});
    assert_eq!(
        served.post("/subjects/t/versions", &full).await.ok(),
        json!({"id": 1})
    );
    let found = served.get("/subjects/t/versions/1").await.ok();
    assert_eq!((&found["metadata"], &found["ruleSet"]), (&metadata, &rules));
    // A serializer that knows nothing of them finds the schema, and its next one has them too.
    assert_eq!(served.register("t", &one).await, 1);
    assert_eq!(
        served.post("/subjects/t", &avro(&one)).await.ok()["metadata"],
        metadata
    );
    assert_eq!(served.register("t", &two).await, 2);
    assert_eq!(served.get("/schemas/ids/2").await.ok()["ruleSet"], rules);

    let other = json!({"schema": two, "metadata": {"properties": {"owner": "you", "major": "2"}}});
    assert_eq!(
        served.post("/subjects/t/versions", &other).await.ok(),
        json!({"id": 3})
    );
    let mine = served
        .get("/subjects/t/metadata?key=owner&value=me&key=major&value=1")
        .await
        .ok();
    assert_eq!(mine["version"], 2);
    assert_eq!(served.get("/subjects/t/metadata").await.ok()["version"], 3);
    let none = served
        .get("/subjects/t/metadata?key=owner&value=nobody")
        .await;
    assert_eq!(none.error(), (404, 40403));

    // Within a group the schemas fit; across groups they needn't.
    served
        .put("/config/t", &json!({"compatibilityGroup": "major"}))
        .await
        .ok();
    let third = json!({"schema": record(A_TEXT), "metadata": {"properties": {"major": "3"}}});
    assert_eq!(
        served.post("/subjects/t/versions", &third).await.ok(),
        json!({"id": 4})
    );
    let same = json!({"schema": record(A_TEXT), "metadata": {"properties": {"major": "2"}}});
    assert_eq!(
        served.post("/subjects/t/versions", &same).await.error(),
        (409, 409)
    );
}

#[tokio::test]
async fn answers_who_it_is_and_what_it_does_not_have() {
    let served = Served::start().await;
    assert_eq!(served.get("/").await.ok(), json!({}));
    assert_eq!(served.get("/contexts").await.ok(), json!(["."]));
    let associations = "/associations/resources/-/orders?resourceType=topic&associationType=value";
    assert_eq!(served.get(associations).await.ok(), json!([]));
    assert!(served.get("/v1/metadata/version").await.ok()["version"].is_string());
    let id = served.get("/v1/metadata/id").await.ok();
    assert_eq!(id["scope"]["clusters"]["schema-registry-cluster"], "fletch");
}

#[tokio::test]
async fn contexts_keep_subjects_apart() {
    let served = Served::start().await;
    served.register("t", "\"int\"").await;
    served.register(":.eu:t", "\"string\"").await;
    assert_eq!(served.get("/contexts").await.ok(), json!([".", ".eu"]));
    assert_eq!(served.get("/subjects").await.ok(), json!([":.eu:t", "t"]));
    assert_eq!(
        served.get("/subjects?subjectPrefix=t").await.ok(),
        json!(["t"])
    );
    assert_eq!(
        served.get("/subjects?subjectPrefix=:.eu:").await.ok(),
        json!([":.eu:t"])
    );
    assert_eq!(
        served.get("/contexts/.eu/subjects").await.ok(),
        json!([":.eu:t"])
    );
    let found = served.get("/contexts/.eu/subjects/t/versions/1").await.ok();
    assert_eq!(
        (&found["schema"], &found["subject"]),
        (&json!("\"string\""), &json!(":.eu:t"))
    );
    assert_eq!(
        served.get("/contexts/eu/schemas/ids/2").await.ok()["schema"],
        "\"string\""
    );

    served
        .put("/contexts/.eu/config", &json!({"compatibility": "NONE"}))
        .await
        .ok();
    assert_eq!(served.register(":.eu:t", "\"int\"").await, 1);
    assert_eq!(
        served
            .post("/subjects/t/versions", &avro("\"string\""))
            .await
            .error(),
        (409, 409)
    );
}

#[tokio::test]
async fn other_languages_are_kept_as_they_are() {
    let served = Served::start().await;
    let text = "{ \"type\": \"object\",\n \"b\": 1, \"a\": 1.50 }";
    let json_schema = json!({"schema": text, "schemaType": "JSON"});
    served.post("/subjects/j/versions", &json_schema).await.ok();
    let found = served.get("/schemas/ids/1").await.ok();
    assert_eq!(
        found,
        json!({"schemaType": "JSON", "schema": r#"{"type":"object","b":1,"a":1.50}"#})
    );
    assert_eq!(
        served.post("/subjects/j/versions", &json_schema).await.ok(),
        json!({"id": 1})
    );
    let next = json!({"schema": r#"{"type":"string"}"#, "schemaType": "JSON"});
    assert_eq!(
        served.post("/subjects/j/versions", &next).await.error(),
        (409, 409)
    );
    let path = "/compatibility/subjects/j/versions/latest?verbose=true";
    let answer = served.post(path, &next).await.ok();
    assert_eq!(answer["is_compatible"], false);
    assert!(
        answer["messages"][0]
            .as_str()
            .unwrap()
            .contains("errorType:\"TYPE_CHANGED\""),
        "{answer}"
    );
    served
        .put("/config/j", &json!({"compatibility": "NONE"}))
        .await
        .ok();
    assert_eq!(
        served.post("/subjects/j/versions", &next).await.ok(),
        json!({"id": 2})
    );

    let proto = "syntax = \"proto3\";\nmessage M { string a = 1; }\n";
    let body = json!({"schema": proto, "schemaType": "PROTOBUF"});
    served.post("/subjects/p/versions", &body).await.ok();
    let found = served.get("/subjects/p/versions/latest").await.ok();
    assert_eq!(
        (&found["schema"], &found["schemaType"]),
        (&json!(proto), &json!("PROTOBUF"))
    );
    let avro_next = served.post("/subjects/p/versions", &avro("\"int\"")).await;
    assert_eq!(avro_next.error(), (409, 409));
}

#[tokio::test]
async fn protobuf_comes_as_text_and_as_a_descriptor() {
    let served = Served::start().await;
    let register = async |subject: &str, body: Value| {
        served
            .post(&format!("/subjects/{subject}/versions"), &body)
            .await
    };
    let leaf = "syntax = \"proto3\";\n// Kept.\nmessage Leaf { int32 a = 1; }\n";
    let body = json!({"schemaType": "PROTOBUF", "schema": leaf});
    assert_eq!(register("leaf", body).await.ok(), json!({"id": 1}));
    let serialized = served.get("/schemas/ids/1?format=serialized").await.ok();
    let base64 = serialized["schema"].as_str().unwrap();
    // A descriptor is the schema that it describes: in the same subject, and in others.
    let body = json!({"schemaType": "PROTOBUF", "schema": base64});
    assert_eq!(register("leaf", body.clone()).await.ok(), json!({"id": 1}));
    assert_eq!(register("other", body.clone()).await.ok(), json!({"id": 1}));
    let found = served.post("/subjects/leaf", &body).await.ok();
    assert_eq!(
        (&found["version"], &found["schema"]),
        (&json!(1), &json!(leaf))
    );

    let top = "syntax = \"proto3\"; import \"leaf.proto\"; message Top { Leaf leaf = 1; }";
    let body = json!({"schemaType": "PROTOBUF", "schema": top});
    assert_eq!(register("top", body).await.error(), (422, 42201));
    let references = json!([{"name": "leaf.proto", "subject": "leaf", "version": 1}]);
    let body = json!({"schemaType": "PROTOBUF", "schema": top, "references": references});
    assert_eq!(register("top", body).await.ok(), json!({"id": 2}));
    let text = served.get("/schemas/ids/2/schema?format=serialized").await;
    assert!(text.body.len() > 20 && !text.body.contains(' '), "{text:?}");

    let body = json!({"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\"; message Leaf { string a = 1; }"});
    assert_eq!(register("leaf", body.clone()).await.error(), (409, 409));
    let path = "/compatibility/subjects/leaf/versions?verbose=true";
    let told = served.post(path, &body).await.ok();
    assert!(
        told["messages"][0]
            .as_str()
            .unwrap()
            .contains("FIELD_SCALAR_KIND_CHANGED"),
        "{told}"
    );
    for text in ["message {", "Zm9v", "{}"] {
        let body = json!({"schemaType": "PROTOBUF", "schema": text});
        assert_eq!(register("leaf", body).await.error(), (422, 42201), "{text}");
    }
}

#[tokio::test]
async fn json_schemas_are_checked_at_every_level() {
    let served = Served::start().await;
    let closed = |properties: &str| {
        let text = format!(
            r#"{{"type":"object","additionalProperties":false,"properties":{{{properties}}}}}"#
        );
        json!({"schemaType": "JSON", "schema": text})
    };
    let (small, large) = (
        closed(r#""a":{}"#),
        closed(r#""b":{"type":"string"},"a":{}"#),
    );
    let other = closed(r#""a":{},"b":{"type":"integer"}"#);
    for (level, grows, shrinks) in [
        ("NONE", true, true),
        ("BACKWARD", true, false),
        ("BACKWARD_TRANSITIVE", true, false),
        ("FORWARD", false, true),
        ("FORWARD_TRANSITIVE", false, true),
        ("FULL", false, false),
        ("FULL_TRANSITIVE", false, false),
    ] {
        for (first, second, fits) in [(&small, &large, grows), (&large, &small, shrinks)] {
            let subject = format!("{level}-{fits}-{}", std::ptr::eq(first, &small));
            let config = json!({"compatibility": level});
            served
                .put(&format!("/config/{subject}"), &config)
                .await
                .ok();
            let path = format!("/subjects/{subject}/versions");
            served.post(&path, first).await.ok();
            let answer = served.post(&path, second).await;
            assert_eq!(answer.status == 200, fits, "{subject}: {answer:?}");
        }
    }
    // Only the transitive levels look at more than the last version.
    for (level, fits) in [("BACKWARD", true), ("BACKWARD_TRANSITIVE", false)] {
        let path = format!("/subjects/three-{level}/versions");
        let config = json!({"compatibility": "NONE"});
        served
            .put(&format!("/config/three-{level}"), &config)
            .await
            .ok();
        served.post(&path, &large).await.ok();
        served.post(&path, &small).await.ok();
        let config = json!({"compatibility": level});
        served
            .put(&format!("/config/three-{level}"), &config)
            .await
            .ok();
        let answer = served.post(&path, &other).await;
        assert_eq!(answer.status == 200, fits, "{answer:?}");
    }
    let same = json!({"schemaType": "JSON", "schema":
        r#"{"properties":{"a":{},"b":{"type":"string"}}, "additionalProperties":false,"type":"object"}"#});
    let found = served.post("/subjects/NONE-true-true", &same).await.ok();
    assert_eq!(
        found["version"], 2,
        "the order of properties makes no other schema"
    );
    let no_schema = json!({"schemaType": "JSON", "schema": r#"{"type":"strin"}"#});
    let refused = served.post("/subjects/x/versions", &no_schema).await;
    assert_eq!(refused.error(), (422, 42201));
}

/// A text that many subjects share is kept once, and would be in a list as often as it is shared.
#[tokio::test]
async fn a_list_of_schemas_is_no_longer_than_it_may_be() {
    let served = Served::start().await;
    let text = json!({"type": "object", "description": "x".repeat(1 << 20)}).to_string();
    let body = json!({"schema": text, "schemaType": "JSON"});
    for subject in 0..17 {
        let path = format!("/subjects/s{subject}/versions");
        assert_eq!(served.post(&path, &body).await.status, 200);
    }
    let all = served.get("/schemas").await;
    assert_eq!(all.error(), (422, 42209));
    assert!(all.body.contains("limit"), "{}", all.body);
    let some = served.get("/schemas?offset=15&limit=10").await.ok();
    assert_eq!(some.as_array().map(Vec::len), Some(2));
}

/// Each name of a schema that is referred to is a copy of it.
#[tokio::test]
async fn schemas_refer_to_no_more_text_than_they_may() {
    let served = Served::start().await;
    let text = json!({"type": "object", "description": "x".repeat(1 << 20)}).to_string();
    let body = json!({"schema": text, "schemaType": "JSON"});
    assert_eq!(
        served.post("/subjects/long/versions", &body).await.status,
        200
    );
    let refer = async |names: usize| {
        let references = (0..names)
            .map(|name| json!({"name": format!("r{name}.json"), "subject": "long", "version": 1}));
        let references = references.collect::<Vec<_>>();
        let body = json!({"schema": "{}", "schemaType": "JSON", "references": references});
        served
            .post(&format!("/subjects/s{names}/versions"), &body)
            .await
    };
    assert_eq!(refer(3).await.status, 200);
    let refused = refer(70).await;
    assert_eq!(refused.error().0, 422);
    assert!(refused.body.contains("referred to"), "{}", refused.body);
}

/// A `.proto` file without options that extends them by this message.
const DEEP: &str = "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\"; \
                    message M { optional M m = 1; } \
                    extend google.protobuf.FileOptions { optional M deep = 50000; }";

/// Who compiles a file follows its options down, on the stack, and nobody survives the end of that.
#[tokio::test]
async fn options_of_a_file_nest_no_deeper_than_they_may() {
    let served = Served::start().await;
    let register = async |subject: &str, text: &str| {
        let body = json!({"schema": text, "schemaType": "PROTOBUF"});
        served
            .post(&format!("/subjects/{subject}/versions"), &body)
            .await
    };
    let option = |depth: usize| format!("{} {}", "m {".repeat(depth), "}".repeat(depth));
    let with_option = |depth: usize| format!("{DEEP} option (deep) = {{ {} }};", option(depth));
    assert_eq!(register("deep", &with_option(40)).await.status, 200);
    let refused = register("deep", &with_option(100_000)).await;
    assert_eq!(refused.error(), (422, 42201));
    // A descriptor can have options in it that are still texts.
    assert_eq!(register("none", DEEP).await.status, 200);
    let serialized = served
        .get("/subjects/none/versions/1/schema?format=serialized")
        .await;
    let bytes = STANDARD.decode(&serialized.body).unwrap();
    let mut file = FileDescriptorProto::decode(bytes.as_slice()).unwrap();
    let name = NamePart {
        name_part: "deep".to_owned(),
        is_extension: true,
    };
    file.options = Some(FileOptions {
        uninterpreted_option: vec![UninterpretedOption {
            name: vec![name],
            aggregate_value: Some(option(100_000)),
            ..Default::default()
        }],
        ..Default::default()
    });
    let refused = register("text", &STANDARD.encode(file.encode_to_vec())).await;
    assert_eq!(refused.error(), (422, 42201));
}

/// Each type is named before the next uses it, so nothing nests until it is written out.
#[tokio::test]
async fn a_chain_of_types_is_written_out_as_far_as_the_stack_holds_it() {
    let served = Served::start().await;
    for (length, is_written_out) in [(100, true), (20_000, false)] {
        let types = (1..length).map(|at| {
            let field = format!(r#"{{"name":"f","type":"C{length}.R{}"}}"#, at - 1);
            format!(r#",{{"type":"record","name":"C{length}.R{at}","fields":[{field}]}}"#)
        });
        let first = format!(r#"{{"type":"record","name":"C{length}.R0","fields":[{A}]}}"#);
        let chain = format!("[{first}{}]", types.collect::<String>());
        served.register(&format!("chain{length}"), &chain).await;
        let last = format!(r#"{{"name":"f","type":"C{length}.R{}"}}"#, length - 1);
        let reference = json!({"name": "chain", "subject": format!("chain{length}"), "version": 1});
        let body = json!({"schema": record(&last), "references": [reference]});
        let path = format!("/subjects/top{length}/versions");
        assert_eq!(served.post(&path, &body).await.status, 200);
        let answer = served
            .get(&format!("{path}/1/schema?format=resolved"))
            .await;
        assert_eq!(answer.status, 200);
        let records = answer.body.matches("\"record\"").count();
        assert_eq!(records, if is_written_out { length + 1 } else { 1 });
    }
}

/// What refers to what refers to it isn't followed on the stack, however long that goes on.
#[tokio::test]
async fn a_long_chain_of_references_is_followed() {
    let served = Served::start().await;
    let definitions = (0..20_000).map(|at| {
        let next = at + 1;
        format!(r##""d{at}":{{"$ref":"#/definitions/d{next}"}},"##)
    });
    let definitions = definitions.collect::<String>();
    let text = format!(
        r##"{{"$ref":"#/definitions/d0","definitions":{{{definitions}"d20000":{{"type":"integer"}}}}}}"##
    );
    let body = json!({"schema": text, "schemaType": "JSON"});
    let registered = served.post("/subjects/chain/versions", &body).await;
    assert_eq!(registered.status, 200);
    let compared = served
        .post("/compatibility/subjects/chain/versions/1", &body)
        .await;
    assert_eq!(compared.status, 200);
}
