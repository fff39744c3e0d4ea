//! The topic configs that are known: what each takes, its default, and whether it has an effect.

use std::collections::BTreeMap;

use fletch_store::Topic;
use fletch_table::settings;
use fletch_wire::records::Compression;

use crate::config::Config;
use crate::validation::{self, Validation};

/// Kafka's numbers for the types of configs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum ConfigType {
    Boolean = 1,
    String = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

/// Which values are taken.
#[derive(Clone, Copy, Debug)]
enum Allowed {
    /// A number, at least this.
    From(i64),
    /// `true` or `false`.
    Switch,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A number from 0 to 1.
    Ratio,
    /// Any text.
    Any,
}

/// One topic config.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicConfig {
    /// Its name.
    pub(crate) name: &'static str,
    /// The broker's config that sets its default, as Kafka names it; the same name if there is none.
    pub(crate) broker_name: &'static str,
    /// Its type.
    pub(crate) kind: ConfigType,
    /// What it is for, and whether it has an effect here.
    pub(crate) about: &'static str,
    default: &'static str,
    allowed: Allowed,
}

const BATCH_BYTES_MAX: &str = "max.message.bytes";
const TIMESTAMP_TYPE: &str = "message.timestamp.type";
const TIMESTAMP_BEFORE: &str = "message.timestamp.before.max.ms";
const TIMESTAMP_AFTER: &str = "message.timestamp.after.max.ms";
const IN_SYNC_REPLICAS: &str = "min.insync.replicas";
const LOG_APPEND_TIME: &str = "LogAppendTime";
const COMPRESSION_TYPE: &str = "compression.type";
/// Kafka's name of no codec, in this config alone.
const UNCOMPRESSED: &str = "uncompressed";
/// An hour: as Kafka since 4.0, so that a clock gone wrong is noticed.
const TIMESTAMP_AFTER_MS_DEFAULT: i64 = 3_600_000;

macro_rules! topic_configs {
    ($($name:literal $broker:literal $kind:ident $default:literal $allowed:expr, $about:literal;)+) => {
        /// Every topic config that is taken, by name.
        pub(crate) const TOPIC_CONFIGS: &[TopicConfig] = &[$(TopicConfig {
            name: $name,
            broker_name: $broker,
            kind: ConfigType::$kind,
            about: $about,
            default: $default,
            allowed: $allowed,
        }),+];
    };
}

