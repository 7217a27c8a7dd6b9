//! What goes wrong on the wire, named by whom it closes.

use super::{Limit, MethodId, ReplyCode};

/// Octets of a reply-text, a short string (CON-140).
const REPLY_TEXT_MAX: usize = 255;

/// What an error closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// channel.close; the connection lives on.
    Channel,
    /// connection.close.
    Connection,
}

/// An error that the peer is told with channel.close or connection.close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    pub scope: Scope,
    pub code: ReplyCode,
    /// The complete reply-text, `CODE_NAME - explanation`, at most 255 octets.
    pub text: String,
    /// The method at fault; zeros when no method was (CON-141).
    pub method: MethodId,
    /// The limit that the peer ran into, if it was one.
    pub limit: Option<Limit>,
}

impl Failure {
    /// An error that closes the channel.
    pub fn channel(code: ReplyCode, explanation: impl AsRef<str>) -> Failure {
        Failure::new(Scope::Channel, code, explanation.as_ref())
    }

    /// An error that closes the connection.
    pub fn connection(code: ReplyCode, explanation: impl AsRef<str>) -> Failure {
        Failure::new(Scope::Connection, code, explanation.as_ref())
    }

    fn new(scope: Scope, code: ReplyCode, explanation: &str) -> Failure {
        let text = reply_text(code, explanation);
        Failure { scope, code, text, method: MethodId::NONE, limit: None }
    }

    /// Names the method at fault, unless one is named already.
    pub fn at(mut self, method: MethodId) -> Failure {
        if self.method == MethodId::NONE {
            self.method = method;
        }
        self
    }

    /// Names the limit that the peer ran into.
    pub fn over(mut self, limit: Limit) -> Failure {
        self.limit = Some(limit);
        self
    }
}

/// `CODE_NAME - explanation`, cut on a character boundary to what a short string holds.
fn reply_text(code: ReplyCode, explanation: &str) -> String {
    let mut text = match explanation {
        "" => code.name().to_owned(),
        explanation => format!("{} - {explanation}", code.name()),
    };
    if REPLY_TEXT_MAX < text.len() {
        text.truncate(text.floor_char_boundary(REPLY_TEXT_MAX - 3));
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn con_140_long_texts_are_cut_on_a_character_boundary() {
        let failure = Failure::channel(ReplyCode::NotFound, "ü".repeat(200));
        assert!(failure.text.len() <= 255);
        assert!(failure.text.starts_with("NOT_FOUND - ü") && failure.text.ends_with("ü..."));
    }
}
