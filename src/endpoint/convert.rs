//! The log as it is stored, and as the protocol sees it.
//!
//! The stored form says more than the protocol knows: versions, evidence, who sent what. [`merge`] keeps all of it where
//! nothing changed and adds it where something did. What reads as what the protocol has stays as it is stored, in the
//! words of whatever version wrote it.

mod read;
#[cfg(test)]
mod tests;

use super::{
    Log, Owed, Target, Why,
    log::{Attempt, Decided, Ended, Intent, Notice, Previous, Raised, Unsettled, Verified},
};
use crate::{
    api::{
        At, Cause,
        endpoint::DeploymentSeen,
        log::{self as stored, MAX_EVIDENCE, MAX_WITHDRAWN, ReleaseRef},
    },
    policy::naming,
    view::sentence,
};

pub use read::{content, read};

/// What the protocol does not know of its decisions.
#[derive(Clone, Debug, Default)]
pub struct Remarks<'a> {
    /// Value of our owner tag.
    pub owner: &'a str,
    /// This process.
    pub by: &'a str,
    pub namespace: &'a str,
    /// The release that holds the endpoint.
    pub holder: Option<ReleaseRef>,
    /// Deployments as this pass or an earlier one found them, with what our tags on them say.
    pub deployments: &'a [DeploymentSeen],
    /// The cause that a stage gave, with its evidence and who stands behind it.
    pub cause: Option<Cause>,
    pub evidence: &'a str,
    pub actor: Option<&'a str>,
    /// The split as this pass saw it.
    pub live: Option<String>,
    /// What Azure said to the log's last write, if it refused it.
    pub refusal: Option<String>,
}

/// The stored log brought to what the protocol made of it. `sha256` is of the body of the write that it notes.
pub fn merge(before: &stored::Log, log: &Log<String>, remarks: &Remarks<'_>, sha256: Option<&str>) -> stored::Log {
    let attempt = log.attempt.as_ref().map(|attempt| merge_attempt(before, attempt, remarks));
    let stable = log.stable.as_ref().map(|name| stable(before, attempt.as_ref(), name, log, remarks));
    let previous = log.previous.as_ref().map(|previous| merge_previous(before, previous));
    let mut merged = stored::Log {
        owner: remarks.owner.to_owned(),
        seq: log.seq,
        verified: log.verified.as_ref().map(|now| verified(before, now)),
        claimed: log.claimed.map(At::from),
        stable,
        previous,
        withdrawn: withdrawn(before, log, attempt.as_ref()),
        attempt,
        intent: log.intent.as_ref().map(|intent| merge_intent(before, intent, remarks, sha256)),
        unsettled: log.unsettled.iter().map(|entry| unsettled(before, entry)).collect(),
        outbox: Vec::new(),
    };
    // What another version owes is owed by this one too.
    let unread = before.outbox.iter().filter(|entry| read::page(entry).is_none()).cloned();
    let pages = log.outbox.iter().filter_map(|page| outbox_entry(before, &merged, page, remarks));
    merged.outbox = unread.chain(pages).collect();
    merged
}

/// An entry of the outbox as it is stored, once its attempt is.
pub fn owed(page: &Owed, log: &stored::Log, remarks: &Remarks<'_>) -> Option<stored::Owed> {
    let attempt = log.attempt.as_ref().filter(|attempt| attempt.n == page.attempt)?;
    let (kind, word) = words(page.notice, attempt);
    let key = naming::page_key(remarks.namespace, &attempt.release.name, &attempt.hash, attempt.n, &word);
    let created_at = At::from(page.created_at);
    Some(stored::Owed { key, kind: kind.to_string(), created_at, tries: 0, next_at: created_at })
}

fn outbox_entry(
    before: &stored::Log,
    merged: &stored::Log,
    page: &Owed,
    remarks: &Remarks<'_>,
) -> Option<stored::Owed> {
    let known = before.outbox.iter().find(|entry| read::page(entry).as_ref() == Some(page));
    known.cloned().or_else(|| owed(page, merged, remarks))
}

/// The cause that is told, and the word by which the page's key differs from others about the attempt: an ending is
/// told by its outcome, so that it is no repeat of the page that said why. Nor is a second outage one of the first: it is
/// told as Unreadable.2.
fn words(notice: Notice, attempt: &stored::Attempt) -> (Cause, String) {
    match notice {
        Notice::Alarm(cause @ Cause::Unreadable) if attempt.outages > 0 => {
            (cause, format!("{cause}.{}", attempt.outages.saturating_add(1)))
        }
        Notice::Decided(cause) | Notice::Alarm(cause) => (cause, cause.to_string()),
        Notice::Ended(cause) => {
            (cause, attempt.ending.as_ref().map_or_else(|| cause.to_string(), |ending| ending.outcome.clone()))
        }
    }
}

fn verified(before: &stored::Log, now: &Verified<String>) -> stored::Verified {
    let known = before.verified.as_ref().filter(|known| read::verified(known).as_ref() == Some(now));
    known.cloned().unwrap_or_else(|| {
        let why = now.why.map(|why| why.as_str().to_owned());
        stored::Verified { split: now.split.to_string(), seq: now.seq, at: now.at.into(), why }
    })
}

