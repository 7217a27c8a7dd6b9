//! Certificates for the tests of this module.

use rcgen::CertifiedKey;

use super::{TlsSettings, TlsVersion, Verify};

/// A directory with a certificate for `name`, its key, and settings that name both.
pub fn made(name: &str) -> (tempfile::TempDir, TlsSettings) {
    let directory = tempfile::tempdir().unwrap();
    let settings = TlsSettings {
        cert: directory.path().join("cert.pem"),
        key: directory.path().join("key.pem"),
        ca: None,
        verify: Verify::None,
        oldest: TlsVersion::V1_2,
        names: Vec::new(),
        login: Default::default(),
    };
    write(&settings, name);
    (directory, settings)
}

/// Writes a new certificate and key.
pub fn write(settings: &TlsSettings, name: &str) {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    std::fs::write(&settings.cert, cert.pem()).unwrap();
    std::fs::write(&settings.key, signing_key.serialize_pem()).unwrap();
}
