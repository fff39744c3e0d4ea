//! The table of APIs and versions in `crates/wire/PROTOCOL.md`, made from the declarations.
//!
//! ```text
//! cargo run -p fletch-wire --example protocol_table            # prints it
//! cargo run -p fletch-wire --example protocol_table -- --write # puts it into the page
//! ```
//!
//! `tests/protocol_table.rs` fails while the page has another one. The server's table, of what it
//! serves, is made by the same function.

use std::fmt::Write;

use fletch_wire::{
    ApiKey, Versions,
    messages::{APIS, Api},
};

pub(crate) const BEGIN: &str = "<!-- protocol table: begin -->";
pub(crate) const END: &str = "<!-- protocol table: end -->";

/// Every API in every version that is declared.
#[allow(dead_code)] // The server has a list of its own.
pub(crate) fn declared() -> Vec<(ApiKey, Versions)> {
    APIS.iter().map(|api| (api.key, api.versions)).collect()
}

/// The table: a row for each API, a column for each version.
pub(crate) fn table(rows: &[(ApiKey, Versions)]) -> String {
    let last = rows.iter().map(|(_, versions)| versions.last).max();
    let last = last.unwrap_or_default();
    let mut table = String::from("| API | key | versions |");
    (0..=last).for_each(|version| _ = write!(table, " {version} |"));
    table.push_str("\n|---|--:|---|");
    (0..=last).for_each(|_| table.push_str(":-:|"));
    for (key, versions) in rows {
        _ = write!(table, "\n| {key} | {} | {versions} |", key.0);
        (0..=last).for_each(|version| _ = write!(table, " {} |", mark(*key, *versions, version)));
    }
    table.push('\n');
    table
}

fn mark(key: ApiKey, versions: Versions, version: i16) -> &'static str {
    let flexible = |api: &Api| api.request.flexible.contains(version);
    match versions.contains(version) {
        true if Api::find(key).is_some_and(flexible) => "●",
        true => "○",
        false => "",
    }
}

/// The page with the table in its place; `None` if the page has no place for it.
pub(crate) fn insert(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

/// The page of this crate.
#[allow(dead_code)] // The server has a page of its own.
pub(crate) const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/PROTOCOL.md");

#[allow(dead_code)] // The tests take the rest of the file for a module.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let table = table(&declared());
    if std::env::args().nth(1).as_deref() == Some("--write") {
        let page = std::fs::read_to_string(PAGE)?;
        let page = insert(&page, &table).ok_or("the page has no place for the table")?;
        std::fs::write(PAGE, page)?;
    } else {
        print!("{table}");
    }
    Ok(())
}
