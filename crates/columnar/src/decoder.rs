//! The public face: rows in, a batch and its errors out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use crate::avro::Schema;
use crate::avro::resolve::resolve;
use crate::columns::Columns;
use crate::error::{DecoderError, Reason, ResolveError, RowError};
use crate::exec::{DEAD_FULL, Scratch, Strip};
use crate::kernels::{InstructionSet, Lanes, TAIL};
use crate::layout::{ColId, Layout};
use crate::options::Options;
use crate::plan::{Plan, compile, null_row};
use crate::walk::{Stop, Walker};

/// Rows that are decoded together: few enough that what they touch stays in the first caches.
const STRIP_ROWS: usize = 128;
/// A zero byte and a schema id.
const FRAME_BYTES: usize = 5;

/// One row for [`Decoder::decode_rows`].
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The id under which its schema was given to [`Decoder::add_writer`].
    pub writer: u32,
    /// The Avro body, without a frame. `None`: a row of nulls.
    pub body: Option<&'a [u8]>,
}

/// What became of some rows.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The good rows, in their order.
    pub batch: RecordBatch,
    /// The others, in theirs.
    pub errors: Vec<RowError>,
}

/// Decodes Avro rows of any number of writer schemas into batches of one Arrow schema.
///
/// A decoder compiles each writer's schema once, keeps its memory from batch to batch (and takes
/// that of the last batch back if it has been dropped by then), and may move between threads.
#[derive(Debug)]
pub struct Decoder {
    reader: Schema,
    options: Options,
    layout: Arc<Layout>,
    plans: HashMap<u32, Arc<Plan>>,
    columns: Columns,
    scratch: Scratch,
    strip: StripRows,
    set: InstructionSet,
    /// What a null row clears, if every column can be null.
    null_row: Option<Vec<ColId>>,
}

/// One strip's rows before they are decoded.
#[derive(Debug, Default)]
struct StripRows {
    /// All rows, whatever their writer.
    lanes: Lanes,
    /// Those of one writer among several.
    some: Lanes,
    /// Each row's writer: its id, or one of the two below.
    writers: Vec<u64>,
    /// Rows too short for a kernel's loads, copied to where there is room before their end.
    short: Vec<[u8; 2 * TAIL]>,
}

/// In place of a writer's id: a row of nulls.
const NULL_ROW: u64 = 1 << 32;
/// In place of a writer's id: a row that is refused already, or decoded already.
const NO_ROW: u64 = 2 << 32;

/// A row as given.
#[derive(Debug, Clone, Copy)]
enum Given<'a> {
    Body {
        writer: u32,
        bytes: &'a [u8],
        skip: usize,
    },
    Null,
    Refused {
        reason: Reason,
    },
}

impl Decoder {
    /// A decoder for tables of the `reader` schema. It needs a writer before it can decode.
    ///
    /// # Errors
    ///
    /// [`DecoderError`] if the schema has no Arrow form under these options.
    pub fn new(reader: &Schema, mut options: Options) -> Result<Self, DecoderError> {
        // Slots count their bytes in 32 bits, and Arrow's offsets have no room for more anyway.
        let row_bytes_max = &mut options.limits.row_bytes_max;
        *row_bytes_max = (*row_bytes_max).min(i32::MAX as usize);
        let layout = Layout::new(reader, &options)?;
        Ok(Self {
            reader: reader.clone(),
            options,
            columns: Columns::new(&layout),
            null_row: null_row(&layout),
            layout: Arc::new(layout),
            plans: HashMap::new(),
            set: InstructionSet::best(),
            scratch: Scratch::default(),
            strip: StripRows::default(),
        })
    }

    /// The schema of every batch this decoder makes.
    pub fn schema(&self) -> SchemaRef {
        self.layout.schema.clone()
    }

    /// Uses other kernels than the best the machine has.
    ///
    /// # Panics
    ///
    /// If the machine hasn't got the instruction set.
    pub fn use_instruction_set(&mut self, set: InstructionSet) {
        assert!(
            InstructionSet::available().contains(&set),
            "this machine has no {set:?}"
        );
        self.set = set;
    }

    /// Lets rows of a writer's schema be decoded under an id of the caller's choice. Compiles the
    /// schema's plan; an id that is known already gets the new one.
    ///
    /// # Errors
    ///
    /// [`ResolveError`] if the reader's schema can't be read from the writer's.
    pub fn add_writer(&mut self, id: u32, writer: &Schema) -> Result<(), ResolveError> {
        let graph = resolve(writer, &self.reader, self.options.profile)?;
        self.plans
            .insert(id, Arc::new(compile(graph, &self.layout)));
        Ok(())
    }

