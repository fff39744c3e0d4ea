//! Strings: where they end, and what their escapes stand for.

use crate::kernels::special_bytes;
use crate::transcode::{put_bytes, put_long};

use super::fault::Stop;
use super::lexer::Lexer;

/// A string as it stands in the text, without its quotes. Its escapes have been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quoted<'a> {
    pub(crate) raw: &'a [u8],
    /// Bytes without the escapes.
    pub(crate) bytes: usize,
}

impl<'a> Lexer<'a> {
    /// Takes the string whose opening quote was seen.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Quoted<'a>, Stop> {
        let start = self.at + 1;
        let mut at = start;
        let mut bytes = 0;
        let mut plain = start;
        loop {
            at += plain_run(self.text, at);
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
                    bytes += made.len_utf8();
                    at += length;
                    plain = at;
                }
                other => {
                    self.at = at;
                    return self.stop(not_in_a_string(other));
                }
            }
        }
    }

    /// Takes the string whose opening quote was seen, and appends it as an Avro `string`. The row is
    /// good for nothing if this fails.
    #[inline]
    pub(crate) fn put_string(&mut self, row: &mut Vec<u8>) -> Result<(), Stop> {
        let start = self.at + 1;
        let run = plain_run(self.text, start);
        if self.text.get(start + run) == Some(&b'"') {
            put_bytes(row, &self.text[start..start + run]);
            self.at = start + run + 1;
            return Ok(());
        }
        self.put_escaped(start, run, row)
    }

    /// Most strings have no escapes. Those with some are written while they are read, and told how
    /// long they are afterwards.
    fn put_escaped(&mut self, start: usize, run: usize, row: &mut Vec<u8>) -> Result<(), Stop> {
        let length_at = row.len();
        row.extend_from_slice(&[0; LENGTH_ROOM]);
        row.extend_from_slice(&self.text[start..start + run]);
        self.at = start + run;
        loop {
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let (length, made) = self.escape()?;
                    put_char(row, made);
                    self.at += length;
                }
                other => return self.stop(not_in_a_string(other)),
            }
            self.put_run(row);
        }
        self.at += 1;
        let bytes = row.len() - length_at - LENGTH_ROOM;
        if let 64..8192 = bytes {
            row[length_at] = (bytes << 1) as u8 | 0x80;
            row[length_at + 1] = (bytes >> 6) as u8;
        } else {
            let mut length = Vec::with_capacity(10);
            put_long(&mut length, bytes as i64);
            row.splice(length_at..length_at + LENGTH_ROOM, length);
        }
        Ok(())
    }

    /// Appends what comes before the next special byte. Runs between escapes are short, so they are
    /// copied by blocks of one size before their length is known.
    #[inline]
    fn put_run(&mut self, row: &mut Vec<u8>) {
        let mut at = self.at;
        while let Some(block) = self.text.get(at..).and_then(<[u8]>::first_chunk::<16>) {
            let special = special_bytes(block);
            row.extend_from_slice(block);
            // A branch, so that the next block needn't wait for where this run ends.
            if special == 0 {
                at += 16;
                continue;
            }
            let run = special.trailing_zeros() as usize;
            row.truncate(row.len() - 16 + run);
            self.at = at + run;
            return;
        }
        self.at = at;
        let run = plain_run(self.text, self.at);
        row.extend_from_slice(&self.text[self.at..self.at + run]);
        self.at += run;
    }

    /// How long the escape here is, and what it stands for.
    #[inline]
    fn escape(&self) -> Result<(usize, char), Stop> {
        let rest = &self.text[self.at..];
        let letter = rest.get(1).copied().unwrap_or_default();
        match SHORT[usize::from(letter)] {
            0 if letter == b'u' => match code_point(rest) {
                Some(whole) => Ok(whole),
                None => self.stop("no character of Unicode"),
            },
            0 => self.stop("no escape of JSON"),
            byte => Ok((2, char::from(byte))),
        }
    }
}

/// What the letter behind a backslash stands for; 0 for those that stand for nothing alone.
const SHORT: [u8; 256] = {
    let mut table = [0; 256];
    let pairs = [
        (b'"', b'"'),
        (b'\\', b'\\'),
        (b'/', b'/'),
        (b'b', 0x08),
        (b'f', 0x0c),
        (b'n', b'\n'),
        (b'r', b'\r'),
        (b't', b'\t'),
    ];
    let mut i = 0;
    while i < pairs.len() {
        table[pairs[i].0 as usize] = pairs[i].1;
        i += 1;
    }
    table
};

/// Bytes that are kept free for the length of a string whose end isn't known: what 64 to 8,191 take.
const LENGTH_ROOM: usize = 2;

