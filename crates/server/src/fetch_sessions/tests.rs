//! Sessions beside a model: a broker of a few numbers, and clients that remember what they were told.

use std::collections::BTreeMap;

use bytes::Bytes;
use fletch_wire::messages::fetch::{FetchableTopicResponse, ForgottenTopic};

use super::*;

/// Numbers that a seed decides.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// A topic's number and a partition.
type Place = (u64, i32);

/// What there is to be fetched; a partition that isn't there is an error.
#[derive(Default)]
struct Model {
    partitions: BTreeMap<Place, Marks>,
}

/// Partitions with records that one answer has room for.
const ROOM: usize = 2;

impl Model {
    fn step(&mut self, random: &mut Random) {
        let place = (random.below(3), random.below(3) as i32);
        match self.partitions.get_mut(&place) {
            Some(_) if random.one_in(12) => drop(self.partitions.remove(&place)),
            Some(marks) if random.one_in(5) => marks.log_start = marks.stable,
            Some(marks) if random.one_in(3) => marks.stable = marks.high,
            Some(marks) => marks.high += 1 + random.below(3) as i64,
            None => {
                let marks = Marks {
                    high: 0,
                    stable: 0,
                    log_start: 0,
                };
                self.partitions.insert(place, marks);
            }
        }
    }

    /// The answer to a full request.
    fn answer(&self, request: &FetchRequest, by_id: bool) -> FetchResponse {
        let mut room = ROOM;
        let mut answer = |topic: u64, asked: &FetchPartition| {
            let mut data = PartitionData {
                partition_index: asked.partition,
                records: Some(Payload::default()),
                ..Default::default()
            };
            match self.partitions.get(&(topic, asked.partition)) {
                None => data.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Some(marks) => {
                    data.high_watermark = marks.high;
                    data.last_stable_offset = marks.stable;
                    data.log_start_offset = marks.log_start;
                    if asked.fetch_offset < marks.high && room > 0 {
                        room -= 1;
                        data.records = Some(Bytes::from_static(b"records").into());
                    }
                }
            }
            data
        };
        let topics = request.topics.iter().map(|asked| {
            let topic = number(&asked.topic, asked.topic_id, by_id);
            FetchableTopicResponse {
                topic: asked.topic.clone(),
                topic_id: asked.topic_id,
                partitions: asked
                    .partitions
                    .iter()
                    .map(|asked| answer(topic, asked))
                    .collect(),
                ..Default::default()
            }
        });
        FetchResponse {
            responses: topics.collect(),
            ..Default::default()
        }
    }
}

fn number(name: &Str, id: Uuid, by_id: bool) -> u64 {
    match by_id {
        true => id.as_u128() as u64,
        false => name.parse().unwrap(),
    }
}

/// A consumer with what it fetches, what it has told the broker, and what it was told.
#[derive(Default)]
struct Client {
    by_id: bool,
    session: (i32, i32),
    wanted: BTreeMap<Place, i64>,
    told: BTreeMap<Place, i64>,
    view: BTreeMap<Place, Option<Marks>>,
    /// Answers in a row without a partition's records, though there are some.
    starved: BTreeMap<Place, usize>,
}

impl Client {
    fn name(&self, topic: u64) -> (Str, Uuid) {
        match self.by_id {
            true => (Str::default(), Uuid::from_u128(topic.into())),
            false => (topic.to_string().into(), Uuid::default()),
        }
    }

    fn change_wishes(&mut self, random: &mut Random) {
        let place = (random.below(3), random.below(3) as i32);
        if self.wanted.remove(&place).is_none() || random.one_in(2) {
            self.wanted.insert(place, random.below(4) as i64);
        }
    }

    fn request(&self) -> FetchRequest {
        let full = self.session.1 <= 0;
        let mut request = FetchRequest {
            session_id: self.session.0,
            session_epoch: self.session.1,
            ..Default::default()
        };
        for (place, offset) in &self.wanted {
            if full || self.told.get(place) != Some(offset) {
                let (topic, topic_id) = self.name(place.0);
                request.topics.push(FetchTopic {
                    topic,
                    topic_id,
                    partitions: vec![FetchPartition {
                        partition: place.1,
                        fetch_offset: *offset,
                        ..Default::default()
                    }],
                    ..Default::default()
                });
            }
        }
        for place in self.told.keys() {
            if !full && !self.wanted.contains_key(place) {
                let (topic, topic_id) = self.name(place.0);
                request.forgotten_topics_data.push(ForgottenTopic {
                    topic,
                    topic_id,
                    partitions: vec![place.1],
                    ..Default::default()
                });
            }
        }
        request
    }

