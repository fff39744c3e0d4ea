//! Whatever a registry may answer: the client gives a schema or an error, and an error that is told
//! shows nothing of the password. The input is an answer's status, and its body.

#![no_main]

use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use fletch_registry::{Client, ClientConfig};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

type Answer = Arc<Mutex<(StatusCode, Bytes)>>;

static RUNTIME: LazyLock<(Runtime, Answer, String)> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let answer = Answer::default();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a socket");
    let url = format!("http://ann:pa55word@{}", listener.local_addr().expect("an address"));
    runtime.spawn(serve(listener, answer.clone()));
    (runtime, answer, url)
});

async fn serve(listener: TcpListener, answer: Answer) {
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        let service = service_fn(move |_: Request<Incoming>| {
            let (status, body) = answer.lock().expect("no panics here").clone();
            let mut response = Response::new(Full::new(body));
            *response.status_mut() = status;
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((status, body)) = input.split_first() else { return };
    let (runtime, answer, url) = &*RUNTIME;
    let status = 200 + u16::from(*status) * 2;
    let status = StatusCode::from_u16(status).expect("from 200 to 710");
    *answer.lock().expect("no panics here") = (status, Bytes::copy_from_slice(body));
    let mut config = ClientConfig::new(url);
    config.retry.rounds_max = 1;
    runtime.block_on(async {
        let client = Client::new(config).expect("a client");
        for told in [client.schema(1).await.err(), client.version("t", None).await.err()] {
            let told = told.map(|told| format!("{told} {told:?}")).unwrap_or_default();
            assert!(!told.contains("pa55word") || body.windows(8).any(|part| part == b"pa55word"));
        }
    });
});
