//! JSON text to Avro rows.
//!
//! [`Writer`] makes rows of any Avro schema from JSON text, in one pass and without a tree of
//! values. [`Inference`] looks at records without a schema and says what schema holds them, or
//! what a table's schema lacks for them. `JsonSchema` (feature `json-schema`) is a schema of the
//! other kind, with its own writer. So a topic of plain JSON is this loop:
//!
//! ```
//! use fletch_columnar::avro::{Schema, grow};
//! use fletch_columnar::{Decoder, Misfit, Options, Transcoder, json};
//!
//! fn table_of(records: &[&[u8]]) -> Result<(Schema, Vec<Vec<u8>>), Box<dyn std::error::Error>> {
//!     let limits = json::Limits::default();
//!     // A new table; of an old one, `Inference::new(Some(&schema), limits)`.
//!     let mut table = json::Inference::new(None, limits).schema();
//!     let mut writer = json::Writer::new(&table, json::Unknown::Grow);
//!     let (mut rows, mut from) = (Vec::new(), 0);
//!     while let Some(record) = records.get(from) {
//!         let mut row = Vec::new();
//!         match writer.transcode(record, &mut row) {
//!             Ok(()) => rows.push(row),
//!             // Rows made until now are rows of the old schema: the decoder resolves them.
//!             Err(_) if writer.needs_growth() => {
//!                 let mut seen = json::Inference::new(Some(&table), limits);
//!                 for record in &records[from..] {
//!                     // What isn't JSON changes nothing; the writer will say so in its turn.
//!                     let _ = seen.see(record);
//!                 }
//!                 table = grow(Some(&table), &seen.schema())?.schema;
//!                 writer = json::Writer::new(&table, json::Unknown::Grow);
//!                 continue;
//!             }
//!             Err(misfit) => eprintln!("a dead letter: {misfit}"),
//!         }
//!         from += 1;
//!     }
//!     Ok((table, rows))
//! }
//!
//! let records: [&[u8]; 3] = [br#"{"id":1}"#, br#"{"id":2,"tags":["a"]}"#, b"{\"id\":"];
//! let (table, rows) = table_of(&records)?;
//! assert_eq!(rows.len(), 2);
//! let mut decoder = Decoder::new(&table, Options::default())?;
//! assert_eq!(decoder.decode(&[]).batch.schema().field(1).name(), "tags");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! After an inference saw a record, a writer of its schema takes the record: the loop ends.
//!
//! # What becomes a column
//!
//! All columns made here are optional.
//!
//! | JSON | column |
//! |---|---|
//! | integers of 64 bits | `long` |
//! | other numbers | `double`, the nearest; also for integers among them that a double holds exactly |
//! | integers beyond 64 bits, numbers beyond what a double holds | `string`: no digit is lost |
//! | strings | `string` |
//! | `true`, `false` | `boolean` |
//! | arrays | `array` of what all items are |
//! | objects | `record`, down to [`Limits::depth_max`] and up to [`Limits::struct_columns_max`] members; JSON text beyond |
//! | values of different types | `string`: strings as they are, other values as JSON text |
//! | nothing but null, `[]`, `{}` and those in each other | none, until more is known |
//!
//! A table's columns keep their types. **What a column can't hold goes as text into a second
//! column** of the same struct, named `<column>_text`, and the column itself is null in that row. It is
//! made for the innermost member that has a column: an item of the wrong type sends its whole array
//! there. A record that isn't an object goes as text to a column `value`. When a struct may not
//! grow any more, members without a column go, as one object, to a column `rest`. So a topic of JSON
//! makes dead letters of nothing but what isn't JSON, and loses nothing.
//!
//! Members and columns are matched by name, with case. Columns whose names can't be the member's
//! (characters other than letters, digits and `_`; names that differ in case alone) say in an alias
//! which member they hold (`json.member:KEY`). Of members of one name in one object the last
//! counts.
//!
//! # What is taken as JSON
//!
//! What RFC 8259 says, and `serde_json` takes: UTF-8 without a byte order mark, no surrogate
//! without its partner, nothing after the value, at most 127 arrays and objects in each other. Only
//! that numbers may be of any size.

mod fault;
mod lexer;
mod names;
mod overlay;
mod plan;
mod scalars;
#[cfg(feature = "json-schema")]
mod schema;
mod shape;
mod strings;
mod time;
mod write;

#[cfg(feature = "json-schema")]
pub use schema::{CheckedWriter, JsonSchema, JsonSchemaError};

use std::fmt::Write as _;

use crate::avro::Schema;
use crate::transcode::{Misfit, Transcoder};

use fault::{Fault, Stop};
use lexer::Lexer;
pub(crate) use names::ALIASES;
use overlay::Overlay;
use plan::{Notes, Plan};
use write::{Run, Scratch, Step};

/// What becomes of members that the schema has no field for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unknown {
    /// They are left out.
    Ignore,
    /// The record is refused.
    Refuse,
    /// The record is refused, and [`Writer::needs_growth`] says that a grown schema would take it.
    #[default]
    Grow,
}

/// Bounds on what is inferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Columns of a table, those inside structs included.
    pub columns_max: usize,
    /// Columns of a struct. An object of more members becomes JSON text; a struct that is stored
    /// already gets a column `rest` for those.
    pub struct_columns_max: usize,
    /// How deep arrays and structs nest, the record itself not counted. What is deeper becomes JSON
    /// text.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            columns_max: 1000,
            struct_columns_max: 256,
            depth_max: 8,
        }
    }
}

