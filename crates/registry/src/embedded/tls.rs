//! TLS for the embedded registry.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::OpenError;
use crate::pem::{at_fault, certificates, private_key};

/// What it takes to serve over TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// Reads the server's certificate chain and private key from PEM files. With a `client_ca_file`
    /// only clients with a certificate from one of its authorities are let in.
    ///
    /// # Errors
    /// [`OpenError::Tls`] names the file that can't be used.
    pub fn load(
        certificate_file: &Path,
        key_file: &Path,
        client_ca_file: Option<&Path>,
    ) -> Result<ServerTls, OpenError> {
        configured(certificate_file, key_file, client_ca_file)
            .map(|config| ServerTls(Arc::new(config)))
            .map_err(OpenError::Tls)
    }

    pub(super) fn acceptor(self) -> TlsAcceptor {
        TlsAcceptor::from(self.0)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

fn configured(
    certificate_file: &Path,
    key_file: &Path,
    client_ca_file: Option<&Path>,
) -> Result<ServerConfig, String> {
    let chain = certificates("certificate_file", certificate_file)?;
    let key = private_key("key_file", key_file)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?;
    let builder = match client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client_ca_file", path)? {
                let added = roots.add(certificate);
                added.map_err(|error| at_fault("client_ca_file", path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| at_fault("client_ca_file", path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder
        .with_single_cert(chain, key)
        .map_err(|error| at_fault("certificate_file", certificate_file, &error))
}
