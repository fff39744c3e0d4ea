//! Where a running server can be reached: for people in one line, for programs in a file.

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::BindAddress;

/// The name of the file in the data folder.
const FILE: &str = "addresses.json";

/// Where the listeners are; absent ones are not served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// `host:port` of the first Kafka listener, for clients on this machine.
    pub kafka: Option<String>,
    /// Every Kafka listener.
    #[serde(default)]
    pub listeners: Vec<ListenerAddress>,
    /// The embedded registry's URL, or the outside one's.
    pub registry: Option<String>,
    /// The admin listener's URL.
    pub http: String,
    /// The process that serves.
    pub pid: u32,
}

/// Where a Kafka listener is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerAddress {
    /// Its name in the configuration.
    pub name: String,
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub protocol: String,
    /// `host:port` for clients on this machine.
    pub address: String,
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kafka on ")?;
        match self.listeners.as_slice() {
            [] => f.write_str("off")?,
            [only] if only.protocol == "PLAINTEXT" => f.write_str(&only.address)?,
            several => {
                for (at, listener) in several.iter().enumerate() {
                    let separator = if at > 0 { " and " } else { "" };
                    write!(f, "{separator}{} ({})", listener.address, listener.protocol)?;
                }
            }
        }
        let registry = self.registry.as_deref().unwrap_or("off");
        write!(f, ", registry on {registry}, admin on {}", self.http)
    }
}

impl Addresses {
    /// Writes them beside the data, whole or not at all.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        let unfinished = folder.join(format!("{FILE}.new"));
        std::fs::write(&unfinished, text + "\n")?;
        std::fs::rename(unfinished, folder.join(FILE))
    }

    /// Those of the server that runs on this folder, if one does.
    pub fn read(folder: &Path) -> Option<Addresses> {
        let text = std::fs::read_to_string(folder.join(FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Takes them away.
    pub(crate) fn forget(folder: &Path) {
        if let Err(error) = std::fs::remove_file(folder.join(FILE))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "{FILE} can't be removed");
        }
    }
}

/// `host:port` by which a program on this machine reaches a listener.
pub(crate) fn reachable(bind: BindAddress, port: u16) -> String {
    match bind {
        BindAddress::Ip(ip) if !ip.is_unspecified() => {
            std::net::SocketAddr::new(ip, port).to_string()
        }
        _ => format!("localhost:{port}"),
    }
}
