//! The registry and the admin listener, over TLS and for users only.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use support::certificates::{Authority, client_config};
use support::login::ADMIN;
use support::{PATIENCE, Server, folder};

/// The status and the body of an answer over TLS.
fn ask(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    request: &str,
    user: Option<(&str, &str)>,
    more: &str,
) -> (u16, String) {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(tls, socket);
    let credentials = user.map_or_else(String::new, |(user, password)| {
        let text = STANDARD.encode(format!("{user}:{password}"));
        format!("Authorization: Basic {text}\r\n")
    });
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{credentials}{more}\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    // The end without goodbye is an end, too.
    _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

#[test]
fn registry_and_admin_listener_are_for_users() {
    let (files, authority) = (folder(), Authority::new("here"));
    authority.server().write(files.path(), "server");
    std::fs::write(files.path().join("users"), "anna:a\n").unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    let flags = [
        format!("--tls-certificate-path={}", path("server.crt")),
        format!("--tls-key-path={}", path("server.key")),
        format!("--sasl-users-path={}", path("users")),
        format!("--sasl-admin-username={}", ADMIN.0),
        format!("--sasl-admin-password={}", ADMIN.1),
        "--sasl-failure-delay-ms=50".to_owned(),
        "--registry-tls=true".to_owned(),
        "--registry-authentication=basic".to_owned(),
        "--http-tls=true".to_owned(),
        "--http-authentication=basic".to_owned(),
    ];
    let server = Server::start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let config = client_config(&authority.pem, None, &[&TLS12, &TLS13]);
    let (anna, wrong) = (Some(("anna", "a")), Some(("anna", "b")));
    let registry = |user| ask(server.registry, &config, "GET /subjects", user, "").0;
    assert_eq!(registry(None), 401);
    assert_eq!(registry(wrong), 401);
    assert_eq!(registry(anna), 200);
    // And what was right a moment ago doesn't make another password right.
    assert_eq!(registry(wrong), 401);
    let admin = |request: &str, user| ask(server.http, &config, request, user, "");
    for (request, stranger, user, superuser) in [
        ("GET /healthz", 200, 200, 200),
        ("GET /readyz", 200, 200, 200),
        ("GET /metrics", 401, 200, 200),
        ("GET /topics", 401, 403, 200),
        ("GET /users", 401, 403, 200),
        ("DELETE /users/nobody", 401, 403, 404),
        ("GET /nothing", 401, 403, 404),
    ] {
        assert_eq!(admin(request, None).0, stranger, "{request}");
        assert_eq!(
            admin(request, wrong).0,
            if stranger == 200 { 200 } else { 401 },
            "{request}"
        );
        assert_eq!(admin(request, anna).0, user, "{request}");
        assert_eq!(admin(request, Some(ADMIN)).0, superuser, "{request}");
    }
    assert!(!admin("GET /readyz", None).1.contains("topics"));
    // A page in a browser can't have it done by whoever looks at it.
    let origin = "Origin: https://evil.example\r\n";
    let asked = ask(
        server.http,
        &config,
        "POST /topics/x/flush",
        Some(ADMIN),
        origin,
    );
    assert_eq!(asked.0, 403);
    // The command finds its way with the configuration's own user.
    let data = server.data();
    std::fs::write(files.path().join("ca.crt"), &authority.pem).unwrap();
    let mut command = support::fletch(data.parent().unwrap());
    let output = command
        .args(["users", "list", "--ca-file", &path("ca.crt")])
        .args(&flags[3..5])
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(out.contains("anna"), "{out}{err}");
}
