//! DescribeClientQuotas (48): the quotas of users, client ids and addresses (KIP-546).

use crate::{ErrorCode, Str};

message! {
    /// Asks for quotas.
    DescribeClientQuotasRequest, versions "0-1", flexible "1+" {
        /// What the entities must match.
        components: Vec<ComponentData>, "0+";
        /// Whether entities that have more parts than the components are left out.
        strict: bool, "0+";
    }

    /// What one part of an entity must match.
    struct ComponentData {
        /// The type of the part: `user`, `client-id` or `ip`.
        entity_type: Str, "0+";
        /// 0 for the name that is given, 1 for the default, 2 for any name.
        match_type: i8, "0+";
        /// The name; null for no particular one.
        r#match: Option<Str>, "0+", nullable("0+");
    }
}

message! {
    /// Quotas.
    DescribeClientQuotasResponse, versions "0-1", flexible "1+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// By entity; null if something went wrong.
        entries: Option<Vec<EntryData>>, "0+", nullable("0+");
    }

    /// The quotas of one entity.
    struct EntryData {
        /// The entity's parts.
        entity: Vec<EntityData>, "0+";
        /// Its quotas.
        values: Vec<ValueData>, "0+";
    }

    /// A part of an entity.
    struct EntityData {
        /// Its type: `user`, `client-id` or `ip`.
        entity_type: Str, "0+";
        /// Its name; null for the default.
        entity_name: Option<Str>, "0+", nullable("0+");
    }

    /// A quota.
    struct ValueData {
        /// Its name, such as `producer_byte_rate`.
        key: Str, "0+";
        /// Its value.
        value: f64, "0+";
    }
}
