//! What the watcher of a canary does.

use super::{
    Evidence, Found, Lacking, Report, Verdict,
    scenario::{Answer, DELAY, PERIOD, World, answers, at},
    verdict,
};
use crate::{
    api::{Cause, status::CriterionSeen},
    policy::availability::Requests,
};

const MULTI_HOP: (&str, &str, f64) = ("multi_hop", "groundedness", 2.85);

fn grounded(scores: &[i32]) -> Vec<Answer> {
    answers("multi_hop", "groundedness", scores)
}

fn good() -> Vec<Answer> {
    grounded(&[3; 5])
}

fn bad() -> Vec<Answer> {
    grounded(&[3, 3, 2, 2])
}

fn found(reports: &[Report]) -> Vec<&str> {
    reports.iter().map(|r| r.criteria[0].verdict.as_str()).collect()
}

fn cause(verdict: &Verdict) -> Option<Cause> {
    match verdict {
        Verdict::Withdraw { cause, .. } => Some(*cause),
        _ => None,
    }
}

/// Windows in a row, all there.
fn world(planned: i64, windows: &[Vec<Answer>]) -> World {
    let mut world = World::new(planned, &[MULTI_HOP]);
    for (k, answers) in windows.iter().enumerate() {
        world.window(k as i64, answers);
    }
    world
}

#[test]
fn a_step_begins_with_nothing_seen() {
    let status = World::new(20, &[MULTI_HOP]).begin();
    assert_eq!((status.step, status.steps, status.weight, status.windows, status.counted), (1, 1, 10, 0, 0));
    assert_eq!(status.earliest_promotion_at, Some(at(20 * PERIOD)));
    let CriterionSeen { class, minimum, verdict, .. } = &status.criteria[0];
    assert_eq!((class.as_str(), minimum.as_str(), verdict.as_str()), ("multi_hop", "2.850", "NoData"));
}

#[test]
fn the_third_failed_window_withdraws() {
    let (first, second) = (grounded(&[3, 3, 3, 2]), grounded(&[3, 3, 3, 3, 3, 2, 2]));
    let third = grounded(&[3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2]);
    let world = world(20, &[first, second, third]);
    let (second, _) = world.verdict_after(2);
    assert_eq!(second, Verdict::Continue);
    let (third, reports) = world.verdict_after(3);
    let Verdict::Withdraw { cause: Cause::CanaryFailed, evidence } = third else { panic!("{third:?}") };
    let shown = Evidence::Criterion {
        class: "multi_hop".into(),
        metric: "groundedness".into(),
        value: "2.636".into(),
        minimum: "2.850".into(),
        samples: 11,
        in_a_row: 3,
        also: 0,
    };
    assert_eq!(evidence, shown);
    let values: Vec<_> =
        reports.iter().flat_map(|r| r.with(Found::Fail)).map(|c| (c.value.as_deref(), c.samples)).collect();
    assert_eq!(values, [(Some("2.750"), 4), (Some("2.714"), 7), (Some("2.636"), 11)]);
    assert_eq!(reports[2].criteria[0].total_value.as_deref(), Some("2.682"));
    assert_eq!((reports[2].number, reports[2].end), (3, at(3 * PERIOD)));
}

#[test]
fn a_failure_is_not_undone_by_who_looks_late() {
    let world = world(5, &[bad(), bad(), bad(), good(), good(), good(), good(), good()]);
    let (verdict, reports) = world.verdict_after(8);
    assert_eq!((cause(&verdict), reports.len()), (Some(Cause::CanaryFailed), 3));
    let (status, _) = world.watch([World::after(8), World::after(9)]);
    assert_eq!((status.windows, status.verdict.as_deref()), (3, Some("Fail")));
}

#[test]
fn a_pass_breaks_a_streak() {
    let (verdict, _) = world(6, &[bad(), bad(), good(), bad(), bad(), good()]).verdict_after(6);
    assert_eq!(verdict, Verdict::Promote { lacking: vec![] });
    let (verdict, _) = world(5, &[bad(), bad(), good(), bad(), bad()]).verdict_after(5);
    assert_eq!(verdict, Verdict::Promote { lacking: vec![] }, "two at the end do not block");
}

