//! Fetch sessions (KIP-227): what a consumer fetches is remembered, so that its next request says only
//! what is different, and its answer holds only the partitions with news.
//!
//! A session is a convenience that can be lost: a client whose session isn't known any more is told so
//! and asks in full again. So sessions are in memory alone, as many as are allowed, for as many
//! partitions as are allowed. A new session takes the place of the one that was used longest ago, but
//! not of one that was used a moment ago: with more consumers than sessions each would otherwise lose
//! its own before it came back to it. Who gets no session asks in full each time, as before KIP-227.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fletch_wire::messages::fetch::{FetchPartition, FetchTopic, PartitionData};
use fletch_wire::messages::{FetchRequest, FetchResponse};
use fletch_wire::{ErrorCode, Payload, Str, Uuid};
use metrics::gauge;

/// The id that stands for no session.
const NO_SESSION: i32 = 0;
/// The epoch of a full request that asks for a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a full request that wants none, and ends the one it names.
const FINAL_EPOCH: i32 = -1;
/// A session unused for this long gives way to a new one.
const IDLE_MIN: Duration = Duration::from_secs(120);

/// All sessions.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    sessions_max: usize,
    partitions_max: usize,
    cache: Mutex<Cache>,
}

/// What an answer has to do with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Nothing.
    None,
    /// It begins one, if there is room for it.
    Begins,
    /// It goes on with the session of this id, whose next request will have this epoch.
    GoesOn { id: i32, next_epoch: i32 },
}

impl FetchSessions {
    /// Room for so many sessions, which fetch so many partitions together.
    pub(crate) fn new(sessions_max: u64, partitions_max: u64) -> Self {
        let clamp = |max| usize::try_from(max).unwrap_or(usize::MAX);
        Self {
            sessions_max: clamp(sessions_max),
            partitions_max: clamp(partitions_max),
            cache: Mutex::default(),
        }
    }

