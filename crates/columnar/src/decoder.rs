//! The public face: rows in, a batch and its errors out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use crate::avro::Schema;
use crate::avro::resolve::resolve;
use crate::columns::Columns;
use crate::error::{DecoderError, Reason, ResolveError, RowError};
use crate::exec::{DEAD_FULL, Scratch, Strip, dead_rows};
use crate::kernels::{InstructionSet, Lanes};
use crate::layout::{ColId, Layout};
use crate::options::Options;
use crate::plan::{Op, Plan, compile, null_row};
use crate::rows::{Given, NULL_ROW, StripRows, mean_bytes, strip_rows};
use crate::walk::{Stop, Walker};

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
    /// For pairs of writers that met in a strip: how their plans begin alike.
    shared: HashMap<(u64, u64), usize>,
    columns: Columns,
    scratch: Scratch,
    strip: StripRows,
    /// What a null row clears, if every column can be null.
    null_row: Option<Vec<ColId>>,
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
            shared: HashMap::new(),
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
        self.columns.set = set;
    }

    /// Lets rows of a writer's schema be decoded under an id of the caller's choice. Compiles the
    /// schema's plan; an id that is known already gets the new one.
    ///
    /// # Errors
    ///
    /// [`ResolveError`] if the reader's schema can't be read from the writer's.
    pub fn add_writer(&mut self, id: u32, writer: &Schema) -> Result<(), ResolveError> {
        let graph = resolve(writer, &self.reader, self.options.profile)?;
        self.shared.clear();
        self.plans
            .insert(id, Arc::new(compile(graph, &self.layout)));
        Ok(())
    }

    /// Whether rows of this writer can be decoded.
    pub fn has_writer(&self, id: u32) -> bool {
        self.plans.contains_key(&id)
    }

    /// The schema ids of framed messages whose writers the decoder hasn't been told of, each once,
    /// ascending: what to ask a registry for before [`Self::decode_framed`].
    pub fn unknown_writers(&self, messages: &[&[u8]]) -> Vec<u32> {
        let mut unknown = BTreeSet::new();
        let mut last = None;
        for &message in messages {
            let writer = Given::Framed(message).open().map(|(writer, _)| writer);
            if writer != last {
                last = writer;
                let id = writer.and_then(|writer| u32::try_from(writer).ok());
                unknown.extend(id.filter(|&id| !self.has_writer(id)));
            }
        }
        unknown.into_iter().collect()
    }

    /// Decodes bodies of the decoder's only writer (of several, the one with the lowest id).
    pub fn decode(&mut self, bodies: &[&[u8]]) -> Decoded {
        let writer = self.plans.keys().copied().min().unwrap_or(0);
        self.run(bodies.len(), |i| Given::Body {
            writer,
            bytes: bodies[i],
        })
    }

    /// Decodes messages that start with a zero byte and their writer's id, big-endian, as
    /// Confluent's serializers frame them.
    pub fn decode_framed(&mut self, messages: &[&[u8]]) -> Decoded {
        self.run(messages.len(), |i| Given::Framed(messages[i]))
    }

    /// Decodes rows whose writers the caller knows.
    pub fn decode_rows(&mut self, rows: &[Row<'_>]) -> Decoded {
        self.run(rows.len(), |i| match rows[i].body {
            Some(bytes) => Given::Body {
                writer: rows[i].writer,
                bytes,
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
            let count = strip_rows(first, rows, &given);
            self.decode_strip(first, count, rows, &given, &mut errors);
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
        rows: usize,
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
        // The next strip's rows, while this one's are decoded.
        let next = first + count..(first + 2 * count).min(rows);
        let bytes = mean_bytes(next.clone(), given);
        let steps = strip
            .parted
            .first()
            .map(|&writer| self.steps(writer, count));
        let ahead = &mut strip.lanes.ahead;
        ahead.plan(next.map(|i| given(i).bytes()), bytes, steps.unwrap_or(0));
        if self.columns.set.rows_a_step().is_none() {
            ahead.finish();
        }
        if let Some(writer) = uniform {
            // SAFETY: `given`'s slices outlive this call, short ones have been copied to where
            // TAIL bytes precede their end, and there is room for `count` rows.
            unsafe { self.decode_lanes(u64::from(writer), &mut strip.lanes, 0) };
        } else {
            let shared = self.shared_ops(&strip.parted);
            // SAFETY: as above; what is shared is any of the plans' own.
            unsafe { self.run_shared(shared, &strip.parted, &mut strip.lanes) };
            strip.done.clear();
            for &writer in &strip.parted {
                let plan = self.plan(writer);
                let done = plan.is_some_and(|plan| plan.main_ops().len() == shared);
                strip.done.push(done);
            }
            // SAFETY: `set` is one of those the machine has.
            unsafe { strip.part(self.columns.set) };
            for (&writer, lanes) in strip.parted.iter().zip(&mut strip.parts) {
                if lanes.len() > 0 {
                    // SAFETY: as above.
                    unsafe { self.decode_lanes(writer, lanes, shared) };
                }
            }
        }
        strip.lanes.ahead.finish();
        self.strip = strip;
        // SAFETY: the rows are borrowed still, and so are the texts.
        unsafe { self.columns.finish_strip(&mut self.scratch.dead) };
        self.scratch.texts.clear();
        for i in dead_rows(&self.scratch.dead) {
            errors.push(self.explain(first + i, given(first + i), self.scratch.dead[i]));
        }
    }

    /// How often the kernels ask for rows to come while they decode `rows` rows of this writer.
    fn steps(&self, writer: u64, rows: usize) -> usize {
        let Some(group) = self.columns.set.rows_a_step() else {
            return 0;
        };
        let ops = self.plan(writer).map_or(&[][..], |plan| plan.main_ops());
        let steps = ops.iter().map(|op| match op {
            Op::Leaf(_) => rows.div_ceil(group),
            // Four groups at once.
            Op::Skips(leaves) => leaves.len() * rows.div_ceil(4 * group),
            Op::List { .. } => 4 * rows.div_ceil(group),
            _ => 0,
        });
        steps.sum()
    }

    /// The plan for a strip's writer, if it is one that is known.
    fn plan(&self, writer: u64) -> Option<&Arc<Plan>> {
        self.plans.get(&u32::try_from(writer).ok()?)
    }

    /// How many operations the plans of a strip's writers begin with in common. None if one of
    /// them has no plan.
    fn shared_ops(&mut self, writers: &[u64]) -> usize {
        let Some((&first, others)) = writers.split_first() else {
            return 0;
        };
        let mut least = usize::MAX;
        for &other in others {
            let shared = match self.shared.get(&(first, other)) {
                Some(&shared) => shared,
                None => {
                    let (Some(a), Some(b)) = (self.plan(first), self.plan(other)) else {
                        return 0;
                    };
                    let shared = a.shared_ops(b);
                    self.shared.insert((first, other), shared);
                    shared
                }
            };
            least = least.min(shared);
        }
        if others.is_empty() { 0 } else { least }
    }

    /// Runs the first `count` operations of the plans of `writers`, which are the same in all.
    ///
    /// # Safety
    ///
    /// As [`Self::decode_lanes`].
    #[expect(unsafe_code)]
    unsafe fn run_shared(&mut self, count: usize, writers: &[u64], lanes: &mut Lanes) {
        let plan = writers.first().and_then(|&writer| self.plan(writer));
        if let Some(plan) = plan.cloned()
            && count > 0
        {
            // SAFETY: the caller's promises are the callee's conditions.
            unsafe {
                self.strip_of(&plan)
                    .run_ops(&plan.main_ops()[..count], lanes)
            };
        }
    }

    fn strip_of<'a>(&'a mut self, plan: &'a Plan) -> Strip<'a> {
        Strip {
            plan,
            layout: &self.layout,
            limits: &self.options.limits,
            set: self.columns.set,
            columns: &mut self.columns,
            scratch: &mut self.scratch,
            in_default: false,
        }
    }

    /// Decodes a strip's rows of one writer, from operation `from` on, and sees that each is used
    /// up.
    ///
    /// # Safety
    ///
    /// As [`Strip::run`], of whose conditions only the machine's is this type's own to keep.
    #[expect(unsafe_code)]
    unsafe fn decode_lanes(&mut self, writer: u64, lanes: &mut Lanes, from: usize) {
        let Some(plan) = self.plan(writer).cloned() else {
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
        // SAFETY: the caller's promise; `set` is one of those the machine has.
        unsafe {
            self.strip_of(&plan)
                .run_ops(&plan.main_ops()[from..], lanes)
        };
        lanes.kill_unended(&mut self.scratch.dead);
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
        let Some((writer, skip)) = given.open() else {
            return whole(Reason::NotFramed);
        };
        let Ok(writer) = u32::try_from(writer) else {
            return whole(Reason::NullRow);
        };
        let bytes = given.bytes();
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
