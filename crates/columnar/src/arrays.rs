//! Committed stores to Arrow arrays, without copying anything but bits.

use arrow_array::{ArrayRef, make_array, new_null_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use crate::columns::Columns;
use crate::kernels::{self, InstructionSet};
use crate::layout::{Body, ColId, Column, Store};

impl Columns {
    /// The array of one column over the committed rows of its space.
    pub(crate) fn array(&mut self, column: &Column, rows: usize) -> ArrayRef {
        if matches!(column.body, Body::Null) {
            return new_null_array(&DataType::Null, rows);
        }
        make_array(self.array_data(column, rows))
    }

    #[expect(unsafe_code)]
    fn array_data(&mut self, column: &Column, rows: usize) -> ArrayData {
        if matches!(column.body, Body::Null) {
            return ArrayData::new_null(&DataType::Null, rows);
        }
        let nulls = column.valid.and_then(|col| self.nulls(col, rows));
        let data_type = &column.data_type;
        let mut builder = ArrayData::builder(data_type.clone()).len(rows).nulls(nulls);
        match &column.body {
            Body::Null => {}
            &Body::Bool(col) => {
                let (bits, _) = pack(self.set, &self.bytes(col)[..rows]);
                builder = builder.add_buffer(bits);
            }
            &Body::Fixed(col) => builder = builder.add_buffer(self.fixed(col, rows)),
            Body::Keys { col, symbols } => {
                builder = builder
                    .add_buffer(self.fixed(*col, rows))
                    .add_child_data(symbols.to_data());
            }
            &Body::Slots(col) | &Body::Text(col) => {
                let offsets = self.raws[col].share_offsets_after_data(rows);
                builder = builder.add_buffer(offsets.0).add_buffer(offsets.1);
            }
            Body::Struct(children) => {
                for (_, child) in children {
                    builder = builder.add_child_data(self.array_data(child, rows));
                }
            }
            Body::Duration(cols) => {
                for &col in cols {
                    let values = self.fixed(col, rows);
                    let part = ArrayData::builder(DataType::Int64)
                        .len(rows)
                        .add_buffer(values);
                    // SAFETY: a fixed store of eight bytes a row, `rows` of them.
                    builder = builder.add_child_data(unsafe { part.build_unchecked() });
                }
            }
            Body::List { list, item } => {
                let items = self.list_items(*list);
                let offsets = self.raws[*list].share_offsets(rows);
                builder = builder
                    .add_buffer(offsets)
                    .add_child_data(self.array_data(item, items));
            }
            Body::Map { list, key, value } => {
                let DataType::Map(entries, _) = data_type else {
                    unreachable!("maps have a map's type")
                };
                let items = self.list_items(*list);
                let offsets = self.raws[*list].share_offsets(rows);
                let text = self.raws[*key].share_offsets_after_data(items);
                let keys = ArrayData::builder(DataType::Utf8)
                    .len(items)
                    .add_buffer(text.0)
                    .add_buffer(text.1);
                // SAFETY: `finish_strip` committed ascending offsets and checked the text.
                let keys = unsafe { keys.build_unchecked() };
                let entries = ArrayData::builder(entries.data_type().clone())
                    .len(items)
                    .add_child_data(keys)
                    .add_child_data(self.array_data(value, items));
                // SAFETY: two children of `items` rows each.
                let entries = unsafe { entries.build_unchecked() };
                builder = builder.add_buffer(offsets).add_child_data(entries);
            }
            Body::Union { tags, members, .. } => {
                if let Some(tags) = *tags {
                    builder = builder.add_buffer(self.fixed(tags, rows));
                }
                for (_, member) in members {
                    builder = builder.add_child_data(self.array_data(member, rows));
                }
            }
        }
        // SAFETY: every store holds `rows` committed rows of the width its type has; offsets
        // ascend from zero and end within their data; text was checked as UTF-8; keys and tags
        // are indices the resolution made.
        unsafe { builder.build_unchecked() }
    }

    fn bytes(&self, col: ColId) -> &[u8] {
        self.raws[col].data.as_slice()
    }

    fn fixed(&mut self, col: ColId, rows: usize) -> Buffer {
        let Store::Fixed(width) = self.raws[col].store else {
            unreachable!("the layout says it is fixed")
        };
        self.raws[col].share_data(rows * width)
    }

    fn list_items(&self, list: ColId) -> usize {
        let Store::List { child } = self.raws[list].store else {
            unreachable!("the layout says it is a list")
        };
        self.spaces[child].committed
    }

    #[expect(unsafe_code)]
    fn nulls(&self, col: ColId, rows: usize) -> Option<NullBuffer> {
        let (bits, ones) = pack(self.set, &self.bytes(col)[..rows]);
        (ones < rows).then(|| {
            let bits = BooleanBuffer::new(bits, 0, rows);
            // SAFETY: `pack` counted the ones.
            unsafe { NullBuffer::new_unchecked(bits, rows - ones) }
        })
    }
}

/// Bytes of 0 and 1 to bits, and how many are 1.
#[expect(unsafe_code)]
fn pack(set: InstructionSet, bytes: &[u8]) -> (Buffer, usize) {
    let (chunks, rest) = bytes.as_chunks::<64>();
    let mut words = vec![0u64; chunks.len()];
    // SAFETY: a decoder has only sets that its machine has.
    let mut ones = unsafe { kernels::pack(set, chunks, &mut words) };
    if !rest.is_empty() {
        let bits = rest.iter().enumerate();
        let word = bits.fold(0u64, |word, (i, &b)| word | u64::from(b) << i);
        ones += word.count_ones() as usize;
        words.push(word);
    }
    (Buffer::from_vec(words), ones)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_the_bytes() {
        for len in [0, 1, 7, 8, 63, 64, 65, 200] {
            let bytes: Vec<u8> = (0..len).map(|i| u8::from(i * 7 % 3 == 1)).collect();
            for set in InstructionSet::available() {
                let (bits, ones) = pack(set, &bytes);
                assert_eq!(ones, bytes.iter().filter(|&&b| b == 1).count());
                let bits = BooleanBuffer::new(bits, 0, len);
                assert!(bits.iter().eq(bytes.iter().map(|&b| b == 1)), "{set:?}");
            }
        }
    }
}
