//! A member of a consumer group.

use std::collections::BTreeSet;
use std::sync::Arc;

use fletch_wire::Uuid;
use regex::{Regex, RegexBuilder};

use crate::fact::{ConsumerMemberFact, Partitions};
use crate::groups::directory::Directory;
use crate::timers::Alarm;

/// The epoch of a static member that has left for a while.
pub(crate) const LEFT_FOR_A_WHILE: i32 = -2;

/// The most bytes of a compiled regular expression.
const REGEX_BYTES_MAX: usize = 128 << 10;

/// What a member takes besides what it reads and owns, about.
const FIXED_BYTES: usize = 1024;
/// What the name of a topic takes besides its letters, about.
const NAME_BYTES: usize = 64;
/// What a partition takes that a member owns or is to own, about.
const PARTITION_BYTES: usize = 32;

/// A member.
#[derive(Debug)]
pub(crate) struct Member {
    /// What is kept of it.
    pub(crate) fact: ConsumerMemberFact,
    /// Its regular expression, compiled.
    pub(crate) regex: Option<Regex>,
    /// The ids of the topics it reads, by the directory as last looked at.
    pub(crate) topics: BTreeSet<Uuid>,
    /// When its session ends.
    pub(crate) session: Alarm,
    /// When it must have made its next step: given up what it is to give up; or, of the classic protocol,
    /// joined again, or asked for its assignment.
    pub(crate) step: Alarm,
}

impl Member {
    pub(crate) fn new(fact: ConsumerMemberFact) -> Self {
        // What is kept could be compiled before.
        let regex = fact.regex.as_deref().and_then(compile);
        Self {
            fact,
            regex,
            topics: BTreeSet::new(),
            session: Alarm::default(),
            step: Alarm::default(),
        }
    }

    /// The bytes that are kept for it, about, without those of classic protocols.
    pub(crate) fn bytes(&self) -> usize {
        let fact = &self.fact;
        let names: usize = fact.topics.iter().map(|name| name.len() + NAME_BYTES).sum();
        let partitions = [&fact.assigned, &fact.revoking, &fact.target];
        let partitions: usize = partitions.map(|some| pairs(some).count()).iter().sum();
        let regex = self.regex.as_ref().map_or(0, |_| REGEX_BYTES_MAX);
        FIXED_BYTES + names + regex + partitions * PARTITION_BYTES
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.fact.id
    }

    /// Looks up the topics that it reads.
    pub(crate) fn resolve(&mut self, directory: &Directory) {
        let named = self
            .fact
            .topics
            .iter()
            .filter_map(|name| directory.get(name));
        self.topics = named.map(|topic| topic.id).collect();
        if let Some(regex) = &self.regex {
            let matching = directory.iter().filter(|(name, _)| regex.is_match(name));
            self.topics.extend(matching.map(|(_, topic)| topic.id));
        }
    }
}

/// Compiles an expression that a topic's whole name must match.
pub(crate) fn compile(text: &str) -> Option<Regex> {
    let compile = |text: &str| {
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(REGEX_BYTES_MAX).build().ok()
    };
    // By itself first, so that it can't close the group that it is put into.
    compile(text)?;
    compile(&format!("^(?:{text})$"))
}

/// Whether some partition is in both.
pub(crate) fn overlap(one: &Partitions, other: &Partitions) -> bool {
    let in_other = |topic: &Uuid, partition: &i32| {
        let partitions = other.get(topic);
        partitions.is_some_and(|partitions| partitions.contains(partition))
    };
    pairs(one).any(|(topic, partition)| in_other(&topic, &partition))
}

/// Every partition.
pub(crate) fn pairs(partitions: &Partitions) -> impl Iterator<Item = (Uuid, i32)> {
    let topics = partitions.iter();
    topics.flat_map(|(topic, partitions)| partitions.iter().map(|partition| (*topic, *partition)))
}

/// The partitions of one that `keep` picks.
pub(crate) fn filter(one: &Partitions, keep: impl Fn(&Uuid, i32) -> bool) -> Partitions {
    let mut kept = Partitions::new();
    for (topic, partition) in pairs(one) {
        if keep(&topic, partition) {
            kept.entry(topic).or_default().insert(partition);
        }
    }
    kept
}

pub(crate) fn contains(partitions: &Partitions, topic: &Uuid, partition: i32) -> bool {
    partitions
        .get(topic)
        .is_some_and(|partitions| partitions.contains(&partition))
}
