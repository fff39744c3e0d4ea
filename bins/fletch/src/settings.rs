//! Where every configuration value comes from: defaults < `fletch.yaml` < environment < flags.
//!
//! The keys themselves, and which values each takes, are declared in `fletch_server::config`.

use std::fmt::Write as _;
use std::path::Path;

use clap::ArgMatches;
use figment::providers::{Format, Serialized, Yaml};
use figment::value::{Dict, Map, Num, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use fletch_server::config::{Config, Key, Kind, is_service_link_value, read_environment};

const FILE: &str = "fletch.yaml";

/// The configuration in force, and where each value of it was found.
pub(crate) struct Settings {
    /// The values.
    pub(crate) config: Config,
    /// What was seen and set aside, worth a line in the log.
    pub(crate) notes: Vec<String>,
    figment: Figment,
}

/// One source of values; figment remembers it for each value in force.
struct Layer {
    metadata: Metadata,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

impl Layer {
    fn new(
        name: &'static str,
        spell: impl Fn(&Key) -> String + Clone + Send + Sync + 'static,
    ) -> Self {
        let metadata = Metadata::named(name).interpolater(move |_, path| {
            let key = Config::KEYS
                .iter()
                .find(|key| [key.section, key.name] == *path);
            key.map(&spell).unwrap_or_default()
        });
        Self {
            metadata,
            values: Dict::new(),
        }
    }

    fn set(&mut self, key: &Key, value: Value) {
        let section = self
            .values
            .entry(key.section.to_owned())
            .or_insert_with(|| Value::from(Dict::new()));
        if let Value::Dict(_, section) = section {
            section.insert(key.name.to_owned(), value);
        }
    }
}

/// Gathers the configuration; the error is every problem found, one a line.
pub(crate) fn load(matches: &ArgMatches) -> Result<Settings, String> {
    let mut problems = Vec::new();
    let file = read_file(
        matches.get_one::<String>("config-file").map(String::as_str),
        &mut problems,
    );

    let mut environment = Layer::new("environment variable", Key::environment);
    let found = read_environment(std::env::vars_os());
    problems.extend(found.problems);
    for (key, text) in found.values {
        environment.set(key, typed(key.kind, &text));
    }

    let mut flags = Layer::new("flag", |key| format!("--{}", key.flag()));
    for key in Config::KEYS {
        if let Some(text) = matches.get_one::<String>(&key.flag()) {
            flags.set(key, typed(key.kind, text));
        }
    }

    let defaults = Serialized::defaults(Config::default());
    let figment = Figment::from(defaults)
        .merge(file)
        .merge(environment)
        .merge(flags);
    problems.extend(Config::KEYS.iter().filter_map(|key| check(&figment, key)));
    if problems.is_empty() {
        match figment
            .extract::<Config>()
            .map_err(|error| error.to_string())
            .and_then(Config::resolved)
        {
            Ok(config) => {
                return Ok(Settings {
                    config,
                    notes: found.notes,
                    figment,
                });
            }
            Err(problem) => problems.push(problem),
        }
    }
    Err(problems.join("\n"))
}

/// The YAML file as a layer: the one named, which must exist, or `fletch.yaml` if it is there.
fn read_file(named: Option<&str>, problems: &mut Vec<String>) -> Layer {
    let path = named.unwrap_or(FILE);
    let mut layer = Layer {
        metadata: Metadata::named("file").source(Path::new(path)),
        values: Dict::new(),
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return layer;
        }
        Err(error) => {
            problems.push(format!("file {path} can't be read: {error}"));
            return layer;
        }
    };
    let sections: Option<Dict> = match Yaml::from_str(&text) {
        Ok(sections) => sections,
        Err(error) => {
            problems.push(format!("file {path} isn't a YAML map of sections: {error}"));
            return layer;
        }
    };
    for (section, values) in sections.unwrap_or_default() {
        let keys: Vec<_> = Config::KEYS
            .iter()
            .filter(|key| key.section == section)
            .collect();
        let names = |names: Vec<&str>| names.join(", ");
        if keys.is_empty() {
            let allowed = names(Config::SECTIONS.iter().map(|(name, _)| *name).collect());
            problems.push(format!(
                "file {path}: {section} is not a section; allowed: {allowed}"
            ));
            continue;
        }
        let values = match values {
            Value::Dict(_, values) => values,
            Value::Empty(..) => continue,
            _ => {
                problems.push(format!(
                    "file {path}: {section} must be a section with keys below it"
                ));
                continue;
            }
        };
        for (name, value) in values {
            match keys.iter().find(|key| key.name == name) {
                None => {
                    let allowed = names(keys.iter().map(|key| key.name).collect());
                    problems.push(format!("file {path}: {section}.{name} is not a key; allowed in {section}: {allowed}"));
                }
                Some(_) if matches!(value, Value::Empty(..)) => {}
                Some(key) => match value.as_str() {
                    Some(text) => layer.set(key, typed(key.kind, text)),
                    None => layer.set(key, value),
                },
            }
        }
    }
    layer
}

/// Text as the value its key wants, or as it is when it isn't allowed (the check then says so).
fn typed(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Switch if kind.check(text) => Value::from(text == "true"),
        Kind::Port | Kind::Integer { .. } => text
            .parse::<u64>()
            .map_or_else(|_| Value::from(text), Value::from),
        _ => Value::from(text),
    }
}

