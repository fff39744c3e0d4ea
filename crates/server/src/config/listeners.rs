//! Listeners as they are written in one line: `PLAINTEXT://localhost:9092,SASL_SSL://0.0.0.0:9093`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::values::{AdvertisedAddress, BindAddress};

/// Most listeners that may be configured.
const LISTENERS_MAX: usize = 32;

/// How a listener is spoken to, by Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS; clients may show certificates.
    Ssl,
    /// SASL, not encrypted.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    const ALL: [Self; 4] = [
        Self::Plaintext,
        Self::Ssl,
        Self::SaslPlaintext,
        Self::SaslSsl,
    ];

    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// Whether connections are encrypted.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether clients have to authenticate by SASL.
    pub fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl FromStr for SecurityProtocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|known| known.name() == text);
        found.ok_or_else(|| format!("{text} is not PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"))
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One listener: `[NAME=]PROTOCOL://ADDRESS:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSetting {
    /// What it is called; the protocol's name where none is given.
    pub name: String,
    /// How it is spoken to.
    pub protocol: SecurityProtocol,
    /// Where it listens.
    pub bind_address: BindAddress,
    /// Its port; 0 takes a free one.
    pub port: u16,
}

impl FromStr for ListenerSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text} is not [NAME=]PROTOCOL://ADDRESS:PORT");
        let (front, place) = text.split_once("://").ok_or_else(bad)?;
        let (name, protocol) = front.split_once('=').unwrap_or((front, front));
        let (address, port) = place.rsplit_once(':').ok_or_else(bad)?;
        // Without brackets, which part of an IPv6 address is the port is anybody's guess.
        if !is_name(name) || (address.contains(':') && !address.starts_with('[')) {
            return Err(bad());
        }
        Ok(Self {
            name: name.to_owned(),
            protocol: protocol.parse()?,
            bind_address: address.parse()?,
            port: port.parse().map_err(|_| bad())?,
        })
    }
}

impl fmt::Display for ListenerSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name != self.protocol.name() {
            write!(f, "{}=", self.name)?;
        }
        match self.bind_address {
            BindAddress::Ip(ip) if ip.is_ipv6() => {
                write!(f, "{}://[{ip}]:{}", self.protocol, self.port)
            }
            bind => write!(f, "{}://{bind}:{}", self.protocol, self.port),
        }
    }
}

/// Listeners, comma-separated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listeners(pub Vec<ListenerSetting>);

impl FromStr for Listeners {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let listeners: Vec<ListenerSetting> = parts(text)?
            .into_iter()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let mut names = BTreeSet::new();
        for listener in &listeners {
            if !names.insert(&listener.name) {
                return Err(format!("two listeners are called {}", listener.name));
            }
        }
        Ok(Self(listeners))
    }
}

impl fmt::Display for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, &self.0)
    }
}

/// What clients of one listener are told to connect to: `NAME://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertisedListener {
    /// The listener's name.
    pub name: String,
    /// The address.
    pub address: AdvertisedAddress,
}

impl FromStr for AdvertisedListener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text} is not NAME://HOST[:PORT]");
        let (name, address) = text.split_once("://").ok_or_else(bad)?;
        if !is_name(name) {
            return Err(bad());
        }
        Ok(Self {
            name: name.to_owned(),
            address: address.parse()?,
        })
    }
}

impl fmt::Display for AdvertisedListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.name, self.address)
    }
}

/// What clients are told to connect to, by listener, comma-separated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AdvertisedListeners(pub Vec<AdvertisedListener>);

impl FromStr for AdvertisedListeners {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advertised = parts(text)?.into_iter().map(str::parse);
        advertised.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for AdvertisedListeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, &self.0)
    }
}

macro_rules! as_text {
    ($($Type:ident),+) => {
        $(
            impl TryFrom<String> for $Type {
                type Error = String;

                fn try_from(text: String) -> Result<Self, String> {
                    text.parse()
                }
            }

            impl From<$Type> for String {
                fn from(value: $Type) -> Self {
                    value.to_string()
                }
            }
        )+
    };
}

as_text!(Listeners, AdvertisedListeners);

/// A name that can be told from its surroundings.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn parts(text: &str) -> Result<Vec<&str>, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    match parts.len() {
        1..=LISTENERS_MAX => Ok(parts),
        many => Err(format!("{many} listeners are more than {LISTENERS_MAX}")),
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        let separator = if at > 0 { "," } else { "" };
        write!(f, "{separator}{item}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_and_written() {
        let text = "PLAINTEXT://localhost:9092,OUTSIDE=SASL_SSL://0.0.0.0:0,SSL://[::1]:9094";
        let listeners: Listeners = text.parse().unwrap();
        let names: Vec<_> = listeners.0.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["PLAINTEXT", "OUTSIDE", "SSL"]);
        assert_eq!(listeners.0[1].protocol, SecurityProtocol::SaslSsl);
        assert_eq!(listeners.0[2].port, 9094);
        assert_eq!(listeners.to_string(), text);
        let spaced: Listeners = text.replace(',', " , ").parse().unwrap();
        assert_eq!(spaced, listeners);
    }

    #[test]
    fn what_is_no_listener_is_refused() {
        for text in [
            "",
            "PLAINTEXT",
            "PLAINTEXT://",
            "PLAINTEXT://localhost",
            "PLAINTEXT://localhost:99999",
            "PLAINTEXT://::1:9092",
            "PLAINTEXT://example.com:9092",
            "plaintext://localhost:1",
            "X=TLS://localhost:1",
            "=SSL://localhost:1",
            "a b=SSL://localhost:1",
            "SSL://localhost:1,SSL://localhost:2",
            "SSL://localhost:1,",
        ] {
            assert!(text.parse::<Listeners>().is_err(), "{text}");
        }
        let many = vec!["X=SSL://localhost:1"; LISTENERS_MAX + 1].join(",");
        assert!(many.parse::<Listeners>().is_err());
    }

    #[test]
    fn advertised_listeners_are_read_and_written() {
        let text = "OUTSIDE://kafka.example:19093,SSL://[fe80::1]:1,PLAINTEXT://broker";
        let advertised: AdvertisedListeners = text.parse().unwrap();
        assert_eq!(advertised.0[0].address.port, Some(19093));
        assert_eq!(advertised.to_string(), text);
        for text in ["kafka.example:1", "X://", "X://0.0.0.0:1", "://a:1"] {
            assert!(text.parse::<AdvertisedListeners>().is_err(), "{text}");
        }
    }
}