topic_configs! {
    "cleanup.policy" "log.cleanup.policy" List "delete"
        Allowed::OneOf(&["delete", "compact", "compact,delete", "delete,compact"]),
        "What happens to old records: they are deleted by age or size, or but for the latest of each key, or both.";
    "compression.type" "compression.type" String "producer"
        Allowed::OneOf(&["producer", UNCOMPRESSED, "gzip", "snappy", "lz4", "zstd"]),
        "How batches are compressed that are kept: as their producer did it, or by a codec, whatever he did.";
    "confluent.key.schema.validation" "confluent.key.schema.validation" Boolean "false" Allowed::Switch,
        "Whether a record is refused whose key wasn't written with a schema of the topic's subject for keys.";
    "confluent.key.subject.name.strategy" "confluent.key.subject.name.strategy" String
        "io.confluent.kafka.serializers.subject.TopicNameStrategy" Allowed::OneOf(validation::STRATEGIES),
        "How the subject of a key is called that confluent.key.schema.validation looks for.";
    "confluent.value.schema.validation" "confluent.value.schema.validation" Boolean "false" Allowed::Switch,
        "Whether a record is refused whose value wasn't written with a schema of the topic's subject for values.";
    "confluent.value.subject.name.strategy" "confluent.value.subject.name.strategy" String
        "io.confluent.kafka.serializers.subject.TopicNameStrategy" Allowed::OneOf(validation::STRATEGIES),
        "How the subject of a value is called that confluent.value.schema.validation looks for.";
    "delete.retention.ms" "log.cleaner.delete.retention.ms" Long "86400000" Allowed::From(0),
        "How long a tombstone stays after it was compacted, in milliseconds.";
    "file.delete.delay.ms" "log.segment.delete.delay.ms" Long "60000" Allowed::From(0),
        "Without effect: topics share the segments of one log.";
    "fletch.evolution" "fletch.evolution" String "strict" Allowed::OneOf(settings::EVOLUTIONS),
        "What becomes of a field whose type contradicts its column's: its record can't be read (strict), or it has a column of its own (beside).";
    "fletch.format" "fletch.format" String "auto" Allowed::OneOf(settings::FORMATS),
        "What the values are. auto looks at each: a schema's id before it or in a header, then JSON, then text, then bytes.";
    "fletch.format.file" "fletch.format.file" String "" Allowed::Any,
        "The file, of the broker's folder of schema files, with the schema that values without an id are written with.";
    "fletch.format.message" "fletch.format.message" String "" Allowed::Any,
        "The full name of the Protobuf message that values without an id are; the first of the file, if empty.";
    "fletch.format.subject" "fletch.format.subject" String "" Allowed::Any,
        "The subject whose latest schema values without an id are written with; fletch.format says its language.";
    "fletch.key.format" "fletch.key.format" String "none" Allowed::OneOf(settings::KEY_FORMATS),
        "What the keys are, for a column kafka_key_value of their type. none: bytes only.";
    "fletch.key.format.file" "fletch.key.format.file" String "" Allowed::Any,
        "The file, of the broker's folder of schema files, with the schema that keys without an id are written with.";
    "fletch.key.format.message" "fletch.key.format.message" String "" Allowed::Any,
        "The full name of the Protobuf message that keys without an id are; the first of the file, if empty.";
    "fletch.key.format.subject" "fletch.key.format.subject" String "" Allowed::Any,
        "The subject whose latest schema keys without an id are written with; fletch.key.format says its language.";
    "fletch.on_invalid" "fletch.on_invalid" String "dead_letter" Allowed::OneOf(settings::OUTCOMES),
        "What becomes of a record that can't be read: dead_letter, raw (a row with its bytes), or reject (its producer is told).";
    "fletch.table" "fletch.table" Boolean "true" Allowed::Switch,
        "Whether the topic has a table.";
    "flush.messages" "log.flush.interval.messages" Long "9223372036854775807" Allowed::From(1),
        "Without effect: every batch is flushed before it is acknowledged.";
    "flush.ms" "log.flush.interval.ms" Long "9223372036854775807" Allowed::From(0),
        "Without effect: every batch is flushed before it is acknowledged.";
    "index.interval.bytes" "log.index.interval.bytes" Int "4096" Allowed::From(0),
        "Without effect: topics share the segments of one log.";
    "max.compaction.lag.ms" "log.cleaner.max.compaction.lag.ms" Long "9223372036854775807" Allowed::From(1),
        "How old a record may become before it is compacted, in milliseconds.";
    "max.message.bytes" "message.max.bytes" Int "1048588" Allowed::From(0),
        "The largest record batch, compressed, in bytes.";
    "message.timestamp.after.max.ms" "log.message.timestamp.after.max.ms" Long "3600000" Allowed::From(0),
        "How far in the future a producer's timestamp may lie, in milliseconds.";
    "message.timestamp.before.max.ms" "log.message.timestamp.before.max.ms" Long "9223372036854775807" Allowed::From(0),
        "How far in the past a producer's timestamp may lie, in milliseconds.";
    "message.timestamp.type" "log.message.timestamp.type" String "CreateTime"
        Allowed::OneOf(&["CreateTime", LOG_APPEND_TIME]),
        "Whose time a record's timestamp is: the producer's, or the broker's at the append.";
    "min.cleanable.dirty.ratio" "log.cleaner.min.cleanable.ratio" Double "0.5" Allowed::Ratio,
        "The part of a partition, by size, that must be new before it is compacted.";
    "min.compaction.lag.ms" "log.cleaner.min.compaction.lag.ms" Long "0" Allowed::From(0),
        "How old a record must be to be compacted, in milliseconds.";
    "min.insync.replicas" "min.insync.replicas" Int "1" Allowed::From(1),
        "Replicas that must have a batch before acks=all is answered. There is one: with more, such a batch is refused.";
    "preallocate" "log.preallocate" Boolean "false" Allowed::Switch,
        "Without effect: topics share the segments of one log.";
    "retention.bytes" "log.retention.bytes" Long "-1" Allowed::From(-1),
        "Bytes of each partition that are kept at least; -1 for all. What its table hasn't taken is never dropped.";
    "retention.ms" "log.retention.ms" Long "604800000" Allowed::From(-1),
        "How long records are kept at least, in milliseconds; -1 for ever. What its table hasn't taken is never dropped.";
    "segment.bytes" "log.segment.bytes" Int "1073741824" Allowed::From(14),
        "Without effect: topics share the segments of one log.";
    "segment.index.bytes" "log.index.size.max.bytes" Int "10485760" Allowed::From(4),
        "Without effect: topics share the segments of one log.";
    "segment.jitter.ms" "log.roll.jitter.ms" Long "0" Allowed::From(0),
        "Without effect: topics share the segments of one log.";
    "segment.ms" "log.roll.ms" Long "604800000" Allowed::From(1),
        "In a compacted topic, how old a record may become before the log goes on in a new segment. Else without effect.";
    "unclean.leader.election.enable" "unclean.leader.election.enable" Boolean "false" Allowed::Switch,
        "Without effect: there is one replica.";
}

