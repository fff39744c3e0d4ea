//! What columns a JSON Schema means.

use super::document::Json;
use super::library::{Library, Place};

/// A column's type, and what a value must be for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub(super) ty: Ty,
    /// Whether null is a value.
    pub(super) null: bool,
    /// Whether whatever can be written to the column is valid by the schema.
    pub(super) exact: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ty {
    Scalar(Scalar),
    /// One of these strings.
    Symbols(Vec<String>),
    Array(Box<Column>),
    Map(Box<Column>),
    Record(Struct),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Struct {
    /// What the schema calls it.
    pub(super) title: Option<String>,
    pub(super) fields: Vec<Member>,
    /// Whether there is a column for members that aren't listed.
    pub(super) rest: bool,
    /// Whether such members make a value invalid.
    pub(super) closed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) column: Column,
    pub(super) required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    /// Any value, as JSON text.
    Any,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
    Bytes,
    Uuid,
    /// A string, as are the next two.
    Date,
    TimeMicros,
    TimestampMicros,
    /// A count, as are the next two.
    DayNumber,
    TimeMillis,
    TimestampMillis,
    Decimal {
        scale: u8,
    },
}

/// Deeper schemas, after all references are followed, become JSON text.
const DEPTH_MAX: usize = 16;
/// So do objects for whose members no columns are left.
const COLUMNS_MAX: usize = 2_000;
/// References and `allOf` that are followed for one value.
const FACETS_MAX: usize = 64;

const ANNOTATIONS: [&str; 19] = [
    "$schema",
    "$id",
    "id",
    "$comment",
    "$anchor",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "definitions",
    "$defs",
    "javaType",
    "format",
    "connect.index",
    "connect.type",
    "connect.version",
];

/// The columns of a library's first schema.
pub(super) fn map(library: &Library) -> Column {
    let mut mapper = Mapper {
        library,
        open: Vec::new(),
        columns: COLUMNS_MAX,
        // In draft 4, 1.0 is no integer.
        exact_integers: !library.is_of_draft(&["draft-04"]),
        lonely_references: library.is_of_draft(&["draft-04", "draft-06", "draft-07"]),
    };
    match library.root() {
        Some(root) => mapper.column(root, 0),
        None => Column::any(),
    }
}

struct Mapper<'a> {
    library: &'a Library,
    /// Schemas that are being mapped: to meet one again is recursion.
    open: Vec<*const Json>,
    /// How many columns are left.
    columns: usize,
    exact_integers: bool,
    /// Whether nothing counts that stands beside a `$ref`.
    lonely_references: bool,
}

impl Column {
    fn of(scalar: Scalar, null: bool, exact: bool) -> Self {
        Self {
            ty: Ty::Scalar(scalar),
            null,
            exact,
        }
    }

    /// Any value, as JSON text, if the schema takes it.
    fn any() -> Self {
        Self::of(Scalar::Any, true, false)
    }
}

/// What several schemas that hold for one value say together.
struct Facets<'a> {
    all: Vec<Place<'a>>,
    /// Whether it is one schema alone.
    single: bool,
}

impl<'a> Facets<'a> {
    /// The first value of a keyword, and where it stands.
    fn get(&self, keyword: &str) -> Option<(usize, &'a Json)> {
        let mut found = self.all.iter();
        found.find_map(|place| Some((place.document, place.schema.get(keyword)?)))
    }

    /// Whether they use no keywords but these and annotations.
    fn only(&self, keywords: &[&str]) -> bool {
        let known = |key: &str| ANNOTATIONS.contains(&key) || keywords.contains(&key);
        self.single
            && self
                .all
                .iter()
                .all(|p| p.schema.members().iter().all(|(k, _)| known(k)))
    }

    fn text(&self, keyword: &str) -> Option<&'a str> {
        self.get(keyword).and_then(|(_, value)| value.text())
    }

    /// The types that are left by all of them; none if none says any.
    fn types(&self) -> Option<Vec<&'a str>> {
        let mut left: Option<Vec<&str>> = None;
        for (_, value) in self
            .all
            .iter()
            .flat_map(|p| p.schema.members())
            .filter(|(k, _)| k == "type")
        {
            let types: Vec<&str> = match value {
                Json::Text(one) => vec![one],
                other => other.items().iter().filter_map(Json::text).collect(),
            };
            left = Some(match left {
                None => types,
                Some(left) => left.into_iter().filter(|ty| types.contains(ty)).collect(),
            });
        }
        left
    }
}

