//! The reference pages say what the code says. `UPDATE_REFERENCE=1 cargo test -p fletch --test
//! reference` writes what they should.

use std::fmt::Write as _;
use std::path::PathBuf;

use fletch_server::config::Config;
use fletch_server::{METRICS, MetricKind};
use serde_json::Value;

const BEGIN: &str = "<!-- begin: written by the test `reference` -->\n";
const END: &str = "<!-- end -->\n";

fn check(page: &str, expected: &str) {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference")).join(page);
    let text = std::fs::read_to_string(&path).expect("the page");
    let (before, rest) = text.split_once(BEGIN).expect("a beginning");
    let (written, after) = rest.split_once(END).expect("an end");
    if written != expected && std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}"))
            .expect("a page that can be written");
        return;
    }
    assert!(
        written == expected,
        "{page} is not what the code says; run with UPDATE_REFERENCE=1. Expected:\n{expected}"
    );
}

#[test]
fn configuration() {
    let defaults = serde_json::to_value(Config::default()).expect("defaults");
    let mut expected = String::new();
    for (section, about) in Config::SECTIONS {
        let _ = writeln!(
            expected,
            "\n### `{section}`\n\n{about}\n\n| key | default | allowed | what it does |\n|---|---|---|---|"
        );
        for key in Config::KEYS.iter().filter(|key| key.section == *section) {
            let default = match &defaults[key.section][key.name] {
                Value::Null => "unset".to_owned(),
                Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let _ = writeln!(
                expected,
                "| `{}` | {default} | {} | {} |",
                key.dotted(),
                key.kind,
                key.about
            );
        }
    }
    expected.push('\n');
    check("configuration.md", &expected);
}

#[test]
fn metrics() {
    let mut expected =
        "\n| metric | type | labels | what it says |\n|---|---|---|---|\n".to_owned();
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram(..) => "histogram",
        };
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let _ = writeln!(
            expected,
            "| `{}` | {kind} | {} | {} |",
            metric.name,
            labels.join(", "),
            metric.about
        );
    }
    expected.push('\n');
    check("metrics.md", &expected);
}
