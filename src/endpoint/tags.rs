//! The three tags that travel in every write of the split: whose endpoint it is, which write this was, and who is who.
//! With them anyone who can read the endpoint can roll it back, and a write can be told from another with the same split.
//!
//! Azure has no conditional write here; the number in the tag is the poor man's ETag. A tag's value has at most 256
//! characters, and its name is compared without regard to case ("Use tags to organize your Azure resources").

use std::collections::BTreeMap;

use super::{
    Log, Ms, Target, Why,
    log::{Attempt, Intent},
    look::{Roles, Written},
};
use crate::policy::split::Split;

/// `<kube-system uid>/<namespace>/<name>` of the PromptEndpoint.
pub const OWNER: &str = "promptrelease.owner";
/// `v1;seq=41;n=7;why=Raise;by=5f3a`: number of the write, of the attempt, and the process that sent it.
pub const WRITE: &str = "promptrelease.write";
/// `stable=d-1427;canary=d-1428;window=60s`; the last two only while a canary has traffic.
pub const SPLIT: &str = "promptrelease.split";

const VERSION: &str = "v1";
const MAX_VALUE: usize = 256;
/// Longest name of a process in a tag.
const MAX_BY: usize = 64;

/// What the tags say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<'a> {
    pub owner: Option<&'a str>,
    /// None: no such tag, or one that is not ours to understand.
    pub write: Option<Written>,
    pub roles: Roles<String>,
}

/// Reads what is there. A tag that does not parse counts as none: others may write tags too.
pub fn read(tags: &BTreeMap<String, String>) -> Read<'_> {
    Read {
        owner: find(tags, OWNER).filter(|owner| !owner.is_empty()),
        write: find(tags, WRITE).and_then(written),
        roles: find(tags, SPLIT).map(roles).unwrap_or_default(),
    }
}

/// The tags of a write of the split.
pub fn write(owner: &str, by: &str, log: &Log<String>, intent: &Intent<String>) -> Vec<(String, String)> {
    let n = log.attempt.as_ref().map_or(0, |attempt| attempt.n);
    let why = intent.why.map_or("", Why::as_str);
    let by: String = by.chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).take(MAX_BY).collect();
    let written = format!("{VERSION};seq={};n={n};why={why};by={by}", intent.seq);
    let tags = [(OWNER, owner.to_owned()), (WRITE, written), (SPLIT, roles_of(log, &intent.target))];
    tags.into_iter().map(|(name, value)| (name.to_owned(), value.chars().take(MAX_VALUE).collect())).collect()
}

fn find<'a>(tags: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let same = tags.get(name).or_else(|| tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v));
    same.map(String::as_str)
}

fn fields(value: &str) -> BTreeMap<&str, &str> {
    value.split(';').filter_map(|field| field.split_once('=')).collect()
}

fn written(value: &str) -> Option<Written> {
    let rest = value.strip_prefix(VERSION)?.strip_prefix(';')?;
    let fields = fields(rest);
    let number = |name: &str| fields.get(name)?.parse::<i64>().ok().filter(|n| *n >= 0);
    Some(Written {
        seq: number("seq")?,
        n: number("n").unwrap_or(0),
        why: fields.get("why").and_then(|why| Why::parse(why)),
    })
}

fn roles(value: &str) -> Roles<String> {
    let fields = fields(value);
    let name = |role: &str| fields.get(role).filter(|name| !name.is_empty()).map(|name| (*name).to_owned());
    Roles { stable: name("stable"), canary: name("canary") }
}

/// Who is who once the write has landed.
fn roles_of(log: &Log<String>, target: &Target<String>) -> String {
    let Target::Traffic(split) = target else { return String::new() };
    if let Some((attempt, stable, canary)) = log.open().and_then(|attempt| canary(attempt, split)) {
        return format!("stable={stable};canary={canary};window={}", window(attempt.window));
    }
    let stable = split.sole().or(log.stable.as_ref()).map_or("", String::as_str);
    format!("stable={stable}")
}

