//! The facts that make up the registry's state, and their form in the journal.
//!
//! | key | value |
//! |---|---|
//! | `schema/<id>` | a schema; written once, never changed, never removed |
//! | `subject/<name>` | a subject: versions, settings; or no value, if it has neither |
//! | `global` | settings of the whole registry |
//!
//! A change of a subject is one fact, so that it is made wholly or not at all. A schema's fact is
//! written before the first subject's that names it. Since ids are never used twice, a schema whose
//! subject wasn't written after all does no harm: it waits to be registered again.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::api_error::ApiError;
use super::names::SubjectName;
use crate::schema::{Reference, SchemaKind};

/// One fact.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Schema(u32, StoredSchema),
    Subject(SubjectName, Subject),
    Global(Settings),
}

/// What an id means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredSchema {
    pub(super) kind: SchemaKind,
    /// Of Avro, in the one spelling that equal schemas share.
    pub(super) text: String,
    /// What equal schemas share, where it isn't the text (see [`Canonical`](super::check::Canonical)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) form: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) references: Vec<StoredReference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rule_set: Option<Value>,
}

/// A reference, and the id it had when it was made: whatever becomes of the subject, the schema that
/// holds the reference goes on meaning the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredReference {
    #[serde(flatten)]
    pub(super) reference: Reference,
    pub(super) id: u32,
}

/// Versions of a schema, and settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subject {
    /// In rising order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) versions: Vec<Version>,
    #[serde(flatten)]
    pub(super) settings: Settings,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Version {
    pub(super) version: u32,
    pub(super) id: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) deleted: bool,
    /// Milliseconds since the epoch.
    pub(super) registered_ms: i64,
}

/// Settings of a subject, a context, or the registry; what isn't set is inherited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<Config>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<Mode>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) compatibility: Option<Compatibility>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) normalize: Option<bool>,
    /// Name of a metadata property; only versions of one value of it are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) compatibility_group: Option<String>,
}

/// What a new version must have in common with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compatibility {
    /// Nothing.
    None,
    /// The new schema reads what was written with the last.
    Backward,
    /// The new schema reads what was written with any before.
    BackwardTransitive,
    /// The last schema reads what is written with the new.
    Forward,
    /// Every schema before reads what is written with the new.
    ForwardTransitive,
    /// Both ways, with the last.
    Full,
    /// Both ways, with every schema before.
    FullTransitive,
}

impl Compatibility {
    pub(super) const ALL: [Compatibility; 7] = [
        Compatibility::None,
        Compatibility::Backward,
        Compatibility::BackwardTransitive,
        Compatibility::Forward,
        Compatibility::ForwardTransitive,
        Compatibility::Full,
        Compatibility::FullTransitive,
    ];

    /// The level's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Compatibility::None => "NONE",
            Compatibility::Backward => "BACKWARD",
            Compatibility::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Compatibility::Forward => "FORWARD",
            Compatibility::ForwardTransitive => "FORWARD_TRANSITIVE",
            Compatibility::Full => "FULL",
            Compatibility::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Compatibility, ApiError> {
        let found = Compatibility::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| ApiError::invalid_compatibility(text))
    }

    pub(super) fn is_transitive(self) -> bool {
        matches!(
            self,
            Compatibility::BackwardTransitive
                | Compatibility::ForwardTransitive
                | Compatibility::FullTransitive
        )
    }

    pub(super) fn is_backward(self) -> bool {
        !matches!(
            self,
            Compatibility::None | Compatibility::Forward | Compatibility::ForwardTransitive
        )
    }

    pub(super) fn is_forward(self) -> bool {
        !matches!(
            self,
            Compatibility::None | Compatibility::Backward | Compatibility::BackwardTransitive
        )
    }
}

/// What may be done with a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Mode {
    /// Anything but choosing ids.
    Readwrite,
    /// Nothing is written.
    Readonly,
    /// Nothing is written, whatever the subject's own mode; only for the whole registry.
    ReadonlyOverride,
    /// Schemas are registered with the ids and versions they have elsewhere, unchecked.
    Import,
}