/// Makes Avro rows of JSON text. Made once for a schema.
///
/// Values are matched to types as follows, besides the obvious: bytes are base64; dates, times
/// and timestamps are as in RFC 3339, or numbers in the type's own unit; decimals are numbers or
/// strings; a union takes its first member that holds the value. A member that isn't there is its
/// field's default, or null.
#[derive(Debug)]
pub struct Writer {
    schema: Schema,
    plan: Plan,
    unknown: Unknown,
    scratch: Scratch,
    needs_growth: bool,
}

impl Writer {
    /// A writer of rows of `schema`.
    pub fn new(schema: &Schema, unknown: Unknown) -> Self {
        Self {
            plan: Plan::new(schema, &Notes::default()),
            schema: schema.clone(),
            unknown,
            scratch: Scratch::default(),
            needs_growth: false,
        }
    }

    /// Whether the last payload is JSON that was refused for lack of a column. An [`Inference`]
    /// that sees it has one. Never so without [`Unknown::Grow`].
    pub fn needs_growth(&self) -> bool {
        self.needs_growth
    }
}

impl Transcoder for Writer {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn transcode(&mut self, payload: &[u8], row: &mut Vec<u8>) -> Result<(), Misfit> {
        self.needs_growth = false;
        let length = row.len();
        let mut run = Run {
            plan: &self.plan,
            scratch: &mut self.scratch,
            unknown: self.unknown,
            overlay: None,
        };
        let result = run_over(&mut run, payload, row);
        let Err(stop) = result else { return Ok(()) };
        row.truncate(length);
        // The rest may not even be JSON, which is then what is wrong.
        check(payload)?;
        let record = matches!(self.schema.kind(), crate::avro::SchemaKind::Record);
        self.needs_growth = self.unknown == Unknown::Grow && record;
        Err(misfit(&self.plan, &self.scratch.steps, payload, stop))
    }
}

/// What schema holds some records of JSON.
#[derive(Debug)]
pub struct Inference {
    table: Schema,
    plan: Plan,
    overlay: Overlay,
    scratch: Scratch,
    row: Vec<u8>,
}

impl Inference {
    /// Begins with the schema of a table, whose columns keep their types, or with none.
    pub fn new(table: Option<&Schema>, limits: Limits) -> Self {
        let table = table
            .cloned()
            .unwrap_or_else(|| Schema::empty_record("Value"));
        let plan = Plan::new(&table, &Notes::default());
        Self {
            overlay: Overlay::new(&plan, &limits),
            plan,
            table,
            scratch: Scratch::default(),
            row: Vec::new(),
        }
    }

    /// Takes a record into account.
    ///
    /// # Errors
    ///
    /// [`Misfit`] if it isn't JSON, or the table isn't one of records and the value isn't of its
    /// type. Then it changes nothing.
    pub fn see(&mut self, payload: &[u8]) -> Result<(), Misfit> {
        check(payload)?;
        self.row.clear();
        let mut run = Run {
            plan: &self.plan,
            scratch: &mut self.scratch,
            unknown: Unknown::Grow,
            overlay: Some(&mut self.overlay),
        };
        run_over(&mut run, payload, &mut self.row)
            .map_err(|stop| misfit(&self.plan, &self.scratch.steps, payload, stop))
    }

    /// Whether the table's schema lacks something for what was seen.
    pub fn changed(&self) -> bool {
        !self.overlay.is_empty()
    }

    /// The schema that holds what the table's does, and all that was seen.
    pub fn schema(&self) -> Schema {
        self.overlay.schema(&self.table, &self.plan)
    }
}

fn run_over(run: &mut Run<'_>, payload: &[u8], row: &mut Vec<u8>) -> Result<(), Stop> {
    check_utf8(payload)?;
    run_over_utf8(run, payload, row)
}

/// A payload that is known to be UTF-8.
fn run_over_utf8(run: &mut Run<'_>, payload: &[u8], row: &mut Vec<u8>) -> Result<(), Stop> {
    run.scratch.steps.clear();
    run.row(&mut Lexer::new(payload), row)
}

/// Whether a payload is JSON.
fn check(payload: &[u8]) -> Result<(), Misfit> {
    let read = || {
        check_utf8(payload)?;
        let mut lexer = Lexer::new(payload);
        lexer.skip()?;
        lexer.end()
    };
    read().map_err(|stop: Stop| Misfit {
        path: String::new(),
        position: stop.at,
        why: stop.fault.to_string(),
    })
}

fn check_utf8(payload: &[u8]) -> Result<(), Stop> {
    // Most texts are ASCII, and short: to see that they are takes a quarter of the time.
    if payload.is_ascii() || simdutf8::basic::from_utf8(payload).is_ok() {
        return Ok(());
    }
    // The other one knows where, and takes longer.
    let at = simdutf8::compat::from_utf8(payload).map_or_else(|error| error.valid_up_to(), |_| 0);
    Err(Stop::new(at, Fault::Syntax("text that is not UTF-8")))
}

#[cold]
fn misfit(plan: &Plan, steps: &[Step], payload: &[u8], stop: Stop) -> Misfit {
    let mut path = String::new();
    for step in steps.iter().rev() {
        let dot = if path.is_empty() { "" } else { "." };
        // Writing to a string can't fail.
        let _ = match step {
            &Step::Field(record, field) => {
                write!(path, "{dot}{}", plan.records[record].fields[field].name)
            }
            Step::Item(index) => write!(path, "[{index}]"),
            Step::Key(key) => write!(path, "{{{key:?}}}"),
        };
    }
    let why = match stop.fault {
        Fault::Unfit(_) => format!("{}, not {}", stop.fault, found(payload.get(stop.at))),
        _ => stop.fault.to_string(),
    };
    Misfit {
        path,
        position: stop.at,
        why,
    }
}

fn found(byte: Option<&u8>) -> &'static str {
    match byte {
        Some(b'{') => "this object",
        Some(b'[') => "this array",
        Some(b'"') => "this string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "this number",
    }
}
