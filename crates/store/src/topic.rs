//! Topics: what one is, how one is asked for, and which names Kafka allows.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::error::StoreError;

/// The longest topic name, as in Kafka: with the partition number appended it is still a file name.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// The most partitions one topic may have.
pub const PARTITIONS_MAX: i32 = 100_000;

/// The default of `retention.ms`: seven days.
pub const RETENTION_MS_DEFAULT: i64 = 7 * 24 * 60 * 60 * 1000;

/// The default of `segment.ms`: seven days.
const SEGMENT_MS_DEFAULT: i64 = 7 * 24 * 60 * 60 * 1000;

/// The default of `delete.retention.ms`: a day.
const DELETE_RETENTION_MS_DEFAULT: i64 = 24 * 60 * 60 * 1000;

/// The default of `min.cleanable.dirty.ratio`.
const DIRTY_RATIO_MIN_DEFAULT: f64 = 0.5;

/// A topic as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topic {
    /// Given at creation and never again: a topic deleted and created anew has another.
    pub id: Uuid,
    /// Unique among the topics that exist.
    pub name: String,
    /// Partitions are numbered from 0 to one less than this.
    pub partitions: i32,
    /// What the topic was configured with, by Kafka's names; defaults are not listed.
    pub configs: BTreeMap<String, String>,
    /// When the topic was created, in milliseconds since the Unix epoch.
    pub created_ms: i64,
}

/// How a topic is compacted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Compaction {
    /// How young a record may be to be compacted (`min.compaction.lag.ms`).
    pub(crate) lag_ms_min: i64,
    /// How old it may become before it is (`max.compaction.lag.ms`).
    pub(crate) lag_ms_max: i64,
    /// How old it may become before the log goes on in a new segment: `segment.ms`, or
    /// `max.compaction.lag.ms` if that is less.
    pub(crate) segment_ms: i64,
    /// How long a tombstone stays once it is compacted (`delete.retention.ms`).
    pub(crate) delete_retention_ms: i64,
    /// The part of a partition that must be new (`min.cleanable.dirty.ratio`).
    pub(crate) dirty_ratio_min: f64,
}

impl Topic {
    /// Whether `cleanup.policy` says that old records are deleted (which is the default), and whether
    /// it says that of each key the latest record is kept.
    fn cleanup_policy(&self) -> (bool, bool) {
        let Some(policy) = self.configs.get("cleanup.policy") else {
            return (true, false);
        };
        let has = |word: &str| policy.split(',').any(|one| one.trim() == word);
        (has("delete"), has("compact"))
    }

    /// Whether each key's latest record is kept, and those before it aren't: then every record needs a
    /// key.
    pub fn is_compacted(&self) -> bool {
        self.cleanup_policy().1
    }

    /// How the topic is compacted, if it is.
    pub(crate) fn compaction(&self) -> Option<Compaction> {
        self.is_compacted().then(|| {
            let config = |key: &str| self.configs.get(key).map(|value| value.trim());
            let ms = |key, default| {
                let value = config(key).and_then(|value| value.parse::<i64>().ok());
                value.unwrap_or(default).max(0)
            };
            let lag_ms_max = ms("max.compaction.lag.ms", i64::MAX);
            let ratio = config("min.cleanable.dirty.ratio").and_then(|value| value.parse().ok());
            Compaction {
                lag_ms_min: ms("min.compaction.lag.ms", 0),
                lag_ms_max,
                segment_ms: ms("segment.ms", SEGMENT_MS_DEFAULT).min(lag_ms_max),
                delete_retention_ms: ms("delete.retention.ms", DELETE_RETENTION_MS_DEFAULT),
                dirty_ratio_min: ratio.unwrap_or(DIRTY_RATIO_MIN_DEFAULT),
            }
        })
    }

