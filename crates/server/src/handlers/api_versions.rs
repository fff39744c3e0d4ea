//! ApiVersions: what this broker serves.

use fletch_wire::messages::api_versions::{FinalizedFeatureKey, SupportedFeatureKey};
use fletch_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use fletch_wire::{ErrorCode, Str};

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
    answer()
}

/// The feature that says that consumer groups may be of the new protocol (KIP-848).
const GROUP_VERSION: Str = Str::from_static("group.version");

/// The features are not more than what holds here: others change how clients speak, such as
/// `transaction.version`.
fn answer() -> ApiVersionsResponse {
    let (min_version, max_version) = (0, 1);
    ApiVersionsResponse {
        api_keys: dispatch::served(),
        supported_features: vec![SupportedFeatureKey {
            name: GROUP_VERSION,
            min_version,
            max_version,
            ..Default::default()
        }],
        finalized_features_epoch: 0,
        finalized_features: vec![FinalizedFeatureKey {
            name: GROUP_VERSION,
            max_version_level: max_version,
            min_version_level: max_version,
            ..Default::default()
        }],
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
