//! Errors as the REST API tells them: a status, a code, a message.

use std::fmt::Display;

use hyper::StatusCode;

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    /// The status, or the status with two more digits that say which.
    pub(super) code: i32,
    pub(super) message: String,
}

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) = $code:literal, $($format:expr),+;)*) => {
        impl ApiError {$(
            $(#[$doc])*
            pub(super) fn $name($($argument: $type),*) -> ApiError {
                ApiError::coded($code, format!($($format),+))
            }
        )*}
    };
}

errors! {
    subject_not_found(subject: &str) = 40401, "Subject '{subject}' not found.";
    version_not_found(version: impl Display) = 40402, "Version {version} not found.";
    schema_not_found() = 40403, "Schema not found";
    schema_id_not_found(id: impl Display) = 40403, "Schema {id} not found";
    subject_soft_deleted(subject: &str) = 40404,
        "Subject '{subject}' is soft-deleted; permanent=true deletes it permanently";
    subject_not_soft_deleted(subject: &str) = 40405,
        "Subject '{subject}' has to be soft-deleted before it is deleted permanently";
    version_soft_deleted(subject: &str, version: u32) = 40406,
        "Version {version} of subject '{subject}' is soft-deleted; permanent=true deletes it \
         permanently";
    version_not_soft_deleted(subject: &str, version: u32) = 40407,
        "Version {version} of subject '{subject}' has to be soft-deleted before it is deleted \
         permanently";
    no_subject_compatibility(subject: &str) = 40408,
        "Subject '{subject}' has no compatibility level of its own";
    no_subject_mode(subject: &str) = 40409, "Subject '{subject}' has no mode of its own";
    incompatible(subject: &str, details: &str) = 409,
        "Schema being registered is incompatible with an earlier schema for subject \
         \"{subject}\", details: {details}";
    invalid_schema(why: impl Display) = 42201, "Invalid schema: {why}";
    invalid_version(version: &str) = 42202,
        "'{version}' is no version: a number from 1 to 2147483647, or \"latest\"";
    invalid_compatibility(level: &str) = 42203,
        "'{level}' is no compatibility level: NONE, BACKWARD, BACKWARD_TRANSITIVE, FORWARD, \
         FORWARD_TRANSITIVE, FULL or FULL_TRANSITIVE";
    invalid_mode(mode: &str) = 42204,
        "'{mode}' is no mode: READWRITE, READONLY, READONLY_OVERRIDE or IMPORT";
    not_permitted(why: impl Display) = 42205, "{why}";
    referenced(subject: &str, version: u32) = 42206,
        "Version {version} of subject '{subject}' is referred to by other schemas";
    invalid_subject(subject: &str, why: &str) = 42208, "'{subject}' is no subject: {why}";
    too_large(why: impl Display) = 42209, "{why}";
    bad_request(why: impl Display) = 400, "{why}";
    unprocessable(why: impl Display) = 422, "{why}";
    unauthorized() = 401, "the registry wants a user and a password";
    no_such_path() = 404, "HTTP 404 Not Found";
    method_not_allowed() = 405, "HTTP 405 Method Not Allowed";
    request_timeout() = 408, "the request's body didn't arrive in time";
    body_too_large(limit: usize) = 413, "the request's body is longer than {limit} bytes";
    media_type(found: &str) = 415,
        "the request's body is of type {found}, where application/vnd.schemaregistry.v1+json or \
         application/json is read";
    store(why: &(impl Display + ?Sized)) = 50001, "the change could not be stored: {why}";
    internal(why: impl Display) = 500, "{why}";
}

impl ApiError {
    fn coded(code: i32, message: String) -> ApiError {
        let status = if code >= 1000 { code / 100 } else { code };
        let status = u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok());
        ApiError {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            message,
        }
    }
}