/// The attempt's two deployments, while both have traffic.
fn canary<'a>(
    attempt: &'a Attempt<String>,
    split: &Split<String>,
) -> Option<(&'a Attempt<String>, &'a String, &'a String)> {
    let (stable, canary) = (attempt.return_to.as_ref()?, attempt.deployment.as_ref()?);
    (split.share(stable) > 0 && split.share(canary) > 0).then_some((attempt, stable, canary))
}

/// `60s`, or `1500ms` where it is no whole number of seconds.
fn window(window: Ms) -> String {
    if window.0 % 1_000 == 0 { format!("{}s", window.0 / 1_000) } else { format!("{}ms", window.0) }
}

#[cfg(test)]
mod tests {
    use proptest::{option, prelude::*};

    use super::*;
    use crate::{endpoint::log::Kind, policy::naming};

    const NAME: &str = "[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]";

    fn attempt(n: i64, deployment: &str, return_to: Option<String>, window: i64) -> Attempt<String> {
        let (deployment, window) = (Some(deployment.to_owned()), Ms(window));
        Attempt { deployment, return_to, window, ..Attempt::new(n, Kind::Canary) }
    }

    fn intent(seq: i64, why: Why, split: Split<String>) -> Intent<String> {
        let target = Target::Traffic(split);
        Intent { seq, why: Some(why), target, before: None, tries: 1, deadline: Ms(0), outcome: None }
    }

    fn written(owner: &str, by: &str, log: &Log<String>, intent: &Intent<String>) -> BTreeMap<String, String> {
        write(owner, by, log, intent).into_iter().collect()
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            (seq, n, why) in (0..i64::MAX, 1..i64::MAX, 0..Why::ALL.len()),
            (stable, canary) in (option::of(NAME), NAME),
            (weight, window) in (0_u8..=100, 1..3_600_000_i64),
            (namespace, name, by) in ("[a-z]{1,63}", "[a-z.-]{1,253}", "[ -~]{0,80}"),
        ) {
            prop_assume!(stable.as_ref() != Some(&canary));
            let owner = naming::owner("6a9d8db9-fbdf-4412-9478-8362172f994d", &namespace, &name);
            let log = Log { attempt: Some(attempt(n, &canary, stable.clone(), window)), ..Log::default() };
            let both = stable.clone().and_then(|stable| Split::canary(stable, canary.clone(), weight));
            let split = both.clone().unwrap_or_else(|| stable.clone().map_or_else(Split::none, Split::all));
            let tags = written(&owner, &by, &log, &intent(seq, Why::ALL[why], split));
            prop_assert!(tags.values().all(|value| value.len() <= MAX_VALUE));
            let roles = Roles { stable, canary: both.map(|_| canary) };
            let write = Some(Written { seq, n, why: Some(Why::ALL[why]) });
            prop_assert_eq!(read(&tags), Read { owner: Some(&owner), write, roles });
        }

        #[test]
        fn whatever_others_write_is_read_without_harm(owner in ".{0,40}", write in ".{0,40}", split in ".{0,40}") {
            let tags = [(OWNER, &owner), (WRITE, &write), (SPLIT, &split)].map(|(k, v)| (k.to_owned(), v.clone())).into();
            let found = read(&tags);
            prop_assert_eq!(found.owner.unwrap_or_default(), owner.as_str());
            prop_assert!(found.write.is_none_or(|write| write.seq >= 0 && write.n >= 0));
        }
    }

    #[test]
    fn the_tags_say_what_anybody_needs_to_roll_back() {
        let log = Log { attempt: Some(attempt(7, "d-1428", Some("d-1427".into()), 60_000)), ..Log::default() };
        let split = Split::canary("d-1427".to_owned(), "d-1428".to_owned(), 10).expect("a split");
        let tags = written("u/assistant/prod", "5f3a", &log, &intent(41, Why::Raise, split));
        assert_eq!(tags[WRITE], "v1;seq=41;n=7;why=Raise;by=5f3a");
        assert_eq!(tags[SPLIT], "stable=d-1427;canary=d-1428;window=60s");
        assert_eq!(tags[OWNER], "u/assistant/prod");
    }

    #[test]
    fn a_tags_name_is_found_in_any_case() {
        let tags = BTreeMap::from([("PromptRelease.Owner".to_owned(), "me".to_owned())]);
        assert_eq!(read(&tags).owner, Some("me"));
    }
}