/// What serves: as it was known, as its attempt made it, or as it served before. What is still missing, our tags on it
/// say: of an adopted one there is nothing else.
fn stable(
    before: &stored::Log,
    attempt: Option<&stored::Attempt>,
    name: &str,
    log: &Log<String>,
    remarks: &Remarks<'_>,
) -> stored::Stable {
    let mut stable = before.stable.clone().filter(|known| known.deployment == name).unwrap_or_else(|| {
        let since = log.verified.as_ref().map(|verified| At::from(verified.at));
        let (version, hash, instances) = origin(before, attempt, name);
        stored::Stable { deployment: name.to_owned(), version, hash, instances, since }
    });
    if let Some(seen) = remarks.deployments.iter().find(|seen| seen.name == name) {
        if seen.ours {
            let by_name = || naming::version_of(name).map(str::to_owned);
            stable.version = stable.version.or_else(|| seen.version.clone()).or_else(by_name);
            stable.hash = stable.hash.or_else(|| seen.hash.clone());
        }
        stable.instances = seen.instances.or(stable.instances);
    }
    stable
}

/// Version, hash and instances of a deployment that becomes stable, as far as the log knows them.
fn origin(
    before: &stored::Log,
    attempt: Option<&stored::Attempt>,
    name: &str,
) -> (Option<String>, Option<String>, Option<i64>) {
    // An attempt without a hash is one that no log described.
    let made = attempt.filter(|attempt| attempt.deployment.as_deref() == Some(name) && !attempt.hash.is_empty());
    if let Some(made) = made {
        return (Some(made.version.clone()), Some(made.hash.clone()), None);
    }
    let served = before.previous.clone().filter(|previous| previous.deployment == name).unwrap_or_default();
    (served.version, served.hash, served.instances)
}

fn merge_previous(before: &stored::Log, previous: &Previous<String>) -> stored::Previous {
    let keep_until = Some(At::from(previous.keep_until));
    let deployment = previous.deployment.clone();
    if let Some(known) = before.previous.as_ref().filter(|known| known.deployment == deployment) {
        return stored::Previous { keep_until, ..known.clone() };
    }
    let stable = before.stable.as_ref().filter(|stable| stable.deployment == deployment);
    stored::Previous {
        deployment,
        version: stable.and_then(|s| s.version.clone()),
        hash: stable.and_then(|s| s.hash.clone()),
        instances: stable.and_then(|s| s.instances),
        keep_until,
    }
}

fn withdrawn(before: &stored::Log, log: &Log<String>, attempt: Option<&stored::Attempt>) -> Vec<stored::Withdrawn> {
    let known = |id: u64| before.withdrawn.iter().find(|w| content(&w.version, &w.hash) == id).cloned();
    let own = |id: u64| {
        let attempt = attempt.filter(|a| content(&a.version, &a.hash) == id)?;
        Some(stored::Withdrawn { version: attempt.version.clone(), hash: attempt.hash.clone(), attempt: attempt.n })
    };
    let mut all: Vec<_> = log.withdrawn.iter().filter_map(|id| known(*id).or_else(|| own(*id))).collect();
    let excess = all.len().saturating_sub(MAX_WITHDRAWN);
    all.drain(..excess);
    all
}

fn merge_attempt(before: &stored::Log, attempt: &Attempt<String>, remarks: &Remarks<'_>) -> stored::Attempt {
    let known = before.attempt.as_ref().filter(|known| is_same(known, attempt));
    let base = known.cloned().unwrap_or_else(|| unrecorded(before, attempt, remarks));
    let decision = attempt.decision.map(|now| {
        let known = base.decision.as_ref().filter(|known| read::decision(known) == now);
        known.cloned().unwrap_or_else(|| decision(now, before, remarks))
    });
    let ending = attempt.ending.map(|now| {
        let known = base.ending.as_ref().filter(|known| read::ending(known) == now);
        known.cloned().unwrap_or_else(|| ending(now))
    });
    let same_kind = read::kind(&base.kind) == attempt.kind && !base.kind.is_empty();
    stored::Attempt {
        n: attempt.n,
        kind: if same_kind { base.kind } else { attempt.kind.as_str().to_owned() },
        deployment: attempt.deployment.clone(),
        return_to: attempt.return_to.clone(),
        raised: attempt.raised.iter().map(raised).collect(),
        decision,
        alarms: attempt.alarms.iter().map(ToString::to_string).collect(),
        outages: attempt.outages,
        repairs: attempt.repairs,
        ending,
        ..base
    }
}

/// Whether this attempt is the stored one. A number that was adopted from Azure's tags may have raised its own.
fn is_same(known: &stored::Attempt, attempt: &Attempt<String>) -> bool {
    let same = read::kind(&known.kind) == attempt.kind && content(&known.version, &known.hash) == attempt.content;
    known.n == attempt.n || (known.n < attempt.n && same)
}

