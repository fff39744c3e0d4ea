//! From a request to what answers it: paths, methods, bodies.

use std::borrow::Cow;
use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use metrics::histogram;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Embedded;
use super::api_error::ApiError;
use super::names::{self, SubjectName};
use super::query::{Query, Wanted};
use super::register::Registered;
use super::schemas::{formatted, shown};
use super::settings::Scope;
use super::subjects::{VersionName, version_answer};
use crate::rest::{
    ACCEPT_UNKNOWN, CONTENT_TYPE, CompatibilityAnswer, ErrorAnswer, SchemaAnswer, SchemaRequest,
};

/// A resource that a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Root,
    Subjects,
    Subject(String),
    Versions(String),
    Version(String, String),
    VersionSchema(String, String),
    ReferencedBy(String, String),
    Metadata(String),
    Schemas,
    SchemaTypes,
    SchemaById(String),
    SchemaText(String),
    SchemaSubjects(String),
    SchemaVersions(String),
    SchemaByGuid(String),
    SchemaIdsByGuid(String),
    CompatibilityAll(String),
    Compatibility(String, String),
    Config(Option<String>),
    Mode(Option<String>),
    Contexts,
    Associations,
    ServerId,
    ServerVersion,
}

impl Route {
    fn parse(segments: &[&str]) -> Option<Route> {
        let text = |segment: &&str| (*segment).to_owned();
        Some(match segments {
            [] => Route::Root,
            ["subjects"] => Route::Subjects,
            ["subjects", subject] => Route::Subject(text(subject)),
            ["subjects", subject, "versions"] => Route::Versions(text(subject)),
            ["subjects", subject, "metadata"] => Route::Metadata(text(subject)),
            ["subjects", subject, "versions", version] => {
                Route::Version(text(subject), text(version))
            }
            ["subjects", subject, "versions", version, "schema"] => {
                Route::VersionSchema(text(subject), text(version))
            }
            ["subjects", subject, "versions", version, "referencedby"] => {
                Route::ReferencedBy(text(subject), text(version))
            }
            ["schemas"] => Route::Schemas,
            ["schemas", "types"] => Route::SchemaTypes,
            ["schemas", "ids", id] => Route::SchemaById(text(id)),
            ["schemas", "ids", id, "schema"] => Route::SchemaText(text(id)),
            ["schemas", "ids", id, "subjects"] => Route::SchemaSubjects(text(id)),
            ["schemas", "ids", id, "versions"] => Route::SchemaVersions(text(id)),
            ["schemas", "guids", guid] => Route::SchemaByGuid(text(guid)),
            ["schemas", "guids", guid, "ids"] => Route::SchemaIdsByGuid(text(guid)),
            ["compatibility", "subjects", subject, "versions"] => {
                Route::CompatibilityAll(text(subject))
            }
            ["compatibility", "subjects", subject, "versions", version] => {
                Route::Compatibility(text(subject), text(version))
            }
            ["config"] => Route::Config(None),
            ["config", subject] => Route::Config(Some(text(subject))),
            ["mode"] => Route::Mode(None),
            ["mode", subject] => Route::Mode(Some(text(subject))),
            ["contexts"] => Route::Contexts,
            ["associations", "resources", _namespace, _name] => Route::Associations,
            ["v1", "metadata", "id"] => Route::ServerId,
            ["v1", "metadata", "version"] => Route::ServerVersion,
            _ => return None,
        })
    }

    /// The resource's name in metrics.
    fn label(&self) -> &'static str {
        match self {
            Route::Root => "root",
            Route::Subjects => "subjects",
            Route::Subject(_) => "subject",
            Route::Versions(_) => "versions",
            Route::Version(..) => "version",
            Route::VersionSchema(..) => "version_schema",
            Route::ReferencedBy(..) => "referencedby",
            Route::Metadata(_) => "subject_metadata",
            Route::Schemas => "schemas",
            Route::SchemaTypes => "schema_types",
            Route::SchemaById(_) => "schema_by_id",
            Route::SchemaText(_) => "schema_text",
            Route::SchemaSubjects(_) => "schema_subjects",
            Route::SchemaVersions(_) => "schema_versions",
            Route::SchemaByGuid(_) => "schema_by_guid",
            Route::SchemaIdsByGuid(_) => "schema_ids_by_guid",
            Route::CompatibilityAll(_) | Route::Compatibility(..) => "compatibility",
            Route::Config(_) => "config",
            Route::Mode(_) => "mode",
            Route::Contexts => "contexts",
            Route::Associations => "associations",
            Route::ServerId | Route::ServerVersion => "server_metadata",
        }
    }
}

