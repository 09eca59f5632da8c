//! A run and its way through the states.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::task::AbortHandle;

use super::{annotations::Annotations, fault::Root, submission::Submission};
use crate::sim::{
    blob::Place,
    digest::hash,
    entra::Claims,
    scenario::{Ending, Runs},
};

/// One bulk run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub submission: Submission,
    pub graph: Place,
    pub by: Claims,
    pub notes: Annotations,
    /// What it has of the run that it goes on with, if there is one.
    pub resumed: Option<Resumed>,
    times: Times,
    state: State,
    /// Looks that showed the present state.
    shown: u32,
    looks: u32,
    ending: Ending,
    outcome: Option<Arc<Outcome>>,
    /// Executes it.
    task: Option<AbortHandle>,
    /// Readings of the lines that still lack the last one, and whether the present one does.
    late_lines: u32,
    late: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub created: Timestamp,
    /// When it began to be Running.
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NotStarted,
    Preparing,
    Running,
    CancelRequested,
    Completed,
    Failed,
    Canceled,
}

/// What the executor made of it.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Lines in the order of the data; rows that lack a source are not there.
    Lines { lines: Vec<Line>, metrics: Map<String, Value> },
    /// Nothing was executed.
    Failed(Root),
}

/// A run that has begun.
pub(super) enum Begun {
    Ended(Outcome),
    /// It goes on; the outcome comes when it is there.
    Goes(AbortHandle),
}

/// One row, executed.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Of the row in the data, from 0.
    pub index: usize,
    pub inputs: Map<String, Value>,
    pub result: Result<Map<String, Value>, LineFailure>,
    /// `system_metrics`, where something was measured.
    pub measured: Option<Value>,
}

#[derive(Clone, Debug)]
pub(super) struct LineFailure {
    pub root: Box<Root>,
    /// The node that failed, if it was one.
    pub node: Option<String>,
    /// The whole error, where Prompt flow itself wrote it.
    pub said: Option<Value>,
}

/// What a resumed run has of the one before it.
#[derive(Clone, Debug)]
pub(super) struct Resumed {
    pub from: String,
    /// Run of which it has the snapshot of the flow.
    pub snapshot_of: String,
    pub kept: Vec<Line>,
}

impl Run {
    pub fn new(submission: Submission, graph: Place, by: &Claims, runs: &Runs, created: Timestamp) -> Self {
        let ending = if submission.is_judge() { &runs.judge } else { &runs.base };
        Self {
            notes: Annotations::of(&submission),
            resumed: None,
            submission,
            graph,
            by: by.clone(),
            times: Times { created, started: None, ended: None },
            state: State::NotStarted,
            shown: 0,
            looks: runs.looks,
            ending: ending.clone(),
            outcome: None,
            task: None,
            late_lines: runs.late_lines,
            late: false,
        }
    }

    /// Goes on as far as the looks allow, and counts this one. `begin` has it executed, when it begins to be Running.
    pub fn look(&mut self, now: Timestamp, begin: impl Fn(&Self) -> Begun) {
        while self.shown >= self.looks {
            let Some(next) = self.next() else { break };
            self.state = next;
            self.shown = 0;
            if next == State::Running {
                self.times.started = Some(now);
                match begin(self) {
                    Begun::Ended(outcome) => self.outcome = Some(Arc::new(self.with_kept(outcome))),
                    Begun::Goes(task) => self.task = Some(task),
                }
            }
            if self.is_over() {
                self.times.ended = Some(now);
            }
        }
        self.shown = self.shown.saturating_add(1);
    }

    fn next(&self) -> Option<State> {
        Some(match (self.state, &self.ending) {
            (State::NotStarted, _) => State::Preparing,
            (State::Preparing, Ending::Fail(_)) => State::Failed,
            (State::Preparing, _) => State::Running,
            (State::Running, Ending::Complete | Ending::Fail(_)) => match self.outcome.as_deref()? {
                Outcome::Lines { .. } => State::Completed,
                Outcome::Failed(_) => State::Failed,
            },
            (State::Running, Ending::Cancel) | (State::CancelRequested, _) => State::Canceled,
            (State::Running, Ending::Stick) | (State::Completed | State::Failed | State::Canceled, _) => return None,
        })
    }

