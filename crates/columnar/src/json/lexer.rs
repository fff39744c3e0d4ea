//! JSON text, one token at a time: no tree, no allocation. What it takes is what RFC 8259 and
//! `serde_json` take, but that it doesn't care how large a number is.

use super::fault::{Fault, Stop};
use super::strings::Quoted;

/// How deep arrays and objects may nest, all together.
pub(crate) const NESTING_MAX: usize = 127;

/// A place in a text.
pub(crate) struct Lexer<'a> {
    pub(super) text: &'a [u8],
    pub(crate) at: usize,
    /// Arrays and objects that are open.
    nesting: usize,
}

/// A number as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    pub(crate) raw: &'a [u8],
    negative: bool,
    /// Its first 19 digits or so, as an integer.
    mantissa: u64,
    /// What the mantissa is to be multiplied with, as a power of ten.
    exponent: i64,
    /// Whether `mantissa` holds all its digits.
    whole: bool,
    /// Whether it has neither a fraction nor an exponent.
    pub(crate) integral: bool,
}

impl<'a> Lexer<'a> {
    /// `text` must be UTF-8.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            nesting: 0,
        }
    }

    /// What stands between two places.
    pub(crate) fn between(&self, from: usize, to: usize) -> &'a [u8] {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The next byte that isn't space, without taking it; 0 at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(&byte) => return byte,
                None => return 0,
            }
        }
    }

    pub(crate) fn stop<T>(&self, why: &'static str) -> Result<T, Stop> {
        Err(Stop::new(self.at, Fault::Syntax(why)))
    }

    /// Nothing but space may follow.
    pub(crate) fn end(&mut self) -> Result<(), Stop> {
        self.peek();
        if self.at == self.text.len() {
            Ok(())
        } else {
            self.stop("something follows the value")
        }
    }

    #[inline]
    pub(crate) fn literal(&mut self, word: &'static [u8]) -> Result<(), Stop> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            self.stop("no JSON value")
        }
    }

    /// Takes the opening brace or bracket that was seen, and says whether something is inside.
    #[inline]
    pub(crate) fn open(&mut self, close: u8) -> Result<bool, Stop> {
        if self.nesting == NESTING_MAX {
            return self.stop("nested too deep");
        }
        self.at += 1;
        if self.peek() == close {
            self.at += 1;
            return Ok(false);
        }
        self.nesting += 1;
        Ok(true)
    }

    /// After a member or an item: whether another one follows.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, Stop> {
        match self.peek() {
            b',' => {
                self.at += 1;
                Ok(true)
            }
            byte if byte == close => {
                self.at += 1;
                self.nesting -= 1;
                Ok(false)
            }
            _ => self.stop("a comma or the closing bracket is missing"),
        }
    }

    /// Goes back to where a value begins that was read in part.
    pub(crate) fn back_to(&mut self, place: (usize, usize)) {
        (self.at, self.nesting) = place;
    }

    /// Where it is, for [`Self::back_to`].
    #[inline]
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.at, self.nesting)
    }

    /// Takes a member's key if it is the expected one, which is given with the quote behind it.
    #[inline]
    pub(crate) fn expected_key(&mut self, quick: &[u8]) -> bool {
        self.peek();
        let key = self.text.get(self.at..).unwrap_or_default();
        if key.first() == Some(&b'"') && key[1..].starts_with(quick) {
            self.at += 1 + quick.len();
            true
        } else {
            false
        }
    }

    /// Takes a member's key.
    pub(crate) fn key(&mut self) -> Result<Quoted<'a>, Stop> {
        if self.peek() != b'"' {
            return self.stop("a member's name is expected");
        }
        self.string()
    }

    /// The colon behind a key.
    #[inline]
    pub(crate) fn colon(&mut self) -> Result<(), Stop> {
        if self.peek() != b':' {
            return self.stop("a colon is missing");
        }
        self.at += 1;
        Ok(())
    }

    /// Takes the number whose first byte was seen if it is an integer of at most 18 digits, as most
    /// are, without looking further.
    #[inline]
    pub(crate) fn short_integer(&mut self) -> Option<i64> {
        let text = self.text.get(self.at..)?;
        let negative = text.first() == Some(&b'-');
        let digits = &text[usize::from(negative)..];
        let mut value = 0_i64;
        let mut count = 0;
        while let Some(digit @ b'0'..=b'9') = digits.get(count) {
            // What overflows has more digits than are taken.
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            count += 1;
        }
        let whole = !matches!(digits.get(count), Some(b'.' | b'e' | b'E'));
        let starts_well = digits.first() != Some(&b'0') || count == 1;
        if !(whole && starts_well && matches!(count, 1..=18)) {
            return None;
        }
        self.at += usize::from(negative) + count;
        Some(if negative { -value } else { value })
    }

    /// Takes the number whose first byte was seen.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number<'a>, Stop> {
        let start = self.at;
        let negative = self.text.get(start) == Some(&b'-');
        self.at += usize::from(negative);
        let mut number = Number {
            raw: &[],
            negative,
            mantissa: 0,
            exponent: 0,
            whole: true,
            integral: true,
        };
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(&mut number, 0),
            _ => return self.stop("no JSON value"),
        }
        if self.text.get(self.at) == Some(&b'.') {
            number.integral = false;
            self.at += 1;
            let from = self.at;
            self.digits(&mut number, 1);
            if self.at == from {
                return self.stop("a digit is missing");
            }
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            number.integral = false;
            self.exponent(&mut number)?;
        }
        number.raw = &self.text[start..self.at];
        Ok(number)
    }

    /// Takes digits, each of which lowers the exponent by `places`.
    #[inline]
    fn digits(&mut self, number: &mut Number<'_>, places: i64) {
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            if number.mantissa < MANTISSA_MAX {
                number.mantissa = number.mantissa * 10 + u64::from(digit - b'0');
                number.exponent -= places;
            } else {
                number.whole = false;
            }
            self.at += 1;
        }
    }

    #[cold]
    fn exponent(&mut self, number: &mut Number<'_>) -> Result<(), Stop> {
        self.at += 1;
        let sign = self.text.get(self.at).copied();
        self.at += usize::from(matches!(sign, Some(b'+' | b'-')));
        let from = self.at;
        let mut exponent = 0_i64;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            exponent = exponent
                .saturating_mul(10)
                .saturating_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        if self.at == from {
            return self.stop("a digit is missing");
        }
        if sign == Some(b'-') {
            exponent = -exponent;
        }
        number.exponent = number.exponent.saturating_add(exponent);
        Ok(())
    }

    /// Takes any value, and says whether anything is in it but nulls, empty arrays and empty
    /// objects.
    pub(crate) fn skip(&mut self) -> Result<bool, Stop> {
        let outside = self.nesting;
        // One bit an open bracket, the lowest for the innermost: whether it is an object's.
        let mut objects = 0_u128;
        let mut found = false;
        loop {
            let byte = self.peek();
            match byte {
                b'{' => {
                    if self.open(b'}')? {
                        objects = objects << 1 | 1;
                        self.key()?;
                        self.colon()?;
                        continue;
                    }
                }
                b'[' => {
                    if self.open(b']')? {
                        objects <<= 1;
                        continue;
                    }
                }
                b'n' => self.literal(b"null")?,
                _ => {
                    self.scalar(byte)?;
                    found = true;
                }
            }
            loop {
                if self.nesting == outside {
                    return Ok(found);
                }
                let object = objects & 1 == 1;
                if self.more(if object { b'}' } else { b']' })? {
                    if object {
                        self.key()?;
                        self.colon()?;
                    }
                    break;
                }
                objects >>= 1;
            }
        }
    }

    /// Goes to an object's member or an array's item, of a text that is JSON.
    #[cfg(feature = "json-schema")]
    pub(crate) fn go_to(&mut self, token: &str) -> Result<(), Stop> {
        let close = match self.peek() {
            b'{' => b'}',
            b'[' => b']',
            _ => return self.stop("nothing is in this"),
        };
        let (mut found, mut index, mut key) = (None, 0, Vec::new());
        let mut open = self.open(close)?;
        while open {
            let here = if close == b'}' {
                key.clear();
                self.key()?.put(&mut key);
                self.colon()?;
                key == token.as_bytes()
            } else {
                index += 1;
                token.parse() == Ok(index - 1)
            };
            if here {
                // Of members of one name the last one counts.
                found = Some(self.place());
            }
            self.skip()?;
            open = self.more(close)?;
        }
        match found {
            Some(place) => {
                self.back_to(place);
                Ok(())
            }
            None => self.stop("there is no such member"),
        }
    }

    /// Takes a value that is neither null nor has others in it.
    fn scalar(&mut self, byte: u8) -> Result<(), Stop> {
        match byte {
            b'"' => self.string().map(drop),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            _ => self.number().map(drop),
        }
    }
}

