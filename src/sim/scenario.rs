//! The scenario: what the flows of this world do, and what their users do. Nothing in the simulator runs a model; the
//! scenario says which scores the answers of which content get, offline and live. It is YAML or JSON, may be replaced at
//! any time, and every field has a default.
//!
//! ```yaml
//! contents:                       # the first entry that fits a flow speaks for it, else `default`
//!   - name: concise
//!     when: {file: draft_answer.jinja2, contains: Be concise}
//!     classes:                    # `*` speaks for what a class does not say itself
//!       "*":
//!         scores: {groundedness: 3, citation_correctness: 1.0, refusal: 3, refusal_correct: true}
//!       multi_hop:
//!         offline: {groundedness: [3, 3, 3, 2]}       # taken in turn, row by row of the class
//!         live: {groundedness: {draw: [3, 1]}}        # drawn by what is judged
//!         serverErrors: 0.02      # shares are exact over many requests, and evenly spread
//! default:
//!   classes: {"*": {scores: {groundedness: 3}}}
//! traffic:
//!   - {endpoint: support-assistant-prod, requestsPerSecond: 50, classes: {factual: 2, multi_hop: 1}}
//! sampler: {oneIn: 5}
//! runs: {judge: {fail: {code: AutomaticRuntimeFailed}}}
//! ```

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::digest::hex;

mod scores;
#[cfg(test)]
mod tests;

pub use scores::{Score, Scores, Share};

/// The class that speaks for all others.
pub const EVERY_CLASS: &str = "*";

/// Everything that is scripted.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Scenario {
    pub contents: Vec<Entry>,
    /// Speaks for content that no entry fits.
    pub default: Content,
    /// Users of endpoints; an endpoint that is not named has none.
    pub traffic: Vec<Traffic>,
    pub sampler: Sampler,
    pub runs: Runs,
}

/// Content with a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// For people: shown in logs and in simulated answers.
    pub name: String,
    pub when: When,
    #[serde(default)]
    pub classes: BTreeMap<String, Behaviour>,
}

/// Which content an entry is about; everything that is given must fit, and something must be given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct When {
    /// End of a path in the flow's folder; with `contains`, that file must contain the text.
    pub file: Option<String>,
    /// Text of `file`, or, without it, of any file of the flow.
    pub contains: Option<String>,
    /// [`Subject::digest`].
    pub digest: Option<String>,
    /// Name of a deployment: for those that are part of the world, and so have no files.
    pub deployment: Option<String>,
}

/// Content without a name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Content {
    pub classes: BTreeMap<String, Behaviour>,
}

/// How the answers to the questions of one class turn out. Absent fields are those of the class `*`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Behaviour {
    /// Scores by output of the judge, offline and live.
    pub scores: BTreeMap<String, Scores>,
    /// These instead, in an evaluation.
    pub offline: BTreeMap<String, Scores>,
    /// These instead, for live answers.
    pub live: BTreeMap<String, Scores>,
    /// Share of live requests that end in a 5xx.
    pub server_errors: Option<Share>,
    /// Share of live samples on which the judge fails.
    pub judge_errors: Option<Share>,
    /// Share of rows on which the flow fails in an evaluation.
    pub failed_lines: Option<Share>,
    /// Share of answers on which the judge fails in an evaluation.
    pub failed_judgements: Option<Share>,
    /// What such a line says, as Prompt flow does: `(ExceptionType) text`.
    pub line_error: Option<String>,
}

/// What is to be scored: a flow's folder, or a deployment.
#[derive(Clone, Debug, Default)]
pub struct Subject<'a> {
    /// Paths relative to the flow's folder, in any order.
    pub files: Vec<(&'a str, &'a [u8])>,
    pub deployment: Option<&'a str>,
}

/// Content that speaks for a subject.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    pub name: &'a str,
    classes: &'a BTreeMap<String, Behaviour>,
}

/// Offline or live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Offline,
    Live,
}

/// Users of one endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traffic {
    pub endpoint: String,
    pub requests_per_second: f64,
    /// How often each class is asked for, relative to the others.
    pub classes: BTreeMap<String, u32>,
}