/// An attempt that Azure's tags told of and no log: its release is the endpoint's.
fn unrecorded(before: &stored::Log, attempt: &Attempt<String>, remarks: &Remarks<'_>) -> stored::Attempt {
    let deployment = attempt.deployment.as_deref().unwrap_or_default();
    let last = before.attempt.as_ref().map(|last| last.release.clone());
    stored::Attempt {
        n: attempt.n,
        release: remarks.holder.clone().or(last).unwrap_or_default(),
        version: naming::version_of(deployment).unwrap_or(deployment).to_owned(),
        started_at: attempt.decision.map(|decided| At::from(decided.at)).unwrap_or_default(),
        ..stored::Attempt::default()
    }
}

fn raised(raised: &Raised) -> stored::Raised {
    let Raised { step, weight, seq, noted_at, verified_at } = *raised;
    let (noted_at, verified_at) = (noted_at.map(At::from), verified_at.map(At::from));
    stored::Raised { step, weight: i64::from(weight), seq, noted_at, verified_at }
}

fn decision(decided: Decided, before: &stored::Log, remarks: &Remarks<'_>) -> stored::Decision {
    let staged = remarks.cause == Some(decided.cause);
    let evidence = if staged { remarks.evidence.to_owned() } else { found(decided.cause, before, remarks) };
    stored::Decision {
        kind: decided.course.as_str().to_owned(),
        cause: decided.cause.to_string(),
        evidence: sentence::clamp(&evidence, MAX_EVIDENCE),
        at: decided.at.into(),
        actor: remarks.actor.filter(|_| staged).map(str::to_owned),
    }
}

/// What the protocol itself found, in one line.
fn found(cause: Cause, before: &stored::Log, remarks: &Remarks<'_>) -> String {
    let live = remarks.live.as_deref().unwrap_or("what is live is not known");
    let raise = before.intent.as_ref().filter(|last| last.is_for(Why::Raise));
    match cause {
        Cause::Drift => format!("somebody else changed the traffic to {live}"),
        Cause::StatusBehind => {
            format!("Azure shows a later write than the log knows ({live}): the status was restored or lost")
        }
        Cause::Orphan => format!("no record says who gave traffic to {live}"),
        Cause::EndpointFailed => match raise {
            Some(raise) => not_raised(raise, live, remarks),
            None => format!("the endpoint did not come back from a failed operation ({live})"),
        },
        Cause::DeploymentFailed => format!("the deployment failed, with traffic that it got by being created ({live})"),
        Cause::PromotionFailed => format!("100 % was not read back in time ({live})"),
        other => format!("{other}: {live}"),
    }
}

fn not_raised(raise: &stored::Intent, live: &str, remarks: &Remarks<'_>) -> String {
    let (split, tried) = (&raise.target, sentence::count(raise.tries, "time"));
    let why = remarks.refusal.as_deref().map_or_else(String::new, |refusal| format!(": {refusal}"));
    format!("{split} was tried {tried} and not read back in time ({live}){why}")
}

fn ending(ended: Ended) -> stored::Ending {
    stored::Ending {
        outcome: ended.outcome.to_string(),
        reason: ended.cause.to_string(),
        blame: ended.cause.blame().map(|blame| blame.as_str().to_owned()),
        at: ended.at.into(),
    }
}

fn merge_intent(
    before: &stored::Log,
    intent: &Intent<String>,
    remarks: &Remarks<'_>,
    sha256: Option<&str>,
) -> stored::Intent {
    let known = before.intent.as_ref().filter(|known| known.seq == intent.seq);
    let (kind, target) = target(&intent.target);
    stored::Intent {
        seq: intent.seq,
        kind: kind.to_owned(),
        why: intent.why.map(|why| why.as_str().to_owned()),
        target,
        before: intent.before.as_ref().map(|b| stored::Before { split: b.split.to_string(), seq: b.seq }),
        sha256: sha256.or(known.map(|k| k.sha256.as_str())).unwrap_or_default().to_owned(),
        by: known.map_or(remarks.by, |known| &known.by).to_owned(),
        tries: intent.tries,
        deadline: intent.deadline.into(),
        outcome: intent.outcome.map(|reply| reply.as_str().to_owned()),
    }
}

fn unsettled(before: &stored::Log, now: &Unsettled<String>) -> stored::Unsettled {
    let known = before.unsettled.iter().find(|known| read::unsettled(known).as_ref() == Some(now));
    known.cloned().unwrap_or_else(|| {
        let (kind, target) = target(&now.target);
        stored::Unsettled { seq: now.seq, kind: kind.to_owned(), target, until: now.until.into() }
    })
}

fn target(target: &Target<String>) -> (&'static str, String) {
    match target {
        Target::Traffic(split) => (read::SET_TRAFFIC, split.to_string()),
        Target::Create(name) => (read::CREATE, name.clone()),
        Target::Delete(name) => (read::DELETE, name.clone()),
        Target::Scale(name) => (read::SCALE, name.clone()),
    }
}
