//! Writing and reading the log's numbers and strings.
//!
//! Numbers that are usually small are written seven bits an octet, lowest first, the top bit saying that more
//! follow; strings and lists of octets come after their length.

/// A record that does not hold what its kind promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record is not what its kind says it is")]
pub struct Malformed;

/// Appends a number in one to ten octets.
#[inline]
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends octets behind their length.
#[inline]
pub fn put_octets(out: &mut Vec<u8>, octets: &[u8]) {
    put_number(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

/// Takes apart what the `put` functions wrote.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(octets: &'a [u8]) -> Reader<'a> {
        Reader { rest: octets }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn octet(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7F);
            if shift == 63 && 1 < bits {
                return Err(Malformed);
            }
            number |= bits << shift;
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    /// A number that must fit.
    pub fn number_as<N: TryFrom<u64>>(&mut self) -> Result<N, Malformed> {
        N::try_from(self.number()?).map_err(|_| Malformed)
    }

    pub fn octets(&mut self) -> Result<&'a [u8], Malformed> {
        let length: usize = self.number_as()?;
        self.take(length)
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn string(&mut self) -> Result<String, Malformed> {
        let octets = self.octets()?;
        std::str::from_utf8(octets).map(str::to_owned).map_err(|_| Malformed)
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The end of the record, which must have come.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read_back(numbers: Vec<u64>, octets: Vec<u8>) {
            let mut out = Vec::new();
            numbers.iter().for_each(|number| put_number(&mut out, *number));
            put_octets(&mut out, &octets);
            let mut reader = Reader::new(&out);
            for number in numbers {
                prop_assert_eq!(reader.number(), Ok(number));
            }
            prop_assert_eq!(reader.octets(), Ok(&octets[..]));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn anything_is_read_or_refused(octets: Vec<u8>) {
            let mut reader = Reader::new(&octets);
            while reader.number().is_ok() {}
            let _ = Reader::new(&octets).string();
        }
    }

    #[test]
    fn numbers_that_are_too_long_are_refused() {
        let too_long = [0xFF; 11];
        assert_eq!(Reader::new(&too_long).number(), Err(Malformed));
        let too_large = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02];
        assert_eq!(Reader::new(&too_large).number(), Err(Malformed));
    }
}
