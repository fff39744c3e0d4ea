//! Messages to rows.

use std::sync::Arc;

use super::align::align;
use super::compile::COLUMNS_MAX;
use super::fault::{Stop, fault};
use super::plan::Plan;
use super::stream::{Scratch, Walk};
use super::wire::Wire;
use crate::avro::Schema;
use crate::transcode::{Misfit, Transcoder};

/// Makes Avro rows of the messages of one type. Cheap to clone: what was compiled is shared.
#[derive(Debug)]
pub struct Writer {
    plan: Arc<Plan>,
    schema: Schema,
    scratch: Scratch,
    /// How many messages in a row had their fields in another order than that of their numbers.
    unordered: u8,
}

/// After so many such messages, their order is taken for the writer's habit.
const HABIT: u8 = 16;

impl Clone for Writer {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            schema: self.schema.clone(),
            scratch: Scratch::default(),
            unordered: 0,
        }
    }
}

impl Writer {
    pub(super) fn new(plan: Plan, schema: Schema) -> Self {
        Self {
            plan: Arc::new(plan),
            schema,
            scratch: Scratch::default(),
            unordered: 0,
        }
    }

    /// The same writer with its fields called as `table` calls the fields of their numbers, so that
    /// a field that was renamed goes on in its column.
    ///
    /// A field whose name in the table belongs to another number gets that name with its number
    /// behind it, and so does one whose number comes again with a type that its column can't hold:
    /// it is another field.
    pub fn aligned(&self, table: &Schema) -> Self {
        Self {
            schema: align(&self.schema, table),
            ..self.clone()
        }
    }
}

impl Transcoder for Writer {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn transcode(&mut self, payload: &[u8], row: &mut Vec<u8>) -> Result<(), Misfit> {
        let start = row.len();
        let result = self.write(payload, row);
        result.map_err(|stop| {
            row.truncate(start);
            match stop {
                Stop::Fault(fault) => Misfit::from(*fault),
                // The second walk minds no order.
                Stop::Unordered => Misfit {
                    path: String::new(),
                    position: 0,
                    why: "fields in an order that can't be read".into(),
                },
            }
        })
    }
}

impl Writer {
    fn write(&mut self, payload: &[u8], row: &mut Vec<u8>) -> Result<(), Stop> {
        let limits = self.plan.limits;
        if payload.len() > limits.row_bytes_max {
            return Err(fault(0, format!("a message of {} bytes", payload.len())));
        }
        let start = row.len();
        let mut walk = Walk {
            plan: &self.plan,
            scratch: &mut self.scratch,
            items_left: limits.row_items_max,
            // Each field once, and each item.
            spans_max: limits.row_items_max.saturating_add(COLUMNS_MAX),
            row_end_max: start.saturating_add(limits.row_bytes_max),
            lenient: false,
        };
        let root = walk.plan.root;
        walk.scratch.clear();
        if self.unordered < HABIT {
            let mut wire = Wire {
                bytes: payload,
                at: 0,
            };
            match walk.message(root, None, &mut wire, row) {
                Err(stop) if stop.is_open() => {}
                result => {
                    self.unordered = 0;
                    return result;
                }
            }
            row.truncate(start);
            walk.scratch.clear();
            walk.items_left = limits.row_items_max;
        }
        // Every now and then, see whether it still is.
        self.unordered = (self.unordered + 1) % (4 * HABIT);
        walk.scratch.parts.push((0, payload.len()));
        walk.gather(root, 0..1, payload, row)
    }
}
