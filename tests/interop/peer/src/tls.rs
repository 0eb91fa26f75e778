/* SPDX-License-Identifier: Apache-2.0 */
//! TLS by certificates, from PEM files.

use crate::options::Options;
use ractor_cluster::IncomingEncryptionMode;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub fn incoming(options: &Options) -> Option<IncomingEncryptionMode> {
    let (chain, key) = identity(options)?;
    let builder = match options.tls_mutual {
        true => ServerConfig::builder().with_client_cert_verifier(
            WebPkiClientVerifier::builder(Arc::new(roots(options))).build().expect("bad CA"),
        ),
        false => ServerConfig::builder().with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain, key).expect("certificate and key do not fit");
    Some(IncomingEncryptionMode::Tls(TlsAcceptor::from(Arc::new(config))))
}

pub fn connector(options: &Options) -> TlsConnector {
    let builder = ClientConfig::builder().with_root_certificates(roots(options));
    let config = match identity(options) {
        Some((chain, key)) if options.tls_mutual => {
            builder.with_client_auth_cert(chain, key).expect("certificate and key do not fit")
        }
        _ => builder.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

pub fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_string()).map_err(|error| error.to_string())
}

fn identity(options: &Options) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let (cert, key) = (options.tls_cert.as_ref()?, options.tls_key.as_ref()?);
    let chain = CertificateDer::pem_file_iter(cert).expect("no certificate").map(|c| c.expect("bad certificate"));
    Some((chain.collect(), PrivateKeyDer::from_pem_file(key).expect("bad key")))
}

fn roots(options: &Options) -> RootCertStore {
    let mut store = RootCertStore::empty();
    if let Some(file) = &options.tls_ca {
        for cert in CertificateDer::pem_file_iter(file).expect("no CA") {
            store.add(cert.expect("bad CA")).expect("bad CA");
        }
    }
    store
}
