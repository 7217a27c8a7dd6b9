//! Certificates made for one test: an issuer, a server, clients. Nothing of it is kept.
#![allow(dead_code)] // Shared by several test binaries, none of which uses everything.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use leveret::Config;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// An issuer, and a directory for what the broker reads.
pub struct Pki {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// A certificate with its key, as a client has them.
pub struct Identity {
    pub cert: String,
    pub key: String,
}

impl Pki {
    /// An issuer, with a server's certificate for `localhost` in place.
    pub fn new() -> Pki {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = name("Test issuer");
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), cert.pem()).unwrap();
        let root = cert.der().clone();
        let pki = Pki { directory, issuer: Issuer::new(params, key), root };
        pki.write_server("cert.pem", "key.pem", |params| params.distinguished_name = name("first"));
        pki
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A certificate of this issuer.
    pub fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Identity { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// Writes a server's certificate for `localhost` and its key into files, the certificate last.
    pub fn write_server(&self, cert: &str, key: &str, change: impl FnOnce(&mut CertificateParams)) {
        let identity = self.issue(&["localhost"], change);
        std::fs::write(self.path(key), identity.key).unwrap();
        std::fs::write(self.path(cert), identity.cert).unwrap();
    }

    /// A client's certificate with a common name.
    pub fn client(&self, common_name: &str) -> Identity {
        self.issue(&[], |params| params.distinguished_name = name(common_name))
    }

    /// Sets the files, and listeners on free ports.
    pub fn configure(&self, config: &mut Config) {
        config.tls.cert = Some(self.path("cert.pem"));
        config.tls.key = Some(self.path("key.pem"));
        config.tls.ca = Some(self.path("ca.pem"));
        config.tls.amqp_listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.tls.management_listen = vec!["127.0.0.1:0".parse().unwrap()];
    }

    /// What a client needs that trusts the issuer, and has a certificate or none.
    pub fn client_config(
        &self,
        identity: Option<&Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { cert, key }) => {
                let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        Arc::new(config)
    }
}

/// A distinguished name of one part.
pub fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}