    /// Whether rows of this writer can be decoded.
    pub fn has_writer(&self, id: u32) -> bool {
        self.plans.contains_key(&id)
    }

    /// Decodes bodies of the decoder's only writer (of several, the one with the lowest id).
    pub fn decode(&mut self, bodies: &[&[u8]]) -> Decoded {
        let writer = self.plans.keys().copied().min().unwrap_or(0);
        self.run(bodies.len(), |i| Given::Body {
            writer,
            bytes: bodies[i],
            skip: 0,
        })
    }

    /// Decodes messages that start with a zero byte and their writer's id, big-endian, as
    /// Confluent's serializers frame them.
    pub fn decode_framed(&mut self, messages: &[&[u8]]) -> Decoded {
        self.run(messages.len(), |i| match frame(messages[i]) {
            Some(writer) => Given::Body {
                writer,
                bytes: messages[i],
                skip: FRAME_BYTES,
            },
            None => Given::Refused {
                reason: Reason::NotFramed,
            },
        })
    }

    /// Decodes rows whose writers the caller knows.
    pub fn decode_rows(&mut self, rows: &[Row<'_>]) -> Decoded {
        self.run(rows.len(), |i| match rows[i].body {
            Some(bytes) => Given::Body {
                writer: rows[i].writer,
                bytes,
                skip: 0,
            },
            None => Given::Null,
        })
    }

    /// Gives up the memory kept for the next batch.
    pub fn release_memory(&mut self) {
        self.columns.release();
        self.scratch = Scratch::default();
        self.strip = StripRows::default();
    }

    fn run<'a>(&mut self, rows: usize, given: impl Fn(usize) -> Given<'a>) -> Decoded {
        let mut errors = Vec::new();
        self.columns.begin(rows);
        let mut first = 0;
        while first < rows {
            let count = STRIP_ROWS.min(rows - first);
            self.decode_strip(first, count, &given, &mut errors);
            first += count;
        }
        Decoded {
            batch: self.build(),
            errors,
        }
    }

