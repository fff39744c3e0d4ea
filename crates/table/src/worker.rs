//! One topic's way from its log into its table.
//!
//! A worker alternates between waiting and *cycles*. A cycle reads what came, converts it, streams
//! it into a data file, and ends with one commit. Nothing outlives a cycle but the position: after
//! any error, and at the next start, the work goes on from the offsets that the table records.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fletch_store::{Store, Topic};
use iceberg::spec::DataFile;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::catalog::Catalog;
use crate::commit::{Change, IcebergTable};
use crate::compaction::Compactor;
use crate::convert::detect::Role;
use crate::convert::payloads::{Payloads, Want};
use crate::convert::{Converter, Input, Need, Output, Stopped, TableSchemas};
use crate::dead_letter::{DeadLetter, Reason, Refusal};
use crate::dead_letters::DeadLetters;
use crate::faults::Step;
use crate::files::Files;
use crate::holds::{Holder, Holds};
use crate::incoming::Incoming;
use crate::offsets::Position;
use crate::schemas::{Answer, Named, Schemas};
use crate::settings::TopicSettings;
use crate::source::SchemaSource;
use crate::status::{Stop, TopicState};
use crate::{TableConfig, TableError, home};

/// Bytes of log converted at one go: enough to fill record batches, little enough to overlap
/// reading, converting and writing.
const CHUNK_BYTES: usize = 1 << 20;
/// Dead letters that one commit carries at most.
const DEAD_BYTES_MAX: usize = 4 << 20;
/// While less than a record batch's worth is waiting, a cycle lets this much time pass for more.
const GATHER: Duration = Duration::from_millis(20);
/// Pauses after errors: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));
/// How often an idle topic's table is looked after.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// A worker that is to end waits this long for schemas that its last records need.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// What all workers share.
pub(crate) struct House {
    pub store: Store,
    pub config: TableConfig,
    pub catalog: Arc<Catalog>,
    pub source: Arc<dyn SchemaSource>,
    /// Turns at having a data file open.
    pub writers: Semaphore,
    /// Turns at opening a table.
    pub opening: Semaphore,
    /// Turns at merging files.
    pub merging: Arc<Semaphore>,
    /// What of the log is still needed.
    pub holds: Holds,
}

