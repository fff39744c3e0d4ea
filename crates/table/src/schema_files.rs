//! Schemas from files: in one folder that the broker's owner fills, and nowhere else.
//!
//! The name of a file is a topic's config, so it comes from the network. It is taken only if it is a plain
//! relative path, and what is read is looked at again, links followed: it has to be a file within the
//! folder.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use fletch_columnar::protobuf;

use crate::Format;
use crate::settings::{Given, PayloadSettings, TopicSettings};
use crate::source::{SchemaKind, SchemaText};

/// Bytes of one schema with all that it imports.
const BYTES_MAX: u64 = 4 << 20;
/// Files that one schema imports, directly or not.
const IMPORTS_MAX: usize = 1_000;
/// Length of a file's name.
const NAME_BYTES_MAX: usize = 255;

/// Why a topic's schema can't be had from a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    /// The broker has no folder of them.
    #[error("the broker takes no schemas from files (table.schemas_path is not set)")]
    NoFolder,
    /// The name leads elsewhere, or could.
    #[error(
        "{0:?} is no name of a schema file: letters, digits, '_', '-' and '.', in folders separated by '/', \
         none of them hidden, {NAME_BYTES_MAX} bytes at most"
    )]
    Name(String),
    /// It can't be read.
    #[error("schema file {name}: {why}")]
    Unreadable {
        /// The name as given.
        name: String,
        /// The reason.
        why: String,
    },
    /// It isn't a schema of that kind.
    #[error("schema file {name}: {why}")]
    Schema {
        /// The name as given.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// The folder of schema files.
#[derive(Debug, Clone, Default)]
pub(crate) struct SchemaFiles {
    folder: Option<PathBuf>,
}

impl TopicSettings {
    /// Whether the schemas that a topic's configs name by files can be had: the files are in this folder,
    /// and are schemas of the formats that are named with them.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    pub fn check_files(&self, folder: Option<&Path>) -> Result<(), String> {
        let files = SchemaFiles::new(folder.map(Path::to_owned));
        for settings in [Some(&self.value), self.key.as_ref()].into_iter().flatten() {
            if let Some(Given::File(name)) = &settings.given {
                let text = files
                    .load(name, settings)
                    .map_err(|error| error.to_string())?;
                crate::convert::check_schema(&text, settings)
                    .map_err(|why| format!("schema file {name}: {why}"))?;
            }
        }
        Ok(())
    }
}

impl SchemaFiles {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// The schema in a file, for payloads that are read with these settings.
    pub(crate) fn load(
        &self,
        name: &str,
        settings: &PayloadSettings,
    ) -> Result<SchemaText, FileError> {
        let folder = self.folder.as_deref().ok_or(FileError::NoFolder)?;
        let mut reader = Reader {
            folder,
            bytes_left: BYTES_MAX,
        };
        let bytes = reader.read(name)?;
        let (kind, (text, references)) = match settings.format {
            Some(Format::Protobuf) => (
                SchemaKind::Protobuf,
                reader.protobuf(name, bytes, settings.message.as_deref())?,
            ),
            Some(Format::JsonSchema) => (SchemaKind::Json, (text(name, bytes)?, Vec::new())),
            _ => (SchemaKind::Avro, (text(name, bytes)?, Vec::new())),
        };
        Ok(SchemaText {
            id: None,
            kind,
            text,
            references,
        })
    }
}

/// Reads the files of one schema.
struct Reader<'f> {
    folder: &'f Path,
    bytes_left: u64,
}

impl Reader<'_> {
    /// A `.proto` file with what it imports from the folder, or a set of descriptors.
    fn protobuf(
        &mut self,
        name: &str,
        bytes: Vec<u8>,
        message: Option<&str>,
    ) -> Result<protobuf::Texts, FileError> {
        let invalid = |name: &str, error: protobuf::SchemaError| FileError::Schema {
            name: name.to_owned(),
            why: error.to_string(),
        };
        if !name.ends_with(".proto") {
            let set = protobuf::descriptor_set(&bytes, message);
            return set.map_err(|error| invalid(name, error));
        }
        let own = text(name, bytes)?;
        let mut found = BTreeMap::new();
        let imports = protobuf::imports(&own).map_err(|error| invalid(name, error))?;
        let mut wanted = VecDeque::from(imports);
        while let Some(import) = wanted.pop_front() {
            if found.contains_key(&import) {
                continue;
            }
            if found.len() == IMPORTS_MAX {
                let why = format!("it imports more than {IMPORTS_MAX} files");
                let name = name.to_owned();
                return Err(FileError::Schema { name, why });
            }
            let bytes = self.read(&import)?;
            let text = text(&import, bytes)?;
            let more = protobuf::imports(&text).map_err(|error| invalid(&import, error))?;
            wanted.extend(more);
            found.insert(import, text);
        }
        Ok((own, found.into_iter().collect()))
    }

    fn read(&mut self, name: &str) -> Result<Vec<u8>, FileError> {
        if !is_plain(name) {
            return Err(FileError::Name(name.to_owned()));
        }
        let unreadable = |why: String| FileError::Unreadable {
            name: name.to_owned(),
            why,
        };
        let folder = fs::canonicalize(self.folder)
            .map_err(|error| unreadable(format!("the folder of schema files: {error}")))?;
        let path = fs::canonicalize(folder.join(name));
        let path = path.map_err(|error| unreadable(error.to_string()))?;
        // Said without where it leads, which is nobody's business.
        if !path.starts_with(&folder) {
            return Err(unreadable(
                "it is not within the folder of schema files".into(),
            ));
        }
        // A pipe would be waited for.
        let metadata = fs::metadata(&path).map_err(|error| unreadable(error.to_string()))?;
        if !metadata.is_file() {
            return Err(unreadable("it is not a file".into()));
        }
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(|error| unreadable(error.to_string()))?;
        file.take(self.bytes_left + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(error.to_string()))?;
        let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let left = self.bytes_left.checked_sub(read).ok_or_else(|| {
            unreadable(format!("more than {BYTES_MAX} bytes, with what it imports"))
        });
        self.bytes_left = left?;
        Ok(bytes)
    }
}