/// Who reads live answers, has some of them judged, and tells Application Insights.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Sampler {
    /// One request in so many is judged; at least 1.
    pub one_in: u32,
    /// Whether windows are told of when they end.
    pub window_events: bool,
    /// Share of judged samples whose event is lost on its way, although the window event counts them.
    pub lost_samples: Share,
    /// From a request to its sample event, and from a window's end to its event.
    pub delay: SignedDuration,
}

/// The Prompt flow service.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Runs {
    /// Looks at a run that show NotStarted; as many show Preparing, and as many Running.
    pub looks: u32,
    /// What happens to base runs that are submitted from now on.
    pub base: Ending,
    /// The same for runs that judge another one.
    pub judge: Ending,
    /// So many times the lines of a completed run are read without the last one.
    pub late_lines: u32,
    pub repeated_submit: RepeatedSubmit,
    pub user_token: UserToken,
}

/// How a run ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// As its data and flow make it.
    #[default]
    Complete,
    /// It stays Running.
    Stick,
    /// It is Canceled by somebody else.
    Cancel,
    /// It is Failed, whatever its data and flow are.
    Fail(Failure),
}

/// The error of a whole run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// The innermost code.
    #[serde(default = "automatic_runtime_failed")]
    pub code: String,
    #[serde(default = "automatic_runtime_text")]
    pub message: String,
}

/// What the service says to a run id that it knows. Not confirmed by Azure's documentation, so both are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RepeatedSubmit {
    /// 409.
    #[default]
    Conflict,
    /// 200, and the run goes on as it was.
    Same,
}

/// Whether the token of an application, in `aml-user-token`, may submit. Not confirmed either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UserToken {
    #[default]
    Application,
    /// A person's token is asked for: 403.
    PersonOnly,
}

fn automatic_runtime_failed() -> String {
    "AutomaticRuntimeFailed".into()
}

fn automatic_runtime_text() -> String {
    "Failed to submit bulk run due to Automatic runtime provision failed, please check promptflow-automatic.log under \
     current run for details."
        .into()
}

impl Default for Scenario {
    /// Every answer of the sample is perfect, and nobody asks.
    fn default() -> Self {
        let best = [("groundedness", 3.0), ("citation_correctness", 1.0), ("refusal", 3.0)];
        let mut scores: BTreeMap<String, Scores> =
            best.map(|(name, score)| (name.to_owned(), Scores::Always(Score::Number(score)))).into();
        scores.insert("refusal_correct".into(), Scores::Always(Score::Truth(true)));
        let every = Behaviour { scores, ..Behaviour::default() };
        Self {
            contents: Vec::new(),
            default: Content { classes: [(EVERY_CLASS.to_owned(), every)].into() },
            traffic: Vec::new(),
            sampler: Sampler::default(),
            runs: Runs::default(),
        }
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self { one_in: 5, window_events: true, lost_samples: Share::default(), delay: SignedDuration::ZERO }
    }
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            looks: 1,
            base: Ending::default(),
            judge: Ending::default(),
            late_lines: 0,
            repeated_submit: RepeatedSubmit::default(),
            user_token: UserToken::default(),
        }
    }
}

