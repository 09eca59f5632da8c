//! Reading the stored log. What does not parse is read so that nothing is raised for it and everything is taken back.

use sha2::{Digest, Sha256};

use crate::{
    api::{Cause, Outcome, log as stored},
    endpoint::{
        Log, Ms, Owed, Target, Why,
        log::{Attempt, Before, Course, Decided, Ended, Intent, Kind, Notice, Previous, Raised, Unsettled, Verified},
    },
    policy::split::Split,
};

pub const SET_TRAFFIC: &str = "SetTraffic";
pub const CREATE: &str = "CreateDeployment";
pub const DELETE: &str = "DeleteDeployment";
pub const SCALE: &str = "ScaleDeployment";

/// The log as the protocol sees it.
pub fn read(log: &stored::Log) -> Log<String> {
    Log {
        seq: log.seq,
        verified: log.verified.as_ref().and_then(verified),
        claimed: log.claimed.map(Ms::from),
        stable: log.stable.as_ref().map(|stable| stable.deployment.clone()),
        previous: log.previous.as_ref().map(|previous| Previous {
            deployment: previous.deployment.clone(),
            keep_until: previous.keep_until.map_or(Ms::ZERO, Ms::from),
        }),
        withdrawn: log.withdrawn.iter().map(|w| content(&w.version, &w.hash)).collect(),
        attempt: log.attempt.as_ref().map(attempt),
        intent: log.intent.as_ref().and_then(intent),
        unsettled: log.unsettled.iter().filter_map(unsettled).collect(),
        outbox: log.outbox.iter().filter_map(page).collect(),
    }
}

/// Stands for version and hash.
pub fn content(version: &str, hash: &str) -> u64 {
    let digest = Sha256::digest(format!("{version}/{hash}"));
    digest.iter().take(8).fold(0, |id, byte| (id << 8) | u64::from(*byte))
}

pub fn verified(verified: &stored::Verified) -> Option<Verified<String>> {
    let split = verified.split.parse().ok()?;
    let why = verified.why.as_deref().and_then(Why::parse);
    Some(Verified { split, seq: verified.seq, at: verified.at.into(), why })
}

fn attempt(attempt: &stored::Attempt) -> Attempt<String> {
    Attempt {
        n: attempt.n,
        kind: kind(&attempt.kind),
        content: content(&attempt.version, &attempt.hash),
        deployment: attempt.deployment.clone(),
        return_to: attempt.return_to.clone(),
        window: Ms(attempt.plan.window_ms),
        keep_previous: Ms(attempt.plan.keep_previous_ms),
        raised: attempt.raised.iter().map(raised).collect(),
        decision: attempt.decision.as_ref().map(decision),
        alarms: attempt.alarms.iter().filter_map(|alarm| alarm.parse().ok()).collect(),
        outages: attempt.outages,
        repairs: attempt.repairs,
        ending: attempt.ending.as_ref().map(ending),
    }
}

/// One of a newer operator has its traffic taken back by a write.
pub fn kind(word: &str) -> Kind {
    Kind::parse(word).unwrap_or(Kind::Orphan)
}

fn raised(raised: &stored::Raised) -> Raised {
    let weight = u8::try_from(raised.weight.clamp(0, 100)).unwrap_or(100);
    let (noted_at, verified_at) = (raised.noted_at.map(Ms::from), raised.verified_at.map(Ms::from));
    Raised { step: raised.step, weight, seq: raised.seq, noted_at, verified_at }
}

/// A cause that this version does not know withdraws too.
pub fn decision(decision: &stored::Decision) -> Decided {
    let course = Course::parse(&decision.kind).unwrap_or(Course::Withdraw);
    Decided { course, cause: decision.cause.parse().unwrap_or(Cause::Orphan), at: decision.at.into() }
}

pub fn ending(ending: &stored::Ending) -> Ended {
    Ended {
        outcome: outcome(&ending.outcome).unwrap_or(Outcome::Failed),
        cause: ending.reason.parse().unwrap_or(Cause::Orphan),
        at: ending.at.into(),
    }
}

fn outcome(word: &str) -> Option<Outcome> {
    let all = [Outcome::Promoted, Outcome::Rejected, Outcome::RolledBack, Outcome::Failed, Outcome::Aborted];
    all.into_iter().find(|outcome| outcome.as_str() == word)
}

fn intent(intent: &stored::Intent) -> Option<Intent<String>> {
    let before = intent.before.as_ref().and_then(|before| {
        let split = before.split.parse().ok()?;
        Some(Before { split, seq: before.seq })
    });
    Some(Intent {
        seq: intent.seq,
        why: intent.why.as_deref().and_then(Why::parse),
        target: target(&intent.kind, &intent.target)?,
        before,
        tries: intent.tries,
        deadline: intent.deadline.into(),
        outcome: intent.reply(),
    })
}

pub fn unsettled(entry: &stored::Unsettled) -> Option<Unsettled<String>> {
    Some(Unsettled { seq: entry.seq, target: target(&entry.kind, &entry.target)?, until: entry.until.into() })
}

fn target(kind: &str, target: &str) -> Option<Target<String>> {
    Some(match kind {
        // A split that does not parse is not ours, yet something may land.
        SET_TRAFFIC => Target::Traffic(target.parse().unwrap_or_else(|_| Split::none())),
        CREATE => Target::Create(target.to_owned()),
        DELETE => Target::Delete(target.to_owned()),
        SCALE => Target::Scale(target.to_owned()),
        _ => return None,
    })
}

/// An entry of the outbox, from its key: `<namespace>/<release>/<hash>.<attempt>/<cause or outcome>`. The cause may have a
/// number; without it, the entry says it as well.
pub fn page(owed: &stored::Owed) -> Option<Owed> {
    let cause: Cause = owed.kind.parse().ok()?;
    let mut pieces = owed.key.rsplit('/');
    let (word, attempt) = (pieces.next()?, pieces.next()?.rsplit('.').next()?.parse().ok()?);
    let notice = match outcome(word) {
        Some(_) => Notice::Ended(cause),
        None if matches!(cause, Cause::RollbackFailed | Cause::StableLost | Cause::Unreadable) => Notice::Alarm(cause),
        None => Notice::Decided(cause),
    };
    Some(Owed { attempt, notice, created_at: owed.created_at.into() })
}
