//! What a TLS listener is told: files, how much is asked of clients, which name a certificate logs in.

use std::path::PathBuf;

/// Whether clients must show a certificate. One that is shown is always verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// None is asked for.
    #[default]
    None,
    /// One is asked for, and clients without one may come in.
    Optional,
    /// Only who has one comes in.
    Required,
}

/// The oldest version of TLS that is spoken. Older ones than these are never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    #[default]
    V1_2,
    V1_3,
}

/// Which part of a client's certificate is the name of a user (CON-22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginFrom {
    #[default]
    DistinguishedName,
    CommonName,
    AlternativeName,
}

/// A kind of alternative name of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AlternativeName {
    #[default]
    Dns,
    Ip,
    Email,
    Uri,
}

/// How a certificate becomes the name of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoginName {
    pub from: LoginFrom,
    /// Which alternative names, if these are asked.
    pub kind: AlternativeName,
    /// Which one of that kind, counted from 0.
    pub index: usize,
}

/// A certificate and key for clients that ask for a server of this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPair {
    /// As clients give it, or `*.example.org` for any first label.
    pub name: String,
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Everything about the TLS of a listener but its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate, followed by those that it was issued with, in PEM.
    pub cert: PathBuf,
    /// Its key, in PEM, without a password.
    pub key: PathBuf,
    /// Who issues certificates of clients, in PEM.
    pub ca: Option<PathBuf>,
    pub verify: Verify,
    pub oldest: TlsVersion,
    /// Other certificates, by the name that the client asks for.
    pub names: Vec<NamedPair>,
    pub login: LoginName,
}