impl<'a> Mapper<'a> {
    fn column(&mut self, place: Place<'a>, depth: usize) -> Column {
        match place.schema {
            Json::Bool(true) => return Column::of(Scalar::Any, true, true),
            Json::Object(members) if members.is_empty() => {
                return Column::of(Scalar::Any, true, true);
            }
            Json::Object(_) if depth <= DEPTH_MAX => {}
            _ => return Column::any(),
        }
        let mut facets = Facets {
            all: Vec::new(),
            single: true,
        };
        let before = self.open.len();
        let column = if self.gather(place, &mut facets) {
            self.of_facets(&facets, depth)
        } else {
            Column::any()
        };
        self.open.truncate(before);
        column
    }

    /// Follows references and `allOf`. False if that leads back to where it came from.
    fn gather(&mut self, place: Place<'a>, facets: &mut Facets<'a>) -> bool {
        let here = std::ptr::from_ref(place.schema);
        if self.open.contains(&here) || facets.all.len() >= FACETS_MAX {
            return false;
        }
        self.open.push(here);
        let reference = place.schema.get("$ref").and_then(Json::text);
        if let Some(reference) = reference {
            let Some(target) = self.library.resolve(place.document, reference) else {
                return false;
            };
            let alone =
                |(key, _): &(String, Json)| key == "$ref" || ANNOTATIONS.contains(&key.as_str());
            if self.lonely_references || place.schema.members().iter().all(alone) {
                return self.gather(target, facets);
            }
            facets.single = false;
            if !self.gather(target, facets) {
                return false;
            }
        }
        facets.all.push(place);
        let parts = place
            .schema
            .get("allOf")
            .map(Json::items)
            .unwrap_or_default();
        facets.single &= parts.is_empty();
        parts.iter().all(|schema| {
            let document = place.document;
            self.gather(Place { document, schema }, facets)
        })
    }

    fn of_facets(&mut self, facets: &Facets<'a>, depth: usize) -> Column {
        let alternatives = facets.get("oneOf").or_else(|| facets.get("anyOf"));
        let types = facets.types();
        let nullable = types.as_ref().is_none_or(|types| types.contains(&"null"));
        let named: Option<Vec<&str>> =
            types.map(|types| types.into_iter().filter(|ty| *ty != "null").collect());
        let has = |keyword: &str| facets.get(keyword).is_some();
        let ty = match named.as_deref() {
            Some([one]) => one,
            Some(["integer", "number"] | ["number", "integer"]) => "number",
            Some(_) => return Column::of(Scalar::Any, nullable, false),
            None if has("properties") => "object",
            None if has("items") => "array",
            None => match (alternatives, facets.get("enum"), facets.get("const")) {
                (Some((document, list)), ..) => {
                    return self.alternatives(facets, document, list.items(), depth);
                }
                (_, Some((_, list)), _) => return Self::one_of(facets, list.items(), true),
                (_, _, Some((_, value))) => {
                    return Self::one_of(facets, std::slice::from_ref(value), true);
                }
                _ => return Column::of(Scalar::Any, true, facets.only(&[])),
            },
        };
        let mut column = match ty {
            "string" => self.string(facets, nullable),
            "object" => self.object(facets, nullable, depth),
            "array" => self.array(facets, nullable, depth),
            "boolean" => Column::of(Scalar::Boolean, nullable, facets.only(&["type"])),
            "integer" => {
                let exact = self.exact_integers && facets.only(&["type", "connect.parameters"]);
                Column::of(integer(facets), nullable, exact)
            }
            "number" => {
                let exact = facets.only(&["type", "connect.parameters"]);
                Column::of(number(facets), nullable, exact)
            }
            _ => Column::any(),
        };
        if let Ty::Record(record) = &mut column.ty
            && let Some((_, list)) = alternatives
        {
            // What the alternatives may add.
            record.rest |= list.items().iter().any(|alternative| {
                let keys = alternative
                    .get("properties")
                    .map(Json::members)
                    .unwrap_or_default();
                keys.iter()
                    .any(|(key, _)| !record.fields.iter().any(|f| f.key == *key))
                    || alternative.get("$ref").is_some()
            });
        }
        column
    }

