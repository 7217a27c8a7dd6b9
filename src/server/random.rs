//! Random numbers from the kernel.

/// Sixteen octets from the kernel.
pub fn random() -> u128 {
    let mut octets = [0; 16];
    let mut filled = 0;
    while filled < octets.len() {
        let rest = octets.get_mut(filled..).unwrap_or_default();
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            // Names that can be guessed would be worse than no broker.
            Err(error) => panic!("the kernel gives no random numbers: {error}"),
        }
    }
    u128::from_ne_bytes(octets)
}