impl Scenario {
    /// Reads a scenario from YAML or JSON.
    ///
    /// # Errors
    /// Says which field is wrong and what is allowed.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = serde_saphyr::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> anyhow::Result<()> {
        for Entry { name, when, .. } in &self.contents {
            let When { file, contains, digest, deployment } = when;
            if file.is_none() && contains.is_none() && digest.is_none() && deployment.is_none() {
                anyhow::bail!(
                    "contents: entry {name:?} has an empty `when`; give it file, contains, digest or deployment, or put \
                     its classes under `default`"
                );
            }
        }
        for traffic in &self.traffic {
            let Traffic { endpoint, requests_per_second, classes } = traffic;
            if !requests_per_second.is_finite() || !(0.0..=10_000.0).contains(requests_per_second) {
                anyhow::bail!(
                    "traffic: {endpoint} has {requests_per_second} requestsPerSecond; 0 to 10000 are allowed"
                );
            }
            if classes.values().all(|weight| *weight == 0) {
                anyhow::bail!("traffic: {endpoint} has no class with a weight above 0, so nothing to ask for");
            }
        }
        if self.sampler.one_in == 0 {
            anyhow::bail!("sampler: oneIn is 0; 1 judges every request, 5 one in five");
        }
        Ok(())
    }

    /// The content that speaks for a subject: the first entry that fits, else the default.
    pub fn content<'a>(&'a self, subject: &Subject<'_>) -> Chosen<'a> {
        let fits = |entry: &&Entry| entry.when.fits(subject);
        match self.contents.iter().find(fits) {
            Some(entry) => Chosen { name: &entry.name, classes: &entry.classes },
            None => Chosen { name: "default", classes: &self.default.classes },
        }
    }

    /// The users of an endpoint, if it has any.
    pub fn traffic(&self, endpoint: &str) -> Option<&Traffic> {
        self.traffic.iter().find(|traffic| traffic.endpoint.eq_ignore_ascii_case(endpoint))
    }
}

impl When {
    fn fits(&self, subject: &Subject<'_>) -> bool {
        let named = |path: &str| self.file.as_deref().is_none_or(|end| path.ends_with(end));
        let says =
            |bytes: &[u8]| self.contains.as_deref().is_none_or(|text| String::from_utf8_lossy(bytes).contains(text));
        let of_files = self.file.is_some() || self.contains.is_some();
        (!of_files || subject.files.iter().any(|(path, bytes)| named(path) && says(bytes)))
            && self.digest.as_deref().is_none_or(|digest| !subject.files.is_empty() && subject.digest() == digest)
            && self.deployment.as_deref().is_none_or(|name| subject.deployment == Some(name))
    }
}

impl Subject<'_> {
    /// SHA-256, in hex, over `<path> NUL <SHA-256 of the content in hex> LF` of every file, in the order of the paths.
    pub fn digest(&self) -> String {
        let mut files = self.files.clone();
        files.sort_unstable();
        let mut all = Sha256::new();
        for (path, content) in files {
            all.update(format!("{path}\0{}\n", hex(&Sha256::digest(content))));
        }
        hex(&all.finalize())
    }
}

impl Chosen<'_> {
    /// What a class does, with the gaps filled from `*`.
    pub fn class(&self, name: &str) -> Behaviour {
        let every = self.classes.get(EVERY_CLASS).cloned().unwrap_or_default();
        let Some(own) = self.classes.get(name) else { return every };
        let over = |mut base: BTreeMap<String, Scores>, own: &BTreeMap<String, Scores>| {
            base.extend(own.clone());
            base
        };
        Behaviour {
            // What a class says of both phases outweighs what `*` says of one of them.
            offline: over(over(every.offline, &own.scores), &own.offline),
            live: over(over(every.live, &own.scores), &own.live),
            scores: over(every.scores, &own.scores),
            server_errors: own.server_errors.or(every.server_errors),
            judge_errors: own.judge_errors.or(every.judge_errors),
            failed_lines: own.failed_lines.or(every.failed_lines),
            failed_judgements: own.failed_judgements.or(every.failed_judgements),
            line_error: own.line_error.clone().or(every.line_error),
        }
    }
}

impl Behaviour {
    /// The scores of one metric, if there are any.
    pub fn scores_of(&self, phase: Phase, metric: &str) -> Option<&Scores> {
        self.phase(phase).get(metric).or_else(|| self.scores.get(metric))
    }

    /// All metrics that are scored in a phase, sorted.
    pub fn metrics(&self, phase: Phase) -> Vec<&str> {
        let mut names: Vec<&str> = self.phase(phase).keys().chain(self.scores.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn phase(&self, phase: Phase) -> &BTreeMap<String, Scores> {
        match phase {
            Phase::Offline => &self.offline,
            Phase::Live => &self.live,
        }
    }
}
