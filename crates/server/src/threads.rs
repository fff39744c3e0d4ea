//! The threads that serve connections: one for each core, each with a scheduler of its own.
//!
//! A connection stays on the thread it is given to. A scheduler that moves tasks between threads
//! serves one busy producer by waking a second thread at nearly every request, and has the request
//! decompressed by whichever core doesn't have it in its cache; see `docs/adr/0006-connections.md`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The threads. They end, and what runs on them ends, when this is dropped.
pub(crate) struct Threads {
    threads: Vec<Thread>,
    _stop: DropGuard,
}

struct Thread {
    scheduler: Handle,
    /// Tasks that were given to it and haven't ended.
    tasks: Arc<AtomicUsize>,
}

impl Threads {
    /// Starts a thread for each core.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let count = thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..count)
            .map(|number| Thread::start(format!("{name}-{number}"), stop.clone()))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            threads,
            _stop: stop.drop_guard(),
        })
    }

    /// Runs a task on the thread that has the fewest.
    pub(crate) fn spawn(
        &self,
        tracker: &TaskTracker,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let fewest = self
            .threads
            .iter()
            .min_by_key(|thread| thread.tasks.load(Ordering::Relaxed));
        let Some(thread) = fewest else { return };
        let counted = Counted::new(&thread.tasks);
        let task = async move {
            let _counted = counted;
            task.await;
        };
        tracker.spawn_on(task, &thread.scheduler);
    }
}

impl Thread {
    fn start(name: String, stop: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name(format!("{name}-reads"))
            .build()?;
        let scheduler = runtime.handle().clone();
        thread::Builder::new()
            .name(name)
            .spawn(move || runtime.block_on(stop.cancelled()))?;
        Ok(Self {
            scheduler,
            tasks: Arc::default(),
        })
    }
}

/// One more, until dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tokio::sync::{Semaphore, mpsc};

    use super::*;

    #[tokio::test]
    async fn tasks_are_spread_over_the_threads_and_places_come_back() {
        let threads = Threads::start("test").unwrap();
        let (tracker, hold) = (TaskTracker::new(), Arc::new(Semaphore::new(0)));
        for _ in 0..2 {
            let (sender, mut names) = mpsc::unbounded_channel();
            for _ in 0..3 * threads.threads.len() {
                let (sender, hold) = (sender.clone(), Arc::clone(&hold));
                threads.spawn(&tracker, async move {
                    let name = thread::current().name().unwrap_or_default().to_owned();
                    sender.send(name).unwrap();
                    hold.acquire().await.unwrap().forget();
                });
            }
            drop(sender);
            let mut counts = HashMap::new();
            for _ in 0..3 * threads.threads.len() {
                *counts.entry(names.recv().await.unwrap()).or_insert(0) += 1;
            }
            assert!(counts.values().all(|count| *count == 3), "{counts:?}");
            hold.add_permits(3 * threads.threads.len());
            tracker.close();
            tracker.wait().await;
            tracker.reopen();
        }
    }

    #[tokio::test]
    async fn dropping_the_threads_ends_what_runs_on_them() {
        let threads = Threads::start("test").unwrap();
        let tracker = TaskTracker::new();
        threads.spawn(&tracker, std::future::pending());
        drop(threads);
        tracker.close();
        tracker.wait().await;
    }
}
