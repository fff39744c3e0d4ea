//! ConsumerGroupHeartbeat (68): joining, staying in and leaving a group whose partitions the
//! coordinator assigns (KIP-848).

use crate::{ErrorCode, Str, Uuid};

message! {
    /// Says that a member is there, and what has changed since it last did.
    ConsumerGroupHeartbeatRequest, versions "0-1", flexible "0+" {
        /// The group.
        group_id: Str, "0+";
        /// The member's id, which from version 1 on it chooses by itself.
        member_id: Str, "0+";
        /// The member's epoch: 0 to join, -1 to leave, -2 to leave for a while as a static member.
        member_epoch: i32, "0+";
        /// The member's own name; null for a dynamic member, and if it hasn't changed.
        instance_id: Option<Str>, "0+", nullable("0+");
        /// The rack it is in; null if it doesn't say, and if it hasn't changed.
        rack_id: Option<Str>, "0+", nullable("0+");
        /// How long it may take to give partitions up, in milliseconds; -1 if it hasn't changed.
        rebalance_timeout_ms: i32 = -1, "0+";
        /// The topics it reads; null if they haven't changed.
        subscribed_topic_names: Option<Vec<Str>>, "0+", nullable("0+");
        /// A regular expression for the topics it reads; null if it hasn't changed, empty for
        /// none.
        subscribed_topic_regex: Option<Str>, "1+", nullable("1+");
        /// The assignor it would have; null for the coordinator's choice, and if it hasn't changed.
        server_assignor: Option<Str>, "0+", nullable("0+");
        /// The partitions it owns; null if they haven't changed.
        topic_partitions: Option<Vec<TopicPartitions>>, "0+", nullable("0+");
    }

    /// Partitions of one topic.
    struct TopicPartitions {
        /// The topic's id.
        topic_id: Uuid, "0+";
        /// The partitions.
        partitions: Vec<i32>, "0+";
    }
}

message! {
    /// What the member is to own.
    ConsumerGroupHeartbeatResponse, versions "0-1", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// The member's id, when it joins.
        member_id: Option<Str>, "0+", nullable("0+");
        /// The member's epoch.
        member_epoch: i32, "0+";
        /// When to send the next heartbeat, in milliseconds.
        heartbeat_interval_ms: i32, "0+";
        /// What it is to own; null if that hasn't changed.
        assignment: Option<Assignment>, "0+", nullable("0+");
    }

    /// What a member is to own.
    struct Assignment {
        /// Partitions by topic.
        topic_partitions: Vec<TopicPartitions>, "0+";
    }
}
