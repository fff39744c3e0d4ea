//! TLS for the client: rustls on aws-lc-rs, the system's roots and what the configuration adds.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::config::Tls;
use crate::error::RegistryError;

/// Builds the TLS configuration. `wanted` says whether a URL is `https`: reading the system's roots
/// takes milliseconds that a plain client needn't spend, and may fail on a machine that has none.
pub(super) fn client_config(tls: &Tls, wanted: bool) -> Result<ClientConfig, RegistryError> {
    let mut roots = RootCertStore::empty();
    if wanted {
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "a part of the system's certificate store can't be read");
        }
        let (_, ignored) = roots.add_parsable_certificates(system.certs);
        if ignored > 0 {
            tracing::debug!(
                ignored,
                "system certificates that can't be parsed were left out"
            );
        }
    }
    if let Some(path) = &tls.ca_file {
        for certificate in certificates("ca_file", path)? {
            roots
                .add(certificate)
                .map_err(|error| at_fault("ca_file", path, &error))?;
        }
    }
    if wanted && roots.is_empty() {
        return Err(RegistryError::Configuration(
            "no certificate authority is known: the system's store is empty, and there is no \
             ca_file"
                .into(),
        ));
    }

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| RegistryError::Configuration(format!("TLS: {error}")))?
        .with_root_certificates(roots);
    match (&tls.certificate_file, &tls.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates("certificate_file", certificate)?;
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| at_fault("key_file", key, &error))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| at_fault("certificate_file", certificate, &error))
        }
        _ => Err(RegistryError::Configuration(
            "a client certificate needs both certificate_file and key_file".into(),
        )),
    }
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, RegistryError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| at_fault(setting, path, &error))?;
    if certificates.is_empty() {
        return Err(RegistryError::Configuration(format!(
            "{setting} {}: no certificate in it",
            path.display()
        )));
    }
    Ok(certificates)
}

fn at_fault(setting: &str, path: &Path, error: &dyn std::fmt::Display) -> RegistryError {
    RegistryError::Configuration(format!("{setting} {}: {error}", path.display()))
}