fn not_in_a_string(byte: Option<&u8>) -> &'static str {
    match byte {
        Some(_) => "a control character in a string",
        None => "a string without end",
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
        let mut lexer = Lexer::new(self.raw);
        loop {
            let from = lexer.at;
            lexer.at += plain_run(self.raw, from);
            out.extend_from_slice(&self.raw[from..lexer.at]);
            // All escapes were checked when the string was taken, so that this is the end.
            let Ok((length, made)) = lexer.escape() else {
                return;
            };
            put_char(out, made);
            lexer.at += length;
        }
    }
}

#[inline]
fn put_char(out: &mut Vec<u8>, char: char) {
    match u8::try_from(char) {
        Ok(byte @ 0..0x80) => out.push(byte),
        _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// How many bytes from `from` come before the first quote, backslash or control character, or the end.
#[inline]
fn plain_run(text: &[u8], from: usize) -> usize {
    let Some(rest) = text.get(from..) else {
        return 0;
    };
    let (blocks, last) = rest.as_chunks::<16>();
    for (i, block) in blocks.iter().enumerate() {
        let special = special_bytes(block);
        if special != 0 {
            return i * 16 + special.trailing_zeros() as usize;
        }
    }
    // What is left of a text of some length is looked at together with what comes before it.
    if let Some(block) = text.last_chunk::<16>() {
        let special = special_bytes(block) >> (16 - last.len());
        let end = if special == 0 {
            last.len()
        } else {
            special.trailing_zeros() as usize
        };
        return blocks.len() * 16 + end;
    }
    let ordinary = |b: &u8| !matches!(b, b'"' | b'\\' | 0..0x20);
    rest.iter().take_while(|b| ordinary(b)).count()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_what_serde_json_reads_whatever_their_length() {
        let escapes = [
            r#"\""#,
            r"\\",
            r"\/",
            r"\b",
            r"\f",
            r"\n",
            r"\r",
            r"\t",
            r"\u00e9",
            r"\ud83d\ude00",
            "é",
        ];
        let lengths = (0..140).chain(8180..8200);
        for length in lengths.filter(|&length| !cfg!(miri) || length < 20) {
            for (i, escape) in escapes.iter().enumerate() {
                let plain = "x".repeat(length);
                let (before, after) = plain.split_at(length * i / escapes.len());
                let text = format!("\"{before}{escape}{after}\" rest");
                let (mut row, mut theirs) = (vec![7], vec![7]);
                let mut lexer = Lexer::new(text.as_bytes());
                lexer.put_string(&mut row).map_err(|stop| stop.at).unwrap();
                let end = text.len() - " rest".len();
                let value: String = serde_json::from_str(&text[..end]).unwrap();
                put_bytes(&mut theirs, value.as_bytes());
                assert_eq!((lexer.at, &row), (end, &theirs), "{text}");
                let mut put = Vec::new();
                let quoted = Lexer::new(text.as_bytes())
                    .string()
                    .map_err(|stop| stop.at)
                    .unwrap();
                quoted.put(&mut put);
                assert_eq!((put.len(), put), (quoted.bytes, value.into_bytes()));
            }
        }
    }

    #[test]
    fn what_serde_json_refuses_in_a_string_is_refused_there() {
        for text in [
            "\"abc",
            "\"",
            "\"a\nb\"",
            r#""\x""#,
            r#""\"#,
            r#""\u12""#,
            r#""\ud800""#,
            r#""\ud800\u0041""#,
            "\"\\n\nlong enough for a block of sixteen bytes\"",
        ] {
            assert!(serde_json::from_str::<String>(text).is_err(), "{text}");
            let stopped = Lexer::new(text.as_bytes()).put_string(&mut Vec::new());
            assert!(stopped.is_err(), "{text}");
            assert!(Lexer::new(text.as_bytes()).string().is_err(), "{text}");
        }
    }

    #[test]
    fn a_run_ends_at_the_first_special_byte_or_at_the_end() {
        // Miri takes a thousand times as long.
        for length in 0..if cfg!(miri) { 20 } else { 70 } {
            for end in 0..=length {
                let mut text = vec![b'"'; end];
                text.resize(length, b'x');
                let from = end;
                for stop in from..=length {
                    let mut text = text.clone();
                    if let Some(byte) = text.get_mut(stop) {
                        *byte = b'\\';
                    }
                    assert_eq!(
                        plain_run(&text, from),
                        stop - from,
                        "{from} to {stop} of {length}"
                    );
                }
            }
        }
        assert_eq!(plain_run(b"abc", 4), 0);
    }
}
