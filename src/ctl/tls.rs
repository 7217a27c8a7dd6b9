//! TLS to a management interface: whom to trust, and with which certificate to come.

use std::{fs, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    },
};

/// Where systems keep the certificates that they trust; the first that is there counts.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What of the broker's certificate has to be right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Check {
    #[default]
    All,
    /// Who issued it and its time, whatever name it has.
    AllButName,
    Nothing,
}

/// How to speak TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    pub check: Check,
    /// Issuers to trust beside those that the system trusts.
    pub ca: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
}

impl Tls {
    /// Shakes hands with the host.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("'{host}' is not a name that certificates have"))?;
        let connector = TlsConnector::from(Arc::new(self.config()?));
        connector.connect(name, stream).await.map_err(|error| error.to_string())
    }

    fn config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let roots = Arc::new(self.roots()?);
        let inner = match self.check {
            Check::Nothing => None,
            Check::All | Check::AllButName => {
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
                let nobody =
                    |error| format!("no issuer of certificates is trusted ({error}); name a file of them");
                Some(verifier.map_err(nobody)?)
            }
        };
        let verifier = Verifier { inner, check: self.check, provider };
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        match (&self.cert, &self.key) {
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(cert), key) => {
                // As with other programs, the key may be in the same file.
                let key = key.as_ref().unwrap_or(cert);
                let chain = certificates(cert)?;
                let key = PrivateKeyDer::from_pem_slice(&read(key)?)
                    .map_err(|_| format!("the file {key} has no private key in PEM without a password"))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| format!("{cert}: {error}"))
            }
            (None, Some(_)) => Err("a key without its certificate".to_owned()),
        }
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let system = SYSTEM.iter().find_map(|path| certificates(path).ok()).unwrap_or_default();
        roots.add_parsable_certificates(system);
        if let Some(path) = &self.ca {
            for root in certificates(path)? {
                roots.add(root).map_err(|error| format!("{path}: {error}"))?;
            }
        }
        Ok(roots)
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read the file {path}: {error}"))
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| format!("the file {path} has no certificate in PEM"))
}

/// Looks at as much as it was told to. That who answers has the certificate's key is always looked at.
#[derive(Debug)]
struct Verifier {
    /// `None` to take any certificate.
    inner: Option<Arc<WebPkiServerVerifier>>,
    check: Check,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        use CertificateError::{NotValidForName, NotValidForNameContext};
        match inner.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is looked at last, once everything else was right.
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
                if self.check == Check::AllButName =>
            {
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