/// What is wrong with the value in force, if anything.
fn check(figment: &Figment, key: &Key) -> Option<String> {
    let value = figment.find_value(&key.dotted()).ok()?;
    let text = match &value {
        Value::Empty(..) => return None,
        Value::String(_, text) => Some(text.clone()),
        Value::Bool(_, switch) => (key.kind == Kind::Switch).then(|| switch.to_string()),
        Value::Num(_, number) => key.kind.is_number().then(|| whole(number)).flatten(),
        _ => None,
    };
    if text.as_ref().is_some_and(|text| key.kind.check(text)) {
        return None;
    }
    let shown = match &value {
        _ if key.kind.is_secret() => "********".to_owned(),
        // What was refused may have been so for the credentials in it.
        Value::String(_, text) if key.kind == Kind::Urls && text.contains('@') => {
            "********".to_owned()
        }
        Value::String(_, text) => format!("{text:?}"),
        Value::Bool(_, switch) => switch.to_string(),
        Value::Num(_, number) => whole(number).unwrap_or_else(|| format!("{number:?}")),
        _ => "a list or map".to_owned(),
    };
    let mut problem = format!(
        "{} = {shown} (from {}): allowed is {}",
        key.dotted(),
        source(figment, key),
        key.kind
    );
    if text.as_deref().is_some_and(is_service_link_value) {
        let variable = key.environment();
        let _ = write!(
            problem,
            ". This looks like a Kubernetes service link: a service named \"{}\" makes Kubernetes set {variable} in \
             every pod. Set enableServiceLinks: false in the pod's spec, rename the service, or pass --{}",
            key.section,
            key.flag(),
        );
    } else if text.is_none() && !key.kind.is_number() && key.kind != Kind::Switch {
        problem.push_str(", in quotes");
    }
    Some(problem)
}

fn whole(number: &Num) -> Option<String> {
    number
        .to_u128_lossy()
        .map(|n| n.to_string())
        .or_else(|| number.to_i128().map(|n| n.to_string()))
}

/// Where the value in force comes from, such as `environment variable KAFKA_PORT`.
fn source(figment: &Figment, key: &Key) -> String {
    match figment.find_metadata(&key.dotted()) {
        Some(metadata) => match &metadata.source {
            Some(figment::Source::File(path)) => format!("file {}", path.display()),
            _ if matches!(&*metadata.name, "environment variable" | "flag") => {
                let spelled = metadata.interpolate(&Profile::Default, &[key.section, key.name]);
                format!("{} {spelled}", metadata.name)
            }
            _ => "default".to_owned(),
        },
        None => "default".to_owned(),
    }
}

impl Settings {
    /// The configuration in force as a YAML file, each line saying where it comes from.
    pub(crate) fn print(&self) -> String {
        let values = serde_json::to_value(&self.config).unwrap_or_default();
        let mut page = String::new();
        for (section, _) in Config::SECTIONS {
            let _ = writeln!(page, "{section}:");
            for key in Config::KEYS.iter().filter(|key| key.section == *section) {
                let source = source(&self.figment, key);
                let section = values.get(key.section);
                let value = section.and_then(|section| section.get(key.name));
                let _ = match value {
                    None | Some(serde_json::Value::Null) => {
                        writeln!(page, "  # {} is not set", key.name)
                    }
                    _ if key.kind.is_secret() => {
                        writeln!(page, "  # {}: ******** from {source}", key.name)
                    }
                    Some(value) => writeln!(
                        page,
                        "  {:<42} # {source}",
                        format!("{}: {value}", key.name)
                    ),
                };
            }
        }
        page
    }
}
