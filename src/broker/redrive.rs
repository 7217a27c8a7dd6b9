//! Sending messages elsewhere by hand: under new names, or back to where they were before they died.

use super::{
    Message, Parts,
    death::{first_publish, is_history},
};
use crate::amqp::properties::{Change, Properties, rewrite};

/// The message under other names; its history stays with it.
pub fn readdressed(message: &Message, exchange: &[u8], routing_key: &[u8], scratch: &mut Vec<u8>) -> Message {
    let parts = parts(message, exchange, routing_key, message.properties());
    message.renamed(&parts, message.has_deaths(), scratch)
}

/// The message as it was before it died for the first time, as far as its history tells; `None` when it never
/// died.
pub fn revived(message: &Message, scratch: &mut Vec<u8>) -> Option<Message> {
    let scanned = Properties::scan(message.properties(), usize::MAX).ok()?;
    let headers = scanned.headers()?;
    let (exchange, routing_key) = first_publish(message, headers)?;
    let mut kept = Vec::with_capacity(headers.as_bytes().len());
    headers.copy_fields(&mut kept, |name| !is_history(name));
    let properties = rewrite(message.properties(), Change::Headers(&kept));
    let parts = parts(message, exchange, routing_key, &properties);
    Some(message.renamed(&parts, false, scratch))
}

fn parts<'a>(
    message: &Message,
    exchange: &'a [u8],
    routing_key: &'a [u8],
    properties: &'a [u8],
) -> Parts<'a> {
    Parts {
        exchange,
        routing_key,
        properties,
        persistent: message.is_persistent(),
        priority: message.priority(),
        expiration: message.expiration(),
        account: message.account(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{
        death::{DeadLetters, Demise, dead_letter},
        memory::Account,
        queue::Death,
    };

    /// Headers with one field, `a` = true.
    const PROPERTIES: &[u8] = &[0x20, 0, 0, 0, 0, 4, 1, b'a', b't', 1];

    fn message() -> Message {
        let parts = Parts {
            exchange: b"orders",
            routing_key: b"new",
            properties: PROPERTIES,
            persistent: true,
            priority: 0,
            expiration: None,
            account: Account::open(),
        };
        Message::new(&parts, b"body", &mut Vec::new())
    }

    #[test]
    fn the_dead_come_back_as_they_were() {
        let scratch = &mut Vec::new();
        assert!(revived(&message(), scratch).is_none());
        let demise = Demise { queue: "q", reason: Death::Rejected, now: 5 };
        let to = DeadLetters { exchange: "dlx", routing_key: Some("dead") };
        let dead = dead_letter(&message(), &demise, &to, scratch);
        let again = Demise { queue: "parking", reason: Death::Expired, now: 6 };
        let twice = dead_letter(&dead, &again, &to, scratch);
        for dead in [dead, twice] {
            let revived = revived(&dead, scratch).unwrap();
            assert_eq!((revived.exchange(), revived.routing_key()), (&b"orders"[..], &b"new"[..]));
            assert_eq!((revived.properties(), revived.has_deaths()), (PROPERTIES, false));
            assert_eq!(revived.inline_body(), Some(&b"body"[..]));
        }
    }

    #[test]
    fn new_names_change_nothing_else() {
        let moved = readdressed(&message(), b"", b"other", &mut Vec::new());
        assert_eq!((moved.exchange(), moved.routing_key()), (&b""[..], &b"other"[..]));
        assert_eq!((moved.properties(), moved.inline_body()), (PROPERTIES, Some(&b"body"[..])));
        assert!(moved.is_persistent());
    }
}
