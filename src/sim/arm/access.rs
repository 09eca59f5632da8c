//! Who may do what, and how often: Azure RBAC actions and ARM's token buckets.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The actions of the caller's role. Patterns may hold `*` for any run of characters.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Role {
    pub actions: Vec<String>,
    pub not_actions: Vec<String>,
}

impl Default for Role {
    fn default() -> Self {
        Self { actions: vec!["*".into()], not_actions: Vec::new() }
    }
}

impl Role {
    pub fn allows(&self, action: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, action));
        any(&self.actions) && !any(&self.not_actions)
    }
}

/// Whether `text` fits a pattern with `*`, in any case.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    true
}

/// A token bucket per subscription and principal: so many requests at once, so many a second in the long run.
pub struct Bucket {
    size: f64,
    per_second: f64,
    left: f64,
    at: Option<Timestamp>,
}

impl Bucket {
    /// Reads: 250, refilled with 25 a second.
    pub fn reads() -> Self {
        Self::new(250.0, 25.0)
    }

    /// Writes, and in a bucket of their own deletes: 200, refilled with 10 a second.
    pub fn writes() -> Self {
        Self::new(200.0, 10.0)
    }

    fn new(size: f64, per_second: f64) -> Self {
        Self { size, per_second, left: size, at: None }
    }

    /// Takes one request out. The number that is left, or None if there was none.
    pub fn take(&mut self, now: Timestamp) -> Option<u32> {
        let passed = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        self.at = Some(now);
        self.left = (self.left + passed * self.per_second).min(self.size);
        if self.left < 1.0 {
            return None;
        }
        self.left -= 1.0;
        Some(self.left as u32)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn stars_stand_for_any_run_of_characters() {
        let all = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write";
        assert!(fits("*", all) && fits(all, all));
        assert!(fits("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/*", all));
        assert!(fits("microsoft.machinelearningservices/*/write", all));
        assert!(!fits("*/read", all) && !fits("Microsoft.MachineLearningServices/workspaces", all));
    }

    #[test]
    fn what_is_taken_away_outweighs_what_is_given() {
        let role = Role { actions: vec!["*".into()], not_actions: vec!["*/listSecrets/action".into()] };
        assert!(role.allows("Microsoft.MachineLearningServices/workspaces/datastores/read"));
        assert!(!role.allows("Microsoft.MachineLearningServices/workspaces/datastores/listSecrets/action"));
    }

    #[test]
    fn an_empty_bucket_fills_up_again() {
        let mut bucket = Bucket::writes();
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!((0..201).filter(|_| bucket.take(start).is_some()).count(), 200);
        assert_eq!(bucket.take(start + SignedDuration::from_secs(1)), Some(9));
    }
}
