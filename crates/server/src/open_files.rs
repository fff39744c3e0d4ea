//! Open files: a process may have so many, and connections leave the log and the tables what they need.
//!
//! Where connections could take the last one, whoever opens enough of them would stop the log, which opens a
//! file for each segment.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

use crate::Config;

/// Files that aren't clients' connections: of the log (128 for its readers, and what slow ones still read),
/// of tables being written and merged, of the catalog, listeners, and connections of our own.
const KEPT: u64 = 320;

/// Raises the process's limit as far as it may be raised, and lowers the limits on connections to what it has
/// room for.
pub(crate) fn provide(config: &mut Config) {
    let Some(allowed) = raise() else { return };
    for lowered in share_out(allowed, config) {
        warn!(
            "{} is {} instead of {}: the system allows {allowed} open files, and the log and the tables need \
             some of them (`ulimit -n`, LimitNOFILE of systemd)",
            lowered.key, lowered.to, lowered.from
        );
    }
}

/// Raises the soft limit to the hard one. What is allowed then; none if there is no limit.
fn raise() -> Option<u64> {
    let before = getrlimit(Resource::Nofile);
    if before.current == before.maximum {
        return before.current;
    }
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            info!(
                from = before.current,
                to = before.maximum,
                "the limit of open files is raised"
            );
            before.maximum
        }
        // Some systems have a lower limit that they don't tell.
        Err(_) => before.current,
    }
}

/// A limit that there is no room for.
#[derive(Debug)]
struct Lowered {
    key: &'static str,
    from: u64,
    to: u64,
}

/// Lowers what doesn't fit. Admin and registry have little to do with many connections: theirs may take a
/// sixteenth and an eighth of what isn't kept.
fn share_out(allowed: u64, config: &mut Config) -> Vec<Lowered> {
    let left = allowed - KEPT.min(allowed / 2);
    let mut lowered = Vec::new();
    let mut lower = |key, limit: &mut u64, room: u64| {
        let room = room.max(1);
        if *limit > room {
            lowered.push(Lowered {
                key,
                from: *limit,
                to: room,
            });
            *limit = room;
        }
        *limit
    };
    let http = lower(
        "http.connections_max",
        &mut config.http.connections_max,
        left / 16,
    );
    let registry = lower(
        "registry.connections_max",
        &mut config.registry.connections_max,
        left / 8,
    );
    lower(
        "kafka.connections_max",
        &mut config.kafka.connections_max,
        left.saturating_sub(http + registry),
    );
    lowered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_never_take_what_is_kept() {
        for allowed in (32..40_000).step_by(7) {
            let mut config = Config::default();
            let lowered = share_out(allowed, &mut config);
            let connections = config.kafka.connections_max
                + config.registry.connections_max
                + config.http.connections_max;
            assert!(connections + KEPT.min(allowed / 2) <= allowed, "{allowed}");
            assert!(config.kafka.connections_max >= config.registry.connections_max);
            assert!(config.http.connections_max >= 1);
            let fits = allowed >= KEPT + 10_000 + 1_024 + 64;
            assert_eq!(lowered.is_empty(), fits, "{allowed}: {lowered:?}");
        }
    }
}
