//! A bound on the memory that all connections together hold for one purpose.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit of account: a permit is this many bytes.
const UNIT_BYTES: usize = 1 << 10;

/// So many bytes, shared by all connections.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    units_max: usize,
}

/// A part of a [`Budget`], given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// A budget of so many bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let units_max = usize::try_from(bytes_max).unwrap_or(usize::MAX) / UNIT_BYTES;
        // Permits are taken by the u32.
        let units_max = units_max.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self {
            units: Arc::new(Semaphore::new(units_max)),
            units_max,
        }
    }

    /// Makes a reservation at least so large, waiting for others to give back. More than the whole
    /// budget is never asked of it: one alone may always proceed.
    pub(crate) async fn grow(&self, reserved: &mut Reserved, bytes: usize) {
        let wanted = bytes.div_ceil(UNIT_BYTES).min(self.units_max);
        let missing = wanted.saturating_sub(reserved.units());
        let Ok(missing @ 1..) = u32::try_from(missing) else {
            return;
        };
        // The semaphore is never closed.
        if let Ok(more) = Arc::clone(&self.units).acquire_many_owned(missing).await {
            match &mut reserved.permit {
                Some(permit) => permit.merge(more),
                None => reserved.permit = Some(more),
            }
        }
    }
}

impl Reserved {
    fn units(&self) -> usize {
        self.permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Gives back what is over so many bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let surplus = self.units().saturating_sub(bytes.div_ceil(UNIT_BYTES));
        if surplus > 0
            && let Some(permit) = &mut self.permit
        {
            drop(permit.split(surplus));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_sum_is_bounded_and_waits() {
        let budget = Budget::new(10 * 1024);
        let (mut first, mut second) = (Reserved::default(), Reserved::default());
        budget.grow(&mut first, 6 * 1024).await;
        budget.grow(&mut first, 2 * 1024).await;
        assert_eq!(first.units(), 6);
        budget.grow(&mut first, 7 * 1024 - 5).await;
        assert_eq!(first.units(), 7);
        let waits = tokio::time::timeout(
            Duration::from_millis(20),
            budget.grow(&mut second, 4 * 1024),
        )
        .await;
        assert!(waits.is_err());
        first.shrink(5 * 1024);
        budget.grow(&mut second, 4 * 1024).await;
        drop(first);
        budget.grow(&mut second, 10 * 1024).await;
        assert_eq!(budget.units.available_permits(), 0);
        drop(second);
        assert_eq!(budget.units.available_permits(), 10);
    }

    #[tokio::test]
    async fn one_alone_may_always_proceed() {
        let budget = Budget::new(4096);
        let mut reserved = Reserved::default();
        budget.grow(&mut reserved, 1 << 30).await;
        assert_eq!(reserved.units(), 4);
    }
}
