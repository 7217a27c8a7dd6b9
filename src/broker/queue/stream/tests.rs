//! A stream without locks, files and clocks.
