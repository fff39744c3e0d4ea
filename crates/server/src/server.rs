//! Starting and stopping the whole.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fletch_registry::{Embedded, EmbeddedConfig};
use fletch_store::{Store, StoreConfig, StoreError, Topic};
use fletch_table::{TableConfig, Tables};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::addresses::{Addresses, ListenerAddress, reachable};
use crate::admin::{self, Admin};
use crate::auth::acl::Acls;
use crate::auth::basic::Basic;
use crate::auth::sasl::Authenticator;
use crate::auth::users::Users;
use crate::broker::{Broker, now_ms};
use crate::config::{BindAddress, Config, ListenerSetting, SecurityProtocol};
use crate::dead_letters::Replayer;
use crate::error::ServerError;
use crate::groups::Coordinator;
use crate::kafka::{self, ListenerInfo};
use crate::listener::Listener;
use crate::open_files;
use crate::registry::{LogJournal, Schemas};
use crate::telemetry;
use crate::threads::Threads;
use crate::tls::Tls;
use crate::validation::Validator;
use crate::web::{self, Caller, Web};

/// How often it is looked whether the log still works.
const FAILURE_INTERVAL: Duration = Duration::from_millis(500);

/// The server.
#[derive(Debug)]
pub struct Server;

/// A server that runs. Dropping it leaves it running; [`Running::shutdown`] stops it.
pub struct Running {
    addresses: Addresses,
    folder: PathBuf,
    timeout: Duration,
    store: Store,
    tables: Option<Tables>,
    admin: Arc<Admin>,
    kafka: Part,
    groups: Part,
    registry: Part,
    http: Part,
    background: CancellationToken,
}

/// A listener that runs, or none.
#[derive(Debug, Default)]
struct Part {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Takes the addresses, opens the log, and serves.
    ///
    /// # Errors
    /// See [`ServerError`]; nothing runs then.
    pub async fn start(config: Config) -> Result<Running, ServerError> {
        let mut config = config.resolved().map_err(ServerError::Config)?;
        open_files::provide(&mut config);
        let recorder = telemetry::recorder();
        // Addresses first: a second server on this machine should fail before it touches anything.
        let http = Listener::bind(
            "http",
            "http.port",
            config.http.bind_address,
            config.http.port,
        )?;
        let tls = Tls::load(&config.tls).map_err(ServerError::Tls)?;
        let kafka = bind_kafka(&config, tls.as_ref())?;
        let registry = match config.registry.enabled && config.registry.url.is_none() {
            true => Some(Listener::bind(
                "registry",
                "registry.port",
                config.registry.bind_address,
                config.registry.port,
            )?),
            false => None,
        };
        let folder = config.store.path.clone();
        let every = Duration::from_millis(config.store.maintenance_interval_ms);
        let store = open_store(&config).await?;
        // The folder is ours now; what a server that was killed left in it would mislead.
        Addresses::forget(&folder);
        let addresses = Addresses {
            kafka: kafka
                .first()
                .map(|(_, info)| reachable(info.bind_address, info.port)),
            listeners: kafka.iter().map(|(_, info)| address(info)).collect(),
            registry: match &registry {
                Some(listener) => Some(url(
                    config.registry.tls,
                    config.registry.bind_address,
                    listener,
                )),
                None => config.registry.url.clone(),
            },
            http: url(config.http.tls, config.http.bind_address, &http),
            pid: std::process::id(),
        };
        let users = Users::open(store.clone(), &config.sasl)
            .await
            .map_err(|error| ServerError::Logins(error.to_string()))?;
        let authenticator = Authenticator::new(&config.sasl, users)
            .await
            .map_err(ServerError::Logins)?;
        let authenticator = Arc::new(authenticator);
        let acls = Acls::open(store.clone(), &config)
            .map_err(|error| ServerError::Logins(error.to_string()))?;
        let basic = Arc::new(Basic::new(Arc::clone(&authenticator)));
        let connections_max = count(config.http.connections_max);
        let header_bytes_max = count(config.http.header_bytes_max);
        let patience = Duration::from_millis(config.http.request_timeout_ms);
        let web = |name, with_tls: bool, authentication: &str| Web {
            name,
            tls: tls.clone().filter(|_| with_tls),
            basic: (authentication == "basic").then(|| Arc::clone(&basic)),
            connections_max,
            header_bytes_max,
            patience,
        };
        let (registry, schemas) = match registry {
            Some(listener) => {
                let settings = &config.registry;
                let web = Web {
                    connections_max: count(settings.connections_max),
                    header_bytes_max: count(settings.header_bytes_max),
                    patience: Duration::from_millis(settings.request_timeout_ms),
                    ..web("registry", settings.tls, &settings.authentication)
                };
                let embedded = EmbeddedConfig {
                    request_bytes_max: count(settings.request_bytes_max),
                    request_timeout: Duration::from_millis(settings.request_timeout_ms),
                    ..EmbeddedConfig::default()
                };
                serve_registry(listener, web, embedded, &store).await?
            }
            None => (Part::default(), Schemas::configured(&config.registry)?),
        };
        let schemas = Arc::new(schemas);
        let tables = match config.table.enabled {
            true => {
                let source = schemas.clone();
                Some(Tables::start(store.clone(), table_config(&config), source).await?)
            }
            false => None,
        };
        let timeout = Duration::from_millis(config.shutdown.timeout_ms);
        let (coordinator, keeper) = Coordinator::restore(&store, &config).await?;
        let groups = Part::of(|stop| keeper.keep(stop));
        let broker = Arc::new(Broker::new(
            config,
            store.clone(),
            tables.clone(),
            Validator::new(schemas),
            coordinator,
            authenticator,
            acls,
        ));
        let admin = Arc::new(Admin {
            broker: Arc::clone(&broker),
            recorder,
            tables: tables.clone(),
            replayer: Arc::new(Replayer::new(store.clone())),
            stopping: AtomicBool::new(false),
        });
        let settings = &admin.broker.config.http;
        let web = web("http", settings.tls, &settings.authentication);
        let http = Part::of(|stop| admin::serve(http, web, Arc::clone(&admin), stop));
        let background = CancellationToken::new();
        if let Some(tls) = tls {
            let every = Duration::from_millis(broker.config.tls.reload_interval_ms);
            let renewing = tls.keep_current(every);
            tokio::spawn(background.clone().run_until_cancelled_owned(renewing));
        }
        let kafka = match kafka.is_empty() {
            false => {
                let threads = Threads::start("fletch-kafka").map_err(ServerError::Threads)?;
                Part::of(|stop| kafka::serve(kafka, threads, broker, stop))
            }
            true => Part::default(),
        };
        tokio::spawn(
            background
                .clone()
                .run_until_cancelled_owned(keep_house(store.clone(), every)),
        );
        addresses
            .write(&folder)
            .map_err(|source| ServerError::Folder {
                folder: folder.clone(),
                source,
            })?;
        info!(
            kafka = addresses.kafka.as_deref().unwrap_or("off"),
            registry = addresses.registry.as_deref().unwrap_or("off"),
            http = addresses.http,
            data = %folder.display(),
            "serving"
        );
        Ok(Running {
            addresses,
            folder,
            timeout,
            store,
            tables,
            admin,
            kafka,
            groups,
            registry,
            http,
            background,
        })
    }
}

