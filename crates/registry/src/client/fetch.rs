//! Questions to a registry, their answers checked, and references followed.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

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
}

/// References found while one schema is resolved.
struct Resolution {
    /// Where the schema came from, for errors.
    url: String,
    found: Vec<ReferencedSchema>,
    done: HashSet<Reference>,
    /// The way down from the schema: a reference met on its own way down is a circle.
    path: Vec<Reference>,
    text_bytes: usize,
}

impl Resolution {
    fn refuse<T>(&self, reason: impl Into<String>) -> Result<T, RegistryError> {
        Err(RegistryError::Invalid {
            url: self.url.clone(),
            reason: reason.into(),
        })
    }
}

impl Inner {
    pub(super) async fn schema(&self, id: u32) -> Result<Schema, RegistryError> {
        let (what, text) = (format!("schema {id}"), id.to_string());
        let segments = ["schemas", "ids", &text];
        let reply = self.get("schema", &what, &segments, &[], |body| {
            let fetched = fetched(body)?;
            match fetched.id {
                Some(other) if other != id => Err(format!("asked for {what}, it sent {other}")),
                _ => Ok(fetched),
            }
        });
        let Reply { answer, url } = reply.await?;
        self.resolve(id, answer, url).await
    }

    pub(super) async fn subject_version(
        &self,
        subject: &str,
        version: Option<i32>,
    ) -> Result<SubjectVersion, RegistryError> {
        let reply = self.fetch_version(subject, version.unwrap_or(-1)).await?;
        self.as_subject_version(reply).await
    }

