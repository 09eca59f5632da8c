//! From the stored log to the protocol's and back nothing is lost.

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};

use crate::{
    api::{
        At, Cause, Outcome, Severity,
        log::{self as stored, Plan, ReleaseRef},
    },
    endpoint::{
        Log, Ms, Owed, Reply, Target, Why,
        convert::{Remarks, content, merge, owed, read, target},
        log::{Attempt, Notice},
    },
    policy::{naming, split::Split},
};

const NAMESPACE: &str = "assistant";
const ALARMS: [Cause; 3] = [Cause::RollbackFailed, Cause::StableLost, Cause::Unreadable];

fn remarks() -> Remarks<'static> {
    Remarks { owner: "u/assistant/prod", by: "5f3a", namespace: NAMESPACE, ..Remarks::default() }
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9-]{2,31}"
}

fn version() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,26}"
}

fn hash() -> impl Strategy<Value = String> {
    "[0-9a-f]{8}"
}

fn at() -> impl Strategy<Value = At> {
    (0..4_000_000_000_000_i64).prop_map(|ms| At::from(Ms(ms)))
}

fn split() -> impl Strategy<Value = Split<String>> {
    let canary = (name(), name(), 1_u8..100).prop_filter_map("two names", |(a, b, weight)| Split::canary(a, b, weight));
    prop_oneof![Just(Split::none()), name().prop_map(Split::all), canary]
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(all.to_vec())
}

fn why() -> impl Strategy<Value = Option<String>> {
    option::of(one_of(&Why::ALL).prop_map(|why| why.as_str().to_owned()))
}

fn verified() -> impl Strategy<Value = stored::Verified> {
    (split(), 0..i64::MAX, at(), why()).prop_map(|(split, seq, at, why)| stored::Verified {
        split: split.to_string(),
        seq,
        at,
        why,
    })
}

fn targets() -> impl Strategy<Value = (String, String)> {
    let split = split().prop_map(Target::Traffic);
    let all = prop_oneof![
        split,
        name().prop_map(Target::Create),
        name().prop_map(Target::Delete),
        name().prop_map(Target::Scale),
    ];
    all.prop_map(|all| target(&all)).prop_map(|(kind, target)| (kind.to_owned(), target))
}

fn intent() -> impl Strategy<Value = stored::Intent> {
    let before = option::of((split(), 0..i64::MAX));
    let outcome = option::of(one_of(&Reply::ALL).prop_map(|reply| reply.as_str().to_owned()));
    let parts = (0..i64::MAX, targets(), why(), before, "[0-9a-f]{0,64}", 1..99_i64, at(), outcome);
    parts.prop_map(|(seq, (kind, target), why, before, sha256, tries, deadline, outcome)| {
        let before = before.map(|(split, seq)| stored::Before { split: split.to_string(), seq });
        let by = "a1b2".to_owned();
        stored::Intent { seq, kind, why, target, before, sha256, by, tries, deadline, outcome }
    })
}

fn unsettled() -> impl Strategy<Value = stored::Unsettled> {
    (0..i64::MAX, targets(), at()).prop_map(|(seq, (kind, target), until)| stored::Unsettled {
        seq,
        kind,
        target,
        until,
    })
}

fn stable() -> impl Strategy<Value = stored::Stable> {
    let parts = (name(), option::of(version()), option::of(hash()), option::of(1..50_i64), option::of(at()));
    parts.prop_map(|(deployment, version, hash, instances, since)| stored::Stable {
        deployment,
        version,
        hash,
        instances,
        since,
    })
}

fn previous() -> impl Strategy<Value = stored::Previous> {
    (stable(), at()).prop_map(|(stable, until)| {
        let stored::Stable { deployment, version, hash, instances, .. } = stable;
        stored::Previous { deployment, version, hash, instances, keep_until: Some(until) }
    })
}

fn raised() -> impl Strategy<Value = stored::Raised> {
    let parts = (1..9_i64, 1..=100_i64, 0..i64::MAX, option::of(at()), option::of(at()));
    parts.prop_map(|(step, weight, seq, noted_at, verified_at)| stored::Raised {
        step,
        weight,
        seq,
        noted_at,
        verified_at,
    })
}