impl Number<'_> {
    /// As an integer of 64 bits, if it is written as one. `-0` is 0.
    #[inline]
    pub(crate) fn long(&self) -> Option<i64> {
        if !self.integral || !self.whole {
            return None;
        }
        if self.negative {
            0_i64.checked_sub_unsigned(self.mantissa)
        } else {
            i64::try_from(self.mantissa).ok()
        }
    }

    /// As an integer of 64 bits, if it is one, however it is written.
    #[inline]
    pub(crate) fn exact_long(&self) -> Option<i64> {
        if self.integral {
            return self.long();
        }
        self.unscaled(0).and_then(|value| i64::try_from(value).ok())
    }

    /// The number times ten to the power of `scale`, if that is an integer. Of numbers with more
    /// than 19 digits, only integers are looked at.
    pub(crate) fn unscaled(&self, scale: u8) -> Option<i128> {
        let (digits, exponent) = if self.whole {
            (i128::from(self.mantissa), self.exponent)
        } else if self.integral {
            let text = std::str::from_utf8(self.raw).ok()?;
            (text.trim_start_matches('-').parse().ok()?, 0)
        } else {
            return None;
        };
        let signed = if self.negative { -digits } else { digits };
        if signed == 0 {
            return Some(0);
        }
        let shift = exponent.saturating_add(i64::from(scale));
        let power = 10_i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?)?;
        if shift >= 0 {
            signed.checked_mul(power)
        } else {
            (signed % power == 0).then(|| signed / power)
        }
    }

    /// The nearest double. None if that is infinite, or zero for a number that isn't.
    #[inline]
    pub(crate) fn double(&self) -> Option<f64> {
        // Both are exact up to here, and so the one rounding of the operation is the only one.
        if self.whole && self.mantissa <= 1 << 53 && self.exponent.unsigned_abs() <= 22 {
            let power = POWERS[self.exponent.unsigned_abs() as usize];
            let mantissa = self.mantissa as f64;
            let value = if self.exponent < 0 {
                mantissa / power
            } else {
                mantissa * power
            };
            return Some(if self.negative { -value } else { value });
        }
        let value: f64 = std::str::from_utf8(self.raw).ok()?.parse().ok()?;
        let lost = value.is_infinite() || (value == 0.0 && self.mantissa != 0);
        (!lost).then_some(value)
    }

    /// The nearest double, if the number is a fraction or its digits are all kept.
    #[inline]
    pub(crate) fn faithful_double(&self) -> Option<f64> {
        let value = self.double()?;
        if !self.integral || self.mantissa <= 1 << 53 && self.whole {
            return Some(value);
        }
        // A double of this size is an integer, and its text in full is that integer.
        (format!("{value:.0}").as_bytes() == self.raw).then_some(value)
    }
}