    /// Takes an answer in, and compares what it knows now with what there is.
    fn receive(&mut self, response: &FetchResponse, model: &Model) {
        if !response.error_code.is_none() {
            self.session = (0, 0);
            return;
        }
        let was_full = self.session.1 <= 0;
        if was_full {
            self.view.clear();
            self.starved.clear();
        }
        self.session = match response.session_id {
            0 => (0, 0),
            id if was_full => (id, 1),
            id => (id, next_epoch(self.session.1)),
        };
        self.told = self.wanted.clone();
        self.view.retain(|place, _| self.told.contains_key(place));
        let mut with_records = 0;
        for topic in &response.responses {
            let number = number(&topic.topic, topic.topic_id, self.by_id);
            for data in &topic.partitions {
                let place = (number, data.partition_index);
                self.view.insert(place, Marks::of(data));
                if !data.records.as_ref().unwrap().is_empty() {
                    with_records += 1;
                    self.starved.remove(&place);
                    // It reads, and goes on behind.
                    self.wanted
                        .insert(place, model.partitions[&place].high.max(0));
                }
            }
        }
        for (place, offset) in &self.told {
            let actual = model.partitions.get(place).copied();
            assert_eq!(self.view.get(place), Some(&actual), "{place:?}");
            if with_records < ROOM {
                let left = actual.is_some_and(|marks| *offset < marks.high)
                    && self.wanted.get(place) == Some(offset);
                assert!(!left, "{place:?} has records that were left out");
            }
            if actual.is_some_and(|marks| *offset < marks.high) && self.session.1 > 1 {
                *self.starved.entry(*place).or_default() += 1;
                assert!(self.starved[place] <= 9, "{place:?} never has its turn");
            } else {
                self.starved.remove(place);
            }
        }
    }
}

/// Whatever is left out of an answer is what the client knows, and a partition with records isn't left
/// out while there is room; however sessions are lost, taken over and evicted.
#[test]
fn an_incremental_answer_tells_as_much_as_a_full_one() {
    let mut went_on = 0;
    for seed in 0..400 {
        let mut random = Random(seed);
        let random = &mut random;
        let sessions = FetchSessions::new(1 + random.below(4), 6 + random.below(20));
        let mut model = Model::default();
        let mut now = Instant::now();
        let mut clients: Vec<Client> = (0..1 + random.below(5))
            .map(|_| Client {
                by_id: random.one_in(2),
                ..Client::default()
            })
            .collect();
        for _ in 0..150 {
            for _ in 0..random.below(4) {
                model.step(random);
            }
            now += Duration::from_secs(random.below(90));
            let at = random.below(clients.len() as u64) as usize;
            let client = &mut clients[at];
            for _ in 0..random.below(3) {
                client.change_wishes(random);
            }
            if random.one_in(40) {
                client.session.1 = if random.one_in(2) { 0 } else { -1 };
            }
            let mut request = client.request();
            let part = match sessions.begin(&mut request, client.by_id, now) {
                Ok(part) => part,
                Err(error) => {
                    client.receive(
                        &FetchResponse {
                            error_code: error,
                            ..Default::default()
                        },
                        &model,
                    );
                    continue;
                }
            };
            went_on += u64::from(matches!(part, Part::GoesOn { .. }));
            let asked: BTreeMap<Place, i64> = request
                .topics
                .iter()
                .flat_map(|topic| {
                    let number = number(&topic.topic, topic.topic_id, client.by_id);
                    let asked = topic.partitions.iter();
                    asked.map(move |asked| ((number, asked.partition), asked.fetch_offset))
                })
                .collect();
            assert_eq!(asked, client.wanted, "seed {seed}");
            let response = model.answer(&request, client.by_id);
            let response = sessions.end(part, &request, client.by_id, response, now);
            if !random.one_in(30) {
                client.receive(&response, &model);
            }
            let cache = sessions.cache();
            let total: usize = cache.sessions.values().map(|one| one.members.len()).sum();
            assert_eq!(
                (cache.partitions, cache.by_use.len()),
                (total, cache.sessions.len())
            );
            assert!(total <= sessions.partitions_max);
            assert!(cache.sessions.len() <= sessions.sessions_max);
        }
    }
    assert!(
        went_on > 5_000,
        "only {went_on} requests went on with a session"
    );
}

