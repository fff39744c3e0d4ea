//! A member of a classic group.

use std::sync::Arc;

use bytes::Bytes;
use fletch_wire::messages::JoinGroupRequest;

use crate::fact::MemberFact;
use crate::groups::protocols::{self, Protocol};
use crate::output::{Call, Caller};
use crate::timers::Alarm;

/// A member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    /// Its own name, if it is a static member.
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    /// What it can use, the protocol it likes best first.
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    /// Whether it has never been told of a generation.
    pub(crate) is_new: bool,
    /// Its request to join, while it waits.
    pub(crate) joining: Option<Call>,
    /// Its request for its assignment, while it waits.
    pub(crate) syncing: Option<Call>,
    /// When its session ends.
    pub(crate) session: Alarm,
}

/// What a request to join says of its sender.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) call: Call,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocols: Vec<Protocol>,
}

impl Joining {
    /// Copies what is kept, so that it doesn't keep the frame of the request.
    pub(crate) fn new(caller: &Caller, request: &JoinGroupRequest) -> Self {
        let protocols = request.protocols.iter();
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        Self {
            call: caller.call(),
            instance_id: request.group_instance_id.as_deref().map(Arc::from),
            client_id: caller.client_id.into(),
            client_host: caller.client_host.into(),
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: match request.rebalance_timeout_ms {
                // Version 0, which has one timeout for both.
                ..0 => request.session_timeout_ms,
                // Never at once: somebody must be able to answer.
                timeout_ms => timeout_ms.max(1),
            },
            protocols: protocols
                .map(|protocol| (Arc::from(&*protocol.name), copy(&protocol.metadata)))
                .collect(),
        }
    }
}

impl Member {
    /// A member that has just asked to join.
    pub(crate) fn new(id: Arc<str>, joining: Joining) -> Self {
        Self {
            id,
            instance_id: joining.instance_id,
            client_id: joining.client_id,
            client_host: joining.client_host,
            session_timeout_ms: joining.session_timeout_ms,
            rebalance_timeout_ms: joining.rebalance_timeout_ms,
            protocols: joining.protocols,
            assignment: Bytes::new(),
            is_new: true,
            joining: Some(joining.call),
            syncing: None,
            session: Alarm::default(),
        }
    }

    pub(crate) fn restored(fact: MemberFact) -> Self {
        Self {
            id: fact.id,
            instance_id: fact.instance_id,
            client_id: fact.client_id,
            client_host: fact.client_host,
            session_timeout_ms: fact.session_timeout_ms,
            rebalance_timeout_ms: fact.rebalance_timeout_ms,
            protocols: fact.protocols,
            assignment: fact.assignment,
            is_new: false,
            joining: None,
            syncing: None,
            session: Alarm::default(),
        }
    }

    pub(crate) fn fact(&self) -> MemberFact {
        MemberFact {
            id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            protocols: self.protocols.clone(),
            assignment: self.assignment.clone(),
        }
    }

    /// What it said of itself for a protocol; nothing if it can't use it.
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let mut protocols = self.protocols.iter();
        let found = protocols.find(|(name, _)| Some(&**name) == protocol);
        found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }

    /// The bytes that are kept for it.
    pub(crate) fn bytes(&self) -> usize {
        let instance_id = self.instance_id.as_ref().map_or(0, |id| id.len());
        let names = self.id.len() + instance_id + self.client_id.len() + self.client_host.len();
        FIXED_BYTES + names + protocols::bytes(&self.protocols) + self.assignment.len()
    }
}

/// What a member takes besides its texts and bytes, about.
pub(super) const FIXED_BYTES: usize = 64;
