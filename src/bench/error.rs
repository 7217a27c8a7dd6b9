//! What can end a run early, in the words shown to the user.

use std::io;

/// Every function of the tool that talks to a broker fails with this.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Nobody answers there.
    #[error("cannot connect to {target}: {error}")]
    Connect { target: String, error: io::Error },
    /// The broker sent connection.close or channel.close.
    #[error("the broker closed: {code} {text}")]
    Closed { code: u16, text: String },
    /// The broker sent something that has no place here.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
    /// The options do not fit together.
    #[error("{0}")]
    Options(String),
}

pub type Result<T> = std::result::Result<T, BenchError>;
