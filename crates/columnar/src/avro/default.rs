//! A field's default, as the Avro bytes a writer would have sent for it. Decoding those bytes with
//! the reader's own plan is what fills the column, so a default of any type needs no code of its own.

use serde_json::Value;

use super::schema::{Kind, Schema, TypeId};

/// A default that isn't a value of its field's type. The reader schema's author is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the default {value} is not a {expected}")]
pub(crate) struct DefaultError {
    value: String,
    expected: String,
}

/// How deep a default of a recursive type may nest.
const DEPTH_MAX: usize = 64;

/// Appends `value` as `id` encodes it.
pub(crate) fn encode_default(
    schema: &Schema,
    id: TypeId,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<(), DefaultError> {
    encode(schema, id, value, 0, out).ok_or_else(|| DefaultError {
        value: value.to_string(),
        expected: schema.describe(id),
    })
}

pub(crate) fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut z = ((value << 1) ^ (value >> 63)) as u64;
    while z >= 0x80 {
        out.push(z as u8 | 0x80);
        z >>= 7;
    }
    out.push(z as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

fn encode(s: &Schema, id: TypeId, v: &Value, depth: usize, out: &mut Vec<u8>) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match s.kind_of(id) {
        Kind::Null => v.is_null().then_some(()),
        Kind::Boolean => {
            out.push(u8::from(v.as_bool()?));
            Some(())
        }
        Kind::Int => {
            let value = i32::try_from(v.as_i64()?).ok()?;
            put_long(out, i64::from(value));
            Some(())
        }
        Kind::Long => {
            put_long(out, v.as_i64()?);
            Some(())
        }
        Kind::Float => {
            out.extend_from_slice(&(number(v)? as f32).to_le_bytes());
            Some(())
        }
        Kind::Double => {
            out.extend_from_slice(&number(v)?.to_le_bytes());
            Some(())
        }
        Kind::Bytes => {
            put_bytes(out, &code_points(v)?);
            Some(())
        }
        Kind::String => {
            put_bytes(out, v.as_str()?.as_bytes());
            Some(())
        }
        Kind::Fixed { size, .. } => {
            let bytes = code_points(v)?;
            out.extend_from_slice(&bytes);
            (bytes.len() == *size).then_some(())
        }
        Kind::Enum(e) => {
            let symbol = v.as_str()?;
            let index = e.symbols.iter().position(|s| s == symbol)?;
            put_long(out, index as i64);
            Some(())
        }
        Kind::Record(record) => {
            let object = v.as_object()?;
            for field in &record.fields {
                let value = object.get(&field.name).or(field.default.as_ref())?;
                encode(s, field.ty, value, depth + 1, out)?;
            }
            Some(())
        }
        Kind::Array(items) => {
            let list = v.as_array()?;
            if !list.is_empty() {
                put_long(out, list.len() as i64);
                for item in list {
                    encode(s, *items, item, depth + 1, out)?;
                }
            }
            out.push(0);
            Some(())
        }
        Kind::Map(values) => {
            let object = v.as_object()?;
            if !object.is_empty() {
                put_long(out, object.len() as i64);
                for (key, value) in object {
                    put_bytes(out, key.as_bytes());
                    encode(s, *values, value, depth + 1, out)?;
                }
            }
            out.push(0);
            Some(())
        }
        // The first member it fits; the specification said "the first member" until 1.12 made it
        // any, and the two agree wherever both accept.
        Kind::Union(members) => members.iter().enumerate().find_map(|(index, &member)| {
            let start = out.len();
            put_long(out, index as i64);
            let done = encode(s, member, v, depth + 1, out);
            if done.is_none() {
                out.truncate(start);
            }
            done
        }),
    }
}

fn number(v: &Value) -> Option<f64> {
    match v {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => match s.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" | "INF" => Some(f64::INFINITY),
            "-Infinity" | "-INF" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// Bytes in JSON: code points 0 to 255, one a byte.
fn code_points(v: &Value) -> Option<Vec<u8>> {
    v.as_str()?
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(schema: &str, default: &str) -> Result<Vec<u8>, DefaultError> {
        let schema = Schema::parse(schema, &[]).unwrap();
        let mut out = Vec::new();
        let value = serde_json::from_str(default).unwrap();
        encode_default(&schema, schema.root(), &value, &mut out).map(|()| out)
    }

    #[test]
    fn defaults_are_encoded_as_a_writer_would() {
        assert_eq!(bytes("\"int\"", "-1").unwrap(), [1]);
        assert_eq!(bytes("\"bytes\"", "\"\\u00ff\"").unwrap(), [2, 255]);
        assert_eq!(bytes(r#"["null","int"]"#, "3").unwrap(), [2, 6]);
        assert_eq!(
            bytes(r#"{"type":"array","items":"long"}"#, "[1,2]").unwrap(),
            [4, 2, 4, 0]
        );
        let record = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"b","type":"string","default":"x"}]}"#;
        assert_eq!(bytes(record, r#"{"a":1}"#).unwrap(), [2, 2, b'x']);
        assert_eq!(bytes("\"double\"", "\"NaN\"").unwrap().len(), 8);
    }

    #[test]
    fn defaults_of_another_type_are_refused() {
        assert!(bytes("\"int\"", "2147483648").is_err());
        assert!(bytes("\"bytes\"", "\"\\u0100\"").is_err());
        assert!(bytes(r#"{"type":"fixed","name":"f","size":2}"#, "\"a\"").is_err());
        let record = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"}]}"#;
        assert!(bytes(record, "{}").is_err());
    }
}
