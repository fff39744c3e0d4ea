//! Where a reader schema's values are kept while a batch is decoded, and the Arrow types they
//! become: a tree of columns over a flat list of raw stores.

use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray};
use arrow_schema::{
    DataType, Field, Fields, IntervalUnit, SchemaRef, TimeUnit, UnionFields, UnionMode,
};

use crate::avro::{Kind, Logical, Schema, TypeId};
use crate::error::DecoderError;
use crate::options::{Options, Recursion, Types};

/// An index into [`Layout::stores`].
pub(crate) type ColId = usize;
/// Rows that share an index: the batch's rows are space 0, the items of each list a space of
/// their own. Parents come before their children.
pub(crate) type SpaceId = usize;

/// One raw, row-indexed store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// So many bytes a row.
    Fixed(usize),
    /// Where the row's bytes lie in its message; gathered once a strip.
    Slots { utf8: bool },
    /// How many items of `child` the row has.
    List { child: SpaceId },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreSpec {
    pub(crate) store: Store,
    pub(crate) space: SpaceId,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) data_type: DataType,
    /// One byte a row, 1 for a value; only where the column can be null.
    pub(crate) valid: Option<ColId>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    /// Nothing but nulls.
    Null,
    /// One byte a row.
    Bool(ColId),
    /// Fixed-width values, as Arrow stores them.
    Fixed(ColId),
    /// `i32` keys into the reader's symbols.
    Keys {
        col: ColId,
        symbols: ArrayRef,
    },
    /// Text or bytes.
    Slots(ColId),
    /// A value that has no columns of its own, as text.
    Text(ColId),
    /// Children by the reader's field index.
    Struct(Vec<(usize, Column)>),
    /// Months, days and milliseconds.
    Duration([ColId; 3]),
    List {
        list: ColId,
        item: Box<Column>,
    },
    Map {
        list: ColId,
        key: ColId,
        value: Box<Column>,
    },
    /// Members by the reader's member index; `tags` (one byte a row) where Arrow gets a union.
    Union {
        tags: Option<ColId>,
        null: Option<usize>,
        members: Vec<(usize, Column)>,
    },
}

#[derive(Debug)]
pub(crate) struct Layout {
    /// Whether the columns are a record's fields.
    pub(crate) record: bool,
    pub(crate) schema: SchemaRef,
    /// By the reader's field index; a schema that isn't a record is its own field 0.
    pub(crate) columns: Vec<(usize, Column)>,
    pub(crate) stores: Vec<StoreSpec>,
    pub(crate) spaces: usize,
}

/// What a number of the reader's type is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberOut {
    I32,
    I64,
    F32,
    F64,
}

/// How the reader's number type is stored, and in which unit if it counts time.
pub(crate) fn number_out(
    kind: &Kind,
    logical: Option<Logical>,
    profile: Types,
) -> (NumberOut, Option<i64>) {
    let unit = logical
        .and_then(Logical::unit_ns)
        .map(|unit| match profile {
            Types::Arrow => unit,
            Types::Iceberg => unit.min(1_000),
        });
    let out = match (kind, logical, profile) {
        (Kind::Int, Some(Logical::TimeMillis), Types::Iceberg) => NumberOut::I64,
        (Kind::Int, _, _) => NumberOut::I32,
        (Kind::Float, _, _) => NumberOut::F32,
        (Kind::Double, _, _) => NumberOut::F64,
        _ => NumberOut::I64,
    };
    (out, unit)
}

impl Layout {
    pub(crate) fn new(schema: &Schema, options: &Options) -> Result<Self, DecoderError> {
        let mut builder = Builder {
            schema,
            options,
            stores: Vec::new(),
            spaces: 1,
            open: Vec::new(),
            path: Vec::new(),
        };
        let root = schema.root();
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        if let Kind::Record(record) = schema.kind_of(root) {
            builder.open.push(root);
            let all: Vec<usize> = (0..record.fields.len()).collect();
            let wanted = match &options.projection {
                None => all,
                Some(names) => names
                    .iter()
                    .map(|name| {
                        record
                            .fields
                            .iter()
                            .position(|f| f.name == *name)
                            .ok_or_else(|| DecoderError::UnknownColumn(name.clone()))
                    })
                    .collect::<Result<_, _>>()?,
            };
            for index in wanted {
                let field = &record.fields[index];
                if let Some((made, column)) = builder.field(&field.name, field.ty, 0)? {
                    fields.push(made);
                    columns.push((index, column));
                }
            }
        } else {
            if let Some(name) = options.projection.iter().flatten().find(|n| *n != "value") {
                return Err(DecoderError::UnknownColumn(name.clone()));
            }
            if let Some((made, column)) = builder.field("value", root, 0)? {
                fields.push(made);
                columns.push((0, column));
            }
        }
        Ok(Self {
            record: matches!(schema.kind_of(root), Kind::Record(_)),
            schema: Arc::new(arrow_schema::Schema::new(fields)),
            columns,
            stores: builder.stores,
            spaces: builder.spaces,
        })
    }
}

