//! AlterClientQuotas (49): changes the quotas of users, client ids and addresses (KIP-546).

use crate::Str;

pub use answer::AlterClientQuotasResponse;

message! {
    /// Asks to change quotas.
    AlterClientQuotasRequest, versions "0-1", flexible "1+" {
        /// By entity.
        entries: Vec<EntryData>, "0+";
        /// Whether only to say if they could be changed.
        validate_only: bool, "0+";
    }

    /// What to change for one entity.
    struct EntryData {
        /// The entity's parts.
        entity: Vec<EntityData>, "0+";
        /// The changes.
        ops: Vec<OpData>, "0+";
    }

    /// A part of an entity.
    struct EntityData {
        /// Its type: `user`, `client-id` or `ip`.
        entity_type: Str, "0+";
        /// Its name; null for the default.
        entity_name: Option<Str>, "0+", nullable("0+");
    }

    /// A change.
    struct OpData {
        /// The quota's name, such as `producer_byte_rate`.
        key: Str, "0+";
        /// Its value.
        value: f64, "0+";
        /// Whether it is to be removed instead.
        remove: bool, "0+";
    }
}

/// The answer, whose entries have the name of the request's.
pub mod answer {
    use super::EntityData;
    use crate::{ErrorCode, Str};

    message! {
        /// Which quotas are changed.
        AlterClientQuotasResponse, versions "0-1", flexible "1+" {
            /// How long the answer was held back for a quota, in milliseconds.
            throttle_time_ms: i32, "0+";
            /// By entity.
            entries: Vec<EntryData>, "0+";
        }

        /// What became of one entity's.
        struct EntryData {
            /// What went wrong.
            error_code: ErrorCode, "0+";
            /// What went wrong, in words.
            error_message: Option<Str>, "0+", nullable("0+");
            /// The entity's parts.
            entity: Vec<EntityData>, "0+";
        }
    }
}
