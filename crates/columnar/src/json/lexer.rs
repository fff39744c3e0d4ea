//! JSON text, one token at a time: no tree, no allocation. What it takes is what RFC 8259 and
//! `serde_json` take, but that it doesn't care how large a number is.

use super::fault::{Fault, Stop};

/// How deep arrays and objects may nest, all together.
pub(crate) const NESTING_MAX: usize = 127;

/// A place in a text.
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    pub(crate) at: usize,
    /// Arrays and objects that are open.
    nesting: usize,
}

/// A string as it stands in the text, without its quotes. Its escapes have been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quoted<'a> {
    pub(crate) raw: &'a [u8],
    /// Bytes without the escapes.
    pub(crate) bytes: usize,
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

    /// Takes the string whose opening quote was seen.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Quoted<'a>, Stop> {
        let start = self.at + 1;
        let mut at = start;
        let mut bytes = 0;
        let mut plain = start;
        loop {
            at += plain_run(self.text.get(at..).unwrap_or_default());
            match self.text.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Quoted {
                        raw: &self.text[start..at],
                        bytes: bytes + (at - plain),
                    });
                }
                Some(b'\\') => {
                    bytes += at - plain;
                    self.at = at;
                    let (length, made) = self.escape()?;
                    bytes += made;
                    at += length;
                    plain = at;
                }
                Some(_) => {
                    self.at = at;
                    return self.stop("a control character in a string");
                }
                None => {
                    self.at = at;
                    return self.stop("a string without end");
                }
            }
        }
    }

    /// How long the escape here is, and how many bytes it stands for.
    fn escape(&self) -> Result<(usize, usize), Stop> {
        let rest = &self.text[self.at..];
        match rest.get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok((2, 1)),
            Some(b'u') => match code_point(rest) {
                Some((length, made)) => Ok((length, made.len_utf8())),
                None => self.stop("no character of Unicode"),
            },
            _ => self.stop("no escape of JSON"),
        }
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

impl Quoted<'_> {
    /// Whether what it stands for is what stands in the text.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.bytes == self.raw.len()
    }

    /// Appends the text it stands for.
    #[inline]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        if self.is_plain() {
            out.extend_from_slice(self.raw);
        } else {
            self.unescape(out);
        }
    }

    fn unescape(&self, out: &mut Vec<u8>) {
        let mut rest = self.raw;
        loop {
            // Nothing but a backslash stops this: quotes and control characters are escaped here.
            let (plain, escaped) = rest.split_at(plain_run(rest));
            out.extend_from_slice(plain);
            rest = escaped;
            if rest.is_empty() {
                return;
            }
            let short = match rest.get(1) {
                Some(b'b') => 0x08,
                Some(b'f') => 0x0c,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(&other) if other != b'u' => other,
                _ => {
                    // Checked when the string was taken, as was that every escape is whole.
                    let (length, made) = code_point(rest).unwrap_or((rest.len(), ' '));
                    out.extend_from_slice(made.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = &rest[length..];
                    continue;
                }
            };
            out.push(short);
            rest = &rest[2..];
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

/// How many bytes come before the first quote, backslash or control character.
#[inline]
fn plain_run(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    /// The high bit of each byte that is zero, and perhaps of others above the first such one.
    fn zero_bytes(x: u64) -> u64 {
        x.wrapping_sub(ONES) & !x & HIGH
    }
    let (words, rest) = text.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let quote = zero_bytes(word ^ (ONES * u64::from(b'"')));
        let backslash = zero_bytes(word ^ (ONES * u64::from(b'\\')));
        let special = control | quote | backslash;
        if special != 0 {
            return i * 8 + (special.trailing_zeros() / 8) as usize;
        }
    }
    let ordinary = |b: &u8| !matches!(b, b'"' | b'\\' | 0..0x20);
    text.len() - rest.len() + rest.iter().take_while(|b| ordinary(b)).count()
}

/// The character that a `\u` escape, or two, stand for at the start of `text`, and how long they
/// are.
fn code_point(text: &[u8]) -> Option<(usize, char)> {
    let unit = |from: usize| -> Option<u32> {
        let [b'\\', b'u', digits @ ..] = text.get(from..from + 6)? else {
            return None;
        };
        digits.iter().try_fold(0, |sum, &digit| {
            Some(sum << 4 | char::from(digit).to_digit(16)?)
        })
    };
    match unit(0)? {
        high @ 0xd800..0xdc00 => {
            let low = unit(6)?.checked_sub(0xdc00).filter(|&low| low < 0x400)?;
            let point = 0x1_0000 + ((high - 0xd800) << 10 | low);
            Some((12, char::from_u32(point)?))
        }
        single => Some((6, char::from_u32(single)?)),
    }
}
