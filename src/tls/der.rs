//! Reads DER, the encoding of certificates: elements with a tag and a length. It copies nothing and trusts no length.

/// `SEQUENCE`.
pub const SEQUENCE: u8 = 0x30;
/// `SET`.
pub const SET: u8 = 0x31;
/// `OBJECT IDENTIFIER`.
pub const OID: u8 = 0x06;
/// `OCTET STRING`.
pub const OCTETS: u8 = 0x04;

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The elements in it.
    pub fn inside(&self) -> Der<'a> {
        Der(self.content)
    }
}

/// Elements in a row.
#[derive(Debug, Clone, Copy)]
pub struct Der<'a>(pub &'a [u8]);

impl<'a> Der<'a> {
    /// The next element if it has this tag; otherwise nothing is passed over.
    pub fn next_of(&mut self, tag: u8) -> Option<Element<'a>> {
        let (element, rest) = split(self.0)?;
        if element.tag != tag {
            return None;
        }
        self.0 = rest;
        Some(element)
    }
}

impl<'a> Iterator for Der<'a> {
    type Item = Element<'a>;

    /// `None` at the end and at what is no element.
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, rest) = split(self.0)?;
        self.0 = rest;
        Some(element)
    }
}

fn split(octets: &[u8]) -> Option<(Element<'_>, &[u8])> {
    /// Marks a tag whose number is in further octets, which certificates have none of.
    const LONG_TAG: u8 = 0x1F;
    let (tag, rest) = octets.split_first()?;
    if tag & LONG_TAG == LONG_TAG {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7F => (usize::from(*short), rest),
        long @ 0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(long & 0x7F))?;
            (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((Element { tag: *tag, content }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_with_short_and_long_lengths() {
        let mut long = vec![OCTETS, 0x82, 1, 0];
        long.extend([7; 256]);
        long.extend([SEQUENCE, 0]);
        let mut der = Der(&long);
        assert_eq!(der.next_of(SEQUENCE), None, "another tag");
        assert_eq!(der.next_of(OCTETS).unwrap().content.len(), 256);
        assert_eq!(der.next(), Some(Element { tag: SEQUENCE, content: &[] }));
        assert_eq!(der.next(), None);
    }

    #[test]
    fn what_is_cut_off_is_no_element() {
        for octets in
            [&[SEQUENCE][..], &[SEQUENCE, 1], &[SEQUENCE, 0x80, 0, 0], &[SEQUENCE, 0x84, 255, 255, 255, 255]]
        {
            assert_eq!(Der(octets).next(), None, "{octets:?}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_to_an_end(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let read: usize = Der(&octets).map(|element| element.content.len() + 2).sum();
            prop_assert!(read <= octets.len());
        }
    }
}
