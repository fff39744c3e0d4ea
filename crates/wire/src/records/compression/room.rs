//! Room for decompressed bytes, which each thread keeps and uses again.
//!
//! Fresh memory must be mapped and cleared before it is written, which costs a good part of what
//! decompressing into it costs. A batch's records are usually looked at and let go at once, so one
//! room serves batch after batch.

use std::cell::RefCell;

use bytes::Bytes;

/// Rooms that a thread keeps, and the largest that is kept.
const KEPT_MAX: usize = 2;
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Contents that take less than this share of their room are copied out of it: who keeps them
/// shouldn't keep the whole room.
const SHARE_MIN: usize = 4;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Decompressed bytes, and space for more of them.
pub(super) struct Room {
    /// Contents, then bytes that are of no meaning.
    bytes: Vec<u8>,
    filled: usize,
}

impl Room {
    /// A room for about so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let kept = KEPT
            .try_with(|kept| kept.borrow_mut().pop())
            .ok()
            .flatten()
            .unwrap_or_default();
        let mut room = Self {
            bytes: kept,
            filled: 0,
        };
        room.reserve(bytes, 0);
        room
    }

    /// The contents.
    pub(super) fn filled(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Bytes of the contents.
    pub(super) fn len(&self) -> usize {
        self.filled
    }

    /// The contents, and space for at least so many more bytes. [`fill`](Self::fill) says how many
    /// were put there.
    pub(super) fn space(&mut self, bytes: usize) -> (&[u8], &mut [u8]) {
        self.reserve(bytes, self.bytes.len());
        let (filled, space) = self.bytes.split_at_mut(self.filled);
        (filled, space)
    }

    /// Makes the next bytes of the space part of the contents.
    pub(super) fn fill(&mut self, bytes: usize) {
        self.filled = self.filled.saturating_add(bytes).min(self.bytes.len());
    }

    /// Appends bytes to the contents.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (_, space) = self.space(bytes.len());
        if let Some(space) = space.get_mut(..bytes.len()) {
            space.copy_from_slice(bytes);
        }
        self.fill(bytes.len());
    }

    /// Sees to space for so many more bytes, and grows by `growth` at least if there is too little.
    fn reserve(&mut self, bytes: usize, growth: usize) {
        if self.bytes.len() - self.filled < bytes {
            let length = self
                .filled
                .saturating_add(bytes)
                .max(self.filled.saturating_add(growth));
            // What is behind the contents has no meaning: it needn't move.
            self.bytes.truncate(self.filled);
            self.bytes.reserve_exact(length - self.filled);
            self.bytes.resize(length, 0);
        }
    }

    /// The contents; when the last of them is let go, the room serves again.
    pub(super) fn into_bytes(self) -> Bytes {
        if self.filled.saturating_mul(SHARE_MIN) < self.bytes.len() {
            Bytes::copy_from_slice(self.filled())
        } else {
            Bytes::from_owner(self)
        }
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        self.filled()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.len() > KEPT_BYTES_MAX {
            return;
        }
        // A thread that is ending keeps nothing.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < KEPT_MAX {
                kept.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Vec<usize> {
        KEPT.with_borrow(|kept| kept.iter().map(Vec::len).collect())
    }

    fn room(filled: usize, length: usize) -> Room {
        let mut room = Room::new(length);
        room.push(&vec![7; filled]);
        room
    }

    #[test]
    fn a_room_serves_again_once_its_contents_are_let_go() {
        let bytes = room(900, 1000).into_bytes();
        assert_eq!((bytes.len(), kept()), (900, vec![]));
        drop(bytes);
        assert_eq!(kept(), [1000]);
        // What was there before is not contents.
        let again = room(0, 500);
        assert_eq!((again.len(), kept()), (0, vec![]));
    }

    #[test]
    fn neither_small_contents_nor_this_module_keep_a_large_room() {
        let small = room(10, 100_000).into_bytes();
        assert_eq!((&small[..], kept()), (&[7; 10][..], vec![100_000]));
        drop(room(KEPT_BYTES_MAX, KEPT_BYTES_MAX + 1).into_bytes());
        assert_eq!(kept(), []);
    }

    #[test]
    fn contents_stay_while_the_room_grows() {
        let mut room = Room::new(3);
        for byte in 0..200 {
            room.push(&[byte]);
        }
        assert!(room.filled().iter().copied().eq(0..200));
    }
}
