//! The topics there are, as far as groups need to know of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use fletch_wire::Uuid;

/// A topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
}

/// All topics, by name and by id.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    topics: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<Uuid, Arc<str>>,
    /// How often it has changed.
    version: u64,
}

impl Directory {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn put(&mut self, name: &str, topic: Topic) {
        if self.get(name) == Some(topic) {
            return;
        }
        self.remove(name);
        let name: Arc<str> = name.into();
        self.names.insert(topic.id, name.clone());
        self.topics.insert(name, topic);
        self.version += 1;
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(topic) = self.topics.remove(name) {
            self.names.remove(&topic.id);
            self.version += 1;
        }
    }

    /// Removes the topics that aren't among these.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        let names = self.topics.keys().filter(|name| !is_there(name));
        let gone: Vec<Arc<str>> = names.cloned().collect();
        gone.iter().for_each(|name| self.remove(name));
    }

    pub(crate) fn get(&self, name: &str) -> Option<Topic> {
        self.topics.get(name).copied()
    }

    pub(crate) fn name(&self, id: &Uuid) -> Option<&Arc<str>> {
        self.names.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, Topic)> {
        self.topics.iter().map(|(name, topic)| (name, *topic))
    }
}
