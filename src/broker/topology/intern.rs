//! Octet strings numbered while somebody uses them: words of topic patterns, names of headers.
//!
//! A routing key's word or a message's header name is hashed once, and from there on it is a number.

use super::slab::Slab;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// The number of an interned string, valid until it is released as often as it was acquired.
pub(super) type InternId = u32;

/// The strings in use and their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Interner {
    ids: HashMap<Box<[u8]>, InternId, RandomState>,
    uses: Slab<Use>,
}

#[derive(Clone, Debug)]
struct Use {
    text: Box<[u8]>,
    count: u32,
}

impl Interner {
    pub(super) fn find(&self, text: &[u8]) -> Option<InternId> {
        self.ids.get(text).copied()
    }

    /// The number of `text`, which is kept until released.
    pub(super) fn acquire(&mut self, text: &[u8]) -> InternId {
        if let Some(id) = self.find(text) {
            self.uses[id].count += 1;
            return id;
        }
        let id = self.uses.insert(Use { text: text.into(), count: 1 });
        self.ids.insert(text.into(), id);
        id
    }

    /// Takes back one [`Interner::acquire`].
    pub(super) fn release(&mut self, id: InternId) {
        self.uses[id].count -= 1;
        if self.uses[id].count == 0 {
            let Use { text, .. } = self.uses.remove(id);
            self.ids.remove(&text);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_keeps_its_number_while_in_use() {
        let mut interner = Interner::default();
        let (a, b) = (interner.acquire(b"a"), interner.acquire(b"b"));
        assert_ne!(a, b);
        assert_eq!((interner.acquire(b"a"), interner.find(b"a")), (a, Some(a)));
        interner.release(a);
        assert_eq!(interner.find(b"a"), Some(a));
        interner.release(a);
        assert_eq!(interner.find(b"a"), None);
        interner.release(b);
        assert!(interner.is_empty());
    }
}
