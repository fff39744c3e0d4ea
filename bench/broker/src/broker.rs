//! The server under measurement, as a child process, and what the kernel says of it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Place {
    pub fletch: PathBuf,
    pub data: PathBuf,
}

pub struct Broker {
    child: Child,
    pub kafka: String,
    pub registry: String,
    /// Process start to the addresses file being there.
    pub ready_in: Duration,
    pub data: PathBuf,
}

impl Place {
    /// Starts the server over an empty data directory.
    pub fn start(&self, settings: &[&str]) -> Broker {
        let _ = fs::remove_dir_all(&self.data);
        self.restart(settings)
    }

    /// Starts the server over whatever the data directory holds.
    pub fn restart(&self, settings: &[&str]) -> Broker {
        fs::create_dir_all(&self.data).expect("data directory");
        let addresses = self.data.join("addresses.json");
        let _ = fs::remove_file(&addresses);
        let started = Instant::now();
        let log = fs::File::create(self.data.with_extension("log")).expect("log file");
        let child = Command::new(&self.fletch)
            .args([
                "--kafka-port",
                "0",
                "--registry-port",
                "0",
                "--http-port",
                "0",
                "--store-path",
            ])
            .arg(&self.data)
            .args(settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| {
                panic!(
                    "{}: {e}: build it first: cargo build --release",
                    self.fletch.display()
                )
            });
        loop {
            if let Ok(text) = fs::read_to_string(&addresses)
                && let Ok(json) = serde_json::from_str::<serde_json::Value>(&text)
            {
                let at = |key: &str| {
                    json[key]
                        .as_str()
                        .unwrap_or_default()
                        .trim_start_matches("http://")
                        .to_owned()
                };
                return Broker {
                    child,
                    kafka: at("kafka"),
                    registry: at("registry"),
                    ready_in: started.elapsed(),
                    data: self.data.clone(),
                };
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the server did not come up"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Broker {
    fn proc_file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap_or_default()
    }

    /// User and system CPU seconds used so far; the kernel counts in hundredths.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = self.proc_file("stat");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |n: usize| {
            after_name
                .split_whitespace()
                .nth(n)
                .and_then(|t| t.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        (ticks(11) + ticks(12)) / 100.0
    }

    fn status_mib(&self, field: &str) -> f64 {
        self.proc_file("status")
            .lines()
            .find_map(|l| l.strip_prefix(field))
            .and_then(|l| {
                l.split_whitespace()
                    .next()
                    .and_then(|n| n.parse::<f64>().ok())
            })
            .unwrap_or(0.0)
            / 1024.0
    }

    /// Resident memory now, MiB.
    pub fn rss_mib(&self) -> f64 {
        self.status_mib("VmRSS:")
    }

    /// The highest resident memory so far, MiB.
    pub fn rss_peak_mib(&self) -> f64 {
        self.status_mib("VmHWM:")
    }
}

impl Broker {
    /// Bytes of the log's segments.
    pub fn log_bytes(&self) -> u64 {
        fn walk(directory: &std::path::Path) -> u64 {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries
                .map(|entry| match entry.metadata() {
                    Ok(data) if data.is_dir() => walk(&entry.path()),
                    Ok(data) if entry.path().extension().is_some_and(|e| e == "log") => data.len(),
                    _ => 0,
                })
                .sum()
        }
        walk(&self.data)
    }

    /// Stops the server, by SIGKILL or SIGTERM, and waits for its end.
    pub fn stop(&mut self, kill: bool) {
        if kill {
            let _ = self.child.kill();
        } else {
            let _ = Command::new("kill")
                .arg(self.child.id().to_string())
                .status();
            let asked = Instant::now();
            while asked.elapsed() < Duration::from_secs(20) {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop(false);
    }
}

/// One small HTTP/1.1 exchange; the body of the answer.
pub fn http(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("http connection");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("http request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("http answer");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return text;
    };
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        return unchunk(body);
    }
    body.to_owned()
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        out.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    out
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which `share` (0 to 1) of the sorted samples lie.
pub fn quantile(sorted: &[u64], share: f64) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(((last as f64) * share).round() as usize)
        .copied()
        .unwrap_or(0)
}
