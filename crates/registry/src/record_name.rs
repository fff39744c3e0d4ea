//! What a schema's records are called: what subjects are named after by the strategies that don't
//! name them after topics.

use crate::schema::{Schema, SchemaKind};
use crate::{avro, json, protobuf};

impl Schema {
    /// The name of the records written with this schema, as Confluent's serializers know it for their
    /// subject name strategies: the full name of an Avro type, the full name of a Protobuf message,
    /// the title of a JSON Schema.
    ///
    /// `message` is which of a Protobuf schema's messages is meant, by the indexes that frames carry:
    /// the outermost message's first; the file's first message, if there are none. Other languages don't
    /// look at it.
    ///
    /// `None` for what has no name, such as an Avro `string` or a JSON Schema without a title, and for
    /// a schema that isn't valid.
    pub fn record_name(&self, message: &[usize]) -> Option<String> {
        match self.kind {
            SchemaKind::Avro => avro::parse(&self.text, &self.references).ok()?.name(),
            SchemaKind::Json => {
                let schema = json::parse(&self.text, &self.references).ok()?;
                schema.title().map(str::to_owned)
            }
            SchemaKind::Protobuf => {
                let schema = protobuf::parse(&self.text, &self.references).ok()?;
                schema.message_name(if message.is_empty() { &[0] } else { message })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ReferencedSchema;

    fn name(kind: SchemaKind, text: &str, message: &[usize]) -> Option<String> {
        let money = ReferencedSchema {
            name: "shop/money.proto".into(),
            text: "syntax = \"proto3\"; package shop; message Money {}".into(),
        };
        let references = match kind {
            SchemaKind::Protobuf => vec![money],
            _ => Vec::new(),
        };
        let schema = Schema {
            id: 1,
            kind,
            text: text.into(),
            references,
        };
        schema.record_name(message)
    }

    #[test]
    fn records_are_called_as_serializers_call_them() {
        let avro = |text| name(SchemaKind::Avro, text, &[]);
        let order = r#"{"type":"record","name":"Order","namespace":"shop","fields":[]}"#;
        assert_eq!(avro(order).as_deref(), Some("shop.Order"));
        let side = r#"{"type":"enum","name":"Side","symbols":["A"]}"#;
        assert_eq!(avro(side).as_deref(), Some("Side"));
        assert_eq!(avro(r#""string""#), None);
        assert_eq!(avro("{"), None);

        let json = |text| name(SchemaKind::Json, text, &[]);
        assert_eq!(json(r#"{"title":"Order"}"#).as_deref(), Some("Order"));
        assert_eq!(json(r#"{"type":"object"}"#), None);
        assert_eq!(json("true"), None);

        let file = r#"syntax = "proto3"; package shop; import "shop/money.proto";
            message First {}
            message Order { message Line { Money price = 1; } message Note {} }"#;
        let message = |path: &[usize]| name(SchemaKind::Protobuf, file, path);
        assert_eq!(message(&[]).as_deref(), Some("shop.First"));
        assert_eq!(message(&[0]).as_deref(), Some("shop.First"));
        assert_eq!(message(&[1]).as_deref(), Some("shop.Order"));
        assert_eq!(message(&[1, 1]).as_deref(), Some("shop.Order.Note"));
        for none in [&[2][..], &[0, 0], &[1, 1, 0]] {
            assert_eq!(message(none), None, "{none:?}");
        }
    }
}
