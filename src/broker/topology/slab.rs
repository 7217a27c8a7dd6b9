//! A vector whose places are reused: small stable numbers for exchanges, queues, bindings and trie nodes.

/// Values addressed by the number they were given when inserted.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    places: Vec<Option<T>>,
    // Invariant: exactly the indices of the empty places.
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.places[index as usize] = Some(value);
            return index;
        }
        let index = u32::try_from(self.places.len()).expect("fewer than four billion of anything");
        self.places.push(Some(value));
        index
    }

    pub(super) fn remove(&mut self, index: u32) -> T {
        let value = self.places[index as usize].take().expect("removed once");
        self.free.push(index);
        value
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }
}

/// Indexing is for numbers that the owner knows to be live; a dead one is a bug and panics.
impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        self.places[index as usize].as_ref().expect("a number outlives its references")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.places[index as usize].as_mut().expect("a number outlives its references")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_reused() {
        let mut slab = Slab::default();
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!((slab[a], slab[b], slab.len()), ('a', 'b', 2));
        assert_eq!(slab.remove(a), 'a');
        assert_eq!(slab.len(), 1);
        let c = slab.insert('c');
        assert_eq!(c, a);
        assert_eq!(slab.values().collect::<Vec<_>>(), [&'c', &'b']);
    }
}
