#![no_main]
use libfuzzer_sys::fuzz_target;
fuzz_target!(|o: &[u8]| { let _ = o; });
