//! JSON to a parsed schema, with everything the specification demands of one checked.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::default::DefaultChecker;
use super::name::{FullName, check_name, check_namespace};
use super::{Attributes, AvroError, AvroSchema, Field, Kind, Location, Named, Node, NodeId, Order};
use crate::schema::ReferencedSchema;

/// Most nodes a schema may have with all it refers to: a bound on time and memory, far beyond what
/// people write.
const NODES_MAX: usize = 200_000;

/// Parses `text`, which may use the names that `references` define (dependencies first).
pub(crate) fn parse(text: &str, references: &[ReferencedSchema]) -> Result<AvroSchema, AvroError> {
    let mut parser = Parser::default();
    for reference in references {
        parser
            .top(&reference.text)
            .map_err(|why| AvroError::Reference {
                name: reference.name.clone(),
                why: Box::new(why),
            })?;
    }
    let first_own = NodeId(parser.nodes.len() as u32);
    let root = parser.top(text)?;
    Ok(AvroSchema {
        nodes: parser.nodes,
        root,
        first_own,
    })
}

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    names: HashMap<FullName, NodeId>,
}

impl Parser {
    fn top(&mut self, text: &str) -> Result<NodeId, AvroError> {
        let json: Value =
            serde_json::from_str(text).map_err(|error| AvroError::Json(error.to_string()))?;
        let first = self.nodes.len();
        let root = self.schema(&json, "", &Location::default())?;
        // Defaults are checked last: a default may be of a type that is defined around it.
        let mut checker = DefaultChecker::new(&self.nodes);
        for node in self.nodes.iter().skip(first) {
            check_defaults(node, &mut checker)?;
        }
        Ok(root)
    }

    fn schema(
        &mut self,
        json: &Value,
        namespace: &str,
        at: &Location,
    ) -> Result<NodeId, AvroError> {
        match json {
            Value::String(name) => self.by_name(name, namespace, at),
            Value::Array(branches) => self.union(branches, namespace, at),
            Value::Object(object) => self.object(object, namespace, at),
            other => at.fail(format!(
                "a type is a string, an object or an array, not {other}"
            )),
        }
    }

    fn by_name(&mut self, text: &str, namespace: &str, at: &Location) -> Result<NodeId, AvroError> {
        if let Some(kind) = Kind::primitive(text) {
            return self.push(kind, Attributes::new(), at);
        }
        let name = FullName::parse(text, namespace).or_else(|why| at.fail(why))?;
        // A plain name means its own namespace first; as the older libraries, the null one next.
        let bare = FullName {
            namespace: String::new(),
            name: name.name.clone(),
        };
        let fallback = self.names.get(&bare).filter(|_| !text.contains('.'));
        match self.names.get(&name).or(fallback) {
            Some(id) => Ok(*id),
            None => at.fail(format!("{name} isn't defined before it is used")),
        }
    }