struct Builder<'a> {
    schema: &'a Schema,
    options: &'a Options,
    stores: Vec<StoreSpec>,
    spaces: usize,
    /// Records whose fields are being laid out: meeting one again is recursion.
    open: Vec<TypeId>,
    path: Vec<String>,
}

impl Builder<'_> {
    fn store(&mut self, store: Store, space: SpaceId) -> ColId {
        self.stores.push(StoreSpec { store, space });
        self.stores.len() - 1
    }

    fn iceberg(&self) -> bool {
        self.options.profile == Types::Iceberg
    }

    /// A record's field, unless the profile leaves it out.
    fn field(
        &mut self,
        name: &str,
        ty: TypeId,
        space: SpaceId,
    ) -> Result<Option<(Field, Column)>, DecoderError> {
        if self.iceberg() && self.is_null(ty) {
            return Ok(None);
        }
        self.path.push(name.to_owned());
        let column = self.column(ty, self.options.all_nullable, space)?;
        self.path.pop();
        Ok(Some((self.arrow_field(name, ty, &column), column)))
    }

    fn is_null(&self, ty: TypeId) -> bool {
        match self.schema.kind_of(ty) {
            Kind::Null => true,
            Kind::Union(m) => m
                .iter()
                .all(|&m| matches!(self.schema.kind_of(m), Kind::Null)),
            _ => false,
        }
    }

    fn arrow_field(&self, name: &str, ty: TypeId, column: &Column) -> Field {
        let nullable = column.valid.is_some()
            || matches!(column.body, Body::Null)
            || matches!(&column.body, Body::Union { tags: Some(_), .. } if self.options.all_nullable)
            || matches!(
                &column.body,
                Body::Union {
                    tags: Some(_),
                    null: Some(_),
                    ..
                }
            );
        let field = Field::new(name, column.data_type.clone(), nullable);
        let inner = self.schema.optional(ty).unwrap_or(ty);
        let extension = match (&column.body, self.schema.ty(inner).logical) {
            (Body::Fixed(_), Some(Logical::Uuid)) => Some("arrow.uuid"),
            (Body::Text(_), _) if !self.iceberg() => Some("arrow.json"),
            _ => None,
        };
        match extension {
            Some(extension) => field
                .with_metadata([("ARROW:extension:name".to_owned(), extension.to_owned())].into()),
            None => field,
        }
    }

    fn column(
        &mut self,
        ty: TypeId,
        nullable: bool,
        space: SpaceId,
    ) -> Result<Column, DecoderError> {
        let depth_max = self.options.limits.depth_max;
        if self.path.len() > depth_max {
            return Err(DecoderError::TooDeep {
                path: self.path.join("."),
                depth_max,
            });
        }
        if let Kind::Union(members) = self.schema.kind_of(ty) {
            let rest: Vec<usize> = (0..members.len())
                .filter(|&i| !matches!(self.schema.kind_of(members[i]), Kind::Null))
                .collect();
            let null = rest.len() < members.len();
            return match rest.as_slice() {
                [] => self.value(members[0], true, space),
                &[one] => self.value(members[one], nullable || null, space),
                _ => self.union(members, &rest, nullable || null, space),
            };
        }
        self.value(ty, nullable, space)
    }

    fn union(
        &mut self,
        members: &[TypeId],
        rest: &[usize],
        nullable: bool,
        space: SpaceId,
    ) -> Result<Column, DecoderError> {
        if members.len() > 127 {
            return Err(DecoderError::UnionTooWide {
                path: self.path.join("."),
                members: members.len(),
            });
        }
        let null = (0..members.len()).find(|i| !rest.contains(i));
        let iceberg = self.iceberg();
        let valid = (nullable && iceberg).then(|| self.store(Store::Fixed(1), space));
        let tags = (!iceberg).then(|| self.store(Store::Fixed(1), space));
        let kept: Vec<usize> = if iceberg {
            rest.to_vec()
        } else {
            (0..members.len()).collect()
        };
        let mut names: Vec<String> = Vec::new();
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for &index in &kept {
            let member = members[index];
            let name = match self.schema.name_of(member) {
                Some(name) if names.iter().any(|n| n == name.short()) => {
                    name.full.replace('.', "_")
                }
                Some(name) => name.short().to_owned(),
                None => self
                    .schema
                    .describe(member)
                    .split(' ')
                    .next()
                    .unwrap_or("value")
                    .to_owned(),
            };
            self.path.push(name.clone());
            let column = self.value(member, true, space)?;
            self.path.pop();
            fields.push(self.arrow_field(&name, member, &column));
            names.push(name);
            columns.push((index, column));
        }
        let data_type = if iceberg {
            DataType::Struct(fields.into())
        } else {
            let ids = kept.iter().map(|&i| i as i8);
            let fields: UnionFields = ids.zip(fields.into_iter().map(Arc::new)).collect();
            DataType::Union(fields, UnionMode::Sparse)
        };
        Ok(Column {
            data_type,
            valid,
            body: Body::Union {
                tags,
                null,
                members: columns,
            },
        })
    }

    fn value(
        &mut self,
        ty: TypeId,
        nullable: bool,
        space: SpaceId,
    ) -> Result<Column, DecoderError> {
        // Nulls within lists have no field to leave out: they become booleans that are never set.
        let never = matches!(self.schema.kind_of(ty), Kind::Null);
        let valid = if never { self.iceberg() } else { nullable };
        let valid = valid.then(|| self.store(Store::Fixed(1), space));
        let (data_type, body) = self.body(ty, space)?;
        Ok(Column {
            data_type,
            valid,
            body,
        })
    }

    fn fixed(&mut self, data_type: DataType, width: usize, space: SpaceId) -> (DataType, Body) {
        (
            data_type,
            Body::Fixed(self.store(Store::Fixed(width), space)),
        )
    }

    fn body(&mut self, ty: TypeId, space: SpaceId) -> Result<(DataType, Body), DecoderError> {
        let schema = self.schema;
        let profile = self.options.profile;
        let iceberg = self.iceberg();
        let t = schema.ty(ty);
        Ok(match &t.kind {
            Kind::Null if iceberg => (
                DataType::Boolean,
                Body::Bool(self.store(Store::Fixed(1), space)),
            ),
            Kind::Null => (DataType::Null, Body::Null),
            Kind::Boolean => (
                DataType::Boolean,
                Body::Bool(self.store(Store::Fixed(1), space)),
            ),
            Kind::Int | Kind::Long | Kind::Float | Kind::Double => {
                let (out, unit) = number_out(&t.kind, t.logical, profile);
                let width = match out {
                    NumberOut::I32 | NumberOut::F32 => 4,
                    NumberOut::I64 | NumberOut::F64 => 8,
                };
                self.fixed(number_type(out, unit, t.logical, profile), width, space)
            }
            Kind::Bytes | Kind::Fixed { .. }
                if matches!(t.logical, Some(Logical::Decimal { .. })) =>
            {
                let Some(Logical::Decimal { precision, scale }) = t.logical else {
                    unreachable!("matched above")
                };
                match precision {
                    0..=38 => self.fixed(DataType::Decimal128(precision, scale as i8), 16, space),
                    _ if iceberg => self.text(space),
                    _ => self.fixed(DataType::Decimal256(precision, scale as i8), 32, space),
                }
            }
            Kind::String if t.logical == Some(Logical::Uuid) => {
                self.fixed(DataType::FixedSizeBinary(16), 16, space)
            }
            Kind::String => (
                DataType::Utf8,
                Body::Slots(self.store(Store::Slots { utf8: true }, space)),
            ),
            // FixedSizeBinary(0) can't say how long it is.
            Kind::Bytes | Kind::Fixed { size: 0, .. } => (
                DataType::Binary,
                Body::Slots(self.store(Store::Slots { utf8: false }, space)),
            ),
            Kind::Fixed { .. } if t.logical == Some(Logical::Duration) && iceberg => {
                let fields: Fields = ["months", "days", "millis"]
                    .map(|name| Field::new(name, DataType::Int64, false))
                    .to_vec()
                    .into();
                let cols = [(); 3].map(|()| self.store(Store::Fixed(8), space));
                (DataType::Struct(fields), Body::Duration(cols))
            }
            Kind::Fixed { .. } if t.logical == Some(Logical::Duration) => {
                self.fixed(DataType::Interval(IntervalUnit::MonthDayNano), 16, space)
            }
            Kind::Fixed { size, .. } => {
                self.fixed(DataType::FixedSizeBinary(*size as i32), *size, space)
            }
            Kind::Enum(_) if iceberg => (
                DataType::Utf8,
                Body::Slots(self.store(Store::Slots { utf8: false }, space)),
            ),
            Kind::Enum(e) => {
                let col = self.store(Store::Fixed(4), space);
                let symbols: ArrayRef = Arc::new(StringArray::from_iter_values(&e.symbols));
                let ty = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
                (ty, Body::Keys { col, symbols })
            }
            Kind::Array(items) => {
                let child = self.spaces;
                self.spaces += 1;
                let list = self.store(Store::List { child }, space);
                self.path.push("[]".into());
                let item = self.column(*items, false, child)?;
                self.path.pop();
                let field = self.arrow_field("item", *items, &item);
                (
                    DataType::List(Arc::new(field)),
                    Body::List {
                        list,
                        item: item.into(),
                    },
                )
            }
            Kind::Map(values) => {
                let child = self.spaces;
                self.spaces += 1;
                let list = self.store(Store::List { child }, space);
                let key = self.store(Store::Slots { utf8: true }, child);
                self.path.push("{}".into());
                let value = self.column(*values, false, child)?;
                self.path.pop();
                let entries: Fields = vec![
                    Field::new("key", DataType::Utf8, false),
                    self.arrow_field("value", *values, &value),
                ]
                .into();
                let entries = Field::new("entries", DataType::Struct(entries), false);
                (
                    DataType::Map(Arc::new(entries), false),
                    Body::Map {
                        list,
                        key,
                        value: value.into(),
                    },
                )
            }
            Kind::Record(record) => {
                if self.open.contains(&ty) {
                    if self.options.recursion == Recursion::Refuse {
                        return Err(DecoderError::Recursive {
                            path: self.path.join("."),
                            name: record.name.full.clone(),
                        });
                    }
                    return Ok(self.text(space));
                }
                self.open.push(ty);
                let mut fields = Vec::new();
                let mut children = Vec::new();
                for (index, field) in record.fields.iter().enumerate() {
                    if let Some((made, column)) = self.field(&field.name, field.ty, space)? {
                        fields.push(made);
                        children.push((index, column));
                    }
                }
                self.open.pop();
                if iceberg && children.is_empty() {
                    // Parquet has no empty groups: all there is to say is that it is there.
                    return Ok((
                        DataType::Boolean,
                        Body::Bool(self.store(Store::Fixed(1), space)),
                    ));
                }
                (DataType::Struct(fields.into()), Body::Struct(children))
            }
            Kind::Union(_) => unreachable!("unions are taken apart before"),
        })
    }

    fn text(&mut self, space: SpaceId) -> (DataType, Body) {
        (
            DataType::Utf8,
            Body::Text(self.store(Store::Slots { utf8: true }, space)),
        )
    }
}

