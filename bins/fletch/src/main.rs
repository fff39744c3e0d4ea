//! Kafka streams into Apache Arrow tables: one small server.
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod commands;
mod settings;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Arg, Command};
use fletch_server::Server;
use fletch_server::config::{Config, LogConfig};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The configuration can't be used: the same code as for a wrong flag.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let settings = match settings::load(&matches) {
        Ok(settings) => settings,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    if matches.subcommand_name() == Some("config") {
        print!("{}", settings.print());
        for note in settings.notes {
            eprintln!("{note}");
        }
        return ExitCode::SUCCESS;
    }
    if let Some(code) = commands::run(&matches, &settings.config) {
        return code;
    }
    if let Err(problem) = start_logging(&settings.config.log) {
        eprintln!("{problem}");
        return ExitCode::from(EXIT_USAGE);
    }
    for note in settings.notes {
        warn!("{note}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("fletch")
        .build();
    match runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(serve(settings.config)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            error!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// The command line: one flag per key.
fn command() -> Command {
    let keys = Config::KEYS.iter().map(|key| {
        let help = format!("{} [{}]", key.about, key.kind);
        let heading = key.section;
        Arg::new(key.flag())
            .long(key.flag())
            .value_name("VALUE")
            .help(help)
            .help_heading(heading)
            .global(true)
    });
    let file = Arg::new("config-file")
        .long("config-file")
        .value_name("FILE")
        .help("The YAML file to read, which must exist [default: fletch.yaml if it is there]")
        .global(true);
    Command::new("fletch")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Kafka streams into Apache Arrow tables. Without a command: serve.")
        .arg(file)
        .args(keys)
        .subcommand(
            Command::new("config")
                .about("Print the configuration in force, and where each value comes from"),
        )
        .subcommands(commands::all())
}

fn start_logging(config: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.level)
        .map_err(|error| format!("log.level = {:?}: {error}", config.level))?;
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match config.format.as_str() {
        "json" => lines.json().flatten_event(true).init(),
        "auto" if !terminal => lines.json().flatten_event(true).init(),
        _ => lines.with_ansi(terminal).with_target(false).init(),
    }
    Ok(())
}

/// Serves until told to stop, or until the log can't be written any more.
async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let mut stops = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let data = config.store.path.display().to_string();
    let running = Server::start(config).await?;
    println!("Fletch is ready. {}, data in {data}", running.addresses());
    let failure = tokio::select! {
        name = stopped(&mut stops) => {
            info!(signal = name, "stopping; the same signal again stops at once");
            None
        }
        failure = running.failed() => Some(failure),
    };
    tokio::select! {
        done = running.shutdown() => done?,
        name = stopped(&mut stops) => warn!(signal = name, "stopping at once"),
    }
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

async fn stopped((terminate, interrupt): &mut (Signal, Signal)) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
