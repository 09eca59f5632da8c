//! Which releases get an attempt, and what the others are told.

use super::*;
use crate::api::log::{Attempt, Ending, Intent, Owed, Previous, Stable, Unsettled, Withdrawn};

/// Release 1428 to an endpoint where 1427 serves and 1426 served before.
struct Scene {
    log: Log,
    deployments: Vec<DeploymentSeen>,
    rejected: Vec<Rejected>,
    abort: Option<Abort>,
    version: &'static str,
    hash: &'static str,
    claimed_by: Option<(&'static str, &'static str)>,
    finalizer_stored: bool,
    deleting: bool,
    has_evaluation: bool,
    has_scores: bool,
}

fn deployment(name: &str, state: &str) -> DeploymentSeen {
    DeploymentSeen {
        name: name.into(),
        state: Some(state.into()),
        weight: 0,
        instances: Some(1),
        version: None,
        hash: None,
        ours: true,
        served: true,
        keep_until: None,
    }
}

fn ended(n: i64, version: &str, hash: &str, reason: Cause) -> Attempt {
    let (outcome, reason) = (reason.outcome(true).as_str().to_owned(), reason.as_str().to_owned());
    Attempt {
        n,
        version: version.into(),
        hash: hash.into(),
        test_hash: "test".into(),
        ending: Some(Ending { outcome, reason, ..Ending::default() }),
        ..Attempt::default()
    }
}

fn scene() -> Scene {
    let stable = Stable {
        deployment: "d-1427".into(),
        version: Some("1427".into()),
        hash: Some("c07d2be4".into()),
        ..Stable::default()
    };
    let previous = Previous {
        deployment: "d-1426".into(),
        version: Some("1426".into()),
        hash: Some("91aa04d3".into()),
        ..Previous::default()
    };
    let attempt = Some(ended(6, "1427", "c07d2be4", Cause::Promoted));
    Scene {
        log: Log { stable: Some(stable), previous: Some(previous), attempt, ..Log::default() },
        deployments: vec![deployment("d-1427", "Succeeded"), deployment("d-1426", "Succeeded")],
        rejected: vec![],
        abort: None,
        version: "1428",
        hash: "5f3a9c1e",
        claimed_by: Some(("support-assistant", "uid")),
        finalizer_stored: true,
        deleting: false,
        has_evaluation: true,
        has_scores: true,
    }
}

/// The revert to what served before.
fn revert() -> Scene {
    Scene { version: "1426", hash: "91aa04d3", ..scene() }
}

impl Scene {
    fn answer(&self) -> Opens {
        opens(&Asks {
            uid: "uid",
            endpoint: "prod",
            version: self.version,
            hash: self.hash,
            test_hash: "test",
            claimed_by: self.claimed_by,
            finalizer_stored: self.finalizer_stored,
            deleting: self.deleting,
            has_evaluation: self.has_evaluation,
            requires_evaluation: true,
            has_scores: self.has_scores,
            abort: self.abort.as_ref(),
            rejected: &self.rejected,
            log: &self.log,
            deployments: &self.deployments,
        })
    }
}

fn abort(text: &str) -> Option<Abort> {
    Some(text.parse().expect(text))
}

fn rejected(version: &str, hash: &str, test_hash: &str) -> Rejected {
    let (version, hash, test_hash) = (version.into(), hash.into(), test_hash.into());
    Rejected { version, hash, test_hash, outcome: "RolledBack".into(), at: At::default() }
}

type Obstacle = (fn(&mut Scene), fn(&Opens) -> bool);

