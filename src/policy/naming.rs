//! Names that the operator gives in Azure. Each is a function of what it names, so that a repeated write finds its own.

use super::digest::{hex8, sha256_hex};

/// A run's name, kept well within what Azure ML's run history takes.
const MAX_RUN: usize = 64;
/// Name and version of an asset: letters, digits, dashes and underscores, at most 255; versions are kept to 30.
const MAX_ASSET: usize = 255;
const MAX_ASSET_VERSION: usize = 30;
/// An Azure tag's value.
const MAX_TAG: usize = 256;
/// Namespace and release in a page's key. The log holds twelve such keys, and some receivers take no more than 255
/// characters (PagerDuty, `dedup_key`).
const MAX_WHOSE: usize = 80;
/// No version has so many failed first provisionings; it bounds the name's length.
const MAX_SUFFIX: u32 = 99;

/// `d-<version>`: the first name that a version's deployment may have.
pub fn deployment(version: &str) -> String {
    format!("d-{version}")
}

/// The first of `d-<version>`, `d-<version>--2`, `d-<version>--3` that is not taken, compared as Azure does, without
/// regard to case. A name means one body for ever, so names that were used and given up count as taken. None after 99.
pub fn next_deployment<'a>(version: &str, taken: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let taken: Vec<String> = taken.into_iter().map(str::to_ascii_lowercase).collect();
    let first = deployment(version);
    let later = (2..=MAX_SUFFIX).map(|n| format!("{first}--{n}"));
    std::iter::once(first.clone()).chain(later).find(|name| !taken.contains(&name.to_ascii_lowercase()))
}

/// The version whose deployment this is, by its name; None for a name that we never give.
pub fn version_of(deployment: &str) -> Option<&str> {
    let rest = deployment.strip_prefix("d-")?;
    let version = rest.split_once("--").map_or(rest, |(version, _)| version);
    (!version.is_empty()).then_some(version)
}

/// The two runs of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Run {
    /// The flow answers the data set.
    Eval,
    /// The judge scores the answers.
    Judge,
}

impl Run {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eval => "eval",
            Self::Judge => "judge",
        }
    }
}

/// `eval-<version>-<8 hex>`: the client chooses a run's id, so that a submission that was sent twice is one run. The
/// digits are of the release's uid, the attempt and the try, so that no other release or attempt has the same. Repeats
/// from the second on say so: `eval-<version>-r2-<8 hex>`.
pub fn run(kind: Run, version: &str, release_uid: &str, attempt: i64, try_: i64, repeat: i64) -> String {
    let hash = hex8(format!("{release_uid}/{attempt}/{try_}").as_bytes());
    let repeat = if repeat > 1 { format!("-r{repeat}") } else { String::new() };
    cut(&format!("{}-{version}{repeat}-{hash}", kind.as_str()), MAX_RUN, '-')
}

/// Name of the model and of the environment of a release: `support-assistant`, `support-assistant-env`.
pub fn model(release: &str) -> String {
    cut(&asset(release), MAX_ASSET, '-')
}

/// See [`model`].
pub fn environment(release: &str) -> String {
    cut(&format!("{}-env", asset(release)), MAX_ASSET, '-')
}

/// `1428-5f3a9c1e`: the version says what it is for, the revision's hash what is in it.
pub fn model_version(version: &str, hash: &str) -> String {
    let room = MAX_ASSET_VERSION.saturating_sub(hash.len() + 1);
    let version = version.get(..room).unwrap_or(version).trim_end_matches('-');
    format!("{version}-{hash}")
}

/// First 8 hex digits of the image's digest: the same image is the same version. None if the image has no digest.
pub fn environment_version(image: &str) -> Option<&str> {
    image.split_once("@sha256:").and_then(|(_, digest)| digest.get(..8))
}

/// `<kube-system uid>/<namespace>/<name>`, the value of the tag promptrelease.owner.
pub fn owner(cluster: &str, namespace: &str, name: &str) -> String {
    cut(&format!("{cluster}/{namespace}/{name}"), MAX_TAG, '~')
}

/// De-duplication key of what is said about one attempt: `assistant/support-assistant/5f3a9c1e.7/CanaryFailed`. Long names
/// are cut, and stay distinct.
pub fn page_key(namespace: &str, release: &str, hash: &str, attempt: i64, kind: &str) -> String {
    let whose = cut(&format!("{namespace}/{release}"), MAX_WHOSE, '~');
    format!("{whose}/{hash}.{attempt}/{kind}")
}

/// A Kubernetes name may have dots, an asset's may not; two names must not become one.
fn asset(name: &str) -> String {
    if name.contains('.') { format!("{}-{}", name.replace('.', "-"), hex8(name.as_bytes())) } else { name.to_owned() }
}

