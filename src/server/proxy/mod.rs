//! The PROXY protocol: what a proxy in front of the broker says of the client behind it.
//!
//! A header comes before everything else on a connection, TLS included. It is believed from networks that the
//! configuration trusts, and from these there is no connection without one.

mod header;
mod network;

pub use network::Network;

use std::io;

use tokio::{io::AsyncReadExt, net::TcpStream};

pub use header::{HEADER_MAX, Header, HeaderError, Parsed, parse};

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("the connection ended: {0}")]
    Lost(#[from] io::Error),
}

/// Takes the header off a connection, and nothing behind it.
pub async fn read_header(stream: &mut TcpStream) -> Result<Header, ProxyError> {
    let mut octets = [0; HEADER_MAX];
    let mut taken = 0;
    loop {
        let room = octets.get_mut(taken..).unwrap_or_default();
        let seen = taken + stream.peek(room).await?;
        if seen == taken {
            return Err(ProxyError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let parsed = parse(octets.get(..seen).unwrap_or_default())?;
        // While the header is not complete, all of what is there belongs to it.
        let end = match &parsed {
            Parsed::Header { length, .. } => *length,
            Parsed::Incomplete => seen,
        };
        stream.read_exact(octets.get_mut(taken..end).unwrap_or_default()).await?;
        taken = end;
        if let Parsed::Header { header, .. } = parsed {
            return Ok(header);
        }
    }
}