/// A request, taken apart.
struct Asked {
    method: Method,
    query: Query,
    /// The context that the path begins with.
    context: Option<String>,
    /// Whether the client takes properties it doesn't know.
    extended: bool,
    body: Bytes,
}

/// Answers a request, whatever it is.
pub(super) async fn handle<B>(registry: &Embedded, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let (route, answer) = match take_apart(&path) {
        None => ("unknown", Err(ApiError::no_such_path())),
        Some((route, _)) if !registry.config().lets_in(request.headers()) => {
            (route.label(), Err(ApiError::unauthorized()))
        }
        Some((route, context)) => {
            let answer = match read(registry, request, context).await {
                Ok(asked) => registry.answer(&route, asked).await,
                Err(error) => Err(error),
            };
            (route.label(), answer)
        }
    };
    let response = match answer {
        Ok(body) => respond(StatusCode::OK, body),
        Err(error) => {
            let ApiError {
                status,
                code,
                message,
            } = error;
            tracing::debug!(%method, path, code, message, "request refused");
            let body = ErrorAnswer {
                error_code: code,
                message,
            };
            respond(status, serde_json::to_vec(&body).unwrap_or_default())
        }
    };
    histogram!(
        "kafka_registry_request_duration_seconds",
        "route" => route,
        "status" => response.status().as_str().to_owned(),
    )
    .record(started.elapsed().as_secs_f64());
    response
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"schema registry\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}

/// The resource of a path, and the context it is in.
fn take_apart(path: &str) -> Option<(Route, Option<String>)> {
    // Segments are told apart before they are decoded: a subject may have a slash in it.
    let segments: Option<Vec<Cow<'_, str>>> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8().ok())
        .collect();
    let segments = segments?;
    let segments: Vec<&str> = segments.iter().map(Cow::as_ref).collect();
    match segments.as_slice() {
        ["contexts", context, rest @ ..] if !rest.is_empty() => {
            Some((Route::parse(rest)?, Some(names::context(context))))
        }
        segments => Some((Route::parse(segments)?, None)),
    }
}

async fn read<B>(
    registry: &Embedded,
    request: Request<B>,
    context: Option<String>,
) -> Result<Asked, ApiError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let limit = registry.config().request_bytes_max;
    let collected = Limited::new(body, limit).collect();
    let body = match tokio::time::timeout(registry.config().request_timeout, collected).await {
        Err(_) => return Err(ApiError::request_timeout()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(ApiError::body_too_large(limit));
        }
        Ok(Err(error)) => return Err(ApiError::bad_request(error)),
        Ok(Ok(body)) => body.to_bytes(),
    };
    if !body.is_empty() {
        check_media_type(&head.headers)?;
    }
    let extended = takes_unknown(&head.headers);
    let query = Query::parse(head.uri.query());
    Ok(Asked {
        method: head.method,
        query,
        context,
        extended,
        body,
    })
}

/// Whether the client takes properties that the first ones didn't know. Some say so only where they
/// send a body; but those that tell their version at all are new enough.
fn takes_unknown(headers: &HeaderMap) -> bool {
    let says_so = headers
        .get(ACCEPT_UNKNOWN)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    says_so || headers.contains_key("confluent-client-version")
}

/// Only types that a web page can't send to another site without asking: or any page that is open in
/// a developer's browser could register schemas on their machine.
fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        // A page can send bytes without a type, and can't help saying where it comes from.
        return match headers.contains_key(header::ORIGIN) {
            true => Err(ApiError::media_type("none")),
            false => Ok(()),
        };
    };
    let text = value.to_str().unwrap_or("unreadable");
    let kind = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let known = [
        CONTENT_TYPE,
        "application/vnd.schemaregistry+json",
        "application/json",
    ];
    if known.contains(&kind.as_str()) || kind == "application/octet-stream" {
        Ok(())
    } else {
        Err(ApiError::media_type(
            &kind.chars().take(64).collect::<String>(),
        ))
    }
}

type Answer = Result<Vec<u8>, ApiError>;

fn json_of(value: &impl Serialize) -> Answer {
    serde_json::to_vec(value).map_err(ApiError::internal)
}