    #[expect(unsafe_code)]
    fn decode_strip<'a>(
        &mut self,
        first: usize,
        count: usize,
        given: &impl Fn(usize) -> Given<'a>,
        errors: &mut Vec<RowError>,
    ) {
        let dead = &mut self.scratch.dead;
        dead.clear();
        dead.resize(count, 0);
        self.scratch.items_left.clear();
        self.scratch
            .items_left
            .resize(count, self.options.limits.row_items_max);
        let limit = self.options.limits.row_bytes_max;
        let uniform = self.strip.prepare(first, count, given, limit, dead);
        self.columns.spaces[0].local = count;
        for &col in &self.columns.spaces[0].cols {
            self.columns.raws[col].make_strip_room(count);
        }
        let mut strip = std::mem::take(&mut self.strip);
        let StripRows {
            lanes,
            some,
            writers,
            ..
        } = &mut strip;
        if uniform {
            // SAFETY: `given`'s slices outlive this call, short ones have been copied to where
            // TAIL bytes precede their end, and there is room for `count` rows.
            unsafe { self.decode_lanes(writers[0], lanes) };
        } else {
            let mut todo = 0;
            while let Some(next) = writers[todo..].iter().position(|&w| w != NO_ROW) {
                todo += next;
                let writer = writers[todo];
                some.clear();
                for (i, w) in writers.iter_mut().enumerate().skip(todo) {
                    if *w == writer {
                        some.push(lanes.cur[i], lanes.end[i], i as u32, i as u32);
                        *w = NO_ROW;
                    }
                }
                // SAFETY: as above.
                unsafe { self.decode_lanes(writer, some) };
            }
        }
        self.strip = strip;
        // SAFETY: the rows are borrowed still, and so are the texts.
        unsafe { self.columns.finish_strip(self.set, &mut self.scratch.dead) };
        self.scratch.texts.clear();
        for i in 0..count {
            if self.scratch.dead[i] != 0 {
                errors.push(self.explain(first + i, given(first + i), self.scratch.dead[i]));
            }
        }
    }

    /// Decodes a strip's rows of one writer, and sees that each is used up.
    ///
    /// # Safety
    ///
    /// As [`Strip::run`], of whose conditions only the machine's is this type's own to keep.
    #[expect(unsafe_code)]
    unsafe fn decode_lanes(&mut self, writer: u64, lanes: &mut Lanes) {
        let plan = match u32::try_from(writer) {
            Ok(id) => self.plans.get(&id),
            Err(_) => None,
        };
        let Some(plan) = plan else {
            match &self.null_row {
                Some(cols) if writer == NULL_ROW => {
                    cols.iter().for_each(|&col| self.columns.clear(col, lanes));
                }
                _ => lanes
                    .all()
                    .for_each(|k| lanes.kill(k, &mut self.scratch.dead)),
            }
            return;
        };
        let mut strip = Strip {
            plan,
            layout: &self.layout,
            limits: &self.options.limits,
            columns: &mut self.columns,
            scratch: &mut self.scratch,
            set: self.set,
            in_default: false,
        };
        // SAFETY: the caller's promise; `set` is one of those the machine has.
        unsafe { strip.run(plan.main, lanes) };
        for k in lanes.all() {
            if lanes.cur[k] != lanes.end[k] && !lanes.is_dead(k) {
                lanes.kill(k, &mut self.scratch.dead);
            }
        }
    }

    /// Says what is wrong with a refused row.
    #[cold]
    fn explain(&self, row: usize, given: Given<'_>, dead: u8) -> RowError {
        let whole = |reason| RowError {
            row,
            path: String::new(),
            position: 0,
            reason,
        };
        let (writer, bytes, skip) = match given {
            Given::Refused { reason } => return whole(reason),
            Given::Null => return whole(Reason::NullRow),
            Given::Body {
                writer,
                bytes,
                skip,
            } => (writer, bytes, skip),
        };
        if dead == DEAD_FULL {
            return whole(Reason::ColumnFull);
        }
        if bytes.len() > self.options.limits.row_bytes_max {
            return whole(Reason::RowTooLarge(bytes.len()));
        }
        let Some(plan) = self.plans.get(&writer) else {
            return whole(Reason::UnknownWriter(writer));
        };
        let body = &bytes[skip..];
        let limits = &self.options.limits;
        match Walker::new(&plan.graph, &self.layout, limits, body).check_row() {
            Err(Stop {
                path,
                position,
                reason,
            }) => RowError {
                row,
                path,
                position: position + skip,
                reason,
            },
            Ok(()) => {
                debug_assert!(false, "row {row} was refused without a reason: {body:?}");
                whole(Reason::Inconsistent)
            }
        }
    }

    fn build(&mut self) -> RecordBatch {
        let rows = self.columns.spaces[0].committed;
        let columns: Vec<ArrayRef> = self
            .layout
            .columns
            .iter()
            .map(|(_, column)| self.columns.array(column, rows))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.layout.schema.clone(), columns, &options)
            .unwrap_or_else(|error| unreachable!("the layout made both: {error}"))
    }
}

/// The schema id of a framed message.
fn frame(message: &[u8]) -> Option<u32> {
    match *message {
        [0, a, b, c, d, ..] => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    }
}

impl StripRows {
    /// Sets up a strip. Says whether all its rows are of one writer.
    fn prepare<'a>(
        &mut self,
        first: usize,
        count: usize,
        given: &impl Fn(usize) -> Given<'a>,
        row_bytes_max: usize,
        dead: &mut [u8],
    ) -> bool {
        self.short.clear();
        // Pointers into `short` must stay: it may not grow.
        self.short.reserve(count);
        self.lanes.fill_dense(count);
        self.writers.clear();
        self.writers.resize(count, NO_ROW);
        let rows = self.lanes.cur.iter_mut().zip(&mut self.lanes.end);
        let (mut all, mut any) = (u64::MAX, 0);
        for (i, ((cur, end), to)) in rows.zip(&mut self.writers).enumerate() {
            let writer = match given(first + i) {
                Given::Body {
                    writer,
                    bytes,
                    skip,
                } if bytes.len() <= row_bytes_max => {
                    let bytes = match bytes.len() {
                        0..TAIL => {
                            let mut copy = [0; 2 * TAIL];
                            let from = 2 * TAIL - bytes.len();
                            copy[from..].copy_from_slice(bytes);
                            self.short.push(copy);
                            let last = self.short.len() - 1;
                            &self.short[last][from..]
                        }
                        _ => bytes,
                    };
                    let range = bytes.as_ptr_range();
                    *cur = range.start.wrapping_add(skip);
                    *end = range.end;
                    u64::from(writer)
                }
                Given::Null => NULL_ROW,
                _ => {
                    dead[i] = crate::exec::DEAD;
                    NO_ROW
                }
            };
            *to = writer;
            all &= writer;
            any |= writer;
        }
        // All bits in common: all the same.
        all == any && any < NULL_ROW
    }
}
