//! TLS: certificates and keys from files, handshakes, who the peer's certificate says it is.
//!
//! Listeners hand it a socket and get back a stream that reads and writes as the socket did ([`Tls::accept`]), so
//! whatever is above it does not know whether it is encrypted. What files say is read once, and again when they
//! change ([`Tls::reload`]): connections that are open keep what they began with.

mod accept;
mod certificate;
mod der;
mod load;
mod names;
mod reload;
mod settings;
#[cfg(test)]
mod tests;

pub use accept::{AcceptError, TlsStream};
pub use certificate::{Certificate, CertificateError};
pub use load::LoadError;
pub use reload::{LoadedCertificate, Tls};
pub use settings::{AlternativeName, LoginFrom, LoginName, NamedPair, TlsSettings, TlsVersion, Verify};
