//! Fields are known by their numbers: a writer's names give way to the table's.

use std::collections::{HashMap, HashSet};

use crate::avro::{Kind, RecordType, Schema, Type, TypeId, grow};

/// `writer` with its fields called as `table` calls those of the same numbers.
pub(super) fn align(writer: &Schema, table: &Schema) -> Schema {
    let mut aligning = Aligning {
        writer,
        table,
        types: Vec::new(),
        done: HashMap::new(),
    };
    let root = aligning.copy(writer.root(), Some(table.root()));
    Schema::new(aligning.types, root)
}

struct Aligning<'a> {
    writer: &'a Schema,
    table: &'a Schema,
    types: Vec<Type>,
    /// A message may be in several places, and have other names in each.
    done: HashMap<(TypeId, Option<TypeId>), TypeId>,
}

impl Aligning<'_> {
    /// Copies a writer's type that meets one of the table's, or none.
    fn copy(&mut self, w: TypeId, t: Option<TypeId>) -> TypeId {
        // A record and its union with null meet the same type.
        let t = t.map(|t| self.table.optional(t).unwrap_or(t));
        if let Some(&id) = self.done.get(&(w, t)) {
            return id;
        }
        let ty = self.writer.ty(w);
        let kind = match &ty.kind {
            Kind::Array(items) => {
                let t = t.and_then(|t| match *self.table.kind_of(t) {
                    Kind::Array(items) => Some(items),
                    _ => None,
                });
                Kind::Array(self.copy(*items, t))
            }
            Kind::Map(values) => {
                let t = t.and_then(|t| match *self.table.kind_of(t) {
                    Kind::Map(values) => Some(values),
                    _ => None,
                });
                Kind::Map(self.copy(*values, t))
            }
            Kind::Union(members) => {
                Kind::Union(members.iter().map(|&member| self.copy(member, t)).collect())
            }
            Kind::Record(record) => Kind::Record(self.record(record, t)),
            plain => plain.clone(),
        };
        self.types.push(Type {
            kind,
            logical: ty.logical,
        });
        let id = self.types.len() - 1;
        self.done.insert((w, t), id);
        id
    }

    fn record(&mut self, record: &RecordType, t: Option<TypeId>) -> RecordType {
        let table = t.and_then(|t| match self.table.kind_of(t) {
            Kind::Record(table) => Some(table),
            _ => None,
        });
        let Some(table) = table else {
            let mut fields = record.fields.clone();
            for field in &mut fields {
                field.ty = self.copy(field.ty, None);
            }
            return RecordType {
                name: record.name.clone(),
                fields,
            };
        };
        let mut fields = record.fields.clone();
        let mut partners = vec![None; fields.len()];
        let mut taken = HashSet::new();
        for (field, partner) in fields.iter_mut().zip(&mut partners) {
            let same = table.fields.iter().find(|f| f.number == field.number);
            if let Some(same) = same
                && (same.name == field.name || self.meets(same.ty, field.ty))
            {
                field.name.clone_from(&same.name);
                *partner = Some(same.ty);
                taken.insert(field.name.clone());
            }
        }
        for (field, partner) in fields.iter_mut().zip(&mut partners) {
            if partner.is_some() {
                continue;
            }
            let number = field.number.unwrap_or_default();
            let namesake = table.fields.iter().find(|f| f.name == field.name);
            match namesake {
                // It came with another format, which has no numbers.
                Some(same) if same.number.is_none() && !taken.contains(&field.name) => {
                    *partner = Some(same.ty);
                }
                None if !taken.contains(&field.name) => {}
                _ => {
                    let free = |name: &String| {
                        !taken.contains(name) && table.fields.iter().all(|f| f.name != *name)
                    };
                    let mut name = format!("{}_{number}", field.name);
                    while !free(&name) {
                        name.push('_');
                    }
                    field.name = name;
                }
            }
            taken.insert(field.name.clone());
        }
        for (field, partner) in fields.iter_mut().zip(partners) {
            field.ty = self.copy(field.ty, partner);
        }
        RecordType {
            name: record.name.clone(),
            fields,
        }
    }

    /// Whether a column could take in the values of a field that has another name: else the number
    /// was used again, for something else. Messages always meet: theirs are fields of their own.
    fn meets(&self, t: TypeId, w: TypeId) -> bool {
        let (table, writer) = (self.table.at(t), self.writer.at(w));
        let record = |schema: &Schema| {
            let id = schema.root();
            let id = schema.optional(id).unwrap_or(id);
            matches!(schema.kind_of(id), Kind::Record(_))
        };
        (record(&table) && record(&writer)) || grow(Some(&table), &writer).is_ok()
    }
}
