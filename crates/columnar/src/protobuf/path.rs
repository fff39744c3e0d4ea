//! Which message of a schema a payload is: the path of indexes that Confluent's serializers put
//! between the schema's id and the message.

use super::fault::Stop;
use super::wire::{Wire, unzigzag};
use crate::transcode::Misfit;

/// How deep a message may be defined inside others. Parsers of `.proto` files stop at 31.
const PATH_MAX: usize = 32;

/// A message's place in its file: the index of the outermost message, then, within it, that of the
/// one defined inside it, and so on. Small, and without memory of its own: fit to be a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessagePath {
    length: u8,
    /// Beyond `length`: 0.
    indexes: [u16; PATH_MAX],
}

impl MessagePath {
    /// The first message of the file.
    pub const FIRST: Self = Self {
        length: 1,
        indexes: [0; PATH_MAX],
    };

    /// The path of these indexes; `None` if there are none, more than 32, or one above 65,535.
    pub fn new(indexes: &[usize]) -> Option<Self> {
        let mut path = Self {
            length: u8::try_from(indexes.len()).ok()?,
            ..Self::FIRST
        };
        for (to, &from) in path
            .indexes
            .get_mut(..indexes.len())?
            .iter_mut()
            .zip(indexes)
        {
            *to = u16::try_from(from).ok()?;
        }
        (!indexes.is_empty()).then_some(path)
    }

    /// The indexes, the outermost message's first.
    pub fn indexes(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.indexes[..usize::from(self.length)]
            .iter()
            .map(|&i| usize::from(i))
    }
}

impl std::fmt::Debug for MessagePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.indexes()).finish()
    }
}

/// Reads the path at the start of a Confluent frame's body (what follows the magic byte and the
/// schema's id, or the whole value where the id is in a header): a count and so many indexes, each
/// a zigzag varint. A count of 0 is short for the path `[0]`. Returns how many bytes it takes, too.
///
/// # Errors
///
/// [`Misfit`] if the bytes are no path.
#[inline]
pub fn message_path(body: &[u8]) -> Result<(MessagePath, usize), Misfit> {
    match body {
        [0, ..] => Ok((MessagePath::FIRST, 1)),
        _ => long_path(body),
    }
}

/// Whether a frame's body is a message itself, without a path before it, or may be one: some clients
/// leave the path out, and always write the first message of the file.
///
/// A message begins with a field's tag, which is 8 at least; a path begins with a count of indexes, doubled.
/// So what is said to be none has a path, and what is said to be one has a path only if messages are nested
/// four deep, and it leads to one of them. An empty body is said to be none: it may as well be a cut one.
#[inline]
pub fn may_lack_path(body: &[u8]) -> bool {
    body.first().is_some_and(|first| *first >= 8)
}

fn long_path(body: &[u8]) -> Result<(MessagePath, usize), Misfit> {
    let mut wire = Wire { bytes: body, at: 0 };
    let mut number = |what: &str, max: usize| {
        let position = wire.at;
        let misfit = |why| Misfit {
            path: String::new(),
            position,
            why,
        };
        let value = wire.varint().map_err(|stop| match stop {
            Stop::Fault(fault) => Misfit::from(*fault),
            Stop::Unordered => misfit(format!("the message's {what} is missing")),
        })?;
        let value = unzigzag(value);
        usize::try_from(value)
            .ok()
            .filter(|&value| value <= max)
            .map(|value| (value, wire.at))
            .ok_or_else(|| misfit(format!("a message's {what} of {value}")))
    };
    let (count, mut end) = number("number of indexes", PATH_MAX)?;
    let mut path = MessagePath::FIRST;
    if count > 0 {
        path.length = count as u8;
        for index in &mut path.indexes[..count] {
            let (value, at) = number("index", usize::from(u16::MAX))?;
            *index = value as u16;
            end = at;
        }
    }
    Ok((path, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        let path = |indexes: &[usize]| MessagePath::new(indexes).unwrap();
        // The second is the first, written out; 0x80 0x01 is 64.
        for (body, indexes, used) in [
            (&[0, 9][..], &[0][..], 1),
            (&[2, 0, 9], &[0], 2),
            (&[4, 2, 0], &[1, 0], 3),
            (&[2, 0x80, 0x01], &[64], 3),
        ] {
            assert_eq!(message_path(body).unwrap(), (path(indexes), used));
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (body, why) in [
            (&[][..], "byte 0: the message ends inside a number"),
            (&[2], "byte 1: the message ends inside a number"),
            (&[1], "byte 0: a message's number of indexes of -1"),
            (&[66], "byte 0: a message's number of indexes of 33"),
            (&[2, 1], "byte 1: a message's index of -1"),
            (&[0xff; 11], "byte 0: a number of more than 64 bits"),
        ] {
            let error = message_path(body).unwrap_err().to_string();
            assert!(error.contains(why), "{body:?}: {error}");
        }
        assert_eq!(MessagePath::new(&[]), None);
        assert_eq!(MessagePath::new(&[0; 33]), None);
        assert_eq!(MessagePath::new(&[70_000]), None);
    }
}
