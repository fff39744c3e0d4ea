//! A pointer for readers that know a table's folder but not its catalog.
//!
//! `metadata/version-hint.text` holds the current version number, and `v<number>.metadata.json` is
//! a second name of that version's metadata file: the layout of Hadoop tables, which DuckDB's
//! `iceberg_scan('<folder>')`, PyIceberg's `StaticTable` and Spark's path-based reads know.

use std::fs;
use std::path::{Path, PathBuf};

use crate::TableError;

const HINT: &str = "version-hint.text";

/// Points the hint at a metadata file `<version>-<uuid>.metadata.json`.
pub(crate) fn write(metadata_file: &Path) -> Result<(), TableError> {
    let Some((version, link)) = version(metadata_file).zip(link(metadata_file)) else {
        return Ok(());
    };
    let folder = metadata_file.parent().unwrap_or(Path::new("."));
    // A link of that name may be left from a version that lost its race.
    let _ = fs::remove_file(&link);
    if fs::hard_link(metadata_file, &link).is_err() {
        fs::copy(metadata_file, &link).map_err(TableError::io("copy to", &link))?;
    }
    let (hint, new) = (folder.join(HINT), folder.join(format!("{HINT}.unfinished")));
    fs::write(&new, version.to_string()).map_err(TableError::io("write", &new))?;
    fs::rename(&new, &hint).map_err(TableError::io("rename", &new))
}

/// The version number in a metadata file's name.
pub(crate) fn version(metadata_file: &Path) -> Option<u32> {
    let name = metadata_file.file_name()?.to_str()?;
    name.strip_suffix(".metadata.json")?
        .split_once('-')?
        .0
        .parse()
        .ok()
}

/// The second name of a metadata file.
pub(crate) fn link(metadata_file: &Path) -> Option<PathBuf> {
    let gzip = metadata_file
        .file_name()?
        .to_str()?
        .ends_with(".gz.metadata.json");
    let name = format!(
        "v{}{}.metadata.json",
        version(metadata_file)?,
        if gzip { ".gz" } else { "" }
    );
    Some(metadata_file.with_file_name(name))
}

/// The version number of a second name.
pub(crate) fn link_version(link: &Path) -> Option<u32> {
    let name = link.file_name()?.to_str()?.strip_suffix(".metadata.json")?;
    name.strip_suffix(".gz")
        .unwrap_or(name)
        .strip_prefix('v')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let file = Path::new("/t/metadata/00012-0e4a.metadata.json");
        assert_eq!(version(file), Some(12));
        assert_eq!(
            link(file).unwrap(),
            Path::new("/t/metadata/v12.metadata.json")
        );
        assert_eq!(link_version(&link(file).unwrap()), Some(12));
        assert_eq!(version(Path::new("/t/metadata/v12.metadata.json")), None);
        assert_eq!(link_version(file), None);
        let gzip = Path::new("/t/metadata/00012-0e4a.gz.metadata.json");
        assert_eq!(
            link(gzip).unwrap(),
            Path::new("/t/metadata/v12.gz.metadata.json")
        );
        assert_eq!(link_version(&link(gzip).unwrap()), Some(12));
    }
}
