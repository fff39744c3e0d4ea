//! Configuration values with a shape of their own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Where a listener listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum BindAddress {
    /// Both loopback addresses, 127.0.0.1 and (where the machine has it) ::1: clients that resolve
    /// `localhost` try either first.
    Localhost,
    /// One address; `0.0.0.0` and `::` stand for all.
    Ip(IpAddr),
}

impl BindAddress {
    /// The addresses to bind, the first of which must succeed.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::Localhost => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Self::Ip(ip) => vec![*ip],
        }
    }

    /// Whether only this machine can connect.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Localhost => true,
            Self::Ip(ip) => ip.is_loopback(),
        }
    }
}

impl FromStr for BindAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "localhost" {
            return Ok(Self::Localhost);
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        bare.parse()
            .map(Self::Ip)
            .map_err(|_| format!("{text} is not an IP address or localhost"))
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str("localhost"),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

impl TryFrom<String> for BindAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BindAddress> for String {
    fn from(address: BindAddress) -> Self {
        address.to_string()
    }
}

/// The address clients are told to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AdvertisedAddress {
    /// A host name or IP address (IPv6 without brackets); never an unspecified address.
    pub host: String,
    /// The port, where it differs from the one listened on.
    pub port: Option<u16>,
}

impl FromStr for AdvertisedAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text} is not host or host:port");
        let (host, port) = match text.strip_prefix('[') {
            // An IPv6 address with a port needs brackets, as in a URL.
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(bad)?;
                host.parse::<Ipv6Addr>().map_err(|_| bad())?;
                (
                    host,
                    port.strip_prefix(':')
                        .map(Some)
                        .or(port.is_empty().then_some(None))
                        .ok_or_else(bad)?,
                )
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            None => None,
            Some(port) => match port.parse::<u16>() {
                Ok(port) if port != 0 => Some(port),
                _ => return Err(bad()),
            },
        };
        let host_is_sane = !host.is_empty()
            && host.len() <= 253
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte));
        let unspecified = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        if !host_is_sane || unspecified || (host.contains(':') && host.parse::<Ipv6Addr>().is_err())
        {
            return Err(bad());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for AdvertisedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl TryFrom<String> for AdvertisedAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AdvertisedAddress> for String {
    fn from(address: AdvertisedAddress) -> Self {
        address.to_string()
    }
}

/// Text that is kept out of logs and printouts, and overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reveal())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advertised_addresses() {
        for (text, host, port) in [
            ("kafka.example", "kafka.example", None),
            ("kafka.example:19092", "kafka.example", Some(19092)),
            ("10.0.0.1:9", "10.0.0.1", Some(9)),
            ("::1", "::1", None),
            ("[fe80::1]:9092", "fe80::1", Some(9092)),
            ("[fe80::1]", "fe80::1", None),
        ] {
            let parsed: AdvertisedAddress = text.parse().unwrap();
            assert_eq!((parsed.host.as_str(), parsed.port), (host, port), "{text}");
            assert_eq!(
                parsed.to_string().parse::<AdvertisedAddress>().unwrap(),
                parsed
            );
        }
        for text in [
            "",
            ":9092",
            "a:0",
            "a:b",
            "a:1:2",
            "0.0.0.0",
            "::",
            "0.0.0.0:9092",
            "[::]:1",
            "a b",
            "[::1",
            "[::1]x",
        ] {
            assert!(text.parse::<AdvertisedAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn bind_addresses() {
        assert_eq!("localhost".parse(), Ok(BindAddress::Localhost));
        assert_eq!(
            "0.0.0.0".parse(),
            Ok(BindAddress::Ip(Ipv4Addr::UNSPECIFIED.into()))
        );
        assert_eq!(
            "[::]".parse(),
            Ok(BindAddress::Ip(Ipv6Addr::UNSPECIFIED.into()))
        );
        assert!("example.com".parse::<BindAddress>().is_err());
        assert!(BindAddress::Localhost.is_loopback());
    }

    #[test]
    fn secrets_hide() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "********");
    }
}
