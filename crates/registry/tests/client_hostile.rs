//! The client with registries that are slow, flaky, or lie.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::fake::{Fake, Reply, error, ok};
use fletch_registry::{Auth, Client, ClientConfig, RegistryError, Secret};
use tokio::net::TcpListener;

const SCHEMA: &str = r#"{"schema":"\"int\""}"#;

fn config(urls: &[String]) -> ClientConfig {
    let mut config = ClientConfig::new(&urls.join(","));
    config.retry.backoff_min = Duration::from_millis(1);
    config.retry.backoff_max = Duration::from_millis(5);
    config.request_timeout = Duration::from_millis(300);
    config
}

fn client(fake: &Fake) -> Client {
    Client::new(config(&[fake.url()])).unwrap()
}

/// A port where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn many_callers_make_one_request() {
    let fake =
        Fake::start(|_, _| Reply::After(Duration::from_millis(50), Box::new(ok(SCHEMA)))).await;
    let client = client(&fake);
    let mut tasks = Vec::new();
    for at in 0..200 {
        let client = client.clone();
        tasks.push(tokio::spawn(
            async move { client.schema(at % 2).await.unwrap() },
        ));
    }
    let mut schemas = Vec::new();
    for task in tasks {
        schemas.push(task.await.unwrap());
    }
    assert_eq!(fake.requests().len(), 2);
    // One schema, not two hundred copies of it.
    assert_eq!(
        schemas
            .iter()
            .filter(|schema| Arc::ptr_eq(schema, &schemas[0]))
            .count(),
        100
    );
    client.schema(0).await.unwrap();
    assert_eq!(fake.requests().len(), 2);
    assert!(client.cached(1).await.is_some() && client.cached(7).await.is_none());
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_take_the_others_along() {
    let fake =
        Fake::start(|_, _| Reply::After(Duration::from_millis(100), Box::new(ok(SCHEMA)))).await;
    let client = client(&fake);
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.schema(1).await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    let second = tokio::spawn(async move { client.schema(1).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    first.abort();
    assert_eq!(second.await.unwrap().unwrap().text, "\"int\"");
}

#[tokio::test]
async fn what_is_missing_is_asked_for_once_in_a_while() {
    let fake = Fake::start(|_, _| error(404, 40403)).await;
    let client = client(&fake);
    for _ in 0..20 {
        assert!(matches!(
            client.schema(1).await,
            Err(RegistryError::NotFound { .. })
        ));
    }
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn passing_failures_are_retried() {
    for failure in [
        error(500, 50001),
        error(503, 50003),
        Reply::Answer(502, "", "<html>bad gateway</html>".into()),
        Reply::Answer(504, "", String::new()),
        Reply::Answer(429, "retry-after: 1\r\n", String::new()),
        Reply::Answer(408, "", String::new()),
        Reply::HangUp,
        Reply::Half,
        Reply::Silence,
        Reply::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n"),
    ] {
        let shown = format!("{failure:?}");
        let fake = Fake::start(move |_, before| {
            if before < 2 {
                failure.clone()
            } else {
                ok(SCHEMA)
            }
        })
        .await;
        let schema = client(&fake).schema(1).await;
        assert!(schema.is_ok(), "{shown}: {schema:?}");
        assert_eq!(fake.requests().len(), 3, "{shown}");
    }
}

#[tokio::test]
async fn failures_that_do_not_pass_are_told_and_not_held() {
    let fake = Fake::start(|_, _| error(500, 50001)).await;
    let client = client(&fake);
    let told = client.schema(1).await.unwrap_err();
    let RegistryError::Unavailable {
        attempts,
        url,
        reason,
    } = &told
    else {
        panic!("{told}")
    };
    assert_eq!(*attempts, 4);
    assert!(url.ends_with("/schemas/ids/1"), "{url}");
    assert_eq!(reason, "HTTP 500, code 50001: no way");
    assert!(client.schema(1).await.is_err());
    assert_eq!(fake.requests().len(), 8);

    let told = Client::new(config(&[nobody().await]))
        .unwrap()
        .schema(1)
        .await
        .unwrap_err();
    assert!(told.to_string().contains("refused"), "{told}");
}

#[tokio::test]
async fn waits_between_rounds_and_no_longer_than_it_should() {
    let fake = Fake::start(|_, _| Reply::Answer(503, "retry-after: 3600\r\n", String::new())).await;
    let mut config = config(&[fake.url()]);
    config.retry.backoff_max = Duration::from_millis(100);
    let started = Instant::now();
    assert!(Client::new(config).unwrap().schema(1).await.is_err());
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_millis(300), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

#[tokio::test]
async fn another_registry_takes_over() {
    let broken = Fake::start(|_, _| error(503, 50003)).await;
    let good = Fake::start(|_, _| ok(SCHEMA)).await;
    let urls = [nobody().await, broken.url(), good.url()];
    let client = Client::new(config(&urls)).unwrap();
    client.schema(1).await.unwrap();
    assert_eq!((broken.requests().len(), good.requests().len()), (1, 1));
    // The one that answered is asked first from then on.
    client.schema(2).await.unwrap();
    assert_eq!((broken.requests().len(), good.requests().len()), (1, 2));
}

#[tokio::test]
async fn a_registry_that_answers_nonsense_is_passed_over() {
    let lying = Fake::start(|_, _| ok("<html>hello</html>")).await;
    let page = Fake::start(|_, _| Reply::Answer(404, "", "<html>no such page</html>".into())).await;
    let good = Fake::start(|_, _| ok(SCHEMA)).await;
    let client = Client::new(config(&[page.url(), good.url()])).unwrap();
    assert!(client.schema(1).await.is_ok());
    // A body is only looked into once a registry has answered well.
    let client = Client::new(config(&[lying.url()])).unwrap();
    assert!(matches!(
        client.schema(1).await,
        Err(RegistryError::Invalid { .. })
    ));
}

#[tokio::test]
async fn lies_are_told_apart_from_answers() {
    let lies = [
        (ok(""), "not the JSON of a registry"),
        (ok("[]"), "there is no schema"),
        (ok("{}"), "there is no schema"),
        (ok(r#"{"schema":7}"#), "not the JSON of a registry"),
        (
            ok(r#"{"schema":"\"int\"","schemaType":"THRIFT"}"#),
            "unknown schema type \"THRIFT\"",
        ),
        (ok(r#"{"schema":"\"int\"","id":8}"#), "it sent 8"),
        (
            Reply::Answer(404, "", "<html>nginx</html>".into()),
            "HTTP 404: <html>nginx</html>",
        ),
        (
            Reply::Answer(404, "", r#"{"error_code":404,"message":"HTTP 404"}"#.into()),
            "HTTP 404",
        ),
        (Reply::Answer(400, "", "no".into()), "HTTP 400"),
        (Reply::Answer(501, "", "no".into()), "HTTP 501"),
        (
            Reply::Answer(302, "location: /again\r\n", String::new()),
            "redirected 4 times",
        ),
        (Reply::Answer(302, "", String::new()), "without a location"),
        (
            Reply::Answer(300, "location: /\r\n", String::new()),
            "HTTP 300",
        ),
        (
            Reply::Answer(307, "location: http://127.0.0.2:9/x\r\n", String::new()),
            "http://127.0.0.2:9",
        ),
        (
            Reply::Answer(307, "location: https://127.0.0.1:9/x\r\n", String::new()),
            "https://127.0.0.1:9",
        ),
        (Reply::Endless, "longer than 8388608 bytes"),
    ];
    for (lie, why) in lies {
        let shown = format!("{lie:?}");
        let fake = Fake::start(move |_, _| lie.clone()).await;
        let mut config = config(&[fake.url()]);
        config.request_timeout = Duration::from_secs(10);
        let told = Client::new(config).unwrap().schema(7).await.unwrap_err();
        assert!(
            matches!(told, RegistryError::Invalid { .. }),
            "{shown}: {told:?}"
        );
        assert!(told.to_string().contains(why), "{shown}: {told}");
        let asked = fake.requests().len();
        assert!(asked == 1 || asked == 4, "{shown}: {asked} requests");
    }
}

#[tokio::test]
async fn a_body_that_drips_runs_out_of_time() {
    let fake = Fake::start(|_, _| Reply::Drip(Duration::from_millis(40), SCHEMA.into())).await;
    let mut config = config(&[fake.url()]);
    config.retry.rounds_max = 2;
    let started = Instant::now();
    let told = Client::new(config).unwrap().schema(1).await.unwrap_err();
    assert!(
        told.to_string().contains("no whole answer within 300 ms"),
        "{told}"
    );
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn redirects_are_followed_within_the_host() {
    let fake = Fake::start(|request, _| match request.path.as_str() {
        "/old/schemas/ids/1" => {
            Reply::Answer(308, "location: /new/schemas/ids/1\r\n", String::new())
        }
        "/new/schemas/ids/1" => ok(SCHEMA),
        _ => error(404, 40403),
    })
    .await;
    let url = fake.url().replace("http://", "http://user:secret@") + "/old/";
    let client = Client::new(config(std::slice::from_ref(&url))).unwrap();
    assert!(client.schema(1).await.is_ok());
    assert!(
        fake.requests()
            .iter()
            .all(|request| request.header("authorization").is_some())
    );
    let mut config = config(&[url]);
    config.redirects_max = 0;
    assert!(Client::new(config).unwrap().schema(1).await.is_err());
}

#[tokio::test]
async fn credentials_are_sent_and_not_shown() {
    let fake = Fake::start(|_, _| error(401, 40101)).await;
    let user_info = fake.url().replace("http://", "http://us%40er:hunter2@");
    let cases = [
        (
            user_info,
            Auth::Bearer("token3".into()),
            "Basic dXNAZXI6aHVudGVyMg==",
        ),
        (
            fake.url(),
            Auth::Basic {
                user: "us@er".into(),
                password: Secret::new("hunter2"),
            },
            "Basic dXNAZXI6aHVudGVyMg==",
        ),
        (fake.url(), Auth::Bearer("token3".into()), "Bearer token3"),
    ];
    for (at, (url, auth, sent)) in cases.into_iter().enumerate() {
        let mut config = config(&[url]);
        config.auth = auth;
        let shown = format!("{config:?}");
        let client = Client::new(config).unwrap();
        let told = client.schema(1).await.unwrap_err();
        assert!(
            matches!(told, RegistryError::Unauthorized { .. }),
            "{told:?}"
        );
        let request = fake.requests().pop().unwrap();
        assert_eq!(request.header("authorization"), Some(sent));
        assert_eq!(fake.requests().len(), at + 1, "a refusal isn't retried");
        for text in [shown, format!("{client:?}"), format!("{told} {told:?}")] {
            for secret in ["hunter2", "token3", "dXNAZXI6"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn references_in_a_circle_or_without_end_are_refused() {
    let refers = |subject: &str, version: usize| {
        format!(
            r#"{{"schema":"\"int\"","version":{version},"references":[{{"name":"{subject}{version}","subject":"{subject}","version":{version}}}]}}"#
        )
    };
    let circle = Fake::start(move |request, _| {
        ok(if request.path.contains("/subjects/a/") {
            refers("b", 1)
        } else {
            refers("a", 1)
        })
    })
    .await;
    let told = client(&circle).schema(1).await.unwrap_err();
    assert!(told.to_string().contains("circle"), "{told}");
    assert_eq!(circle.requests().len(), 3);

    let endless = Fake::start(move |request, _| {
        let last = request.path.split('?').next().unwrap_or_default();
        let version: usize = last
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .parse()
            .unwrap_or(0);
        // It says which version it is, as it should, and refers to the next.
        let body = refers("a", version + 1);
        ok(body.replacen(
            &format!(r#""version":{}"#, version + 1),
            &format!(r#""version":{version}"#),
            1,
        ))
    })
    .await;
    let told = client(&endless).schema(1).await.unwrap_err();
    assert!(
        told.to_string().contains("a chain of over 32 references"),
        "{told}"
    );

    let wide = Fake::start(|request, _| {
        if request.path.starts_with("/subjects") {
            return ok(SCHEMA);
        }
        let all: Vec<_> = (0..300)
            .map(|at| format!(r#"{{"name":"n{at}","subject":"s{at}","version":1}}"#))
            .collect();
        ok(format!(
            r#"{{"schema":"\"int\"","references":[{}]}}"#,
            all.join(",")
        ))
    })
    .await;
    let told = client(&wide).schema(1).await.unwrap_err();
    assert!(told.to_string().contains("over 256 schemas"), "{told}");

    let mixed = Fake::start(|request, _| {
        if request.path.starts_with("/subjects") {
            return ok(r#"{"schema":"{}","schemaType":"JSON"}"#);
        }
        ok(r#"{"schema":"\"int\"","references":[{"name":"n","subject":"s","version":1}]}"#)
    })
    .await;
    let told = client(&mixed).schema(1).await.unwrap_err();
    assert!(told.to_string().contains("AVRO refers to a JSON"), "{told}");
}

#[tokio::test]
async fn large_schemas_leave_the_cache_when_it_is_full() {
    let large = format!(r#"{{"schema":"{}"}}"#, "x".repeat(100_000));
    let fake = Fake::start(move |_, _| ok(large.clone())).await;
    let mut config = config(&[fake.url()]);
    config.cache.bytes_max = 1_000_000;
    let client = Client::new(config).unwrap();
    for id in 0..50 {
        client.schema(id).await.unwrap();
    }
    let mut held = 0;
    for id in 0..50 {
        held += usize::from(client.cached(id).await.is_some());
    }
    assert!((1..=12).contains(&held), "{held} schemas of 100 kB in 1 MB");
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_at_once() {
    let refused = |config: ClientConfig| match Client::new(config) {
        Err(RegistryError::Configuration(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(ClientConfig::default()).contains("no URL"));
    assert!(refused(ClientConfig::new("ftp://x")).contains("scheme ftp"));
    assert!(refused(ClientConfig::new("http://a,::")).contains("URL 2"));
    let mut config = ClientConfig::new("https://a");
    config.tls.ca_file = Some("/does/not/exist.pem".into());
    assert!(refused(config.clone()).contains("ca_file /does/not/exist.pem"));
    config.tls.ca_file = None;
    config.tls.certificate_file = Some("/does/not/exist.pem".into());
    assert!(refused(config).contains("both"));
    let mut config = ClientConfig::new("http://a");
    config.auth = Auth::Bearer("to\nken".into());
    assert!(!refused(config).contains("ken"));
}
