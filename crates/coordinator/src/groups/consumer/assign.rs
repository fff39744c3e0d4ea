//! The assignors: who is to own which partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fletch_wire::Uuid;

use crate::fact::Partitions;

/// A way to assign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assignor {
    /// Each member has as many partitions as any other, and keeps those it had.
    Uniform,
    /// The partitions of each topic in ranges, so that equal topics are owned alike.
    Range,
}

impl Assignor {
    pub(crate) const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Kafka's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|assignor| assignor.name() == name)
    }

    /// Assigns the partitions of all topics that somebody reads.
    pub(crate) fn assign(
        self,
        readers: &[Reader],
        partitions: &BTreeMap<Uuid, i32>,
    ) -> Vec<Partitions> {
        match self {
            Self::Uniform => uniform(readers, partitions),
            Self::Range => range(readers, partitions),
        }
    }
}

/// A member, as an assignor sees it.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// What members are put in order by.
    pub(crate) name: Arc<str>,
    /// The topics it reads.
    pub(crate) topics: BTreeSet<Uuid>,
    /// What it was to own before.
    pub(crate) before: Partitions,
}

#[expect(
    clippy::indexing_slicing,
    reason = "the numbers of readers, which all these lists have as many entries as"
)]
fn range(readers: &[Reader], partitions: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
    let mut assigned = vec![Partitions::new(); readers.len()];
    for (topic, &count) in partitions {
        let mut of: Vec<usize> = (0..readers.len())
            .filter(|index| readers[*index].topics.contains(topic))
            .collect();
        of.sort_by(|a, b| readers[*a].name.cmp(&readers[*b].name));
        let (Ok(members), mut next) = (i32::try_from(of.len()), 0) else {
            continue;
        };
        for (number, index) in (0..members).zip(of) {
            let share = count / members + i32::from(number < count % members);
            if share > 0 {
                assigned[index].insert(*topic, (next..next + share).collect());
            }
            next += share;
        }
    }
    assigned
}

