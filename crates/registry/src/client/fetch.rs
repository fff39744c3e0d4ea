//! Questions to a registry, their answers checked, and references followed.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::Method;
use serde::de::DeserializeOwned;

use super::Inner;
use super::transport::{Call, Reply};
use crate::error::RegistryError;
use crate::rest::{SchemaAnswer, SchemaRequest};
use crate::schema::{NewSchema, Reference, ReferencedSchema, Schema, SchemaKind, SubjectVersion};

/// A schema as a registry sends it, its references not followed yet.
pub(super) struct Fetched {
    pub(super) text: String,
    kind: SchemaKind,
    references: Vec<Reference>,
    subject: Option<String>,
    version: Option<i32>,
    id: Option<u32>,
    url: String,
}

/// References found while one schema is resolved.
struct Resolution {
    found: Vec<ReferencedSchema>,
    /// Done, or on the way down: a reference met on its own way down is a circle.
    done: HashSet<Reference>,
    path: Vec<Reference>,
    text_bytes: usize,
}

impl Inner {
    pub(super) async fn schema(&self, id: u32) -> Result<Schema, RegistryError> {
        let what = format!("schema {id}");
        let text = id.to_string();
        let reply = self
            .get("schema", &what, &["schemas", "ids", &text], &[])
            .await?;
        let fetched = fetched(reply)?;
        if fetched.id.is_some_and(|found| found != id) {
            return Err(invalid(
                &fetched,
                format!("asked for {what}, it sent another"),
            ));
        }
        self.resolve(id, fetched).await
    }

    pub(super) async fn subject_version(
        &self,
        subject: &str,
        version: Option<i32>,
    ) -> Result<SubjectVersion, RegistryError> {
        let fetched = self.fetch_version(subject, version.unwrap_or(-1)).await?;
        self.as_subject_version(fetched).await
    }