impl Running {
    /// Where it can be reached.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.admin.broker
    }

    /// Waits until the log can't be written any more, after which only a restart helps.
    pub async fn failed(&self) -> ServerError {
        loop {
            match self.store.failure() {
                Some(failure) => return ServerError::Store(failure),
                None => sleep(FAILURE_INTERVAL).await,
            }
        }
    }

    /// Stops: no new connections, requests under way are answered, the log is flushed. Takes
    /// `shutdown.timeout_ms` at most.
    ///
    /// # Errors
    /// When the log couldn't be flushed, or the time ran out. What was acknowledged is on disk in
    /// any case.
    pub async fn shutdown(self) -> Result<(), ServerError> {
        let deadline = Instant::now() + self.timeout;
        self.admin.stopping.store(true, Ordering::Relaxed);
        self.background.cancel();
        // Half of the time is the clients'; the log needs the rest.
        let clients_deadline = Instant::now() + self.timeout / 2;
        self.kafka.stop("kafka", clients_deadline).await;
        // After the clients, whose last answers wait for what it keeps.
        self.groups.stop("groups", clients_deadline).await;
        self.registry.stop("registry", clients_deadline).await;
        if let Some(tables) = &self.tables {
            let up_to_date = commit_tables(&self.store, tables);
            if timeout_at(deadline - self.timeout / 8, up_to_date)
                .await
                .is_err()
            {
                // Nothing is lost: the next start goes on from what the tables have.
                warn!("the tables were not up to date in time");
            }
        }
        let flushed = timeout_at(deadline, self.store.shutdown()).await;
        self.http.stop("http", deadline).await;
        Addresses::forget(&self.folder);
        match flushed {
            Ok(Ok(())) => {
                info!("stopped");
                Ok(())
            }
            Ok(Err(error)) => Err(ServerError::Store(error)),
            Err(_) => Err(ServerError::ShutdownTimeout {
                timeout_ms: self.timeout.as_millis() as u64,
            }),
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Part {
    fn of<F: Future<Output = ()> + Send + 'static>(
        serve: impl FnOnce(CancellationToken) -> F,
    ) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(stop.clone()));
        Self {
            stop,
            tasks: vec![task],
        }
    }

    async fn stop(self, name: &'static str, deadline: Instant) {
        self.stop.cancel();
        for mut task in self.tasks {
            match timeout_at(deadline, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => error!(listener = name, %error, "a listener failed"),
                Err(_) => {
                    warn!(listener = name, "some requests were not finished in time");
                    task.abort();
                }
            }
        }
    }
}

