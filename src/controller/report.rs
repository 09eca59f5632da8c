//! What a release's status says after a pass, and the body of a page. Pure.

use crate::{
    api::{
        At, Blame, Cause, Outcome, PromptReleaseSpec, PromptReleaseStatus,
        log::{self, Attempt, Log, Owed},
        status::{Ended, MAX_HISTORY, MAX_REJECTED, MAX_VERDICTS, Rejected, Revision, StableSeen},
    },
    controller::objects::Release,
    stage::{Facts, Stage, evaluate},
    view::{
        page::{self, About},
        release::{self as wording, ReleaseView},
        timeline::Event,
    },
};

/// What a page or a notice is made of.
pub struct Paged<'a> {
    pub namespace: &'a str,
    /// Name of the PromptEndpoint.
    pub endpoint: &'a str,
    pub log: &'a Log,
    /// Those of the log's attempt.
    pub facts: &'a Facts,
    /// The same.
    pub timeline: &'a [String],
    /// What is left of the attempts before it: a page that nobody took may outlive its own.
    pub history: &'a [Ended],
    pub traffic: Option<&'a str>,
    /// Of an alarm: what fails, and what to do by hand.
    pub alarm: Option<&'a str>,
}

/// Body of the page or notice that `owed` stands for.
pub fn page(owed: &Owed, of: &Paged<'_>) -> Vec<u8> {
    let Paged { namespace, endpoint, log, facts, timeline, history, traffic, alarm } = *of;
    let last = log.attempt.as_ref().filter(|last| is_about(owed, namespace, last));
    let mut former = history.iter().filter_map(|ended| former(ended, owed));
    let former = former.find(|former| is_about(owed, namespace, former));
    let about = About {
        namespace,
        endpoint,
        attempt: last.or(former.as_ref()).or(log.attempt.as_ref()),
        evaluation: facts.evaluation.as_ref().filter(|_| last.is_some()),
        canary: facts.canary.as_ref().filter(|_| last.is_some()),
        traffic,
        timeline: if last.is_some() { timeline } else { &[] },
        what: alarm,
    };
    page::body(&page::page(owed, &about))
}

/// Whether a page or notice is about this attempt.
pub fn is_about(owed: &Owed, namespace: &str, attempt: &Attempt) -> bool {
    let incident = page::key(namespace, attempt, "");
    owed.key.starts_with(&incident)
}

/// What is known of an attempt that ended before the log's. The name of its release is in the key alone.
fn former(ended: &Ended, owed: &Owed) -> Option<Attempt> {
    let name = owed.key.split('/').nth(1)?.to_owned();
    let cause = ended.reason.clone().unwrap_or_else(|| ended.outcome.clone());
    let evidence = ended.message.clone().unwrap_or_default();
    Some(Attempt {
        n: ended.attempt?,
        release: log::ReleaseRef { name, uid: String::new() },
        version: ended.version.clone(),
        hash: ended.hash.clone(),
        decision: Some(log::Decision {
            cause: cause.clone(),
            evidence,
            at: ended.ended_at,
            ..log::Decision::default()
        }),
        ending: Some(log::Ending {
            outcome: ended.outcome.clone(),
            reason: cause,
            at: ended.ended_at,
            ..log::Ending::default()
        }),
        ..Attempt::default()
    })
}

/// The stage in the words of `status.stage`.
pub fn stage(stage: Stage) -> Option<wording::Stage> {
    Some(match stage {
        Stage::Build => wording::Stage::Building,
        Stage::Evaluate => wording::Stage::Evaluating,
        Stage::Deploy => wording::Stage::Deploying,
        Stage::Canary => wording::Stage::Canary,
        Stage::Promote => wording::Stage::Promoting,
        Stage::RollBack => wording::Stage::RollingBack,
        Stage::Clean => return None,
    })
}

