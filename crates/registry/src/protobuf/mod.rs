//! Protobuf schemas as the registry needs them: compiled, told apart, compared; never decoded with.
//!
//! A schema comes as the text of a `.proto` file or, from the serializers of most languages, as a
//! base64 `FileDescriptorProto`. Either is compiled, with the files it imports, into a descriptor.
//! [`render`] writes a descriptor as the one `.proto` text that equal schemas share, and
//! [`compatibility`] compares two.

pub(crate) mod compatibility;
mod depth;
mod known;
mod render;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use prost_reflect::{DynamicMessage, FileDescriptor, ReflectMessage, Value};
use prost_types::FileDescriptorProto;
use protox::Compiler;
use protox::file::{File, FileResolver};

pub(crate) use self::render::render;
use crate::schema::ReferencedSchema;

/// Files one schema may import, directly or not.
const FILES_MAX: usize = 1_000;

/// A compiled schema, with the files it imports.
#[derive(Debug, Clone)]
pub(crate) struct ProtobufSchema {
    file: FileDescriptor,
}

/// Why something isn't a Protobuf schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    #[error("{0}")]
    Schema(String),
    #[error("{importer} imports {name}, which is neither referred to nor a known file")]
    Missing { importer: String, name: String },
    #[error("over {FILES_MAX} files are imported")]
    TooMany,
    #[error("it is nested deeper than {}", depth::DEPTH_MAX)]
    TooDeep,
    #[error("an option in it is still a text, which a compiler would have read")]
    OptionText,
    #[error("its nested types are in an order that no .proto file gives them")]
    Order,
}

impl ProtobufSchema {
    /// The full name of the message that a path of indexes leads to.
    pub(crate) fn message_name(&self, path: &[usize]) -> Option<String> {
        let (outermost, inner) = path.split_first()?;
        let mut message = self.file.messages().nth(*outermost)?;
        for index in inner {
            let child = message.child_messages().nth(*index);
            message = child?;
        }
        Some(message.full_name().to_owned())
    }

    /// The file's descriptor, as base64, named as registries name it.
    pub(crate) fn serialized(&self) -> String {
        let encoded = self.file.encode_to_vec();
        // By reflection, since custom options would get lost in a generated type.
        let kind = FileDescriptorProto::default().descriptor();
        let Ok(mut proto) = DynamicMessage::decode(kind, encoded.as_slice()) else {
            return STANDARD.encode(encoded);
        };
        proto.set_field_by_name("name", Value::String("default".to_owned()));
        proto.clear_field_by_name("source_code_info");
        STANDARD.encode(proto.encode_to_vec())
    }
}

/// Whether a schema came as a serialised descriptor rather than as text.
pub(crate) fn is_serialized(text: &str) -> bool {
    descriptor(text).is_some()
}

/// Compiles a schema, with the schemas it refers to by the paths it imports them by.
///
/// # Errors
/// [`ProtobufError`] says what is wrong, and where.
pub(crate) fn parse(
    text: &str,
    references: &[ReferencedSchema],
) -> Result<ProtobufSchema, ProtobufError> {
    let name = unused_name(references);
    let own = file(&name, text)?;
    let files = reachable(own, &name, references)?;
    let order: Vec<_> = references
        .iter()
        .map(|reference| reference.name.clone())
        .filter(|path| files.contains_key(path))
        .chain([name.clone()])
        .collect();
    let mut compiler = Compiler::with_file_resolver(Files(files));
    compiler.include_imports(true);
    // Dependencies first, so that the compiler finds each import compiled instead of descending.
    for path in order {
        let compiled = compiler.open_file(&path);
        compiled.map_err(|error| ProtobufError::Schema(one_line(&error)))?;
    }
    let found = compiler.descriptor_pool().get_file_by_name(&name);
    let file = found.ok_or_else(|| ProtobufError::Schema("it wasn't compiled".into()))?;
    Ok(ProtobufSchema { file })
}

