//! The documents of a schema, and where a `$ref` in one of them leads.

use std::collections::HashMap;

use super::document::Json;

/// References and the like that are followed to see how many schemas hold for one value.
const WIDTH_DEPTH_MAX: usize = 200;
/// Names that are looked at of those that end alike.
const SAME_NAMES_MAX: usize = 64;

/// A schema and those it refers to by name.
#[derive(Debug)]
pub(super) struct Library {
    /// The schema itself first; the names are those that `$ref` may use.
    documents: Vec<(String, Json)>,
    /// Names and ids, by the part behind their last slash.
    names: HashMap<String, Vec<Named>>,
    /// Pointers to what anchors are at, by document.
    anchors: HashMap<(usize, String), String>,
}

/// A schema with a name or an id.
#[derive(Debug)]
struct Named {
    name: String,
    document: usize,
    pointer: String,
}

/// A place in the library: a document, and a schema in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) document: usize,
    pub(super) schema: &'a Json,
}

impl Library {
    pub(super) fn new(documents: Vec<(String, Json)>) -> Self {
        let mut library = Self {
            documents: Vec::new(),
            names: HashMap::new(),
            anchors: HashMap::new(),
        };
        for (i, (name, top)) in documents.iter().enumerate() {
            library.name(name, i, "");
            library.index(i, top, &mut String::new());
        }
        library.documents = documents;
        library
    }

    fn name(&mut self, name: &str, document: usize, pointer: &str) {
        let all = self.names.entry(last_part(name).to_owned()).or_default();
        if !name.is_empty() && all.len() < SAME_NAMES_MAX {
            all.push(Named {
                name: name.to_owned(),
                document,
                pointer: pointer.to_owned(),
            });
        }
    }

    /// Notes the ids and anchors in a document.
    fn index(&mut self, document: usize, schema: &Json, pointer: &mut String) {
        for key in ["$id", "id", "$anchor"] {
            let Some(id) = schema.get(key).and_then(Json::text) else {
                continue;
            };
            let anchor = if key == "$anchor" {
                Some(id)
            } else {
                id.strip_prefix('#')
            };
            match anchor {
                Some(anchor) => {
                    let at = (document, anchor.to_owned());
                    self.anchors.entry(at).or_insert_with(|| pointer.clone());
                }
                None => self.name(id.trim_end_matches('#'), document, pointer),
            }
        }
        let length = pointer.len();
        let mut enter = |library: &mut Self, token: &str, schema: &Json| {
            pointer.push('/');
            pointer.push_str(token);
            library.index(document, schema, pointer);
            pointer.truncate(length);
        };
        match schema {
            Json::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    enter(self, &i.to_string(), item);
                }
            }
            Json::Object(members) => {
                for (key, value) in members {
                    enter(self, &key.replace('~', "~0").replace('/', "~1"), value);
                }
            }
            _ => {}
        }
    }

    pub(super) fn root(&self) -> Option<Place<'_>> {
        let (_, schema) = self.documents.first()?;
        Some(Place {
            document: 0,
            schema,
        })
    }

    /// How many schemas hold at most for one value: what a schema says in place, by reference, in
    /// `allOf` and the like. Saturates.
    pub(super) fn widest(&self) -> u64 {
        let mut known = HashMap::new();
        let all = self.documents.iter().enumerate();
        all.map(|(i, (_, top))| self.widest_in(i, top, &mut known))
            .max()
            .unwrap_or(0)
    }

    fn widest_in(
        &self,
        document: usize,
        schema: &Json,
        known: &mut HashMap<*const Json, u64>,
    ) -> u64 {
        let place = Place { document, schema };
        let inner = match schema {
            Json::Array(items) => items
                .iter()
                .map(|s| self.widest_in(document, s, known))
                .max(),
            Json::Object(members) => members
                .iter()
                .map(|(_, s)| self.widest_in(document, s, known))
                .max(),
            _ => return 0,
        };
        self.width(place, known, 0).max(inner.unwrap_or(0))
    }

    /// How many schemas hold for a value of which this one does.
    fn width(&self, place: Place<'_>, known: &mut HashMap<*const Json, u64>, depth: usize) -> u64 {
        let here = std::ptr::from_ref(place.schema);
        if let Some(&width) = known.get(&here) {
            return width;
        }
        if depth > WIDTH_DEPTH_MAX {
            return u64::MAX;
        }
        // To come back here is no new schema.
        known.insert(here, 0);
        let mut width = 1_u64;
        for (key, value) in place.schema.members() {
            let document = place.document;
            let mut add = |place: Option<Place<'_>>| {
                let more = place.map_or(0, |place| self.width(place, known, depth + 1));
                width = width.saturating_add(more);
            };
            match (key.as_str(), value) {
                ("$ref" | "$dynamicRef" | "$recursiveRef", Json::Text(reference)) => {
                    add(self.resolve(document, reference));
                }
                ("allOf" | "anyOf" | "oneOf", Json::Array(all)) => {
                    all.iter()
                        .for_each(|schema| add(Some(Place { document, schema })));
                }
                ("not" | "if" | "then" | "else", schema) => add(Some(Place { document, schema })),
                ("dependentSchemas" | "dependencies", all) => {
                    for (_, schema) in all.members() {
                        add(Some(Place { document, schema }));
                    }
                }
                _ => {}
            }
        }
        known.insert(here, width);
        width
    }

    /// Whether any of the documents says that it is of one of these drafts.
    pub(super) fn is_of_draft(&self, drafts: &[&str]) -> bool {
        self.documents.iter().any(|(_, document)| {
            let says = document.get("$schema").and_then(Json::text);
            says.is_some_and(|says| drafts.iter().any(|draft| says.contains(draft)))
        })
    }

    /// Where a reference in `document` leads.
    pub(super) fn resolve(&self, document: usize, reference: &str) -> Option<Place<'_>> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let (document, top) = if uri.is_empty() {
            (document, &self.documents.get(document)?.1)
        } else {
            self.by_uri(uri)?
        };
        let fragment = percent_decoded(fragment)?;
        let schema = match fragment.as_str() {
            "" => top,
            pointer if pointer.starts_with('/') => top.pointer(pointer)?,
            anchor => {
                let pointer = self.anchors.get(&(document, anchor.to_owned()))?;
                self.documents.get(document)?.1.pointer(pointer)?
            }
        };
        Some(Place { document, schema })
    }

    /// A document by its name or its id, or a part of one by its id.
    pub(super) fn by_uri(&self, uri: &str) -> Option<(usize, &Json)> {
        let candidates = self.names.get(last_part(uri))?;
        let found = candidates.iter().find(|named| same(&named.name, uri))?;
        let (_, top) = self.documents.get(found.document)?;
        Some((found.document, top.pointer(&found.pointer)?))
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether a name and a reference mean the same: as they are, or when one is taken as relative to
/// the other's folder.
fn same(name: &str, reference: &str) -> bool {
    let ends = |long: &str, short: &str| {
        !short.is_empty()
            && long
                .strip_suffix(short)
                .is_some_and(|head| head.ends_with('/'))
    };
    !name.is_empty() && (name == reference || ends(name, reference) || ends(reference, name))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        (rest, _) = match (first, tail) {
            (b'%', [a, b, tail @ ..]) => {
                let digit = |d: u8| char::from(d).to_digit(16);
                let value = digit(*a)? * 16 + digit(*b)?;
                (tail, bytes.push(value as u8))
            }
            (&byte, tail) => (tail, bytes.push(byte)),
        };
    }
    String::from_utf8(bytes).ok()
}
