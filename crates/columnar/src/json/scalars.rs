//! Values that JSON has no type of its own for.

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::transcode::{put_bytes, put_long};

use super::fault::{Fault, Stop};
use super::lexer::Lexer;
use super::plan::Node;
use super::time;

/// Writes the value here, which begins with `byte`, as `node` has it. `text` is room for a string
/// without its escapes.
pub(crate) fn put(
    node: &Node,
    lexer: &mut Lexer<'_>,
    byte: u8,
    text: &mut Vec<u8>,
    row: &mut Vec<u8>,
) -> Result<(), Stop> {
    let at = lexer.at;
    let fits = match byte {
        b'"' => {
            let string = lexer.string()?;
            if string.is_plain() {
                put_text(node, string.raw, row)
            } else {
                text.clear();
                string.put(text);
                put_text(node, text, row)
            }
        }
        b'-' | b'0'..=b'9' => put_number(node, lexer, row)?,
        _ => None,
    };
    fits.ok_or_else(|| Stop::new(at, Fault::Unfit(expected(node))))
}

fn expected(node: &Node) -> &'static str {
    match node {
        Node::Int => "an integer of 32 bits",
        Node::Float => "a number that a float holds",
        Node::Bytes => "base64",
        Node::Fixed(_) => "base64 of the right length",
        Node::Symbols(_) | Node::OneOf(_) => "a symbol of the enum",
        Node::Decimal { .. } => "a decimal of the right precision and scale",
        Node::Uuid { .. } => "a UUID",
        Node::Date => "a date",
        Node::Time { .. } => "a time of day",
        Node::Timestamp { local: false, .. } => "a date and time with its offset",
        Node::Timestamp { local: true, .. } => "a date and time without an offset",
        _ => "nothing: JSON has no spelling for this type",
    }
}

fn put_number(node: &Node, lexer: &mut Lexer<'_>, row: &mut Vec<u8>) -> Result<Option<()>, Stop> {
    let number = lexer.number()?;
    let count = || number.exact_long();
    Ok(match node {
        // Counts are in the column's unit, as in Avro's own JSON.
        Node::Timestamp { .. } => count().map(|value| put_long(row, value)),
        Node::Time { unit_ns } => count()
            .filter(|value| (0..time::DAY_NS / unit_ns).contains(value))
            .map(|value| put_long(row, value)),
        Node::Int | Node::Date => count()
            .and_then(|value| i32::try_from(value).ok())
            .map(|value| put_long(row, value.into())),
        Node::Float => number.faithful_double().and_then(|value| {
            let float = value as f32;
            let kept = float.is_finite() && (!number.integral || f64::from(float) == value);
            kept.then(|| row.extend_from_slice(&float.to_le_bytes()))
        }),
        &Node::Decimal {
            precision,
            scale,
            size,
        } => number
            .unscaled(scale)
            .and_then(|value| put_decimal(value, precision, size, row)),
        _ => None,
    })
}

fn put_text(node: &Node, text: &[u8], row: &mut Vec<u8>) -> Option<()> {
    match node {
        Node::Bytes => {
            put_long(row, base64_bytes(text) as i64);
            put_base64(text, row)
        }
        &Node::Fixed(size) => (base64_bytes(text) == size).then(|| put_base64(text, row))?,
        Node::Symbols(symbols) => {
            let index = symbols.iter().position(|s| s.as_bytes() == text)?;
            put_long(row, index as i64);
            Some(())
        }
        &Node::Decimal {
            precision,
            scale,
            size,
        } => {
            let mut lexer = Lexer::new(text);
            let first = lexer.peek();
            if !matches!(first, b'-' | b'0'..=b'9') || lexer.at != 0 {
                return None;
            }
            let number = lexer.number().ok()?;
            if number.raw.len() != text.len() {
                return None;
            }
            put_decimal(number.unscaled(scale)?, precision, size, row)
        }
        &Node::Uuid { size } => put_uuid(text, size, row),
        Node::Date => {
            let days = time::date(text)?;
            put_long(row, i64::from(days));
            Some(())
        }
        &Node::Time { unit_ns } => {
            let time_ns = time::time_of_day(text)?;
            (time_ns % unit_ns == 0).then(|| put_long(row, time_ns / unit_ns))
        }
        Node::OneOf(symbols) => {
            let known = symbols.iter().any(|s| s.as_bytes() == text);
            known.then(|| put_bytes(row, text))
        }
        &Node::Timestamp {
            unit_ns,
            local,
            cut,
        } => {
            put_long(row, time::timestamp(text, local, unit_ns, cut)?);
            Some(())
        }
        _ => None,
    }
}

/// How many bytes a text stands for if it is base64 with its padding (RFC 4648).
fn base64_bytes(text: &[u8]) -> usize {
    let padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=');
    (text.len() / 4 * 3).saturating_sub(padding.count())
}

fn put_base64(text: &[u8], row: &mut Vec<u8>) -> Option<()> {
    let (from, bytes) = (row.len(), base64_bytes(text));
    row.resize(from + bytes, 0);
    let decoded = BASE64_STANDARD.decode_slice(text, &mut row[from..]).ok()?;
    (decoded == bytes).then_some(())
}

fn put_decimal(value: i128, precision: u8, size: Option<usize>, row: &mut Vec<u8>) -> Option<()> {
    // Beyond 38 digits every number of the type fits.
    if let Some(limit) = 10_i128.checked_pow(precision.into())
        && value.unsigned_abs() >= limit.unsigned_abs()
    {
        return None;
    }
    let bytes = value.to_be_bytes();
    let sign = if value < 0 { 0xff } else { 0 };
    // The fewest bytes that keep the sign.
    let spare = bytes
        .windows(2)
        .take_while(|pair| pair[0] == sign && (pair[1] ^ sign) < 0x80)
        .count();
    let shortest = &bytes[spare..];
    match size {
        None => put_bytes(row, shortest),
        Some(size) => {
            let fill = size.checked_sub(shortest.len())?;
            row.extend(std::iter::repeat_n(sign, fill));
            row.extend_from_slice(shortest);
        }
    }
    Some(())
}

/// 32 hexadecimal digits in five groups.
fn put_uuid(text: &[u8], size: Option<usize>, row: &mut Vec<u8>) -> Option<()> {
    let mut uuid = [0; 16];
    let mut digits = 0;
    if text.len() != 36 {
        return None;
    }
    for (i, &byte) in text.iter().enumerate() {
        if let 8 | 13 | 18 | 23 = i {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(byte).to_digit(16)? as u8;
        uuid[digits / 2] = uuid[digits / 2] << 4 | digit;
        digits += 1;
    }
    match size {
        None => put_bytes(row, text),
        Some(_) => row.extend_from_slice(&uuid),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        put_base64(text.as_bytes(), &mut out)?;
        Some(out)
    }

    #[test]
    fn base64_is_that_of_rfc_4648_and_one_text_of_its_bytes() {
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
            "=",
            "==",
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
