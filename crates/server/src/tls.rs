//! TLS for what is served: certificates from PEM files, looked at again now and then, so that a
//! certificate is renewed without a restart.
//!
//! TLS 1.2 and 1.3 by rustls with aws-lc-rs; nothing older, and no choice of ciphers to get wrong.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::interval;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{error, info};
use zeroize::Zeroizing;

use crate::auth::Principal;
use crate::auth::distinguished_name::subject;
use crate::auth::mapping::MappingRules;
use crate::config::TlsConfig;

/// A file of certificates or keys that is larger is none.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    /// They are not.
    Ignored,
    /// As `tls.client_auth` says.
    AsConfigured,
}

/// Where the certificates are, and what is made of them.
#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    /// Whether clients that are asked for a certificate must have one.
    required: bool,
}

/// What it takes to serve over TLS, as of now.
pub(crate) struct Tls {
    files: Files,
    rules: MappingRules,
    current: RwLock<Current>,
}

struct Current {
    /// For those that aren't asked for certificates, and for those that are as is configured.
    without_clients: Arc<ServerConfig>,
    with_clients: Arc<ServerConfig>,
    /// Of the files that these were made of.
    fingerprint: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Why a client isn't served over TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// What the client sent, or the socket, failed.
    #[error("the TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
    /// The certificate is good, and nobody's.
    #[error("no rule of tls.principal_mapping_rules fits the certificate's subject {0:?}")]
    Nobody(String),
}

impl Tls {
    /// Reads the files that the configuration names; none if it names none.
    ///
    /// # Errors
    /// What is wrong, and with which setting.
    pub(crate) fn load(config: &TlsConfig) -> Result<Option<Arc<Self>>, String> {
        let (Some(certificate), Some(key)) = (&config.certificate_path, &config.key_path) else {
            return Ok(None);
        };
        let rules = config
            .principal_mapping_rules
            .parse()
            .map_err(|error| format!("tls.principal_mapping_rules: {error}"))?;
        let files = Files {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: config
                .client_ca_path
                .clone()
                .filter(|_| config.client_auth != "none"),
            required: config.client_auth == "required",
        };
        let current = files.read()?;
        Ok(Some(Arc::new(Self {
            files,
            rules,
            current: RwLock::new(current),
        })))
    }

    /// Shakes hands; who the client's certificate says it is.
    ///
    /// # Errors
    /// If the client can't be served.
    pub(crate) async fn accept(
        &self,
        socket: TcpStream,
        client_auth: ClientAuth,
    ) -> Result<(TlsStream<TcpStream>, Principal), HandshakeError> {
        let stream = self.acceptor(client_auth).accept(socket).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let principal = match certificates.and_then(<[_]>::first) {
            None => Principal::anonymous(),
            Some(certificate) => {
                // The verifier has parsed it: it has a subject, if an empty one.
                let subject = subject(certificate).unwrap_or_default();
                match self.rules.name(&subject) {
                    Some(name) if !name.is_empty() => Principal::user(&name),
                    _ => return Err(HandshakeError::Nobody(subject)),
                }
            }
        };
        Ok((stream, principal))
    }

    /// What shakes hands, with the certificates of now.
    pub(crate) fn acceptor(&self, client_auth: ClientAuth) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(match client_auth {
            ClientAuth::Ignored => Arc::clone(&current.without_clients),
            ClientAuth::AsConfigured => Arc::clone(&current.with_clients),
        })
    }

    /// Looks at the files again and again, and takes over what is new and can be used.
    pub(crate) async fn keep_current(self: Arc<Self>, every: Duration) {
        let mut ticks = interval(every);
        ticks.tick().await;
        let mut failed = None;
        loop {
            ticks.tick().await;
            let tls = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || tls.reload()).await;
            match looked.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(changed) => {
                    if changed {
                        info!(certificate = %self.files.certificate.display(), "the TLS certificates are renewed");
                    }
                    failed = None;
                }
                // Half-written files look like this, too; the old ones serve on.
                Err(problem) => {
                    if failed.as_ref() != Some(&problem) {
                        error!(%problem, "the TLS files have changed and can't be used; those of before serve on");
                    }
                    failed = Some(problem);
                }
            }
        }
    }

    /// Takes over the files if they have changed; whether they have.
    fn reload(&self) -> Result<bool, String> {
        let fingerprint = self.files.fingerprint()?;
        let is_same = |current: &Current| current.fingerprint == fingerprint;
        if is_same(&self.current.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(false);
        }
        let current = self.files.read()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(true)
    }
}

