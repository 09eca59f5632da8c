//! What holds whatever comes, in whatever order somebody looks.

use proptest::{prelude::*, sample::select};

use super::{
    Report, Verdict,
    scenario::{Answer, PERIOD, World, answers, at},
    verdict,
};
use crate::{
    api::Cause,
    policy::{plan::planned, telemetry::Manifest},
};

const RULES: [(&str, &str, f64); 3] = [("a", "groundedness", 2.5), ("b", "cited", 0.5), ("*", "groundedness", 1.5)];

/// One window as it is told, and when.
#[derive(Clone, Debug)]
struct Told {
    /// Points of class a, from 0 to 3; class b is always right.
    a: Vec<i32>,
    b: usize,
    /// A score that cannot be.
    odd: Option<f64>,
    /// Its row for the first answer never comes.
    lost: bool,
    /// Seconds from the window's end to a row that the window event does not speak of, and to a second opinion on the
    /// first answer.
    stray: Option<i64>,
    again: Option<i64>,
    silent: bool,
    server_errors: i64,
    /// Seconds from the window's end to the ingestion of samples, event, and stable's event.
    delays: [i64; 3],
    stable: bool,
    verified: bool,
}

fn told() -> impl Strategy<Value = Told> {
    let odd = select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.5, 3.000_001, 1e300]);
    let often = |percent: u32| prop::bool::weighted(f64::from(percent) / 100.0);
    let delay = || prop_oneof![9 => 1_i64..90, 1 => 500_i64..700];
    let scores = (
        prop::collection::vec(prop_oneof![2 => Just(3), 1 => 0..=3], 0..8),
        0_usize..8,
        prop::option::weighted(0.05, odd),
    );
    let late = || prop::option::weighted(0.1, delay());
    let faults = (often(5), often(5), prop_oneof![8 => Just(0_i64), 1 => 0_i64..3], often(90), often(90));
    let times = ([delay(), delay(), delay()], late(), late());
    (scores, faults, times).prop_map(|((a, b, odd), faults, (delays, stray, again))| {
        let (lost, silent, server_errors, stable, verified) = faults;
        Told { a, b, odd, lost, silent, server_errors, stable, verified, delays, stray, again }
    })
}

impl Told {
    fn answers(&self) -> Vec<Answer> {
        let cited = |_| ("b", vec![("cited", 1.0), ("groundedness", 3.0)]);
        let odd = self.odd.map(|score| ("a", vec![("groundedness", score)]));
        answers("a", "groundedness", &self.a).into_iter().chain((0..self.b).map(cited)).chain(odd).collect()
    }
}

fn world(planned: i64, windows: &[Told], on_inconclusive: &str, hold_minutes: i64) -> World {
    let mut world = World::new(planned, &RULES);
    world.plan.on_inconclusive = on_inconclusive.into();
    world.plan.hold_timeout_ms = hold_minutes * 60_000;
    for (k, told) in windows.iter().enumerate() {
        let (k, all, [samples, event, stable]) = (k as i64, told.answers(), told.delays);
        let judged = all.len() as i64;
        world.judged(k, &all[usize::from(told.lost && judged > 0)..], samples);
        for (delay, request) in [(told.stray, format!("stray-{k}")), (told.again, format!("r{k}-0"))] {
            let Some(delay) = delay else { continue };
            world.judged(k, &answers("a", "groundedness", &[0]), delay);
            let last = world.telemetry.samples.last_mut().expect("one was pushed");
            (last.request_id, last.item_id) = (request, format!("z{k}"));
        }
        let requests = judged + told.server_errors;
        if !told.silent {
            let counts = world.manifest("d-1428", k, event);
            let counts = Manifest { sampled: judged, judged, requests, server_errors: told.server_errors, ..counts };
            world.telemetry.manifests.push(counts);
        }
        if told.stable {
            world.stable(k, 9 * requests, told.server_errors, stable);
        }
        if !told.verified {
            world.unverified.insert(k);
        }
    }
    world
}

fn scene() -> impl Strategy<Value = World> {
    let how = select(vec!["Hold", "RollBack", "Promote"]);
    let hold = prop_oneof![3 => Just(240_i64), 1 => 5_i64..40];
    (1_i64..12, prop::collection::vec(told(), 1..16), how, hold)
        .prop_map(|(planned, windows, how, hold)| world(planned, &windows, how, hold))
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("plan", &self.plan).field("telemetry", &self.telemetry).finish()
    }
}

/// Moments up to half an hour after the last window.
fn looks() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0..16 * PERIOD + 1800, 0..40).prop_map(|mut looks| {
        looks.sort_unstable();
        looks
    })
}

/// The streak of each criterion, counted again from what each window found.
fn streaks(reports: &[Report]) -> Vec<i64> {
    let mut streaks = vec![0; RULES.len()];
    for report in reports {
        for (streak, seen) in streaks.iter_mut().zip(&report.criteria) {
            match seen.verdict.as_str() {
                "Fail" => *streak += 1,
                "Pass" => *streak = 0,
                _ => {}
            }
        }
    }
    streaks
}

