//! The table of APIs and versions in `docs/compatibility.md`, made from the declarations.
//!
//! ```text
//! cargo run -p fletch-wire --example protocol_table            # prints it
//! cargo run -p fletch-wire --example protocol_table -- --write # puts it into the page
//! ```
//!
//! `tests/protocol_table.rs` fails while the page has another one.

use std::fmt::Write;

use fletch_wire::messages::{APIS, Api};

pub(crate) const BEGIN: &str = "<!-- made by crates/wire/examples/protocol_table.rs: begin -->";
pub(crate) const END: &str = "<!-- made by crates/wire/examples/protocol_table.rs: end -->";
pub(crate) const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md");

/// The table: a row for each API, a column for each version.
pub(crate) fn table() -> String {
    let last = APIS
        .iter()
        .map(|api| api.versions.last)
        .max()
        .unwrap_or_default();
    let mut table = String::from("| API | key | versions |");
    (0..=last).for_each(|version| _ = write!(table, " {version} |"));
    table.push_str("\n|---|--:|---|");
    (0..=last).for_each(|_| table.push_str(":-:|"));
    for api in APIS {
        _ = write!(
            table,
            "\n| {} | {} | {} |",
            api.key, api.key.0, api.versions
        );
        (0..=last).for_each(|version| _ = write!(table, " {} |", mark(api, version)));
    }
    table.push('\n');
    table
}

fn mark(api: &Api, version: i16) -> &'static str {
    match api.versions.contains(version) {
        true if api.request.flexible.contains(version) => "●",
        true => "○",
        false => "",
    }
}

/// The page with the table in its place; `None` if the page has no place for it.
pub(crate) fn insert(page: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}{END}{after}", table()))
}

#[allow(dead_code)] // The test takes the rest of the file for a module.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("--write") {
        let page = std::fs::read_to_string(PAGE)?;
        std::fs::write(
            PAGE,
            insert(&page).ok_or("the page has no place for the table")?,
        )?;
    } else {
        print!("{}", table());
    }
    Ok(())
}
