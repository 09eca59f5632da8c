//! What stands in an endpoint's way: what is wrong, what is allowed, the next step.

use super::{by_hand, sentence};
use crate::api::{At, TAKE_OVER, endpoint::AzureEndpoint};

/// Why an endpoint is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// One word in CamelCase.
    pub reason: &'static str,
    /// One sentence, with the next step.
    pub message: String,
    /// Trying again does not help by itself.
    pub needs_person: bool,
    /// It is about the split of the traffic.
    pub about_traffic: bool,
}

impl Trouble {
    fn of_person(reason: &'static str, message: String) -> Self {
        Self { reason, message, needs_person: true, about_traffic: false }
    }

    fn of_traffic(reason: &'static str, message: String) -> Self {
        Self { about_traffic: true, ..Self::of_person(reason, message) }
    }
}

/// Azure does not know the endpoint.
pub fn not_found(azure: &AzureEndpoint) -> Trouble {
    let AzureEndpoint { endpoint, workspace, .. } = azure;
    Trouble::of_person(
        "NotFound",
        format!(
            "online endpoint {endpoint} does not exist in {workspace}; create it, or correct `spec.azure` in a new \
             PromptEndpoint: this operator never creates one"
        ),
    )
}

/// Azure refuses; the sentence says which role is missing.
pub fn forbidden(why: &str) -> Trouble {
    Trouble::of_person("Forbidden", why.to_owned())
}

/// It is tried again.
pub fn unreadable(why: &str, since: At) -> Trouble {
    let message = format!("Azure cannot be read since {}: {why}", since.to_seconds());
    Trouble { needs_person: false, ..Trouble::of_person("Unreadable", message) }
}

/// The object does not parse.
pub fn invalid_spec(why: &str) -> Trouble {
    Trouble::of_person("InvalidSpec", format!("{why}; edit the spec"))
}

/// What was written to Azure is not known.
pub fn invalid_log(why: &str, namespace: &str, name: &str) -> Trouble {
    Trouble::of_person(
        "InvalidLog",
        format!(
            "{why}, so it is not known what was written to Azure, and nothing is; put it right: kubectl edit -n {namespace} \
             promptendpoint {name} --subresource=status"
        ),
    )
}

/// The endpoint carries the tag of another PromptEndpoint, perhaps of another cluster. `ours` is our own.
pub fn other_owner(theirs: &str, namespace: &str, name: &str) -> Trouble {
    let take_over = by_hand::annotate(namespace, "promptendpoint", name, &format!("{TAKE_OVER}={theirs}"));
    Trouble::of_traffic(
        "OtherOwner",
        format!("the endpoint belongs to {theirs}; nothing is written. If that one is gone: {take_over}"),
    )
}

/// Somebody else set a split in which nobody can be told to be stable.
pub fn traffic_conflict(split: &str, azure: &AzureEndpoint) -> Trouble {
    let first = split.split(['=', ' ']).next().unwrap_or_default();
    Trouble::of_traffic(
        "TrafficConflict",
        format!(
            "somebody else set {split}; nothing is written until one deployment has all traffic, as in: {}",
            by_hand::all_traffic(azure, first)
        ),
    )
}

/// Requests are mirrored to the deployment that is to get traffic.
pub fn mirror_conflict(deployment: &str, percent: u8, azure: &AzureEndpoint) -> Trouble {
    Trouble::of_traffic(
        "MirrorConflict",
        format!(
            "{percent} % of the requests are mirrored to {deployment}, and Azure gives such a deployment no traffic; end it: {}",
            by_hand::no_mirror(azure, deployment)
        ),
    )
}

/// The deployment that all traffic should return to is gone.
pub fn stable_lost(deployment: &str, azure: &AzureEndpoint) -> Trouble {
    Trouble::of_traffic(
        "StableLost",
        format!(
            "{deployment}, which has or gets back all traffic, does not exist any more; give another one all traffic: {}",
            by_hand::all_traffic(azure, "DEPLOYMENT")
        ),
    )
}

/// Nothing has traffic, nothing is known to have served, and there is a deployment that is not ours.
pub fn no_stable(deployment: &str, azure: &AzureEndpoint) -> Trouble {
    Trouble::of_traffic(
        "TrafficConflict",
        format!(
            "no deployment has traffic, and {deployment} is not ours; nothing is written until one has all traffic, as in: {}",
            by_hand::all_traffic(azure, deployment)
        ),
    )
}

/// The API server dropped fields of the status.
pub fn crd_outdated() -> Trouble {
    Trouble::of_person(
        "CrdOutdated",
        "the CRDs are older than this operator, which may only withdraw until they are applied: kubectl apply \
         --server-side -f crds/"
            .to_owned(),
    )
}

/// The status was written by a newer operator.
pub fn newer_format(found: i64, known: i64) -> Trouble {
    Trouble::of_person(
        "FormatUnknown",
        format!("status has format {found}, this operator knows {known} and may only withdraw: update the operator"),
    )
}

/// `ROLLBACK FAILED 6 times: …. By hand: az ml online-endpoint update … --traffic d-1427=100`.
/// `tries` is 0 while something stands before the write.
pub fn rollback_failed(tries: i64, why: &str, azure: &AzureEndpoint, back_to: Option<&str>) -> String {
    let failed = match tries {
        0 => "ROLLBACK NOT WRITTEN YET".to_owned(),
        tries => format!("ROLLBACK FAILED {}", sentence::count(tries, "time")),
    };
    let by_hand = back_to
        .map_or_else(String::new, |deployment| format!(". By hand: {}", by_hand::all_traffic(azure, deployment)));
    format!("{failed}: {why}{by_hand}")
}