/// Makes sure that the text written for a schema means the same, message by message: the index of a
/// message is part of every record. Gives the text.
///
/// # Errors
/// As [`parse`], and [`ProtobufError::Order`].
pub(crate) fn checked(
    schema: &ProtobufSchema,
    rendered: String,
    references: &[ReferencedSchema],
) -> Result<String, ProtobufError> {
    let again = parse(&rendered, references)?;
    if shape(schema) == shape(&again) && render(&again) == rendered {
        Ok(rendered)
    } else {
        Err(ProtobufError::Order)
    }
}

/// Names of all messages, in the order that indexes count them in.
fn shape(schema: &ProtobufSchema) -> Vec<String> {
    let mut names = Vec::new();
    let mut waiting: Vec<_> = schema.file.messages().collect();
    while let Some(message) = waiting.pop() {
        names.push(message.full_name().to_owned());
        waiting.extend(message.child_messages());
    }
    names
}

/// A name for the schema's own file that none of the imported has.
fn unused_name(references: &[ReferencedSchema]) -> String {
    let mut name = "schema.proto".to_owned();
    while references.iter().any(|reference| reference.name == name) {
        name.insert(0, '_');
    }
    name
}

/// A descriptor's bytes as serializers register them: base64, without white space.
fn descriptor(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let bytes = STANDARD.decode(text).ok().filter(|_| !text.is_empty())?;
    FileDescriptorProto::decode(bytes.as_slice()).ok()?;
    Some(bytes)
}

fn file(name: &str, text: &str) -> Result<File, ProtobufError> {
    let at_fault = |why: String| ProtobufError::Schema(why);
    let Some(mut bytes) = descriptor(text) else {
        if depth::is_deep(text) {
            return Err(ProtobufError::TooDeep);
        }
        return File::from_source(name, text).map_err(|error| at_fault(one_line(&error)));
    };
    if depth::has_option_texts(&bytes) {
        return Err(ProtobufError::OptionText);
    }
    // Of a field that is there twice the last one counts; so the file gets our name without being
    // decoded, which would lose its custom options.
    let named = FileDescriptorProto {
        name: Some(name.to_owned()),
        ..FileDescriptorProto::default()
    };
    bytes.extend(named.encode_to_vec());
    File::decode_file_descriptor_proto(bytes.as_slice())
        .map_err(|error| at_fault(error.to_string()))
}

/// The files it takes to compile the schema, by path: those it imports, and those that they import.
fn reachable(
    own: File,
    name: &str,
    references: &[ReferencedSchema],
) -> Result<BTreeMap<String, File>, ProtobufError> {
    let mut files = BTreeMap::new();
    let mut waiting = imports(&own, name);
    files.insert(name.to_owned(), own);
    while let Some((path, importer)) = waiting.pop_first() {
        if files.contains_key(&path) {
            continue;
        }
        if files.len() > FILES_MAX {
            return Err(ProtobufError::TooMany);
        }
        let referred = references.iter().find(|reference| reference.name == path);
        let found = match referred {
            Some(reference) => file(&path, &reference.text)?,
            None => known::file(&path).ok_or_else(|| ProtobufError::Missing {
                importer,
                name: path.clone(),
            })?,
        };
        waiting.extend(imports(&found, &path));
        files.insert(path, found);
    }
    Ok(files)
}

/// Paths a file imports, each with the file's own.
fn imports(file: &File, path: &str) -> BTreeSet<(String, String)> {
    let imports = file.file_descriptor_proto().dependency.iter();
    imports
        .map(|import| (import.clone(), path.to_owned()))
        .collect()
}

struct Files(BTreeMap<String, File>);

impl FileResolver for Files {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        path.to_str().map(str::to_owned)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let found = self.0.get(name).cloned();
        found.ok_or_else(|| protox::Error::file_not_found(name))
    }
}

/// The compiler's errors, with where in the file they are, on one line.
fn one_line(error: &protox::Error) -> String {
    let text = format!("{error:?}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
