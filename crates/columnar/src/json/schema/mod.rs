//! JSON Schema: which columns it means, and records that are checked against it.
//!
//! | JSON Schema | column |
//! |---|---|
//! | `type: object` with `properties` | `record`; all fields are optional, in the order of the text or of `connect.index` |
//! | `additionalProperties` alone | `map` |
//! | both (or `patternProperties`) | `record`, with the members that aren't listed as an object of JSON text in a last field, `rest` |
//! | `properties` and no word of others | `record`; members that aren't listed are left out |
//! | `type: array` with one schema of `items` | `array` |
//! | `type: integer` | `long`; `int` if `connect.type` says `int32` or less |
//! | `type: number` | `double`; `float` if `connect.type` says `float32` |
//! | `type: boolean` | `boolean` |
//! | `type: string` | `string` |
//! | ... `format: date-time` | `timestamp-micros`, digits beyond the microsecond cut |
//! | ... `format: date`, `time`, `uuid` | `date`, `time-micros`, `uuid` |
//! | ... `contentEncoding: base64`, or `connect.type: bytes` | `bytes` |
//! | `enum` or `const` of strings | `string` |
//! | `oneOf`, `anyOf`, or a list of types, with null | what remains, if that is one |
//! | ... of the same type, or of numbers | that type, or `double` |
//! | `allOf`, `$ref` and what stands beside it | all of them together, if their types agree |
//! | titles `org.apache.kafka.connect.data.Timestamp`, `Date`, `Time`, `Decimal` | `timestamp-millis`, `date`, `time-millis`, `decimal` |
//! | anything else: recursion, tuples, types that differ | `string`, as JSON text |
//!
//! A `$ref` leads within the schema (pointers, anchors, ids) or to one of the references, by its
//! name or its id; nowhere else: nothing is fetched.
//!
//! A record is taken if it is valid by the `jsonschema` crate, with formats not asserted, and its
//! columns hold its values: a date must be a date, an integer have 64 bits. Most schemas say nothing
//! that isn't known from writing the row; then only records that can't be written are looked at
//! again, for the reason.

mod arena;
mod document;
mod library;
mod mapping;

use std::sync::Arc;

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;

use crate::avro::Schema;
use crate::transcode::{Misfit, Transcoder};

use super::lexer::Lexer;
use super::plan::{Notes, Plan};
use super::write::{Run, Scratch};
use super::{Unknown, check, misfit, run_over, run_over_utf8};
use library::Library;

/// The longest text of a schema, and of all its references together.
const SCHEMA_BYTES_MAX: usize = 1 << 20;
/// Memory for one compiled regular expression.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Steps that a regular expression may take back.
const BACKTRACKS_MAX: usize = 10_000;
/// How many schemas may hold for one value, all references followed.
const SUBSCHEMAS_MAX: u64 = 10_000;

