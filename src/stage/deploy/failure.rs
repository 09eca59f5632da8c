//! Why Azure could not run a deployment: whose fault it is, and what to do. One table.

use crate::{
    api::Cause,
    azure::{Class, Error, Fault},
};

/// A code of the service, whose fault it is, and the remedy.
struct Entry {
    code: &'static str,
    cause: Cause,
    remedy: &'static str,
}

const fn release(code: &'static str, remedy: &'static str) -> Entry {
    Entry { code, cause: Cause::DeploymentFailed, remedy }
}

const fn environment(code: &'static str, remedy: &'static str) -> Entry {
    Entry { code, cause: Cause::DeploymentUnavailable, remedy }
}

/// Codes of Microsoft's "Troubleshoot online endpoints".
const TABLE: &[Entry] = &[
    release("ResourceNotReady", "the container started and died: read the end of its log, run the image locally"),
    release(
        "ImageBuildFailure",
        "the image cannot be pulled or built: check its name, digest and the registry's access",
    ),
    release("BadArgument", "Azure refuses a setting of the deployment: compare it with the message"),
    release("SecretsInjectionError", "the endpoint's identity must be allowed to read the connections that env names"),
    release("ResourceNotFound", "something that the deployment names does not exist"),
    environment("OutOfQuota", "ask for more quota, or delete deployments that are not used"),
    environment(
        "OperationCanceled",
        "an operation of higher priority took its place: ship the content under another version",
    ),
    environment("InternalServerError", "Azure's fault: ship the content under another version, or open a support case"),
    environment("ServiceError", "Azure's fault: ship the content under another version, or open a support case"),
    environment("WorkspaceManagedNetworkNotReady", "provision the workspace's managed network"),
    environment("SubscriptionNotRegistered", "register the resource providers that managed endpoints need"),
    environment("AuthorizationFailed", "give the identity AzureML Data Scientist on the workspace"),
];

/// Of a code that is not in the table, or none.
const UNLISTED: &str = "read the deployment's whole log in Azure, then ship another version";

/// Of the log, in a condition.
const TAIL_LINES: usize = 3;
/// Of such a line, in characters.
const TAIL_WIDTH: usize = 160;

/// What is known of one failure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure {
    pub fault: Option<Fault>,
    /// Last lines of the container's log.
    pub log_tail: Option<String>,
}

/// The cause, and a sentence with code, what the log ended with, and the remedy.
pub fn explain(deployment: &str, failure: &Failure) -> (Cause, String) {
    let entry = failure.fault.as_ref().and_then(entry);
    let what = failure.fault.as_ref().map_or_else(|| "Azure gave no reason".to_owned(), ToString::to_string);
    let log = failure.log_tail.as_deref().map(tail).filter(|tail| !tail.is_empty());
    let log = log.map_or_else(String::new, |tail| format!("; log ends: {tail}"));
    let cause = entry.map_or(Cause::DeploymentFailed, |entry| entry.cause);
    let remedy = entry.map_or(UNLISTED, |entry| entry.remedy);
    (cause, format!("{deployment} failed: {what}{log}; {remedy}"))
}

/// A write of a deployment that Azure refused: the cause, and Azure's words with code and remedy.
pub fn of_refusal(error: &Error) -> (Cause, String) {
    if error.class() == Class::Denied {
        // The error itself says what to grant.
        return (Cause::DeploymentUnavailable, error.to_string());
    }
    let fault = error.fault().cloned().unwrap_or_else(|| Fault::new("", error.to_string()));
    let entry = entry(&fault);
    let unknown = if is_about_content(error) { Cause::DeploymentFailed } else { Cause::DeploymentUnavailable };
    let remedy = entry.map_or_else(String::new, |entry| format!("; {}", entry.remedy));
    (entry.map_or(unknown, |entry| entry.cause), format!("{fault}{remedy}"))
}

/// Whether Azure understood the body and finds it wrong, so that it would find the same again. A quota, a missing right, a
/// conflict can be mended without another version.
pub fn is_final(error: &Error) -> bool {
    is_about_content(error) && of_refusal(error).0 == Cause::DeploymentFailed
}

fn is_about_content(error: &Error) -> bool {
    matches!(error, Error::Refused { status: 400 | 413 | 422, .. })
}

fn entry(fault: &Fault) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| fault.has_code(entry.code))
}

/// The last lines that say something, as one line: a condition has no line breaks.
fn tail(log: &str) -> String {
    let lines = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let cut = |line: &&str| line.chars().take(TAIL_WIDTH).collect::<String>();
    last.iter().map(cut).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: &str) -> Failure {
        let log_tail = Some("starting\nModuleNotFoundError: No module named 'kb'\n\n".to_owned());
        Failure { fault: Some(Fault::new(code, "User container has crashed or terminated.")), log_tail }
    }

    #[test]
    fn code_log_and_remedy_in_one_sentence() {
        let (cause, sentence) = explain("d-1428", &failure("ResourceNotReady"));
        assert_eq!(cause, Cause::DeploymentFailed);
        for part in
            ["d-1428 failed", "ResourceNotReady", "log ends: starting | ModuleNotFoundError", "run the image locally"]
        {
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn quota_is_not_the_releases_fault() {
        assert_eq!(explain("d-1", &failure("OutOfQuota")).0, Cause::DeploymentUnavailable);
        assert_eq!(explain("d-1", &Failure::default()).1, format!("d-1 failed: Azure gave no reason; {UNLISTED}"));
    }

    fn refused(status: u16, code: &str) -> Error {
        Error::Refused { call: "PUT d-1".into(), status, fault: Fault::new(code, "No.") }
    }

    #[test]
    fn a_refusal_says_code_and_remedy_and_whether_it_will_stay() {
        for (error, cause, says, stays) in [
            (refused(400, "OutOfQuota"), Cause::DeploymentUnavailable, "OutOfQuota: No.; ask for more quota", false),
            (refused(400, "BadArgument"), Cause::DeploymentFailed, "BadArgument: No.; Azure refuses a setting", true),
            (refused(400, "Strange"), Cause::DeploymentFailed, "Strange: No.", true),
            (refused(409, "Conflict"), Cause::DeploymentUnavailable, "Conflict: No.", false),
        ] {
            let (found, sentence) = of_refusal(&error);
            assert_eq!((found, is_final(&error)), (cause, stays), "{sentence}");
            assert!(sentence.starts_with(says), "{sentence}");
        }
    }
}
