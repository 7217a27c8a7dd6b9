//! From files to what a handshake works with.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::rustls::{
    self, InconsistentKeys, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use super::{
    certificate::Certificate,
    settings::{TlsSettings, TlsVersion, Verify},
};

/// Why certificates cannot be used: one sentence with the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read the file {}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("the file {} has no certificate in PEM", path.display())]
    NoCertificate { path: PathBuf },
    #[error("the file {} has a certificate that cannot be read", path.display())]
    BadCertificate { path: PathBuf },
    #[error("the file {} has no private key in PEM", path.display())]
    NoKey { path: PathBuf },
    #[error("the private key in the file {} has a password; keep a copy without one", path.display())]
    EncryptedKey { path: PathBuf },
    #[error("certificate {} and key {} do not go together: {error}", cert.display(), key.display())]
    Pair { cert: PathBuf, key: PathBuf, error: rustls::Error },
    #[error("clients are to be verified, but no tls.ca says who issues their certificates")]
    NoIssuers,
    #[error("the issuers in the file {} cannot be used: {reason}", path.display())]
    Issuers { path: PathBuf, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    pub config: Arc<ServerConfig>,
    /// Each certificate of ours with its file, and the issuers of clients'.
    pub certificates: Vec<(PathBuf, Certificate)>,
}

