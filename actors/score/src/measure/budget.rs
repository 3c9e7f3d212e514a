//! How long a stage of a round may take.

use std::time::Duration;

use tenbin_kernel::Clock;

/// A moment until which something may go on.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    clock: Clock,
    began: Duration,
    whole: Duration,
    ends: Duration,
}

// === impl Budget ===

impl Budget {
    /// A budget that begins now.
    pub(super) fn new(clock: &Clock, whole: Duration) -> Self {
        let began = clock.elapsed();
        Self { clock: clock.clone(), began, whole, ends: began.saturating_add(whole) }
    }

    /// The part that ends when this share of the whole has passed since its begin.
    #[must_use]
    pub(super) fn until(&self, share: f64) -> Self {
        Self { ends: self.began.saturating_add(self.whole.mul_f64(share)), ..self.clone() }
    }

    /// What is left of it.
    pub(super) fn left(&self) -> Duration {
        self.ends.saturating_sub(self.clock.elapsed())
    }

    /// What of it has passed.
    pub(super) fn used(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.began)
    }

    /// Lets `future` go on to the budget's end, and for `most` at most; `None` where that did not
    /// do, and the future is dropped.
    pub(super) async fn limit<F: Future>(&self, most: Duration, future: F) -> Option<F::Output> {
        let left = self.left().min(most);
        if left.is_zero() {
            return None;
        }
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.clock.sleep(left) => None,
        }
    }
}
