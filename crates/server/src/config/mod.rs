//! What can be configured: one declaration per key drives the struct, its default, the check, the
//! flag, the environment variable and `docs/reference/configuration.md`.
//!
//! This module only says what there is. Where values come from (file, environment, flags) is the
//! binary's business; a program that embeds the server fills the structs itself.

mod environment;
mod key;
mod listeners;
mod values;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use fletch_coordinator::MigrationPolicy;

use crate::auth::Principal;

pub use environment::{EnvironmentValues, is_service_link_value, read_environment};
pub use key::{Key, Kind};
pub use listeners::{
    AdvertisedListener, AdvertisedListeners, ListenerSetting, Listeners, SecurityProtocol,
};
pub use values::{AdvertisedAddress, BindAddress, Secret};

macro_rules! sections {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Type:ident {
            $(
                $(#[doc = $doc:literal])+
                $name:ident: $ty:ty = $default:expr, $kind:expr;
            )+
        }
    )+) => {
        /// Everything the server can be told, by section.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Config {
            $( $(#[doc = $section_doc])+ pub $section: $Type, )+
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields, default)]
            pub struct $Type {
                $( $(#[doc = $doc])+ pub $name: $ty, )+
            }

            impl Default for $Type {
                fn default() -> Self {
                    Self { $( $name: $default, )+ }
                }
            }
        )+

        impl Config {
            /// Every key, in the order of the reference page.
            pub const KEYS: &'static [Key] = &[
                $($( Key {
                    section: stringify!($section),
                    name: stringify!($name),
                    about: concat!($($doc),+).trim_ascii(),
                    kind: $kind,
                }, )+)+
            ];

            /// Every section with what it is about.
            pub const SECTIONS: &'static [(&'static str, &'static str)] = &[
                $( (stringify!($section), concat!($($section_doc),+).trim_ascii()), )+
            ];
        }
    };
}

/// A longer secret is a mistake.
const SECRET_BYTES_MAX: usize = 64 << 10;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

