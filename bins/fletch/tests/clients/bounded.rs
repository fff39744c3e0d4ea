//! Commands of other programs, each with a time limit and with all it prints kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt as _;

/// Runs to the end and returns what was printed, or an error that says what failed and
/// carries what was printed. Output goes through a file, so a full pipe can't block anything.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<String, String> {
    let shown = format!("{command:?}");
    let log = scratch_file("log");
    let output = File::create(&log).map_err(|e| format!("can't write {}: {e}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(
            output
                .try_clone()
                .map_err(|e| format!("{}: {e}", log.display()))?,
        )
        .stderr(output)
        // A group of its own: what it starts ends with it.
        .process_group(0);
    let ended = command.spawn().map(|mut child| {
        let ended = wait(&mut child, limit);
        if ended.is_none() {
            kill_group(&mut child);
        }
        ended
    });
    let printed = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let _ = fs::remove_file(&log);
    match ended {
        Ok(Some(true)) => Ok(printed),
        Ok(Some(false)) => Err(format!("failed: {shown}\n{printed}")),
        Ok(None) => Err(format!("not done after {limit:?}: {shown}\n{printed}")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// A name for a file that no other test uses.
pub(crate) fn scratch_file(extension: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("clients-{}-{number}.{extension}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Whether it succeeded, or nothing when the time is up.
fn wait(child: &mut Child, limit: Duration) -> Option<bool> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Some(status.success());
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn kill_group(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = child.wait();
}
