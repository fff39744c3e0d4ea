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
/// The feature that says how producers speak of their transactions (KIP-890): with 2, Produce and
/// TxnOffsetCommit add to them, and each end gives the producer another epoch. Clients that don't know it
/// go on as before.
const TRANSACTION_VERSION: Str = Str::from_static("transaction.version");

/// The features and their levels, in the order of their names, each of which has all levels from 0 on. They
/// are not more than what holds here: others change how clients speak.
const FEATURES: [(Str, i16); 2] = [(GROUP_VERSION, 1), (TRANSACTION_VERSION, 2)];
/// Counts the changes of the features' levels, so that a client which stays knows the newer ones. To be
/// increased with each change of [`FEATURES`].
const FEATURES_EPOCH: i64 = 1;

fn answer() -> ApiVersionsResponse {
    let supported = FEATURES.map(|(name, max_version)| SupportedFeatureKey {
        name,
        min_version: 0,
        max_version,
        ..Default::default()
    });
    let finalized = FEATURES.map(|(name, level)| FinalizedFeatureKey {
        name,
        max_version_level: level,
        min_version_level: level,
        ..Default::default()
    });
    ApiVersionsResponse {
        api_keys: dispatch::served(),
        supported_features: supported.to_vec(),
        finalized_features_epoch: FEATURES_EPOCH,
        finalized_features: finalized.to_vec(),
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
