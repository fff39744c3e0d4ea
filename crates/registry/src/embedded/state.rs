//! The state: what the facts so far amount to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::api_error::ApiError;
use super::facts::{
    Compatibility, Config, Fact, Mode, Settings, StoredReference, StoredSchema, Subject, Version,
};
use super::names::SubjectName;
use super::query::Wanted;
use crate::schema::{ReferencedSchema, Schema};

/// Schemas that one schema may refer to, directly or not.
pub(super) const REFERENCES_MAX: usize = 1_000;
/// And their texts together. (One schema may be referred to by any number of names, each of which is a copy.)
const REFERENCES_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct State {
    schemas: BTreeMap<u32, Arc<StoredSchema>>,
    guids: HashMap<Uuid, BTreeSet<u32>>,
    subjects: BTreeMap<SubjectName, Arc<Subject>>,
    /// Where each id is in use.
    uses: HashMap<u32, BTreeSet<(SubjectName, u32)>>,
    global: Settings,
    default_compatibility: Compatibility,
    /// Length of each fact, and of all.
    lengths: HashMap<String, usize>,
    bytes: usize,
}

impl State {
    pub(super) fn new(default_compatibility: Compatibility) -> State {
        State {
            schemas: BTreeMap::new(),
            guids: HashMap::new(),
            subjects: BTreeMap::new(),
            uses: HashMap::new(),
            global: Settings::default(),
            default_compatibility,
            lengths: HashMap::new(),
            bytes: 0,
        }
    }

    /// Takes a fact in. The last one about a thing is the one that counts.
    pub(super) fn apply(&mut self, fact: Fact) {
        self.measure(&fact);
        match fact {
            Fact::Schema(id, schema) => {
                self.guids.entry(schema.guid()).or_default().insert(id);
                self.schemas.insert(id, Arc::new(schema));
            }
            Fact::Subject(name, subject) => {
                let old = self.subjects.get(&name).cloned().unwrap_or_default();
                for Version { version, id, .. } in &old.versions {
                    if let Some(uses) = self.uses.get_mut(id) {
                        uses.remove(&(name.clone(), *version));
                    }
                }
                for Version { version, id, .. } in &subject.versions {
                    self.uses
                        .entry(*id)
                        .or_default()
                        .insert((name.clone(), *version));
                }
                if subject.is_empty() {
                    self.subjects.remove(&name);
                } else {
                    self.subjects.insert(name, Arc::new(subject));
                }
            }
            Fact::Global(settings) => self.global = settings,
        }
    }

    fn measure(&mut self, fact: &Fact) {
        // What was encoded once can be encoded again.
        let Ok((key, value)) = fact.encode() else {
            return;
        };
        let length = value.map(|value| key.len() + value.len());
        let old = match length {
            Some(length) => self.lengths.insert(key, length),
            None => self.lengths.remove(&key),
        };
        self.bytes = self.bytes + length.unwrap_or(0) - old.unwrap_or(0);
    }

    /// Length of all facts together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Length of the fact with this key, key included; 0 if there is none.
    pub(super) fn length(&self, key: &str) -> usize {
        self.lengths.get(key).copied().unwrap_or(0)
    }

    /// A schema, whether or not a subject still has it.
    pub(super) fn stored(&self, id: u32) -> Option<&Arc<StoredSchema>> {
        self.schemas.get(&id)
    }

    /// A schema that some subject has, be it a soft-deleted version.
    pub(super) fn in_use(&self, id: u32) -> Option<&Arc<StoredSchema>> {
        self.stored(id)
            .filter(|_| self.uses.get(&id).is_some_and(|uses| !uses.is_empty()))
    }