    fn union(
        &mut self,
        branches: &[Value],
        namespace: &str,
        at: &Location,
    ) -> Result<NodeId, AvroError> {
        let mut ids = Vec::with_capacity(branches.len().min(64));
        let mut seen = HashSet::new();
        for (position, branch) in branches.iter().enumerate() {
            let at = at.child(position);
            let id = self.schema(branch, namespace, &at)?;
            let kind = &self.node(id).kind;
            if let Kind::Union(_) = kind {
                return at.fail("a union stands directly in a union");
            }
            let distinct = kind
                .named()
                .map_or_else(|| kind.name().to_owned(), full_name);
            if !seen.insert(distinct.clone()) {
                return at.fail(format!("{distinct} is in the union twice"));
            }
            ids.push(id);
        }
        self.push(Kind::Union(ids), Attributes::new(), at)
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        at: &Location,
    ) -> Result<NodeId, AvroError> {
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            // Not by the letter, but several libraries write and read it: a type wrapped in another
            // object, whose attributes are the type's own.
            Some(inner @ (Value::Object(_) | Value::Array(_))) => {
                let known = self.nodes.len();
                let id = self.schema(inner, namespace, &at.child("type"))?;
                // Neither a union nor the mere name of a type has attributes.
                let made_here = self
                    .nodes
                    .get_mut(id.0 as usize)
                    .filter(|_| id.0 as usize >= known);
                if let Some(node) = made_here.filter(|node| !matches!(node.kind, Kind::Union(_))) {
                    for (key, value) in attributes(object, &["type"]) {
                        node.attributes.entry(key).or_insert(value);
                    }
                }
                return Ok(id);
            }
            Some(other) => return at.fail(format!("type is {other}, not the name of one")),
            None => return at.fail("there is no type"),
        };
        match kind {
            "record" | "error" => self.record(object, kind == "error", namespace, at),
            "enum" => self.enumeration(object, namespace, at),
            "fixed" => self.fixed(object, namespace, at),
            "array" | "map" => {
                let key = if kind == "array" { "items" } else { "values" };
                let Some(inner) = object.get(key) else {
                    return at.fail(format!("{kind} without {key}"));
                };
                let inner = self.schema(inner, namespace, &at.child(key))?;
                let made = if kind == "array" {
                    Kind::Array(inner)
                } else {
                    Kind::Map(inner)
                };
                self.push(made, attributes(object, &["type", key]), at)
            }
            name => match Kind::primitive(name) {
                Some(primitive) => self.push(primitive, attributes(object, &["type"]), at),
                None => self.by_name(name, namespace, at),
            },
        }
    }

    fn record(
        &mut self,
        object: &Map<String, Value>,
        error: bool,
        namespace: &str,
        at: &Location,
    ) -> Result<NodeId, AvroError> {
        let named = named(object, namespace, at)?;
        let namespace = named.name.namespace.clone();
        let Some(Value::Array(list)) = object.get("fields") else {
            return at.fail(format!("record {} without a list of fields", named.name));
        };
        // The name is known before the fields are read, so that they may use it.
        let rest = attributes(
            object,
            &["type", "name", "namespace", "aliases", "doc", "fields"],
        );
        let name = named.name.clone();
        let id = self.push(
            Kind::Record {
                named,
                error,
                fields: Vec::new(),
            },
            rest,
            at,
        )?;
        self.define(name, id, at)?;

        let mut fields = Vec::with_capacity(list.len().min(1024));
        let mut seen = HashSet::new();
        for (position, field) in list.iter().enumerate() {
            let at = at.child("fields").child(position);
            let field = self.field(field, &namespace, &at)?;
            if !seen.insert(field.name.clone()) {
                return at.fail(format!("field {} is there twice", field.name));
            }
            fields.push(field);
        }
        if let Some(Node {
            kind: Kind::Record { fields: place, .. },
            ..
        }) = self.nodes.get_mut(id.0 as usize)
        {
            *place = fields;
        }
        Ok(id)
    }

    fn field(&mut self, json: &Value, namespace: &str, at: &Location) -> Result<Field, AvroError> {
        let Value::Object(object) = json else {
            return at.fail("a field is an object");
        };
        let name = text(object, "name", at)?
            .ok_or_else(|| missing("name", at))?
            .to_owned();
        check_name(&name).or_else(|why| at.fail(why))?;
        let schema = object.get("type").ok_or_else(|| missing("type", at))?;
        let schema = self.schema(schema, namespace, &at.child("type"))?;
        let order = match text(object, "order", at)? {
            None | Some("ascending") => Order::Ascending,
            Some("descending") => Order::Descending,
            Some("ignore") => Order::Ignore,
            Some(other) => return at.fail(format!("order {other:?}")),
        };
        let known = ["name", "type", "doc", "default", "order", "aliases"];
        Ok(Field {
            name,
            schema,
            doc: doc(object),
            default: object.get("default").cloned(),
            order,
            aliases: strings(object, "aliases", at)?.unwrap_or_default(),
            attributes: attributes(object, &known),
        })
    }

    fn enumeration(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        at: &Location,
    ) -> Result<NodeId, AvroError> {
        let named = named(object, namespace, at)?;
        let symbols = strings(object, "symbols", at)?.ok_or_else(|| missing("symbols", at))?;
        let mut seen = HashSet::new();
        for symbol in &symbols {
            check_name(symbol).or_else(|why| at.fail(why))?;
            if !seen.insert(symbol) {
                return at.fail(format!("symbol {symbol} is there twice"));
            }
        }
        let default = text(object, "default", at)?.map(str::to_owned);
        if let Some(default) = default
            .as_ref()
            .filter(|default| !symbols.contains(default))
        {
            return at.fail(format!("the default {default:?} isn't one of the symbols"));
        }
        let known = [
            "type",
            "name",
            "namespace",
            "aliases",
            "doc",
            "symbols",
            "default",
        ];
        let rest = attributes(object, &known);
        let name = named.name.clone();
        let id = self.push(
            Kind::Enum {
                named,
                symbols,
                default,
            },
            rest,
            at,
        )?;
        self.define(name, id, at)?;
        Ok(id)
    }

    fn fixed(
        &mut self,
        object: &Map<String, Value>,
        namespace: &str,
        at: &Location,
    ) -> Result<NodeId, AvroError> {
        let named = named(object, namespace, at)?;
        let size = object
            .get("size")
            .and_then(Value::as_u64)
            .filter(|size| *size <= i32::MAX as u64);
        let Some(size) = size else {
            return at.fail("fixed without a size from 0 to 2147483647");
        };
        let rest = attributes(
            object,
            &["type", "name", "namespace", "aliases", "doc", "size"],
        );
        let name = named.name.clone();
        let id = self.push(Kind::Fixed { named, size }, rest, at)?;
        self.define(name, id, at)?;
        Ok(id)
    }

    fn define(&mut self, name: FullName, id: NodeId, at: &Location) -> Result<(), AvroError> {
        if name.namespace.is_empty() && Kind::primitive(&name.name).is_some() {
            return at.fail(format!("{name} is the name of a primitive type"));
        }
        match self.names.insert(name.clone(), id) {
            None => Ok(()),
            Some(_) => at.fail(format!("{name} is defined twice")),
        }
    }

    fn push(
        &mut self,
        kind: Kind,
        attributes: Attributes,
        at: &Location,
    ) -> Result<NodeId, AvroError> {
        if self.nodes.len() >= NODES_MAX {
            return at.fail(format!("over {NODES_MAX} types"));
        }
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node { kind, attributes });
        Ok(id)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "only a schema's own parser makes ids, of nodes that are there"
    )]
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