sections! {
    /// The Kafka listener and what one client may ask of it.
    kafka: KafkaConfig {
        /// Whether Kafka clients are served.
        enabled: bool = true, Kind::Switch;
        /// The port for Kafka clients; 0 takes a free one.
        port: u16 = 9092, Kind::Port;
        /// The address listened on: an IP address, or `localhost` for 127.0.0.1 and ::1.
        bind_address: BindAddress = BindAddress::Localhost, Kind::BindAddress;
        /// The address clients are told to connect to, as `host` or `host:port`. Unset: the address
        /// at which the client reached the server.
        advertised_address: Option<AdvertisedAddress> = None, Kind::AdvertisedAddress;
        /// The listeners, where there are several or another protocol than PLAINTEXT, instead of
        /// `kafka.port` and `kafka.bind_address`. SASL_PLAINTEXT and SASL_SSL ask for a login.
        listeners: Option<Listeners> = None, Kind::Listeners;
        /// What clients of each of `kafka.listeners` are told to connect to, by its name. Those without
        /// an entry: the address at which the client reached the server.
        advertised_listeners: Option<AdvertisedListeners> = None, Kind::AdvertisedListeners;
        /// Connections open at once; one more is closed at once.
        connections_max: u64 = 10_000, Kind::integer(1, 1_000_000, "connections");
        /// Connections open at once from one address; one more is closed at once.
        connections_per_address_max: u64 = 5_000, Kind::integer(1, 1_000_000, "connections");
        /// Connections accepted in a second; more wait.
        connections_per_second_max: u64 = 2_000, Kind::integer(1, 1_000_000, "connections");
        /// How long a client may take for its part of the TLS handshake and of the login.
        authentication_timeout_ms: u64 = 10_000, Kind::integer(100, DAY_MS, "milliseconds");
        /// The largest request that is read; a larger one closes the connection.
        request_bytes_max: u64 = 100 * MIB, Kind::integer(KIB, 2 * GIB - 1, "bytes");
        /// Memory for requests being read or answered, over all connections. When it is used up,
        /// sockets wait to be read.
        requests_memory_bytes_max: u64 = 128 * MIB, Kind::integer(MIB, 1024 * GIB, "bytes");
        /// Requests of one connection that may await their answer before it is no longer read.
        requests_in_flight_max: u64 = 128, Kind::integer(1, 100_000, "requests");
        /// Record bytes in one Fetch answer (a single larger batch still fits).
        fetch_bytes_max: u64 = 16 * MIB, Kind::integer(KIB, GIB, "bytes");
        /// Memory for Fetch answers not yet sent, over all connections.
        fetches_memory_bytes_max: u64 = 128 * MIB, Kind::integer(MIB, 1024 * GIB, "bytes");
        /// Fetch sessions that may exist, which spare consumers asking in full each time. What one of
        /// them would be more takes the place of one that was idle for two minutes, or is declined.
        fetch_sessions_max: u64 = 1_000, Kind::integer(0, 1_000_000, "sessions");
        /// Partitions that all fetch sessions together may have, at some 200 bytes each.
        fetch_session_partitions_max: u64 = 200_000, Kind::integer(0, 100_000_000, "partitions");
        /// The largest record batch accepted, where a topic sets no `max.message.bytes` of its own.
        batch_bytes_max: u64 = 1_048_588, Kind::integer(KIB, GIB, "bytes");
        /// Records of one batch. (Producers cut what is refused for it into smaller batches.)
        batch_records_max: u64 = 1_000_000, Kind::integer(1, 2 * GIB - 1, "records");
        /// The largest record, decompressed; what has a larger one is refused. (Producers cut what is refused
        /// for it into smaller batches, and give up on a record that is alone.)
        record_bytes_max: u64 = 64 * MIB, Kind::integer(KIB, 2 * GIB - 1, "bytes");
        /// Headers of one record; what has one with more is refused.
        record_headers_max: u64 = 10_000, Kind::integer(0, 2 * GIB - 1, "headers");
        /// The largest size a record batch may decompress to.
        decompressed_bytes_max: u64 = 128 * MIB, Kind::integer(KIB, 2 * GIB - 1, "bytes");
        /// How many bytes one compressed byte may stand for, in a batch that decompresses to more
        /// than a mebibyte.
        decompression_ratio_max: u64 = 1_000, Kind::integer(1, 1_000_000, "times");
        /// How long a connection may stay silent before it is closed.
        idle_timeout_ms: u64 = 600_000, Kind::integer(100, DAY_MS, "milliseconds");
        /// How long one request may take to arrive in full.
        request_timeout_ms: u64 = 30_000, Kind::integer(100, DAY_MS, "milliseconds");
        /// How long a client may leave its answers unread.
        write_timeout_ms: u64 = 30_000, Kind::integer(100, DAY_MS, "milliseconds");
        /// Consumer groups that may exist; one more is refused.
        groups_max: u64 = 10_000, Kind::integer(1, 1_000_000, "groups");
        /// What all consumer groups together may keep, about: members, what they read, offsets. What would
        /// make it more is refused.
        groups_bytes_max: u64 = 256 * MIB, Kind::integer(MIB, 1024 * GIB, "bytes");
        /// Members of one consumer group; one more is refused.
        group_members_max: u64 = 1_000, Kind::integer(1, 100_000, "members");
        /// What the members of one consumer group may keep: ids, subscriptions, assignments. Half a
        /// segment of the log (`store.segment_bytes`) at most, whatever is set.
        group_bytes_max: u64 = 4 * MIB, Kind::integer(KIB, GIB, "bytes");
        /// The shortest session timeout a member of a consumer group may ask for.
        group_session_timeout_ms_min: u64 = 6_000, Kind::integer(1, DAY_MS, "milliseconds");
        /// The longest session timeout a member of a consumer group may ask for.
        group_session_timeout_ms_max: u64 = 1_800_000, Kind::integer(1, DAY_MS, "milliseconds");
        /// How long a member may be silent in a consumer group whose partitions the server assigns.
        group_consumer_session_timeout_ms: u64 = 45_000, Kind::integer(1_000, DAY_MS, "milliseconds");
        /// How often members of such a group are told to send heartbeats.
        group_consumer_heartbeat_interval_ms: u64 = 5_000, Kind::integer(100, DAY_MS, "milliseconds");
        /// Whether a consumer group that has members is moved from the classic protocol to the one in which
        /// the server assigns (`upgrade`), back (`downgrade`), or both. One without members always is.
        group_consumer_migration_policy: String = "bidirectional".to_owned(), Kind::Choice(MigrationPolicy::NAMES);
        /// How long an empty consumer group waits, after its first member, for more to join.
        group_initial_rebalance_delay_ms: u64 = 3_000, Kind::integer(0, DAY_MS, "milliseconds");
        /// Offsets that one consumer group may have committed.
        group_offsets_max: u64 = 100_000, Kind::integer(1, 10_000_000, "offsets");
        /// The longest text that a consumer may keep with an offset.
        offset_metadata_bytes_max: u64 = 4 * KIB, Kind::integer(0, 32 * KIB, "bytes");
        /// How long the offsets of a consumer group are kept after its last member has left.
        offsets_retention_ms: u64 = 7 * DAY_MS, Kind::integer(1, 3_650 * DAY_MS, "milliseconds");
        /// Transactional ids that may be known; one more is refused.
        transactional_ids_max: u64 = 10_000, Kind::integer(1, 1_000_000, "ids");
        /// How long a transactional id is known that nobody uses.
        transactional_id_retention_ms: u64 = 7 * DAY_MS, Kind::integer(1, 3_650 * DAY_MS, "milliseconds");
        /// The longest timeout of transactions that a producer may ask for. A transaction that takes
        /// longer than its timeout is aborted.
        transaction_timeout_ms_max: u64 = 900_000, Kind::integer(1, DAY_MS, "milliseconds");
        /// Partitions and groups of one transaction; one more is refused. One for each KiB of a segment
        /// of the log (`store.segment_bytes`) at most, whatever is set.
        transaction_partitions_max: u64 = 10_000, Kind::integer(1, 1_000_000, "partitions");
    }

    /// Certificates of the listeners that speak TLS, and whose certificates clients may show.
    tls: TlsConfig {
        /// A PEM file with the server's certificate and what leads from it to its authority. The files of
        /// this section are read again when they change.
        certificate_path: Option<PathBuf> = None, Kind::Path;
        /// A PEM file with the certificate's private key.
        key_path: Option<PathBuf> = None, Kind::Path;
        /// A PEM file with the authorities whose certificates clients may show.
        client_ca_path: Option<PathBuf> = None, Kind::Path;
        /// Whether clients of SSL listeners must show a certificate (`required`), may (`requested`), or are
        /// not asked (`none`).
        client_auth: String = "none".to_owned(), Kind::Choice(&["none", "requested", "required"]);
        /// How a certificate's subject becomes a user's name, in the words of Kafka's
        /// `ssl.principal.mapping.rules`.
        principal_mapping_rules: String = "DEFAULT".to_owned(), Kind::Text;
        /// How often it is looked whether the files have changed.
        reload_interval_ms: u64 = 10_000, Kind::integer(10, DAY_MS, "milliseconds");
    }

    /// Logins on SASL listeners.
    sasl: SaslConfig {
        /// The mechanisms taken, comma-separated. OAUTHBEARER is taken only if it is configured below.
        mechanisms: String = "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER".to_owned(), Kind::Text;
        /// Whether PLAIN is taken on listeners that aren't encrypted: whoever sees the network sees the
        /// passwords then.
        plain_unencrypted: bool = false, Kind::Switch;
        /// A file with users, one `name:password` a line, beside those that are made while it runs.
        users_path: Option<PathBuf> = None, Kind::Path;
        /// A user that exists from the start and may do everything.
        admin_username: Option<String> = None, Kind::Text;
        /// The password of that user.
        admin_password: Option<Secret> = None, Kind::Secret;
        /// A file with the password of that user, instead.
        admin_password_path: Option<PathBuf> = None, Kind::Path;
        /// Users that may exist, those of the configuration aside.
        users_max: u64 = 10_000, Kind::integer(0, 1_000_000, "users");
        /// How long a failed login waits for its answer; up to sixteen times as long where many from one
        /// address have failed lately.
        failure_delay_ms: u64 = 500, Kind::integer(0, 60_000, "milliseconds");
        /// The largest request that is read before the login.
        request_bytes_max: u64 = 64 * KIB, Kind::integer(KIB, MIB, "bytes");
        /// How long a login holds, after which a client has to log in again on its connection; 0 for as
        /// long as the connection does. A token's own end counts in any case.
        session_ms_max: u64 = 0, Kind::integer(0, 365 * DAY_MS, "milliseconds");
        /// A file with the keys (a JSON Web Key Set) that OAUTHBEARER's tokens are signed with.
        oauthbearer_jwks_path: Option<PathBuf> = None, Kind::Path;
        /// The URL of those keys, instead.
        oauthbearer_jwks_url: Option<String> = None, Kind::Urls;
        /// A PEM file with the certificate authorities to trust for that URL, besides the system's.
        oauthbearer_ca_path: Option<PathBuf> = None, Kind::Path;
        /// How often the keys are read again. (Also when a token names a key that isn't known.)
        oauthbearer_jwks_refresh_ms: u64 = 3_600_000, Kind::integer(10, DAY_MS, "milliseconds");
        /// Who must have issued a token (`iss`). Unset: anybody whose keys those are.
        oauthbearer_issuer: Option<String> = None, Kind::Text;
        /// For whom a token must be (`aud`). Unset: for anybody.
        oauthbearer_audience: Option<String> = None, Kind::Text;
        /// Scopes that a token must have (`scope` or `scp`), comma-separated.
        oauthbearer_scopes: Option<String> = None, Kind::Text;
        /// The claim that has the user's name.
        oauthbearer_user_claim: String = "sub".to_owned(), Kind::Text;
        /// How far the clock of who issues tokens may be from ours.
        oauthbearer_clock_skew_ms: u64 = 30_000, Kind::integer(0, 600_000, "milliseconds");
        /// Whether tokens are taken that nobody has signed: for trials, since anybody can make one.
        oauthbearer_unsecured: bool = false, Kind::Switch;
    }

    /// Who may do what.
    acl: AclConfig {
        /// Users who may do everything, as `User:name`, semicolon-separated. (`sasl.admin_username` is one.)
        super_users: Option<String> = None, Kind::Text;
        /// Whether access control entries count. `auto`: if a listener tells clients apart (SASL, or SSL with
        /// certificates of clients); then what isn't allowed is denied. Otherwise clients can't make entries.
        enforced: String = "auto".to_owned(), Kind::Choice(&["auto", "always", "never"]);
        /// Whether what no entry is about is allowed.
        allowed_if_none: bool = false, Kind::Switch;
        /// Access control entries that there may be.
        entries_max: u64 = 10_000, Kind::integer(1, 1_000_000, "entries");
    }

    /// The schema registry: the embedded one, or an outside one.
    registry: RegistryConfig {
        /// Whether the embedded registry is served.
        enabled: bool = true, Kind::Switch;
        /// The port of the embedded registry; 0 takes a free one.
        port: u16 = 8081, Kind::Port;
        /// The address the embedded registry listens on.
        bind_address: BindAddress = BindAddress::Localhost, Kind::BindAddress;
        /// Connections to the embedded registry open at once; more wait to be accepted.
        connections_max: u64 = 1_024, Kind::integer(1, 1_000_000, "connections");
        /// The largest request that the embedded registry reads, and so the largest schema.
        request_bytes_max: u64 = 4 * MIB, Kind::integer(KIB, 64 * MIB, "bytes");
        /// The headers of a request to the embedded registry; one with more is refused.
        header_bytes_max: u64 = 64 * KIB, Kind::integer(8 * KIB, MIB, "bytes");
        /// How long a client of the embedded registry may take for its TLS handshake, again for a request's
        /// headers and its body, and for taking some of an answer.
        request_timeout_ms: u64 = 30_000, Kind::integer(100, DAY_MS, "milliseconds");
        /// Whether the embedded registry is served over TLS, with the certificate of `tls`.
        tls: bool = false, Kind::Switch;
        /// Who may use the embedded registry: whoever reaches it (`none`), or any user that could log in
        /// to Kafka, by HTTP basic authentication (`basic`).
        authentication: String = "none".to_owned(), Kind::Choice(&["none", "basic"]);
        /// An outside registry's URL (several: comma-separated) to look schemas up in, instead of
        /// the embedded one, which is then not served.
        url: Option<String> = None, Kind::Urls;
        /// The user name for the outside registry.
        username: Option<String> = None, Kind::Text;
        /// The password for the outside registry.
        password: Option<Secret> = None, Kind::Secret;
        /// A file with that password, instead.
        password_path: Option<PathBuf> = None, Kind::Path;
        /// The bearer token for the outside registry, instead of user name and password.
        token: Option<Secret> = None, Kind::Secret;
        /// A file with that token, instead.
        token_path: Option<PathBuf> = None, Kind::Path;
        /// A PEM file with the certificate authorities to trust for `https` URLs, besides the
        /// system's.
        ca_path: Option<PathBuf> = None, Kind::Path;
    }

    /// The admin HTTP listener: metrics, health and admin actions.
    http: HttpConfig {
        /// The port for metrics, health and admin actions; 0 takes a free one.
        port: u16 = 9090, Kind::Port;
        /// The address the admin listener is on.
        bind_address: BindAddress = BindAddress::Localhost, Kind::BindAddress;
        /// Connections to the admin listener open at once; more wait to be accepted.
        connections_max: u64 = 64, Kind::integer(1, 1_000_000, "connections");
        /// The headers of a request to the admin listener; one with more is refused.
        header_bytes_max: u64 = 16 * KIB, Kind::integer(8 * KIB, MIB, "bytes");
        /// How long a client of the admin listener may take for its TLS handshake, again for a request's
        /// headers and its body, and for taking some of an answer.
        request_timeout_ms: u64 = 10_000, Kind::integer(100, DAY_MS, "milliseconds");
        /// Whether the admin listener is served over TLS, with the certificate of `tls`.
        tls: bool = false, Kind::Switch;
        /// Who may use the admin listener: whoever reaches it (`none`), or, by HTTP basic authentication
        /// (`basic`), super users all of it and other users the metrics. Health is told to everybody.
        authentication: String = "none".to_owned(), Kind::Choice(&["none", "basic"]);
    }

    /// The commit log.
    store: StoreSection {
        /// The folder of all data.
        path: PathBuf = PathBuf::from("./data"), Kind::Path;
        /// The size at which the log begins a new segment file.
        segment_bytes: u64 = 128 * MIB, Kind::integer(MIB, GIB, "bytes");
        /// Appends waiting for the disk. When it is used up, producers wait.
        queue_bytes_max: u64 = 32 * MIB, Kind::integer(MIB, GIB, "bytes");
        /// Memory for the newest batches, from which consumers and tables are served.
        tail_bytes_max: u64 = 64 * MIB, Kind::integer(0, 64 * GIB, "bytes");
        /// How often it is looked for records that are too old, and for topics to compact.
        maintenance_interval_ms: u64 = 30_000, Kind::integer(10, DAY_MS, "milliseconds");
    }

    /// Tables made from topics.
    table: TableSection {
        /// Whether topics become tables.
        enabled: bool = true, Kind::Switch;
        /// The folder of the tables' data and metadata. Unset: `<store.path>/warehouse`.
        warehouse: Option<PathBuf> = None, Kind::Path;
        /// The folder of schema files that topics may name (`fletch.format.file`), and nothing outside of
        /// it. Unset: they may name none.
        schemas_path: Option<PathBuf> = None, Kind::Path;
        /// The longest time between a record's acknowledgement and its commit to the table.
        commit_interval_ms: u64 = 1_000, Kind::integer(10, DAY_MS, "milliseconds");
        /// The size data files are aimed at; a commit is made when this much has gathered.
        file_bytes_target: u64 = 128 * MIB, Kind::integer(64 * KIB, 4 * GIB, "bytes");
        /// Columns of one table, the server's own and those within others counted. What needs more is a dead
        /// letter. (What is inferred of JSON that has no schema stays below the least of it.)
        columns_max: u64 = 5_000, Kind::integer(2_500, 100_000, "columns");
        /// How deep braces and brackets may nest in the schemas of records. What names a deeper one is a dead
        /// letter. (Whatever is set, types of Avro nest 64 deep at most, and a `.proto` file 100.)
        schema_depth_max: u64 = 127, Kind::integer(16, 127, "levels (each is read on the stack)");
        /// How deep columns may lie within each other. What needs more is a dead letter. (What is inferred of
        /// JSON that has no schema stays below the least of it.)
        column_depth_max: u64 = 64, Kind::integer(16, 64, "levels");
    }

    /// Topics as they are created.
    topics: TopicsConfig {
        /// Whether a topic that a producer or consumer names is created when missing.
        auto_create: bool = true, Kind::Switch;
        /// Partitions of a topic created without a count.
        partitions: u64 = 1, Kind::integer(1, 10_000, "partitions");
        /// Topics that may exist.
        topics_max: u64 = 10_000, Kind::integer(1, 1_000_000, "topics");
        /// Partitions that may exist over all topics.
        partitions_max: u64 = 100_000, Kind::integer(1, 1_000_000, "partitions");
    }

    /// Stopping.
    shutdown: ShutdownConfig {
        /// How long a stop may take to finish requests, flush the log and commit tables.
        timeout_ms: u64 = 30_000, Kind::integer(100, DAY_MS, "milliseconds");
    }

    /// What is logged, on standard error.
    log: LogConfig {
        /// Lines for people or for machines; `auto` is `human` on a terminal, `json` elsewhere.
        format: String = "auto".to_owned(), Kind::Choice(&["auto", "human", "json"]);
        /// What is logged, as a `tracing` filter: a level, or `target=level` pairs.
        level: String = "info".to_owned(), Kind::Text;
    }
}