/// What can stand in the way of 1428, in the order in which it is said.
const OBSTACLES: [Obstacle; 12] = [
    (|s| s.deleting = true, |o| matches!(o, Opens::Deleting)),
    (
        |s| s.claimed_by = Some(("other", "its-uid")),
        |o| matches!(o, Opens::ClaimedByOther { release, .. } if release == "other"),
    ),
    (|s| last(s).ending = None, |o| matches!(o, Opens::Open { n: 6, .. })),
    (|s| s.abort = abort("1428"), |o| matches!(o, Opens::Aborted { order, live: false } if order == "1428")),
    (
        |s| s.rejected.push(rejected("1428", "5f3a9c1e", "test")),
        |o| matches!(o, Opens::RejectedBefore { version, outcome, .. } if version == "1428" && outcome == "RolledBack"),
    ),
    (
        |s| {
            let open = last(s).ending.is_none();
            *last(s) = ended(6, "1428", "5f3a9c1e", Cause::BuildFailed);
            last(s).ending.take_if(|_| open);
        },
        |o| matches!(o, Opens::EndedBefore { n: 6, reason, .. } if reason == "BuildFailed"),
    ),
    (|s| s.has_evaluation = false, |o| matches!(o, Opens::EvaluationRequired { .. })),
    (|s| s.has_scores = false, |o| matches!(o, Opens::NoScores { .. })),
    (|s| s.finalizer_stored = false, |o| matches!(o, Opens::FinalizerMissing)),
    (|s| s.log.unsettled.push(Unsettled::default()), |o| matches!(o, Opens::Unsettled { writes: 1, .. })),
    (
        |s| s.log.intent = Some(Intent { seq: 41, ..Intent::default() }),
        |o| matches!(o, Opens::WriteUnderWay { seq: 41, .. }),
    ),
    (|s| s.log.outbox = vec![Owed::default(); 8], |o| matches!(o, Opens::OutboxFull { undelivered: 8, limit: 8 })),
];

fn last(scene: &mut Scene) -> &mut Attempt {
    scene.log.attempt.get_or_insert_default()
}

fn with(mut scene: Scene, edit: impl FnOnce(&mut Scene)) -> Opens {
    edit(&mut scene);
    scene.answer()
}

/// Every combination of them.
#[test]
fn nothing_opens_as_long_as_anything_stands_in_the_way_and_the_first_of_it_is_said() {
    for which in 0..1 << OBSTACLES.len() {
        let there = || (0..OBSTACLES.len()).filter(|i| which >> i & 1 == 1).map(|i| OBSTACLES[i]);
        let answer = with(scene(), |scene| there().for_each(|(put, _)| put(scene)));
        match there().next() {
            None => assert_eq!(answer, Opens::Yes(Kind::Canary)),
            Some((_, is_said)) => assert!(is_said(&answer), "{which:b}: {answer:?}"),
        }
    }
}

#[test]
fn a_write_that_came_to_nothing_stands_in_nobodys_way() {
    let last = |outcome: Option<&str>| {
        let outcome = outcome.map(str::to_owned);
        with(scene(), |s| s.log.intent = Some(Intent { seq: 41, outcome, ..Intent::default() }))
    };
    for over in ["refused", "failed", "busy", "notSent"] {
        assert_eq!(last(Some(over)), Opens::Yes(Kind::Canary), "{over}");
    }
    for open in [None, Some("accepted"), Some("a word of a later operator")] {
        assert!(matches!(last(open), Opens::WriteUnderWay { seq: 41, .. }), "{open:?}");
    }
}

#[test]
fn stables_version_is_live_already() {
    let live = Scene { version: "1427", hash: "c07d2be4", ..scene() };
    let said = Opens::AlreadyLive { version: "1427".into(), deployment: "d-1427".into() };
    assert_eq!(with(live, |s| s.abort = abort("1428")), said);
    for (order, live) in [("1427", true), ("1427.6", true)] {
        let scene = Scene { version: "1427", abort: abort(order), ..scene() };
        assert_eq!(scene.answer(), Opens::Aborted { order: order.into(), live });
    }
    let earlier = Scene { version: "1427", abort: abort("1427.5"), ..scene() };
    assert_eq!(earlier.answer(), said, "that attempt is over, and another made it live");
}