/// Reads everything that the settings name.
pub fn load(settings: &TlsSettings) -> Result<Loaded, LoadError> {
    let provider = Arc::new(ring::default_provider());
    let mut certificates = Vec::new();
    let usual = pair(&settings.cert, &settings.key, &provider, &mut certificates)?;
    let mut by_name = HashMap::new();
    for named in &settings.names {
        let pair = pair(&named.cert, &named.key, &provider, &mut certificates)?;
        by_name.insert(named.name.to_ascii_lowercase(), pair);
    }
    let versions: &[_] = match settings.oldest {
        TlsVersion::V1_2 => &[&TLS13, &TLS12],
        TlsVersion::V1_3 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(LoadError::Setup)?;
    let builder = match settings.verify {
        Verify::None => builder.with_no_client_auth(),
        Verify::Optional | Verify::Required => {
            let path = settings.ca.as_ref().ok_or(LoadError::NoIssuers)?;
            let roots = Arc::new(issuers(path, &mut certificates)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = match settings.verify {
                Verify::Required => verifier,
                _ => verifier.allow_unauthenticated(),
            };
            let unusable = |error: rustls::server::VerifierBuilderError| LoadError::Issuers {
                path: path.clone(),
                reason: error.to_string(),
            };
            builder.with_client_cert_verifier(verifier.build().map_err(unusable)?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(Names { usual, by_name }));
    if settings.verify != Verify::None {
        // Resuming would let a client in again without a look at its certificate, which may have run out since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Loaded { config: Arc::new(config), certificates })
}

fn pair(
    cert: &Path,
    key: &Path,
    provider: &CryptoProvider,
    certificates: &mut Vec<(PathBuf, Certificate)>,
) -> Result<Arc<CertifiedKey>, LoadError> {
    let chain = chain(cert)?;
    let own = chain.first().ok_or_else(|| LoadError::NoCertificate { path: cert.to_owned() })?;
    let own = Certificate::read(own).map_err(|_| LoadError::BadCertificate { path: cert.to_owned() })?;
    certificates.push((cert.to_owned(), own));
    let apart = |error| LoadError::Pair { cert: cert.to_owned(), key: key.to_owned(), error };
    let signer = provider.key_provider.load_private_key(private_key(key)?).map_err(apart)?;
    let pair = CertifiedKey::new(chain, signer);
    match pair.keys_match() {
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        // The check does not read certificates of version 1, as plain commands make them. To serve them nobody need.
        Err(rustls::Error::InvalidCertificate(_)) if holds_public_key(&pair) => {}
        result => result.map_err(apart)?,
    }
    Ok(Arc::new(pair))
}

/// Whether the octets of the public key stand in the certificate.
fn holds_public_key(pair: &CertifiedKey) -> bool {
    let certificate = pair.cert.first().map(|certificate| certificate.as_ref());
    let (Some(certificate), Some(key)) = (certificate, pair.key.public_key()) else { return false };
    // A whole structure with its length in front, so that it is not found in the midst of something else.
    !key.is_empty() && certificate.windows(key.len()).any(|octets| octets == key.as_ref())
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|error| LoadError::File { path: path.to_owned(), error })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(LoadError::NoCertificate { path: path.to_owned() }),
        Ok(chain) => Ok(chain),
        Err(_) => Err(LoadError::BadCertificate { path: path.to_owned() }),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, LoadError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        // 'ENCRYPTED PRIVATE KEY' and the older 'Proc-Type: 4,ENCRYPTED'.
        let is_encrypted = text.windows(9).any(|octets| octets == b"ENCRYPTED");
        match is_encrypted {
            true => LoadError::EncryptedKey { path: path.to_owned() },
            false => LoadError::NoKey { path: path.to_owned() },
        }
    })
}

fn issuers(path: &Path, certificates: &mut Vec<(PathBuf, Certificate)>) -> Result<RootCertStore, LoadError> {
    let mut roots = RootCertStore::empty();
    for der in chain(path)? {
        let issuer =
            Certificate::read(&der).map_err(|_| LoadError::BadCertificate { path: path.to_owned() })?;
        certificates.push((path.to_owned(), issuer));
        let unusable =
            |error: rustls::Error| LoadError::Issuers { path: path.to_owned(), reason: error.to_string() };
        roots.add(der).map_err(unusable)?;
    }
    Ok(roots)
}

/// Certificates by the name that a client asks for.
#[derive(Debug)]
struct Names {
    usual: Arc<CertifiedKey>,
    /// In lower case.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Names {
    fn find(&self, name: &str) -> &Arc<CertifiedKey> {
        let name = name.to_ascii_lowercase();
        let exact = self.by_name.get(&name);
        let any_first_label = || {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        };
        exact.or_else(any_first_label).unwrap_or(&self.usual)
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(hello.server_name().map_or(&self.usual, |name| self.find(name)).clone())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::{super::tests::made, *};

    fn error(settings: &TlsSettings) -> String {
        load(settings).unwrap_err().to_string()
    }

    #[test]
    fn a_certificate_and_its_key_are_loaded() {
        let (_directory, settings) = made("one.example");
        let loaded = load(&settings).unwrap();
        assert_eq!(loaded.certificates.len(), 1);
        assert_eq!(loaded.certificates[0].0, settings.cert);
    }

    /// As plain `openssl x509 -req` makes them, without extensions; until the year 2126.
    const VERSION_1: [&str; 2] = [
        "-----BEGIN CERTIFICATE-----
MIIBJzCBzwIUF7ekEJg58QIwl6TNx5cYYUJtBrswCgYIKoZIzj0EAwIwFjEUMBIG
A1UEAwwLb25lLmV4YW1wbGUwIBcNMjYxMTIyMDM0MTEyWhgPMjEyNjEwMjkwMzQx
MTJaMBYxFDASBgNVBAMMC29uZS5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAE/QWLZovMBtgdtuTj6Gyo6ESrY6xOpDZdEHW9QOc0I9qGjo00Pr/XXzlB
9GpZUnJqvZCtfsJdAzZq3PDuuy4ejzAKBggqhkjOPQQDAgNHADBEAiBL0pSYlNqZ
mf+Nt5urDdZ9osvbhF+CD1nEm37b1KmoWgIgW+sTeQZq0ZlI7gQVC5l7Ksuwalmx
+MdRMKcRg9QOO04=
-----END CERTIFICATE-----
",
        "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVLBhdtksa90AIGwj
E8DpUD2NYfl0/GbIgU+wLZ/NeJehRANCAAT9BYtmi8wG2B225OPobKjoRKtjrE6k
Nl0Qdb1A5zQj2oaOjTQ+v9dfOUH0allScmq9kK1+wl0DNmrc8O67Lh6P
-----END PRIVATE KEY-----
",
    ];

    #[test]
    fn a_certificate_of_version_1_is_served_with_its_own_key_only() {
        let (_directory, settings) = made("one.example");
        std::fs::write(&settings.cert, VERSION_1[0]).unwrap();
        assert!(error(&settings).contains("do not go together"), "{}", error(&settings));
        std::fs::write(&settings.key, VERSION_1[1]).unwrap();
        assert_eq!(load(&settings).unwrap().certificates.len(), 1);
    }

    #[test]
    fn what_is_wrong_names_its_file() {
        let (directory, good) = made("one.example");
        let missing = TlsSettings { cert: directory.path().join("nowhere.pem"), ..good.clone() };
        assert!(error(&missing).contains("nowhere.pem"), "{}", error(&missing));
        let swapped = TlsSettings { cert: good.key.clone(), key: good.cert.clone(), ..good.clone() };
        assert!(error(&swapped).ends_with("key.pem has no certificate in PEM"), "{}", error(&swapped));
        let no_key = TlsSettings { key: good.cert.clone(), ..good.clone() };
        assert!(error(&no_key).ends_with("cert.pem has no private key in PEM"), "{}", error(&no_key));
        let no_issuers = TlsSettings { verify: Verify::Required, ..good.clone() };
        assert!(error(&no_issuers).contains("tls.ca"));
        let other = directory.path().join("other.pem");
        std::fs::write(&other, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let apart = TlsSettings { key: other.clone(), ..good.clone() };
        assert!(error(&apart).contains("do not go together"), "{}", error(&apart));
        std::fs::write(
            &other,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        )
        .unwrap();
        assert!(error(&apart).contains("has a password"), "{}", error(&apart));
    }

    #[test]
    fn clients_get_the_certificate_of_the_name_that_they_ask_for() {
        let provider = ring::default_provider();
        let key = |name: &str| {
            let (_directory, settings) = made(name);
            pair(&settings.cert, &settings.key, &provider, &mut Vec::new()).unwrap()
        };
        let [usual, exact, wild] = ["usual", "a.example", "*.b.example"].map(key);
        let by_name = [("a.example".to_owned(), exact.clone()), ("*.b.example".to_owned(), wild.clone())];
        let names = Names { usual: usual.clone(), by_name: by_name.into() };
        for (name, expected) in [
            ("a.example", &exact),
            ("A.Example", &exact),
            ("x.b.example", &wild),
            ("b.example", &usual),
            ("", &usual),
        ] {
            assert!(Arc::ptr_eq(names.find(name), expected), "{name}");
        }
    }
}
