//! ConsumerGroupDescribe (69): the members of groups whose partitions the coordinator assigns
//! (KIP-848).

use crate::{ErrorCode, Str, Uuid};

message! {
    /// Asks for the members of groups.
    ConsumerGroupDescribeRequest, versions "0-1", flexible "0+" {
        /// The groups.
        group_ids: Vec<Str>, "0+";
        /// Whether to say what the sender may do with them.
        include_authorized_operations: bool, "0+";
    }
}

message! {
    /// Groups and their members.
    ConsumerGroupDescribeResponse, versions "0-1", flexible "0+" {
        /// How long the answer was held back for a quota, in milliseconds.
        throttle_time_ms: i32, "0+";
        /// The groups.
        groups: Vec<DescribedGroup>, "0+";
    }

    /// A group.
    struct DescribedGroup {
        /// What went wrong.
        error_code: ErrorCode, "0+";
        /// What went wrong, in words.
        error_message: Option<Str>, "0+", nullable("0+");
        /// Its id.
        group_id: Str, "0+";
        /// Its state.
        group_state: Str, "0+";
        /// Its epoch: of its members and what they read.
        group_epoch: i32, "0+";
        /// The epoch that was last assigned for.
        assignment_epoch: i32, "0+";
        /// The assignor.
        assignor_name: Str, "0+";
        /// Its members.
        members: Vec<Member>, "0+";
        /// What the sender may do with it, a bit for each; the least number if it isn't said.
        authorized_operations: i32 = i32::MIN, "0+";
    }

    /// A member.
    struct Member {
        /// Its id.
        member_id: Str, "0+";
        /// Its own name; null for a dynamic member.
        instance_id: Option<Str>, "0+", nullable("0+");
        /// The rack it is in; null if it doesn't say.
        rack_id: Option<Str>, "0+", nullable("0+");
        /// Its epoch.
        member_epoch: i32, "0+";
        /// The client id of its last heartbeat.
        client_id: Str, "0+";
        /// Where that came from.
        client_host: Str, "0+";
        /// The topics it reads.
        subscribed_topic_names: Vec<Str>, "0+";
        /// The regular expression for the topics it reads; null if it has none.
        subscribed_topic_regex: Option<Str>, "0+", nullable("0+");
        /// What it owns.
        assignment: Assignment, "0+";
        /// What it is to own.
        target_assignment: Assignment, "0+";
        /// The protocol it speaks (KIP-1099): 1 for this one, 0 for the classic one, -1 if it isn't said.
        member_type: i8 = -1, "1+", ignorable;
    }

    /// What a member owns, or is to own.
    struct Assignment {
        /// Partitions by topic.
        topic_partitions: Vec<TopicPartitions>, "0+";
    }

    /// Partitions of one topic.
    struct TopicPartitions {
        /// The topic's id.
        topic_id: Uuid, "0+";
        /// The topic's name.
        topic_name: Str, "0+";
        /// The partitions.
        partitions: Vec<i32>, "0+";
    }
}
