//! Client and embedded registry over TLS, with and without certificates and passwords.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fletch_registry::{
    Auth, Client, ClientConfig, Embedded, EmbeddedConfig, MemoryJournal, NewSchema, OpenError,
    RegistryError, ServerTls, User, serve_tls,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;

/// PEM files of an authority, and of a certificate it issued to `localhost`.
struct Files {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

/// Makes a new authority; `name` keeps the files of tests apart.
fn files(name: &str) -> Files {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".into()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    Files {
        ca: write("ca.pem", authority_certificate.pem()),
        certificate: write("certificate.pem", certificate.pem()),
        key: write("key.pem", key.serialize_pem()),
    }
}

async fn served(files: &Files, client_ca: bool, users: Vec<User>) -> SocketAddr {
    let config = EmbeddedConfig {
        users,
        ..EmbeddedConfig::default()
    };
    let registry = Embedded::open_with(Arc::new(MemoryJournal::new()), config)
        .await
        .unwrap();
    let client_ca = client_ca.then_some(files.ca.as_path());
    let tls = ServerTls::load(&files.certificate, &files.key, client_ca).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_tls(listener, tls, registry, std::future::pending()));
    address
}

fn config(address: SocketAddr) -> ClientConfig {
    let mut config = ClientConfig::new(&format!("https://localhost:{}", address.port()));
    config.retry.rounds_max = 1;
    config.request_timeout = Duration::from_secs(5);
    config
}

async fn registers(config: ClientConfig) -> Result<u32, RegistryError> {
    Client::new(config)?
        .register("t", &NewSchema::avro("\"int\""))
        .await
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_only() {
    let (files, others) = (files("trusted"), files("untrusted"));
    let address = served(&files, false, Vec::new()).await;
    let mut trusting = config(address);
    trusting.tls.ca_file = Some(files.ca);
    assert_eq!(registers(trusting.clone()).await.unwrap(), 1);

    let mut misled = config(address);
    misled.tls.ca_file = Some(others.ca);
    let told = registers(misled).await.unwrap_err().to_string();
    assert!(told.contains("certificate"), "{told}");
    // The certificate is localhost's.
    trusting.urls = vec![format!("https://{address}").into()];
    let told = registers(trusting).await.unwrap_err().to_string();
    assert!(told.contains("certificate"), "{told}");
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let files = files("mutual");
    let address = served(&files, true, Vec::new()).await;
    let mut client = config(address);
    client.tls.ca_file = Some(files.ca.clone());
    assert!(registers(client.clone()).await.is_err());
    client.tls.certificate_file = Some(files.certificate);
    client.tls.key_file = Some(files.key);
    assert_eq!(registers(client.clone()).await.unwrap(), 1);
    client.tls.key_file = Some(files.ca);
    assert!(matches!(
        registers(client).await,
        Err(RegistryError::Configuration(_))
    ));
}

#[tokio::test]
async fn a_password_lets_in() {
    let files = files("password");
    let user = |name: &str| User {
        name: name.into(),
        password: format!("{name}-pass:word").into(),
    };
    let address = served(&files, false, vec![user("ann"), user("bob")]).await;
    let mut client = config(address);
    client.tls.ca_file = Some(files.ca);
    let refused = |told: Result<u32, RegistryError>| match told {
        Err(RegistryError::Unauthorized { answer, .. }) => assert_eq!(answer.status, 401),
        other => panic!("{other:?}"),
    };
    refused(registers(client.clone()).await);
    let basic = |name: &str, password: &str| Auth::Basic {
        user: name.into(),
        password: password.into(),
    };
    for auth in [
        basic("ann", "bob-pass:word"),
        basic("ann", "ann-pass:wor"),
        basic("", ""),
        Auth::Bearer("ann".into()),
    ] {
        client.auth = auth;
        refused(registers(client.clone()).await);
    }
    client.auth = basic("bob", "bob-pass:word");
    assert_eq!(registers(client.clone()).await.unwrap(), 1);
    client.auth = Auth::None;
    client.urls = vec![format!("https://ann:ann-pass%3Aword@localhost:{}", address.port()).into()];
    assert_eq!(registers(client).await.unwrap(), 1);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let files = files("unusable");
    let missing = PathBuf::from("/does/not/exist.pem");
    for (certificate, key, ca, named) in [
        (
            &missing,
            &files.key,
            None,
            "certificate_file /does/not/exist.pem",
        ),
        (
            &files.certificate,
            &missing,
            None,
            "key_file /does/not/exist.pem",
        ),
        (
            &files.certificate,
            &files.key,
            Some(missing.as_path()),
            "client_ca_file",
        ),
        (
            &files.key,
            &files.key,
            None,
            "there is no certificate in it",
        ),
        (&files.ca, &files.key, None, "certificate_file"),
    ] {
        let told = ServerTls::load(certificate, key, ca).unwrap_err();
        assert!(
            matches!(&told, OpenError::Tls(why) if why.contains(named)),
            "{named}: {told}"
        );
    }
}
