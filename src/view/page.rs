//! The body of a page or notice: what is true when it is sent, in the words of conditions and timeline.

use serde::{Deserialize, Serialize};

use super::{release::exposed, sentence::below};
use crate::{
    api::{
        Cause, Outcome,
        log::{Attempt, Course, Decision, Owed},
        status::{CanaryStatus, CriterionResult, CriterionSeen, EvaluationStatus},
    },
    policy::naming,
};

/// JSON that receivers get. Fields are only ever added.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The same for every delivery of this page; also in the header webhook-id.
    pub key: String,
    /// The same for all pages about one attempt: what belongs together at the receiver.
    pub incident: String,
    /// page: wake somebody up; notice: tell them in the morning.
    pub severity: String,
    /// One word, as in the condition Ready.
    pub reason: String,
    /// One sentence: what happened, and why.
    pub summary: String,
    /// What was found, as the log has it.
    pub evidence: String,
    pub namespace: String,
    /// Names of the objects.
    pub release: String,
    pub endpoint: String,
    pub version: String,
    pub attempt: i64,
    /// The criterion that decided, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criterion: Option<Criterion>,
    /// Release, Environment or Person; absent for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<String>,
    /// Absent while the attempt is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Split as last verified: before a withdrawal is read back, the one that is being withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<String>,
    /// When it was decided to tell, RFC 3339.
    pub at: String,
    pub timeline: Vec<String>,
    /// What to type to see more.
    pub command: String,
}

/// One criterion. Decimals are text: never recomputed from a float.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Criterion {
    pub class: String,
    pub metric: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub threshold: String,
    pub n: i64,
}

/// What a page is made of.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub namespace: &'a str,
    /// Name of the PromptEndpoint.
    pub endpoint: &'a str,
    /// That the page is about; None for one about the endpoint alone.
    pub attempt: Option<&'a Attempt>,
    /// Facts of that attempt.
    pub evaluation: Option<&'a EvaluationStatus>,
    pub canary: Option<&'a CanaryStatus>,
    pub traffic: Option<&'a str>,
    pub timeline: &'a [String],
    /// Of an alarm: what fails, and what to do by hand. Else the decision's evidence is told.
    pub what: Option<&'a str>,
}

/// `assistant/support-assistant/5f3a9c1e.1/CanaryFailed`: by it receivers recognise a repeat.
pub fn key(namespace: &str, attempt: &Attempt, reason: &str) -> String {
    naming::page_key(namespace, &attempt.release.name, &attempt.hash, attempt.n, reason)
}

/// The page that an entry of the outbox owes.
pub fn page(owed: &Owed, about: &About<'_>) -> Page {
    let cause = owed.kind.parse::<Cause>().ok();
    let decision = about.attempt.and_then(|a| a.decision.as_ref());
    let ending = about.attempt.and_then(|a| a.ending.as_ref());
    let evidence = match (about.what, decision) {
        (Some(what), _) => what.to_owned(),
        (None, Some(decision)) => decision.evidence.clone(),
        (None, None) => String::new(),
    };
    let attempt = about.attempt.cloned().unwrap_or_default();
    Page {
        key: owed.key.clone(),
        incident: owed.key.rsplit_once('/').map_or(owed.key.as_str(), |(incident, _)| incident).to_owned(),
        // A reason that the table of causes does not know was written by a newer operator.
        severity: cause.map_or("page", |c| c.severity().as_str()).to_owned(),
        reason: owed.kind.clone(),
        summary: summary(owed, about, &evidence),
        criterion: decision.and_then(|d| criterion(d, about)),
        evidence,
        namespace: about.namespace.to_owned(),
        endpoint: about.endpoint.to_owned(),
        blame: cause.and_then(Cause::blame).map(|b| b.as_str().to_owned()),
        outcome: ending.map(|e| e.outcome.clone()),
        traffic: about.traffic.map(str::to_owned),
        at: owed.created_at.to_seconds(),
        timeline: about.timeline.to_vec(),
        command: command(about),
        release: attempt.release.name,
        version: attempt.version,
        attempt: attempt.n,
    }
}

/// As it is sent and signed.
pub fn body(page: &Page) -> Vec<u8> {
    // Strings and numbers always have a JSON form.
    serde_json::to_vec(page).unwrap_or_default()
}

