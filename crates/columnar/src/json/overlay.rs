//! What a table's schema lacks for the records that were seen, and the schema that has it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::avro::{Field, Kind, Name, RecordType, Schema, Type, TypeId};

use super::Limits;
use super::fault::Stop;
use super::lexer::Lexer;
use super::names::{Role, Taken};
use super::plan::{Node, NodeId, Plan};
use super::shape::{Budget, Members, Shape};

/// Additions to a schema's records. Records and fields are those of the [`Plan`].
#[derive(Debug)]
pub(crate) struct Overlay {
    /// Members without a column.
    members: BTreeMap<usize, Members>,
    /// Fields that met values they can't hold.
    texts: BTreeSet<(usize, usize)>,
    /// Fields that weren't there and must be able not to be.
    optional: BTreeSet<(usize, usize)>,
    /// Records that weren't objects.
    bare: BTreeSet<usize>,
    /// How deep each record is nested, and how many fields it has.
    records: Vec<(usize, usize)>,
    columns_max: usize,
    budget: Budget,
}

impl Overlay {
    pub(crate) fn new(plan: &Plan, limits: &Limits) -> Self {
        let mut records = vec![(usize::MAX, 0); plan.records.len()];
        measure(plan, plan.root, 0, &mut records);
        let columns: usize = records.iter().map(|(_, fields)| fields).sum();
        Self {
            members: BTreeMap::new(),
            texts: BTreeSet::new(),
            optional: BTreeSet::new(),
            bare: BTreeSet::new(),
            records,
            columns_max: limits.columns_max,
            budget: Budget {
                columns: limits.columns_max.saturating_sub(columns),
                struct_columns_max: limits.struct_columns_max,
                depth_max: limits.depth_max,
            },
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let nothing = |m: &Members| !m.rest && !m.list.iter().any(|(_, shape)| shape.is_known());
        self.texts.is_empty()
            && self.optional.is_empty()
            && self.bare.is_empty()
            && self.members.values().all(nothing)
    }

    /// The member of a record that the lexer is at has no column.
    pub(crate) fn member(
        &mut self,
        record: usize,
        key: &str,
        lexer: &mut Lexer<'_>,
    ) -> Result<(), Stop> {
        let (depth, fields) = self.records[record];
        let most = if depth == 0 {
            self.columns_max
        } else {
            self.budget.struct_columns_max
        };
        let members = self.members.entry(record).or_default();
        match members.member(key, fields, most, &mut self.budget) {
            Some(shape) => shape.see(lexer, depth + 1, &mut self.budget),
            None => lexer.skip().map(drop),
        }
    }

    pub(crate) fn text(&mut self, record: usize, field: usize) {
        self.texts.insert((record, field));
    }

    pub(crate) fn optional(&mut self, record: usize, field: usize) {
        self.optional.insert((record, field));
    }

    pub(crate) fn bare(&mut self, record: usize) {
        self.bare.insert(record);
    }

    /// `schema`, from which `plan` was made, with the additions.
    pub(crate) fn schema(&self, schema: &Schema, plan: &Plan) -> Schema {
        let mut builder = Builder {
            overlay: self,
            schema,
            plan,
            records: plan
                .records
                .iter()
                .zip(0..)
                .map(|(r, i)| (r.ty, i))
                .collect(),
            types: Vec::new(),
            copied: HashMap::new(),
        };
        let root = builder.copy(schema.root());
        Schema::new(builder.types, root)
    }
}

/// Notes how many objects and arrays each record is in, and its fields.
fn measure(plan: &Plan, node: NodeId, depth: usize, records: &mut [(usize, usize)]) {
    match &plan.nodes[node] {
        &Node::Record(index) => {
            let fields = plan.records[index].fields.as_slice();
            if records[index].0 <= depth {
                return;
            }
            records[index] = (depth, fields.len());
            for field in fields {
                measure(plan, field.node, depth + 1, records);
            }
        }
        &Node::Array(inner) | &Node::Map(inner) => measure(plan, inner, depth + 1, records),
        &Node::Optional { value, .. } => measure(plan, value, depth, records),
        Node::Union(members) => {
            for &member in members {
                measure(plan, member, depth, records);
            }
        }
        _ => {}
    }
}

struct Builder<'a> {
    overlay: &'a Overlay,
    schema: &'a Schema,
    plan: &'a Plan,
    records: HashMap<TypeId, usize>,
    types: Vec<Type>,
    copied: HashMap<TypeId, TypeId>,
}