/// What a window of whole scores of class a must be found to be: the plain way.
fn expected(points: i64, n: i64) -> &'static str {
    match (n >= 4, 10 * points >= 25 * n) {
        (false, _) => "NoData",
        (true, true) => "Pass",
        (true, false) => "Fail",
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// However the looks are split, each window is closed once, in order, as one late look would have closed it.
    #[test]
    fn windows_are_closed_once_and_the_same_whoever_looks(world in scene(), looks in looks(), last in 0_i64..1800) {
        let last = looks.last().copied().unwrap_or(0) + last;
        let (often, told) = world.watch(looks.into_iter().chain([last]));
        let (once, retold) = world.watch([last]);
        prop_assert_eq!(&often, &once);
        prop_assert_eq!(&told, &retold);
        let numbers: Vec<i64> = told.iter().map(|r| r.number).collect();
        prop_assert_eq!(numbers, (1..=often.windows).collect::<Vec<_>>());
        prop_assert_eq!(often.closed_through, told.last().map(|r| r.end));
        prop_assert_eq!(often.counted, told.iter().filter(|r| r.counted).count() as i64);
        prop_assert!(told.iter().all(|r| !r.counted || (r.verified && r.error.is_none())));
    }

    /// Who acts on the first withdrawal that he sees, and who looks but once, withdraw for the same cause. Only where a
    /// promotion was seen first may the late one know better.
    #[test]
    fn a_withdrawal_does_not_depend_on_when_somebody_looked(world in scene(), looks in looks()) {
        let last = 16 * PERIOD + 3600;
        let mut status = world.begin();
        let mut first = None;
        for now in looks.into_iter().chain([last]) {
            status = world.look(&status, now).0;
            let verdict = verdict(&status, &world.plan, at(now));
            if !matches!(verdict, Verdict::Continue | Verdict::Hold { .. }) {
                first = Some(verdict);
                break;
            }
        }
        let (late, _) = world.watch([last]);
        let late = verdict(&late, &world.plan, at(last));
        let cause = |verdict: &Verdict| match verdict {
            Verdict::Withdraw { cause, .. } => Some(*cause),
            _ => None,
        };
        match first {
            Some(Verdict::Promote { .. }) => {}
            Some(first) => prop_assert_eq!(cause(&first), cause(&late)),
            None => prop_assert_eq!(cause(&late), None),
        }
    }

    /// Streaks follow from what each window found; the limit withdraws and stops the clock; short of it nothing does.
    #[test]
    fn three_failures_in_a_row_withdraw_and_nothing_promotes_them(world in scene(), now in 0..16 * PERIOD + 1800) {
        let (status, reports) = world.watch([now]);
        let counted_again = streaks(&reports);
        let streaks: Vec<i64> = status.criteria.iter().map(|c| c.failures_in_a_row).collect();
        prop_assert_eq!(&streaks, &counted_again);
        let failed = streaks.iter().any(|n| *n >= 3);
        let verdict = verdict(&status, &world.plan, at(now));
        let withdrawn = matches!(verdict, Verdict::Withdraw { cause: Cause::CanaryFailed, .. });
        prop_assert_eq!(failed, withdrawn);
        prop_assert!(streaks.iter().all(|n| *n <= 3));
        if let Verdict::Promote { lacking } = verdict {
            let enough = status.criteria.iter().all(|c| c.total_samples >= 4);
            prop_assert!(status.counted >= planned(&world.plan, 1));
            prop_assert!(enough || world.plan.on_inconclusive == "Promote");
            prop_assert!(lacking.is_empty() || world.plan.on_inconclusive == "Promote");
        }
    }

    /// Sums are exact, thin windows are no data, and one score that cannot be makes an error of its window and no other.
    #[test]
    fn a_window_is_found_to_be_what_its_scores_say(points in prop::collection::vec(prop::collection::vec(0_i32..=3, 0..8), 1..3), odd in prop::option::of((0_usize..3, select(vec![f64::NAN, 4.0, -0.5])))) {
        let mut world = World::new(20, &RULES[..1]);
        let mut totals = (0, 0);
        let mut told = Vec::new();
        for (k, scores) in points.iter().enumerate() {
            let mut all = answers("a", "groundedness", scores);
            let broken = odd.filter(|(at, _)| *at == k);
            all.extend(broken.map(|(_, score)| ("a", vec![("groundedness", score)])));
            world.window(k as i64, &all);
            let sum = (scores.iter().map(|s| i64::from(*s)).sum::<i64>(), scores.len() as i64);
            told.push(if broken.is_some() { "Error" } else { expected(sum.0, sum.1) });
            if broken.is_none() {
                totals = (totals.0 + sum.0, totals.1 + sum.1);
            }
        }
        let (status, reports) = world.watch([World::after(points.len() as i64)]);
        prop_assert_eq!(reports.iter().map(|r| r.criteria[0].verdict.as_str()).collect::<Vec<_>>(), told);
        let seen = &status.criteria[0];
        prop_assert_eq!((seen.total_sum_millionths, seen.total_samples), (totals.0 * 1_000_000, totals.1));
    }

    /// Nothing but silence, or too little of everything, never promotes.
    #[test]
    fn no_data_never_passes(planned in 1_i64..6, thin in prop::collection::vec(0_usize..4, 12), quiet: bool) {
        let mut world = World::new(planned, &RULES[..1]);
        let mut samples = 0;
        for (k, n) in thin.iter().enumerate().filter(|_| !quiet) {
            // Of another class: the criterion has none.
            let others = (0..*n).map(|_| ("b", vec![("groundedness", 3.0)])).collect::<Vec<_>>();
            samples += others.len();
            world.window(k as i64, &others);
        }
        let now = 12 * PERIOD + 600;
        let (status, reports) = world.watch([now]);
        let verdict = verdict(&status, &world.plan, at(now));
        prop_assert!(!matches!(verdict, Verdict::Promote { .. }), "{verdict:?} after {samples} samples");
        prop_assert!(reports.iter().all(|r| matches!(r.criteria[0].verdict.as_str(), "NoData" | "Error")));
    }
}
