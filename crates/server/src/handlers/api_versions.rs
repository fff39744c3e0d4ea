//! ApiVersions: what this broker serves.

use fletch_wire::ErrorCode;
use fletch_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::Context;
use crate::dispatch;

pub(crate) fn handle(context: &Context<'_>, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    let named = is_client_name(&request.client_software_name)
        && is_client_name(&request.client_software_version);
    if context.version() >= 3 && !named {
        return ApiVersionsResponse {
            error_code: context.count(ErrorCode::INVALID_REQUEST),
            ..Default::default()
        };
    }
    // No features: advertising one, such as `transaction.version`, changes how clients speak.
    ApiVersionsResponse {
        api_keys: dispatch::served(),
        ..Default::default()
    }
}

/// KIP-511's rule: letters and digits, with `-` and `.` between them.
fn is_client_name(name: &str) -> bool {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::is_client_name;

    #[test]
    fn client_names_follow_kip_511() {
        for (name, good) in [
            ("apache-kafka-java", true),
            ("2.16.0", true),
            ("a", true),
            ("", false),
            ("-a", false),
            ("a b", false),
        ] {
            assert_eq!(is_client_name(name), good, "{name:?}");
        }
    }
}