/// As it is, or its beginning, a mark and 8 hex digits of the whole.
fn cut(text: &str, max: usize, mark: char) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let hash = &sha256_hex(text.as_bytes())[..8];
    let mut end = max - 9;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{mark}{hash}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployments_are_named_after_their_version() {
        assert_eq!(next_deployment("1428", []).as_deref(), Some("d-1428"));
        assert_eq!(next_deployment("1428", ["d-1427", "D-1428"]).as_deref(), Some("d-1428--2"));
        assert_eq!(next_deployment("1428", ["d-1428", "d-1428--2"]).as_deref(), Some("d-1428--3"));
        assert_eq!(next_deployment("1428", ["d-1428", "d-1428--3"]).as_deref(), Some("d-1428--2"));
        let all: Vec<String> = std::iter::once("d-1".into()).chain((2..100).map(|n| format!("d-1--{n}"))).collect();
        assert_eq!(next_deployment("1", all.iter().map(String::as_str)), None);
    }

    #[test]
    fn every_name_of_the_longest_version_is_allowed() {
        let version = "a".repeat(26);
        let mut taken: Vec<String> = vec![];
        while let Some(name) = next_deployment(&version, taken.iter().map(String::as_str)) {
            // Azure Machine Learning, "Manage and increase quotas": 3 to 32 letters, digits and dashes, a letter first.
            assert!((3..=32).contains(&name.len()) && !name.ends_with('-'), "{name}");
            assert_eq!(version_of(&name), Some(version.as_str()));
            taken.push(name);
        }
        assert_eq!(taken.len(), 99);
        assert!(run(Run::Judge, &version, "6a9d8db9-fbdf-4412-9478-8362172f994d", 12345, 3, 5).len() <= 64);
        assert_eq!(model_version(&version, "5f3a9c1e").len(), 30);
    }

    #[test]
    fn foreign_names_have_no_version() {
        assert_eq!(version_of("d-1428--2"), Some("1428"));
        assert_eq!(version_of("d-v2-rc1"), Some("v2-rc1"));
        assert_eq!(version_of("blue"), None);
        assert_eq!(version_of("d-"), None);
    }

    #[test]
    fn a_run_belongs_to_one_try_of_one_attempt_of_one_release() {
        let id = run(Run::Eval, "1428", "6a9d8db9", 7, 1, 1);
        // printf 6a9d8db9/7/1 | sha256sum
        assert_eq!(id, "eval-1428-2405221e");
        assert_eq!(run(Run::Judge, "1428", "6a9d8db9", 7, 1, 1), id.replace("eval", "judge"));
        assert_eq!(run(Run::Eval, "1428", "6a9d8db9", 7, 1, 2), "eval-1428-r2-2405221e");
        for other in [run(Run::Eval, "1428", "6a9d8db9", 7, 2, 1), run(Run::Eval, "1428", "6a9d8db9", 8, 1, 1)] {
            assert_ne!(other, id);
        }
        assert_ne!(run(Run::Eval, "1428", "other", 7, 1, 1), id);
    }

    #[test]
    fn assets_are_named_by_content() {
        assert_eq!(model("support-assistant"), "support-assistant");
        assert_eq!(environment("support-assistant"), "support-assistant-env");
        assert_ne!(model("a.b"), model("a-b"));
        assert!(!model("a.b").contains('.'));
        assert_eq!(model_version("1428", "5f3a9c1e"), "1428-5f3a9c1e");
        assert_eq!(environment_version("mcr.microsoft.com/x/y@sha256:9d6b5c0f3f8d"), Some("9d6b5c0f"));
        assert_eq!(environment_version("mcr.microsoft.com/x/y:latest"), None);
    }

    #[test]
    fn a_pages_key_is_short_and_stays_distinct() {
        let key = |release: &str| page_key("assistant", release, "5f3a9c1e", 7, "CanaryFailed");
        assert_eq!(key("support-assistant"), "assistant/support-assistant/5f3a9c1e.7/CanaryFailed");
        let (a, b) = (key(&format!("{}a", "x".repeat(252))), key(&format!("{}b", "x".repeat(252))));
        assert!(a.len() < 120 && a.starts_with("assistant/xxx") && a.ends_with("/5f3a9c1e.7/CanaryFailed"), "{a}");
        assert_ne!(a, b);
    }

    #[test]
    fn an_owner_fits_into_a_tag_and_stays_distinct() {
        assert_eq!(owner("u", "assistant", "prod"), "u/assistant/prod");
        let (a, b) = (
            owner("u", &"n".repeat(63), &format!("{}a", "x".repeat(252))),
            owner("u", &"n".repeat(63), &format!("{}b", "x".repeat(252))),
        );
        assert_eq!(a.len(), 256);
        assert_ne!(a, b);
    }
}
