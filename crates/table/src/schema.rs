//! Arrow fields <-> Iceberg columns with stable ids.
//!
//! A table's columns only grow. [`grow`] lays new Arrow fields over the table's current columns by
//! name: known columns keep their ids (and may be promoted), new ones get the next free ids, none
//! is ever dropped. [`write_fields`] gives the Arrow fields back with those ids, which is what the
//! Parquet writer needs.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};
use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type,
};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::{TableConfig, TableError, lineage};

const EXTENSION_NAME: &str = "ARROW:extension:name";
const UUID_EXTENSION: &str = "arrow.uuid";

/// The columns of `current` (none for a new table) grown by `fields`; `None` if they hold them
/// already. Value columns come first, in their order of appearance; lineage columns last.
///
/// `last_column_id` is the highest id the table ever used.
pub(crate) fn grow(
    current: Option<&Schema>,
    last_column_id: i32,
    fields: &Fields,
) -> Result<Option<Schema>, TableError> {
    let mut ids = last_column_id;
    let existing = current
        .map(|schema| schema.as_struct().fields())
        .unwrap_or_default();
    let merged = grow_fields(existing, fields, &mut ids, &mut Path::default())?;
    let (lineage, values): (Vec<_>, Vec<_>) = merged
        .into_iter()
        .partition(|field| lineage::is_lineage(&field.name));
    let columns: Vec<NestedFieldRef> = values.into_iter().chain(lineage).collect();
    if current.is_some() && columns == existing {
        return Ok(None);
    }
    Ok(Some(Schema::builder().with_fields(columns).build()?))
}

/// Whether a table may have so many columns, and so deep within each other. They are counted as Iceberg
/// does, which numbers an array's element and a map's key and value, too.
///
/// # Errors
///
/// [`TableError::Column`] with the first one that is too many or too deep.
pub(crate) fn check_bounds(columns: &Fields, config: &TableConfig) -> Result<(), TableError> {
    let mut bounds = Bounds {
        config,
        columns: 0,
        path: Path::default(),
    };
    bounds.check_all(columns)
}

struct Bounds<'a> {
    config: &'a TableConfig,
    /// Those before.
    columns: usize,
    path: Path,
}

impl Bounds<'_> {
    fn check_all(&mut self, columns: &Fields) -> Result<(), TableError> {
        columns
            .iter()
            .try_for_each(|column| self.check(column.name(), column))
    }

    fn check(&mut self, name: &str, column: &Field) -> Result<(), TableError> {
        self.path.0.push(name.to_owned());
        self.columns += 1;
        let (columns_max, depth_max) = (self.config.columns_max, self.config.column_depth_max);
        if self.columns > columns_max {
            return self.path.refuse(format!(
                "a table has {columns_max} columns at most (table.columns_max)"
            ));
        }
        if self.path.0.len() > depth_max {
            return self.path.refuse(format!(
                "columns lie {depth_max} deep at most (table.column_depth_max)"
            ));
        }
        match column.data_type() {
            DataType::Struct(fields) => self.check_all(fields)?,
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::FixedSizeList(element, _) => self.check("element", element)?,
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(members) => self.check_all(members)?,
                _ => self.check("entries", entries)?,
            },
            _ => {}
        }
        self.path.0.pop();
        Ok(())
    }
}

/// `fields` as the Parquet writer needs them: same types, field ids of `schema` at every level,
/// and the names that the Parquet format gives to list and map members.
pub(crate) fn write_fields(schema: &Schema, fields: &Fields) -> Result<Fields, TableError> {
    with_ids(schema.as_struct(), fields, &mut Path::default())
}

/// Dotted path of the column at hand, for errors.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn within<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Self) -> Result<T, TableError>,
    ) -> Result<T, TableError> {
        self.0.push(name.to_owned());
        let done = work(self);
        self.0.pop();
        done
    }

    fn refuse<T>(&self, why: impl Into<String>) -> Result<T, TableError> {
        Err(TableError::Column {
            path: self.0.join("."),
            why: why.into(),
        })
    }
}