impl Asked {
    fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let parsed = serde_json::from_slice(&self.body);
        parsed.map_err(|error| {
            // Text that isn't JSON is a bad request; JSON of another shape can't be processed.
            match error.classify() {
                serde_json::error::Category::Data => {
                    ApiError::unprocessable(format!("the body isn't what is expected: {error}"))
                }
                _ => ApiError::bad_request(format!("the body isn't JSON: {error}")),
            }
        })
    }

    fn schema(&self) -> Result<SchemaRequest, ApiError> {
        let request: SchemaRequest = self.json()?;
        // A property without effect is refused, lest its sender count on it, except by those who
        // say that they don't.
        match request.unknown.keys().next() {
            Some(unknown) if !self.extended => {
                let unknown: String = unknown.chars().take(64).collect();
                Err(ApiError::unprocessable(format!(
                    "Unrecognized field: {unknown}"
                )))
            }
            _ => Ok(request),
        }
    }

    fn subject(&self, text: &str) -> Result<SubjectName, ApiError> {
        SubjectName::parse(text, self.context.as_deref())
    }

    fn scope(&self, subject: &Option<String>) -> Result<Scope, ApiError> {
        match (subject, &self.context) {
            (Some(subject), _) => self.subject(subject).map(Some),
            (None, Some(context)) => self.subject(&format!(":{context}:")).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn page<T: Serialize>(&self, items: Vec<T>) -> Answer {
        json_of(&self.query.page(items)?)
    }
}

impl Embedded {
    async fn answer(&self, route: &Route, asked: Asked) -> Answer {
        let Asked {
            query, extended, ..
        } = &asked;
        let extended = *extended;
        match (&asked.method, route) {
            (&Method::GET, Route::Root) => json_of(&json!({})),
            (&Method::GET, Route::Subjects) => {
                asked.page(self.list_subjects(query, asked.context.as_deref()))
            }
            (&Method::POST, Route::Subject(subject)) => {
                let subject = asked.subject(subject)?;
                let normalize = query.is_set("normalize");
                let request = asked.schema()?;
                let found = self
                    .look_up(&subject, &request, normalize, query.wanted())
                    .await?;
                let Registered { version, schema } = &found;
                let answer = version_answer(&subject, version, schema, extended);
                json_of(&formatted(&self.state(), schema, query, answer))
            }
            (&Method::DELETE, Route::Subject(subject)) => {
                let subject = asked.subject(subject)?;
                json_of(
                    &self
                        .delete_subject(&subject, query.is_set("permanent"))
                        .await?,
                )
            }
            (&Method::GET, Route::Versions(subject)) => {
                asked.page(self.list_versions(&asked.subject(subject)?, query.wanted())?)
            }
            (&Method::POST, Route::Versions(subject)) => {
                let subject = asked.subject(subject)?;
                let normalize = query.is_set("normalize");
                let found = self.register(&subject, &asked.schema()?, normalize).await?;
                json_of(&registered(&found, extended))
            }
            (&Method::GET, Route::Version(subject, version)) => {
                let subject = asked.subject(subject)?;
                let version = VersionName::parse(version)?;
                let answer = self.version(
                    &subject,
                    version,
                    query.wanted(),
                    |state, version, schema| {
                        let answer = version_answer(&subject, version, schema, extended);
                        formatted(state, schema, query, answer)
                    },
                )?;
                json_of(&answer)
            }
            (&Method::DELETE, Route::Version(subject, version)) => {
                let (subject, version) = (asked.subject(subject)?, VersionName::parse(version)?);
                let permanent = query.is_set("permanent");
                json_of(&self.delete_version(&subject, version, permanent).await?)
            }
            (&Method::GET, Route::VersionSchema(subject, version)) => {
                let (subject, version) = (asked.subject(subject)?, VersionName::parse(version)?);
                self.version(&subject, version, query.wanted(), |state, _, schema| {
                    let shown = shown(state, schema, query, false).schema;
                    shown.unwrap_or_default().into_bytes()
                })
            }
            (&Method::GET, Route::ReferencedBy(subject, version)) => {
                let (subject, version) = (asked.subject(subject)?, VersionName::parse(version)?);
                asked.page(self.referring(&subject, version)?)
            }
            (&Method::GET, Route::Metadata(subject)) => {
                let subject = asked.subject(subject)?;
                json_of(&self.version_with_metadata(&subject, query, extended)?)
            }
            (&Method::GET, Route::Schemas) => {
                json_of(&self.list_schemas(query, asked.context.as_deref(), extended)?)
            }
            (&Method::GET, Route::SchemaTypes) => json_of(&["JSON", "PROTOBUF", "AVRO"]),
            (&Method::GET, Route::SchemaById(id)) => {
                json_of(&self.schema_by_id(id, query, extended)?)
            }
            (&Method::GET, Route::SchemaText(id)) => {
                self.schema_text(id, query).map(String::into_bytes)
            }
            (&Method::GET, Route::SchemaSubjects(id)) => asked.page(self.subjects_of(id, query)?),
            (&Method::GET, Route::SchemaVersions(id)) => asked.page(self.versions_of(id, query)?),
            (&Method::GET, Route::SchemaByGuid(guid)) => {
                json_of(&self.schema_by_guid(guid, query, extended)?)
            }
            (&Method::GET, Route::SchemaIdsByGuid(guid)) => json_of(&self.ids_by_guid(guid)?),
            (&Method::POST, Route::CompatibilityAll(subject)) => {
                let subject = asked.subject(subject)?;
                json_of(&self.check_compatibility(&subject, None, &asked).await?)
            }
            (&Method::POST, Route::Compatibility(subject, version)) => {
                let (subject, version) = (asked.subject(subject)?, VersionName::parse(version)?);
                json_of(
                    &self
                        .check_compatibility(&subject, Some(version), &asked)
                        .await?,
                )
            }
            (&Method::GET, Route::Config(subject)) => {
                json_of(&self.config_of(&asked.scope(subject)?, query.is_set("defaultToGlobal"))?)
            }
            (&Method::PUT, Route::Config(subject)) => {
                let body: Map<String, Value> = asked.json()?;
                json_of(&self.set_config(asked.scope(subject)?, &body).await?)
            }
            (&Method::DELETE, Route::Config(subject)) => {
                json_of(&self.delete_config(asked.scope(subject)?).await?)
            }
            (&Method::GET, Route::Mode(subject)) => {
                json_of(&self.mode_of(&asked.scope(subject)?, query.is_set("defaultToGlobal"))?)
            }
            (&Method::PUT, Route::Mode(subject)) => {
                let body: Map<String, Value> = asked.json()?;
                let force = query.is_set("force");
                json_of(&self.set_mode(asked.scope(subject)?, &body, force).await?)
            }
            (&Method::DELETE, Route::Mode(subject)) => {
                json_of(&self.delete_mode(asked.scope(subject)?).await?)
            }
            (&Method::GET, Route::Contexts) => asked.page(self.list_contexts()),
            // Subjects are associated with topics by their names alone.
            (&Method::GET, Route::Associations) => json_of(&Vec::<Value>::new()),
            (&Method::GET, Route::ServerId) => {
                let mut clusters = Map::new();
                if let Some(id) = &self.config().cluster_id {
                    clusters.insert("kafka-cluster".into(), json!(id));
                }
                clusters.insert("schema-registry-cluster".into(), json!("fletch"));
                json_of(&json!({"id": "", "scope": {"path": [], "clusters": clusters}}))
            }
            (&Method::GET, Route::ServerVersion) => {
                json_of(&json!({"version": env!("CARGO_PKG_VERSION"), "commitId": ""}))
            }
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    /// Checks a schema against one version of a subject, or against those its level names.
    async fn check_compatibility(
        &self,
        subject: &SubjectName,
        version: Option<VersionName>,
        asked: &Asked,
    ) -> Result<CompatibilityAnswer, ApiError> {
        let query = &asked.query;
        let request = asked.schema()?;
        let normalize = query.is_set("normalize");
        let (versions, config) = {
            let state = self.state();
            let versions = match version {
                Some(version) => {
                    let entry = state.existing(subject, Wanted::Live)?;
                    vec![version.find(&entry, Wanted::Live)?.clone()]
                }
                // A subject to be takes any schema.
                None => state.subject(subject).live().cloned().collect(),
            };
            (versions, state.config(subject))
        };
        let candidate = self
            .candidate(subject, &request, normalize, Wanted::Live)
            .await?;
        let messages = self.misfits(&candidate, versions, &config).await?;
        Ok(CompatibilityAnswer {
            is_compatible: messages.is_empty(),
            messages: query.is_set("verbose").then_some(messages),
        })
    }
}

/// The id is all that the first registries answered with.
fn registered(found: &Registered, extended: bool) -> SchemaAnswer {
    let Registered { version, schema } = found;
    SchemaAnswer {
        id: Some(version.id.into()),
        version: i32::try_from(version.version).ok().filter(|_| extended),
        guid: extended.then(|| schema.guid().to_string()),
        schema_type: extended.then(|| schema.kind.to_string()),
        ..SchemaAnswer::default()
    }
}
