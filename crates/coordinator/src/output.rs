//! What goes in besides a request, and what comes out besides its answer.

use fletch_wire::messages::{JoinGroupResponse, SyncGroupResponse};
use fletch_wire::{ResponseBody, Uuid};

use crate::fact::Fact;

/// A request that may have to wait for its answer: a number of the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Who asks for something that may have to wait.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// What the answer will be delivered by.
    pub ticket: Ticket,
    /// The version of the request.
    pub version: i16,
    /// The client id of its header; empty if it has none.
    pub client_id: &'a str,
    /// Where it came from, as Kafka writes it: `/127.0.0.1`.
    pub client_host: &'a str,
    /// A random number, of which the id of a new member is made.
    pub random: Uuid,
}

/// An answer to a request, which may have waited.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The request's ticket.
    pub ticket: Ticket,
    /// The answer, in the version of the request.
    pub body: ResponseBody,
}

/// What is to be done.
///
/// Facts are to be made durable in their order. An answer, the one that a call returned included,
/// may be delivered when all facts before it are durable: those of its own output and those of
/// outputs before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// What to make durable.
    pub facts: Vec<Fact>,
    /// What to answer.
    pub answers: Vec<Answer>,
}

/// A request that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) ticket: Ticket,
    pub(crate) version: i16,
}

impl Caller<'_> {
    pub(crate) fn call(&self) -> Call {
        Call {
            ticket: self.ticket,
            version: self.version,
        }
    }
}

impl Output {
    pub(crate) fn joined(&mut self, call: Call, mut answer: JoinGroupResponse) {
        // What a version lacks, or can't leave out.
        if call.version < 7 {
            answer.protocol_name.get_or_insert_default();
        }
        answer.skip_assignment &= call.version >= 9;
        self.answers.push(Answer {
            ticket: call.ticket,
            body: answer.into(),
        });
    }

    pub(crate) fn synced(&mut self, call: Call, answer: SyncGroupResponse) {
        self.answers.push(Answer {
            ticket: call.ticket,
            body: answer.into(),
        });
    }
}
