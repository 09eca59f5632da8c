//! The log in its worst case: the longest names that Kubernetes, Azure and the CRDs allow, the largest numbers, every list
//! full.

use crate::{
    api::{
        At, Cause, Outcome,
        log::{self as stored, MAX_BYTES, MAX_EVIDENCE, MAX_OUTBOX, MAX_UNSETTLED, MAX_WITHDRAWN, Plan, ReleaseRef},
    },
    endpoint::{
        Log, Ms, Owed, Reply, Target, Why,
        convert::{Remarks, content, merge, read},
        log::{Attempt, Before, Course, Decided, Ended, Intent, Kind, Notice, Previous, Raised, Unsettled, Verified},
    },
    policy::{naming, split::Split},
};

/// Numbers are counted one by one: one a second for three hundred years.
const MOST: i64 = 9_999_999_999;
const NOW: Ms = Ms(253_402_300_799_999 - 86_400_000 * 400);

/// The longest version, with a number that tells one from another.
fn version(n: usize) -> String {
    format!("{n:0>26}")
}

/// The longest name of a deployment.
fn deployment(n: usize) -> String {
    format!("d-{n:0>26}--99")
}

fn split(n: usize) -> Split<String> {
    Split::canary(deployment(n), deployment(n + 1), 11).expect("a split")
}

fn stored_before() -> stored::Log {
    let release = ReleaseRef { name: "r".repeat(253), uid: "u".repeat(36) };
    let plan = Plan {
        weights: vec![99],
        windows: vec![99_999 * 4],
        window_ms: 3_600_000,
        lateness_ms: 99_999 * 3_600_000 * 4,
        min_samples: MOST,
        consecutive_failures: 20,
        consecutive_errors: 20,
        on_inconclusive: "RollBack".into(),
        hold_timeout_ms: 99_999 * 3_600_000 * 4,
        keep_previous_ms: 99_999 * 3_600_000 * 4,
    };
    let attempt = stored::Attempt {
        n: MOST,
        kind: "Canary".into(),
        release,
        version: version(0),
        hash: "0".repeat(8),
        test_hash: "0".repeat(8),
        started_at: At::from(NOW),
        plan,
        ..stored::Attempt::default()
    };
    let withdrawn =
        (1..MAX_WITHDRAWN).map(|n| stored::Withdrawn { version: version(n), hash: "0".repeat(8), attempt: MOST });
    let named = |n| (Some(version(n)), Some("0".repeat(8)), Some(50));
    let (stable, previous) = (named(1), named(2));
    stored::Log {
        stable: Some(stored::Stable {
            deployment: deployment(1),
            version: stable.0,
            hash: stable.1,
            instances: stable.2,
            since: Some(At::from(NOW)),
        }),
        previous: Some(stored::Previous {
            deployment: deployment(2),
            version: previous.0,
            hash: previous.1,
            instances: previous.2,
            keep_until: Some(At::from(NOW)),
        }),
        withdrawn: withdrawn.collect(),
        attempt: Some(attempt),
        ..stored::Log::default()
    }
}

fn attempt() -> Attempt<String> {
    let longest = Cause::ALL.iter().copied().max_by_key(|cause| cause.as_str().len()).expect("a cause");
    Attempt {
        n: MOST,
        kind: Kind::Canary,
        content: content(&version(0), &"0".repeat(8)),
        deployment: Some(deployment(0)),
        return_to: Some(deployment(1)),
        window: Ms(3_600_000),
        keep_previous: Ms(99_999 * 3_600_000 * 4),
        // A step, its repetition by a number that was adopted, and all traffic.
        raised: vec![Raised { step: MOST, weight: 100, seq: MOST, noted_at: Some(NOW), verified_at: Some(NOW) }; 3],
        decision: Some(Decided { course: Course::Withdraw, cause: longest, at: NOW }),
        alarms: vec![Cause::RollbackFailed, Cause::StableLost, Cause::Unreadable],
        outages: MOST,
        repairs: 99,
        ending: Some(Ended { outcome: Outcome::RolledBack, cause: longest, at: NOW }),
    }
}