    pub(super) async fn register(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<u32, RegistryError> {
        let what = format!("subject {subject}");
        let segments = ["subjects", subject, "versions"];
        let reply = self.post("register", &what, &segments, &[], schema, |body| {
            let answer: SchemaAnswer = parsed(body)?;
            id_of(&answer).ok_or_else(|| "registered, it names no id".to_owned())
        });
        Ok(reply.await?.answer)
    }

    pub(super) async fn look_up(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<SubjectVersion, RegistryError> {
        let what = format!("the schema in subject {subject}");
        let (segments, query) = (["subjects", subject], [("deleted", "true")]);
        let reply = self.post("look_up", &what, &segments, &query, schema, fetched);
        self.as_subject_version(reply.await?).await
    }

    pub(super) async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        let what = "the list of subjects";
        let reply = self.get("subjects", what, &["subjects"], &[], parsed);
        Ok(reply.await?.answer)
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        what: &str,
        segments: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, RegistryError> {
        let call = Call {
            operation: "import",
            what,
            method,
            segments,
            query,
            body: body.map(|body| Bytes::from(body.to_string())),
        };
        Ok(self.transport.call(&call, parsed).await?.answer)
    }

    async fn as_subject_version(
        &self,
        reply: Reply<Fetched>,
    ) -> Result<SubjectVersion, RegistryError> {
        let Reply { answer, url } = reply;
        let (Some(subject), Some(version), Some(id)) =
            (answer.subject.clone(), answer.version, answer.id)
        else {
            let reason = "subject, version or id isn't there".to_owned();
            return Err(RegistryError::Invalid { url, reason });
        };
        let schema = self.resolve(id, answer, url).await?;
        Ok(SubjectVersion {
            subject,
            version,
            schema,
        })
    }

    /// A version of a subject; -1 is the latest. Deleted versions are asked for too: what was
    /// written with a schema is read with it, whatever became of the subject since.
    async fn fetch_version(
        &self,
        subject: &str,
        version: i32,
    ) -> Result<Reply<Fetched>, RegistryError> {
        let text = match version {
            -1 => "latest".to_owned(),
            number => number.to_string(),
        };
        let what = format!("version {text} of subject {subject}");
        let (segments, query) = (
            ["subjects", subject, "versions", &text],
            [("deleted", "true")],
        );
        let reply = self.get("version", &what, &segments, &query, |body| {
            let fetched = fetched(body)?;
            match fetched.version {
                Some(other) if version != -1 && other != version => {
                    Err(format!("asked for {what}, it sent {other}"))
                }
                _ => Ok(fetched),
            }
        });
        reply.await
    }

    async fn resolve(
        &self,
        id: u32,
        fetched: Fetched,
        url: String,
    ) -> Result<Schema, RegistryError> {
        let mut resolution = Resolution {
            url,
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
                    return resolution.refuse("its references go in a circle");
                }
                if resolution.done.contains(reference) {
                    continue;
                }
                let depth = self.config.references_depth_max;
                if resolution.path.len() >= depth {
                    return resolution.refuse(format!("a chain of over {depth} references"));
                }
                // Every schema on the way down will be counted on the way up.
                let most = self.config.references_max;
                if resolution.found.len() + resolution.path.len() >= most {
                    return resolution.refuse(format!("it refers to over {most} schemas"));
                }

                let referenced = self.referenced(reference).await?;
                if referenced.kind != schema.kind {
                    let (one, other) = (schema.kind, referenced.kind);
                    return resolution
                        .refuse(format!("a schema of kind {one} refers to a {other}"));
                }
                resolution.text_bytes += referenced.text.len();
                let limit = self.config.response_bytes_max;
                if resolution.text_bytes > limit {
                    return resolution.refuse(format!("over {limit} bytes with its references"));
                }
                resolution.path.push(reference.clone());
                self.follow(&referenced, resolution).await?;
                resolution.path.pop();
                resolution.done.insert(reference.clone());

                // Two subjects' versions may both be known by one name; that is no news if they
                // say the same, and ambiguous if not.
                let name = &reference.name;
                match resolution.found.iter().find(|found| found.name == *name) {
                    Some(known) if known.text == referenced.text => {}
                    Some(_) => return resolution.refuse(format!("{name} refers to two schemas")),
                    None => resolution.found.push(ReferencedSchema {
                        name: name.clone(),
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
        let Reference {
            subject, version, ..
        } = reference;
        let fetched = Arc::new(self.fetch_version(subject, *version).await?.answer);
        // The latest version is another one tomorrow.
        if *version > 0 {
            self.versions
                .insert(reference.clone(), fetched.clone())
                .await;
        }
        Ok(fetched)
    }

    pub(super) async fn get<T>(
        &self,
        operation: &'static str,
        what: &str,
        segments: &[&str],
        query: &[(&str, &str)],
        understand: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Reply<T>, RegistryError> {
        let call = Call {
            operation,
            what,
            method: Method::GET,
            segments,
            query,
            body: None,
        };
        self.transport.call(&call, understand).await
    }

    async fn post<T>(
        &self,
        operation: &'static str,
        what: &str,
        segments: &[&str],
        query: &[(&str, &str)],
        schema: &NewSchema,
        understand: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Reply<T>, RegistryError> {
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
        self.transport.call(&call, understand).await
    }
}

pub(super) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("not the JSON of a registry: {error}"))
}

fn fetched(body: &[u8]) -> Result<Fetched, String> {
    let answer: SchemaAnswer = parsed(body)?;
    let id = id_of(&answer);
    let Some(kind) = SchemaKind::from_wire(answer.schema_type.as_deref()) else {
        let kind: String = answer
            .schema_type
            .unwrap_or_default()
            .chars()
            .take(32)
            .collect();
        return Err(format!("unknown schema type {kind:?}"));
    };
    Ok(Fetched {
        text: answer.schema.ok_or("there is no schema in it")?,
        kind,
        references: answer.references.unwrap_or_default(),
        subject: answer.subject,
        version: answer.version,
        id,
    })
}

fn id_of(answer: &SchemaAnswer) -> Option<u32> {
    answer.id.and_then(|id| u32::try_from(id).ok())
}
