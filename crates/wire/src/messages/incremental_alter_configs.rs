//! IncrementalAlterConfigs (44): changes entries in the configuration of resources (KIP-339).

use crate::{ErrorCode, Str};

message! {
    /// Asks to change entries; those that aren't named stay as they are.
    IncrementalAlterConfigsRequest, versions "0-1", flexible "1+" {
        /// The resources.
        resources: Vec<AlterConfigsResource>, "0+";
        /// Whether only to say if they could be changed.
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
        /// What to do: 0 sets it, 1 gives it its default, 2 adds to its list, 3 takes from its
        /// list.
        config_operation: i8, "0+";
        /// The value; null for none.
        value: Option<Str>, "0+", nullable("0+");
    }
}

message! {
    /// Which resources are changed.
    IncrementalAlterConfigsResponse, versions "0-1", flexible "1+" {
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
