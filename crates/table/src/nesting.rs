//! How deep a schema's text nests, before anybody reads it.

use crate::source::{SchemaKind, SchemaText};

impl SchemaText {
    /// Whether its text, or one that it refers to, nests braces and brackets deeper than this.
    pub(crate) fn nests_deeper_than(&self, depth_max: usize) -> bool {
        let references = self.references.iter().map(|(_, text)| text);
        references
            .chain([&self.text])
            .any(|text| nests_deeper_than(text, self.kind, depth_max))
    }
}

/// What is quoted counts only in a `.proto` file, whose quotes may be in comments.
fn nests_deeper_than(text: &str, kind: SchemaKind, depth_max: usize) -> bool {
    let is_json = kind != SchemaKind::Protobuf;
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    text.bytes().any(|byte| {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            return false;
        }
        match byte {
            b'"' => quoted = is_json,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > depth_max
    })
}
