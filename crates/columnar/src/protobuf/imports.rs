//! Files that schemas import without anybody registering them: Confluent's serializers take them for
//! known, as parsers do those under `google/protobuf`.

/// The file of a name, if it is one that everybody is taken to know.
pub(super) fn known(name: &str) -> Option<&'static str> {
    Some(match name {
        "confluent/meta.proto" => META,
        "confluent/type/decimal.proto" => {
            r#"syntax = "proto3"; package confluent.type;
            message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"#
        }
        "google/type/date.proto" => {
            r#"syntax = "proto3"; package google.type;
            message Date { int32 year = 1; int32 month = 2; int32 day = 3; }"#
        }
        "google/type/timeofday.proto" => {
            r#"syntax = "proto3"; package google.type;
            message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }"#
        }
        "google/type/money.proto" => {
            r#"syntax = "proto3"; package google.type;
            message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }"#
        }
        "google/type/latlng.proto" => {
            r#"syntax = "proto3"; package google.type;
            message LatLng { double latitude = 1; double longitude = 2; }"#
        }
        _ => return None,
    })
}

/// Options with documentation, tags and parameters, which say nothing about what is sent.
const META: &str = r#"syntax = "proto3"; package confluent;
    import "google/protobuf/descriptor.proto";
    message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
    extend google.protobuf.FileOptions { Meta file_meta = 1088; }
    extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
    extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
    extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
    extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }"#;
