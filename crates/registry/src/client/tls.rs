//! TLS for the client: rustls on aws-lc-rs, the system's roots and what the configuration adds.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use super::config::Tls;
use crate::error::RegistryError;
use crate::pem::{at_fault, certificates, private_key};

/// Builds the TLS configuration. `wanted` says whether a URL is `https`: reading the system's roots
/// takes milliseconds that a plain client needn't spend, and may fail on a machine that has none.
pub(super) fn client_config(tls: &Tls, wanted: bool) -> Result<ClientConfig, RegistryError> {
    configured(tls, wanted).map_err(RegistryError::Configuration)
}

fn configured(tls: &Tls, wanted: bool) -> Result<ClientConfig, String> {
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
        return Err(
            "no certificate authority is known: the system's store is empty, and there is \
                    no ca_file"
                .into(),
        );
    }

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots);
    match (&tls.certificate_file, &tls.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates("certificate_file", certificate)?;
            let private = private_key("key_file", key)?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| at_fault("certificate_file", certificate, &error))
        }
        _ => Err("a client certificate needs both certificate_file and key_file".into()),
    }
}
