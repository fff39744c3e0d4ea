//! One configuration key: its names in every source, and which values it takes.

use std::fmt;
use std::str::FromStr;

use super::listeners::{AdvertisedListeners, Listeners};
use super::values::{AdvertisedAddress, BindAddress};

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The section, such as `kafka`.
    pub section: &'static str,
    /// The name within the section, such as `bind_address`.
    pub name: &'static str,
    /// What it does, in a sentence or two.
    pub about: &'static str,
    /// Which values it takes.
    pub kind: Kind,
}

impl Key {
    /// The name in the YAML file: `kafka.bind_address`.
    pub fn dotted(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The environment variable: `KAFKA_BIND_ADDRESS`.
    pub fn environment(&self) -> String {
        format!("{}_{}", self.section, self.name).to_ascii_uppercase()
    }

    /// The flag, without its dashes: `kafka-bind-address`.
    pub fn flag(&self) -> String {
        format!("{}-{}", self.section, self.name).replace('_', "-")
    }
}

/// Which values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A TCP port, 0 to 65535.
    Port,
    /// A whole number within bounds, both included.
    Integer {
        /// The least value.
        min: u64,
        /// The greatest value.
        max: u64,
        /// What it counts.
        unit: &'static str,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// An IP address or `localhost`.
    BindAddress,
    /// `host` or `host:port`.
    AdvertisedAddress,
    /// Comma-separated listeners: `[NAME=]PROTOCOL://ADDRESS:PORT`.
    Listeners,
    /// Comma-separated addresses of listeners: `NAME://HOST[:PORT]`.
    AdvertisedListeners,
    /// Comma-separated `http` or `https` URLs.
    Urls,
    /// A file or folder.
    Path,
    /// Any text that isn't empty.
    Text,
    /// Text that is never printed.
    Secret,
}

impl Kind {
    pub(super) const fn integer(min: u64, max: u64, unit: &'static str) -> Self {
        Self::Integer { min, max, unit }
    }

    /// Whether a value, written as text, is allowed.
    pub fn check(&self, text: &str) -> bool {
        match self {
            Self::Switch => matches!(text, "true" | "false"),
            Self::Port => text.parse::<u16>().is_ok(),
            Self::Integer { min, max, .. } => text
                .parse::<u64>()
                .is_ok_and(|value| (*min..=*max).contains(&value)),
            Self::Choice(words) => words.contains(&text),
            Self::BindAddress => BindAddress::from_str(text).is_ok(),
            Self::AdvertisedAddress => AdvertisedAddress::from_str(text).is_ok(),
            Self::Listeners => Listeners::from_str(text).is_ok(),
            Self::AdvertisedListeners => AdvertisedListeners::from_str(text).is_ok(),
            Self::Urls => text.split(',').map(str::trim).all(is_http_url),
            Self::Path | Self::Text | Self::Secret => !text.is_empty() && !text.contains('\0'),
        }
    }

    /// Whether the value is a number or a switch, which YAML writes without quotes.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Port | Self::Integer { .. })
    }

    /// Whether the value may be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret)
    }
}

/// What is allowed, as an error message says it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch => f.write_str("true or false"),
            Self::Port => f.write_str("a port, 0 to 65535"),
            Self::Integer { min, max, unit } => {
                write!(f, "a whole number of {unit}, {min} to {max}")
            }
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::BindAddress => f.write_str("an IP address of this machine, or localhost"),
            Self::AdvertisedAddress => {
                f.write_str("a host name or IP address, with or without :port, and not 0.0.0.0")
            }
            Self::Listeners => f.write_str(
                "comma-separated [NAME=]PROTOCOL://ADDRESS:PORT, the protocol PLAINTEXT, SSL, \
                 SASL_PLAINTEXT or SASL_SSL",
            ),
            Self::AdvertisedListeners => f.write_str("comma-separated NAME://HOST[:PORT]"),
            Self::Urls => {
                f.write_str("http:// or https:// URLs without credentials, comma-separated")
            }
            Self::Path => f.write_str("a path"),
            Self::Text => f.write_str("text"),
            Self::Secret => f.write_str("text (a secret, never printed)"),
        }
    }
}

fn is_http_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let authority = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    // Credentials have keys of their own, which are never printed.
    rest.map(authority)
        .is_some_and(|host| !host.is_empty() && !host.contains('@'))
        && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let kind = Kind::integer(10, 20, "things");
        for (text, allowed) in [("9", false), ("10", true), ("20", true), ("21", false)] {
            assert_eq!(kind.check(text), allowed, "{text}");
        }
        for text in ["", "-1", "1.5", "0x10", "1_0", "99999999999999999999"] {
            assert!(!kind.check(text), "{text}");
        }
    }

    #[test]
    fn ports_and_urls() {
        assert!(!Kind::Urls.check("http://user:password@a"));
        assert!(Kind::Port.check("0") && Kind::Port.check("65535") && !Kind::Port.check("65536"));
        assert!(!Kind::Port.check("tcp://10.0.0.1:9092"));
        assert!(Kind::Urls.check("http://a:8081, https://b"));
        assert!(
            !Kind::Urls.check("a:8081") && !Kind::Urls.check("http://") && !Kind::Urls.check("")
        );
    }
}
