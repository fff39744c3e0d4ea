//! Registering schemas and looking them up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use uuid::Uuid;

use super::Embedded;
use super::api_error::ApiError;
use super::check::{self, Earlier};
use super::facts::{
    Compatibility, Config, Fact, Mode, StoredReference, StoredSchema, Subject, Version,
};
use super::names::SubjectName;
use super::query::Wanted;
use super::state::State;
use crate::rest::SchemaRequest;
use crate::schema::{Reference, ReferencedSchema, SchemaKind};

/// Highest id and version: on the wire both are signed.
const NUMBER_MAX: u32 = i32::MAX as u32;
/// Schemas one schema may refer to directly.
const DIRECT_REFERENCES_MAX: usize = 256;

/// Gives out ids; held by whoever writes.
pub(super) struct Allocator {
    last_id: u32,
    /// Ids whose schema may or may not have been written: the content has the id either way.
    pending: HashMap<Uuid, u32>,
}

impl Allocator {
    pub(super) fn new(state: &State) -> Allocator {
        Allocator {
            last_id: state.last_id(),
            pending: HashMap::new(),
        }
    }

    /// The id for content that has none yet. Once given out, an id is never given to other content,
    /// even if writing fails: it may have been written all the same.
    fn allocate(&mut self, guid: Uuid) -> Result<u32, ApiError> {
        if let Some(id) = self.pending.get(&guid) {
            return Ok(*id);
        }
        if self.last_id >= NUMBER_MAX {
            return Err(ApiError::internal("there are no more ids"));
        }
        self.last_id += 1;
        self.pending.insert(guid, self.last_id);
        Ok(self.last_id)
    }
}

/// A request's schema, understood.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) schema: StoredSchema,
    pub(super) resolved: Vec<ReferencedSchema>,
    /// Whether the request said anything of metadata or rules.
    annotated: bool,
}

/// Where a schema is registered.
pub(super) struct Registered {
    pub(super) version: Version,
    pub(super) schema: Arc<StoredSchema>,
}

