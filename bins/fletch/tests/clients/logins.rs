//! Clients that log in, each by the settings its own documentation shows: PLAIN, SCRAM, tokens and
//! certificates, over TLS; and each that shouldn't be let in.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use crate::install::Missing;
use crate::matrix::skip;
use crate::support::certificates::Authority;
use crate::support::{Server, folder};
use crate::{bounded, install, java, node_script, python_script};

const LIMIT: Duration = Duration::from_secs(300);

/// Whose tokens are good, and two of them: a good one and one that has expired.
fn tokens(folder: &Path) -> (String, String) {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let key = EncodingKey::from_ec_der(&pair.serialize_der());
    let mut published = Jwk::from_encoding_key(&key, Algorithm::ES256).expect("a public key");
    published.common.key_id = Some("one".to_owned());
    let keys = JwkSet {
        keys: vec![published],
    };
    let keys = serde_json::to_vec(&keys).expect("JSON");
    fs::write(folder.join("jwks.json"), keys).expect("a file");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("one".to_owned());
    let token = |expires: u64| {
        let claims = json!({
            "iss": "https://issuer.example", "aud": "fletch", "sub": "anna", "scope": "kafka",
            "iat": expires - 7200, "exp": expires,
        });
        encode(&header, &claims, &key).expect("a token")
    };
    let now = now.as_secs();
    (token(now + 3600), token(now - 600))
}