/// What a mantissa must be below to take another digit.
const MANTISSA_MAX: u64 = (u64::MAX - 9) / 10;

/// The powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_integers_are_those_of_the_number() {
        for text in [
            "0",
            "-0",
            "7",
            "-7",
            "42]",
            "999999999999999999",
            "-999999999999999999,",
            "1000000000000000000",
            "9223372036854775807",
            "-9223372036854775808",
            "18446744073709551617",
            "1.0",
            "1.5",
            "1e2",
            "1E2",
            "0.0",
            "01",
            "-",
            "-x",
            "--1",
        ] {
            let mut quick = Lexer::new(text.as_bytes());
            let short = quick.short_integer();
            let mut lexer = Lexer::new(text.as_bytes());
            let number = lexer.number().ok();
            match short {
                Some(value) => {
                    assert_eq!(number.and_then(|n| n.exact_long()), Some(value), "{text}");
                    assert_eq!(quick.at, lexer.at, "{text}");
                }
                None => {
                    assert_eq!(quick.at, 0, "{text}");
                    let digits = text.bytes().filter(u8::is_ascii_digit).count();
                    let plain = number.is_some_and(|n| n.integral);
                    assert!(!plain || digits > 18 || text == "01", "{text}");
                }
            }
        }
    }
}