/// Stage and conditions as they are now; what did not change keeps its time.
pub fn stand(status: &mut PromptReleaseStatus, view: &ReleaseView<'_>, now: At) {
    let stage = Some(wording::stage(view));
    if status.stage != stage {
        (status.stage, status.stage_started_at) = (stage, Some(now));
    }
    status.observed_generation = view.generation;
    status.conditions = wording::conditions(view, &status.conditions, now);
}

/// What a release's status is made of, besides what people are told.
pub struct Report<'a> {
    pub release: &'a Release,
    pub spec: Option<&'a PromptReleaseSpec>,
    pub view: ReleaseView<'a>,
    /// The log's attempt, if it is this release's.
    pub attempt: Option<&'a Attempt>,
    pub facts: &'a Facts,
    /// Seen in this pass, and when.
    pub told: Vec<(At, Event)>,
    pub now: At,
}

/// The release's status, and the events that are new in its timeline.
pub fn release(report: &Report<'_>) -> (PromptReleaseStatus, Vec<Event>) {
    let Report { release, view, attempt, facts, told, now, .. } = report;
    let before = &release.status;
    let mut status = PromptReleaseStatus {
        traffic: view.traffic.map(str::to_owned),
        stable: view.log.stable.as_ref().map(|serves| stable(serves, before.stable.as_ref(), *attempt, facts)),
        ..before.clone()
    };
    if let Some(attempt) = attempt {
        let digest = report.spec.filter(|spec| spec.version == attempt.version);
        let digest = digest.and_then(|s| s.artifact.prompt_flow.as_ref()).map(|flow| flow.archive.digest.clone());
        status.revision = Some(revision(before.revision.as_ref(), attempt, view.log, digest, *now));
        (status.build, status.evaluation) = (facts.build.clone(), facts.evaluation.clone());
        if let Some(known) = &facts.evaluation {
            let before = &before.gate_verdicts;
            let withdrawn = attempt.decision.as_ref().map(|decision| decision.cause.as_str());
            status.gate_verdicts = evaluate::recorded(before, &attempt.version, known, withdrawn, *now, MAX_VERDICTS);
        }
        status.canary = facts.canary.clone().map(|canary| judged(canary, attempt));
        remember(&mut status, attempt);
    }
    let new = wording::tell(&mut status.timeline, view, told, *now);
    stand(&mut status, view, *now);
    (status, new)
}

fn stable(stable: &log::Stable, before: Option<&StableSeen>, attempt: Option<&Attempt>, facts: &Facts) -> StableSeen {
    let (deployment, hash) = (&stable.deployment, &stable.hash);
    let same = before.filter(|before| before.deployment == *deployment && before.hash == *hash);
    let made_it = attempt.filter(|a| a.deployment.as_ref() == Some(deployment) && Some(&a.hash) == hash.as_ref());
    let evaluated = made_it.and_then(|a| evaluate::evaluated(&a.version, facts.evaluation.as_ref()?));
    StableSeen {
        deployment: deployment.clone(),
        evaluated: same.and_then(|before| before.evaluated.clone()).or(evaluated),
        hash: hash.clone(),
        since: stable.since,
        version: stable.version.clone(),
    }
}

fn revision(before: Option<&Revision>, attempt: &Attempt, log: &Log, digest: Option<String>, now: At) -> Revision {
    let before = before.filter(|before| before.attempt == attempt.n);
    let claims = log.intent.as_ref().is_some_and(|last| last.is_for(log::Why::Claim));
    let deploying = (claims || attempt.deployment.is_some()).then_some(now);
    Revision {
        artifact_digest: digest.or_else(|| before.and_then(|b| b.artifact_digest.clone())),
        attempt: attempt.n,
        deployment: attempt.deployment.clone(),
        deploying_since: before.and_then(|b| b.deploying_since).or(deploying),
        hash: attempt.hash.clone(),
        started_at: Some(attempt.started_at),
        version: attempt.version.clone(),
    }
}