    /// `enum` or `const` without a type that says more.
    fn one_of(facets: &Facets<'a>, values: &[Json], nullable: bool) -> Column {
        let null = nullable && values.contains(&Json::Null);
        let values: Vec<&Json> = values.iter().filter(|v| **v != Json::Null).collect();
        let texts: Option<Vec<&str>> = values.iter().map(|value| value.text()).collect();
        match texts {
            Some(texts) if !texts.is_empty() => Column {
                ty: Ty::Symbols(texts.into_iter().map(str::to_owned).collect()),
                null,
                exact: facets.only(&["type", "enum", "const"])
                    && facets
                        .get("enum")
                        .is_none_or(|_| facets.get("const").is_none()),
            },
            _ => {
                let scalar = |value: &&Json| match value {
                    Json::Number(n) if n.is_i64() => Scalar::Long,
                    Json::Number(_) => Scalar::Double,
                    Json::Bool(_) => Scalar::Boolean,
                    _ => Scalar::Any,
                };
                let first = values.first().map_or(Scalar::Any, scalar);
                let same = values.iter().all(|value| scalar(value) == first);
                Column::of(if same { first } else { Scalar::Any }, null, false)
            }
        }
    }

    fn alternatives(
        &mut self,
        facets: &Facets<'a>,
        document: usize,
        list: &'a [Json],
        depth: usize,
    ) -> Column {
        let is_null = |schema: &Json| {
            schema.get("type").and_then(Json::text) == Some("null")
                || schema.get("const") == Some(&Json::Null)
                || schema
                    .get("enum")
                    .is_some_and(|e| e.items() == [Json::Null])
        };
        let null = list.iter().any(is_null);
        let columns: Vec<Column> = list
            .iter()
            .filter(|schema| !is_null(schema))
            .map(|schema| self.column(Place { document, schema }, depth + 1))
            .collect();
        let nullable = null || columns.iter().any(|column| column.null);
        let numbers = |column: &Column| {
            matches!(
                column.ty,
                Ty::Scalar(Scalar::Int | Scalar::Long | Scalar::Double)
            )
        };
        let texts =
            |column: &Column| matches!(column.ty, Ty::Symbols(_) | Ty::Scalar(Scalar::Text));
        match columns.as_slice() {
            [one] => Column {
                ty: one.ty.clone(),
                null: nullable,
                exact: one.exact
                    && !(null && one.null)
                    && facets.only(&["oneOf", "anyOf"])
                    && !(facets.get("oneOf").is_some() && facets.get("anyOf").is_some()),
            },
            [first, others @ ..] if others.iter().all(|other| other.ty == first.ty) => Column {
                ty: first.ty.clone(),
                null: nullable,
                exact: false,
            },
            all if all.iter().all(numbers) => Column::of(Scalar::Double, nullable, false),
            all if all.iter().all(texts) => Column::of(Scalar::Text, nullable, false),
            _ => Column::of(Scalar::Any, nullable, false),
        }
    }

    fn string(&mut self, facets: &Facets<'a>, nullable: bool) -> Column {
        let values = match (facets.get("enum"), facets.get("const")) {
            (Some((_, list)), _) => list.items(),
            (_, Some((_, value))) => std::slice::from_ref(value),
            _ => &[],
        };
        if values.iter().any(|value| value.text().is_some()) {
            let mut column = Self::one_of(facets, values, nullable);
            if !matches!(column.ty, Ty::Symbols(_)) {
                column.ty = Ty::Scalar(Scalar::Text);
            }
            return column;
        }
        let scalar = match (
            facets.text("format"),
            facets.text("contentEncoding"),
            facets.text("connect.type"),
        ) {
            (_, Some("base64"), _) | (_, _, Some("bytes")) => Scalar::Bytes,
            (Some("date-time"), ..) => Scalar::TimestampMicros,
            (Some("date"), ..) => Scalar::Date,
            (Some("time"), ..) => Scalar::TimeMicros,
            (Some("uuid"), ..) => Scalar::Uuid,
            _ => Scalar::Text,
        };
        Column::of(scalar, nullable, facets.only(&["type", "contentEncoding"]))
    }

    fn array(&mut self, facets: &Facets<'a>, nullable: bool, depth: usize) -> Column {
        match facets.get("items") {
            Some((document, schema @ (Json::Object(_) | Json::Bool(true))))
                if facets.get("prefixItems").is_none() =>
            {
                let items = self.column(Place { document, schema }, depth + 1);
                Column {
                    exact: items.exact && facets.only(&["type", "items"]),
                    ty: Ty::Array(Box::new(items)),
                    null: nullable,
                }
            }
            _ => Column::of(Scalar::Any, nullable, false),
        }
    }

