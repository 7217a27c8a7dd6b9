//! Files of streams on disks that fail.
