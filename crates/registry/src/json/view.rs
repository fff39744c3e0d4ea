//! A schema within its document: what it says, and how what it refers to is found.

use jsonschema::Draft;
use referencing::Resolver;
use serde_json::{Map, Value};

/// A schema, be it a whole one or one inside another.
#[derive(Clone)]
pub(super) struct View<'a> {
    value: &'a Value,
    resolver: Resolver<'a>,
    draft: Draft,
}

impl<'a> View<'a> {
    pub(super) fn new(value: &'a Value, resolver: Resolver<'a>, draft: Draft) -> View<'a> {
        View {
            value,
            resolver,
            draft,
        }
    }

    /// A schema inside this one.
    pub(super) fn child(&self, value: &'a Value) -> View<'a> {
        let resource = self.draft.create_resource_ref(value);
        // An id that can't be resolved changes nothing: the schema was checked when it was registered.
        let resolver = self.resolver.in_subresource(resource);
        View {
            value,
            resolver: resolver.unwrap_or_else(|_| self.resolver.clone()),
            draft: self.draft,
        }
    }

    /// The schema under a keyword.
    pub(super) fn get(&self, keyword: &str) -> Option<View<'a>> {
        self.keyword(keyword).map(|value| self.child(value))
    }

    /// The schemas in a keyword's list.
    pub(super) fn list(&self, keyword: &str) -> Vec<View<'a>> {
        let values = self.keyword(keyword).and_then(Value::as_array);
        let values = values.into_iter().flatten();
        values.map(|value| self.child(value)).collect()
    }

    /// The schemas in a keyword's object.
    pub(super) fn map(&self, keyword: &str) -> Vec<(&'a str, View<'a>)> {
        let values = self.keyword(keyword).and_then(Value::as_object);
        let values = values.into_iter().flatten();
        values
            .map(|(name, value)| (name.as_str(), self.child(value)))
            .collect()
    }

    /// Where a reference leads.
    pub(super) fn follow(&self, reference: &str) -> Option<View<'a>> {
        let (value, resolver, draft) = self.resolver.lookup(reference).ok()?.into_inner();
        Some(View {
            value,
            resolver,
            draft,
        })
    }

    pub(super) fn keyword(&self, keyword: &str) -> Option<&'a Value> {
        self.object()?.get(keyword)
    }

    pub(super) fn object(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    pub(super) fn draft(&self) -> Draft {
        self.draft
    }

    /// The texts it lists, if it is a list rather than a schema.
    pub(super) fn names(&self) -> Option<Vec<&'a str>> {
        let names = self.value.as_array()?;
        Some(names.iter().filter_map(Value::as_str).collect())
    }

    /// Whether it says `true` or `false` and nothing else.
    pub(super) fn as_bool(&self) -> Option<bool> {
        self.value.as_bool()
    }

    /// Tells schemas apart by where they are.
    pub(super) fn place(&self) -> usize {
        std::ptr::from_ref(self.value).addr()
    }

    /// Whether `true` would say the same.
    pub(super) fn is_open(&self) -> bool {
        const NOTES: [&str; 14] = [
            "$schema",
            "$id",
            "id",
            "$comment",
            "title",
            "description",
            "default",
            "examples",
            "readOnly",
            "writeOnly",
            "deprecated",
            "definitions",
            "$defs",
            "format",
        ];
        match self.value {
            Value::Bool(open) => *open,
            Value::Object(object) => object.keys().all(|key| NOTES.contains(&key.as_str())),
            _ => false,
        }
    }
}
