//! Certificates and keys from PEM files, and what is wrong with them.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a file, at least one. `setting` names the file in errors.
pub(crate) fn certificates(
    setting: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| at_fault(setting, path, &error))?;
    if certificates.is_empty() {
        return Err(at_fault(setting, path, &"there is no certificate in it"));
    }
    Ok(certificates)
}

/// The private key of a file.
pub(crate) fn private_key(setting: &str, path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| at_fault(setting, path, &error))
}

/// Says which setting and file are at fault.
pub(crate) fn at_fault(setting: &str, path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{setting} {}: {error}", path.display())
}
