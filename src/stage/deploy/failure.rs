//! Why Azure could not run a deployment: whose fault it is, and what to do, in the words of [`crate::azure::troubles`].

use crate::{
    api::Cause,
    azure::{
        Class, Error, Fault,
        troubles::{self, Blame, Trouble},
    },
};

/// Of a code that is not in the table, or none.
const UNLISTED: &str = "read the deployment's whole log in Azure, then ship another version";

/// Lines of the log in a condition, which has to hold the remedy too.
const TAIL_LINES: usize = 3;
/// Of the last line, in characters, which says what went wrong. Its end is kept.
const LAST_WIDTH: usize = 100;
/// Of a line before it.
const WIDTH: usize = 40;

/// What is known of one failure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure {
    pub fault: Option<Fault>,
    /// Last lines of the container's log.
    pub log_tail: Option<String>,
}

/// The cause, and a sentence with code, what the log ended with, and the remedy.
pub fn explain(deployment: &str, failure: &Failure) -> (Cause, String) {
    let log = failure.log_tail.as_deref();
    let known = failure.fault.as_ref().and_then(|fault| troubles::of_operation(fault, log));
    let what = failure.fault.as_ref().map_or_else(|| "Azure gave no reason".to_owned(), troubles::brief);
    let log = log.map(tail).filter(|tail| !tail.is_empty());
    let log = log.map_or_else(String::new, |tail| format!("; log ends: {tail}"));
    let remedy = known.map_or_else(|| format!("; {UNLISTED}"), Trouble::told);
    (known.map_or(Cause::DeploymentFailed, cause), format!("{deployment} failed: {what}{log}{remedy}"))
}

fn cause(known: &Trouble) -> Cause {
    match known.blame {
        Blame::Content => Cause::DeploymentFailed,
        Blame::Environment => Cause::DeploymentUnavailable,
    }
}

/// A write of a deployment that Azure refused: the cause, and Azure's words with code and remedy.
pub fn of_refusal(error: &Error) -> (Cause, String) {
    if error.class() == Class::Denied {
        // The error itself says what to grant.
        return (Cause::DeploymentUnavailable, error.to_string());
    }
    let Some(fault) = error.fault() else { return (Cause::DeploymentUnavailable, error.to_string()) };
    let known = troubles::of_operation(fault, None).or_else(|| error.trouble());
    let unknown = if is_about_content(error) { Cause::DeploymentFailed } else { Cause::DeploymentUnavailable };
    let what = known.map_or_else(|| fault.to_string(), |known| format!("{}{}", troubles::brief(fault), known.told()));
    (known.map_or(unknown, cause), what)
}

/// Whether Azure understood the body and finds it wrong, so that it would find the same again. A quota, a missing right, a
/// conflict can be mended without another version.
pub fn is_final(error: &Error) -> bool {
    is_about_content(error) && of_refusal(error).0 == Cause::DeploymentFailed
}

fn is_about_content(error: &Error) -> bool {
    matches!(error, Error::Refused { status: 400 | 413 | 422, .. })
}

/// The last lines that say something, as one line: a condition has no line breaks.
fn tail(log: &str) -> String {
    let lines = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let width = |at: usize| if at + 1 == last.len() { LAST_WIDTH } else { WIDTH };
    last.iter().enumerate().map(|(at, line)| end(line, width(at))).collect::<Vec<_>>().join(" | ")
}

fn end(line: &str, width: usize) -> String {
    match line.char_indices().rev().nth(width) {
        Some((cut, c)) => format!("…{}", &line[cut + c.len_utf8()..]),
        None => line.to_owned(),
    }
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
            (
                refused(400, "OutOfQuota"),
                Cause::DeploymentUnavailable,
                "OutOfQuota: No; the subscription has no room for it: ask for more quota",
                false,
            ),
            (refused(400, "BadArgument"), Cause::DeploymentFailed, "BadArgument: No; Azure refuses a setting", true),
            (refused(400, "Strange"), Cause::DeploymentFailed, "Strange: No.", true),
            (refused(409, "Conflict"), Cause::DeploymentUnavailable, "Conflict: No; another operation runs", false),
        ] {
            let (found, sentence) = of_refusal(&error);
            assert_eq!((found, is_final(&error)), (cause, stays), "{sentence}");
            assert!(sentence.starts_with(says), "{sentence}");
        }
    }
}
