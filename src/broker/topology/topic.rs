//! Topic exchange: binding keys are patterns of words, `*` for one word and `#` for any number (EXC-50 to 66).
//!
//! The patterns form a trie, and a routing key walks it once, word by word, carrying the set of nodes reached so
//! far. A node has one parent, so it is reached at most once per word unless it lies below a `#`; those are
//! remembered once reached. So the work is bounded by words times nodes, however many `#` a pattern has.

use super::binding::{Binding, Destination};
use super::intern::{InternId, Interner};
use super::multiset::Multiset;
use super::seen::Seen;
use super::slab::Slab;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

type NodeId = u32;

/// The trie of a topic exchange's binding keys.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    nodes: Slab<Node>,
    root: NodeId,
    words: Interner,
    literals: HashMap<(NodeId, InternId), NodeId, FixedState>,
}

/// The place after a prefix of a pattern.
#[derive(Clone, Debug)]
struct Node {
    // How many literal words lead on from here; the edges themselves are in `Topic::literals`.
    literals: u32,
    star: Option<NodeId>,
    hash: Option<NodeId>,
    // Whether a '#' is on the way here, this node included: only then can it be reached with several words.
    past_hash: bool,
    destinations: Multiset<Destination>,
}

/// Space to match in, kept between messages.
#[derive(Clone, Debug, Default)]
pub(super) struct TopicScratch {
    active: Vec<NodeId>,
    next: Vec<NodeId>,
    // '#' nodes with something after them: once reached they stay reached.
    sticky: Vec<NodeId>,
    reached: Seen,
}

impl Default for Topic {
    fn default() -> Self {
        let mut nodes = Slab::default();
        let root = nodes.insert(Node::new(false));
        Self { nodes, root, words: Interner::default(), literals: HashMap::default() }
    }
}

impl Node {
    fn new(past_hash: bool) -> Self {
        Self { literals: 0, star: None, hash: None, past_hash, destinations: Multiset::default() }
    }

    fn leads_on(&self) -> bool {
        0 < self.literals || self.star.is_some() || self.hash.is_some()
    }
}

/// The words of a key: none if it is empty, else one more than it has dots.
fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let count = if key.is_empty() { 0 } else { usize::MAX };
    key.split(|octet| *octet == b'.').take(count)
}

/// The words of a binding key, with runs of `#` made one, which matches the same.
fn pattern(key: &str) -> impl Iterator<Item = &[u8]> {
    let mut after_hash = false;
    words(key.as_bytes()).filter(move |word| {
        let is_hash = *word == b"#";
        let repeated = is_hash && after_hash;
        after_hash = is_hash;
        !repeated
    })
}

impl Topic {
    pub(super) fn insert(&mut self, binding: &Binding) {
        let mut node = self.root;
        for word in pattern(&binding.routing_key) {
            node = self.child(node, word).unwrap_or_else(|| self.grow(node, word));
        }
        self.nodes[node].destinations.insert(binding.destination);
    }

    pub(super) fn remove(&mut self, binding: &Binding) {
        let mut path = vec![(self.root, &b""[..])];
        for word in pattern(&binding.routing_key) {
            let (node, _) = path[path.len() - 1];
            path.push((self.child(node, word).expect("a binding's path exists"), word));
        }
        let (last, _) = path[path.len() - 1];
        self.nodes[last].destinations.remove(binding.destination);
        for step in path.windows(2).rev() {
            let ((parent, _), (node, word)) = (step[0], step[1]);
            if self.nodes[node].leads_on() || !self.nodes[node].destinations.is_empty() {
                return;
            }
            self.prune(parent, word, node);
        }
    }

    /// Appends the destinations of every pattern that `key` matches, those matched twice perhaps twice.
    pub(super) fn route(&self, key: &[u8], scratch: &mut TopicScratch, found: &mut Vec<Destination>) {
        scratch.active.clear();
        scratch.sticky.clear();
        scratch.reached.clear();
        self.reach(self.root, scratch, found);
        std::mem::swap(&mut scratch.active, &mut scratch.next);
        for word in words(key) {
            self.step(word, scratch, found);
            if scratch.active.is_empty() && scratch.sticky.is_empty() {
                return;
            }
        }
        for node in &scratch.active {
            found.extend(self.nodes[*node].destinations.iter());
        }
    }

    /// Moves every node reached on by one word.
    fn step(&self, word: &[u8], scratch: &mut TopicScratch, found: &mut Vec<Destination>) {
        let word = self.words.find(word);
        // A '#' reached by this word begins to swallow words with the next one.
        let sticky = scratch.sticky.len();
        for index in 0..scratch.active.len() {
            self.advance(scratch.active[index], word, scratch, found);
        }
        for index in 0..sticky {
            self.advance(scratch.sticky[index], word, scratch, found);
        }
        std::mem::swap(&mut scratch.active, &mut scratch.next);
        scratch.next.clear();
    }

    fn advance(
        &self,
        node: NodeId,
        word: Option<InternId>,
        scratch: &mut TopicScratch,
        found: &mut Vec<Destination>,
    ) {
        let Node { literals, star, .. } = self.nodes[node];
        if let Some(star) = star {
            self.reach(star, scratch, found);
        }
        if let Some(word) = word.filter(|_| 0 < literals)
            && let Some(literal) = self.literals.get(&(node, word))
        {
            self.reach(*literal, scratch, found);
        }
    }

    /// Marks a node as reached with the current word, and with it the `#` after it, which needs no word.
    fn reach(&self, node: NodeId, scratch: &mut TopicScratch, found: &mut Vec<Destination>) {
        scratch.next.push(node);
        let Node { hash: Some(hash_id), past_hash, .. } = self.nodes[node] else { return };
        if past_hash && !scratch.reached.insert(hash_id) {
            return;
        }
        let hash = &self.nodes[hash_id];
        // Whatever follows matches a final '#', so its destinations are certain now.
        found.extend(hash.destinations.iter());
        if hash.leads_on() {
            scratch.sticky.push(hash_id);
        }
    }

    fn child(&self, node: NodeId, word: &[u8]) -> Option<NodeId> {
        match word {
            b"*" => self.nodes[node].star,
            b"#" => self.nodes[node].hash,
            literal => {
                let word = self.words.find(literal)?;
                self.literals.get(&(node, word)).copied()
            }
        }
    }

    fn grow(&mut self, parent: NodeId, word: &[u8]) -> NodeId {
        let past_hash = self.nodes[parent].past_hash || word == b"#";
        let node = self.nodes.insert(Node::new(past_hash));
        match word {
            b"*" => self.nodes[parent].star = Some(node),
            b"#" => self.nodes[parent].hash = Some(node),
            literal => {
                let word = self.words.acquire(literal);
                self.literals.insert((parent, word), node);
                self.nodes[parent].literals += 1;
            }
        }
        node
    }

    fn prune(&mut self, parent: NodeId, word: &[u8], node: NodeId) {
        match word {
            b"*" => self.nodes[parent].star = None,
            b"#" => self.nodes[parent].hash = None,
            literal => {
                let word = self.words.find(literal).expect("an edge's word is interned");
                self.literals.remove(&(parent, word));
                self.words.release(word);
                self.nodes[parent].literals -= 1;
            }
        }
        self.nodes.remove(node);
    }
}