    /// A run that is over stays as it is.
    pub fn cancel(&mut self) {
        if !self.is_over() && self.state != State::CancelRequested {
            (self.state, self.shown) = (State::CancelRequested, 0);
            if let Some(task) = self.task.take() {
                task.abort();
            }
        }
    }

    /// What became of a run that is executed elsewhere; too late for one that was cancelled meanwhile.
    pub fn finish(&mut self, outcome: Outcome) {
        if self.state == State::Running {
            self.outcome = Some(Arc::new(outcome));
        }
    }

    /// Lines that a resumed run keeps stand in place of those that were executed.
    fn with_kept(&self, outcome: Outcome) -> Outcome {
        let (Outcome::Lines { mut lines, metrics }, Some(resumed)) = (outcome.clone(), &self.resumed) else {
            return outcome;
        };
        for line in &mut lines {
            if let Some(kept) = resumed.kept.iter().find(|kept| kept.index == line.index) {
                line.clone_from(kept);
            }
        }
        Outcome::Lines { lines, metrics }
    }

    /// The run whose copy of the flow it shows as its own.
    pub fn snapshot_of(&self) -> &str {
        self.resumed.as_ref().map_or(&self.submission.run_id, |resumed| &resumed.snapshot_of)
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Completed | State::Failed | State::Canceled)
    }

    /// The state in the service's word.
    pub fn word(&self) -> &'static str {
        match self.state {
            State::NotStarted => "NotStarted",
            State::Preparing => "Preparing",
            State::Running => "Running",
            State::CancelRequested => "CancelRequested",
            State::Completed => "Completed",
            State::Failed => "Failed",
            State::Canceled => "Canceled",
        }
    }

    pub fn times(&self) -> Times {
        self.times
    }

    /// Why the run failed as a whole.
    pub fn failure(&self) -> Option<Root> {
        match (self.state, &self.ending, self.outcome.as_deref()) {
            (State::Failed, Ending::Fail(failure), _) => {
                let codes = ["UserError", "BadArgument", "ArgumentInvalid", &failure.code];
                Some(Root::new(&codes, &failure.message, &[], "SubmitFailedInPfo"))
            }
            (State::Failed, _, Some(Outcome::Failed(root))) => Some(root.clone()),
            _ => None,
        }
    }

    /// Lines that are executed: all at the end, the first half while it runs.
    pub fn lines(&self) -> &[Line] {
        let Some(Outcome::Lines { lines, .. }) = self.outcome.as_deref() else { return &[] };
        match self.state {
            State::Completed => lines,
            _ => &lines[..lines.len() / 2],
        }
    }

    /// What the flow logged itself.
    pub fn metrics(&self) -> impl Iterator<Item = (&String, &Value)> {
        let logged = match self.outcome.as_deref() {
            Some(Outcome::Lines { metrics, .. }) if self.state == State::Completed => Some(metrics),
            _ => None,
        };
        logged.into_iter().flatten()
    }

    /// Lines as they are read from outside: in no order, and the last one late if the scenario says so. A reading begins
    /// with the first page.
    pub fn read_lines(&mut self, first_page: bool) -> Vec<&Line> {
        if first_page && self.state == State::Completed {
            self.late = self.late_lines > 0;
            self.late_lines = self.late_lines.saturating_sub(1);
        }
        let (lines, late) = (self.lines(), usize::from(self.late));
        let mut read: Vec<&Line> = lines.iter().take(lines.len().saturating_sub(late)).collect();
        read.sort_by_cached_key(|line| hash(&line.index.to_be_bytes()));
        read
    }
}