fn check_defaults(node: &Node, checker: &mut DefaultChecker<'_>) -> Result<(), AvroError> {
    let Kind::Record { named, fields, .. } = &node.kind else {
        return Ok(());
    };
    for field in fields {
        let Some(default) = &field.default else {
            continue;
        };
        if !checker.takes(field.schema, default) {
            let at = Location(format!("/{}/{}", named.name, field.name));
            let wanted = checker.wanted(field.schema, default);
            return at.fail(format!("the default {default} isn't {wanted}"));
        }
    }
    Ok(())
}

fn full_name(named: &Named) -> String {
    named.name.to_string()
}

fn named(object: &Map<String, Value>, enclosing: &str, at: &Location) -> Result<Named, AvroError> {
    let name = text(object, "name", at)?.ok_or_else(|| missing("name", at))?;
    let namespace = text(object, "namespace", at)?.unwrap_or(enclosing);
    check_namespace(namespace).or_else(|why| at.fail(why))?;
    let name = FullName::parse(name, namespace).or_else(|why| at.fail(why))?;
    let mut aliases = Vec::new();
    for alias in strings(object, "aliases", at)?.unwrap_or_default() {
        aliases.push(FullName::parse(&alias, &name.namespace).or_else(|why| at.fail(why))?);
    }
    Ok(Named {
        name,
        aliases,
        doc: doc(object),
    })
}

fn missing(what: &str, at: &Location) -> AvroError {
    AvroError::Schema {
        at: at.clone(),
        why: format!("there is no {what}"),
    }
}

/// A text attribute; `null` is as good as none.
fn text<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    at: &Location,
) -> Result<Option<&'a str>, AvroError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => at.fail(format!("{key} is {other}, not a text")),
    }
}

/// Documentation that isn't a text is no documentation; nobody's schema should fail for it.
fn doc(object: &Map<String, Value>) -> Option<String> {
    object.get("doc").and_then(Value::as_str).map(str::to_owned)
}

fn strings(
    object: &Map<String, Value>,
    key: &str,
    at: &Location,
) -> Result<Option<Vec<String>>, AvroError> {
    let list = match object.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => return at.fail(format!("{key} isn't a list")),
    };
    let mut texts = Vec::with_capacity(list.len().min(1024));
    for item in list {
        match item {
            Value::String(text) => texts.push(text.clone()),
            other => return at.fail(format!("{other} in {key} isn't a text")),
        }
    }
    Ok(Some(texts))
}

fn attributes(object: &Map<String, Value>, known: &[&str]) -> Attributes {
    let unknown = object
        .iter()
        .filter(|(key, _)| !known.contains(&key.as_str()));
    unknown
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