    /// `retention.ms`: how long records are kept; `None` is for ever, as where they are compacted and
    /// not deleted.
    pub fn retention_ms(&self) -> Option<i64> {
        if !self.cleanup_policy().0 {
            return None;
        }
        limit(&self.configs, "retention.ms").unwrap_or(Some(RETENTION_MS_DEFAULT))
    }

    /// `retention.bytes`: how many bytes of each partition are kept; `None` is all.
    pub fn retention_bytes(&self) -> Option<i64> {
        if !self.cleanup_policy().0 {
            return None;
        }
        limit(&self.configs, "retention.bytes").unwrap_or(None)
    }
}

/// The outer `None`: not configured (or not a number, which creation refuses); the inner: -1.
fn limit(configs: &BTreeMap<String, String>, key: &str) -> Option<Option<i64>> {
    let value: i64 = configs.get(key)?.trim().parse().ok()?;
    Some((value >= 0).then_some(value))
}

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// See [`validate_topic_name`].
    pub name: String,
    /// At least 1, at most [`PARTITIONS_MAX`].
    pub partitions: i32,
    /// Kept as they are; the store itself reads those of retention and compaction.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic without configs of its own.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self {
            name: name.into(),
            partitions,
            configs: BTreeMap::new(),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), StoreError> {
        validate_topic_name(&self.name)?;
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            return Err(StoreError::InvalidPartitions {
                partitions: self.partitions,
                partitions_max: PARTITIONS_MAX,
            });
        }
        validate_configs(&self.configs)
    }
}

/// Checks the configs that the store itself reads.
pub(crate) fn validate_configs(configs: &BTreeMap<String, String>) -> Result<(), StoreError> {
    for setting in ["retention.ms", "retention.bytes"] {
        let Some(value) = configs.get(setting) else {
            continue;
        };
        if !value.trim().parse::<i64>().is_ok_and(|value| value >= -1) {
            return Err(StoreError::InvalidSetting {
                setting: setting.to_owned(),
                value: value.clone(),
                allowed: "allowed is -1 (no limit) or a number from 0".to_owned(),
            });
        }
    }
    Ok(())
}

/// Kafka's rules: one to 249 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
pub fn validate_topic_name(name: &str) -> Result<(), StoreError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let reason = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "\".\" and \"..\" are not allowed"
    } else if name.len() > TOPIC_NAME_BYTES_MAX {
        "it is longer than 249 characters"
    } else if !name.bytes().all(allowed) {
        "only ASCII letters and digits, '.', '_' and '-' are allowed"
    } else {
        return Ok(());
    };
    Err(StoreError::InvalidTopicName {
        name: name.chars().take(TOPIC_NAME_BYTES_MAX).collect(),
        reason,
    })
}

/// Two names that are equal after this differ only in `.` and `_`. Kafka refuses the second of
/// them, because metric names replace the one by the other.
pub(crate) fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_kafka_judges_them() {
        for good in [
            "a",
            "orders",
            "a.b_c-D9",
            "...",
            "__consumer_offsets",
            &"x".repeat(249),
        ] {
            assert!(validate_topic_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a b",
            "ä",
            "a/b",
            "a\0",
            "a:b",
            &"x".repeat(250),
        ] {
            assert!(validate_topic_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn retention_reads_minus_one_as_no_limit() {
        let topic = |key: &str, value: &str| Topic {
            id: Uuid::nil(),
            name: "t".into(),
            partitions: 1,
            configs: BTreeMap::from([(key.to_owned(), value.to_owned())]),
            created_ms: 0,
        };
        assert_eq!(topic("x", "y").retention_ms(), Some(RETENTION_MS_DEFAULT));
        assert_eq!(topic("x", "y").retention_bytes(), None);
        assert_eq!(topic("retention.ms", "-1").retention_ms(), None);
        assert_eq!(topic("retention.ms", "5").retention_ms(), Some(5));
        assert_eq!(topic("retention.bytes", "0").retention_bytes(), Some(0));
    }
}