#[test]
fn an_order_for_one_attempt_lets_the_next_begin() {
    assert!(matches!(with(scene(), |s| s.abort = abort("1428.7")), Opens::Aborted { .. }), "7 would be next");
    assert_eq!(with(scene(), |s| s.abort = abort("1428.5")), Opens::Yes(Kind::Canary));
}

#[test]
fn a_revert_to_what_served_before_is_fast_and_needs_neither_evaluation_nor_scores() {
    assert_eq!(revert().answer(), Opens::Yes(Kind::Fast));
    let bare = with(revert(), |s| (s.has_evaluation, s.has_scores) = (false, false));
    assert_eq!(bare, Opens::Yes(Kind::Fast));
    assert!(matches!(with(revert(), |s| s.log.unsettled.push(Unsettled::default())), Opens::Unsettled { .. }));
}

#[test]
fn a_revert_to_anything_less_takes_the_long_way() {
    let edits: [fn(&mut Scene); 6] = [
        |s| s.hash = "00000000",
        |s| s.deployments[1].state = Some("Updating".into()),
        |s| s.deployments[1].state = None,
        |s| s.deployments.truncate(1),
        |s| s.log.previous = None,
        |s| s.log.withdrawn.push(Withdrawn { version: "1420".into(), hash: "91aa04d3".into(), attempt: 3 }),
    ];
    for (i, edit) in edits.into_iter().enumerate() {
        assert_eq!(with(revert(), edit), Opens::Yes(Kind::Canary), "edit {i}");
    }
}

#[test]
fn another_test_or_other_content_is_tried_again() {
    for (version, hash, test) in
        [("1428", "5f3a9c1e", "before"), ("1428", "00000000", "test"), ("1427", "5f3a9c1e", "test")]
    {
        let answer = with(scene(), |s| {
            s.rejected.push(rejected(version, hash, test));
            *last(s) = Attempt { test_hash: test.into(), ..ended(6, version, hash, Cause::CanaryFailed) };
        });
        assert_eq!(answer, Opens::Yes(Kind::Canary), "{version} {hash} {test}");
    }
}

#[test]
fn what_ended_for_its_object_alone_is_tried_again_and_nothing_else() {
    for cause in Cause::ALL {
        let answer = with(scene(), |s| *last(s) = ended(6, "1428", "5f3a9c1e", *cause));
        let again = matches!(cause, Cause::Superseded | Cause::Deleted | Cause::Orphan);
        assert_eq!(answer == Opens::Yes(Kind::Canary), again, "{cause}");
        let said = if cause.blame().is_none() { Cause::Drift } else { *cause };
        assert!(again || answer.cause() == Some(said), "{answer:?}");
    }
}

#[test]
fn a_first_release_needs_no_scores_but_an_endpoint_of_its_own() {
    let first = |edit: fn(&mut Scene)| {
        with(scene(), |s| {
            (s.log, s.deployments, s.has_scores) = (Log::default(), vec![], false);
            edit(s);
        })
    };
    assert_eq!(first(|_| {}), Opens::Yes(Kind::Canary));
    assert_eq!(
        first(|s| s.deployments = vec![DeploymentSeen { served: false, ..deployment("d-1", "Failed") }]),
        Opens::Yes(Kind::Canary)
    );
    let foreign = Opens::NoStable { deployment: "d-bootstrap".into() };
    let found =
        first(|s| s.deployments = vec![DeploymentSeen { ours: false, ..deployment("d-bootstrap", "Succeeded") }]);
    assert_eq!(found, foreign);
    assert_eq!(first(|s| s.deployments = vec![deployment("d-bootstrap", "Succeeded")]), foreign, "it served");
}

#[test]
fn a_namesake_and_an_endpoint_without_a_holder_wait() {
    assert!(matches!(
        with(scene(), |s| s.claimed_by = Some(("support-assistant", "before"))),
        Opens::ClaimedByOther { .. }
    ));
    assert_eq!(with(scene(), |s| s.claimed_by = None), Opens::Unclaimed);
}