/// The canary's own record after a decision about it.
fn judged(mut canary: crate::api::status::CanaryStatus, attempt: &Attempt) -> crate::api::status::CanaryStatus {
    let withdrawn = attempt.decision.as_ref().filter(|d| d.is(log::Course::Withdraw)).map(|d| d.cause.parse::<Cause>());
    if let Some(Ok(Cause::CanaryFailed | Cause::AvailabilityFailed)) = withdrawn {
        canary.verdict = Some("Fail".to_owned());
    }
    match attempt.ending.as_ref().map(|ending| ending.outcome.as_str()) {
        Some("Promoted") => canary.weight = 100,
        Some(_) => canary.weight = 0,
        None => {}
    }
    canary
}

/// An ended attempt goes into the history, and what is bad into the list of what is not tried again.
fn remember(status: &mut PromptReleaseStatus, attempt: &Attempt) {
    let Some(ending) = &attempt.ending else { return };
    if status.history.iter().any(|ended| ended.attempt == Some(attempt.n)) {
        return;
    }
    let evidence = attempt.decision.as_ref().map(|d| d.evidence.clone()).filter(|e| !e.is_empty());
    let promoted = ending.outcome == Outcome::Promoted.as_str();
    status.history.insert(
        0,
        Ended {
            attempt: Some(attempt.n),
            ended_at: ending.at,
            hash: attempt.hash.clone(),
            message: evidence.filter(|_| !promoted),
            outcome: ending.outcome.clone(),
            reason: (ending.reason != ending.outcome).then(|| ending.reason.clone()),
            version: attempt.version.clone(),
        },
    );
    status.history.truncate(MAX_HISTORY);
    let is_bad = matches!(ending.outcome.as_str(), "Rejected" | "RolledBack")
        && ending.blame.as_deref() == Some(Blame::Release.as_str());
    if is_bad {
        let known =
            |r: &Rejected| r.hash == attempt.hash && r.test_hash == attempt.test_hash && r.version == attempt.version;
        status.rejected.retain(|r| !known(r));
        status.rejected.insert(
            0,
            Rejected {
                at: ending.at,
                hash: attempt.hash.clone(),
                outcome: ending.outcome.clone(),
                test_hash: attempt.test_hash.clone(),
                version: attempt.version.clone(),
            },
        );
        status.rejected.truncate(MAX_REJECTED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::{EvaluationStatus, VerdictOn};

    #[test]
    fn the_runs_of_what_was_promoted_stay_on_record_for_as_long_as_it_serves() {
        let evaluation = EvaluationStatus {
            judge_run: Some("judge-1428-1".into()),
            verdict: Some("Pass".into()),
            verdict_on: Some(VerdictOn { dataset: "d1".into(), ..VerdictOn::default() }),
            ..EvaluationStatus::default()
        };
        let facts = Facts { evaluation: Some(evaluation), ..Facts::default() };
        let attempt = |version: &str, hash: &str| Attempt {
            version: version.into(),
            hash: hash.into(),
            deployment: Some(format!("d-{version}")),
            ..Attempt::default()
        };
        let serves = |version: &str, hash: &str| log::Stable {
            deployment: format!("d-{version}"),
            version: Some(version.into()),
            hash: Some(hash.into()),
            ..log::Stable::default()
        };
        let promoted = stable(&serves("1428", "aa"), None, Some(&attempt("1428", "aa")), &facts);
        let kept = promoted.evaluated.clone().expect("on record");
        assert_eq!((kept.judge_runs, kept.version.as_str()), (vec!["judge-1428-1".to_owned()], "1428"));
        // The next attempt has facts of its own.
        let later = stable(&serves("1428", "aa"), Some(&promoted), Some(&attempt("1429", "bb")), &facts);
        assert_eq!(later, promoted);
        let back = stable(&serves("1427", "cc"), Some(&promoted), Some(&attempt("1429", "bb")), &facts);
        assert_eq!(back.evaluated, None, "it is another one's");
    }
}