impl Mode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Mode::Readwrite => "READWRITE",
            Mode::Readonly => "READONLY",
            Mode::ReadonlyOverride => "READONLY_OVERRIDE",
            Mode::Import => "IMPORT",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Mode, ApiError> {
        [
            Mode::Readwrite,
            Mode::Readonly,
            Mode::ReadonlyOverride,
            Mode::Import,
        ]
        .into_iter()
        .find(|mode| mode.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| ApiError::invalid_mode(text))
    }
}

impl StoredSchema {
    /// Whether both say the same, whatever they are annotated with.
    pub(super) fn is_same(&self, other: &StoredSchema) -> bool {
        let same = match (self.form, other.form) {
            (Some(form), Some(other)) => form == other,
            _ => self.text == other.text,
        };
        same && self.kind == other.kind && self.references == other.references
    }

    /// An id made of the content alone, so that it is the same in every registry.
    pub(super) fn guid(&self) -> Uuid {
        /// Namespace of the content ids of schemas; made up once, at random.
        const NAMESPACE: Uuid = Uuid::from_u128(0x6f0f_5ba1_9f2c_4f0e_8a52_1d2f_7c55_b9e3);
        let mut content = Vec::new();
        // Each part with its length before it, so that no two contents run together into one.
        let mut part = |bytes: &[u8]| {
            content.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            content.extend_from_slice(bytes);
        };
        part(self.kind.as_str().as_bytes());
        match self.form {
            Some(form) => part(form.as_bytes()),
            None => part(self.text.as_bytes()),
        }
        for StoredReference { reference, id } in &self.references {
            part(reference.name.as_bytes());
            part(reference.subject.as_bytes());
            part(&reference.version.to_be_bytes());
            part(&id.to_be_bytes());
        }
        // Objects are sorted by key, so that their text is their content.
        for value in [&self.metadata, &self.rule_set] {
            part(
                value
                    .as_ref()
                    .map(Value::to_string)
                    .unwrap_or_default()
                    .as_bytes(),
            );
        }
        Uuid::new_v5(&NAMESPACE, &content)
    }
}

impl Subject {
    /// Whether there is nothing to be remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.settings == Settings::default()
    }

    pub(super) fn is_live(&self) -> bool {
        self.versions.iter().any(|version| !version.deleted)
    }

    pub(super) fn live(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.versions.iter().filter(|version| !version.deleted)
    }
}

impl Fact {
    /// The fact's key, and its value or none.
    pub(super) fn encode(&self) -> Result<(String, Option<Bytes>), ApiError> {
        let (key, json) = match self {
            Fact::Schema(id, schema) => (format!("schema/{id}"), serde_json::to_vec(schema)),
            Fact::Subject(name, subject) => {
                let key = format!("subject/{}", name.as_str());
                if subject.is_empty() {
                    return Ok((key, None));
                }
                (key, serde_json::to_vec(subject))
            }
            Fact::Global(settings) => ("global".to_owned(), serde_json::to_vec(settings)),
        };
        let json = json.map_err(ApiError::internal)?;
        Ok((key, Some(Bytes::from(json))))
    }

    /// Reads what [`encode`](Fact::encode) wrote.
    pub(super) fn decode(key: &str, value: &[u8]) -> Result<Fact, String> {
        let unreadable = |error: serde_json::Error| error.to_string();
        if let Some(id) = key.strip_prefix("schema/") {
            let id = id.parse().map_err(|_| "its id isn't a number".to_owned())?;
            Ok(Fact::Schema(
                id,
                serde_json::from_slice(value).map_err(unreadable)?,
            ))
        } else if let Some(name) = key.strip_prefix("subject/") {
            let subject = serde_json::from_slice(value).map_err(unreadable)?;
            Ok(Fact::Subject(SubjectName::stored(name), subject))
        } else if key == "global" {
            Ok(Fact::Global(
                serde_json::from_slice(value).map_err(unreadable)?,
            ))
        } else {
            Err("no fact has such a key".into())
        }
    }
}
