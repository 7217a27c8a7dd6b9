//! What the broker is set to, which a seed chooses anew for each start.

use crate::random::Random;

/// `--set` of one start.
pub type Settings = &'static [&'static str];

pub const DEFAULT: Settings = &[];
/// The log is trimmed all the time.
pub const TRIMMING: Settings = &["storage.segment_size=256KiB"];
/// And queues of more than a quarter of a MiB go to disk.
pub const PAGING: Settings = &["storage.segment_size=256KiB", "limits.resident_max=0"];
const PAGING_BY_DEFAULT: Settings = &["limits.resident_max=0"];
const UNSYNCED: Settings = &["storage.segment_size=256KiB", "limits.resident_max=0", "storage.sync=os"];

/// Those that promise to survive the loss of power.
pub const SYNCED: &[Settings] = &[DEFAULT, TRIMMING, PAGING, PAGING_BY_DEFAULT];
/// Those that promise to survive the end of the process.
pub const ALL: &[Settings] = &[PAGING, TRIMMING, DEFAULT, UNSYNCED, PAGING_BY_DEFAULT];

/// One of these, and says which.
pub fn chosen(random: &mut Random, among: &[Settings]) -> Settings {
    let settings = *random.one_of(among);
    eprintln!("the next broker is set to {settings:?}");
    settings
}
