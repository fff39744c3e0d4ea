//! Which environment variables are ours.
//!
//! Sections such as `KAFKA_` and `HTTP_` are shared with the rest of the world (`KAFKA_OPTS`,
//! `HTTP_PROXY`, what Kubernetes sets for a service), so a variable that isn't a key is left alone,
//! with a note; only one that is a slip of the finger away from a key is an error, because ignoring
//! it would silently run with the default.

use std::ffi::OsString;

use super::{Config, Key};

/// What the environment says.
#[derive(Default, Debug)]
pub struct EnvironmentValues {
    /// Our keys and their text.
    pub values: Vec<(&'static Key, String)>,
    /// Variables in our sections that aren't ours.
    pub notes: Vec<String>,
    /// Misspelt keys, and keys whose value is not UTF-8.
    pub problems: Vec<String>,
}

/// Sorts the environment. An empty variable counts as not set.
pub fn read_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> EnvironmentValues {
    let mut found = EnvironmentValues::default();
    for (name, value) in variables {
        let Ok(name) = name.into_string() else {
            continue;
        };
        if let Some(key) = Config::KEYS.iter().find(|key| key.environment() == name) {
            match value.into_string() {
                Ok(text) if text.is_empty() => {}
                Ok(text) => found.values.push((key, text)),
                Err(_) => found.problems.push(format!(
                    "environment variable {name}: its value is not UTF-8"
                )),
            }
            continue;
        }
        let in_section =
            |key: &&Key| name.starts_with(&format!("{}_", key.section.to_ascii_uppercase()));
        let mut keys = Config::KEYS.iter().filter(in_section).peekable();
        if keys.peek().is_none() || is_service_link(&name) {
            continue;
        }
        match keys.find(|key| is_near_miss(&name, &key.environment())) {
            Some(key) => found.problems.push(format!(
                "environment variable {name} is not a key; did you mean {}? (Unset it if it belongs to another program.)",
                key.environment()
            )),
            None => found.notes.push(format!("environment variable {name} is not a key of Fletch and is ignored")),
        }
    }
    found
}

/// Whether Kubernetes sets a variable of this name for every service (`KAFKA_SERVICE_HOST`,
/// `KAFKA_PORT_9092_TCP_ADDR`).
fn is_service_link(name: &str) -> bool {
    let is_port = |rest: &str| {
        let mut parts = rest.split('_');
        parts.next().is_some_and(|port| port.parse::<u16>().is_ok())
            && parts
                .next()
                .is_some_and(|protocol| matches!(protocol, "TCP" | "UDP" | "SCTP"))
    };
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name
            .split_once("_PORT_")
            .is_some_and(|(_, rest)| is_port(rest))
}

/// Whether a value is what Kubernetes puts into `<SERVICE>_PORT`: `tcp://10.0.0.1:9092`.
pub fn is_service_link_value(text: &str) -> bool {
    ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
}

/// Whether one edit (two in a long name) turns one name into the other; swapped neighbours are one.
fn is_near_miss(name: &str, key: &str) -> bool {
    let section = key.find('_').map_or(0, |at| at + 1);
    let (Some(name), Some(key)) = (name.get(section..), key.get(section..)) else {
        return false;
    };
    edits(name.as_bytes(), key.as_bytes()) <= if key.len() < 8 { 1 } else { 2 }
}

/// The least insertions, deletions, replacements and swaps of neighbours between two names.
#[expect(
    clippy::indexing_slicing,
    reason = "a table of its own making, with a row and a column more than the names have letters"
)]
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pairs: &[(&str, &str)]) -> EnvironmentValues {
        read_environment(
            pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    #[test]
    fn other_programs_variables_are_left_alone() {
        let found = found(&[
            ("KAFKA_HOME", "/opt/kafka"),
            ("KAFKA_OPTS", "-Xmx1g"),
            ("KAFKA_HEAP_OPTS", ""),
            ("HTTP_PROXY", "http://p"),
            ("KAFKA_HOST", "h"),
            ("PATH", "/bin"),
            ("TABLE_SIZE", "1"),
            ("STORE_ID", "2"),
            ("LOG_DIR", "/x"),
        ]);
        assert_eq!(found.problems, Vec::<String>::new());
        assert_eq!(found.values.len(), 0);
        assert!(found.notes.iter().any(|note| note.contains("KAFKA_HOME")));
        assert!(!found.notes.iter().any(|note| note.contains("PATH ")));
    }

    #[test]
    fn slips_of_the_finger_are_errors() {
        for name in [
            "KAFKA_PROT",
            "KAFKA_PORTS",
            "KAFKA_BINDADDRESS",
            "REGISTRY_ULR",
            "STORE_PAHT",
            "TABLE_COMMIT_INTERVAL",
        ] {
            let found = found(&[(name, "1")]);
            assert_eq!(
                found.problems.len(),
                usize::from(name != "TABLE_COMMIT_INTERVAL"),
                "{name}"
            );
        }
    }

    #[test]
    fn kubernetes_service_links_are_passed_over() {
        for name in [
            "KAFKA_SERVICE_HOST",
            "KAFKA_SERVICE_PORT_CLIENTS",
            "KAFKA_PORT_9092_TCP",
            "KAFKA_PORT_9092_TCP_ADDR",
        ] {
            let found = found(&[(name, "x")]);
            assert!(
                found.problems.is_empty() && found.notes.is_empty(),
                "{name}"
            );
        }
        assert!(is_service_link_value("tcp://10.0.0.1:9092") && !is_service_link_value("9092"));
    }

    #[test]
    fn empty_is_not_set() {
        assert!(found(&[("KAFKA_PORT", "")]).values.is_empty());
        assert_eq!(found(&[("KAFKA_PORT", "1")]).values.len(), 1);
    }
}
