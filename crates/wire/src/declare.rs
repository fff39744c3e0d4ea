//! The macro that turns a declaration into a structure, its codec and its shape.
//!
//! A declaration is written the way Kafka's own definitions are read, one field after the other in
//! the order they are written:
//!
//! ```text
//! message! {
//!     /// What the message is for.
//!     NameRequest, versions "0-11", flexible "9+" {
//!         /// What the field is for.
//!         field_name: Type = default, "since-until", nullable("3+"), tag(0), ignorable;
//!     }
//!     /// What the structure is for.
//!     struct Name { .. }
//! }
//! ```
//!
//! Everything after the versions, and the default, may be left out. A type that can be null is an
//! `Option`; a field that exists only in some versions holds its default in the others.

/// Declares a message and the structures that only it uses.
macro_rules! message {
    (
        $(#[doc = $doc:literal])+
        $name:ident, versions $versions:literal, flexible $flexible:literal $fields:tt
        $( $(#[doc = $struct_doc:literal])+ struct $struct:ident $struct_fields:tt )*
    ) => {
        structure! { $(#[doc = $doc])+ struct $name $fields }

        impl $crate::messages::Message for $name {
            const SHAPE: $crate::shape::MessageShape = $crate::shape::MessageShape {
                name: stringify!($name),
                versions: $crate::Versions::parse($versions),
                flexible: $crate::Versions::parse($flexible),
                root: &$name::STRUCTURE,
            };
        }

        $( structure! { $(#[doc = $struct_doc])+ struct $struct $struct_fields } )*
    };
}

/// Declares a structure: the type, its default, its [`Field`](crate::Field) and its shape.
macro_rules! structure {
    (
        $(#[doc = $doc:literal])+
        struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])+
                $field:ident: $type:ty $(= $default:expr)?, $versions:literal
                    $(, $option:ident $(($value:literal))?)*;
            )*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(
                $(#[doc = $field_doc])+
                #[doc = ""]
                #[doc = concat!("Versions ", $versions, ".")]
                pub $field: $type,
            )*
            /// Tagged fields that the declaration doesn't know, as they came.
            pub unknown_tagged_fields: $crate::TaggedFields,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $field: default_of!($type $(= $default)?), )*
                    unknown_tagged_fields: $crate::TaggedFields::default(),
                }
            }
        }

        impl $name {
            /// What the declaration says, as data.
            pub const STRUCTURE: $crate::shape::StructShape = $crate::shape::StructShape {
                name: stringify!($name),
                doc: concat!($($doc, "\n"),+),
                fields: &[ $(
                    $crate::shape::FieldShape::new(
                        stringify!($field),
                        concat!($($field_doc, "\n"),+),
                        <$type as $crate::field::Field>::KIND,
                        $versions,
                    )
                    $( .$option($($value)?) )*
                    $( .default_text(stringify!($default)) )?
                ),* ],
            };
        }

        impl $crate::field::Field for $name {
            const KIND: $crate::shape::Kind = $crate::shape::Kind::Struct(&Self::STRUCTURE);

            fn bytes_min(version: $crate::Version) -> usize {
                usize::from(version.flexible) $(
                    + {
                        const FIELD: $crate::shape::FieldShape =
                            field!($field: $type, $versions $(, $option $(($value))?)*);
                        if FIELD.in_body(version.number) {
                            <$type as $crate::field::Field>::bytes_min(version)
                        } else {
                            0
                        }
                    }
                )*
            }

            #[allow(unused_mut)] // Structures without a tagged field.
            fn decode(
                reader: &mut $crate::Reader,
                version: $crate::Version,
            ) -> $crate::Result<Self> {
                let mut this = Self {
                    $( $field: {
                        const FIELD: $crate::shape::FieldShape =
                            field!($field: $type, $versions $(, $option $(($value))?)*);
                        const PLACE: &str = concat!(stringify!($name), ".", stringify!($field));
                        if FIELD.in_body(version.number) {
                            let start = reader.position();
                            let value =
                                <$type as $crate::field::Field>::decode(reader, version)
                                    .map_err(|error| error.named(PLACE))?;
                            if $crate::field::Field::is_null(&value)
                                && !FIELD.nullable.contains(version.number)
                            {
                                return Err($crate::Fault::Null.at(start).named(PLACE));
                            }
                            value
                        } else {
                            default_of!($type $(= $default)?)
                        }
                    }, )*
                    unknown_tagged_fields: $crate::TaggedFields::default(),
                };
                if version.flexible {
                    let unknown = $crate::TaggedFields::decode(reader, |_reader, _tag| {
                        $({
                            const FIELD: $crate::shape::FieldShape =
                                field!($field: $type, $versions $(, $option $(($value))?)*);
                            const PLACE: &str =
                                concat!(stringify!($name), ".", stringify!($field));
                            if FIELD.has_tag(_tag, version.number) {
                                let start = _reader.position();
                                let value =
                                    <$type as $crate::field::Field>::decode(_reader, version)
                                        .map_err(|error| error.named(PLACE))?;
                                if $crate::field::Field::is_null(&value)
                                    && !FIELD.nullable.contains(version.number)
                                {
                                    return Err($crate::Fault::Null.at(start).named(PLACE));
                                }
                                this.$field = value;
                                return Ok(true);
                            }
                        })*
                        Ok(false)
                    })
                    .map_err(|error| error.named(stringify!($name)))?;
                    this.unknown_tagged_fields = unknown;
                }
                Ok(this)
            }

            fn encode(
                &self,
                writer: &mut $crate::Writer,
                version: $crate::Version,
            ) -> $crate::Result<()> {
                #[allow(unused_mut)] // Structures without a tagged field.
                let mut tagged: Vec<(u32, bytes::Bytes)> = Vec::new();
                $({
                    const FIELD: $crate::shape::FieldShape =
                        field!($field: $type, $versions $(, $option $(($value))?)*);
                    const PLACE: &str = concat!(stringify!($name), ".", stringify!($field));
                    if FIELD.versions.contains(version.number) {
                        if $crate::field::Field::is_null(&self.$field)
                            && !FIELD.nullable.contains(version.number)
                        {
                            return Err($crate::Error::NullNotInVersion {
                                field: PLACE,
                                version: version.number,
                            });
                        }
                        match FIELD.tag {
                            None => $crate::field::Field::encode(&self.$field, writer, version)?,
                            // A tagged field that has its default isn't written.
                            Some(tag) if self.$field != default_of!($type $(= $default)?) => {
                                let mut value = $crate::Writer::default();
                                $crate::field::Field::encode(&self.$field, &mut value, version)?;
                                tagged.push((tag, value.finish().into_bytes()));
                            }
                            Some(_) => {}
                        }
                    } else if !FIELD.ignorable {
                        $crate::field::check_left_out(
                            &self.$field,
                            || default_of!($type $(= $default)?),
                            PLACE,
                            version,
                        )?;
                    }
                })*
                if version.flexible {
                    self.unknown_tagged_fields.encode(&tagged, writer)?;
                }
                Ok(())
            }
        }

        impl $crate::field::Nullable for $name {
            fn nullable_bytes_min(_: $crate::Version) -> usize {
                1
            }

            fn decode_nullable(
                reader: &mut $crate::Reader,
                version: $crate::Version,
            ) -> $crate::Result<Option<Self>> {
                let start = reader.position();
                match reader.parse($crate::primitives::int8)? {
                    -1 => Ok(None),
                    1 => <Self as $crate::field::Field>::decode(reader, version).map(Some),
                    byte => Err($crate::Fault::Presence(byte).at(start)),
                }
            }

            fn encode_nullable(
                value: Option<&Self>,
                writer: &mut $crate::Writer,
                version: $crate::Version,
            ) -> $crate::Result<()> {
                match value {
                    None => writer.put(&[0xff]),
                    Some(value) => {
                        writer.put(&[1]);
                        $crate::field::Field::encode(value, writer, version)?;
                    }
                }
                Ok(())
            }
        }
    };
}

/// The shape of a field without its documentation, as a constant for the codec to branch on.
macro_rules! field {
    (
        $field:ident: $type:ty, $versions:literal $(, $option:ident $(($value:literal))?)*
    ) => {
        $crate::shape::FieldShape::new(
            stringify!($field),
            "",
            <$type as $crate::field::Field>::KIND,
            $versions,
        )
        $( .$option($($value)?) )*
    };
}

/// The default of a field.
macro_rules! default_of {
    ($type:ty) => {
        <$type as Default>::default()
    };
    ($type:ty = $default:expr) => {
        $default
    };
}