impl Config {
    /// Whether there is a schema registry to ask, here or elsewhere.
    pub(crate) fn has_registry(&self) -> bool {
        self.registry.enabled || self.registry.url.is_some()
    }

    /// The configuration with what follows from other keys filled in, or what contradicts itself.
    pub fn resolved(mut self) -> Result<Self, String> {
        let sasl = &mut self.sasl;
        read_secret(
            "sasl.admin_password",
            &mut sasl.admin_password,
            sasl.admin_password_path.as_deref(),
        )?;
        let registry = &mut self.registry;
        read_secret(
            "registry.password",
            &mut registry.password,
            registry.password_path.as_deref(),
        )?;
        read_secret(
            "registry.token",
            &mut registry.token,
            registry.token_path.as_deref(),
        )?;
        check_sasl(&self.sasl)?;
        self.acl.super_users()?;
        let registry = &self.registry;
        if registry.token.is_some() && (registry.username.is_some() || registry.password.is_some())
        {
            return Err(
                "registry.token is set, and registry.username or registry.password: one of the two"
                    .into(),
            );
        }
        if registry.username.is_some() != registry.password.is_some() {
            return Err("registry.username and registry.password go together".into());
        }
        if registry.url.is_none() && (registry.token.is_some() || registry.username.is_some()) {
            return Err(
                "registry credentials are set, but no registry.url to use them with".into(),
            );
        }
        let kafka = &self.kafka;
        if kafka.requests_memory_bytes_max < kafka.request_bytes_max {
            return Err(format!(
                "kafka.requests_memory_bytes_max = {} can't hold one request of kafka.request_bytes_max = {}",
                kafka.requests_memory_bytes_max, kafka.request_bytes_max
            ));
        }
        check_listeners(&self)?;
        if kafka.group_session_timeout_ms_min > kafka.group_session_timeout_ms_max {
            return Err(format!(
                "kafka.group_session_timeout_ms_min = {} is more than kafka.group_session_timeout_ms_max = {}",
                kafka.group_session_timeout_ms_min, kafka.group_session_timeout_ms_max
            ));
        }
        if self.table.warehouse.is_none() {
            self.table.warehouse = Some(self.store.path.join("warehouse"));
        }
        Ok(self)
    }
}

