//! JSON Schemas as the registry needs them: checked, told apart, compared; never validated with.
//!
//! Drafts 4 to 2020-12; a schema that names none is of draft 7. What a schema refers to is found in
//! itself or among the schemas registered as its references, and nowhere else: nothing is fetched.

mod array;
pub(crate) mod compatibility;
mod object;
mod parts;
mod scalar;
mod view;

use jsonschema::{Draft, Registry, uri};
use serde_json::Value;

use crate::schema::ReferencedSchema;

/// What relative references of a schema without an id are relative to.
const BASE: &str = "json-schema:///";

/// A schema that is one, with the schemas it refers to.
#[derive(Debug, Clone)]
pub(crate) struct JsonSchema {
    schema: Value,
    draft: Draft,
    /// By the URI each is referred to with.
    references: Vec<(String, Value)>,
}

/// Why a text isn't a JSON Schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("not JSON: {0}")]
    Json(String),
    #[error("a JSON Schema is an object or a boolean")]
    Shape,
    #[error("{0}")]
    Schema(String),
    #[error("referenced schema {name}: {why}")]
    Reference { name: String, why: Box<JsonError> },
}

/// Reads a schema and checks it against the schema of its draft; finds whatever it refers to.
///
/// # Errors
/// [`JsonError`] says what is wrong.
pub(crate) fn parse(text: &str, references: &[ReferencedSchema]) -> Result<JsonSchema, JsonError> {
    let schema = read(text)?;
    let draft = draft_of(&schema);
    let base = base_of(&schema, draft);
    let mut known = Vec::with_capacity(references.len());
    for ReferencedSchema { name, text } in references {
        let at_fault = |why| JsonError::Reference {
            name: name.clone(),
            why: Box::new(why),
        };
        let uri = resolved(&base, name).map_err(|why| at_fault(JsonError::Schema(why)))?;
        known.push((uri, read(text).map_err(at_fault)?));
    }
    let parsed = JsonSchema {
        schema,
        draft,
        references: known,
    };
    let registry = parsed.registry()?;
    jsonschema::options()
        .with_draft(draft)
        .with_base_uri(base)
        .with_registry(&registry)
        .offline()
        .build(&parsed.schema)
        .map_err(|error| {
            let at = error.instance_path().to_string();
            JsonError::Schema(if at.is_empty() {
                error.to_string()
            } else {
                format!("{error} at '{at}'")
            })
        })?;
    drop(registry);
    Ok(parsed)
}

impl JsonSchema {
    /// The schema's title.
    pub(crate) fn title(&self) -> Option<&str> {
        self.schema.get("title")?.as_str()
    }

    /// The schema, with its properties in one order.
    pub(crate) fn sorted(&self) -> String {
        self.schema.to_string()
    }

    /// The referenced schemas, where references find them.
    fn registry(&self) -> Result<Registry<'_>, JsonError> {
        let mut builder = Registry::new().draft(self.draft);
        for (uri, schema) in &self.references {
            let added = builder.add(uri.as_str(), schema);
            builder = added.map_err(|error| JsonError::Schema(error.to_string()))?;
        }
        builder
            .prepare()
            .map_err(|error| JsonError::Schema(error.to_string()))
    }

    /// The same, with the schema itself, under the URI that is given too.
    fn whole_registry(&self) -> Result<(Registry<'_>, String), JsonError> {
        let base = base_of(&self.schema, self.draft);
        let at_fault = |error: jsonschema::ReferencingError| JsonError::Schema(error.to_string());
        let mut builder = Registry::new().draft(self.draft);
        for (uri, schema) in &self.references {
            builder = builder.add(uri.as_str(), schema).map_err(at_fault)?;
        }
        let builder = builder.add(base.as_str(), &self.schema).map_err(at_fault)?;
        Ok((builder.prepare().map_err(at_fault)?, base))
    }
}

fn read(text: &str) -> Result<Value, JsonError> {
    let json: Value =
        serde_json::from_str(text).map_err(|error| JsonError::Json(error.to_string()))?;
    match json {
        Value::Object(_) | Value::Bool(_) => Ok(json),
        _ => Err(JsonError::Shape),
    }
}

fn draft_of(schema: &Value) -> Draft {
    match Draft::Draft7.detect(schema) {
        Draft::Unknown => Draft::Draft7,
        draft => draft,
    }
}

/// The schema's own URI, or the one that stands in for it.
fn base_of(schema: &Value, draft: Draft) -> String {
    let resource = draft.create_resource_ref(schema);
    let id = resource.id().map(|id| id.trim_end_matches('#'));
    id.and_then(|id| resolved(BASE, id).ok())
        .unwrap_or_else(|| BASE.to_owned())
}

fn resolved(base: &str, name: &str) -> Result<String, String> {
    let base = uri::from_str(base).map_err(|error| error.to_string())?;
    uri::resolve_against(&base.borrow(), name)
        .map(|uri| uri.to_string())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
