//! AlterConfigs (33): sets the whole configuration of resources.

use crate::{ErrorCode, Str};

message! {
    /// Asks to set the configuration of resources; entries that aren't named get their defaults.
    AlterConfigsRequest, versions "0-2", flexible "2+" {
        /// The resources.
        resources: Vec<AlterConfigsResource>, "0+";
        /// Whether only to say if it could be set.
        validate_only: bool, "0+";
    }

    /// A resource.
    struct AlterConfigsResource {
        /// 2 for a topic, 4 for a broker, 8 for a broker's loggers.
        resource_type: i8, "0+";
        /// Its name; of a broker, its id or nothing for the cluster's default.
        resource_name: Str, "0+";
        /// The entries.
        configs: Vec<AlterableConfig>, "0+";
    }

    /// An entry.
    struct AlterableConfig {
        /// Its name.
        name: Str, "0+";
        /// Its value; null for its default.
        value: Option<Str>, "0+", nullable("0+");
    }
}

message! {
    /// Which resources are configured.
    AlterConfigsResponse, versions "0-2", flexible "2+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// By resource.
        responses: Vec<AlterConfigsResourceResponse>, "0+";
    }

    /// What became of one resource.
    struct AlterConfigsResourceResponse {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// 2 for a topic, 4 for a broker, 8 for a broker's loggers.
        resource_type: i8, "0+";
        /// Its name.
        resource_name: Str, "0+";
    }
}
