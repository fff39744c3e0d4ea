//! Options of a descriptor that are still texts. No compiler writes such descriptors, and reading those texts
//! follows them down, on the stack.

use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};

macro_rules! has_texts {
    ($described:expr) => {
        $described
            .options
            .as_ref()
            .is_some_and(|options| !options.uninterpreted_option.is_empty())
    };
}

/// Whether a descriptor has options that no compiler has read yet.
pub(super) fn are_texts(file: &FileDescriptorProto) -> bool {
    let of_service = |service: &ServiceDescriptorProto| {
        has_texts!(service) || service.method.iter().any(|method| has_texts!(method))
    };
    has_texts!(file)
        || file.message_type.iter().any(of_message)
        || file.enum_type.iter().any(of_enum)
        || file.extension.iter().any(|field| has_texts!(field))
        || file.service.iter().any(of_service)
}

/// As deep as messages are decoded.
fn of_message(message: &DescriptorProto) -> bool {
    has_texts!(message)
        || message.field.iter().any(|field| has_texts!(field))
        || message.extension.iter().any(|field| has_texts!(field))
        || message
            .extension_range
            .iter()
            .any(|range| has_texts!(range))
        || message.oneof_decl.iter().any(|oneof| has_texts!(oneof))
        || message.enum_type.iter().any(of_enum)
        || message.nested_type.iter().any(of_message)
}

fn of_enum(of: &EnumDescriptorProto) -> bool {
    has_texts!(of) || of.value.iter().any(|value| has_texts!(value))
}
