//! Schemas by id, by content id, and all of them.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::Embedded;
use super::api_error::ApiError;
use super::facts::{StoredSchema, Version};
use super::names::{Prefix, SubjectName};
use super::query::Query;
use super::state::State;
use super::subjects::{schema_answer, version_answer};
use crate::avro;
use crate::protobuf;
use crate::rest::SchemaAnswer;
use crate::schema::SchemaKind;

/// The longest texts of schemas, all together, of one list; a single one may be longer.
const LIST_BYTES_MAX: usize = 16 << 20;

impl Embedded {
    /// A schema by id.
    pub(super) fn schema_by_id(
        &self,
        id: &str,
        query: &Query,
        extended: bool,
    ) -> Result<SchemaAnswer, ApiError> {
        let state = self.state();
        let (id, schema) = in_use(&state, id)?;
        let mut answer = shown(&state, &schema, query, extended);
        if query.is_set("fetchMaxId") {
            answer.max_id = Some(state.last_id().into());
        }
        if extended {
            // The subject asked for, or else any that has the schema now, or had it.
            let asked = query.get("subject");
            let chosen = state
                .uses(id)
                .max_by_key(|(name, version)| (asked == Some(name.as_str()), !version.deleted));
            if let Some((name, version)) = chosen {
                answer.subject = Some(name.as_str().to_owned());
                answer.version = i32::try_from(version.version).ok();
                answer.ts = Some(version.registered_ms);
                answer.deleted = Some(version.deleted);
            }
        }
        Ok(answer)
    }

    /// Only the text of a schema.
    pub(super) fn schema_text(&self, id: &str, query: &Query) -> Result<String, ApiError> {
        let state = self.state();
        let (_, schema) = in_use(&state, id)?;
        Ok(shown(&state, &schema, query, false)
            .schema
            .unwrap_or_default())
    }

    /// Subjects that have the schema.
    pub(super) fn subjects_of(&self, id: &str, query: &Query) -> Result<Vec<String>, ApiError> {
        let uses = self.uses_of(id, query, |name, _| name.as_str().to_owned())?;
        let mut subjects = uses;
        subjects.dedup();
        Ok(subjects)
    }

    /// Subjects and versions that have the schema.
    pub(super) fn versions_of(&self, id: &str, query: &Query) -> Result<Vec<Value>, ApiError> {
        self.uses_of(
            id,
            query,
            |name, version| json!({"subject": name.as_str(), "version": version.version}),
        )
    }

    fn uses_of<T>(
        &self,
        id: &str,
        query: &Query,
        show: impl Fn(&SubjectName, &Version) -> T,
    ) -> Result<Vec<T>, ApiError> {
        let state = self.state();
        let (id, _) = in_use(&state, id)?;
        let (wanted, subject) = (query.wanted(), query.get("subject"));
        let uses = state.uses(id).filter(|(name, version)| {
            wanted.takes(version.deleted) && subject.is_none_or(|subject| subject == name.as_str())
        });
        Ok(uses.map(|(name, version)| show(name, version)).collect())
    }

    /// A schema by its content id.
    pub(super) fn schema_by_guid(
        &self,
        guid: &str,
        query: &Query,
        extended: bool,
    ) -> Result<SchemaAnswer, ApiError> {
        let state = self.state();
        let ids = ids_of(&state, guid)?;
        let schema = ids.first().and_then(|id| state.stored(*id)).cloned();
        let schema = schema.ok_or_else(|| ApiError::schema_id_not_found(guid))?;
        Ok(shown(&state, &schema, query, extended))
    }

    /// The ids of a content id, and the contexts they are of.
    pub(super) fn ids_by_guid(&self, guid: &str) -> Result<Vec<Value>, ApiError> {
        let state = self.state();
        let mut found = Vec::new();
        for id in ids_of(&state, guid)? {
            let mut contexts: Vec<_> = state.uses(id).map(|(name, _)| name.context()).collect();
            contexts.sort_unstable();
            contexts.dedup();
            found.extend(
                contexts
                    .into_iter()
                    .map(|context| json!({"context": context, "id": id})),
            );
        }
        Ok(found)
    }