/// Is this a relative path that goes down only, and in no notation but one?
fn is_plain(name: &str) -> bool {
    let is_part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
    };
    name.len() <= NAME_BYTES_MAX && name.split('/').all(is_part)
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|_| FileError::Schema {
        name: name.to_owned(),
        why: "it is not UTF-8".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(format: Format) -> PayloadSettings {
        PayloadSettings {
            format: Some(format),
            ..PayloadSettings::default()
        }
    }

    #[test]
    fn names_go_down_only() {
        for name in ["a.avsc", "shop/order.proto", "a-b_c.1/d", "a..b"] {
            assert!(is_plain(name), "{name}");
        }
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for name in [
            "",
            ".",
            "..",
            "...",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a/..",
            "a//b",
            "a/",
            "./a",
            "a/./b",
            ".hidden",
            "a/.b",
            "a\\b",
            "C:a",
            "a\0b",
            "a b",
            "é",
            "%2e%2e/a",
            &long,
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn only_files_within_the_folder_are_read() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("schemas");
        fs::create_dir_all(folder.join("shop")).unwrap();
        fs::write(outer.path().join("secret.avsc"), "secret").unwrap();
        fs::write(folder.join("shop/a.avsc"), "inside").unwrap();
        fs::write(
            folder.join("big.avsc"),
            vec![b' '; (BYTES_MAX + 1) as usize],
        )
        .unwrap();
        fs::write(folder.join("latin.avsc"), b"\xff").unwrap();
        let files = SchemaFiles::new(Some(folder.clone()));
        let load = |name: &str| files.load(name, &settings(Format::Avro));
        assert_eq!(load("shop/a.avsc").unwrap().text, "inside");
        for name in ["../secret.avsc", "shop/../shop/a.avsc", "/etc/hostname"] {
            assert_eq!(load(name), Err(FileError::Name(name.to_owned())));
        }
        for name in ["none.avsc", "shop", "big.avsc"] {
            let error = load(name).unwrap_err();
            assert!(matches!(error, FileError::Unreadable { .. }), "{error}");
        }
        assert!(matches!(load("latin.avsc"), Err(FileError::Schema { .. })));
        let nowhere = SchemaFiles::default();
        let refused = nowhere.load("shop/a.avsc", &settings(Format::Avro));
        assert_eq!(refused, Err(FileError::NoFolder));
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_nowhere_else() {
        use std::os::unix::fs::symlink;
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("schemas");
        fs::create_dir_all(folder.join("..data")).unwrap();
        fs::write(outer.path().join("secret.avsc"), "secret").unwrap();
        // As Kubernetes mounts a config map.
        fs::write(folder.join("..data/a.avsc"), "inside").unwrap();
        symlink("..data/a.avsc", folder.join("a.avsc")).unwrap();
        symlink("../secret.avsc", folder.join("b.avsc")).unwrap();
        symlink("..", folder.join("up")).unwrap();
        let files = SchemaFiles::new(Some(folder));
        let load = |name: &str| files.load(name, &settings(Format::Avro));
        assert_eq!(load("a.avsc").unwrap().text, "inside");
        for name in ["b.avsc", "up/secret.avsc"] {
            let error = load(name).unwrap_err().to_string();
            assert!(
                error.ends_with("not within the folder of schema files"),
                "{error}"
            );
        }
    }

    #[test]
    fn proto_files_bring_what_they_import() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "shop/order.proto",
            r#"syntax = "proto3"; import "shop/line.proto"; message Order {}"#,
        );
        write(
            "shop/line.proto",
            r#"syntax = "proto3"; import "shop/money.proto"; message Line {}"#,
        );
        write("shop/money.proto", r#"syntax = "proto3"; message Money {}"#);
        write(
            "escape.proto",
            r#"syntax = "proto3"; import "../../etc/passwd"; message E {}"#,
        );
        write(
            "hidden.proto",
            r#"syntax = "proto3"; import "shop/.money.proto"; message Hidden {}"#,
        );
        let files = SchemaFiles::new(Some(folder.path().to_owned()));
        let load = |name: &str| files.load(name, &settings(Format::Protobuf));
        let text = load("shop/order.proto").unwrap();
        let names: Vec<&str> = text
            .references
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["shop/line.proto", "shop/money.proto"]);
        // The parser may refuse it before us.
        load("escape.proto").unwrap_err();
        let error = load("hidden.proto").unwrap_err();
        assert_eq!(error, FileError::Name("shop/.money.proto".to_owned()));
    }
}