/// `support-assistant 1428: rolling back to d-1427: multi_hop: …`
fn summary(owed: &Owed, about: &About<'_>, evidence: &str) -> String {
    let Some(attempt) = about.attempt else {
        return format!("{}: {}: {evidence}", about.endpoint, owed.kind);
    };
    let subject = format!("{} {}", attempt.release.name, attempt.version);
    let back = attempt.return_to.as_ref().map_or_else(String::new, |stable| format!(" to {stable}"));
    let what = match (about.what, &attempt.ending, &attempt.decision) {
        (Some(what), ..) => format!("{}: {what}", owed.kind),
        (None, Some(ending), _) if ending.outcome == Outcome::Promoted.as_str() => {
            format!("serves 100 %: {evidence}")
        }
        (None, Some(ending), _) if ending.outcome == Outcome::RolledBack.as_str() => {
            format!("rolled back{back}: {evidence}")
        }
        (None, Some(ending), _) => format!("{} ({}): {evidence}", ending.outcome, ending.reason),
        (None, None, Some(decision)) if decision.is(Course::Withdraw) && exposed(attempt) => {
            format!("rolling back{back}: {evidence}")
        }
        (None, None, _) => format!("{}: {evidence}", owed.kind),
    };
    format!("{subject}: {what}")
}

fn command(about: &About<'_>) -> String {
    let (kind, name) = match about.attempt {
        Some(attempt) => ("promptrelease", attempt.release.name.as_str()),
        None => ("promptendpoint", about.endpoint),
    };
    format!("kubectl describe {kind} {name} -n {}", about.namespace)
}

/// The failed criterion that the evidence begins with.
fn criterion(decision: &Decision, about: &About<'_>) -> Option<Criterion> {
    let failed: Vec<Criterion> = match decision.cause.parse().ok()? {
        Cause::EvalRegression => of_gate(&about.evaluation?.results),
        Cause::CanaryFailed => of_canary(&about.canary?.criteria),
        _ => return None,
    };
    failed
        .into_iter()
        .find(|c| decision.evidence.starts_with(&below(&c.class, &c.metric, c.value.as_deref(), &c.threshold, c.n)))
}

fn of_gate(results: &[CriterionResult]) -> Vec<Criterion> {
    let one = |r: &CriterionResult| Criterion {
        class: r.class.clone(),
        metric: r.metric.clone(),
        value: r.value.clone(),
        threshold: r.minimum.clone(),
        n: r.samples,
    };
    results.iter().map(one).collect()
}