/// Takes the addresses of the Kafka listeners.
fn bind_kafka(
    config: &Config,
    tls: Option<&Arc<Tls>>,
) -> Result<Vec<(Listener, Arc<ListenerInfo>)>, ServerError> {
    let kafka = &config.kafka;
    if !kafka.enabled {
        return Ok(Vec::new());
    }
    let (key, settings) = match &kafka.listeners {
        Some(listeners) => ("kafka.listeners", listeners.0.clone()),
        None => {
            let protocol = SecurityProtocol::Plaintext;
            let only = ListenerSetting {
                name: protocol.name().to_owned(),
                protocol,
                bind_address: kafka.bind_address,
                port: kafka.port,
            };
            ("kafka.port", vec![only])
        }
    };
    let bind = |setting: ListenerSetting| {
        let listener = Listener::bind("kafka", key, setting.bind_address, setting.port)?;
        let advertised = kafka.advertised_listeners.iter().flat_map(|all| &all.0);
        let own = advertised.into_iter().find(|own| own.name == setting.name);
        let info = ListenerInfo {
            protocol: setting.protocol,
            bind_address: setting.bind_address,
            port: listener.port(),
            advertised: own
                .map(|own| &own.address)
                .or(kafka.advertised_address.as_ref())
                .cloned(),
            tls: tls.filter(|_| setting.protocol.is_encrypted()).cloned(),
            name: setting.name,
        };
        Ok((listener, Arc::new(info)))
    };
    settings.into_iter().map(bind).collect()
}

fn url(is_encrypted: bool, bind: BindAddress, listener: &Listener) -> String {
    let scheme = if is_encrypted { "https" } else { "http" };
    format!("{scheme}://{}", reachable(bind, listener.port()))
}

fn address(info: &Arc<ListenerInfo>) -> ListenerAddress {
    ListenerAddress {
        name: info.name.clone(),
        protocol: info.protocol.to_string(),
        address: reachable(info.bind_address, info.port),
    }
}

/// Commits everything acknowledged, and ends the tables.
async fn commit_tables(store: &Store, tables: &Tables) {
    let known = tables.status();
    let is_known = |topic: &Topic| known.iter().any(|table| table.topic_id == topic.id);
    for topic in store.topics().iter().filter(|topic| !is_known(topic)) {
        // A topic of a moment ago may be one that the tables haven't come to yet. Asking for it
        // makes them; the end below waits for all.
        let _asked = timeout(Duration::ZERO, tables.flush(&topic.name)).await;
    }
    tables.shutdown().await;
}

async fn open_store(config: &Config) -> Result<Store, ServerError> {
    let folder = config.store.path.clone();
    let store_config = store_config(config, &folder);
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)
            .map_err(|source| ServerError::Folder { folder, source })?;
        Store::open(store_config).map_err(ServerError::Store)
    });
    opened
        .await
        .unwrap_or(Err(ServerError::Store(StoreError::Closed)))
}

fn store_config(config: &Config, folder: &Path) -> StoreConfig {
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut store = StoreConfig::new(folder.join("log"));
    // Then retention waits for what a table has not taken.
    store.tables = config.table.enabled;
    store.segment_bytes = u32::try_from(config.store.segment_bytes).unwrap_or(u32::MAX);
    store.queue_bytes_max = bytes(config.store.queue_bytes_max);
    store.tail_bytes_max = bytes(config.store.tail_bytes_max);
    store
}

/// A configured count as one of what is in memory.
fn count(configured: u64) -> usize {
    usize::try_from(configured).unwrap_or(usize::MAX)
}

fn table_config(config: &Config) -> TableConfig {
    let mut table = TableConfig::new(&config.store.path);
    if let Some(warehouse) = &config.table.warehouse {
        table.warehouse.clone_from(warehouse);
    }
    table.commit_interval = Duration::from_millis(config.table.commit_interval_ms);
    table.file_bytes_target = config.table.file_bytes_target;
    table.columns_max = count(config.table.columns_max);
    table.schema_depth_max = count(config.table.schema_depth_max);
    table.column_depth_max = count(config.table.column_depth_max);
    table.schemas.clone_from(&config.table.schemas_path);
    table
}

async fn serve_registry(
    listener: Listener,
    web: Web,
    config: EmbeddedConfig,
    store: &Store,
) -> Result<(Part, Schemas), ServerError> {
    let journal = Arc::new(LogJournal::new(store.clone()));
    let embedded = Embedded::open_with(journal, config)
        .await
        .map_err(|error| ServerError::Registry(error.to_string()))?;
    let registry = embedded.clone();
    let service = move |request, caller| {
        let registry = registry.clone();
        async move {
            match caller {
                Caller::Stranger => web::unauthorized(),
                Caller::Anyone | Caller::User(_) => registry.handle(request).await,
            }
        }
    };
    let part = Part::of(|stop| web::serve(listener, web, service, stop));
    Ok((part, Schemas::embedded(embedded)))
}

/// What has to be done now and then.
async fn keep_house(store: Store, every: Duration) {
    let mut ticks = interval(every);
    // One that takes longer is followed by a pause, and not by all those that it has missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        telemetry::recorder().run_upkeep();
        if let Err(error) = store.apply_retention(now_ms()).await {
            warn!(%error, "old records can't be dropped");
        }
        if let Err(error) = store.compact(now_ms()).await {
            warn!(%error, "the log can't be compacted");
        }
    }
}
