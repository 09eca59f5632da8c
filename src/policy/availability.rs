//! Whether the canary answers, whatever its answers are worth: a canary of errors alone has no answers to judge.

use crate::api::status::Availability;

/// Fewer requests of the canary say nothing.
pub const MIN_REQUESTS: i64 = 10;
/// Percentage points by which the canary's share of server errors may exceed stable's.
pub const MAX_EXCESS_POINTS: i64 = 5;

/// Requests of one window, and those that were answered 5xx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    pub all: i64,
    pub errors: i64,
}

/// Adds a window to the step's counts and judges them all.
pub fn add(so_far: Option<&Availability>, canary: Requests, stable: Requests) -> Availability {
    let mut sum = so_far.cloned().unwrap_or_default();
    sum.canary_requests = sum.canary_requests.saturating_add(canary.all.max(0));
    sum.canary_errors = sum.canary_errors.saturating_add(canary.errors.clamp(0, canary.all.max(0)));
    sum.stable_requests = sum.stable_requests.saturating_add(stable.all.max(0));
    sum.stable_errors = sum.stable_errors.saturating_add(stable.errors.clamp(0, stable.all.max(0)));
    sum.verdict = verdict(&sum).into();
    sum
}

/// Fail, Pass or NoData. Without requests to stable its share of errors counts as none.
pub fn verdict(counts: &Availability) -> &'static str {
    if counts.canary_requests < MIN_REQUESTS {
        "NoData"
    } else if exceeds(counts) {
        "Fail"
    } else {
        "Pass"
    }
}

/// ce/cn − se/sn > 5/100, in whole numbers.
fn exceeds(counts: &Availability) -> bool {
    let whole = |n: i64| i128::from(n);
    let (stable_errors, stable_requests) =
        if counts.stable_requests > 0 { (counts.stable_errors, counts.stable_requests) } else { (0, 1) };
    let excess =
        whole(counts.canary_errors) * whole(stable_requests) - whole(stable_errors) * whole(counts.canary_requests);
    100 * excess > whole(MAX_EXCESS_POINTS) * whole(counts.canary_requests) * whole(stable_requests)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(canary: (i64, i64), stable: (i64, i64)) -> String {
        add(None, Requests { errors: canary.0, all: canary.1 }, Requests { errors: stable.0, all: stable.1 }).verdict
    }

    #[test]
    fn fails_by_more_than_five_points() {
        assert_eq!(judged((9, 9), (0, 100)), "NoData", "nine requests say nothing");
        assert_eq!(judged((10, 10), (0, 100)), "Fail");
        assert_eq!(judged((1, 20), (0, 100)), "Pass", "five points exactly");
        assert_eq!(judged((2, 20), (5, 100)), "Pass");
        assert_eq!(judged((51, 1000), (0, 100)), "Fail");
        assert_eq!(judged((60, 100), (60, 100)), "Pass", "an outage of both is not the canary's");
        assert_eq!(judged((1, 10), (0, 0)), "Fail", "nothing to compare with excuses nothing");
        assert_eq!(judged((0, 10), (0, 0)), "Pass");
    }

    #[test]
    fn windows_add_up() {
        let few = |errors| Requests { all: 4, errors };
        let mut sum = add(None, few(0), Requests::default());
        for errors in [1, 1] {
            assert_eq!(sum.verdict, "NoData");
            sum = add(Some(&sum), few(errors), Requests { all: 36, errors: 0 });
        }
        assert_eq!((sum.canary_requests, sum.canary_errors, sum.stable_requests), (12, 2, 72));
        assert_eq!(sum.verdict, "Fail");
    }

    proptest! {
        #[test]
        fn fewer_errors_never_fail_where_more_pass(n in 10_i64..1000, a in 0_i64..1000, b in 0_i64..1000, se in 0_i64..100, sn in 0_i64..100) {
            let (few, many) = (a.min(b).min(n), a.max(b).min(n));
            let stable = (se.min(sn), sn);
            prop_assert!(judged((few, n), stable) != "Fail" || judged((many, n), stable) == "Fail");
        }
    }
}