/// Works until the topic is deleted or the worker is stopped, whatever goes wrong meanwhile.
pub(crate) async fn run(house: Arc<House>, topic: Arc<Topic>, state: Arc<TopicState>) {
    let mut stop = state.stop.subscribe();
    let mut pause = PAUSE.0;
    loop {
        let started = Instant::now();
        let session = async {
            let opening = house
                .opening
                .acquire()
                .await
                .map_err(|_| TableError::Closed)?;
            let session = Session::open(&house, &topic, &state).await?;
            drop(opening);
            session.work().await
        };
        let ended = tokio::select! {
            ended = session => ended,
            _ = stop.wait_for(|stop| *stop == Stop::Now) => return,
        };
        let Err(error) = ended else { return };
        if house.store.topic_by_id(topic.id).is_none() {
            return;
        }
        tracing::error!(topic = topic.name, %error, "the table doesn't get on; starting again from its recorded offsets");
        state.failed(&error);
        if started.elapsed() > PAUSE.1 {
            pause = PAUSE.0;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // Who is told to end after draining, and can't drain, ends.
            _ = stop.wait_for(|stop| *stop != Stop::No) => return,
        }
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// A worker between two errors.
struct Session {
    house: Arc<House>,
    topic: Arc<Topic>,
    state: Arc<TopicState>,
    /// None until there is something to put into it.
    table: Option<Arc<Mutex<IcebergTable>>>,
    /// What has been taken.
    position: Position,
    /// What the table records, or will record once the commit that is under way is through.
    recorded: Position,
    incoming: Incoming,
    converter: Option<Converter>,
    schemas: Schemas,
    /// Partitions waiting for a schema.
    parked: HashMap<Named, Vec<i32>>,
    /// None if the topic's records are dead letters: they never are again.
    dead_letters: Option<Arc<Mutex<DeadLetters>>>,
    committing: Option<AbortOnDrop<Result<(), TableError>>>,
    compacting: Option<AbortOnDrop<()>>,
}

/// What one cycle has gathered.
#[derive(Default)]
struct Cycle {
    files: Option<Files>,
    done: Vec<DataFile>,
    dead: Vec<DeadLetter>,
    dead_bytes: usize,
    /// Records that are rows although they can't be read, by reason.
    raw: HashMap<&'static str, u64>,
    records: u64,
}

impl Session {
    async fn open(
        house: &Arc<House>,
        topic: &Arc<Topic>,
        state: &Arc<TopicState>,
    ) -> Result<Self, TableError> {
        let settings = TopicSettings::of(topic).map_err(TableError::TopicConfig)?;
        let table = home::open(house, topic).await?;
        let (position, tables, files) = match &table {
            None => (Position::default(), TableSchemas::default(), 0),
            Some(table) => (table.position()?, home::schemas(table)?, table.files()),
        };
        let dead_letters = match settings.letters {
            true => None,
            false => {
                let open = DeadLetters::open(house, topic, position.dead_letters);
                Some(Arc::new(Mutex::new(open.await?)))
            }
        };
        let mut incoming = Incoming::new(house.store.clone(), topic.id);
        incoming.follow(&position.offsets)?;
        let schemas = Schemas::new(house.source.clone(), &house.config, &settings);
        let converter = Converter::new(
            &settings,
            tables,
            house.config.batch_records_max,
            house.config.faults.clone(),
        )?;
        state.has(converter.tables());
        state.registry(None);
        state.opened(position.offsets.clone(), files);
        let mut session = Self {
            house: house.clone(),
            topic: topic.clone(),
            state: state.clone(),
            table: table.map(|table| Arc::new(Mutex::new(table))),
            recorded: position.clone(),
            position,
            incoming,
            converter: Some(converter),
            schemas,
            parked: HashMap::new(),
            dead_letters,
            committing: None,
            compacting: None,
        };
        // A table of an older version, or of other topic configs, lacks columns of ours.
        let columns = session.converter()?.fields().clone();
        home::ensure(session.table.as_deref(), &columns, None).await?;
        session.compact();
        retain(house, topic, &session.position);
        Ok(session)
    }

    async fn work(mut self) -> Result<(), TableError> {
        let mut stop = self.state.stop.subscribe();
        let mut leave_by = None;
        loop {
            self.incoming.follow(&self.position.offsets)?;
            self.incoming.refresh();
            self.state.saw(self.incoming.end());
            if self.incoming.deleted() {
                return Ok(());
            }
            let stopping = *stop.borrow_and_update() != Stop::No;
            if !self.incoming.ready() {
                if stopping {
                    self.committed().await?;
                    let left = leave_by.get_or_insert(Instant::now() + LEAVE_WITHIN);
                    if self.parked.is_empty() || Instant::now() >= *left {
                        return Ok(());
                    }
                    if let Ok(answer) = timeout_at(*left, self.schemas.answered()).await {
                        self.learn(answer);
                    }
                    continue;
                }
                tokio::select! {
                    () = self.incoming.grown() => {}
                    answer = self.schemas.answered() => self.learn(answer),
                    done = finished(&mut self.committing) => done?,
                    () = tokio::time::sleep(TIDY_EVERY) => tidy(self.table.clone()).await,
                    _ = stop.changed() => {}
                }
                continue;
            }
            let deadline = Instant::now() + self.house.config.commit_interval;
            self.gather(deadline, stopping).await;
            let house = self.house.clone();
            let turn = house
                .writers
                .acquire()
                .await
                .map_err(|_| TableError::Closed)?;
            let cycle = self.cycle(deadline).await?;
            drop(turn);
            self.commit(cycle).await?;
        }
    }

    /// Waits for a record batch's worth of records, until the deadline.
    async fn gather(&mut self, deadline: Instant, stopping: bool) {
        let enough = self.house.config.batch_records_max as u64;
        let mut stop = self.state.stop.subscribe();
        stop.mark_unchanged();
        while !stopping && (self.incoming.ready_records() < enough || !self.turns_to_spare()) {
            tokio::select! {
                () = self.incoming.grown() => self.state.saw(self.incoming.end()),
                () = tokio::time::sleep_until(deadline) => return,
                () = self.state.hurry.notified() => return,
                _ = stop.changed() => return,
            }
        }
    }

    /// May a cycle begin before its commit is due, and keep a turn until then? Not with the last
    /// one: topics that are due take theirs from that, for as long as they compute.
    fn turns_to_spare(&self) -> bool {
        let (free, all) = (
            self.house.writers.available_permits(),
            self.house.config.writers_max,
        );
        free >= 2.min(all)
    }

    /// Takes what is there and what comes, until the deadline, or a file's size, or the end.
    async fn cycle(&mut self, deadline: Instant) -> Result<Cycle, TableError> {
        let mut cycle = Cycle::default();
        // However busy it is: who waits for an answer isn't to wait for a pause.
        self.schemas.look_again();
        while let Some(answer) = self.schemas.ready() {
            self.learn(answer);
        }
        for (role, reference) in self.schemas.forget_unknown() {
            if let Some(payloads) = self.payloads(role) {
                payloads.forget(reference);
            }
        }
        loop {
            self.incoming.refresh();
            self.state.saw(self.incoming.end());
            let inputs = self.incoming.read(CHUNK_BYTES).await?;
            if !inputs.is_empty() {
                let starts: Vec<(i32, i64)> = inputs
                    .iter()
                    .map(|input| (input.partition, input.from))
                    .collect();
                let output = self.convert(inputs).await?;
                self.take(output, &starts, &mut cycle).await?;
            }
            let full = cycle.dead_bytes >= DEAD_BYTES_MAX
                || cycle
                    .files
                    .as_ref()
                    .is_some_and(|files| files.bytes() >= self.house.config.file_bytes_target);
            if full || Instant::now() >= deadline || self.incoming.deleted() {
                break;
            }
            if self.incoming.ready_records() < self.house.config.batch_records_max as u64 {
                let hurried = self.pause(deadline).await?;
                if hurried && !self.incoming.ready() {
                    break;
                }
            }
        }
        if let Some(files) = cycle.files.take() {
            cycle.done.extend(files.finish().await?);
        }
        Ok(cycle)
    }

    /// Lets a little time pass for more to come. True if there is no time for that.
    async fn pause(&mut self, deadline: Instant) -> Result<bool, TableError> {
        let mut stop = self.state.stop.subscribe();
        if *stop.borrow_and_update() != Stop::No {
            return Ok(true);
        }
        let until = if self.incoming.ready() {
            (Instant::now() + GATHER).min(deadline)
        } else {
            deadline
        };
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(false),
                () = self.state.hurry.notified() => return Ok(true),
                _ = stop.changed() => return Ok(true),
                answer = self.schemas.answered() => {
                    self.learn(answer);
                    return Ok(false);
                }
                () = self.incoming.grown() => {
                    self.state.saw(self.incoming.end());
                    if until == deadline {
                        return Ok(false);
                    }
                }
            }
        }
    }

    async fn convert(&mut self, inputs: Vec<Input>) -> Result<Output, TableError> {
        let mut converter = self.converter.take().ok_or(TableError::Closed)?;
        let (converter, output) = tokio::task::spawn_blocking(move || {
            let output = converter.convert(&inputs);
            (converter, output)
        })
        .await
        .map_err(|error| TableError::Store(format!("converting ended early: {error}")))?;
        self.converter = Some(converter);
        output
    }

    /// Takes over what was converted.
    async fn take(
        &mut self,
        output: Output,
        starts: &[(i32, i64)],
        cycle: &mut Cycle,
    ) -> Result<(), TableError> {
        cycle.records += output.records;
        for (partition, next) in &output.next {
            self.position.offsets.set(*partition, *next);
        }
        cycle.dead_bytes += output.dead.iter().map(DeadLetter::bytes).sum::<usize>();
        cycle.dead.extend(output.dead);
        for (reason, count) in output.raw {
            *cycle.raw.entry(reason).or_default() += count;
        }
        if !output.rows.is_empty() {
            if cycle.files.is_none() {
                cycle.files = Some(self.new_files().await?);
            }
            if let Some(files) = &mut cycle.files {
                files.write(output.rows).await?;
            }
        }
        if let Some(Stopped { partition, need }) = output.stopped {
            // What came after the record that has to wait is read again.
            for (partition, from) in starts {
                let next = output.next.get(partition).copied().unwrap_or(*from);
                self.incoming.put_back(*partition, next);
            }
            let Need { role, want } = need;
            match want {
                Want::Columns => self.grow(role, cycle).await?,
                Want::Schema(reference) => {
                    let named = (role, reference);
                    self.incoming.park(partition);
                    self.parked.entry(named).or_default().push(partition);
                    self.schemas.ask(named);
                }
            }
        }
        Ok(())
    }

    /// A schema's answer came: records that waited for it go on.
    fn learn(&mut self, answer: Answer) {
        self.state.registry(self.schemas.trouble());
        let Answer::Is(named, text) = answer else {
            return;
        };
        let (role, reference) = named;
        if let Some(payloads) = self.payloads(role) {
            payloads.know(reference, text);
        }
        for partition in self.parked.remove(&named).unwrap_or_default() {
            self.incoming.release(partition);
        }
    }

    /// Gives the table the columns that payloads of a role ask for, or refuses those payloads.
    async fn grow(&mut self, role: Role, cycle: &mut Cycle) -> Result<(), TableError> {
        let house = self.house.clone();
        let asked = self.converter()?.growth(role, &house.config);
        let grown = match asked {
            Ok((tables, columns)) => {
                home::ensure(self.table.as_deref(), &columns, Some(&tables)).await
            }
            Err(error) => Err(error),
        };
        match grown {
            Ok(()) => {}
            Err(TableError::Column { path, why }) => {
                let message = format!("column {path}: {why}");
                let reason = Reason::IncompatibleSchema;
                if let Some(payloads) = self.payloads(role) {
                    payloads.refuse_growth(Refusal {
                        reason,
                        message,
                        path,
                    });
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        // Rows of the old columns are in a file of their own.
        if let Some(files) = cycle.files.take() {
            cycle.done.extend(files.finish().await?);
        }
        self.converter()?.grow(role)?;
        let tables = self.converter()?.tables();
        self.state.has(tables);
        Ok(())
    }

    fn payloads(&mut self, role: Role) -> Option<&mut Payloads> {
        self.converter.as_mut()?.payloads(role)
    }

    fn converter(&mut self) -> Result<&mut Converter, TableError> {
        self.converter.as_mut().ok_or(TableError::Closed)
    }

    /// The table, created if this is the first time it is needed.
    async fn table(&mut self) -> Result<Arc<Mutex<IcebergTable>>, TableError> {
        if let Some(table) = &self.table {
            return Ok(table.clone());
        }
        let converter = self.converter()?;
        let (columns, tables) = (converter.fields().clone(), converter.tables());
        let table = home::create(&self.house, &self.topic, &columns, &tables).await?;
        let table = Arc::new(Mutex::new(table));
        self.table = Some(table.clone());
        self.compact();
        Ok(table)
    }

    /// Begins to merge the table's small files in the background.
    fn compact(&mut self) {
        let config = &self.house.config;
        let Some(table) = self.table.clone().filter(|_| config.compaction) else {
            return;
        };
        let turns = self.house.merging.clone();
        let compactor = Compactor::new(
            table,
            turns,
            config.file_bytes_target,
            config.row_group_bytes_max,
        );
        let committed = self.state.committed.subscribe();
        self.compacting = Some(AbortOnDrop(tokio::spawn(compactor.run(committed))));
    }

    async fn new_files(&mut self) -> Result<Files, TableError> {
        let table = self.table().await?;
        let layout = table
            .lock()
            .await
            .layout(self.house.config.row_group_bytes_max);
        Ok(Files::new(layout, self.converter()?.fields().clone()))
    }

    /// Waits for the commit that is under way, if there is one.
    async fn committed(&mut self) -> Result<(), TableError> {
        match &mut self.committing {
            None => Ok(()),
            committing => finished(committing).await,
        }
    }

    /// Starts to commit a cycle; the next one may begin meanwhile.
    async fn commit(&mut self, cycle: Cycle) -> Result<(), TableError> {
        self.committed().await?;
        // Not by the count of records: a log also has entries that are none.
        if self.position.offsets == self.recorded.offsets {
            return Ok(());
        }
        let table = self.table().await?;
        let commit = Commit {
            house: self.house.clone(),
            topic: self.topic.clone(),
            state: self.state.clone(),
            table,
            dead_letters: self.dead_letters.clone(),
            expected: std::mem::replace(&mut self.recorded, self.position.clone()),
            next: self.position.clone(),
            cycle,
        };
        self.committing = Some(AbortOnDrop(tokio::spawn(commit.run())));
        Ok(())
    }
}

/// Work in the background, which ends with its session.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Deletes superfluous files that have become due although nothing is committed.
async fn tidy(table: Option<Arc<Mutex<IcebergTable>>>) {
    if let Some(table) = table {
        table.lock().await.collect().await;
    }
}

/// Waits for a commit to end; for ever if there is none.
async fn finished(
    committing: &mut Option<AbortOnDrop<Result<(), TableError>>>,
) -> Result<(), TableError> {
    let Some(handle) = committing else {
        return std::future::pending().await;
    };
    let ended = (&mut handle.0).await;
    *committing = None;
    ended.map_err(|error| TableError::Store(format!("a commit ended early: {error}")))?
}

/// Tells the log what the table has taken and doesn't need any more.
fn retain(house: &House, topic: &Topic, position: &Position) {
    let House { holds, store, .. } = house;
    for partition in 0..topic.partitions {
        let taken = position.offsets.get(partition);
        holds.set(store, topic, partition, Holder::Table, taken);
    }
}

/// A commit on its own, so that the next cycle needn't wait for it.
struct Commit {
    house: Arc<House>,
    topic: Arc<Topic>,
    state: Arc<TopicState>,
    table: Arc<Mutex<IcebergTable>>,
    dead_letters: Option<Arc<Mutex<DeadLetters>>>,
    expected: Position,
    next: Position,
    cycle: Cycle,
}

impl Commit {
    async fn run(mut self) -> Result<(), TableError> {
        let started = Instant::now();
        let faults = self.house.config.faults.clone();
        let name = self.topic.name.as_str();
        faults.at(name, Step::DataFileWritten)?;
        // Dead letters come first: should the way end between the two, they are found in their
        // topic when the same records come round again, and aren't written twice.
        let mut dead_letters = match &self.dead_letters {
            Some(dead_letters) => Some(dead_letters.lock().await),
            None => None,
        };
        let dead = std::mem::take(&mut self.cycle.dead);
        let mut reasons: HashMap<&'static str, u64> = HashMap::new();
        for letter in &dead {
            *reasons.entry(letter.refusal.reason.as_str()).or_default() += 1;
        }
        match &mut dead_letters {
            Some(dead_letters) if !dead.is_empty() => {
                faults.at(name, Step::DeadLetters)?;
                dead_letters.append(&dead).await?;
                faults.at(name, Step::DeadLettersWritten)?;
            }
            Some(_) => {}
            // A batch that somebody else wrote there: it stays in the log, and isn't in the table.
            None => dead.iter().for_each(|letter| {
                let (offset, why) = (letter.offset, &letter.refusal.message);
                tracing::warn!(topic = name, offset, why, "a dead letter can't be read");
            }),
        }
        self.next.dead_letters = dead_letters.as_ref().map_or(0, |letters| letters.next());
        let mut table = self.table.lock().await;
        let change = Change::Append {
            expected: self.expected,
            next: self.next.clone(),
            files: self.cycle.done,
        };
        table.commit(change).await?;
        let files = table.files();
        drop(table);
        retain(&self.house, &self.topic, &self.next);
        if let Some(dead_letters) = &dead_letters {
            dead_letters.retain();
        }
        let labels = [("topic", name.to_owned())];
        metrics::counter!("kafka_table_commits", &labels).increment(1);
        metrics::counter!("kafka_table_records", &labels).increment(self.cycle.records);
        metrics::histogram!("kafka_table_commit_duration_seconds").record(started.elapsed());
        let labels = |reason: &str| [("topic", name.to_owned()), ("reason", reason.to_owned())];
        for (reason, count) in reasons {
            metrics::counter!("kafka_dead_letters", &labels(reason)).increment(count);
        }
        for (reason, count) in self.cycle.raw {
            metrics::counter!("kafka_raw_records", &labels(reason)).increment(count);
        }
        tracing::debug!(
            topic = name,
            records = self.cycle.records,
            dead = dead.len(),
            files,
            took_ms = started.elapsed().as_millis() as u64,
            "committed"
        );
        let end = (0..self.topic.partitions)
            .map(|p| self.next.offsets.get(p))
            .sum();
        self.state
            .committed(self.next.offsets, end, files, dead.len() as u64);
        Ok(())
    }
}
