//! DescribeConfigs (32): the configuration of topics and brokers.

use crate::{ErrorCode, Str};

message! {
    /// Asks for the configuration of resources.
    DescribeConfigsRequest, versions "0-4", flexible "4+" {
        /// The resources.
        resources: Vec<DescribeConfigsResource>, "0+";
        /// Whether to say what else would set an entry if this didn't.
        include_synonyms: bool, "1+";
        /// Whether to say what the entries are for.
        include_documentation: bool, "3+";
    }

    /// A resource.
    struct DescribeConfigsResource {
        /// 2 for a topic, 4 for a broker, 8 for a broker's loggers.
        resource_type: i8, "0+";
        /// Its name; of a broker, its id or nothing for the cluster's default.
        resource_name: Str, "0+";
        /// The entries; null for all.
        configuration_keys: Option<Vec<Str>>, "0+", nullable("0+");
    }
}

message! {
    /// The configuration of resources.
    DescribeConfigsResponse, versions "0-4", flexible "4+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// The resources.
        results: Vec<DescribeConfigsResult>, "0+";
    }

    /// The configuration of one resource.
    struct DescribeConfigsResult {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// 2 for a topic, 4 for a broker, 8 for a broker's loggers.
        resource_type: i8, "0+";
        /// Its name.
        resource_name: Str, "0+";
        /// The entries.
        configs: Vec<DescribeConfigsResourceResult>, "0+";
    }

    /// One entry.
    struct DescribeConfigsResourceResult {
        /// Its name.
        name: Str, "0+";
        /// Its value; null if it is secret.
        value: Option<Str>, "0+", nullable("0+");
        /// Whether it can't be changed.
        read_only: bool, "0+";
        /// Whether it has its default.
        is_default: bool, "0";
        /// What set it: 1 the topic, 2 the broker, 3 the brokers' dynamic default, 4 the broker's
        /// file, 5 nothing (it has its default), 6 the broker's loggers; -1 or 0 if unknown.
        config_source: i8 = -1, "1+", ignorable;
        /// Whether its value is secret, and null therefore.
        is_sensitive: bool, "0+";
        /// What would set it otherwise, the one in force first.
        synonyms: Vec<DescribeConfigsSynonym>, "1+", ignorable;
        /// Its type: 0 unknown, 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list,
        /// 8 class, 9 password.
        config_type: i8, "3+", ignorable;
        /// What it is for.
        documentation: Option<Str>, "3+", nullable("0+"), ignorable;
    }

    /// One of the places that set an entry.
    struct DescribeConfigsSynonym {
        /// Its name there.
        name: Str, "1+";
        /// Its value there; null if it is secret.
        value: Option<Str>, "1+", nullable("0+");
        /// The place: see `config_source`.
        source: i8, "1+";
    }
}
