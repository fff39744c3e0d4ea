//! Schemas from files: what a `.proto` file imports, and descriptor sets taken apart.

use base64::prelude::{BASE64_STANDARD, Engine};
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use protox::file::{File, FileResolver, GoogleFileResolver};

use super::imports::known;
use super::schema::{REFERENCES_MAX, SchemaError, is_deep, one_line, too_deep};

/// A schema's text, and the texts of the files it imports, by the names it imports them by: what
/// [`Schema::parse`](super::Schema::parse) takes.
pub type Texts = (String, Vec<(String, String)>);

/// The files that a `.proto` file imports and that have to be given to
/// [`Schema::parse`](super::Schema::parse): not those that everybody knows.
///
/// # Errors
///
/// [`SchemaError`] if the text is no `.proto` file.
pub fn imports(text: &str) -> Result<Vec<String>, SchemaError> {
    if is_deep(text) {
        return Err(too_deep(text));
    }
    let file = File::from_source("schema.proto", text);
    let file = file.map_err(|error| SchemaError::Parse(one_line(&error)))?;
    let imports = file.file_descriptor_proto().dependency.iter();
    let google = GoogleFileResolver::new();
    let given = imports.filter(|name| google.open_file(name).is_err() && known(name).is_none());
    Ok(given.cloned().collect())
}

/// Takes a serialized `FileDescriptorSet` apart, as `protoc --include_imports --descriptor_set_out` writes
/// it. The schema is the file that has the message of this full name, or, if none is named, the last one,
/// which is the one that `protoc` was asked for.
///
/// # Errors
///
/// [`SchemaError`] if it is no such set, or has no such message.
pub fn descriptor_set(bytes: &[u8], message: Option<&str>) -> Result<Texts, SchemaError> {
    let set = FileDescriptorSet::decode(bytes)
        .map_err(|error| SchemaError::Parse(format!("not a set of descriptors: {error}")))?;
    let mut files = set.file;
    if files.len() > REFERENCES_MAX {
        return Err(SchemaError::TooManyReferences {
            references: files.len(),
            references_max: REFERENCES_MAX,
        });
    }
    let at = match message {
        Some(name) => files.iter().position(|file| has_message(file, name)),
        None => files.len().checked_sub(1),
    };
    let at = at.ok_or_else(|| {
        SchemaError::Parse(match message {
            Some(name) => format!("none of the {} files has a message {name}", files.len()),
            None => "the set of descriptors is empty".to_owned(),
        })
    })?;
    let own = files.remove(at);
    let text = |file: &FileDescriptorProto| BASE64_STANDARD.encode(file.encode_to_vec());
    let references = files
        .iter()
        .map(|file| (file.name().to_owned(), text(file)));
    Ok((text(&own), references.collect()))
}

/// Has the file a message of this full name?
fn has_message(file: &FileDescriptorProto, full_name: &str) -> bool {
    let name = match file.package() {
        "" => Some(full_name),
        package => full_name
            .strip_prefix(package)
            .and_then(|rest| rest.strip_prefix('.')),
    };
    name.is_some_and(|name| is_among(&file.message_type, name))
}

/// Is the message of this name, which may be within others, one of these or within one of them?
fn is_among(messages: &[DescriptorProto], name: &str) -> bool {
    let (outer, inner) = match name.split_once('.') {
        Some((outer, inner)) => (outer, Some(inner)),
        None => (name, None),
    };
    let mut found = messages.iter().filter(|message| message.name() == outer);
    found.any(|message| inner.is_none_or(|inner| is_among(&message.nested_type, inner)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::Schema;
    use protox::Compiler;
    use std::collections::HashMap;

    struct Texts(HashMap<&'static str, &'static str>);

    impl FileResolver for Texts {
        fn open_file(&self, name: &str) -> Result<File, protox::Error> {
            match self.0.get(name) {
                Some(text) => File::from_source(name, text),
                None => GoogleFileResolver::new().open_file(name),
            }
        }
    }

    const MONEY: &str = r#"syntax = "proto3"; package shop; message Money { int64 units = 1; }"#;
    const ORDER: &str = r#"syntax = "proto3"; package shop;
        import "shop/money.proto"; import "google/protobuf/timestamp.proto";
        message Unused {}
        message Order { Money price = 1; google.protobuf.Timestamp at = 2; message Line { int32 n = 1; } }"#;

    fn set() -> Vec<u8> {
        let texts = HashMap::from([("shop/money.proto", MONEY), ("shop/order.proto", ORDER)]);
        let mut compiler = Compiler::with_file_resolver(Texts(texts));
        compiler
            .include_imports(true)
            .open_file("shop/order.proto")
            .unwrap();
        compiler.file_descriptor_set().encode_to_vec()
    }

    #[test]
    fn only_what_is_not_known_has_to_be_given() {
        assert_eq!(imports(ORDER).unwrap(), ["shop/money.proto"]);
        assert!(imports(MONEY).unwrap().is_empty());
        imports("message {").unwrap_err();
        imports(&"{".repeat(100_000)).unwrap_err();
    }

    #[test]
    fn a_set_has_what_its_schema_needs() {
        for (message, first) in [
            (None, "shop.Unused"),
            (Some("shop.Order.Line"), "shop.Unused"),
            (Some("shop.Money"), "shop.Money"),
        ] {
            let (text, references) = descriptor_set(&set(), message).unwrap();
            let references: Vec<(&str, &str)> = references
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str()))
                .collect();
            let schema = Schema::parse(&text, &references).unwrap();
            assert_eq!(schema.messages()[0], first);
            if let Some(message) = message {
                schema.path(message).unwrap();
            }
        }
        for none in ["Order", "shop.Line", "shop", "shopx.Order", ""] {
            descriptor_set(&set(), Some(none)).unwrap_err();
        }
        descriptor_set(&[], None).unwrap_err();
        descriptor_set(ORDER.as_bytes(), None).unwrap_err();
    }
}