fn grow_fields(
    existing: &[NestedFieldRef],
    fields: &Fields,
    ids: &mut i32,
    path: &mut Path,
) -> Result<Vec<NestedFieldRef>, TableError> {
    let (mut columns, mut new) = (existing.to_vec(), Vec::new());
    let mut by_name: HashMap<&str, &mut NestedFieldRef> = existing
        .iter()
        .zip(&mut columns)
        .map(|(field, column)| (field.name.as_str(), column))
        .collect();
    for field in fields {
        path.within(field.name(), |path| {
            match by_name.get_mut(field.name().as_str()) {
                Some(column) => {
                    let grown = grow_type(Some(&column.field_type), field, ids, path)?;
                    if grown != *column.field_type {
                        let mut promoted = NestedField::clone(column);
                        promoted.field_type = Box::new(grown);
                        **column = Arc::new(promoted);
                    }
                }
                None => {
                    *ids += 1;
                    let id = *ids;
                    let grown = grow_type(None, field, ids, path)?;
                    let required = !field.is_nullable() && existing.is_empty();
                    new.push(NestedField::new(id, field.name(), grown, required).into());
                }
            }
            Ok(())
        })?;
    }
    columns.extend(new);
    Ok(columns)
}

fn grow_type(
    existing: Option<&Type>,
    field: &Field,
    ids: &mut i32,
    path: &mut Path,
) -> Result<Type, TableError> {
    match (field.data_type(), existing) {
        (DataType::Struct(fields), None) => Ok(Type::Struct(StructType::new(grow_fields(
            &[],
            fields,
            ids,
            path,
        )?))),
        (DataType::Struct(fields), Some(Type::Struct(columns))) => Ok(Type::Struct(
            StructType::new(grow_fields(columns.fields(), fields, ids, path)?),
        )),
        (DataType::List(element) | DataType::LargeList(element), None) => {
            *ids += 1;
            let id = *ids;
            let grown = path.within("element", |path| grow_type(None, element, ids, path))?;
            let column = NestedField::list_element(id, grown, !element.is_nullable());
            Ok(Type::List(ListType::new(column.into())))
        }
        (DataType::List(element) | DataType::LargeList(element), Some(Type::List(list))) => {
            let mut column = NestedField::clone(&list.element_field);
            *column.field_type = path.within("element", |path| {
                grow_type(Some(&list.element_field.field_type), element, ids, path)
            })?;
            Ok(Type::List(ListType::new(column.into())))
        }
        (DataType::Map(entries, _), _) => grow_map(existing, entries, ids, path),
        (_, None) => Ok(Type::Primitive(primitive(field, path)?)),
        (_, Some(Type::Primitive(column))) => {
            let incoming = primitive(field, path)?;
            match wider(column, &incoming) {
                Some(wider) => Ok(Type::Primitive(wider)),
                None => path.refuse(format!(
                    "the table has {column}, the records have {incoming}"
                )),
            }
        }
        (incoming, Some(column)) => path.refuse(format!(
            "the table has {column}, the records have {incoming}"
        )),
    }
}

fn grow_map(
    existing: Option<&Type>,
    entries: &Field,
    ids: &mut i32,
    path: &mut Path,
) -> Result<Type, TableError> {
    let (key, value) = match entries.data_type() {
        DataType::Struct(members) => match members.as_ref() {
            [key, value] => (key, value),
            others => return path.refuse(format!("a map entry of {} members", others.len())),
        },
        other => return path.refuse(format!("a map of {other}")),
    };
    let (mut key_column, mut value_column) = match existing {
        Some(Type::Map(map)) => (
            NestedField::clone(&map.key_field),
            NestedField::clone(&map.value_field),
        ),
        Some(other) => {
            return path.refuse(format!("the table has {other}, the records have a map"));
        }
        None => {
            let unset = || Type::Primitive(PrimitiveType::Boolean);
            *ids += 2;
            (
                NestedField::map_key_element(*ids - 1, unset()),
                NestedField::map_value_element(*ids, unset(), !value.is_nullable()),
            )
        }
    };
    let known = existing.is_some();
    *key_column.field_type = path.within("key", |path| {
        grow_type(
            known.then_some(key_column.field_type.as_ref()),
            key,
            ids,
            path,
        )
    })?;
    *value_column.field_type = path.within("value", |path| {
        grow_type(
            known.then_some(value_column.field_type.as_ref()),
            value,
            ids,
            path,
        )
    })?;
    Ok(Type::Map(MapType::new(
        key_column.into(),
        value_column.into(),
    )))
}

