//! TLS towards the endpoint: rustls with ring, the system's certificates and the user's CA file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why TLS cannot be set up. The texts hold the cause, as those of [`super::DiscoverError`] do:
/// they travel to the coordinator as they are.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The user's CA file.
    #[error("cannot read certificates from {}: {why}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        why: rustls::pki_types::pem::Error,
    },
    /// A certificate in it.
    #[error("{} contains an invalid certificate: {why}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        why: rustls::Error,
    },
    /// The file is empty, or of another format.
    #[error("{} contains no PEM certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The crypto provider refused.
    #[error("cannot set up TLS: {0}")]
    Provider(rustls::Error),
}

/// The configuration for both the measured requests and the others.
pub(super) fn config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    // What the system has and can be parsed; none is no error, the CA file may be all there is.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        add(&mut roots, path)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let ca_file = |why| TlsError::CaFile { path: path.to_owned(), why };
    let mut found = false;
    for certificate in CertificateDer::pem_file_iter(path).map_err(ca_file)? {
        roots
            .add(certificate.map_err(ca_file)?)
            .map_err(|why| TlsError::Certificate { path: path.to_owned(), why })?;
        found = true;
    }
    if found { Ok(()) } else { Err(TlsError::NoCertificate { path: path.to_owned() }) }
}
