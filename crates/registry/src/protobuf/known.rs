//! Files that schemas import without referring to them: Protobuf's own, and Confluent's.

use protox::file::{File, FileResolver, GoogleFileResolver};

/// Confluent's annotations, as its serializers know them.
const META: &str = r#"
syntax = "proto3";
package confluent;

import "google/protobuf/descriptor.proto";

message Meta {
  string doc = 1;
  map<string, string> params = 2;
  repeated string tags = 3;
}

extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
"#;

/// Confluent's decimal: an unscaled two's-complement number, and where its point is.
const DECIMAL: &str = r#"
syntax = "proto3";
package confluent.type;

message Decimal {
  bytes value = 1;
  uint32 precision = 2;
  int32 scale = 3;
}
"#;

/// The known file with this path.
pub(super) fn file(path: &str) -> Option<File> {
    match path {
        "confluent/meta.proto" => File::from_source(path, META).ok(),
        "confluent/type/decimal.proto" => File::from_source(path, DECIMAL).ok(),
        _ => GoogleFileResolver::new().open_file(path).ok(),
    }
}