impl TopicConfig {
    /// The config of a name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        TOPIC_CONFIGS.iter().find(|config| config.name == name)
    }

    /// The value where a topic sets none.
    pub(crate) fn default(&self, config: &Config) -> String {
        match self.name {
            BATCH_BYTES_MAX => config.kafka.batch_bytes_max.to_string(),
            _ => self.default.to_owned(),
        }
    }

    /// What is wrong with a value, if anything.
    fn refuse(&self, value: &str) -> Option<String> {
        let number_max = if self.kind == ConfigType::Int {
            i64::from(i32::MAX)
        } else {
            i64::MAX
        };
        let allowed = match self.allowed {
            Allowed::Switch if matches!(value, "true" | "false") => return None,
            Allowed::Any => return None,
            Allowed::Switch => "true or false".to_owned(),
            Allowed::OneOf(words) if words.contains(&value) => return None,
            Allowed::OneOf(words) => words.join(" or "),
            Allowed::From(min) => match value.trim().parse::<i64>() {
                Ok(number) if (min..=number_max).contains(&number) => return None,
                _ => format!("a number from {min} to {number_max}"),
            },
            Allowed::Ratio => match value.trim().parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => return None,
                _ => "a number from 0 to 1".to_owned(),
            },
        };
        Some(format!(
            "Invalid value {value} for configuration {}: allowed is {allowed}",
            self.name
        ))
    }
}

/// Checks the configs of a topic to be created; the error says the first thing that is wrong.
pub(crate) fn validate<'a>(
    config: &Config,
    configs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<BTreeMap<String, String>, String> {
    let mut valid = BTreeMap::new();
    for (name, value) in configs {
        let known =
            TopicConfig::find(name).ok_or_else(|| format!("there is no topic config {name}"))?;
        let value = value.ok_or_else(|| format!("{name} has no value"))?;
        if let Some(problem) = known.refuse(value) {
            return Err(problem);
        }
        valid.insert(name.to_owned(), value.trim().to_owned());
    }
    // Each may be right and all together not.
    let table = fletch_table::TopicSettings::parse(&valid)?;
    table.check_files(config.table.schemas_path.as_deref())?;
    if Validation::of(&valid).is_on() && !config.has_registry() {
        let words = "schemas can't be validated: the broker has no schema registry \
                     (registry.enabled, registry.url)";
        return Err(words.to_owned());
    }
    Ok(valid)
}

/// What a topic's configs mean for its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicSettings {
    /// The largest batch, in bytes.
    pub(crate) batch_bytes_max: usize,
    /// Whether records are stamped at the append.
    pub(crate) log_append_time: bool,
    /// How far behind the clock a producer's timestamp may be, in milliseconds.
    pub(crate) timestamp_before_ms_max: i64,
    /// How far ahead of the clock it may be, in milliseconds.
    pub(crate) timestamp_after_ms_max: i64,
    /// Replicas that acks=all asks for.
    pub(crate) in_sync_replicas_min: i64,
    /// Whether batches with records that can't be read are refused.
    pub(crate) refuses_invalid: bool,
    /// What has to be written with registered schemas.
    pub(crate) validation: Validation,
    /// Whether every record needs a key, because the topic is compacted.
    pub(crate) needs_keys: bool,
    /// The codec that batches are kept in; none if it is their producer's.
    pub(crate) compression: Option<Compression>,
}