    fn object(&mut self, facets: &Facets<'a>, nullable: bool, depth: usize) -> Column {
        let others = facets.get("additionalProperties");
        let patterns = facets
            .get("patternProperties")
            .map_or(&[][..], |(_, p)| p.members());
        let listed: Vec<(usize, &'a (String, Json))> = facets
            .all
            .iter()
            .flat_map(|place| {
                let properties = place.schema.get("properties").map(Json::members);
                let document = place.document;
                properties
                    .unwrap_or_default()
                    .iter()
                    .map(move |member| (document, member))
            })
            .collect();
        let exact = facets.only(&["type", "properties", "required", "additionalProperties"]);
        if listed.is_empty() {
            return match others {
                Some((document, schema @ Json::Object(members)))
                    if patterns.is_empty() && !members.is_empty() =>
                {
                    let values = self.column(Place { document, schema }, depth + 1);
                    Column {
                        exact: values.exact && facets.only(&["type", "additionalProperties"]),
                        ty: Ty::Map(Box::new(values)),
                        null: nullable,
                    }
                }
                _ => Column::of(Scalar::Any, nullable, false),
            };
        }
        if listed.len() > self.columns {
            return Column::of(Scalar::Any, nullable, false);
        }
        self.columns -= listed.len();
        let required: Vec<&str> = facets
            .all
            .iter()
            .filter_map(|place| place.schema.get("required"))
            .flat_map(|list| list.items().iter().filter_map(Json::text))
            .collect();
        let mut fields: Vec<(i64, Member)> = Vec::with_capacity(listed.len());
        for (document, (key, schema)) in listed {
            let column = self.column(Place { document, schema }, depth + 1);
            if let Some((_, known)) = fields.iter_mut().find(|(_, known)| known.key == *key) {
                // Said twice, by parts of one `allOf`, and both hold.
                if known.column.ty != column.ty {
                    known.column = Column::any();
                }
                known.column.null &= column.null;
                continue;
            }
            let index = match schema.get("connect.index") {
                Some(Json::Number(index)) => index.as_i64().unwrap_or(i64::MAX),
                _ => i64::MAX,
            };
            let member = Member {
                required: required.contains(&key.as_str()),
                key: key.clone(),
                column,
            };
            fields.push((index, member));
        }
        // A stable sort: those without an index keep the text's order, behind the others.
        fields.sort_by_key(|(index, _)| *index);
        let fields: Vec<Member> = fields.into_iter().map(|(_, member)| member).collect();
        let known = |key: &&str| fields.iter().any(|field| field.key == **key);
        let open = match others {
            None | Some((_, Json::Bool(false))) => false,
            Some(_) => true,
        };
        let anything = matches!(others, Some((_, Json::Bool(true))));
        Column {
            exact: exact
                && (!open || anything)
                && fields.iter().all(|field| field.column.exact)
                && required.iter().all(known),
            ty: Ty::Record(Struct {
                title: facets.text("title").map(str::to_owned),
                rest: open || !patterns.is_empty(),
                closed: exact && matches!(others, Some((_, Json::Bool(false)))),
                fields,
            }),
            null: nullable,
        }
    }
}

/// Kafka Connect's own types are integers and numbers with a title.
fn integer(facets: &Facets<'_>) -> Scalar {
    match (facets.text("title"), facets.text("connect.type")) {
        (Some("org.apache.kafka.connect.data.Timestamp"), _) => Scalar::TimestampMillis,
        (Some("org.apache.kafka.connect.data.Date"), _) => Scalar::DayNumber,
        (Some("org.apache.kafka.connect.data.Time"), _) => Scalar::TimeMillis,
        (_, Some("int8" | "int16" | "int32")) => Scalar::Int,
        _ => Scalar::Long,
    }
}

fn number(facets: &Facets<'_>) -> Scalar {
    match (facets.text("title"), facets.text("connect.type")) {
        (Some("org.apache.kafka.connect.data.Decimal"), _) => {
            let parameters = facets.get("connect.parameters");
            let scale = parameters.and_then(|(_, p)| match p.get("scale")? {
                Json::Text(text) => text.parse().ok(),
                Json::Number(number) => number.as_u64().and_then(|n| u8::try_from(n).ok()),
                _ => None,
            });
            match scale {
                Some(scale @ 0..=38) => Scalar::Decimal { scale },
                _ => Scalar::Double,
            }
        }
        (_, Some("float32")) => Scalar::Float,
        _ => Scalar::Double,
    }
}
