//! Who may know whom: the arrows drawn in `docs/ARCHITECTURE.md`, and no others.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// (who is depended upon, who depends)
type Arrows = BTreeSet<(String, String)>;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The arrows of the page: lines such as `wire <- store, table, server`.
fn drawn() -> Arrows {
    let page =
        std::fs::read_to_string(repository().join("docs/ARCHITECTURE.md")).expect("the page");
    let lines = page.lines().filter_map(|line| line.split_once("<-"));
    let arrows = lines.flat_map(|(known, knowing)| {
        let name = |text: &str| text.trim().trim_start_matches("bins/").to_owned();
        let known = name(known);
        knowing
            .split(',')
            .map(move |who| (known.clone(), name(who)))
            .collect::<Vec<_>>()
    });
    arrows.collect()
}

/// The arrows of the crates, those of tests left out.
fn built() -> Arrows {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(repository())
        .output()
        .expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let room = |value: &Value| {
        value
            .as_str()
            .expect("a name")
            .trim_start_matches("fletch-")
            .to_owned()
    };
    let arrows = packages.iter().flat_map(|package| {
        let rooms = package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter();
        let rooms = rooms
            .filter(|dependency| dependency["path"].is_string() && dependency["kind"] != "dev");
        rooms
            .map(|dependency| (room(&dependency["name"]), room(&package["name"])))
            .collect::<Vec<_>>()
    });
    arrows.collect()
}

#[test]
fn the_arrows_are_those_of_the_page() {
    let (drawn, built) = (drawn(), built());
    assert!(drawn.len() > 5, "the page has no arrows: {drawn:?}");
    let missing: Vec<_> = drawn.difference(&built).collect();
    let extra: Vec<_> = built.difference(&drawn).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "drawn but not built: {missing:?}; built but not drawn: {extra:?}"
    );
}

#[test]
fn unsafe_code_is_in_one_room() {
    let mut folders: Vec<_> = ["crates", "bins"]
        .map(|folder| repository().join(folder))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("crates/columnar") && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                let begins = |line: &str| {
                    ["{", "fn", "impl", "trait", "extern"]
                        .map(|what| line.contains(&format!("unsafe {what}")))
                };
                let found = text
                    .lines()
                    .find(|line| !line.contains("format!") && begins(line).contains(&true));
                assert_eq!(found, None, "{}", path.display());
            }
        }
    }
}