impl AclConfig {
    /// The super users that are named.
    pub(crate) fn super_users(&self) -> Result<Vec<Principal>, String> {
        let named = self.super_users.as_deref().unwrap_or_default();
        let named = named
            .split(';')
            .map(str::trim)
            .filter(|text| !text.is_empty());
        let principal = |text: &str| {
            Principal::parse(text)
                .ok_or_else(|| format!("acl.super_users: {text:?} is not User:name"))
        };
        named.map(principal).collect()
    }
}

impl Config {
    /// Whether any listener tells its clients apart.
    pub(crate) fn identifies_clients(&self) -> bool {
        let listeners = self.kafka.listeners.iter().flat_map(|all| &all.0);
        let with_certificates = self.tls.client_auth != "none";
        listeners
            .into_iter()
            .any(|listener| match listener.protocol {
                SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl => true,
                SecurityProtocol::Ssl => with_certificates,
                SecurityProtocol::Plaintext => false,
            })
    }
}

/// A secret that is in a file of its own, if it is.
fn read_secret(key: &str, secret: &mut Option<Secret>, path: Option<&Path>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| format!("{key}_path = {}: {error}", path.display()))?;
    // An editor ends the line.
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.len() > SECRET_BYTES_MAX {
        return Err(format!(
            "{key}_path = {}: it has {} bytes; a secret has 1 to {SECRET_BYTES_MAX}",
            path.display(),
            text.len()
        ));
    }
    let read = Secret::new(text);
    // A configuration may be resolved more than once.
    if secret.as_ref().is_some_and(|given| *given != read) {
        return Err(format!("{key} and {key}_path are set: one of the two"));
    }
    *secret = Some(read);
    Ok(())
}

