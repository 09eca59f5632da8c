//! One spelling for a deployment's name.
//!
//! Azure compares these names without regard to case and may echo them in another than they were written in; its own
//! client writes them in lower case. So everything that is read is spelled as the log has it, or in lower case where the
//! log does not know it: the names that we give are in lower case too.

use std::collections::BTreeMap;

use super::{Log, Roles};
use crate::azure::{OnlineDeployment, OnlineEndpoint};

/// The log's spellings.
pub struct Spelling(BTreeMap<String, String>);

impl Spelling {
    pub fn of(log: &Log<String>) -> Self {
        let mut known = BTreeMap::new();
        for name in log.names().chain(log.names_in_splits()) {
            known.entry(name.to_ascii_lowercase()).or_insert_with(|| name.clone());
        }
        Self(known)
    }

    pub fn name(&self, found: &str) -> String {
        let lower = found.to_ascii_lowercase();
        self.0.get(&lower).cloned().unwrap_or(lower)
    }

    pub fn endpoint(&self, found: OnlineEndpoint) -> OnlineEndpoint {
        let (traffic, mirror_traffic) = (self.shares(&found.traffic), self.shares(&found.mirror_traffic));
        OnlineEndpoint { traffic, mirror_traffic, ..found }
    }

    pub fn deployment(&self, found: OnlineDeployment) -> OnlineDeployment {
        OnlineDeployment { name: self.name(&found.name), ..found }
    }

    pub fn roles(&self, found: &Roles<String>) -> Roles<String> {
        let name = |name: &Option<String>| name.as_deref().map(|name| self.name(name));
        Roles { stable: name(&found.stable), canary: name(&found.canary) }
    }

    /// Two spellings of one name share what they have.
    fn shares(&self, found: &BTreeMap<String, u8>) -> BTreeMap<String, u8> {
        let mut shares = BTreeMap::<String, u8>::new();
        for (name, share) in found {
            let sum = shares.entry(self.name(name)).or_default();
            *sum = sum.saturating_add(*share);
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{endpoint::Ms, endpoint::log::Verified, policy::split::Split};

    fn endpoint(traffic: &serde_json::Value) -> OnlineEndpoint {
        let body = serde_json::json!({"name": "e", "location": "x", "properties": {"traffic": traffic}});
        serde_json::from_value(body).expect("an endpoint")
    }

    #[test]
    fn what_azure_echoes_is_spelled_as_the_log_has_it_else_in_lower_case() {
        let split: Split<String> = "Blue=90 d-1428=10".parse().expect("a split");
        let verified = Some(Verified { split: split.clone(), seq: 1, at: Ms(0), why: None });
        let log = Log { verified, stable: Some("Blue".to_owned()), ..Log::default() };
        let spelling = Spelling::of(&log);
        let found = spelling.endpoint(endpoint(&serde_json::json!({"blue": 90, "D-1428": 10, "Green": 0})));
        assert_eq!(Split::as_found(found.traffic.clone()), split);
        assert!(found.traffic.contains_key("green"));
        assert_eq!(found.body["properties"]["traffic"]["D-1428"], 10, "what is sent back is what was read");
    }

    #[test]
    fn two_spellings_of_one_name_are_one_deployment() {
        let found = Spelling::of(&Log::default()).endpoint(endpoint(&serde_json::json!({"D-1": 60, "d-1": 40})));
        assert_eq!(Split::as_found(found.traffic), Split::all("d-1".to_owned()));
    }
}
