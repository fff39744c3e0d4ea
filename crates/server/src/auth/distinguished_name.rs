//! The subject of a certificate as text, by RFC 2253, spelt as Java spells it: mapping rules and ACLs
//! that were written for Kafka are written against that.

use std::fmt::Write as _;

use super::der::{self, Element};

/// Attributes that have a short name (RFC 2253, section 2.3, and UID), by the bytes of their object
/// identifiers.
const SHORT_NAMES: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 9], "STREET"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1],
        "UID",
    ),
];

/// What must not stand unescaped in a value.
const ESCAPED: &[char] = &[',', '=', '+', '<', '>', '#', ';', '"', '\\'];

/// The subject of a certificate in DER; none if the bytes are no certificate.
pub(crate) fn subject(certificate: &[u8]) -> Option<String> {
    let mut certificate = der::parts(der::only(certificate, der::SEQUENCE)?);
    let mut signed = der::parts(certificate.next()?.of(der::SEQUENCE)?);
    let first = signed.next()?;
    // The version stands before the serial number, unless it is the first.
    if first.tag == der::CONTEXT_0 {
        signed.next()?;
    }
    let _algorithm = signed.next()?.of(der::SEQUENCE)?;
    let _issuer = signed.next()?.of(der::SEQUENCE)?;
    let _validity = signed.next()?.of(der::SEQUENCE)?;
    write_name(signed.next()?.of(der::SEQUENCE)?)
}

/// The most significant part comes first in a certificate, and last in the text.
fn write_name(name: &[u8]) -> Option<String> {
    let parts: Vec<&[u8]> = der::parts(name)
        .map(|part| part.of(der::SET))
        .collect::<Option<_>>()?;
    let mut text = String::new();
    for (at, part) in parts.iter().rev().enumerate() {
        if at > 0 {
            text.push(',');
        }
        for (at, attribute) in der::parts(part).enumerate() {
            if at > 0 {
                text.push('+');
            }
            write_attribute(&mut text, attribute.of(der::SEQUENCE)?)?;
        }
    }
    Some(text)
}

fn write_attribute(text: &mut String, attribute: &[u8]) -> Option<()> {
    let mut parts = der::parts(attribute);
    let id = parts.next()?.of(der::OBJECT_IDENTIFIER)?;
    let value = parts.next()?;
    let short = SHORT_NAMES.iter().find(|(known, _)| *known == id);
    match short {
        Some((_, name)) => text.push_str(name),
        None => text.push_str(&der::dotted(id)?),
    }
    text.push('=');
    match (short, as_text(&value)) {
        (Some(_), Some(value)) => write_value(text, &value),
        // Of an attribute without a short name, it isn't known how its value is to be read.
        _ => {
            text.push('#');
            for byte in value.whole {
                write!(text, "{byte:02x}").ok()?;
            }
        }
    }
    Some(())
}

/// The value of one of the types of text that names are made of.
fn as_text(value: &Element<'_>) -> Option<String> {
    match value.tag {
        der::UTF8_STRING | der::PRINTABLE_STRING | der::IA5_STRING | der::NUMERIC_STRING => {
            String::from_utf8(value.content.to_vec()).ok()
        }
        der::BMP_STRING => {
            let (units, []) = value.content.as_chunks::<2>() else {
                return None;
            };
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok()
        }
        // In practice, Latin 1.
        der::TELETEX_STRING => Some(value.content.iter().map(|byte| char::from(*byte)).collect()),
        _ => None,
    }
}

fn write_value(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let is_outer_space = character == ' ' && (at == 0 || at == last);
        if ESCAPED.contains(&character) || is_outer_space {
            text.push('\\');
        }
        text.push(character);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn subject_of(parts: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        subject(certificate.der()).unwrap()
    }

    /// The expected texts are what `javax.security.auth.x500.X500Principal.getName()` gives.
    #[test]
    fn subjects_are_spelt_as_java_spells_them() {
        let name = subject_of(&[
            (DnType::CountryName, "NZ"),
            (DnType::OrganizationName, "Ünï"),
            (DnType::CommonName, "a=b#c;d"),
        ]);
        assert_eq!(name, r"CN=a\=b\#c\;d,O=Ünï,C=NZ");
        let name = subject_of(&[
            // The serial number: no short name in RFC 2253. (rcgen writes UTF-8 strings.)
            (DnType::CustomDnType(vec![2, 5, 4, 5]), "55"),
            (DnType::OrganizationalUnitName, "#x, \"y\""),
        ]);
        assert_eq!(name, "OU=\\#x\\, \\\"y\\\",2.5.4.5=#0c023535");
        assert_eq!(subject_of(&[]), "");
    }

    #[test]
    fn spaces_at_the_ends_are_kept() {
        let name = subject_of(&[(DnType::CommonName, " a b ")]);
        assert_eq!(name, r"CN=\ a b\ ");
    }

    #[test]
    fn what_is_no_certificate_has_no_subject() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x80, 1, 2, 3], &[0xff; 64]] {
            assert_eq!(subject(bytes), None);
        }
        let key = KeyPair::generate().unwrap();
        let whole = CertificateParams::default().self_signed(&key).unwrap();
        for cut in 0..whole.der().len() {
            assert_eq!(subject(&whole.der()[..cut]), None);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(at in 0usize..400, byte in any::<u8>(), bytes in any::<Vec<u8>>()) {
            let _ = subject(&bytes);
            let key = KeyPair::generate().unwrap();
            let mut spoilt = CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
            let at = at % spoilt.len();
            spoilt[at] = byte;
            let _ = subject(&spoilt);
        }
    }
}
