//! Subjects and their versions: listing, reading, deleting.

use super::Embedded;
use super::api_error::ApiError;
use super::facts::{Fact, Mode, Settings, StoredReference, StoredSchema, Subject, Version};
use super::names::{Prefix, SubjectName};
use super::query::{Query, Wanted};
use super::state::State;
use crate::rest::SchemaAnswer;
use crate::schema::SchemaKind;

/// A version as a path names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VersionName {
    Latest,
    Number(u32),
}

impl VersionName {
    pub(super) fn parse(text: &str) -> Result<VersionName, ApiError> {
        match text {
            "latest" | "-1" => Ok(VersionName::Latest),
            _ => match text.parse::<u32>() {
                Ok(number) if (1..=i32::MAX as u32).contains(&number) => {
                    Ok(VersionName::Number(number))
                }
                _ => Err(ApiError::invalid_version(text)),
            },
        }
    }

    /// The version meant; the latest is a live one if there is any.
    pub(super) fn find(self, subject: &Subject, wanted: Wanted) -> Result<&Version, ApiError> {
        let mut versions = subject
            .versions
            .iter()
            .filter(|found| wanted.takes(found.deleted));
        match self {
            VersionName::Latest => {
                let live = subject.live().next_back().filter(|_| wanted.takes(false));
                live.or_else(|| versions.next_back())
                    .ok_or_else(|| ApiError::version_not_found("latest"))
            }
            VersionName::Number(number) => versions
                .find(|found| found.version == number)
                .ok_or_else(|| ApiError::version_not_found(number)),
        }
    }
}

/// A schema as answers show it; `extended` adds the properties that old clients don't know.
pub(super) fn schema_answer(schema: &StoredSchema, extended: bool) -> SchemaAnswer {
    let references = schema
        .references
        .iter()
        .map(|StoredReference { reference, .. }| reference);
    SchemaAnswer {
        schema: Some(schema.text.clone()),
        // The oldest clients know no other kind, and not the property.
        schema_type: (extended || schema.kind != SchemaKind::Avro).then(|| schema.kind.to_string()),
        references: (!schema.references.is_empty()).then(|| references.cloned().collect()),
        metadata: schema.metadata.clone(),
        rule_set: schema.rule_set.clone(),
        guid: extended.then(|| schema.guid().to_string()),
        ..SchemaAnswer::default()
    }
}

/// A version as answers show it.
pub(super) fn version_answer(
    subject: &SubjectName,
    version: &Version,
    schema: &StoredSchema,
    extended: bool,
) -> SchemaAnswer {
    SchemaAnswer {
        subject: Some(subject.as_str().to_owned()),
        version: i32::try_from(version.version).ok(),
        id: Some(version.id.into()),
        ts: extended.then_some(version.registered_ms),
        deleted: extended.then_some(version.deleted),
        ..schema_answer(schema, extended)
    }
}

impl Embedded {
    pub(super) fn list_subjects(&self, query: &Query, context: Option<&str>) -> Vec<String> {
        let prefix = Prefix::parse(query.get("subjectPrefix"), context);
        let wanted = query.wanted();
        let state = self.state();
        let subjects = state.subjects().filter(|(name, subject)| {
            let exists = match wanted {
                Wanted::Live => subject.is_live(),
                Wanted::All => !subject.versions.is_empty(),
                Wanted::Deleted => !subject.versions.is_empty() && !subject.is_live(),
            };
            exists && prefix.matches(name)
        });
        subjects.map(|(name, _)| name.as_str().to_owned()).collect()
    }

    pub(super) fn list_contexts(&self) -> Vec<String> {
        let state = self.state();
        let with_subjects = state
            .subjects()
            .filter(|(_, subject)| !subject.versions.is_empty());
        let mut contexts: Vec<_> = with_subjects
            .map(|(name, _)| name.context().to_owned())
            .collect();
        contexts.push(super::names::DEFAULT_CONTEXT.to_owned());
        contexts.sort_unstable();
        contexts.dedup();
        contexts
    }

    pub(super) fn list_versions(
        &self,
        subject: &SubjectName,
        wanted: Wanted,
    ) -> Result<Vec<u32>, ApiError> {
        let entry = self.state().existing(subject, wanted)?;
        let versions = entry
            .versions
            .iter()
            .filter(|version| wanted.takes(version.deleted));
        Ok(versions.map(|version| version.version).collect())
    }

    /// Finds one version and its schema.
    pub(super) fn version<T>(
        &self,
        subject: &SubjectName,
        name: VersionName,
        wanted: Wanted,
        show: impl FnOnce(&State, &Version, &StoredSchema) -> T,
    ) -> Result<T, ApiError> {
        let state = self.state();
        let entry = state.existing(subject, wanted)?;
        let version = name.find(&entry, wanted)?;
        let schema = state
            .stored(version.id)
            .ok_or_else(ApiError::schema_not_found)?;
        Ok(show(&state, version, schema))
    }