fn primitive(field: &Field, path: &Path) -> Result<PrimitiveType, TableError> {
    Ok(match field.data_type() {
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int32 => PrimitiveType::Int,
        DataType::Int64 => PrimitiveType::Long,
        DataType::Float32 => PrimitiveType::Float,
        DataType::Float64 => PrimitiveType::Double,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => PrimitiveType::String,
        DataType::Dictionary(_, values) => {
            return primitive(
                &Field::new(field.name(), values.as_ref().clone(), true),
                path,
            );
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => PrimitiveType::Binary,
        DataType::FixedSizeBinary(16) if is_uuid(field) => PrimitiveType::Uuid,
        DataType::FixedSizeBinary(size) if *size > 0 => PrimitiveType::Fixed(*size as u64),
        DataType::Date32 => PrimitiveType::Date,
        DataType::Time64(TimeUnit::Microsecond) => PrimitiveType::Time,
        DataType::Timestamp(TimeUnit::Microsecond, None) => PrimitiveType::Timestamp,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => PrimitiveType::Timestamptz,
        DataType::Decimal128(precision, scale) if (0..=*precision as i8).contains(scale) => {
            PrimitiveType::Decimal {
                precision: u32::from(*precision),
                scale: *scale as u32,
            }
        }
        other => return path.refuse(format!("an Iceberg table can't hold {other}")),
    })
}

fn is_uuid(field: &Field) -> bool {
    field
        .metadata()
        .get(EXTENSION_NAME)
        .is_some_and(|name| name == UUID_EXTENSION)
}

/// The type that holds the values of a table's column `a` and of new records' `b`, by the
/// promotions Iceberg v2 allows.
fn wider(a: &PrimitiveType, b: &PrimitiveType) -> Option<PrimitiveType> {
    use PrimitiveType::{Decimal, Double, Fixed, Float, Int, Long, Uuid};
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (Int, Long) | (Long, Int) => Some(Long),
        (Float, Double) | (Double, Float) => Some(Double),
        (
            Decimal {
                precision: p,
                scale: s,
            },
            Decimal {
                precision: q,
                scale: t,
            },
        ) if s == t => Some(Decimal {
            precision: *p.max(q),
            scale: *s,
        }),
        // The same 16 bytes under two names: the table's stays.
        (Uuid, Fixed(16)) | (Fixed(16), Uuid) => Some(a.clone()),
        _ => None,
    }
}

fn with_ids(columns: &StructType, fields: &Fields, path: &mut Path) -> Result<Fields, TableError> {
    fields
        .iter()
        .map(|field| {
            path.within(field.name(), |path| {
                let Some(column) = columns.field_by_name(field.name()) else {
                    return path.refuse("the table has no such column");
                };
                Ok(Arc::new(with_id(column, field.name(), field, path)?))
            })
        })
        .collect()
}