/// A server that takes every kind of login, and the logins.
fn prepared(with_tokens: bool) -> (Server, tempfile::TempDir) {
    let files = folder();
    let at = |name: &str| files.path().join(name).display().to_string();
    let (authority, other) = (Authority::new("here"), Authority::new("there"));
    fs::write(files.path().join("ca.pem"), &authority.pem).expect("a file");
    authority.server().write(files.path(), "server");
    authority.client("anna").write(files.path(), "anna");
    other.client("anna").write(files.path(), "other");
    fs::write(files.path().join("users"), "anna:it's a pass, =word\n").expect("a file");
    let (good, expired) = tokens(files.path());
    let flags = [
        "--kafka-listeners=SASL_SSL://127.0.0.1:0,SSL://127.0.0.1:0".to_owned(),
        format!("--tls-certificate-path={}", at("server.crt")),
        format!("--tls-key-path={}", at("server.key")),
        format!("--tls-client-ca-path={}", at("ca.pem")),
        "--tls-client-auth=required".to_owned(),
        "--tls-principal-mapping-rules=RULE:CN=(.*),O=Fletch/$1/,DEFAULT".to_owned(),
        format!("--sasl-users-path={}", at("users")),
        format!("--sasl-oauthbearer-jwks-path={}", at("jwks.json")),
        "--sasl-oauthbearer-issuer=https://issuer.example".to_owned(),
        "--sasl-oauthbearer-audience=fletch".to_owned(),
        "--sasl-oauthbearer-scopes=kafka".to_owned(),
        "--sasl-failure-delay-ms=100".to_owned(),
        "--acl-super-users=User:anna".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Server::start(&flags);
    let password = "it's a pass, =word";
    let by_password = |name: &str, mechanism: &str, user: &str, password: &str, good: bool| {
        json!({
            "name": name, "protocol": "SASL_SSL", "mechanism": mechanism, "user": user,
            "password": password, "good": good,
        })
    };
    let by_certificate = |name: &str, identity: Option<&str>, good: bool| {
        let mut login = json!({"name": name, "protocol": "SSL", "good": good});
        if let Some(identity) = identity {
            login["certificate"] = at(&format!("{identity}.crt")).into();
            login["key"] = at(&format!("{identity}.key")).into();
        }
        login
    };
    let by_token = |name: &str, token: &str, good: bool| {
        json!({
            "name": name, "protocol": "SASL_SSL", "mechanism": "OAUTHBEARER", "token": token,
            "token_seconds": 3000, "good": good,
        })
    };
    let mut logins = vec![
        by_password("plain", "PLAIN", "anna", password, true),
        by_password("plain-wrong", "PLAIN", "anna", "wrong", false),
        by_password("scram-256", "SCRAM-SHA-256", "anna", password, true),
        by_password("scram-256-wrong", "SCRAM-SHA-256", "anna", "wrong", false),
        by_password("scram-512", "SCRAM-SHA-512", "anna", password, true),
        by_password(
            "scram-512-nobody",
            "SCRAM-SHA-512",
            "nobody",
            password,
            false,
        ),
        by_certificate("certificate", Some("anna"), true),
        by_certificate("certificate-other", Some("other"), false),
        by_certificate("certificate-none", None, false),
    ];
    if with_tokens {
        logins.push(by_token("token", &good, true));
        logins.push(by_token("token-expired", &expired, false));
    }
    for login in &mut logins {
        let listener = login["protocol"].as_str().expect("a protocol");
        login["address"] = server.listeners[listener].to_string().into();
        login["ca"] = at("ca.pem").into();
    }
    let logins = Value::from(logins).to_string();
    fs::write(files.path().join("logins.json"), logins).expect("a file");
    (server, files)
}

fn with_tokens() -> (Server, tempfile::TempDir) {
    prepared(true)
}

/// For clients that can't be given a token.
fn without_tokens() -> (Server, tempfile::TempDir) {
    prepared(false)
}

/// A server that takes unsigned tokens, and logins with them.
fn with_unsigned_tokens() -> (Server, tempfile::TempDir) {
    let files = folder();
    let at = |name: &str| files.path().join(name).display().to_string();
    let authority = Authority::new("here");
    fs::write(files.path().join("ca.pem"), &authority.pem).expect("a file");
    authority.server().write(files.path(), "server");
    let flags = [
        "--kafka-listeners=SASL_SSL://127.0.0.1:0".to_owned(),
        format!("--tls-certificate-path={}", at("server.crt")),
        format!("--tls-key-path={}", at("server.key")),
        "--sasl-oauthbearer-unsecured=true".to_owned(),
        "--sasl-oauthbearer-scopes=kafka".to_owned(),
        "--sasl-failure-delay-ms=100".to_owned(),
        "--acl-super-users=User:anna".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Server::start(&flags);
    let login = |name: &str, claims: &str, good: bool| {
        json!({
            "name": name, "protocol": "SASL_SSL", "mechanism": "OAUTHBEARER", "claims": claims,
            "good": good, "address": server.listeners["SASL_SSL"].to_string(), "ca": at("ca.pem"),
        })
    };
    let logins = [
        login("unsigned", "principal=anna scope=kafka,other", true),
        login("unsigned-scope", "principal=anna scope=other", false),
    ];
    let logins = Value::from(logins.to_vec()).to_string();
    fs::write(files.path().join("logins.json"), logins).expect("a file");
    (server, files)
}

/// Tries the logins of a file against their server.
fn check(
    name: &str,
    command: Result<Command, Missing>,
    prepared: impl FnOnce() -> (Server, tempfile::TempDir),
) {
    let mut command = match command {
        Ok(command) => command,
        Err(missing) => return skip(name, &missing),
    };
    let (server, files) = prepared();
    command
        .arg("--logins")
        .arg(files.path().join("logins.json"));
    match bounded::run(&mut command, LIMIT) {
        Ok(printed) => print!("{printed}"),
        Err(reason) => panic!("{reason}\nthe server's log:\n{}", server.log()),
    }
}

#[test]
fn logins_confluent_kafka() {
    let script = python_script("python", "logins_confluent_kafka.py");
    check("logins_confluent_kafka", script, with_tokens);
}

#[test]
fn logins_kafka_python_2() {
    let script = python_script("kafka-python-2", "logins_kafka_python.py");
    check("logins_kafka_python_2", script, with_tokens);
}

#[test]
fn logins_kafka_python_3() {
    let script = python_script("python", "logins_kafka_python.py");
    check("logins_kafka_python_3", script, with_tokens);
}

#[test]
fn logins_kafkajs() {
    check("logins_kafkajs", node_script("logins.js"), with_tokens);
}

#[test]
fn logins_kcat() {
    let script =
        install::program("kcat", &["-V"]).and_then(|_| python_script("python", "logins_kcat.py"));
    check("logins_kcat", script, without_tokens);
}

/// The only tokens kcat makes are ones that nobody has signed, and it can't be given others.
#[test]
fn unsigned_tokens_kcat() {
    let script =
        install::program("kcat", &["-V"]).and_then(|_| python_script("python", "logins_kcat.py"));
    check("unsigned_tokens_kcat", script, with_unsigned_tokens);
}

#[test]
fn logins_java_3() {
    check("logins_java_3", java("kafka-3", "Login"), with_tokens);
}

#[test]
fn logins_java_4() {
    check("logins_java_4", java("kafka-4", "Login"), with_tokens);
}
