//! What chance decides at a crash: how much of what nobody synced is found afterwards.

/// The generator known as SplitMix64: a counter and a good hash of it.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// One crash in the making. Beside the mixed ones there are crashes that lose everything and crashes that
/// lose nothing, because programs break at both ends.
#[derive(Debug)]
pub struct Fate {
    random: Random,
    /// Of 16 decisions, how many are for survival.
    survivors: u64,
}

impl Fate {
    /// The fate that a seed stands for.
    pub fn new(seed: u64) -> Fate {
        let mut random = Random(seed);
        // Neighbouring seeds are nearly equal; their second numbers are not.
        random.next();
        let survivors = match random.below(8) {
            0 => 0,
            1 => 16,
            _ => 1 + random.below(15),
        };
        Fate { random, survivors }
    }

    /// Whether one thing survives.
    pub fn spares(&mut self) -> bool {
        self.random.below(16) < self.survivors
    }

    /// Whether a page is written sector by sector and not as one.
    pub fn tears(&mut self) -> bool {
        self.random.below(4) == 0
    }

    /// How many of so many changes in order survive: all, none, or the first few.
    pub fn survivors_of(&mut self, changes: usize) -> usize {
        if changes == 0 || !self.spares() {
            return 0;
        }
        if self.spares() {
            return changes;
        }
        usize::try_from(self.random.below(changes as u64 + 1)).unwrap_or(changes)
    }
}
