//! The limits and delays of groups and transactions.

/// Whether a group may be moved from one protocol to the other while it has members. (One without
/// members always may.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// It may not.
    Disabled,
    /// From the classic protocol to the new one.
    Upgrade,
    /// From the new protocol to the classic one.
    Downgrade,
    /// Both ways.
    #[default]
    Bidirectional,
}

impl MigrationPolicy {
    /// Kafka's names of them.
    pub const NAMES: &[&str] = &["disabled", "upgrade", "downgrade", "bidirectional"];

    /// The policy of a name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "disabled" => Some(Self::Disabled),
            "upgrade" => Some(Self::Upgrade),
            "downgrade" => Some(Self::Downgrade),
            "bidirectional" => Some(Self::Bidirectional),
            _ => None,
        }
    }

    pub(crate) fn upgrades(self) -> bool {
        matches!(self, Self::Upgrade | Self::Bidirectional)
    }

    pub(crate) fn downgrades(self) -> bool {
        matches!(self, Self::Downgrade | Self::Bidirectional)
    }
}

/// What groups may be and how long they may take. The names are ours, the defaults Kafka's where
/// it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// The shortest session timeout a member may ask for, in milliseconds
    /// (`group.min.session.timeout.ms`).
    pub session_timeout_ms_min: i32,
    /// The longest session timeout a member may ask for, in milliseconds
    /// (`group.max.session.timeout.ms`).
    pub session_timeout_ms_max: i32,
    /// How long an empty group waits for more members after the first, in milliseconds
    /// (`group.initial.rebalance.delay.ms`).
    pub initial_rebalance_delay_ms: i64,
    /// How long a member without an id may wait for its first generation, in milliseconds: nothing
    /// else says that it is gone.
    pub new_member_timeout_ms: i64,
    /// How long a member may be silent whose partitions the coordinator assigns, in milliseconds
    /// (`group.consumer.session.timeout.ms`).
    pub consumer_session_timeout_ms: i64,
    /// How often such a member is to send heartbeats, in milliseconds
    /// (`group.consumer.heartbeat.interval.ms`).
    pub consumer_heartbeat_interval_ms: i32,
    /// Whether groups are moved between the protocols while they have members
    /// (`group.consumer.migration.policy`).
    pub migration_policy: MigrationPolicy,
    /// The most bytes that a member of such a group may say of itself: names of topics and the like. A member
    /// is one fact, and must fit where facts are kept.
    pub consumer_member_bytes_max: usize,
    /// The most groups.
    pub groups_max: usize,
    /// The most bytes that all groups together may keep, about: members and offsets. What would make
    /// them more is refused; what is there goes on.
    pub groups_bytes_max: usize,
    /// The most members of a group (`group.max.size`).
    pub group_members_max: usize,
    /// The most bytes that a group's members may keep: ids, protocols, assignments. A group is one
    /// fact, and must fit where facts are kept.
    pub group_bytes_max: usize,
    /// The most bytes of the text that a consumer keeps with an offset
    /// (`offset.metadata.max.bytes`).
    pub offset_metadata_bytes_max: usize,
    /// The most offsets of a group, those of open transactions included.
    pub group_offsets_max: usize,
    /// How long offsets are kept that no member uses, in milliseconds
    /// (`offsets.retention.minutes`).
    pub offsets_retention_ms: i64,
    /// How often is looked for offsets to forget, in milliseconds
    /// (`offsets.retention.check.interval.ms`).
    pub offsets_retention_check_ms: i64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            new_member_timeout_ms: 300_000,
            consumer_session_timeout_ms: 45_000,
            consumer_heartbeat_interval_ms: 5_000,
            migration_policy: MigrationPolicy::default(),
            consumer_member_bytes_max: 1 << 20,
            groups_max: 100_000,
            groups_bytes_max: 256 << 20,
            group_members_max: 10_000,
            group_bytes_max: 4 << 20,
            offset_metadata_bytes_max: 4096,
            group_offsets_max: 100_000,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_ms: 600_000,
        }
    }
}

/// What transactions may be and how long they may take. The names are ours, the defaults Kafka's
/// where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionConfig {
    /// The longest time after which a transaction is aborted that a producer may ask for, in
    /// milliseconds (`transaction.max.timeout.ms`).
    pub timeout_ms_max: i32,
    /// How long a transactional id is kept that nobody uses, in milliseconds
    /// (`transactional.id.expiration.ms`).
    pub id_retention_ms: i64,
    /// The most transactional ids.
    pub ids_max: usize,
    /// The most partitions and groups of one transaction.
    pub partitions_max: usize,
    /// The most bytes of their names, about. A transaction is one fact, and must fit where facts are
    /// kept; a group's name can have 32,767 of them.
    pub bytes_max: usize,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        Self {
            timeout_ms_max: 900_000,
            id_retention_ms: 7 * 24 * 60 * 60 * 1000,
            ids_max: 100_000,
            partitions_max: 10_000,
            bytes_max: 5 << 20,
        }
    }
}