#[expect(
    clippy::indexing_slicing,
    reason = "the numbers of readers, which all these lists have as many entries as"
)]
fn uniform(readers: &[Reader], partitions: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
    let mut loads = vec![0usize; readers.len()];
    // Whoever had a partition before and still reads its topic keeps it at first.
    let mut owners: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
    for (index, reader) in readers.iter().enumerate() {
        for (topic, before) in &reader.before {
            let count = partitions.get(topic).copied().unwrap_or(0);
            let reads = reader.topics.contains(topic);
            for &partition in before
                .iter()
                .filter(|partition| reads && **partition < count)
            {
                owners.entry((*topic, partition)).or_insert_with(|| {
                    loads[index] += 1;
                    index
                });
            }
        }
    }
    // The others go to whoever has least; the topics with the fewest readers first.
    let readers_of = |topic: &Uuid| -> Vec<usize> {
        let of = readers.iter().enumerate();
        of.filter(|(_, reader)| reader.topics.contains(topic))
            .map(|(index, _)| index)
            .collect()
    };
    let mut topics: Vec<(Uuid, i32, Vec<usize>)> = partitions
        .iter()
        .map(|(topic, count)| (*topic, *count, readers_of(topic)))
        .collect();
    topics.sort_by_key(|(topic, _, readers)| (readers.len(), *topic));
    for (topic, count, of) in &topics {
        for partition in 0..*count {
            let least = of.iter().copied().min_by_key(|index| loads[*index]);
            if let Some(least) = least {
                owners.entry((*topic, partition)).or_insert_with(|| {
                    loads[least] += 1;
                    least
                });
            }
        }
    }
    // Then partitions move from those with more to those with less. Each move makes the loads more
    // even, so it ends.
    loop {
        let mut moved = false;
        for (topic, count, of) in &topics {
            for partition in 0..*count {
                let Some(owner) = owners.get_mut(&(*topic, partition)) else {
                    continue;
                };
                let least = of.iter().copied().min_by_key(|index| loads[*index]);
                if let Some(least) = least
                    && loads[*owner] > loads[least] + 1
                {
                    loads[*owner] -= 1;
                    loads[least] += 1;
                    *owner = least;
                    moved = true;
                }
            }
        }
        if !moved {
            break;
        }
    }
    let mut assigned = vec![Partitions::new(); readers.len()];
    for ((topic, partition), owner) in owners {
        assigned[owner].entry(topic).or_default().insert(partition);
    }
    assigned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cases() -> impl Strategy<Value = (Vec<Reader>, BTreeMap<Uuid, i32>)> {
        let topics = proptest::collection::vec(0..12i32, 1..5);
        let readers = proptest::collection::vec(proptest::collection::vec(any::<bool>(), 5), 1..7);
        (topics, readers).prop_map(|(topics, readers)| {
            let id = |index: usize| Uuid::from_u128(index as u128 + 1);
            let partitions = topics.iter().enumerate();
            let partitions = partitions
                .map(|(index, count)| (id(index), *count))
                .collect();
            let readers = readers.iter().enumerate().map(|(number, reads)| Reader {
                name: format!("member-{number}").into(),
                topics: (0..topics.len())
                    .filter(|index| reads[*index])
                    .map(id)
                    .collect(),
                before: Partitions::new(),
            });
            (readers.collect(), partitions)
        })
    }

    fn check(readers: &[Reader], partitions: &BTreeMap<Uuid, i32>, assigned: &[Partitions]) {
        for (topic, count) in partitions {
            let of = |assigned: &Partitions| assigned.get(topic).cloned().unwrap_or_default();
            let mut owned: Vec<i32> = assigned.iter().flat_map(of).collect();
            owned.sort_unstable();
            let is_read = readers.iter().any(|reader| reader.topics.contains(topic));
            let expected: Vec<i32> = (0..if is_read { *count } else { 0 }).collect();
            assert_eq!(owned, expected, "each partition that is read is owned once");
        }
        for (reader, assigned) in readers.iter().zip(assigned) {
            assert!(assigned.keys().all(|topic| reader.topics.contains(topic)));
        }
    }

    fn load(assigned: &Partitions) -> usize {
        assigned.values().map(BTreeSet::len).sum()
    }

    proptest! {
        #[test]
        fn everything_that_is_read_is_owned_once((readers, partitions) in cases()) {
            for assignor in Assignor::ALL {
                check(&readers, &partitions, &assignor.assign(&readers, &partitions));
            }
        }

        #[test]
        fn uniform_is_even_and_keeps_what_it_can((mut readers, partitions) in cases()) {
            let all: BTreeSet<Uuid> = partitions.keys().copied().collect();
            readers.iter_mut().for_each(|reader| reader.topics.clone_from(&all));
            let first = Assignor::Uniform.assign(&readers, &partitions);
            let even = |assigned: &[Partitions]| {
                let loads: Vec<usize> = assigned.iter().map(load).collect();
                loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1
            };
            prop_assert!(even(&first));
            for (reader, assigned) in readers.iter_mut().zip(&first) {
                reader.before.clone_from(assigned);
            }
            prop_assert_eq!(&Assignor::Uniform.assign(&readers, &partitions), &first);
            // One leaves: the others keep what they have.
            readers.pop();
            if !readers.is_empty() {
                let second = Assignor::Uniform.assign(&readers, &partitions);
                check(&readers, &partitions, &second);
                prop_assert!(even(&second));
                for (before, after) in first.iter().zip(&second) {
                    for (topic, partitions) in before {
                        let after = after.get(topic).cloned().unwrap_or_default();
                        prop_assert!(partitions.is_subset(&after));
                    }
                }
            }
        }
    }

    #[test]
    fn ranges_are_alike_in_equal_topics() {
        let ids = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let reader = |name: &str| Reader {
            name: name.into(),
            topics: ids.into(),
            before: Partitions::new(),
        };
        let partitions = ids.map(|id| (id, 5)).into();
        let assigned = Assignor::Range.assign(&[reader("b"), reader("a")], &partitions);
        for id in ids {
            assert_eq!(assigned[0][&id], BTreeSet::from([3, 4]));
            assert_eq!(assigned[1][&id], BTreeSet::from([0, 1, 2]));
        }
    }
}