    pub(super) async fn register(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<u32, RegistryError> {
        let what = format!("subject {subject}");
        let segments = ["subjects", subject, "versions"];
        let reply = self.post("register", &what, &segments, &[], schema).await?;
        let answer: SchemaAnswer = parsed(&reply)?;
        id_of(&answer).ok_or_else(|| RegistryError::Invalid {
            url: reply.url,
            reason: "registered, it names no id".into(),
        })
    }

    pub(super) async fn look_up(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<SubjectVersion, RegistryError> {
        let what = format!("the schema in subject {subject}");
        let segments = ["subjects", subject];
        let reply = self
            .post("look_up", &what, &segments, &[("deleted", "true")], schema)
            .await?;
        let fetched = fetched(reply)?;
        self.as_subject_version(fetched).await
    }

    pub(super) async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        let reply = self
            .get("subjects", "the list of subjects", &["subjects"], &[])
            .await?;
        parsed(&reply)
    }

    async fn as_subject_version(&self, fetched: Fetched) -> Result<SubjectVersion, RegistryError> {
        let (Some(subject), Some(version), Some(id)) =
            (fetched.subject.clone(), fetched.version, fetched.id)
        else {
            return Err(invalid(
                &fetched,
                "subject, version or id isn't there".into(),
            ));
        };
        let schema = self.resolve(id, fetched).await?;
        Ok(SubjectVersion {
            subject,
            version,
            schema,
        })
    }

    /// A version of a subject; -1 is the latest. Deleted versions are asked for too: what was
    /// written with a schema is read with it, whatever became of the subject since.
    async fn fetch_version(&self, subject: &str, version: i32) -> Result<Fetched, RegistryError> {
        let text = if version == -1 {
            "latest".to_owned()
        } else {
            version.to_string()
        };
        let what = format!("version {text} of subject {subject}");
        let segments = ["subjects", subject, "versions", &text];
        let reply = self
            .get("version", &what, &segments, &[("deleted", "true")])
            .await?;
        let fetched = fetched(reply)?;
        if version != -1 && fetched.version.is_some_and(|found| found != version) {
            return Err(invalid(
                &fetched,
                format!("asked for {what}, it sent another"),
            ));
        }
        Ok(fetched)
    }

    async fn resolve(&self, id: u32, fetched: Fetched) -> Result<Schema, RegistryError> {
        let mut resolution = Resolution {
            found: Vec::new(),
            done: HashSet::new(),
            path: Vec::new(),
            text_bytes: fetched.text.len(),
        };
        self.follow(&fetched, &mut resolution).await?;
        let Fetched { text, kind, .. } = fetched;
        Ok(Schema {
            id,
            kind,
            text,
            references: resolution.found,
        })
    }

    /// Adds what `schema` refers to, dependencies first.
    fn follow<'a>(
        &'a self,
        schema: &'a Fetched,
        resolution: &'a mut Resolution,
    ) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            for reference in &schema.references {
                if resolution.path.contains(reference) {
                    return Err(invalid(schema, "its references go in a circle".into()));
                }
                if resolution.done.contains(reference) {
                    continue;
                }
                if resolution.path.len() >= self.config.references_depth_max {
                    let depth = self.config.references_depth_max;
                    return Err(invalid(
                        schema,
                        format!("a chain of over {depth} references"),
                    ));
                }
                // Every schema on the way down will be counted on the way up.
                let count = resolution.found.len() + resolution.path.len();
                if count >= self.config.references_max {
                    let most = self.config.references_max;
                    return Err(invalid(schema, format!("it refers to over {most} schemas")));
                }

                let referenced = self.referenced(reference).await?;
                if referenced.kind != schema.kind {
                    return Err(invalid(
                        schema,
                        format!(
                            "a schema of kind {} refers to a {}",
                            schema.kind, referenced.kind
                        ),
                    ));
                }
                resolution.text_bytes += referenced.text.len();
                let limit = self.config.response_bytes_max;
                if resolution.text_bytes > limit {
                    return Err(invalid(
                        schema,
                        format!("over {limit} bytes with its references"),
                    ));
                }
                resolution.path.push(reference.clone());
                self.follow(&referenced, resolution).await?;
                resolution.path.pop();
                resolution.done.insert(reference.clone());
                // Two subjects' versions may both be known by one name; that is no news if they
                // say the same, and ambiguous if not.
                match resolution
                    .found
                    .iter()
                    .find(|found| found.name == reference.name)
                {
                    Some(known) if known.text == referenced.text => {}
                    Some(_) => {
                        let name = &reference.name;
                        return Err(invalid(schema, format!("{name} refers to two schemas")));
                    }
                    None => resolution.found.push(ReferencedSchema {
                        name: reference.name.clone(),
                        text: referenced.text.clone(),
                    }),
                }
            }
            Ok(())
        })
    }

    async fn referenced(&self, reference: &Reference) -> Result<Arc<Fetched>, RegistryError> {
        if let Some(known) = self.versions.get(reference).await {
            return Ok(known);
        }
        let fetched = self
            .fetch_version(&reference.subject, reference.version)
            .await?;
        let fetched = Arc::new(fetched);
        if reference.version > 0 {
            self.versions
                .insert(reference.clone(), fetched.clone())
                .await;
        }
        Ok(fetched)
    }

    async fn get(
        &self,
        operation: &'static str,
        what: &str,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Reply, RegistryError> {
        let call = Call {
            operation,
            what,
            method: Method::GET,
            segments,
            query,
            body: None,
        };
        self.transport.call(&call).await
    }

    async fn post(
        &self,
        operation: &'static str,
        what: &str,
        segments: &[&str],
        query: &[(&str, &str)],
        schema: &NewSchema,
    ) -> Result<Reply, RegistryError> {
        let request = SchemaRequest {
            schema: Some(schema.text.clone()),
            // Registries from before other kinds don't know the property.
            schema_type: (schema.kind != SchemaKind::Avro).then(|| schema.kind.to_string()),
            references: (!schema.references.is_empty()).then(|| schema.references.clone()),
            ..SchemaRequest::default()
        };
        let body = serde_json::to_vec(&request)
            .map(Bytes::from)
            .map_err(|error| RegistryError::Configuration(error.to_string()))?;
        let call = Call {
            operation,
            what,
            method: Method::POST,
            segments,
            query,
            body: Some(body),
        };
        self.transport.call(&call).await
    }
}

fn parsed<T: DeserializeOwned>(reply: &Reply) -> Result<T, RegistryError> {
    serde_json::from_slice(&reply.body).map_err(|error| RegistryError::Invalid {
        url: reply.url.clone(),
        reason: format!("not the JSON of a registry: {error}"),
    })
}

fn fetched(reply: Reply) -> Result<Fetched, RegistryError> {
    let answer: SchemaAnswer = parsed(&reply)?;
    let url = reply.url;
    let id = id_of(&answer);
    let Some(kind) = SchemaKind::from_wire(answer.schema_type.as_deref()) else {
        let kind = answer.schema_type.unwrap_or_default();
        let kind: String = kind.chars().take(32).collect();
        return Err(RegistryError::Invalid {
            url,
            reason: format!("unknown schema type {kind:?}"),
        });
    };
    match answer.schema {
        Some(text) => Ok(Fetched {
            text,
            kind,
            references: answer.references.unwrap_or_default(),
            subject: answer.subject,
            version: answer.version,
            id,
            url,
        }),
        None => Err(RegistryError::Invalid {
            url,
            reason: "there is no schema in it".into(),
        }),
    }
}

fn id_of(answer: &SchemaAnswer) -> Option<u32> {
    answer.id.and_then(|id| u32::try_from(id).ok())
}

fn invalid(fetched: &Fetched, reason: String) -> RegistryError {
    RegistryError::Invalid {
        url: fetched.url.clone(),
        reason,
    }
}
