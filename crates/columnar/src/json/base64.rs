//! Base64 (RFC 4648), with its padding.

const NONE: u8 = 0xff;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut i = 0;
    while i < 64 {
        values[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// How many bytes `text` stands for, if its length is right.
pub(crate) fn length(text: &[u8]) -> Option<usize> {
    let padding = match text {
        [.., b'=', b'='] => 2,
        [.., b'='] => 1,
        _ => 0,
    };
    text.len()
        .is_multiple_of(4)
        .then(|| text.len() / 4 * 3 - padding)
}

/// Appends what `text` stands for.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (groups, rest) = text.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    for (i, group) in groups.iter().enumerate() {
        let last = i + 1 == groups.len();
        let kept = match group {
            [_, _, b'=', b'='] if last => 1,
            [_, _, _, b'='] if last => 2,
            _ => 3,
        };
        let mut bits = 0_u32;
        for &byte in &group[..=kept] {
            let value = VALUES[usize::from(byte)];
            if value == NONE {
                return None;
            }
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (3 - kept);
        let [_, bytes @ ..] = bits.to_be_bytes();
        // Bits that no byte needs would make two texts of the same bytes.
        if bytes[kept..].iter().any(|&b| b != 0) {
            return None;
        }
        out.extend_from_slice(&bytes[..kept]);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let length = length(text.as_bytes())?;
        decode(text.as_bytes(), &mut out)?;
        assert_eq!(out.len(), length);
        Some(out)
    }

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decoded(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        for text in [
            "Z",
            "Zg",
            "Zg=",
            "Zh==",
            "Zm9=",
            "Zg==Zg==",
            "====",
            "Zm9\u{e9}",
            "Zm 9",
        ] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