impl TopicSettings {
    /// Those of a topic, with the broker's defaults.
    pub(crate) fn of(topic: &Topic, config: &Config) -> Self {
        let number = |name| {
            topic
                .configs
                .get(name)
                .and_then(|value: &String| value.parse::<i64>().ok())
        };
        let bytes = |number| usize::try_from(number).ok();
        let default_bytes = usize::try_from(config.kafka.batch_bytes_max).unwrap_or(usize::MAX);
        Self {
            batch_bytes_max: number(BATCH_BYTES_MAX)
                .and_then(bytes)
                .unwrap_or(default_bytes),
            log_append_time: topic
                .configs
                .get(TIMESTAMP_TYPE)
                .is_some_and(|value| value == LOG_APPEND_TIME),
            timestamp_before_ms_max: number(TIMESTAMP_BEFORE).unwrap_or(i64::MAX),
            timestamp_after_ms_max: number(TIMESTAMP_AFTER).unwrap_or(TIMESTAMP_AFTER_MS_DEFAULT),
            in_sync_replicas_min: number(IN_SYNC_REPLICAS).unwrap_or(1),
            refuses_invalid: topic
                .configs
                .get(settings::ON_INVALID)
                .is_some_and(|value| value == "reject"),
            validation: Validation::of(&topic.configs),
            needs_keys: topic.is_compacted(),
            compression: topic
                .configs
                .get(COMPRESSION_TYPE)
                .and_then(|name| codec(name)),
        }
    }
}

/// The codec that a `compression.type` names, if it names one.
fn codec(name: &str) -> Option<Compression> {
    match name {
        UNCOMPRESSED => Some(Compression::None),
        name => Compression::ALL
            .into_iter()
            .find(|codec| *codec != Compression::None && codec.name() == name),
    }
}

#[cfg(test)]
mod tests {
    use fletch_store::RETENTION_MS_DEFAULT;

    use super::*;

    #[test]
    fn defaults_pass_their_own_check_and_are_in_order() {
        for config in TOPIC_CONFIGS {
            assert_eq!(config.refuse(config.default), None, "{}", config.name);
        }
        assert!(TOPIC_CONFIGS.is_sorted_by_key(|config| config.name));
        let retention = TopicConfig::find("retention.ms").unwrap();
        assert_eq!(retention.default, RETENTION_MS_DEFAULT.to_string());
        let batch = TopicConfig::find(BATCH_BYTES_MAX).unwrap();
        assert_eq!(batch.default(&Config::default()), batch.default);
        let after = TopicConfig::find(TIMESTAMP_AFTER).unwrap();
        assert_eq!(after.default, TIMESTAMP_AFTER_MS_DEFAULT.to_string());
    }

    #[test]
    fn codecs_are_named_as_kafka_names_them() {
        let names = [
            "producer",
            "uncompressed",
            "gzip",
            "snappy",
            "lz4",
            "zstd",
            "none",
        ];
        let numbers = names.map(|name| codec(name).map(|codec| codec as u8));
        assert_eq!(
            numbers,
            [None, Some(0), Some(1), Some(2), Some(3), Some(4), None]
        );
    }

    #[test]
    fn values_are_checked_as_kafka_checks_them() {
        for (name, value, good) in [
            ("retention.ms", Some("-1"), true),
            ("retention.ms", Some("-2"), false),
            ("retention.ms", Some("week"), false),
            ("retention.ms", None, false),
            ("max.message.bytes", Some("2147483648"), false),
            ("cleanup.policy", Some("compact"), true),
            ("cleanup.policy", Some("compact,delete"), true),
            ("cleanup.policy", Some("shrink"), false),
            ("compression.type", Some("zstd"), true),
            ("compression.type", Some("none"), false),
            ("message.timestamp.type", Some("LogAppendTime"), true),
            ("message.timestamp.type", Some("logappendtime"), false),
            ("min.cleanable.dirty.ratio", Some("0.25"), true),
            ("preallocate", Some("TRUE"), false),
            ("fletch.format", Some("json_schema"), true),
            ("fletch.format", Some("csv"), false),
            // Of no use without a format.
            ("fletch.format.subject", Some("clicks-value"), false),
            ("fletch.format.file", Some("clicks.avsc"), false),
            ("no.such.thing", Some("1"), false),
            (validation::VALUE, Some("true"), true),
            (
                validation::KEY_STRATEGY,
                Some(validation::STRATEGIES[2]),
                true,
            ),
            (validation::KEY_STRATEGY, Some("TopicNameStrategy"), false),
        ] {
            assert_eq!(
                validate(&Config::default(), [(name, value)]).is_ok(),
                good,
                "{name} = {value:?}"
            );
        }
        let mut alone = Config::default();
        alone.registry.enabled = false;
        let refused = validate(&alone, [(validation::VALUE, Some("true"))]).unwrap_err();
        assert!(refused.contains("registry.url"), "{refused}");
    }
}