fn number_type(
    out: NumberOut,
    unit: Option<i64>,
    logical: Option<Logical>,
    profile: Types,
) -> DataType {
    let time_unit = match unit {
        Some(1_000_000) => TimeUnit::Millisecond,
        Some(1_000) => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    };
    match logical {
        Some(Logical::Date) => DataType::Date32,
        Some(Logical::TimeMillis | Logical::TimeMicros) if out == NumberOut::I32 => {
            DataType::Time32(time_unit)
        }
        Some(Logical::TimeMillis | Logical::TimeMicros) => DataType::Time64(time_unit),
        Some(Logical::TimestampNanos | Logical::LocalTimestampNanos)
            if profile == Types::Iceberg =>
        {
            DataType::Int64
        }
        Some(Logical::TimestampMillis | Logical::TimestampMicros | Logical::TimestampNanos) => {
            DataType::Timestamp(time_unit, Some("+00:00".into()))
        }
        Some(
            Logical::LocalTimestampMillis
            | Logical::LocalTimestampMicros
            | Logical::LocalTimestampNanos,
        ) => DataType::Timestamp(time_unit, None),
        _ => match out {
            NumberOut::I32 => DataType::Int32,
            NumberOut::I64 => DataType::Int64,
            NumberOut::F32 => DataType::Float32,
            NumberOut::F64 => DataType::Float64,
        },
    }
}