#[test]
fn no_data_and_errors_neither_add_to_a_streak_nor_break_it() {
    let thin = grounded(&[0, 0, 0]);
    let off_scale = [good(), grounded(&[7])].concat();
    let world = world(20, &[bad(), thin, bad(), off_scale, bad()]);
    let (verdict, reports) = world.verdict_after(5);
    assert_eq!(found(&reports), ["Fail", "NoData", "Fail", "Error", "Fail"]);
    assert_eq!(cause(&verdict), Some(Cause::CanaryFailed));
}

#[test]
fn failures_of_different_criteria_do_not_add_up() {
    let mut world = World::new(3, &[("a", "groundedness", 2.0), ("b", "groundedness", 2.0)]);
    let class = |class, score| answers(class, "groundedness", &[score; 4]);
    for (k, (a, b)) in [(0, 3), (3, 0), (0, 3)].into_iter().enumerate() {
        world.window(k as i64, &[class("a", a), class("b", b)].concat());
    }
    assert_eq!(world.verdict_after(3).0, Verdict::Promote { lacking: vec![] });
}

#[test]
fn every_answer_counts_for_a_star() {
    let mut world = World::new(1, &[("*", "groundedness", 2.0)]);
    world.window(0, &[answers("a", "groundedness", &[3, 3]), answers("b", "groundedness", &[1, 1])].concat());
    let (_, reports) = world.verdict_after(1);
    assert_eq!((found(&reports), reports[0].criteria[0].samples), (vec!["Pass"], 4));
}

