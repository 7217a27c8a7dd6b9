//! Handshakes, within bounds of time and memory, and what came of them.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{CipherSuite, ProtocolVersion, ServerConfig, ServerConnection},
    server,
};

use super::{certificate::Certificate, settings::LoginName};
use crate::engine::{Encryption, PeerCertificate};

/// Octets that a peer may send until its handshake is done; a long chain of certificates has a quarter of that.
const HANDSHAKE_OCTETS_MAX: usize = 32 << 10;

/// A stream that reads and writes what TLS carries.
pub type TlsStream = server::TlsStream<Counted>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The peer is told by an alert, as far as it understands that.
    #[error("{0}")]
    Handshake(io::Error),
    #[error("the handshake took longer than {} ms", .0.as_millis())]
    TooLate(Duration),
}

/// A socket from which only so much is read.
#[derive(Debug)]
pub struct Counted {
    stream: TcpStream,
    left: usize,
}

impl Counted {
    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left == usize::MAX {
            return Pin::new(&mut this.stream).poll_read(context, space);
        }
        if this.left == 0 {
            return Poll::Ready(Err(io::Error::other("the handshake is too long")));
        }
        let most = this.left.min(space.remaining());
        let mut part = ReadBuf::new(space.initialize_unfilled_to(most));
        let polled = Pin::new(&mut this.stream).poll_read(context, &mut part);
        let read = part.filled().len();
        this.left -= read;
        space.advance(read);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Makes a connection of a socket.
pub async fn accept(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    login: LoginName,
    patience: Duration,
) -> Result<(TlsStream, Encryption), AcceptError> {
    let counted = Counted { stream, left: HANDSHAKE_OCTETS_MAX };
    let accepted = tokio::time::timeout(patience, TlsAcceptor::from(config).accept(counted)).await;
    let mut stream = accepted.map_err(|_| AcceptError::TooLate(patience))?.map_err(AcceptError::Handshake)?;
    stream.get_mut().0.left = usize::MAX;
    let encryption = encryption(stream.get_ref().1, login);
    Ok((stream, encryption))
}

/// What was agreed on, in RabbitMQ's words.
fn encryption(connection: &ServerConnection, login: LoginName) -> Encryption {
    let is_newest = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
    let (cipher, key_exchange) = suite.map_or(("", ""), words);
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    Encryption {
        protocol: if is_newest { "tlsv1.3" } else { "tlsv1.2" },
        cipher,
        // All of them are of the kind that needs no other.
        hash: "aead",
        key_exchange: if is_newest { "any" } else { key_exchange },
        certificate: certificate.and_then(|der| {
            let certificate = Certificate::read(der).ok()?;
            Some(PeerCertificate {
                validity: certificate.validity(),
                user: certificate.login_name(login),
                subject: certificate.subject,
                issuer: certificate.issuer,
            })
        }),
    }
}

/// Cipher and key exchange of a suite.
fn words(suite: CipherSuite) -> (&'static str, &'static str) {
    use CipherSuite as S;
    match suite {
        S::TLS13_AES_128_GCM_SHA256 => ("aes_128_gcm", "any"),
        S::TLS13_AES_256_GCM_SHA384 => ("aes_256_gcm", "any"),
        S::TLS13_CHACHA20_POLY1305_SHA256 => ("chacha20_poly1305", "any"),
        S::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => ("aes_128_gcm", "ecdhe_rsa"),
        S::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => ("aes_256_gcm", "ecdhe_rsa"),
        S::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => ("chacha20_poly1305", "ecdhe_rsa"),
        S::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => ("aes_128_gcm", "ecdhe_ecdsa"),
        S::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => ("aes_256_gcm", "ecdhe_ecdsa"),
        S::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => ("chacha20_poly1305", "ecdhe_ecdsa"),
        _ => ("", ""),
    }
}
