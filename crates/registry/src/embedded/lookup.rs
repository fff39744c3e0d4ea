//! Schemas for callers in this process, who know them by other names than ids.

use std::sync::Arc;

use uuid::Uuid;

use super::Embedded;
use super::names::SubjectName;
use crate::schema::Schema;

impl Embedded {
    /// The schema with this GUID, which is derived from its text and what it refers to; under the
    /// lowest id it has.
    ///
    /// As [`schema`](Embedded::schema), this knows permanently deleted schemas too.
    pub fn with_guid(&self, guid: Uuid) -> Option<Arc<Schema>> {
        let id = self.state().ids(guid).next()?;
        self.schema(id)
    }

    /// The schema of a subject's latest version that isn't deleted.
    pub fn latest(&self, subject: &str) -> Option<Arc<Schema>> {
        let name = SubjectName::parse(subject, None).ok()?;
        let id = self.state().subject(&name).live().next_back()?.id;
        self.schema(id)
    }

    /// The subjects that have the schema with this id in a version that isn't deleted, each once.
    pub fn users_of(&self, id: u32) -> Vec<String> {
        let state = self.state();
        let live = state.uses(id).filter(|(_, version)| !version.deleted);
        let mut subjects: Vec<_> = live.map(|(name, _)| name.as_str().to_owned()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Embedded, MemoryJournal};
    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::Request;

    async fn post(registry: &Embedded, path: &str, body: &str) {
        let request = Request::post(path).body(Full::new(Bytes::from(body.to_owned())));
        let answer = registry.handle(request.unwrap()).await;
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    #[tokio::test]
    async fn schemas_are_found_by_all_their_names() {
        let registry = Embedded::open(Arc::new(MemoryJournal::new()))
            .await
            .unwrap();
        for (subject, schema) in [("a-value", "int"), ("a-value", "long"), ("b-value", "int")] {
            let body = format!(r#"{{"schema":"\"{schema}\""}}"#);
            post(&registry, &format!("/subjects/{subject}/versions"), &body).await;
        }
        let latest = registry.latest("a-value").unwrap();
        assert_eq!((latest.id, latest.text.as_str()), (2, "\"long\""));
        assert!(registry.latest("c-value").is_none());
        assert_eq!(registry.users_of(1), ["a-value", "b-value"]);
        assert_eq!(registry.users_of(2), ["a-value"]);
        assert!(registry.users_of(9).is_empty());
        let guid = registry.state().stored(2).unwrap().guid();
        assert_eq!(registry.with_guid(guid).unwrap().id, 2);
        assert!(registry.with_guid(Uuid::nil()).is_none());
    }
}
