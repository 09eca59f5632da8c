//! Faults that tests script: what is to go wrong, for which request, how often.
//!
//! A rule is JSON, posted to the control API:
//!
//! ```json
//! {"name": "lost promote",
//!  "match": {"service": "arm", "method": "PUT", "path": "onlineEndpoints/qa-prod", "why": "Promote"},
//!  "skip": 0, "times": 1,
//!  "do": {"lose": "reply"}}
//! ```
//!
//! The first rule that matches a request strikes; `do` may combine several effects, e.g. hold and then lose the reply.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::{http, service::Service};

/// Which requests a rule is about; every field that is given must fit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Match {
    pub service: Option<Service>,
    /// The whole host name, or its end if it begins with a dot.
    pub host: Option<String>,
    pub method: Option<String>,
    /// Part of the path, in any case.
    pub path: Option<String>,
    /// The piece `why=<this>` in a tag of the body: which kind of traffic write it is.
    pub why: Option<String>,
    /// Part of the body.
    pub body: Option<String>,
}

/// What happens to a request that a rule strikes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Effect {
    /// Wait this long, in milliseconds, before the service sees the request. It sees it even if the client has gone.
    pub hold_ms: u64,
    /// Wait until the rule is released through the control API.
    pub hold_until_released: bool,
    /// Wait this long, in milliseconds, before the reply, which the service has given, is sent or lost.
    pub hold_reply_ms: u64,
    /// Close the connection instead of answering.
    pub lose: Option<Lose>,
    /// Answer this; the service does not see the request.
    pub answer: Option<Canned>,
    /// Management API only: refuse as if an operation were under way.
    pub busy: bool,
    /// Management API only: refuse with 403 AuthorizationFailed.
    pub forbid: bool,
    /// Management API only: accept, and make the operation slow or fail.
    pub operation: Option<OperationFault>,
}

/// What a lost reply means for the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lose {
    /// The service never saw the request: nothing is accepted.
    Request,
    /// The service did what it was asked; only the reply is lost.
    Reply,
}

/// An answer given in place of the service's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canned {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as JSON, or as text if it is a string.
    #[serde(default)]
    pub body: Value,
}

/// How an accepted operation goes wrong. With `code` or `canceled` it fails, else it is only slow.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct OperationFault {
    /// Milliseconds from acceptance to effect.
    pub ms: Option<u64>,
    /// Error code of the operation, e.g. `ResourceNotReady`.
    pub code: Option<String>,
    pub message: Option<String>,
    /// The operation ends as Canceled, not as Failed.
    pub canceled: bool,
    /// Whether the tags of a failed endpoint write stick although its split does not.
    pub apply_tags: Option<bool>,
    /// What the container log of a deployment ends with.
    pub log: Option<String>,
}

/// A rule as it is posted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    #[serde(default)]
    pub name: String,
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// So many matching requests go through before the rule strikes.
    #[serde(default)]
    pub skip: u32,
    /// So many it strikes; 0 is without end.
    #[serde(default = "once")]
    pub times: u32,
    #[serde(rename = "do")]
    pub effect: Effect,
}

fn once() -> u32 {
    1
}

/// A request that a rule struck.
#[derive(Clone, Debug, Serialize)]
pub struct Hit {
    pub rule: String,
    pub at: Timestamp,
    pub method: String,
    pub host: String,
    pub path: String,
}

/// The effect on one request, and the gate of a hold.
pub struct Strike {
    pub rule: String,
    pub effect: Effect,
    pub released: watch::Receiver<bool>,
}

struct Armed {
    rule: Rule,
    seen: u32,
    struck: u32,
    gate: watch::Sender<bool>,
}

/// The rules, in the order in which they were added, and what they have done.
#[derive(Default)]
pub struct Faults {
    armed: Vec<Armed>,
    hits: Vec<Hit>,
}

impl Faults {
    /// Adds a rule. A rule without a name gets a number.
    ///
    /// # Errors
    /// Says what cannot work: a name that is taken, or an effect that the matched service does not know.
    pub fn add(&mut self, mut rule: Rule) -> Result<String, String> {
        if rule.name.is_empty() {
            rule.name = format!("fault-{}", self.armed.len() + 1);
        }
        if self.armed.iter().any(|a| a.rule.name == rule.name) {
            return Err(format!("a rule named {:?} exists already; choose another name or DELETE /faults", rule.name));
        }
        let effect = &rule.effect;
        if let Some(canned) = effect.answer.as_ref().filter(|canned| !(200..=599).contains(&canned.status)) {
            let (name, status) = (&rule.name, canned.status);
            return Err(format!("rule {name:?}: the status of an answer must be 200 to 599, not {status}"));
        }
        let of_arm = effect.busy || effect.forbid || effect.operation.is_some();
        if of_arm && *rule.matches.service.get_or_insert(Service::Arm) != Service::Arm {
            return Err(format!(
                "rule {:?}: busy, forbid and operation exist only for service \"arm\"; for others use answer",
                rule.name
            ));
        }
        let name = rule.name.clone();
        self.armed.push(Armed { rule, seen: 0, struck: 0, gate: watch::Sender::new(false) });
        Ok(name)
    }