impl Embedded {
    /// Understands the schema of a request. Takes time in proportion to the schema.
    pub(super) async fn candidate(
        &self,
        subject: &SubjectName,
        request: &SchemaRequest,
        normalize: bool,
        wanted: Wanted,
    ) -> Result<Candidate, ApiError> {
        let kind = request.schema_type.as_deref();
        let kind = SchemaKind::from_wire(kind).ok_or_else(|| {
            ApiError::invalid_schema(format!("type {:?}", request.schema_type.as_deref()))
        })?;
        let text = request
            .schema
            .clone()
            .filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| ApiError::invalid_schema("there is none"))?;
        let given = request.references.as_deref().unwrap_or_default();
        let (normalize, references, resolved) = {
            let state = self.state();
            let normalize = normalize || state.config(subject).normalize.unwrap_or(false);
            let references = stored_references(&state, subject, given, kind, normalize, wanted)?;
            let resolved = state
                .resolve(&references)
                .map_err(ApiError::invalid_schema)?;
            (normalize, references, resolved)
        };
        let resolved_there = resolved.clone();
        let check::Canonical { text, form } =
            aside(move || check::canonical(kind, &text, &resolved_there, normalize))
                .await?
                .map_err(ApiError::invalid_schema)?;
        let metadata = object("metadata", &request.metadata)?;
        let rule_set = object("ruleSet", &request.rule_set)?;
        let annotated = metadata.is_some() || rule_set.is_some();
        let schema = StoredSchema {
            kind,
            text,
            form,
            references,
            metadata,
            rule_set,
        };
        Ok(Candidate {
            schema,
            resolved,
            annotated,
        })
    }

    /// Registers a schema under a subject, or finds it there.
    pub(super) async fn register(
        &self,
        subject: &SubjectName,
        request: &SchemaRequest,
        normalize: bool,
    ) -> Result<Registered, ApiError> {
        no_schemas_here(subject)?;
        let candidate = self
            .candidate(subject, request, normalize, Wanted::Live)
            .await?;
        let asked_id = number("id", request.id, -1)?;
        if let Some(found) = self.registered(subject, &candidate, asked_id) {
            return Ok(found);
        }

        let mut allocator = self.inner.writer.lock().await;
        // Another writer may have been faster: both with this schema, and with what it refers to.
        let mut candidate = self
            .candidate(subject, request, normalize, Wanted::Live)
            .await?;
        if let Some(found) = self.registered(subject, &candidate, asked_id) {
            return Ok(found);
        }
        let (mut entry, mode, config) = {
            let state = self.state();
            let entry = Subject::clone(&state.subject(subject));
            (entry, state.mode(subject), state.config(subject))
        };
        if entry.versions.len() >= self.config().versions_max {
            return Err(ApiError::too_large(format!(
                "subject '{}' has {} versions, the most it may have",
                subject.as_str(),
                entry.versions.len()
            )));
        }
        let asked_version = number("version", request.version, 0)?.filter(|version| *version > 0);
        let next_version = entry.versions.last().map_or(0, |last| last.version) + 1;
        match mode {
            Mode::Readonly | Mode::ReadonlyOverride => {
                return Err(not_permitted(subject, "is in read-only mode"));
            }
            Mode::Import => {}
            Mode::Readwrite if asked_id.is_some() => {
                return Err(not_permitted(subject, "is not in import mode"));
            }
            Mode::Readwrite if asked_version.is_some_and(|version| version != next_version) => {
                return Err(ApiError::unprocessable(format!(
                    "the next version of subject '{}' is {next_version}",
                    subject.as_str()
                )));
            }
            Mode::Readwrite => {
                self.inherit(&entry, &mut candidate);
                self.check_fit(subject, &entry, &candidate, &config).await?;
            }
        }

        let id = self
            .store_schema(&mut allocator, subject, &candidate.schema, asked_id)
            .await?;
        let version = Version {
            version: asked_version
                .filter(|_| mode == Mode::Import)
                .unwrap_or(next_version),
            id,
            deleted: false,
            registered_ms: now_ms(),
        };
        // An import may come in any order, and may come twice.
        entry
            .versions
            .retain(|known| known.version != version.version);
        let place = entry
            .versions
            .partition_point(|known| known.version < version.version);
        entry.versions.insert(place, version.clone());
        self.write(Fact::Subject(subject.clone(), entry)).await?;
        tracing::info!(
            subject = subject.as_str(), version = version.version, id, kind = %candidate.schema.kind,
            "schema registered"
        );
        Ok(Registered {
            version,
            schema: Arc::new(candidate.schema),
        })
    }

    /// Finds the version under which a subject has a schema.
    pub(super) async fn look_up(
        &self,
        subject: &SubjectName,
        request: &SchemaRequest,
        normalize: bool,
        wanted: Wanted,
    ) -> Result<Registered, ApiError> {
        self.state().existing(subject, wanted)?;
        // What a known schema refers to may have been deleted since.
        let candidate = self
            .candidate(subject, request, normalize, Wanted::All)
            .await?;
        let state = self.state();
        let entry = state.existing(subject, wanted)?;
        let versions = entry
            .versions
            .iter()
            .filter(|version| wanted.takes(version.deleted));
        find(&state, versions, &candidate, None).ok_or_else(ApiError::schema_not_found)
    }

    fn registered(
        &self,
        subject: &SubjectName,
        candidate: &Candidate,
        id: Option<u32>,
    ) -> Option<Registered> {
        let state = self.state();
        let entry = state.subject(subject);
        find(&state, entry.live(), candidate, id)
    }

    /// A schema that says nothing of metadata and rules has those of the version before it.
    fn inherit(&self, entry: &Subject, candidate: &mut Candidate) {
        if candidate.annotated {
            return;
        }
        let state = self.state();
        if let Some(last) = entry
            .live()
            .next_back()
            .and_then(|last| state.stored(last.id))
        {
            candidate.schema.metadata = last.metadata.clone();
            candidate.schema.rule_set = last.rule_set.clone();
        }
    }

    async fn check_fit(
        &self,
        subject: &SubjectName,
        entry: &Subject,
        candidate: &Candidate,
        config: &Config,
    ) -> Result<(), ApiError> {
        let versions: Vec<_> = entry.live().cloned().collect();
        let messages = self.misfits(candidate, versions, config).await?;
        if messages.is_empty() {
            return Ok(());
        }
        let details = format!("[{}]", messages.join(", "));
        Err(ApiError::incompatible(subject.as_str(), &details))
    }

    /// Why a schema doesn't fit these versions, at the configured level.
    pub(super) async fn misfits(
        &self,
        candidate: &Candidate,
        versions: Vec<Version>,
        config: &Config,
    ) -> Result<Vec<String>, ApiError> {
        let level = config.compatibility.unwrap_or(Compatibility::Backward);
        let group = |schema: &StoredSchema| {
            let name = config.compatibility_group.as_deref()?;
            schema
                .metadata
                .as_ref()?
                .get("properties")?
                .get(name)
                .cloned()
        };
        let mut earlier = Vec::new();
        if level != Compatibility::None {
            let state = self.state();
            for version in versions.iter().rev() {
                let Some(schema) = state.stored(version.id) else {
                    continue;
                };
                if group(schema) != group(&candidate.schema) {
                    continue;
                }
                let references = state
                    .resolve(&schema.references)
                    .map_err(ApiError::internal)?;
                let schema = schema.clone();
                earlier.push(Earlier {
                    version: version.version,
                    schema,
                    references,
                });
                if !level.is_transitive() {
                    break;
                }
            }
        }
        let Candidate {
            schema, resolved, ..
        } = candidate.clone();
        aside(move || check::misfits(level, schema.kind, &schema.text, &resolved, &earlier))
            .await?
            .map_err(ApiError::internal)
    }

    /// The id of the content: the one it has, the one asked for, or a new one.
    async fn store_schema(
        &self,
        allocator: &mut Allocator,
        subject: &SubjectName,
        schema: &StoredSchema,
        asked: Option<u32>,
    ) -> Result<u32, ApiError> {
        let guid = schema.guid();
        let (known, occupied) = {
            let state = self.state();
            let known: Vec<_> = state.ids(guid).collect();
            let occupied = asked.is_some_and(|id| state.stored(id).is_some());
            (known, occupied)
        };
        let id = match asked {
            None => match known.first() {
                Some(id) => return Ok(*id),
                None => allocator.allocate(guid)?,
            },
            Some(id) if known.contains(&id) => return Ok(id),
            Some(id) if occupied || allocator.pending.values().any(|pending| *pending == id) => {
                return Err(not_permitted(
                    subject,
                    &format!("can't have id {id}: it is taken"),
                ));
            }
            Some(id) => {
                allocator.last_id = allocator.last_id.max(id);
                id
            }
        };
        self.write(Fact::Schema(id, schema.clone())).await?;
        allocator.pending.remove(&guid);
        Ok(id)
    }
}

