//! Converting, whatever happens: a record on which the decoder panics costs no other record.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::payloads::refusal;
use super::window::{Window, letter};
use super::{Converter, Input, Output};
use crate::TableError;
use crate::dead_letter::Reason;

impl Converter {
    /// Takes batches apart, as far as all they need is there. Blocks for as long as it computes.
    ///
    /// After a panic, which is a fault of this program, the records are taken again in ever smaller
    /// parts, and the one that is to blame becomes a dead letter.
    pub(crate) fn convert(&mut self, inputs: &[Input]) -> Result<Output, TableError> {
        match self.attempt(inputs)? {
            Some(output) => Ok(output),
            None => {
                tracing::error!("the decoder panicked: looking for the record to blame");
                let mut output = Output::default();
                self.in_parts(inputs, &mut output)?;
                Ok(output)
            }
        }
    }

    /// Nothing if it panicked. What was compiled is made anew then: nobody knows its state.
    fn attempt(&mut self, inputs: &[Input]) -> Result<Option<Output>, TableError> {
        match catch_unwind(AssertUnwindSafe(|| self.convert_all(inputs))) {
            Ok(output) => output.map(Some),
            Err(_) => {
                self.reset()?;
                Ok(None)
            }
        }
    }

    /// Converts what panicked as a whole.
    fn in_parts(&mut self, inputs: &[Input], output: &mut Output) -> Result<(), TableError> {
        let Some(halves) = halves(inputs) else {
            inputs.iter().for_each(|input| self.blame(input, output));
            return Ok(());
        };
        for half in &halves {
            match self.attempt(half)? {
                Some(done) => output.append(done),
                None => self.in_parts(half, output)?,
            }
            if output.stopped.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Makes a dead letter of the one record there is.
    fn blame(&self, input: &Input, output: &mut Output) {
        let mut window = Window::default();
        for stored in &input.batches {
            window.add(input, stored, &self.limits);
        }
        let message = "the decoder failed on this record, which is a fault of Fletch";
        for piece in &window.pieces {
            output.next.insert(piece.partition, piece.until);
            output.records += 1;
            let records = piece.records.iter().flatten().flatten().flatten();
            let wanted = |offset| (piece.from..piece.until).contains(&offset);
            for record in records.filter(|record| wanted(record.offset)) {
                let refusal = refusal(Reason::Internal, message.to_owned());
                let letter = letter(piece.partition, &record, None, refusal);
                output.dead.push(letter);
            }
        }
    }
}

/// The inputs in two parts, in order; nothing if there is one offset only.
fn halves(inputs: &[Input]) -> Option<[Vec<Input>; 2]> {
    match inputs {
        [] => None,
        [input] => input.halves(),
        several => {
            let (first, second) = several.split_at(several.len() / 2);
            Some([first.to_vec(), second.to_vec()])
        }
    }
}

impl Input {
    fn halves(&self) -> Option<[Vec<Self>; 2]> {
        let part = |from, until, batches: &[_]| {
            vec![Self {
                partition: self.partition,
                from,
                until,
                batches: batches.to_vec(),
            }]
        };
        match self.batches.as_slice() {
            [] => None,
            [batch] => {
                let from = self.from.max(batch.base_offset());
                let until = self.until.min(batch.last_offset() + 1);
                let middle = from + (until - from) / 2;
                (from < middle).then(|| {
                    let batches = std::slice::from_ref(batch);
                    [part(from, middle, batches), part(middle, until, batches)]
                })
            }
            several => {
                let (first, second) = several.split_at(several.len() / 2);
                let middle = second.first()?.base_offset();
                Some([
                    part(self.from, self.until.min(middle), first),
                    part(self.from.max(middle), self.until, second),
                ])
            }
        }
    }
}