/// What contradicts itself in the logins.
fn check_sasl(sasl: &SaslConfig) -> Result<(), String> {
    crate::auth::sasl::named(&sasl.mechanisms)
        .map_err(|problem| format!("sasl.mechanisms: {problem}"))?;
    if sasl.admin_username.is_some() != sasl.admin_password.is_some() {
        return Err(
            "sasl.admin_username and sasl.admin_password (or sasl.admin_password_path) go together"
                .into(),
        );
    }
    let keys = [
        sasl.oauthbearer_jwks_path.is_some(),
        sasl.oauthbearer_jwks_url.is_some(),
        sasl.oauthbearer_unsecured,
    ];
    if keys.into_iter().filter(|set| *set).count() > 1 {
        return Err(
            "sasl.oauthbearer_jwks_path, sasl.oauthbearer_jwks_url and sasl.oauthbearer_unsecured: \
             one of the three"
                .into(),
        );
    }
    Ok(())
}

/// What contradicts itself in the Kafka listeners and their TLS.
fn check_listeners(config: &Config) -> Result<(), String> {
    let (kafka, tls) = (&config.kafka, &config.tls);
    let single = KafkaConfig::default();
    if kafka.listeners.is_some()
        && (kafka.port != single.port
            || kafka.bind_address != single.bind_address
            || kafka.advertised_address.is_some())
    {
        return Err(
            "kafka.listeners is set, and kafka.port, kafka.bind_address or kafka.advertised_address: \
             the listeners say all of it (and kafka.advertised_listeners)"
                .into(),
        );
    }
    let listeners = kafka
        .listeners
        .as_ref()
        .map_or(&[] as &[_], |listeners| &listeners.0);
    for advertised in kafka.advertised_listeners.iter().flat_map(|all| &all.0) {
        let same_name = |listener: &&ListenerSetting| listener.name == advertised.name;
        if listeners.iter().filter(same_name).count() != 1 {
            return Err(format!(
                "kafka.advertised_listeners names {}, which kafka.listeners doesn't",
                advertised.name
            ));
        }
    }
    if tls.certificate_path.is_some() != tls.key_path.is_some() {
        return Err("tls.certificate_path and tls.key_path go together".into());
    }
    let encrypted = listeners
        .iter()
        .find(|listener| listener.protocol.is_encrypted());
    if let Some(listener) = encrypted.filter(|_| tls.certificate_path.is_none()) {
        return Err(format!(
            "the listener {listener} needs tls.certificate_path and tls.key_path"
        ));
    }
    for (section, asked) in [("registry", config.registry.tls), ("http", config.http.tls)] {
        if asked && tls.certificate_path.is_none() {
            return Err(format!(
                "{section}.tls needs tls.certificate_path and tls.key_path"
            ));
        }
    }
    if tls.client_auth != "none" && tls.client_ca_path.is_none() {
        return Err(format!(
            "tls.client_auth = {} needs tls.client_ca_path",
            tls.client_auth
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check() {
        let defaults = serde_json::to_value(Config::default()).unwrap();
        for key in Config::KEYS {
            let value = &defaults[key.section][key.name];
            let text = match value {
                serde_json::Value::Null => continue,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert!(key.kind.check(&text), "{} = {text}", key.dotted());
        }
    }

    #[test]
    fn names_follow_one_rule() {
        let key = Config::KEYS
            .iter()
            .find(|key| key.name == "bind_address")
            .unwrap();
        assert_eq!(key.dotted(), "kafka.bind_address");
        assert_eq!(key.environment(), "KAFKA_BIND_ADDRESS");
        assert_eq!(key.flag(), "kafka-bind-address");
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"kafka":{"prot":1}}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"kafak":{}}"#).is_err());
        assert_eq!(
            serde_json::from_str::<Config>("{}").unwrap(),
            Config::default()
        );
    }
}