fn of_canary(criteria: &[CriterionSeen]) -> Vec<Criterion> {
    let one = |c: &CriterionSeen| Criterion {
        class: c.class.clone(),
        metric: c.metric.clone(),
        value: c.value.clone(),
        threshold: c.minimum.clone(),
        n: c.samples,
    };
    criteria.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{
        At,
        log::{Ending, Raised, ReleaseRef},
    };

    fn at(time: &str) -> At {
        format!("2026-11-20T{time}Z").parse::<jiff::Timestamp>().expect(time).into()
    }

    fn attempt(cause: &str, evidence: &str) -> Attempt {
        let decision = Decision {
            kind: "Withdraw".into(),
            cause: cause.into(),
            evidence: evidence.into(),
            at: at("17:14:22"),
            actor: None,
        };
        Attempt {
            n: 7,
            kind: "Canary".into(),
            release: ReleaseRef { name: "support-assistant".into(), uid: "6a9d8db9".into() },
            version: "1428".into(),
            hash: "5f3a9c1e".into(),
            return_to: Some("d-1427".into()),
            raised: vec![Raised::default()],
            decision: Some(decision),
            ..Attempt::default()
        }
    }

    fn owed(attempt: &Attempt, kind: &str) -> Owed {
        let key = key("assistant", attempt, kind);
        Owed { key, kind: kind.into(), created_at: at("17:14:22"), ..Owed::default() }
    }

    fn about<'a>(attempt: &'a Attempt, canary: Option<&'a CanaryStatus>) -> About<'a> {
        About {
            namespace: "assistant",
            endpoint: "support-assistant-prod",
            attempt: Some(attempt),
            evaluation: None,
            canary,
            traffic: Some("d-1427=90 d-1428=10"),
            timeline: &[],
            what: None,
        }
    }

    const EVIDENCE: &str = "multi_hop: groundedness=2.636 below threshold 2.850 (n=11), third failed window in a row";

    fn canary() -> CanaryStatus {
        let seen = |class: &str, value: &str, samples| CriterionSeen {
            class: class.into(),
            metric: "groundedness".into(),
            minimum: "2.850".into(),
            value: Some(value.into()),
            samples,
            ..CriterionSeen::default()
        };
        let criteria = vec![seen("factual", "2.950", 20), seen("multi_hop", "2.636", 11)];
        CanaryStatus { criteria, ..CanaryStatus::default() }
    }

    #[test]
    fn the_page_of_a_failed_canary() {
        let (attempt, canary) = (attempt("CanaryFailed", EVIDENCE), canary());
        let timeline = ["2026-11-20T17:14:22Z  window 3 failed".to_owned()];
        let about = About { timeline: &timeline, ..about(&attempt, Some(&canary)) };
        let body: Value = serde_json::from_slice(&body(&page(&owed(&attempt, "CanaryFailed"), &about))).expect("JSON");
        let wanted = json!({
            "key": "assistant/support-assistant/5f3a9c1e.7/CanaryFailed",
            "incident": "assistant/support-assistant/5f3a9c1e.7",
            "severity": "page",
            "reason": "CanaryFailed",
            "summary": format!("support-assistant 1428: rolling back to d-1427: {EVIDENCE}"),
            "evidence": EVIDENCE,
            "namespace": "assistant",
            "release": "support-assistant",
            "endpoint": "support-assistant-prod",
            "version": "1428",
            "attempt": 7,
            "criterion": {"class": "multi_hop", "metric": "groundedness", "value": "2.636", "threshold": "2.850", "n": 11},
            "blame": "Release",
            "traffic": "d-1427=90 d-1428=10",
            "at": "2026-11-20T17:14:22Z",
            "timeline": timeline,
            "command": "kubectl describe promptrelease support-assistant -n assistant",
        });
        assert_eq!(body, wanted);
    }

    #[test]
    fn what_is_delivered_late_says_what_is_true_by_then() {
        let mut attempt = attempt("CanaryFailed", EVIDENCE);
        let owed = owed(&attempt, "CanaryFailed");
        attempt.ending =
            Some(Ending { outcome: "RolledBack".into(), reason: "CanaryFailed".into(), ..Ending::default() });
        let page = page(&owed, &about(&attempt, None));
        assert_eq!(page.summary, format!("support-assistant 1428: rolled back to d-1427: {EVIDENCE}"));
        assert_eq!((page.outcome.as_deref(), page.criterion), (Some("RolledBack"), None));
    }

    #[test]
    fn an_alarm_says_what_fails() {
        let attempt = attempt("CanaryFailed", EVIDENCE);
        let about = About { what: Some("ROLLBACK FAILED 6 times"), ..about(&attempt, None) };
        let page = page(&owed(&attempt, "RollbackFailed"), &about);
        assert_eq!(page.summary, "support-assistant 1428: RollbackFailed: ROLLBACK FAILED 6 times");
        assert_eq!(
            (page.severity.as_str(), page.incident.as_str()),
            ("page", "assistant/support-assistant/5f3a9c1e.7")
        );
    }

    #[test]
    fn a_dark_ending_is_a_notice() {
        let evidence = "multi_hop: groundedness=2.706 below threshold 2.850 (n=17)";
        let mut attempt = attempt("EvalRegression", evidence);
        attempt.raised.clear();
        attempt.ending =
            Some(Ending { outcome: "Rejected".into(), reason: "EvalRegression".into(), ..Ending::default() });
        let page = page(&owed(&attempt, "EvalRegression"), &about(&attempt, None));
        assert_eq!(page.severity, "notice");
        assert_eq!(page.summary, format!("support-assistant 1428: Rejected (EvalRegression): {evidence}"));
    }

    #[test]
    fn every_cause_has_a_severity_and_an_unknown_one_wakes_somebody() {
        for cause in Cause::ALL {
            let attempt = attempt(cause.as_str(), "why");
            assert_eq!(
                page(&owed(&attempt, cause.as_str()), &about(&attempt, None)).severity,
                cause.severity().as_str()
            );
        }
        let attempt = attempt("FromTheFuture", "why");
        assert_eq!(page(&owed(&attempt, "FromTheFuture"), &about(&attempt, None)).severity, "page");
    }
}