    /// Adds all rules, or none.
    ///
    /// # Errors
    /// As [`Faults::add`], for the first rule that cannot be added.
    pub fn add_all(&mut self, rules: Vec<Rule>) -> Result<Vec<String>, String> {
        let before = self.armed.len();
        let names: Result<Vec<String>, String> = rules.into_iter().map(|rule| self.add(rule)).collect();
        if names.is_err() {
            self.armed.truncate(before);
        }
        names
    }

    /// The first rule that strikes this request, if any; it is counted and recorded.
    pub fn strike(&mut self, service: Service, req: &http::Request, now: Timestamp) -> Option<Strike> {
        for armed in &mut self.armed {
            let spent = armed.rule.times > 0 && armed.struck >= armed.rule.times;
            if spent || !armed.rule.matches.fits(service, req) {
                continue;
            }
            armed.seen += 1;
            if armed.seen <= armed.rule.skip {
                continue;
            }
            armed.struck += 1;
            self.hits.push(Hit {
                rule: armed.rule.name.clone(),
                at: now,
                method: req.method.clone(),
                host: req.host.clone(),
                path: req.path.clone(),
            });
            return Some(Strike {
                rule: armed.rule.name.clone(),
                effect: armed.rule.effect.clone(),
                released: armed.gate.subscribe(),
            });
        }
        None
    }

    /// Lets the requests go that the rule holds. False if there is no such rule.
    pub fn release(&mut self, name: &str) -> bool {
        let Some(armed) = self.armed.iter().find(|a| a.rule.name == name) else { return false };
        armed.gate.send_replace(true);
        true
    }

    /// Removes all rules; what they hold is let go. Hits are kept.
    pub fn clear(&mut self) {
        for armed in self.armed.drain(..) {
            armed.gate.send_replace(true);
        }
    }

    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// Rules with their counts, and all hits.
    pub fn describe(&self) -> Value {
        let rules: Vec<Value> = self
            .armed
            .iter()
            .map(|a| {
                let left = (a.rule.times > 0).then(|| a.rule.times - a.struck);
                serde_json::json!({"rule": a.rule, "seen": a.seen, "struck": a.struck, "left": left})
            })
            .collect();
        serde_json::json!({"rules": rules, "hits": self.hits})
    }
}

impl Match {
    fn fits(&self, service: Service, req: &http::Request) -> bool {
        let host = |want: &String| match want.strip_prefix('.') {
            Some(_) => req.host.ends_with(want.as_str()),
            None => req.host == *want,
        };
        let path = |want: &String| req.path.to_ascii_lowercase().contains(&want.to_ascii_lowercase());
        let body = |want: &String| String::from_utf8_lossy(&req.body).contains(want.as_str());
        self.service.is_none_or(|want| want == service)
            && self.host.as_ref().is_none_or(host)
            && self.method.as_ref().is_none_or(|want| req.method.eq_ignore_ascii_case(want))
            && self.path.as_ref().is_none_or(path)
            && self.body.as_ref().is_none_or(body)
            && self.why.as_ref().is_none_or(|want| why(req).as_deref() == Some(want.as_str()))
    }
}

/// The value of the piece `why=…` in any tag of a JSON body.
pub fn why(req: &http::Request) -> Option<String> {
    tag_piece(req, "why")
}

/// The value of the piece `<name>=…` in any `;`-separated tag of a JSON body.
pub fn tag_piece(req: &http::Request, name: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(&req.body).ok()?;
    let tags = body.get("tags")?.as_object()?;
    tags.values().filter_map(Value::as_str).flat_map(|tag| tag.split(';')).find_map(|piece| {
        let (key, value) = piece.split_once('=')?;
        (key == name).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn put(path: &str, why: &str) -> http::Request {
        let body = json!({"tags": {"promptrelease.write": format!("v1;seq=4;n=1;why={why};by=aa")}});
        http::Request {
            host: "management.azure.com".into(),
            method: "PUT".into(),
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::from(body.to_string()),
        }
    }

    fn rule(value: Value) -> Rule {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_rule_strikes_the_nth_match_so_often_as_it_says() {
        let mut faults = Faults::default();
        faults.add(rule(json!({"match": {"why": "Raise"}, "skip": 1, "times": 2, "do": {"lose": "reply"}}))).unwrap();
        let strikes: Vec<bool> = ["Raise", "Promote", "Raise", "Raise", "Raise"]
            .iter()
            .map(|why| faults.strike(Service::Arm, &put("/x", why), Timestamp::UNIX_EPOCH).is_some())
            .collect();
        assert_eq!(strikes, [false, false, true, true, false]);
        assert_eq!(faults.hits().len(), 2);
    }

    #[test]
    fn path_matches_in_any_case_and_host_by_its_end() {
        let mut faults = Faults::default();
        let matches = json!({"path": "onlineEndpoints/QA", "host": ".azure.com"});
        faults.add(rule(json!({"match": matches, "do": {"busy": true}}))).unwrap();
        assert!(faults.strike(Service::Arm, &put("/onlineendpoints/qa", "x"), Timestamp::UNIX_EPOCH).is_some());
    }

    #[test]
    fn what_a_service_cannot_do_is_refused() {
        let mut faults = Faults::default();
        let error = faults.add(rule(json!({"match": {"service": "blob"}, "do": {"busy": true}}))).unwrap_err();
        assert!(error.contains("only for service \"arm\""), "{error}");
    }
}