fn with_id(
    column: &NestedField,
    name: &str,
    field: &Field,
    path: &mut Path,
) -> Result<Field, TableError> {
    let data_type = match (field.data_type(), column.field_type.as_ref()) {
        (DataType::Struct(fields), Type::Struct(columns)) => {
            DataType::Struct(with_ids(columns, fields, path)?)
        }
        (DataType::List(element), Type::List(list)) => {
            DataType::List(with_id(&list.element_field, "element", element, path)?.into())
        }
        (DataType::LargeList(element), Type::List(list)) => {
            DataType::LargeList(with_id(&list.element_field, "element", element, path)?.into())
        }
        (DataType::Map(entries, sorted), Type::Map(map)) => {
            let DataType::Struct(members) = entries.data_type() else {
                return path.refuse("a map without entries");
            };
            let [key, value] = members.as_ref() else {
                return path.refuse(format!("a map entry of {} members", members.len()));
            };
            let members: [FieldRef; 2] = [
                with_id(&map.key_field, "key", key, path)?.into(),
                with_id(&map.value_field, "value", value, path)?.into(),
            ];
            let entries = Field::new(
                "key_value",
                DataType::Struct(members.into_iter().collect()),
                false,
            );
            DataType::Map(entries.into(), *sorted)
        }
        (other, Type::Primitive(_)) if !other.is_nested() => other.clone(),
        (other, column) => {
            return path.refuse(format!("the table has {column}, the records have {other}"));
        }
    };
    let mut metadata =
        HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), column.id.to_string())]);
    if *column.field_type == Type::Primitive(PrimitiveType::Uuid) {
        metadata.insert(EXTENSION_NAME.to_owned(), UUID_EXTENSION.to_owned());
    }
    Ok(Field::new(name, data_type, field.is_nullable()).with_metadata(metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, data_type: DataType) -> Field {
        Field::new(name, data_type, true)
    }

    fn ids(schema: &Schema) -> Vec<(String, i32)> {
        let mut ids: Vec<_> = schema
            .field_id_to_name_map()
            .iter()
            .map(|(id, name)| (name.clone(), *id))
            .collect();
        ids.sort_by_key(|(_, id)| *id);
        ids
    }

    fn people(extra: bool) -> Fields {
        let mut person = vec![field("name", DataType::Utf8)];
        if extra {
            person.push(field("age", DataType::Int32));
        }
        let person = DataType::Struct(person.into());
        let mut fields = vec![
            field(
                "n",
                if extra {
                    DataType::Int64
                } else {
                    DataType::Int32
                },
            ),
            field(
                "people",
                DataType::List(field("item", person.clone()).into()),
            ),
        ];
        if extra {
            let entries = DataType::Struct(
                vec![
                    Field::new("keys", DataType::Utf8, false),
                    field("values", person),
                ]
                .into(),
            );
            fields.push(field(
                "by_name",
                DataType::Map(Field::new("entries", entries, false).into(), false),
            ));
        }
        fields.extend(lineage::fields().iter().map(|field| field.as_ref().clone()));
        fields.into()
    }

    #[test]
    fn ids_stay_as_columns_grow() {
        let first = grow(None, 0, &people(false)).unwrap().unwrap();
        let last = first.highest_field_id();
        assert!(grow(Some(&first), last, &people(false)).unwrap().is_none());
        let second = grow(Some(&first), last, &people(true)).unwrap().unwrap();
        let (before, after) = (ids(&first), ids(&second));
        for column in &before {
            assert!(after.contains(column), "{column:?} moved: {after:?}");
        }
        assert!(
            after
                .iter()
                .filter(|c| !before.contains(c))
                .all(|(_, id)| *id > last)
        );
        let n = second.field_by_name("n").unwrap();
        assert_eq!(*n.field_type, Type::Primitive(PrimitiveType::Long));
        // A writer that still has the old fields doesn't shrink the table.
        assert!(
            grow(Some(&second), second.highest_field_id(), &people(false))
                .unwrap()
                .is_none()
        );
        let names: Vec<_> = second
            .as_struct()
            .fields()
            .iter()
            .map(|f| f.name.as_str())
            .collect();
        assert_eq!(names[..3], ["n", "people", "by_name"]);
        assert!(lineage::is_lineage(names[3]));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_path() {
        let first = grow(None, 0, &people(false)).unwrap().unwrap();
        let people = DataType::List(field("item", DataType::Utf8).into());
        let error = grow(Some(&first), 99, &vec![field("people", people)].into()).unwrap_err();
        let TableError::Column { path, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(path, "people.element");
        let unsigned = Fields::from(vec![field("u", DataType::UInt64)]);
        assert!(grow(None, 0, &unsigned).is_err());
    }

    #[test]
    fn written_fields_carry_ids_and_parquet_names() {
        let fields = people(true);
        let schema = grow(None, 0, &fields).unwrap().unwrap();
        let written = write_fields(&schema, &fields).unwrap();
        for (written, field) in written.iter().zip(&fields) {
            assert_eq!(written.name(), field.name());
            assert!(written.data_type().equals_datatype(field.data_type()));
            let id = &written.metadata()[PARQUET_FIELD_ID_META_KEY];
            assert_eq!(
                schema.field_id_by_name(field.name()).unwrap().to_string(),
                *id
            );
        }
        let DataType::Map(entries, _) = written[2].data_type() else {
            panic!()
        };
        assert_eq!(entries.name(), "key_value");
    }
}
