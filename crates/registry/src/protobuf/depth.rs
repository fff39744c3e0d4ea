//! What is refused before a compiler sees it: it follows what is nested down, on the stack, and nobody
//! survives it when that is used up.

use prost_reflect::{DynamicMessage, ReflectMessage, Value};
use prost_types::FileDescriptorProto;

/// How deep braces may nest, those of options included.
pub(super) const DEPTH_MAX: usize = 100;

/// The texts of options, in each kind of them.
const OPTION_TEXTS: &str = "uninterpreted_option";

/// Whether a text nests too deep, or may do so: what is quoted or commented counts.
pub(super) fn is_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'{' | b'<' | b'[' => depth += 1,
            b'}' | b'>' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_MAX
    })
}

/// Whether a descriptor has options that no compiler has read yet: no compiler writes such descriptors, and
/// reading those texts follows them down.
pub(super) fn has_option_texts(descriptor: &[u8]) -> bool {
    let kind = FileDescriptorProto::default().descriptor();
    // What isn't one at all is refused by who compiles it.
    DynamicMessage::decode(kind, descriptor).is_ok_and(|file| has_texts(&file))
}

/// As deep as the decoder of messages goes.
fn has_texts(message: &DynamicMessage) -> bool {
    message
        .fields()
        .any(|(field, value)| field.name() == OPTION_TEXTS || is_with_texts(value))
}

fn is_with_texts(value: &Value) -> bool {
    match value {
        Value::Message(message) => has_texts(message),
        Value::List(list) => list.iter().any(is_with_texts),
        _ => false,
    }
}