impl Files {
    /// Tells these files from others, and from themselves when they have changed.
    fn fingerprint(&self) -> Result<Vec<u8>, String> {
        let mut hash = digest::Context::new(&SHA256);
        for (setting, path) in self.named() {
            let bytes = read_file(setting, path)?;
            hash.update(&(bytes.len() as u64).to_be_bytes());
            hash.update(&bytes);
        }
        Ok(hash.finish().as_ref().to_vec())
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let client_ca = self.client_ca.as_deref();
        [
            (CERTIFICATE, self.certificate.as_path()),
            (KEY, self.key.as_path()),
        ]
        .into_iter()
        .chain(client_ca.map(|path| (CLIENT_CA, path)))
    }

    fn read(&self) -> Result<Current, String> {
        let fingerprint = self.fingerprint()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = || {
            ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())
        };
        let chain = certificates(CERTIFICATE, &self.certificate)?;
        let key = private_key(&self.key)?;
        let finish = |config: Result<ServerConfig, rustls::Error>| {
            config
                .map(Arc::new)
                .map_err(|error| at_fault(CERTIFICATE, &self.certificate, &error))
        };
        let without_clients = finish(
            builder()?
                .with_no_client_auth()
                .with_single_cert(chain.clone(), key.clone_key()),
        )?;
        let with_clients = match &self.client_ca {
            None => Arc::clone(&without_clients),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(CLIENT_CA, path)? {
                    let added = roots.add(certificate);
                    added.map_err(|error| at_fault(CLIENT_CA, path, &error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots),
                    Arc::clone(&provider),
                );
                let verifier = match self.required {
                    true => verifier,
                    false => verifier.allow_unauthenticated(),
                };
                let verifier = verifier
                    .build()
                    .map_err(|error| at_fault(CLIENT_CA, path, &error))?;
                finish(
                    builder()?
                        .with_client_cert_verifier(verifier)
                        .with_single_cert(chain, key),
                )?
            }
        };
        Ok(Current {
            without_clients,
            with_clients,
            fingerprint,
        })
    }
}

/// What we trust where we are the client: the system's authorities, and those of a file, which `setting`
/// names.
pub(crate) fn client(setting: &str, ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        for certificate in certificates(setting, path)? {
            let added = roots.add(certificate);
            added.map_err(|error| at_fault(setting, path, &error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = builder.with_root_certificates(roots);
    Ok(Arc::new(builder.with_no_client_auth()))
}

const CERTIFICATE: &str = "tls.certificate_path";
const KEY: &str = "tls.key_path";
const CLIENT_CA: &str = "tls.client_ca_path";

/// The certificates of a file, at least one.
fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read_file(setting, path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| at_fault(setting, path, &error))?;
    match certificates.is_empty() {
        true => Err(at_fault(setting, path, &"there is no certificate in it")),
        false => Ok(certificates),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read_file(KEY, path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| at_fault(KEY, path, &error))
}

fn read_file(setting: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let read = || {
        let bytes = std::fs::metadata(path)?.len();
        match bytes > FILE_BYTES_MAX {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => std::fs::read(path),
        }
    };
    read()
        .map(Zeroizing::new)
        .map_err(|error| at_fault(setting, path, &error))
}

/// Says which setting and file are at fault.
fn at_fault(setting: &str, path: &Path, error: &dyn fmt::Display) -> String {
    format!("{setting} = {}: {error}", path.display())
}
