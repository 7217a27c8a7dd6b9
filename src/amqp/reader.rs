//! A bounds-checked cursor over received bytes.

/// The bytes ended before the value did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("truncated")]
pub struct Truncated;

/// Reads big-endian values from a slice; never reads past its end.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline]
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Truncated> {
        let (head, rest) = self.bytes.split_at_checked(length).ok_or(Truncated)?;
        self.bytes = rest;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(Truncated)?;
        self.bytes = rest;
        Ok(*head)
    }

    #[inline]
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    #[inline]
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    #[inline]
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A short string as raw octets: one length octet, then at most 255 octets.
    #[inline]
    pub fn short(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// A long string or the body of a table: four length octets, then the octets.
    #[inline]
    pub fn long(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| Truncated)?)
    }
}