/// Why a text isn't a JSON Schema that can be used. Its author is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonSchemaError {
    /// The text of the schema or of a reference is no JSON.
    #[error("{name:?} is not JSON: {reason}")]
    Json {
        /// The reference's name; empty for the schema itself.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The texts are too long.
    #[error("{bytes} bytes of schemas ({bytes_max} at most)")]
    TooLarge {
        /// All texts together.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Schemas that refer to each other so often that checking a record might not end.
    #[error("more than {subschemas_max} schemas hold for one value")]
    TooManySubschemas {
        /// The limit.
        subschemas_max: u64,
    },
    /// The text is JSON, but no valid schema, or refers to what isn't there.
    #[error("at {path:?}: {reason}")]
    Invalid {
        /// A JSON pointer into the schema.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

/// A JSON Schema (drafts 4 to 2020-12), compiled.
#[derive(Clone)]
pub struct JsonSchema {
    schema: Schema,
    notes: Notes,
    /// Whether what can be written is valid.
    exact: bool,
    validator: Arc<Validator>,
}

impl std::fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonSchema")
            .field("schema", &self.schema)
            .field("exact", &self.exact)
            .finish_non_exhaustive()
    }
}

impl JsonSchema {
    /// Compiles a schema. `references` are the names that its `$ref`s use, and their texts.
    ///
    /// # Errors
    ///
    /// [`JsonSchemaError`] if a text is no JSON, no schema, too large, or refers to what isn't
    /// among them.
    pub fn parse(text: &str, references: &[(&str, &str)]) -> Result<Self, JsonSchemaError> {
        let bytes = text.len() + references.iter().map(|(_, text)| text.len()).sum::<usize>();
        if bytes > SCHEMA_BYTES_MAX {
            return Err(JsonSchemaError::TooLarge {
                bytes,
                bytes_max: SCHEMA_BYTES_MAX,
            });
        }
        let this = ("", text);
        let all = std::iter::once(&this).chain(references);
        let documents = all.map(|(name, text)| {
            let json = serde_json::from_str(text).map_err(|error| JsonSchemaError::Json {
                name: (*name).to_owned(),
                reason: error.to_string(),
            });
            json.map(|json| ((*name).to_owned(), json))
        });
        let library = Arc::new(Library::new(documents.collect::<Result<_, _>>()?));
        if library.widest() > SUBSCHEMAS_MAX {
            return Err(JsonSchemaError::TooManySubschemas {
                subschemas_max: SUBSCHEMAS_MAX,
            });
        }
        let root = library.root().map(|root| root.schema.to_value());
        let validator = jsonschema::options()
            .should_validate_formats(false)
            .with_retriever(Named(Arc::clone(&library)))
            .with_pattern_options(
                PatternOptions::fancy_regex()
                    .backtrack_limit(BACKTRACKS_MAX)
                    .size_limit(PATTERN_BYTES_MAX)
                    .dfa_size_limit(PATTERN_BYTES_MAX),
            )
            .build(&root.unwrap_or_default())
            .map_err(|error| JsonSchemaError::Invalid {
                path: error.instance_path().to_string(),
                reason: shortened(error.to_string()),
            })?;
        let column = mapping::map(&library);
        let (schema, notes) = arena::build(&column);
        Ok(Self {
            schema,
            notes,
            exact: column.exact,
            validator: Arc::new(validator),
        })
    }

    /// The Avro schema of its records.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// A writer of its records' rows.
    pub fn writer(&self) -> CheckedWriter {
        CheckedWriter {
            plan: Plan::new(&self.schema, &self.notes),
            schema: self.schema.clone(),
            exact: self.exact,
            validator: Arc::clone(&self.validator),
            scratch: Scratch::default(),
        }
    }
}

/// Makes Avro rows of records that are valid by a [`JsonSchema`].
pub struct CheckedWriter {
    schema: Schema,
    plan: Plan,
    exact: bool,
    validator: Arc<Validator>,
    scratch: Scratch,
}

impl std::fmt::Debug for CheckedWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckedWriter")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl CheckedWriter {
    fn validate(&self, payload: &[u8]) -> Result<(), Misfit> {
        let parsed = match simdutf8::basic::from_utf8(payload) {
            Ok(text) => serde_json::from_str(text),
            // Doesn't take it either, and says why.
            Err(_) => serde_json::from_slice(payload),
        };
        let value: Value = match parsed {
            Ok(value) => value,
            Err(error) => {
                check(payload)?;
                // A number beyond what a double holds: nothing else is taken here and not there.
                return Err(Misfit {
                    path: String::new(),
                    position: 0,
                    why: error.to_string(),
                });
            }
        };
        if self.validator.is_valid(&value) {
            return Ok(());
        }
        let Err(error) = self.validator.validate(&value) else {
            return Ok(());
        };
        let (path, position) = located(payload, error.instance_path().as_str());
        Err(Misfit {
            path,
            position,
            why: shortened(error.to_string()),
        })
    }
}

impl Transcoder for CheckedWriter {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn transcode(&mut self, payload: &[u8], row: &mut Vec<u8>) -> Result<(), Misfit> {
        let run_over = if self.exact {
            run_over
        } else {
            self.validate(payload)?;
            run_over_utf8
        };
        let length = row.len();
        let mut run = Run {
            plan: &self.plan,
            scratch: &mut self.scratch,
            unknown: Unknown::Ignore,
            overlay: None,
        };
        let Err(stop) = run_over(&mut run, payload, row) else {
            return Ok(());
        };
        row.truncate(length);
        if self.exact {
            self.validate(payload)?;
        }
        check(payload)?;
        Err(misfit(&self.plan, &self.scratch.steps, payload, stop))
    }
}

/// Hands out the documents of a library, and nothing from anywhere else.
struct Named(Arc<Library>);

impl Retrieve for Named {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let uri = uri.as_str();
        match self.0.by_uri(uri.trim_end_matches('#')) {
            Some((_, document)) => Ok(document.to_value()),
            None => Err(format!("no reference is named {uri:?}").into()),
        }
    }
}

/// Messages quote values, which may be long.
fn shortened(mut message: String) -> String {
    const MESSAGE_BYTES_MAX: usize = 500;
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push_str("...");
    }
    message
}

/// A JSON pointer as a path, and where in the text it leads.
fn located(payload: &[u8], pointer: &str) -> (String, usize) {
    let mut path = String::new();
    let mut lexer = Lexer::new(payload);
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let array = lexer.peek() == b'[';
        if array {
            path.push_str(&format!("[{token}]"));
        } else {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(&token);
        }
        if lexer.go_to(&token).is_err() {
            break;
        }
    }
    lexer.peek();
    (path, lexer.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_found_in_the_text() {
        let text = br#" {"a": 1, "b/c": [true, {"a": [0], "a": [0, 7]}]}"#;
        let (path, at) = located(text, "/b~1c/1/a/1");
        assert_eq!(path, "b/c[1].a[1]");
        assert_eq!(&text[at..=at], b"7");
    }
}
