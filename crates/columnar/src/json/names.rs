//! How members become columns' names, and columns members again.
//!
//! A column is named after its member where that is possible. Where it isn't, an alias of the
//! field says what the column is for; aliases of this kind begin with `json.`, and survive in the
//! table's schema.
//!
//! | alias | the column takes |
//! |---|---|
//! | none | the member of the column's own name |
//! | `json.member:KEY` | the member KEY |
//! | `json.text:KEY` | as text, what the column of the member KEY can't hold |
//! | `json.rest` | an object of the members without a column |
//! | `json.value` | as text, a record that isn't an object |
//!
//! Names keep the letters and digits of every script, and `_`; anything else becomes `_`, and so
//! does the lack of any. A name that is taken, or differs from one by case alone (DuckDB and Spark
//! don't tell them apart), gets `_2`, `_3` and so on.

use std::collections::HashSet;

use crate::avro::Field;

/// What a field of a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role<'a> {
    /// The member of this key.
    Member(&'a str),
    /// What the column of the member of this key can't hold, as text.
    TextOf(&'a str),
    /// The members without a column.
    Rest,
    /// A record that isn't an object.
    Bare,
}

/// What aliases begin with that say what a column is for.
pub(crate) const ALIASES: &str = "json.";
const MEMBER: &str = "json.member:";
const TEXT: &str = "json.text:";
const REST: &str = "json.rest";
const BARE: &str = "json.value";

/// Longer keys get no column.
pub(crate) const KEY_BYTES_MAX: usize = 1024;
/// Names are cut at this length.
const NAME_CHARS_MAX: usize = 100;

impl<'a> Role<'a> {
    pub(crate) fn of(field: &'a Field) -> Self {
        let told = field.aliases.iter().find_map(|alias| match alias.as_str() {
            REST => Some(Self::Rest),
            BARE => Some(Self::Bare),
            alias => alias
                .strip_prefix(MEMBER)
                .map(Self::Member)
                .or_else(|| alias.strip_prefix(TEXT).map(Self::TextOf)),
        });
        told.unwrap_or(Self::Member(&field.name))
    }

    fn wanted_name(self) -> String {
        match self {
            Self::Member(key) => column_name(key),
            Self::TextOf(key) => column_name(key) + "_text",
            Self::Rest => "rest".into(),
            Self::Bare => "value".into(),
        }
    }

    fn alias(self) -> String {
        match self {
            Self::Member(key) => format!("{MEMBER}{key}"),
            Self::TextOf(key) => format!("{TEXT}{key}"),
            Self::Rest => REST.into(),
            Self::Bare => BARE.into(),
        }
    }

    /// A name that isn't among those `taken`, which it joins, and the aliases.
    pub(crate) fn name(self, taken: &mut Taken) -> (String, Vec<String>) {
        let wanted = self.wanted_name();
        let mut name = wanted.clone();
        let mut number = 2;
        while !taken.0.insert(name.to_lowercase()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        let plain = matches!(self, Self::Member(key) if key == name);
        let aliases = if plain { vec![] } else { vec![self.alias()] };
        (name, aliases)
    }
}

/// Names that a record's columns have, without their case.
#[derive(Debug, Default)]
pub(crate) struct Taken(HashSet<String>);

impl Taken {
    pub(crate) fn add(&mut self, name: &str) {
        self.0.insert(name.to_lowercase());
    }
}

fn column_name(key: &str) -> String {
    let name: String = key
        .chars()
        .take(NAME_CHARS_MAX)
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .collect();
    if name.is_empty() { "_".into() } else { name }
}