    /// The latest version whose metadata has all these properties.
    pub(super) fn version_with_metadata(
        &self,
        subject: &SubjectName,
        query: &Query,
        extended: bool,
    ) -> Result<SchemaAnswer, ApiError> {
        let keys: Vec<_> = query.all("key").collect();
        let values: Vec<_> = query.all("value").collect();
        if keys.len() != values.len() {
            return Err(ApiError::bad_request(format!(
                "{} keys and {} values",
                keys.len(),
                values.len()
            )));
        }
        let wanted = query.wanted();
        let state = self.state();
        let entry = state.existing(subject, wanted)?;
        let versions = entry
            .versions
            .iter()
            .rev()
            .filter(|found| wanted.takes(found.deleted));
        for version in versions {
            let Some(schema) = state.stored(version.id) else {
                continue;
            };
            let properties = schema
                .metadata
                .as_ref()
                .and_then(|data| data.get("properties"));
            let has = |(key, value): (&&str, &&str)| {
                let found = properties.and_then(|properties| properties.get(*key));
                found.and_then(|found| found.as_str()) == Some(*value)
            };
            if keys.iter().zip(&values).all(has) {
                return Ok(version_answer(subject, version, schema, extended));
            }
        }
        Err(ApiError::schema_not_found())
    }

    pub(super) fn referring(
        &self,
        subject: &SubjectName,
        name: VersionName,
    ) -> Result<Vec<u32>, ApiError> {
        self.version(subject, name, Wanted::All, |state, version, _| {
            state.referring(subject, version.version)
        })
    }

    /// Deletes a subject, and gives the versions that were deleted.
    pub(super) async fn delete_subject(
        &self,
        subject: &SubjectName,
        permanent: bool,
    ) -> Result<Vec<u32>, ApiError> {
        let _writer = self.inner.writer.lock().await;
        let mut entry = self.deletable(subject)?;
        match (permanent, entry.is_live()) {
            (true, true) => return Err(ApiError::subject_not_soft_deleted(subject.as_str())),
            (false, false) => return Err(ApiError::subject_soft_deleted(subject.as_str())),
            _ => {}
        }
        let gone = |version: &&Version| permanent || !version.deleted;
        let deleted: Vec<_> = entry
            .versions
            .iter()
            .filter(gone)
            .map(|version| version.version)
            .collect();
        for version in &deleted {
            self.refuse_if_referenced(subject, *version)?;
        }
        if permanent {
            entry = Subject::default();
        } else {
            entry
                .versions
                .iter_mut()
                .for_each(|version| version.deleted = true);
            entry.settings = Settings::default();
        }
        self.write_removal(Fact::Subject(subject.clone(), entry))
            .await?;
        tracing::info!(subject = subject.as_str(), permanent, "subject deleted");
        Ok(deleted)
    }

    /// Deletes a version, and gives its number.
    pub(super) async fn delete_version(
        &self,
        subject: &SubjectName,
        name: VersionName,
        permanent: bool,
    ) -> Result<u32, ApiError> {
        let _writer = self.inner.writer.lock().await;
        let mut entry = self.deletable(subject)?;
        let wanted = if name == VersionName::Latest && !permanent {
            Wanted::Live
        } else {
            Wanted::All
        };
        let Version {
            version, deleted, ..
        } = *name.find(&entry, wanted)?;
        match (permanent, deleted) {
            (true, false) => {
                return Err(ApiError::version_not_soft_deleted(
                    subject.as_str(),
                    version,
                ));
            }
            (false, true) => return Err(ApiError::version_soft_deleted(subject.as_str(), version)),
            _ => {}
        }
        self.refuse_if_referenced(subject, version)?;
        if permanent {
            entry.versions.retain(|known| known.version != version);
        } else {
            let known = entry
                .versions
                .iter_mut()
                .filter(|known| known.version == version);
            known.for_each(|known| known.deleted = true);
            if !entry.is_live() {
                entry.settings = Settings::default();
            }
        }
        self.write_removal(Fact::Subject(subject.clone(), entry))
            .await?;
        tracing::info!(
            subject = subject.as_str(),
            version,
            permanent,
            "version deleted"
        );
        Ok(version)
    }

    fn deletable(&self, subject: &SubjectName) -> Result<Subject, ApiError> {
        let state = self.state();
        let entry = state.existing(subject, Wanted::All)?;
        if matches!(state.mode(subject), Mode::Readonly | Mode::ReadonlyOverride) {
            let subject = subject.as_str();
            return Err(ApiError::not_permitted(format!(
                "Subject '{subject}' is in read-only mode"
            )));
        }
        Ok(Subject::clone(&entry))
    }

    fn refuse_if_referenced(&self, subject: &SubjectName, version: u32) -> Result<(), ApiError> {
        if self.state().is_needed(subject, version) {
            Err(ApiError::referenced(subject.as_str(), version))
        } else {
            Ok(())
        }
    }
}