#[test]
fn promotion_waits_for_the_planned_number_of_verified_windows() {
    let mut world = world(3, &[good(), good(), good(), good()]);
    assert_eq!(world.verdict_after(2).0, Verdict::Continue);
    assert_eq!(world.verdict_after(3).0, Verdict::Promote { lacking: vec![] });
    world.unverified.insert(1);
    let (status, reports) = world.watch([World::after(3)]);
    assert_eq!((status.windows, status.counted, status.earliest_promotion_at), (3, 2, Some(at(4 * PERIOD))));
    assert_eq!(reports.iter().map(|r| r.counted).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(world.verdict_after(3).0, Verdict::Continue);
    assert_eq!(world.verdict_after(4).0, Verdict::Promote { lacking: vec![] });
}

#[test]
fn an_unverified_window_may_fail_a_canary() {
    let mut world = world(20, &[bad(), bad(), bad()]);
    world.unverified.extend(0..3);
    assert_eq!(cause(&world.verdict_after(3).0), Some(Cause::CanaryFailed));
}

#[test]
fn a_window_without_its_event_is_an_error_at_its_deadline() {
    let world = World::new(20, &[MULTI_HOP]);
    let (_, reports) = world.watch([PERIOD + 599]);
    assert_eq!(reports, []);
    let (status, reports) = world.watch([PERIOD + 600]);
    assert_eq!((status.errors_in_a_row, status.counted, found(&reports)), (1, 0, vec!["Error"]));
    assert!(reports[0].error.as_deref().is_some_and(|e| e.contains("is the sampler running?")), "{reports:?}");
}

#[test]
fn the_fifth_window_in_a_row_that_cannot_be_measured_withdraws() {
    let world = World::new(20, &[MULTI_HOP, ("a", "groundedness", 2.0)]);
    let verdict_at = |now| verdict(&world.watch([now]).0, &world.plan, at(now));
    assert_eq!(verdict_at(4 * PERIOD + 600), Verdict::Continue);
    let Verdict::Withdraw { cause: Cause::CanaryUnmeasurable, evidence } = verdict_at(5 * PERIOD + 600) else {
        panic!("no withdrawal")
    };
    let Evidence::Errors { in_a_row: 5, criteria } = evidence else { panic!("{evidence:?}") };
    assert_eq!(criteria.len(), 2);
}

#[test]
fn what_no_score_can_be_is_an_error_that_names_the_request() {
    for (score, what) in [(f64::NAN, "the number NaN"), (f64::INFINITY, "inf"), (3.5, "3.5"), (4.0, "4"), (-1.0, "-1")]
    {
        let odd = vec![("multi_hop", vec![("groundedness", score)])];
        let (_, reports) = world(1, &[[good(), odd].concat()]).verdict_after(1);
        let error = reports[0].error.as_deref().unwrap_or_default();
        assert_eq!(found(&reports), ["Error"], "{score}");
        assert!(error.starts_with("request r0-5: groundedness is ") && error.contains(what), "{error}");
        assert!(error.contains("must be a whole number from 0.000 to 3.000"), "{error}");
    }
    let unscored = vec![("multi_hop", vec![("cited", 1.0)])];
    let (verdict, reports) = world(1, &[[good(), unscored].concat()]).verdict_after(1);
    assert_eq!(reports[0].error.as_deref(), Some("request r0-5 has no score groundedness"));
    assert_eq!(verdict, Verdict::Continue, "not counted");
}

#[test]
fn a_canary_of_server_errors_alone_is_withdrawn_though_nothing_was_judged() {
    let mut world = World::new(20, &[MULTI_HOP]);
    for k in 0..2 {
        world.event(k, 6, 6, DELAY);
        world.stable(k, 54, 0, DELAY);
    }
    let (first, reports) = world.verdict_after(1);
    assert_eq!((first, found(&reports)), (Verdict::Continue, vec!["NoData"]));
    assert_eq!(reports[0].canary, Some(Requests { all: 6, errors: 6 }));
    let (second, _) = world.verdict_after(2);
    assert!(
        matches!(&second, Verdict::Withdraw { cause: Cause::AvailabilityFailed, evidence: Evidence::Availability(a) }
            if (a.canary_errors, a.canary_requests, a.stable_requests) == (12, 12, 108)),
        "{second:?}"
    );
}

#[test]
fn server_errors_are_judged_where_scores_cannot_be() {
    let mut world = World::new(20, &[MULTI_HOP]);
    let short = crate::policy::telemetry::Manifest {
        sampled: 9,
        requests: 20,
        server_errors: 11,
        ..world.manifest("d-1428", 0, DELAY)
    };
    world.telemetry.manifests.push(short);
    let (status, _) = world.watch([PERIOD + 600]);
    assert_eq!(cause(&verdict(&status, &world.plan, at(PERIOD + 600))), Some(Cause::AvailabilityFailed));
}

#[test]
fn stables_event_is_waited_for_by_one_period() {
    let failing = |world: &mut World| world.event(0, 20, 20, DELAY);
    let mut both = World::new(20, &[MULTI_HOP]);
    failing(&mut both);
    both.stable(0, 180, 180, DELAY + PERIOD);
    assert_eq!(both.watch([PERIOD + DELAY]).1, []);
    let (status, reports) = both.watch([2 * PERIOD + DELAY]);
    assert_eq!(reports[0].stable, Some(Requests { all: 180, errors: 180 }));
    assert_eq!(verdict(&status, &both.plan, at(200)), Verdict::Continue, "an outage of both is not the canary's");

    let mut alone = World::new(20, &[MULTI_HOP]);
    failing(&mut alone);
    let (status, reports) = alone.watch([2 * PERIOD + DELAY]);
    assert_eq!(reports[0].stable, None);
    assert_eq!(cause(&verdict(&status, &alone.plan, at(200))), Some(Cause::AvailabilityFailed));
}

#[test]
fn too_few_samples_are_for_the_plan_to_decide() {
    let mut world = world(2, &[vec![], grounded(&[3, 3, 3]), vec![], grounded(&[3])]);
    let lacking =
        vec![Lacking::Samples { class: "multi_hop".into(), metric: "groundedness".into(), samples: 3, needed: 4 }];
    assert_eq!(world.verdict_after(2).0, Verdict::Hold { lacking: lacking.clone() });
    assert_eq!(world.verdict_after(4).0, Verdict::Promote { lacking: vec![] }, "held until there were enough");
    world.plan.on_inconclusive = "Promote".into();
    assert_eq!(world.verdict_after(2).0, Verdict::Promote { lacking: lacking.clone() });
    world.plan.on_inconclusive = "RollBack".into();
    let evidence = Evidence::Inconclusive { counted: 2, lacking };
    let rolled_back = Verdict::Withdraw { cause: Cause::CanaryUnmeasurable, evidence };
    assert_eq!(world.verdict_after(2).0, rolled_back);
    assert_eq!(world.verdict_after(4).0, rolled_back, "whenever somebody looks");
}

#[test]
fn a_class_too_thin_for_any_window_is_judged_as_a_whole() {
    let thin = |score| (0..20).map(|_| grounded(&[score, score])).collect::<Vec<_>>();
    assert_eq!(world(20, &thin(3)).verdict_after(20).0, Verdict::Promote { lacking: vec![] });
    let (verdict, _) = world(20, &thin(1)).verdict_after(20);
    let Verdict::Hold { lacking } = verdict else { panic!("{verdict:?}") };
    assert!(matches!(&lacking[..], [Lacking::Below { value, samples: 40, .. }] if value == "1.000"), "{lacking:?}");
}

#[test]
fn without_live_criteria_availability_alone_decides() {
    let mut world = World::new(2, &[]);
    for k in 0..4 {
        world.event(k, 4, 0, DELAY);
        world.stable(k, 36, 0, DELAY);
    }
    let lacking = vec![Lacking::Requests { requests: 8, needed: 10 }];
    assert_eq!(world.verdict_after(2).0, Verdict::Hold { lacking });
    assert_eq!(world.verdict_after(3).0, Verdict::Promote { lacking: vec![] });
    let blind = World::new(2, &[]);
    let (status, _) = blind.watch([5 * PERIOD + 600]);
    assert_eq!(cause(&verdict(&status, &blind.plan, at(900))), Some(Cause::CanaryUnmeasurable));
}

#[test]
fn nothing_is_held_for_ever() {
    let mut world = world(20, &[good()]);
    let (status, _) = world.watch([World::after(1)]);
    let limit = world.plan.hold_timeout_ms / 1000;
    assert_eq!(verdict(&status, &world.plan, at(limit - 1)), Verdict::Continue);
    let late = verdict(&status, &world.plan, at(limit));
    let Verdict::Withdraw { cause: Cause::CanaryUnmeasurable, evidence } = late else { panic!("{late:?}") };
    assert!(
        matches!(evidence, Evidence::HoldTimeout { waited, counted: 1, planned: 20, .. } if waited.as_secs() == limit)
    );

    // What came after the limit came too late, even for who looks later still.
    world.plan.hold_timeout_ms = 1000 * World::after(2);
    for k in 1..20 {
        world.window(k, &good());
    }
    let (verdict, reports) = world.verdict_after(20);
    assert_eq!((cause(&verdict), reports.len()), (Some(Cause::CanaryUnmeasurable), 2));
}

#[test]
fn scores_that_fail_to_come_do_not_undo_what_was_shown() {
    let world = world(3, &[good(), good(), good()]);
    let now = 20 * PERIOD + 600;
    let (status, reports) = world.watch([now]);
    assert_eq!((reports.len(), status.errors_in_a_row), (20, 17));
    assert_eq!(verdict(&status, &world.plan, at(now)), Verdict::Promote { lacking: vec![] });
}

#[test]
fn a_failure_after_the_last_planned_window_still_withdraws() {
    let world = world(3, &[good(), good(), good(), bad(), bad(), bad()]);
    assert_eq!(world.verdict_after(5).0, Verdict::Promote { lacking: vec![] });
    assert_eq!(cause(&world.verdict_after(6).0), Some(Cause::CanaryFailed));
}