fn decision() -> impl Strategy<Value = stored::Decision> {
    // A word of a newer version stays too.
    let cause = prop_oneof![9 => one_of(Cause::ALL).prop_map(|c| c.to_string()), 1 => Just("NotKnownYet".to_owned())];
    let parts = (one_of(&["Promote", "Withdraw"]), cause, ".{0,40}", at(), option::of("[a-z ]{1,20}"));
    parts.prop_map(|(kind, cause, evidence, at, actor)| stored::Decision {
        kind: kind.to_owned(),
        cause,
        evidence,
        at,
        actor,
    })
}

fn ending() -> impl Strategy<Value = stored::Ending> {
    let outcomes = [Outcome::Promoted, Outcome::Rejected, Outcome::RolledBack, Outcome::Failed, Outcome::Aborted];
    (one_of(&outcomes), one_of(Cause::ALL), at()).prop_map(|(outcome, cause, at)| stored::Ending {
        outcome: outcome.to_string(),
        reason: cause.to_string(),
        blame: cause.blame().map(|blame| blame.as_str().to_owned()),
        at,
    })
}

fn attempt() -> impl Strategy<Value = stored::Attempt> {
    let kinds = one_of(&["Canary", "Fast", "Undo", "Orphan", "NotKnownYet"]).prop_map(str::to_owned);
    let whose = (1..1_000_000_i64, kinds, "[a-z0-9.-]{1,60}", "[0-9a-f-]{36}", version(), hash(), hash());
    let deployments = (option::of(name()), option::of(name()), at(), vec(raised(), 0..4));
    let plan = (vec(1..100_i64, 1..3), 1..3_600_000_i64, 0..99_999_999_i64);
    let alarms = prop::sample::subsequence(ALARMS.map(|cause| cause.to_string()).to_vec(), 0..=3);
    let decided = (option::of(decision()), alarms, 0..9_i64, 0..9_i64, option::of(ending()));
    (whose, deployments, plan, decided).prop_map(|(whose, deployments, plan, decided)| {
        let (n, kind, name, uid, version, hash, test_hash) = whose;
        let (deployment, return_to, started_at, raised) = deployments;
        let (weights, window_ms, keep_previous_ms) = plan;
        let (decision, alarms, outages, repairs, ending) = decided;
        let release = ReleaseRef { name, uid };
        let windows = weights.clone();
        let plan = Plan { weights, windows, window_ms, keep_previous_ms, ..Plan::default() };
        stored::Attempt {
            n,
            kind,
            release,
            version,
            hash,
            test_hash,
            deployment,
            return_to,
            started_at,
            plan,
            raised,
            decision,
            alarms,
            outages,
            repairs,
            ending,
        }
    })
}

/// Of the attempt, or of one before it.
fn page() -> impl Strategy<Value = stored::Owed> {
    let parts = ("[a-z.-]{1,60}", hash(), 1..99_i64, notice(), at(), 0..9_i64, at());
    parts.prop_map(|(release, hash, n, notice, created_at, tries, next_at)| {
        let (cause, word) = match notice {
            Notice::Decided(cause) | Notice::Alarm(cause) => (cause, cause.to_string()),
            Notice::Ended(cause) => (cause, cause.outcome(true).to_string()),
        };
        let key = naming::page_key(NAMESPACE, &release, &hash, n, &word);
        stored::Owed { key, kind: cause.to_string(), created_at, tries, next_at }
    })
}

fn notice() -> impl Strategy<Value = Notice> {
    let paged = |cause: &Cause| cause.severity() == Severity::Page && !ALARMS.contains(cause);
    let paged: Vec<Cause> = Cause::ALL.iter().copied().filter(paged).collect();
    prop_oneof![
        one_of(&paged).prop_map(Notice::Decided),
        one_of(&ALARMS).prop_map(Notice::Alarm),
        one_of(Cause::ALL).prop_map(Notice::Ended),
    ]
}