    /// Reads what a request says about a session, and puts everything that is to be fetched into its
    /// topics: after this it is a full request. `by_id` says whether it names topics by id.
    ///
    /// # Errors
    /// The code to answer, when there is no such session or this isn't its next request.
    pub(crate) fn begin(
        &self,
        request: &mut FetchRequest,
        by_id: bool,
        now: Instant,
    ) -> Result<Part, ErrorCode> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        if ![INITIAL_EPOCH, FINAL_EPOCH].contains(&epoch) {
            return self.cache().go_on(request, by_id, now, self.partitions_max);
        }
        if id != NO_SESSION {
            self.cache().remove(id);
        }
        Ok(match epoch {
            INITIAL_EPOCH => Part::Begins,
            _ => Part::None,
        })
    }

    /// Makes the answer to a request that [`begin`](Self::begin) has seen, of one that has all of its
    /// partitions: leaves out what the client knows, or begins a session.
    pub(crate) fn end(
        &self,
        part: Part,
        request: &FetchRequest,
        by_id: bool,
        mut response: FetchResponse,
        now: Instant,
    ) -> FetchResponse {
        match part {
            Part::None => response,
            Part::Begins => {
                let session = Session::new(request, by_id, &response, now);
                let bounds = (self.sessions_max, self.partitions_max);
                response.session_id = self.cache().insert(session, bounds).unwrap_or(NO_SESSION);
                response
            }
            Part::GoesOn { id, next_epoch } => {
                let mut cache = self.cache();
                let error = match cache.sessions.get_mut(&id) {
                    // Another request of the session came while this one waited.
                    Some(session) if session.epoch != next_epoch => {
                        ErrorCode::INVALID_FETCH_SESSION_EPOCH
                    }
                    None => ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
                    Some(session) => {
                        session.leave_out_known(&mut response);
                        response.session_id = id;
                        return response;
                    }
                };
                FetchResponse {
                    error_code: error,
                    ..Default::default()
                }
            }
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Cache {
    sessions: HashMap<i32, Session>,
    /// Sessions by the time of their last use.
    by_use: BTreeSet<(Instant, i32)>,
    /// Of all sessions together.
    partitions: usize,
    /// Where ids come from: nobody should guess another's.
    ids: RandomState,
    ids_given: u64,
}

impl Cache {
    fn go_on(
        &mut self,
        request: &mut FetchRequest,
        by_id: bool,
        now: Instant,
        partitions_max: usize,
    ) -> Result<Part, ErrorCode> {
        let id = request.session_id;
        let session = self
            .sessions
            .get_mut(&id)
            .ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        let before = session.members.len();
        session.update(request);
        let after = session.members.len();
        self.partitions = self.partitions + after - before;
        if after == 0 {
            self.remove(id);
            return Ok(Part::None);
        }
        if self.partitions > partitions_max && after > before {
            // The full request that follows is declined a session.
            self.remove(id);
            return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        }
        self.by_use.remove(&(session.used, id));
        self.by_use.insert((now, id));
        session.used = now;
        session.epoch = next_epoch(session.epoch);
        request.topics = session.topics();
        Ok(Part::GoesOn {
            id,
            next_epoch: session.epoch,
        })
    }

    /// Adds a session, if there is room or others have been idle for long enough.
    fn insert(
        &mut self,
        session: Session,
        (sessions_max, partitions_max): (usize, usize),
    ) -> Option<i32> {
        let partitions = session.members.len();
        if sessions_max == 0 || partitions > partitions_max {
            return None;
        }
        while self.sessions.len() >= sessions_max || self.partitions + partitions > partitions_max {
            let (used, idle) = *self.by_use.first()?;
            if session.used.saturating_duration_since(used) < IDLE_MIN {
                return None;
            }
            self.remove(idle);
        }
        let id = loop {
            self.ids_given = self.ids_given.wrapping_add(1);
            let id = (self.ids.hash_one(self.ids_given) >> 33) as i32;
            if id != NO_SESSION && !self.sessions.contains_key(&id) {
                break id;
            }
        };
        self.partitions += partitions;
        self.by_use.insert((session.used, id));
        self.sessions.insert(id, session);
        gauge!("kafka_fetch_sessions").set(self.sessions.len() as f64);
        Some(id)
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.members.len();
            self.by_use.remove(&(session.used, id));
            gauge!("kafka_fetch_sessions").set(self.sessions.len() as f64);
        }
    }
}

/// The epoch after this one: 0 is for beginnings.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

/// What a client fetches, and what it knows of it.
#[derive(Debug)]
struct Session {
    /// Of its next request.
    epoch: i32,
    /// Whether it names topics by id.
    by_id: bool,
    used: Instant,
    /// The partitions in the order in which they are read: whoever got records goes to the end, or a
    /// busy partition would take all of the room in every answer.
    members: BTreeMap<u64, Member>,
    places: HashMap<Key, u64>,
    next_place: u64,
}

/// A topic as the client names it.
#[derive(Debug, PartialEq, Eq, Hash)]
enum TopicName {
    Name(Str),
    Id(Uuid),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    topic: Arc<TopicName>,
    partition: i32,
}

#[derive(Debug)]
struct Member {
    key: Key,
    current_leader_epoch: i32,
    fetch_offset: i64,
    partition_max_bytes: i32,
    /// What the last answer that mentioned it said; nothing if that was an error, or never.
    known: Option<Marks>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marks {
    high: i64,
    stable: i64,
    log_start: i64,
}

impl Marks {
    fn of(data: &PartitionData) -> Option<Self> {
        data.error_code.is_none().then_some(Self {
            high: data.high_watermark,
            stable: data.last_stable_offset,
            log_start: data.log_start_offset,
        })
    }
}

impl Session {
    fn new(request: &FetchRequest, by_id: bool, response: &FetchResponse, now: Instant) -> Self {
        let mut session = Self {
            epoch: next_epoch(INITIAL_EPOCH),
            by_id,
            used: now,
            members: BTreeMap::new(),
            places: HashMap::new(),
            next_place: 0,
        };
        session.put(&request.topics);
        for answered in &response.responses {
            let topic = session.name(&answered.topic, answered.topic_id);
            for data in &answered.partitions {
                if let Some(member) = session.member(&topic, data.partition_index) {
                    member.known = Marks::of(data);
                }
            }
        }
        session
    }

    /// Takes in what is different from the last request on.
    fn update(&mut self, request: &FetchRequest) {
        self.put(&request.topics);
        for forgotten in &request.forgotten_topics_data {
            let topic = self.name(&forgotten.topic, forgotten.topic_id);
            for partition in &forgotten.partitions {
                let key = Key {
                    topic: Arc::clone(&topic),
                    partition: *partition,
                };
                if let Some(place) = self.places.remove(&key) {
                    self.members.remove(&place);
                }
            }
        }
    }

    fn put(&mut self, topics: &[FetchTopic]) {
        for asked in topics {
            let topic = self.name(&asked.topic, asked.topic_id);
            for partition in &asked.partitions {
                if let Some(member) = self.member(&topic, partition.partition) {
                    member.current_leader_epoch = partition.current_leader_epoch;
                    member.fetch_offset = partition.fetch_offset;
                    member.partition_max_bytes = partition.partition_max_bytes;
                    continue;
                }
                let key = Key {
                    topic: Arc::clone(&topic),
                    partition: partition.partition,
                };
                self.append(Member {
                    key,
                    current_leader_epoch: partition.current_leader_epoch,
                    fetch_offset: partition.fetch_offset,
                    partition_max_bytes: partition.partition_max_bytes,
                    known: None,
                });
            }
        }
    }

    /// Puts a partition behind all others.
    fn append(&mut self, member: Member) {
        self.places.insert(member.key.clone(), self.next_place);
        self.members.insert(self.next_place, member);
        self.next_place += 1;
    }

    /// A topic's name in memory of its own: what comes with a request keeps all of it in memory.
    fn name(&self, name: &Str, id: Uuid) -> Arc<TopicName> {
        Arc::new(match self.by_id {
            true => TopicName::Id(id),
            false => TopicName::Name(Str::from(name.to_string())),
        })
    }

    fn place(&self, topic: &Arc<TopicName>, partition: i32) -> Option<u64> {
        let topic = Arc::clone(topic);
        self.places.get(&Key { topic, partition }).copied()
    }

    fn member(&mut self, topic: &Arc<TopicName>, partition: i32) -> Option<&mut Member> {
        let place = self.place(topic, partition)?;
        self.members.get_mut(&place)
    }

    /// Everything that is fetched, as a full request would ask for it.
    fn topics(&self) -> Vec<FetchTopic> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        let mut current: Option<&Arc<TopicName>> = None;
        for member in self.members.values() {
            if current.is_none_or(|current| *current != member.key.topic) {
                current = Some(&member.key.topic);
                let (topic, topic_id) = match &*member.key.topic {
                    TopicName::Name(name) => (name.clone(), Uuid::default()),
                    TopicName::Id(id) => (Str::default(), *id),
                };
                topics.push(FetchTopic {
                    topic,
                    topic_id,
                    ..Default::default()
                });
            }
            if let Some(topic) = topics.last_mut() {
                topic.partitions.push(FetchPartition {
                    partition: member.key.partition,
                    current_leader_epoch: member.current_leader_epoch,
                    fetch_offset: member.fetch_offset,
                    partition_max_bytes: member.partition_max_bytes,
                    ..Default::default()
                });
            }
        }
        topics
    }

    /// Keeps of an answer what has records, an error, or marks that the client doesn't know.
    fn leave_out_known(&mut self, response: &mut FetchResponse) {
        for answered in &mut response.responses {
            let topic = self.name(&answered.topic, answered.topic_id);
            answered
                .partitions
                .retain(|data| self.is_news(&topic, data));
        }
        response
            .responses
            .retain(|answered| !answered.partitions.is_empty());
    }

    fn is_news(&mut self, topic: &Arc<TopicName>, data: &PartitionData) -> bool {
        let Some(place) = self.place(topic, data.partition_index) else {
            return true;
        };
        let has_records = data
            .records
            .as_ref()
            .is_some_and(|records| !Payload::is_empty(records));
        let marks = Marks::of(data);
        if has_records {
            if let Some(mut member) = self.members.remove(&place) {
                member.known = marks;
                self.append(member);
            }
            return true;
        }
        let Some(member) = self.members.get_mut(&place) else {
            return true;
        };
        let is_known = marks.is_some() && member.known == marks;
        member.known = marks;
        !is_known
    }
}
