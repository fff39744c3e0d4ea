//! A `.proto` file and what it imports, parsed.

use std::collections::HashMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};
use protox::file::{File, FileResolver, GoogleFileResolver};

use super::compile::compile;
use super::imports;
use super::options;
use super::path::MessagePath;
use super::writer::Writer;
use crate::options::Limits;

/// Why a schema text isn't a Protobuf schema, or isn't one that a table can be made of. The text's
/// author is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The text, or an import's, is no `.proto` file, or names what isn't there.
    #[error("the schema is not Protobuf: {0}")]
    Parse(String),
    /// More imports than are read.
    #[error("{references} references ({references_max} at most)")]
    TooManyReferences {
        /// How many.
        references: usize,
        /// The limit.
        references_max: usize,
    },
    /// A path of indexes that leads to no message.
    #[error("the schema has no message {0:?}")]
    NoMessage(MessagePath),
    /// Nested deeper than [`Limits::depth_max`].
    #[error("at {path}: nested deeper than {depth_max}")]
    TooDeep {
        /// Where in the message.
        path: String,
        /// The limit.
        depth_max: usize,
    },
    /// A message that is too many columns, all its messages' fields counted.
    #[error("at {path}: more than {columns_max} columns")]
    TooManyColumns {
        /// Where in the message it became too many.
        path: String,
        /// The limit.
        columns_max: usize,
    },
}

/// The name under which the schema itself is parsed, for messages.
const NAME: &str = "schema.proto";
/// A bound on what one schema asks for: files import each other.
pub(super) const REFERENCES_MAX: usize = 1_000;

/// How deep braces may nest, those of options included: parsing follows them.
const DEPTH_MAX: usize = 100;

/// A parsed `.proto` file with its imports. Cheap to clone.
///
/// The second and third versions of the language are understood; editions are not, since `protox` doesn't take
/// them.
#[derive(Debug, Clone)]
pub struct Schema {
    file: FileDescriptor,
}

impl Schema {
    /// Parses a schema. `references` are the files it may import, each under the name by which
    /// imports call it. Files under `google/protobuf` are known already, and so are those of Confluent's
    /// and Google's that serializers don't register, unless they are given.
    ///
    /// Both forms that Confluent's registry takes are understood: the text of a `.proto` file, and
    /// a `FileDescriptorProto` in base64.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] says where the text breaks which rule.
    pub fn parse(text: &str, references: &[(&str, &str)]) -> Result<Self, SchemaError> {
        if references.len() > REFERENCES_MAX {
            return Err(SchemaError::TooManyReferences {
                references: references.len(),
                references_max: REFERENCES_MAX,
            });
        }
        if let Some(text) = references
            .iter()
            .map(|r| r.1)
            .chain([text])
            .find(|text| is_deep(text))
        {
            return Err(too_deep(text));
        }
        let mut texts = references.iter().map(|r| r.1).chain([text]);
        if texts.any(|text| descriptor(text).is_some_and(|file| options::are_texts(&file))) {
            let why = "an option in it is still a text, which a compiler would have read";
            return Err(SchemaError::Parse(why.to_owned()));
        }
        let mut files: HashMap<String, String> = references
            .iter()
            .map(|&(name, text)| (name.to_owned(), text.to_owned()))
            .collect();
        let mut name = NAME.to_owned();
        while files.contains_key(&name) {
            name.insert_str(0, "the_");
        }
        files.insert(name.clone(), text.to_owned());
        let mut compiler = protox::Compiler::with_file_resolver(Files {
            known: GoogleFileResolver::new(),
            given: files,
        });
        compiler
            .open_file(&name)
            .map_err(|error| SchemaError::Parse(one_line(&error)))?;
        let pool: DescriptorPool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(&name);
        let file = file.ok_or_else(|| SchemaError::Parse("it has no content".into()))?;
        Ok(Self { file })
    }

    /// Compiles the message type that a path leads to, so that messages of it can be written as
    /// rows.
    ///
    /// # Errors
    ///
    /// [`SchemaError::NoMessage`] if there is none, and others if no table can be made of it.
    pub fn writer(&self, path: MessagePath, limits: Limits) -> Result<Writer, SchemaError> {
        let message = self.message(path);
        let message = message.ok_or(SchemaError::NoMessage(path))?;
        let (plan, schema) = compile(&message, limits)?;
        Ok(Writer::new(plan, schema))
    }

    /// Whether a path leads to a message.
    pub fn has(&self, path: MessagePath) -> bool {
        self.message(path).is_some()
    }

    fn message(&self, path: MessagePath) -> Option<MessageDescriptor> {
        let mut message: Option<MessageDescriptor> = None;
        for index in path.indexes() {
            message = match message {
                None => self.file.messages().nth(index),
                Some(outer) => outer
                    .child_messages()
                    .filter(|inner| inner.parent_message().as_ref() == Some(&outer))
                    .nth(index),
            };
            message.as_ref()?;
        }
        message
    }

    /// The path of the message of a full name, if this file (not an import) has it.
    pub fn path(&self, full_name: &str) -> Option<MessagePath> {
        let pool = self.file.parent_pool();
        let message = pool.get_message_by_name(full_name)?;
        if message.parent_file() != self.file {
            return None;
        }
        // A descriptor's path names the list of each index, too: 4 that of a file's messages, 3
        // that of a message's.
        let indexes = message.path().chunks_exact(2);
        let indexes: Option<Vec<usize>> =
            indexes.map(|pair| usize::try_from(pair[1]).ok()).collect();
        MessagePath::new(&indexes?)
    }

    /// The full names of the file's messages, those within others too.
    pub fn messages(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut todo: Vec<_> = self.file.messages().collect();
        todo.reverse();
        while let Some(message) = todo.pop() {
            names.push(message.full_name().to_owned());
            let mut inner: Vec<_> = message.child_messages().collect();
            inner.retain(|inner| !inner.is_map_entry());
            todo.extend(inner.into_iter().rev());
        }
        names
    }
}

/// Where imports are looked up: what everybody knows, then what was given.
struct Files {
    known: GoogleFileResolver,
    given: HashMap<String, String>,
}

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.known.open_file(name) {
            Err(error) if error.is_file_not_found() => {}
            found => return found,
        }
        let given = self.given.get(name).map(String::as_str);
        let Some(text) = given.or_else(|| imports::known(name)) else {
            return Err(protox::Error::file_not_found(name));
        };
        match descriptor(text) {
            Some(mut descriptor) => {
                descriptor.name = Some(name.to_owned());
                Ok(File::from_file_descriptor_proto(descriptor))
            }
            None => File::from_source(name, text),
        }
    }
}

/// A file's descriptor in base64, as some clients register it.
fn descriptor(text: &str) -> Option<FileDescriptorProto> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok()?;
    FileDescriptorProto::decode(&*bytes).ok()
}

/// What is wrong with a text that nests too deep.
pub(super) fn too_deep(text: &str) -> SchemaError {
    let bytes = text.len();
    SchemaError::Parse(format!("nested deeper than {DEPTH_MAX} ({bytes} bytes)"))
}

/// Whether a text nests too deep, or may do so: what is quoted or commented counts.
pub(super) fn is_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'{' | b'<' | b'[' => depth += 1,
            b'}' | b'>' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_MAX
    })
}

/// An error and its causes.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