/// A log as some version of the operator has stored it.
fn stored_log() -> impl Strategy<Value = stored::Log> {
    let withdrawn = btree_map(hash(), (version(), 1..99_i64), 0..8).prop_map(|all| {
        let entry = |(hash, (version, attempt))| stored::Withdrawn { version, hash, attempt };
        all.into_iter().map(entry).collect::<Vec<_>>()
    });
    let read_back = (0..i64::MAX, option::of(verified()), option::of(at()));
    let served = (option::of(stable()), option::of(previous()), withdrawn);
    let under_way = (option::of(attempt()), option::of(intent()), vec(unsettled(), 0..8));
    let outbox = btree_map(at(), page(), 0..12).prop_map(|all| {
        let entry = |(created_at, page)| stored::Owed { created_at, ..page };
        all.into_iter().map(entry).collect::<Vec<_>>()
    });
    (read_back, served, under_way, outbox).prop_map(|(read_back, served, under_way, outbox)| {
        let (seq, verified, claimed) = read_back;
        let (stable, previous, withdrawn) = served;
        let (attempt, intent, unsettled) = under_way;
        let owner = remarks().owner.to_owned();
        stored::Log { owner, seq, verified, claimed, stable, previous, withdrawn, attempt, intent, unsettled, outbox }
    })
}

/// What may become of an attempt that is stored: its number rises, what happened to it is another's.
fn evolved(before: &Attempt<String>, other: Option<Attempt<String>>, raised_by: i64) -> Attempt<String> {
    let n = before.n + raised_by;
    let Some(other) = other else { return Attempt { n, ..before.clone() } };
    let Attempt { deployment, return_to, raised, decision, alarms, outages, repairs, ending, .. } = other;
    Attempt { n, deployment, return_to, raised, decision, alarms, outages, repairs, ending, ..before.clone() }
}

proptest! {
    #[test]
    fn what_did_not_change_is_stored_as_it_was(log in stored_log()) {
        prop_assert_eq!(merge(&log, &read(&log), &remarks(), None), log);
    }

    #[test]
    fn what_changed_reads_back(
        before in stored_log(),
        other in stored_log(),
        raised_by in 0..3_i64,
        notices in vec(notice(), 0..3),
        own_withdrawn in any::<bool>(),
    ) {
        let (was, other) = (read(&before), read(&other));
        let attempt = was.attempt.as_ref().map(|attempt| evolved(attempt, other.attempt.clone(), raised_by));
        let mut log = Log { attempt, withdrawn: was.withdrawn, outbox: was.outbox, ..other };
        if let Some(attempt) = &log.attempt {
            let told = |notice: &Notice| attempt.ending.is_some() || !matches!(notice, Notice::Ended(_));
            let created_at = Ms(4_000_000_000_001);
            let owed = |notice| Owed { attempt: attempt.n, notice, created_at };
            log.outbox.extend(notices.into_iter().filter(told).map(owed));
            if own_withdrawn && !log.withdrawn.contains(&attempt.content) {
                log.withdrawn.push(attempt.content);
            }
        }
        let merged = merge(&before, &log, &remarks(), None);
        prop_assert_eq!(read(&merged), log);
        if let (Some(was), Some(is)) = (before.attempt, merged.attempt) {
            prop_assert_eq!((was.release, was.plan, was.started_at), (is.release, is.plan, is.started_at));
            prop_assert_eq!((was.version, was.hash, was.test_hash), (is.version, is.hash, is.test_hash));
        }
    }
}

#[test]
fn a_page_of_another_version_is_still_owed() {
    let newer =
        stored::Owed { key: "a/b/0.1/NotKnownYet".into(), kind: "NotKnownYet".into(), ..stored::Owed::default() };
    let before = stored::Log { outbox: vec![newer.clone()], ..stored::Log::default() };
    assert_eq!(merge(&before, &read(&before), &remarks(), None).outbox, [newer]);
}

#[test]
fn versions_and_hashes_are_told_apart_by_their_content() {
    assert_eq!(content("1428", "5f3a9c1e"), content("1428", "5f3a9c1e"));
    assert_ne!(content("1428", "5f3a9c1e"), content("1428", "5f3a9c1f"));
    assert_ne!(content("1428", "5f3a9c1e"), content("1427", "5f3a9c1e"));
    let about = owed(
        &Owed { attempt: 2, notice: Notice::Decided(Cause::Drift), created_at: Ms(0) },
        &stored::Log::default(),
        &remarks(),
    );
    assert_eq!(about, None, "nobody is told of an attempt that the log does not have");
}