    /// Ids with this content, lowest first.
    pub(super) fn ids(&self, guid: Uuid) -> impl Iterator<Item = u32> + '_ {
        self.guids.get(&guid).into_iter().flatten().copied()
    }

    /// The highest id ever given out; 0 if none was.
    pub(super) fn last_id(&self) -> u32 {
        self.schemas.last_key_value().map_or(0, |(id, _)| *id)
    }

    /// Every subject and version that has the schema, with whether it is deleted.
    pub(super) fn uses(&self, id: u32) -> impl Iterator<Item = (&SubjectName, &Version)> + '_ {
        let uses = self.uses.get(&id).into_iter().flatten();
        uses.filter_map(|(name, version)| {
            let subject = self.subjects.get(name)?;
            let found = subject
                .versions
                .iter()
                .find(|found| found.version == *version)?;
            Some((name, found))
        })
    }

    /// Every subject, those with nothing but settings included.
    pub(super) fn subjects(&self) -> impl Iterator<Item = (&SubjectName, &Arc<Subject>)> + '_ {
        self.subjects.iter()
    }

    /// A subject, empty if it isn't known.
    pub(super) fn subject(&self, name: &SubjectName) -> Arc<Subject> {
        self.subjects.get(name).cloned().unwrap_or_default()
    }

    /// A subject that has versions of the kind wanted.
    pub(super) fn existing(
        &self,
        name: &SubjectName,
        wanted: Wanted,
    ) -> Result<Arc<Subject>, ApiError> {
        let subject = self.subject(name);
        if subject
            .versions
            .iter()
            .any(|version| wanted.takes(version.deleted))
        {
            Ok(subject)
        } else {
            Err(ApiError::subject_not_found(name.as_str()))
        }
    }

    pub(super) fn global(&self) -> &Settings {
        &self.global
    }

    /// Settings that a subject inherits from, nearest first: its own, its context's, the registry's.
    fn scopes(&self, name: &SubjectName) -> [Arc<Subject>; 2] {
        [self.subject(name), self.subject(&name.whole_context())]
    }

    pub(super) fn mode(&self, name: &SubjectName) -> Mode {
        if self.global.mode == Some(Mode::ReadonlyOverride) {
            return Mode::ReadonlyOverride;
        }
        let scopes = self.scopes(name);
        let mode = scopes.iter().find_map(|scope| scope.settings.mode);
        mode.or(self.global.mode).unwrap_or(Mode::Readwrite)
    }

    /// The configuration that applies to a subject, each property from the nearest scope that has it.
    pub(super) fn config(&self, name: &SubjectName) -> Config {
        let scopes = self.scopes(name);
        let near = scopes
            .iter()
            .filter_map(|scope| scope.settings.config.as_ref());
        let mut merged = Config::default();
        for config in near.chain(&self.global.config) {
            merged.compatibility = merged.compatibility.or(config.compatibility);
            merged.normalize = merged.normalize.or(config.normalize);
            merged.compatibility_group = merged
                .compatibility_group
                .or_else(|| config.compatibility_group.clone());
        }
        merged.compatibility = merged.compatibility.or(Some(self.default_compatibility));
        merged
    }

    pub(super) fn default_compatibility(&self) -> Compatibility {
        self.default_compatibility
    }

    /// A schema with all that it refers to.
    pub(super) fn schema(&self, id: u32) -> Option<Schema> {
        let stored = self.stored(id)?;
        Some(Schema {
            id,
            kind: stored.kind,
            text: stored.text.clone(),
            // A stored schema refers to stored schemas only, and its names were checked.
            references: self.resolve(&stored.references).unwrap_or_default(),
        })
    }

    /// The schemas referred to, each once, dependencies first.
    pub(super) fn resolve(
        &self,
        references: &[StoredReference],
    ) -> Result<Vec<ReferencedSchema>, String> {
        let mut found = Resolved::default();
        self.follow(references, &mut found)?;
        Ok(found.schemas)
    }

    fn follow(&self, references: &[StoredReference], found: &mut Resolved) -> Result<(), String> {
        for StoredReference { reference, id } in references {
            // One schema may be known by several names, and is needed by each of them.
            let name = &reference.name;
            match found.ids.get(name) {
                Some(known) if known == id => continue,
                Some(_) => return Err(format!("{name} refers to two schemas")),
                None => {}
            }
            let stored = self
                .stored(*id)
                .ok_or_else(|| format!("{name} refers to nothing"))?;
            if found.ids.len() >= REFERENCES_MAX {
                return Err(format!("over {REFERENCES_MAX} schemas are referred to"));
            }
            found.bytes += stored.text.len();
            if found.bytes > REFERENCES_BYTES_MAX {
                return Err(format!(
                    "over {REFERENCES_BYTES_MAX} bytes of schemas are referred to"
                ));
            }
            found.ids.insert(name.clone(), *id);
            // Ids only refer to lower ids, or to ids imported before: there is no circle, and the
            // bound above is one on depth as well.
            self.follow(&stored.references, found)?;
            found.schemas.push(ReferencedSchema {
                name: name.clone(),
                text: stored.text.clone(),
            });
        }
        Ok(())
    }

    /// Ids of the schemas, in use, that refer to a version.
    pub(super) fn referring(&self, name: &SubjectName, version: u32) -> Vec<u32> {
        let mut ids = self.all_referring(name, version);
        ids.retain(|id| self.in_use(*id).is_some());
        ids
    }

    /// Whether a version that isn't deleted refers to this one.
    pub(super) fn is_needed(&self, name: &SubjectName, version: u32) -> bool {
        let mut ids = self.all_referring(name, version).into_iter();
        ids.any(|id| self.uses(id).any(|(_, version)| !version.deleted))
    }

    fn all_referring(&self, name: &SubjectName, version: u32) -> Vec<u32> {
        let refers = |schema: &StoredSchema| {
            schema
                .references
                .iter()
                .any(|StoredReference { reference, .. }| {
                    reference.subject == name.as_str()
                        && i64::from(reference.version) == i64::from(version)
                })
        };
        let ids = self.schemas.iter().filter(|(_, schema)| refers(schema));
        ids.map(|(id, _)| *id).collect()
    }
}

#[derive(Default)]
struct Resolved {
    ids: HashMap<String, u32>,
    /// Of their texts.
    bytes: usize,
    schemas: Vec<ReferencedSchema>,
}
