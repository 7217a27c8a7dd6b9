//! Decisions from the octets of an input: few octets a decision, so that random inputs already do a lot.

/// Reads decisions; when the octets end, it goes on with random ones that depend on nothing but the input.
pub struct Dice<'a> {
    octets: std::slice::Iter<'a, u8>,
    state: u64,
    /// Octets that are still made up.
    left: usize,
}

impl<'a> Dice<'a> {
    /// `more` octets are made up after those of `input`.
    pub fn new(input: &'a [u8], more: usize) -> Dice<'a> {
        let hash = |state: u64, octet: &u8| (state ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01B3);
        let state = input.iter().fold(0xCBF2_9CE4_8422_2325, hash) | 1;
        Dice { octets: input.iter(), state, left: more }
    }

    /// Whether there is anything left to decide.
    pub fn is_over(&self) -> bool {
        self.octets.len() == 0 && self.left == 0
    }

    pub fn octet(&mut self) -> u8 {
        if let Some(octet) = self.octets.next() {
            return *octet;
        }
        self.left = self.left.saturating_sub(1);
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 32) as u8
    }

    /// A number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.octet()) % count
    }

    pub fn coin(&mut self) -> bool {
        self.octet() & 1 != 0
    }

    /// True once in `count` times.
    pub fn rarely(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.octet()).collect()
    }
}