    /// Every version of every subject that the query asks for.
    ///
    /// # Errors
    /// If their texts together are too long for one answer: one text may be of any number of subjects.
    pub(super) fn list_schemas(
        &self,
        query: &Query,
        context: Option<&str>,
        extended: bool,
    ) -> Result<Vec<SchemaAnswer>, ApiError> {
        let prefix = Prefix::parse(query.get("subjectPrefix"), context);
        let (wanted, latest) = (query.wanted(), query.is_set("latestOnly"));
        let state = self.state();
        let mut found = Vec::new();
        for (name, subject) in state.subjects().filter(|(name, _)| prefix.matches(name)) {
            let versions = subject
                .versions
                .iter()
                .filter(|version| wanted.takes(version.deleted));
            let from = if latest {
                versions.clone().count().saturating_sub(1)
            } else {
                0
            };
            for version in versions.skip(from) {
                if let Some(schema) = state.stored(version.id) {
                    found.push((name, version, schema));
                }
            }
        }
        let found = query.page(found)?;
        let bytes: usize = found.iter().map(|(.., schema)| schema.text.len()).sum();
        if bytes > LIST_BYTES_MAX && found.len() > 1 {
            return Err(ApiError::too_large(format!(
                "{bytes} bytes of schemas are more than the {LIST_BYTES_MAX} of one answer: ask for \
                 fewer at a time by offset and limit"
            )));
        }
        let answers = found
            .into_iter()
            .map(|(name, version, schema)| version_answer(name, version, schema, extended));
        Ok(answers.collect())
    }
}

/// Puts the text into the form that the query's `format` asks for.
pub(super) fn formatted(
    state: &State,
    schema: &StoredSchema,
    query: &Query,
    mut answer: SchemaAnswer,
) -> SchemaAnswer {
    if schema.kind == SchemaKind::Avro && query.get("format") == Some("resolved") {
        let references = state.resolve(&schema.references).unwrap_or_default();
        if let Ok(parsed) = avro::parse(&schema.text, &references)
            && let Some(resolved) = avro::render_resolved(&parsed)
        {
            answer.schema = Some(resolved);
        }
    }
    // What the serializers of most languages read: they have no compiler at hand.
    if schema.kind == SchemaKind::Protobuf && query.get("format") == Some("serialized") {
        let references = state.resolve(&schema.references).unwrap_or_default();
        if let Ok(parsed) = protobuf::parse(&schema.text, &references) {
            answer.schema = Some(parsed.serialized());
        }
    }
    answer
}

pub(super) fn shown(
    state: &State,
    schema: &StoredSchema,
    query: &Query,
    extended: bool,
) -> SchemaAnswer {
    formatted(state, schema, query, schema_answer(schema, extended))
}

fn in_use(state: &State, id: &str) -> Result<(u32, Arc<StoredSchema>), ApiError> {
    let number: i64 = id
        .parse()
        .map_err(|_| ApiError::bad_request(format!("'{id}' is no id: that is a number")))?;
    let found = u32::try_from(number)
        .ok()
        .and_then(|id| Some((id, state.in_use(id)?.clone())));
    found.ok_or_else(|| ApiError::schema_id_not_found(number))
}

fn ids_of(state: &State, guid: &str) -> Result<Vec<u32>, ApiError> {
    let parsed =
        Uuid::try_parse(guid).map_err(|_| ApiError::schema_id_not_found("of that guid"))?;
    let ids: Vec<_> = state
        .ids(parsed)
        .filter(|id| state.in_use(*id).is_some())
        .collect();
    if ids.is_empty() {
        Err(ApiError::schema_id_not_found(parsed))
    } else {
        Ok(ids)
    }
}
