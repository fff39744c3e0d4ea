//! A parsed schema to the one text that all its spellings share.
//!
//! The order of attributes is the Java library's: type, name, namespace, doc, then what the type is
//! made of, then other attributes, then aliases. Unlike it, other attributes are sorted, so that
//! their order doesn't make two schemas of one.

use std::collections::HashSet;

use serde_json::Value;

use super::name::FullName;
use super::{Attributes, AvroSchema, Field, Kind, Named, NodeId, Order};

/// Writes the schema without white space. Names that a reference defines stay names.
pub(crate) fn render(schema: &AvroSchema) -> String {
    write(schema, false).out
}

/// How deep types may be written within types: writing follows them down, on the stack. A text that is read
/// can't nest so deep, but what it names, and what that names, can.
const DEPTH_MAX: usize = 512;

/// Writes the schema with the types of its references defined where they are first used, so that it
/// stands alone; nothing if that would nest too deep.
pub(crate) fn render_resolved(schema: &AvroSchema) -> Option<String> {
    let writer = write(schema, true);
    (!writer.is_cut).then_some(writer.out)
}

fn write(schema: &AvroSchema, resolved: bool) -> Writer<'_> {
    let names = schema
        .nodes
        .iter()
        .filter_map(|node| node.kind.named())
        .map(|named| &named.name);
    let names = names.collect();
    let mut writer = Writer {
        schema,
        resolved,
        names,
        defined: HashSet::new(),
        depth: 0,
        is_cut: false,
        out: String::new(),
    };
    writer.node(schema.root, "");
    writer
}

struct Writer<'a> {
    schema: &'a AvroSchema,
    /// Whether types of references are written out.
    resolved: bool,
    /// Every name there is.
    names: HashSet<&'a FullName>,
    /// The types whose definition is written.
    defined: HashSet<NodeId>,
    depth: usize,
    /// Whether something was left out for its depth.
    is_cut: bool,
    out: String,
}

impl Writer<'_> {
    fn node(&mut self, id: NodeId, namespace: &str) {
        if self.depth == DEPTH_MAX {
            self.is_cut = true;
            return;
        }
        self.depth += 1;
        self.define(id, namespace);
        self.depth -= 1;
    }

    fn define(&mut self, id: NodeId, namespace: &str) {
        let schema = self.schema;
        let node = schema.node(id);
        if let Some(named) = node.kind.named() {
            let foreign = schema.is_foreign(id) && !self.resolved;
            if foreign || !self.defined.insert(id) {
                return self.reference(&named.name, namespace);
            }
        }
        match &node.kind {
            Kind::Union(branches) => {
                self.out.push('[');
                for (at, branch) in branches.iter().enumerate() {
                    self.comma(at);
                    self.node(*branch, namespace);
                }
                self.out.push(']');
            }
            Kind::Array(inner) | Kind::Map(inner) => {
                let key = if matches!(node.kind, Kind::Array(_)) {
                    "items"
                } else {
                    "values"
                };
                self.start(node.kind.name());
                self.key(key);
                self.node(*inner, namespace);
                self.end(&node.attributes);
            }
            Kind::Fixed { named, size } => {
                self.start_named(node.kind.name(), named, namespace);
                self.key("size");
                self.out.push_str(&size.to_string());
                self.end_named(&node.attributes, named);
            }
            Kind::Enum {
                named,
                symbols,
                default,
            } => {
                self.start_named(node.kind.name(), named, namespace);
                self.key("symbols");
                self.texts(symbols.iter().map(String::as_str));
                if let Some(default) = default {
                    self.key("default");
                    self.text(default);
                }
                self.end_named(&node.attributes, named);
            }
            Kind::Record { named, fields, .. } => {
                self.start_named(node.kind.name(), named, namespace);
                self.key("fields");
                self.out.push('[');
                for (at, field) in fields.iter().enumerate() {
                    self.comma(at);
                    self.field(field, &named.name.namespace);
                }
                self.out.push(']');
                self.end_named(&node.attributes, named);
            }
            primitive if node.attributes.is_empty() => self.text(primitive.name()),
            primitive => {
                self.start(primitive.name());
                self.end(&node.attributes);
            }
        }
    }

    /// The shortest spelling that means the name where `namespace` encloses it.
    fn reference(&mut self, name: &FullName, namespace: &str) {
        // A plain name is looked for in the enclosing namespace before the null one.
        let shadow = FullName {
            namespace: namespace.to_owned(),
            name: name.name.clone(),
        };
        if name.namespace.is_empty() && *name != shadow && self.names.contains(&shadow) {
            self.text(&format!(".{}", name.name));
        } else {
            self.text(&name.within(namespace));
        }
    }

    fn field(&mut self, field: &Field, namespace: &str) {
        self.out.push_str("{\"name\":");
        self.text(&field.name);
        self.key("type");
        self.node(field.schema, namespace);
        if let Some(doc) = &field.doc {
            self.key("doc");
            self.text(doc);
        }
        if let Some(default) = &field.default {
            self.key("default");
            self.json(default);
        }
        if field.order != Order::Ascending {
            self.key("order");
            self.text(if field.order == Order::Descending {
                "descending"
            } else {
                "ignore"
            });
        }
        if !field.aliases.is_empty() {
            self.key("aliases");
            self.texts(field.aliases.iter().map(String::as_str));
        }
        self.end(&field.attributes);
    }

    fn start(&mut self, kind: &str) {
        self.out.push_str("{\"type\":");
        self.text(kind);
    }

    fn start_named(&mut self, kind: &str, named: &Named, enclosing: &str) {
        self.start(kind);
        self.key("name");
        self.text(&named.name.name);
        if named.name.namespace != enclosing {
            self.key("namespace");
            self.text(&named.name.namespace);
        }
        if let Some(doc) = &named.doc {
            self.key("doc");
            self.text(doc);
        }
    }

    fn end(&mut self, attributes: &Attributes) {
        for (key, value) in attributes {
            self.key(key);
            self.json(value);
        }
        self.out.push('}');
    }

    fn end_named(&mut self, attributes: &Attributes, named: &Named) {
        for (key, value) in attributes {
            self.key(key);
            self.json(value);
        }
        if !named.aliases.is_empty() {
            self.key("aliases");
            let namespace = &named.name.namespace;
            // An alias without a dot is of the type's namespace, even if that is not the null one.
            let spelling = |alias: &FullName| match alias.namespace.is_empty() {
                true if !namespace.is_empty() => format!(".{}", alias.name),
                true => alias.name.clone(),
                false if alias.namespace == *namespace => alias.name.clone(),
                false => alias.to_string(),
            };
            let aliases: Vec<_> = named.aliases.iter().map(spelling).collect();
            self.texts(aliases.iter().map(String::as_str));
        }
        self.out.push('}');
    }

    fn texts<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        self.out.push('[');
        for (at, text) in texts.enumerate() {
            self.comma(at);
            self.text(text);
        }
        self.out.push(']');
    }

    fn key(&mut self, key: &str) {
        self.out.push(',');
        self.text(key);
        self.out.push(':');
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.out.push(',');
        }
    }

    fn text(&mut self, text: &str) {
        self.json(&Value::from(text));
    }

    fn json(&mut self, value: &Value) {
        self.out.push_str(&value.to_string());
    }
}
