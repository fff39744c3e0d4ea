//! Fields that an Avro writer renamed.
//!
//! A schema says with aliases what its fields were called before. Rows don't carry names, so a
//! writer's fields can be called what the table calls them; then a renamed field goes on in its
//! column.

use fletch_columnar::avro::Schema;
use serde_json::Value;

/// The writer's schema with fields called as in the table where an alias says that they are the
/// same; nothing if there are none.
pub(super) fn aligned(writer: &Schema, table: &Schema) -> Option<Schema> {
    let parse = |schema: &Schema| serde_json::from_str::<Value>(&schema.json()).ok();
    let mut renamed = parse(writer)?;
    if !align(&mut renamed, &parse(table)?) {
        return None;
    }
    Schema::parse(&renamed.to_string(), &[]).ok()
}

/// Whether anything was renamed.
fn align(writer: &mut Value, table: &Value) -> bool {
    let table = match table {
        Value::Array(members) => match members.iter().find(|member| **member != "null") {
            Some(member) => member,
            None => return false,
        },
        other => other,
    };
    match writer {
        Value::Array(members) => {
            let members = members.iter_mut();
            members.fold(false, |changed, member| align(member, table) | changed)
        }
        Value::Object(_) if writer["type"].is_object() || writer["type"].is_array() => {
            align(&mut writer["type"], table)
        }
        Value::Object(_) if writer["type"] != table["type"] => false,
        Value::Object(_) => match writer["type"].as_str() {
            Some("record") => align_fields(writer, table),
            Some("array") => align(&mut writer["items"], &table["items"]),
            Some("map") => align(&mut writer["values"], &table["values"]),
            _ => false,
        },
        _ => false,
    }
}

fn align_fields(writer: &mut Value, table: &Value) -> bool {
    let no_fields = Vec::new();
    let columns = table["fields"].as_array().unwrap_or(&no_fields);
    let column = |name: &str| columns.iter().find(|column| column["name"] == name);
    let Some(fields) = writer["fields"].as_array_mut() else {
        return false;
    };
    let sent: Vec<String> = fields
        .iter()
        .filter_map(|field| field["name"].as_str().map(str::to_owned))
        .collect();
    let mut changed = false;
    let mut taken: Vec<String> = Vec::new();
    for field in fields {
        let name = field["name"].as_str().unwrap_or_default();
        let mut partner = column(name);
        if partner.is_none() {
            let aliases = field["aliases"].as_array().unwrap_or(&no_fields);
            let former = aliases.iter().filter_map(Value::as_str).find(|alias| {
                let free = |names: &[String]| !names.iter().any(|name| name == alias);
                column(alias).is_some() && free(&sent) && free(&taken)
            });
            if let Some(former) = former.map(str::to_owned) {
                partner = column(&former);
                field["name"] = Value::from(former.clone());
                if let Some(aliases) = field["aliases"].as_array_mut() {
                    aliases.retain(|alias| *alias != *former);
                }
                taken.push(former);
                changed = true;
            }
        }
        if let Some(partner) = partner {
            changed |= align(&mut field["type"], &partner["type"]);
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &str) -> Schema {
        let record = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
        Schema::parse(&record, &[]).unwrap()
    }

    #[test]
    fn what_was_renamed_goes_on_under_its_old_name() {
        let inner = |field: &str| {
            format!(
                r#"{{"name":"items","type":["null",{{"type":"array","items":{{"type":"record","name":"I","fields":[{field}]}}}}]}}"#
            )
        };
        let table = schema(&format!(
            r#"{{"name":"customer","type":"string"}},{}"#,
            inner(r#"{"name":"n","type":"int"}"#)
        ));
        let writer = schema(&format!(
            r#"{{"name":"buyer","type":"string","aliases":["customer"]}},{}"#,
            inner(r#"{"name":"number","type":"long","aliases":["count","n"]}"#)
        ));
        let text = aligned(&writer, &table).unwrap().json();
        for (there, name) in [
            (true, "customer"),
            (false, "buyer"),
            (true, "\"n\""),
            (false, "number"),
        ] {
            assert_eq!(text.contains(name), there, "{name} in {text}");
        }
    }

    #[test]
    fn a_name_that_is_in_use_is_left_alone() {
        let table = schema(r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#);
        for writer in [
            // The table has the new name, too.
            r#"{"name":"b","type":"int","aliases":["a"]}"#,
            // The writer still sends the old one.
            r#"{"name":"c","type":"int","aliases":["a"]},{"name":"a","type":"int"}"#,
            r#"{"name":"c","type":"int"}"#,
        ] {
            assert!(aligned(&schema(writer), &table).is_none(), "{writer}");
        }
    }
}
