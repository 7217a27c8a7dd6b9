//! A message as octets: everything that a restart must give back.

use super::octets::{Malformed, Reader, put_number, put_octets};
use crate::broker::{Message, Parts, memory::Account, message::Recovered};

const PERSISTENT: u8 = 1;
const HAS_DEATHS: u8 = 2;
const EXPIRES: u8 = 4;
const HAS_HIDDEN_KEYS: u8 = 8;

/// Appends a message.
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    let hidden_keys = message.hidden_keys();
    let mut flags = 0;
    for (flag, set) in [
        (PERSISTENT, message.is_persistent()),
        (HAS_DEATHS, message.has_deaths()),
        (EXPIRES, message.expiration().is_some()),
        (HAS_HIDDEN_KEYS, !hidden_keys.is_empty()),
    ] {
        flags |= if set { flag } else { 0 };
    }
    out.push(flags);
    out.push(message.priority());
    if let Some(expiration) = message.expiration() {
        put_number(out, expiration);
    }
    put_octets(out, message.exchange());
    put_octets(out, message.routing_key());
    put_octets(out, message.properties());
    if !hidden_keys.is_empty() {
        put_octets(out, hidden_keys);
    }
    put_number(out, message.body_length());
    match message.inline_body() {
        Some(body) => out.extend_from_slice(body),
        None => message.pieces().iter().for_each(|piece| out.extend_from_slice(piece)),
    }
}

/// Octets that [`encode`] appends at most; exact but for a few octets of lengths.
pub fn encoded_length_max(message: &Message) -> usize {
    let names = message.exchange().len() + message.routing_key().len();
    let lists = message.properties().len() + message.hidden_keys().len();
    64 + names + lists + usize::try_from(message.body_length()).unwrap_or(usize::MAX / 2)
}

/// The parts of an encoded message, still where they are.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub persistent: bool,
    pub has_deaths: bool,
    pub priority: u8,
    pub expiration: Option<u64>,
    pub exchange: &'a [u8],
    pub routing_key: &'a [u8],
    pub properties: &'a [u8],
    pub hidden_keys: &'a [u8],
    pub body: &'a [u8],
}

impl<'a> View<'a> {
    /// Takes an encoded message apart, up to where it ends.
    pub fn decode(reader: &mut Reader<'a>) -> Result<View<'a>, Malformed> {
        let flags = reader.octet()?;
        let priority = reader.octet()?;
        let expiration = if flags & EXPIRES != 0 { Some(reader.number()?) } else { None };
        let (exchange, routing_key) = (reader.octets()?, reader.octets()?);
        if 255 < exchange.len() || 255 < routing_key.len() {
            return Err(Malformed);
        }
        let properties = reader.octets()?;
        let hidden_keys = if flags & HAS_HIDDEN_KEYS != 0 { reader.octets()? } else { &[] };
        Ok(View {
            persistent: flags & PERSISTENT != 0,
            has_deaths: flags & HAS_DEATHS != 0,
            priority,
            expiration,
            exchange,
            routing_key,
            properties,
            hidden_keys,
            body: reader.octets()?,
        })
    }

    /// The message itself.
    pub fn message(&self, account: Account, scratch: &mut Vec<u8>) -> Message {
        let parts = Parts {
            exchange: self.exchange,
            routing_key: self.routing_key,
            properties: self.properties,
            persistent: self.persistent,
            priority: self.priority,
            expiration: self.expiration,
            account,
        };
        let recovered = Recovered { has_deaths: self.has_deaths, hidden_keys: self.hidden_keys };
        Message::recovered(&parts, recovered, self.body, scratch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_comes_back_as_it_was(
            names in ("[a-z.]{0,60}", "[a-z.]{0,60}"),
            properties: Vec<u8>,
            body in proptest::collection::vec(any::<u8>(), 0..6000),
            persistent: bool,
            priority: u8,
            expiration in proptest::option::of(0..u64::MAX),
            hidden: Option<Vec<u8>>,
        ) {
            let parts = Parts {
                exchange: names.0.as_bytes(),
                routing_key: names.1.as_bytes(),
                properties: &properties,
                persistent,
                priority,
                expiration,
                account: Account::UNCOUNTED,
            };
            let mut scratch = Vec::new();
            let mut message = Message::new(&parts, &body, &mut scratch);
            if let Some(key) = &hidden {
                message = message.with_hidden_keys([&key[..]], &mut scratch);
                message = message.after_death(&parts, message.hidden_keys(), &mut scratch);
            }
            let mut octets = Vec::new();
            encode(&message, &mut octets);
            prop_assert!(octets.len() <= encoded_length_max(&message));
            let mut reader = Reader::new(&octets);
            let found = View::decode(&mut reader).unwrap().message(Account::UNCOUNTED, &mut scratch);
            prop_assert_eq!(reader.end(), Ok(()));
            let mut again = Vec::new();
            encode(&found, &mut again);
            prop_assert_eq!(&octets, &again);
            prop_assert_eq!(found.has_deaths(), hidden.is_some());
            prop_assert_eq!(found.hidden_keys(), message.hidden_keys());
            prop_assert_eq!((found.priority(), found.expiration()), (priority, expiration));
        }

        #[test]
        fn any_octets_are_a_message_or_refused(octets: Vec<u8>) {
            let _ = View::decode(&mut Reader::new(&octets));
        }
    }
}