/// The latest of the versions that has the candidate's schema, and the id asked for if any.
fn find<'a>(
    state: &State,
    versions: impl DoubleEndedIterator<Item = &'a Version>,
    candidate: &Candidate,
    id: Option<u32>,
) -> Option<Registered> {
    let wanted = &candidate.schema;
    versions
        .rev()
        .filter(|version| id.is_none_or(|id| id == version.id))
        .find_map(|version| {
            let schema = state.stored(version.id)?;
            let same = schema.is_same(wanted)
                && (!candidate.annotated
                    || (schema.metadata == wanted.metadata && schema.rule_set == wanted.rule_set));
            same.then(|| Registered {
                version: version.clone(),
                schema: schema.clone(),
            })
        })
}

/// References with the ids they have now.
fn stored_references(
    state: &State,
    subject: &SubjectName,
    references: &[Reference],
    kind: SchemaKind,
    normalize: bool,
    wanted: Wanted,
) -> Result<Vec<StoredReference>, ApiError> {
    if references.len() > DIRECT_REFERENCES_MAX {
        return Err(ApiError::invalid_schema(format!(
            "{} references, where {DIRECT_REFERENCES_MAX} can be",
            references.len()
        )));
    }
    let mut stored = Vec::with_capacity(references.len());
    for reference in references {
        let name = subject.referred(&reference.subject)?;
        let entry = state.subject(&name);
        let mut versions = entry
            .versions
            .iter()
            .filter(|version| wanted.takes(version.deleted));
        let found = match reference.version {
            -1 => versions.next_back(),
            number => versions.find(|version| i64::from(version.version) == i64::from(number)),
        };
        let found = found.ok_or_else(|| {
            let Reference {
                subject, version, ..
            } = reference;
            ApiError::invalid_schema(format!(
                "it refers to version {version} of subject '{subject}', which isn't there"
            ))
        })?;
        let other = state.stored(found.id).map(|schema| schema.kind);
        if other.is_some_and(|other| other != kind) {
            return Err(ApiError::invalid_schema(format!(
                "it refers to '{}', which isn't {kind}",
                reference.subject
            )));
        }
        let reference = Reference {
            name: reference.name.clone(),
            subject: name.as_str().to_owned(),
            version: i32::try_from(found.version).unwrap_or(i32::MAX),
        };
        stored.push(StoredReference {
            reference,
            id: found.id,
        });
    }
    if normalize {
        stored.sort_by(|a, b| a.reference.cmp(&b.reference));
        stored.dedup();
    }
    Ok(stored)
}

fn no_schemas_here(subject: &SubjectName) -> Result<(), ApiError> {
    if subject.name().is_empty() {
        return Err(ApiError::invalid_subject(
            subject.as_str(),
            "it is a context",
        ));
    }
    Ok(())
}

fn not_permitted(subject: &SubjectName, why: &str) -> ApiError {
    ApiError::not_permitted(format!("Subject '{}' {why}", subject.as_str()))
}

/// A number of a request; up to `none`, it stands for none.
fn number(what: &str, given: Option<i64>, none: i64) -> Result<Option<u32>, ApiError> {
    let given = given.filter(|number| *number > none);
    let number = given.map(|number| u32::try_from(number).ok().filter(|n| *n <= NUMBER_MAX));
    match number {
        None => Ok(None),
        Some(Some(number)) => Ok(Some(number)),
        Some(None) => Err(ApiError::unprocessable(format!(
            "{what} is beyond {NUMBER_MAX}"
        ))),
    }
}

fn object(what: &str, value: &Option<Value>) -> Result<Option<Value>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(_)) => Ok(value.clone()),
        Some(_) => Err(ApiError::unprocessable(format!("{what} isn't an object"))),
    }
}

fn now_ms() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// Runs what may take long where it holds up no one else.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ApiError::internal)
}
