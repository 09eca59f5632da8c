//! What happens next: pure and total.

use super::{Decision, Log, Look, Ms, Rules, Timing, Waiting, Wish, log::Name};

/// Decides on a look. It is the only code that decides what is written, what is decided, and how an attempt ends.
pub fn next<N: Name>(
    _log: &Log<N>,
    _look: &Look<N>,
    _wish: &Wish<N>,
    timing: &Timing,
    _rules: &Rules,
    now: Ms,
) -> Decision<N> {
    Decision::Wait { until: now + timing.look_steady, why: Waiting::Nothing }
}
