//! Questions about ids: which a GUID stands for, and who uses one.

use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use super::Client;
use super::fetch::parsed;
use crate::error::RegistryError;
use crate::schema::Schema;

/// The context of subjects that name none.
const DEFAULT_CONTEXT: &str = ".";

/// One of the ids that a GUID has, one in each context.
#[derive(Deserialize)]
struct IdInContext {
    context: String,
    id: u32,
}

/// One of the versions that have a schema.
#[derive(Deserialize)]
struct Use {
    subject: String,
}

impl Client {
    /// The schema with this GUID, under the id it has in the default context, or else in the first
    /// that the registry names.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where the registry has none, or is too old to know GUIDs.
    pub async fn schema_by_guid(&self, guid: Uuid) -> Result<Arc<Schema>, RegistryError> {
        let (what, text) = (format!("schema {guid}"), guid.to_string());
        let segments = ["schemas", "guids", &text, "ids"];
        let inner = &self.inner;
        let reply = inner.get("guid", &what, &segments, &[], |body| {
            let ids: Vec<IdInContext> = parsed(body)?;
            let default = ids.iter().find(|found| found.context == DEFAULT_CONTEXT);
            let found = default.or(ids.first());
            found
                .map(|found| found.id)
                .ok_or_else(|| "it names no id".to_owned())
        });
        self.schema(reply.await?.answer).await
    }

    /// The subjects that have the schema with this id in a version that isn't deleted, each once.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] where there is no such schema.
    pub async fn subjects_of(&self, id: u32) -> Result<Vec<String>, RegistryError> {
        let (what, text) = (format!("the versions of schema {id}"), id.to_string());
        let segments = ["schemas", "ids", &text, "versions"];
        let inner = &self.inner;
        let reply = inner.get("uses", &what, &segments, &[], parsed::<Vec<Use>>);
        let uses = reply.await?.answer;
        let mut subjects: Vec<_> = uses.into_iter().map(|found| found.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        Ok(subjects)
    }
}
