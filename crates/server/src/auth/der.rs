//! As much of DER (X.690) as it takes to find the subject in a certificate.

/// Tags.
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const NUMERIC_STRING: u8 = 0x12;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const TELETEX_STRING: u8 = 0x14;
pub(super) const IA5_STRING: u8 = 0x16;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const CONTEXT_0: u8 = 0xa0;

/// A value with its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With tag and length.
    pub(super) whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The content, if the tag is this one.
    pub(super) fn of(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }
}

/// The content of bytes that are one element of this tag, and nothing else.
pub(super) fn only(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (element, rest) = read(bytes)?;
    rest.is_empty().then(|| element.of(tag)).flatten()
}

/// Elements one after the other. Ends where the bytes do, or are no element.
pub(super) fn parts(mut bytes: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (element, rest) = read(bytes)?;
        bytes = rest;
        Some(element)
    })
}

fn read(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    // Tags of several bytes aren't found on the way to a subject.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // So many bytes of length follow: none isn't DER, and four are more than enough.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |all, byte| all << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - rest.len())?;
    let element = Element {
        tag: *tag,
        content,
        whole,
    };
    Some((element, rest))
}

/// An object identifier in numbers: `2.5.4.3`.
pub(super) fn dotted(id: &[u8]) -> Option<String> {
    let mut numbers = Vec::new();
    let mut number: u64 = 0;
    for byte in id {
        number = number.checked_mul(128)? + u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    // A number that doesn't end is none.
    if id.last()? & 0x80 != 0 {
        return None;
    }
    // The first two share a number.
    let first = numbers.first()?;
    let (one, two) = match first {
        0..40 => (0, *first),
        40..80 => (1, first - 40),
        _ => (2, first - 80),
    };
    let mut text = format!("{one}.{two}");
    for number in numbers.iter().skip(1) {
        text.push('.');
        text.push_str(&number.to_string());
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_written_in_numbers() {
        for (bytes, text) in [
            (&[0x55, 4, 3][..], Some("2.5.4.3")),
            (
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
                Some("1.2.840.113549.1.9.1"),
            ),
            (&[0x09, 0x92, 0x26], Some("0.9.2342")),
            (&[0x55, 0x84], None),
            (&[], None),
            (&[0xff; 20], None),
        ] {
            assert_eq!(dotted(bytes).as_deref(), text);
        }
    }

    #[test]
    fn lengths_are_bounded_by_what_is_there() {
        assert_eq!(only(&[0x30, 2, 1, 2], SEQUENCE), Some(&[1, 2][..]));
        assert_eq!(only(&[0x30, 0x81, 2, 1, 2], SEQUENCE), Some(&[1, 2][..]));
        for bytes in [
            &[0x30][..],
            &[0x30, 3, 1, 2],
            &[0x30, 2, 1, 2, 3],
            &[0x31, 2, 1, 2],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x3f, 1, 1],
        ] {
            assert_eq!(only(bytes, SEQUENCE), None, "{bytes:?}");
        }
    }
}