fn worst() -> Log<String> {
    let page = |n: usize| {
        let created_at = Ms(NOW.0 + i64::try_from(n).expect("small"));
        // The longest words of a key, the first of which an attempt owes once only.
        let notice = match n {
            0 => Notice::Alarm(Cause::Unreadable),
            _ => Notice::Decided(Cause::CanaryUnmeasurable),
        };
        Owed { attempt: MOST, notice, created_at }
    };
    let withdrawn = (1..MAX_WITHDRAWN).map(|n| content(&version(n), &"0".repeat(8)));
    let lost = |n| {
        let target = if n == 0 { Target::Traffic(split(0)) } else { Target::Create(deployment(n)) };
        Unsettled { seq: MOST, target, until: NOW }
    };
    Log {
        seq: MOST,
        verified: Some(Verified { split: split(0), seq: MOST, at: NOW, why: Some(Why::Withdraw) }),
        claimed: Some(NOW),
        stable: Some(deployment(1)),
        previous: Some(Previous { deployment: deployment(2), keep_until: NOW }),
        withdrawn: withdrawn.chain([content(&version(0), &"0".repeat(8))]).collect(),
        attempt: Some(attempt()),
        intent: Some(Intent {
            seq: MOST,
            why: Some(Why::Withdraw),
            target: Target::Traffic(split(0)),
            before: Some(Before { split: split(1), seq: MOST }),
            tries: 99,
            deadline: NOW,
            outcome: Some(Reply::Accepted),
        }),
        unsettled: (0..MAX_UNSETTLED).map(lost).collect(),
        outbox: (0..MAX_OUTBOX).map(page).collect(),
    }
}

/// Bytes of the log as it is stored, after a check that nothing of it was lost.
fn stored_bytes(log: &Log<String>) -> usize {
    let namespace = "n".repeat(63);
    let owner = naming::owner(&"c".repeat(36), &namespace, &"e".repeat(253));
    // Quotes are what a name in a message may have that takes two bytes in JSON.
    let evidence = format!("{}{}", "\"".repeat(64), "x".repeat(MAX_EVIDENCE));
    let remarks = Remarks {
        owner: &owner,
        by: "5f3a",
        namespace: &namespace,
        cause: attempt().decision.map(|decided| decided.cause),
        evidence: &evidence,
        actor: Some("annotation promptrelease.io/abort"),
        ..Remarks::default()
    };
    let merged = merge(&stored_before(), log, &remarks, Some(&"f".repeat(64)));
    assert_eq!(read(&merged), *log);
    assert!(merged.outbox[0].key.ends_with("/Unreadable.10000000000"), "{}", merged.outbox[0].key);
    serde_json::to_string(&merged).expect("JSON").len()
}

#[test]
fn the_log_stays_within_its_bound_in_the_worst_case() {
    let bytes = stored_bytes(&worst());
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    assert!(bytes > MAX_BYTES * 3 / 4, "{bytes} bytes: this is no worst case any more");
}

/// It is no name of ours that is long then, and it goes with the next write that is read back.
#[test]
fn another_hands_split_of_all_deployments_takes_at_most_three_kib_more() {
    let shares = (0..20).map(|n| (deployment(n), 5)).collect();
    let split = Split::as_found(shares);
    let mut log = worst();
    log.verified.iter_mut().for_each(|verified| verified.split = split.clone());
    log.unsettled[0].target = Target::Traffic(split.clone());
    if let Some(intent) = log.intent.as_mut() {
        intent.target = Target::Traffic(split.clone());
        intent.before = Some(Before { split, seq: MOST });
    }
    let bytes = stored_bytes(&log);
    assert!(bytes <= MAX_BYTES + (3 << 10), "{bytes} bytes");
}