impl Builder<'_> {
    fn push(&mut self, kind: Kind) -> TypeId {
        self.types.push(Type {
            kind,
            logical: None,
        });
        self.types.len() - 1
    }

    fn copy(&mut self, id: TypeId) -> TypeId {
        if let Some(&done) = self.copied.get(&id) {
            return done;
        }
        let ty = self.schema.ty(id);
        let new = self.types.len();
        self.types.push(ty.clone());
        self.copied.insert(id, new);
        let kind = match &ty.kind {
            Kind::Array(items) => Kind::Array(self.copy(*items)),
            Kind::Map(values) => Kind::Map(self.copy(*values)),
            Kind::Union(members) => Kind::Union(members.iter().map(|&m| self.copy(m)).collect()),
            Kind::Record(record) => Kind::Record(self.record(id, record)),
            plain => plain.clone(),
        };
        self.types[new].kind = kind;
        new
    }

    fn record(&mut self, id: TypeId, record: &RecordType) -> RecordType {
        let index = self.records.get(&id).copied().unwrap_or(usize::MAX);
        let overlay = self.overlay;
        let mut taken = Taken::default();
        let mut fields = Vec::with_capacity(record.fields.len());
        for (i, field) in record.fields.iter().enumerate() {
            taken.add(&field.name);
            let mut field = Field {
                ty: self.copy(field.ty),
                ..field.clone()
            };
            let at = (index, i);
            if overlay.texts.contains(&at) || overlay.optional.contains(&at) {
                self.make_optional(&mut field);
            }
            fields.push(field);
        }
        let members = overlay.members.get(&index);
        self.members(members, &record.name.full, &mut taken, &mut fields);
        for &(_, i) in overlay.texts.range((index, 0)..=(index, usize::MAX)) {
            if self.plan.records[index].fields[i].text.is_none()
                && let Some(Role::Member(key)) = record.fields.get(i).map(Role::of)
            {
                fields.push(self.text(Role::TextOf(key), &mut taken));
            }
        }
        if members.is_some_and(|m| m.rest) {
            fields.push(self.text(Role::Rest, &mut taken));
        }
        if overlay.bare.contains(&index) {
            fields.push(self.text(Role::Bare, &mut taken));
        }
        RecordType {
            name: record.name.clone(),
            fields,
        }
    }

    /// Lets a field be null, if it can't be yet.
    fn make_optional(&mut self, field: &mut Field) {
        let members = match &self.types[field.ty].kind {
            Kind::Null => return,
            Kind::Union(members) => members.clone(),
            _ => vec![field.ty],
        };
        let is_null = |&m: &TypeId| matches!(self.types[m].kind, Kind::Null);
        if !members.iter().any(is_null) {
            let null = self.push(Kind::Null);
            // A default is a value of the first member.
            let all = match field.default {
                None => [vec![null], members].concat(),
                Some(_) => [members, vec![null]].concat(),
            };
            field.ty = self.push(Kind::Union(all));
        }
        if field.default.is_none() {
            let first_is_null = match &self.types[field.ty].kind {
                Kind::Union(all) => all
                    .first()
                    .is_some_and(|&m| matches!(self.types[m].kind, Kind::Null)),
                _ => false,
            };
            field.default = first_is_null.then_some(Value::Null);
        }
    }

    fn members(
        &mut self,
        members: Option<&Members>,
        parent: &str,
        taken: &mut Taken,
        fields: &mut Vec<Field>,
    ) {
        for (key, shape) in members.into_iter().flat_map(|m| &m.list) {
            if shape.is_known() {
                let (name, aliases) = Role::Member(key).name(taken);
                let ty = self.shape(shape, &format!("{parent}_{name}"));
                fields.push(self.optional_field(name, aliases, ty));
            }
        }
    }

    fn text(&mut self, role: Role<'_>, taken: &mut Taken) -> Field {
        let (name, aliases) = role.name(taken);
        let ty = self.push(Kind::String);
        self.optional_field(name, aliases, ty)
    }

    fn optional(&mut self, ty: TypeId) -> TypeId {
        let null = self.push(Kind::Null);
        self.push(Kind::Union(vec![null, ty]))
    }

    fn optional_field(&mut self, name: String, aliases: Vec<String>, ty: TypeId) -> Field {
        Field {
            name,
            aliases,
            ty: self.optional(ty),
            default: Some(Value::Null),
            number: None,
        }
    }

    fn shape(&mut self, shape: &Shape, name: &str) -> TypeId {
        let kind = match shape {
            Shape::Unknown => Kind::Null,
            Shape::Boolean => Kind::Boolean,
            Shape::Long { .. } => Kind::Long,
            Shape::Double => Kind::Double,
            Shape::Text => Kind::String,
            Shape::Array(items) => {
                let items = self.shape(items, name);
                Kind::Array(self.optional(items))
            }
            Shape::Struct(members) => {
                let mut taken = Taken::default();
                let mut fields = Vec::new();
                self.members(Some(members), name, &mut taken, &mut fields);
                if members.rest {
                    fields.push(self.text(Role::Rest, &mut taken));
                }
                Kind::Record(RecordType {
                    name: Name {
                        full: name.to_owned(),
                        aliases: Vec::new(),
                    },
                    fields,
                })
            }
        };
        self.push(kind)
    }
}