fn request(session: (i32, i32), partitions: i32) -> FetchRequest {
    let partitions = (0..partitions).map(|partition| FetchPartition {
        partition,
        ..Default::default()
    });
    FetchRequest {
        session_id: session.0,
        session_epoch: session.1,
        topics: vec![FetchTopic {
            topic: "t".into(),
            partitions: partitions.collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn open(sessions: &FetchSessions, partitions: i32, now: Instant) -> i32 {
    let mut request = request((0, 0), partitions);
    let part = sessions.begin(&mut request, false, now).unwrap();
    let response = FetchResponse::default();
    sessions
        .end(part, &request, false, response, now)
        .session_id
}

#[test]
fn the_longest_unused_gives_way_once_it_is_idle() {
    let sessions = FetchSessions::new(2, 10);
    let start = Instant::now();
    let (first, second) = (open(&sessions, 1, start), open(&sessions, 1, start));
    assert!(first > 0 && second > 0 && first != second);
    assert_eq!(open(&sessions, 1, start + IDLE_MIN / 2), 0);
    // The first is used, the second isn't.
    let used = start + IDLE_MIN / 2;
    assert!(
        sessions
            .begin(&mut request((first, 1), 0), false, used)
            .is_ok()
    );
    let third = open(&sessions, 1, start + IDLE_MIN);
    assert!(third > 0);
    let late = start + IDLE_MIN;
    let gone = sessions.begin(&mut request((second, 1), 0), false, late);
    assert_eq!(gone, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    assert!(
        sessions
            .begin(&mut request((first, 2), 0), false, late)
            .is_ok()
    );
    // More partitions than there is room for, at once and bit by bit.
    assert_eq!(open(&sessions, 11, late + IDLE_MIN), 0);
    let grown = sessions.begin(&mut request((first, 3), 10), false, late);
    assert_eq!(grown, Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    assert_eq!(sessions.cache().partitions, 1);
    assert_eq!(open(&FetchSessions::new(0, 10), 1, start), 0);
}

#[test]
fn only_the_next_request_goes_on() {
    let sessions = FetchSessions::new(2, 10);
    let now = Instant::now();
    let id = open(&sessions, 1, now);
    let begin = |session, by_id| sessions.begin(&mut request(session, 1), by_id, now);
    assert_eq!(
        begin((id, 2), false),
        Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH)
    );
    assert_eq!(
        begin((id, 1), true),
        Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR)
    );
    assert_eq!(
        begin((0, 1), false),
        Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
    );
    let part = begin((id, 1), false).unwrap();
    assert_eq!(part, Part::GoesOn { id, next_epoch: 2 });
    assert_eq!(
        begin((id, 1), false),
        Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH)
    );
    // A request that came while the other waited, over another connection.
    begin((id, 2), false).unwrap();
    let asked = request((id, 1), 1);
    let late = sessions.end(part, &asked, false, FetchResponse::default(), now);
    assert_eq!(late.error_code, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    // A full request ends it, with a new one or none.
    assert_eq!(begin((id, FINAL_EPOCH), false), Ok(Part::None));
    assert_eq!(
        begin((id, 3), false),
        Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
    );
    assert_eq!(next_epoch(i32::MAX), 1);
}

#[test]
fn a_session_of_nothing_is_over() {
    let sessions = FetchSessions::new(2, 10);
    let now = Instant::now();
    let id = open(&sessions, 2, now);
    let mut last = FetchRequest {
        session_id: id,
        session_epoch: 1,
        forgotten_topics_data: vec![ForgottenTopic {
            topic: "t".into(),
            partitions: vec![0, 1, 7],
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_eq!(sessions.begin(&mut last, false, now), Ok(Part::None));
    assert!(sessions.cache().sessions.is_empty());
    assert_eq!(sessions.cache().partitions, 0);
}
