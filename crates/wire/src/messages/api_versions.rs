//! ApiVersions (18): what a broker speaks. The first request of nearly every connection.
//!
//! A broker answers a version it doesn't know in version 0 of the body, with UNSUPPORTED_VERSION and
//! the versions it does know (KIP-511), and the header of the answer is always version 0.

use crate::{ErrorCode, Str};

message! {
    /// Asks a broker which APIs it serves, in which versions.
    ApiVersionsRequest, versions "0-4", flexible "3+" {
        /// The name of the client library.
        client_software_name: Str, "3+", ignorable;
        /// The version of the client library.
        client_software_version: Str, "3+", ignorable;
    }
}

message! {
    /// The APIs a broker serves.
    ApiVersionsResponse, versions "0-4", flexible "3+" {
        /// UNSUPPORTED_VERSION if the request came in a version that the broker doesn't know.
        error_code: ErrorCode, "0+";
        /// The APIs.
        api_keys: Vec<ApiVersion>, "0+";
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "1+", ignorable;
        /// Features the broker could do. Up to version 3 without those that start at version 0
        /// (KAFKA-17011).
        supported_features: Vec<SupportedFeatureKey>, "3+", tag(0), ignorable;
        /// Since which epoch the finalized features hold; -1 if that is unknown.
        finalized_features_epoch: i64 = -1, "3+", tag(1), ignorable;
        /// Features in force in the cluster.
        finalized_features: Vec<FinalizedFeatureKey>, "3+", tag(2), ignorable;
        /// Whether a KRaft controller is ready to take over from ZooKeeper.
        zk_migration_ready: bool, "3+", tag(3), ignorable;
    }

    /// The versions of one API.
    struct ApiVersion {
        /// The API.
        api_key: i16, "0+";
        /// The lowest version.
        min_version: i16, "0+";
        /// The highest version.
        max_version: i16, "0+";
    }

    /// The levels of one feature that the broker could do.
    struct SupportedFeatureKey {
        /// The feature.
        name: Str, "3+";
        /// The lowest level.
        min_version: i16, "3+";
        /// The highest level.
        max_version: i16, "3+";
    }

    /// The levels of one feature in force.
    struct FinalizedFeatureKey {
        /// The feature.
        name: Str, "3+";
        /// The highest level.
        max_version_level: i16, "3+";
        /// The lowest level.
        min_version_level: i16, "3+";
    }
}
