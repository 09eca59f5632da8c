//! What one look at Azure showed, as facts.

use super::{Ms, Why, log::Name};
use crate::policy::split::Split;

/// One look. `begun` is by Azure's clock and surely not later than the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look<N> {
    pub begun: Ms,
    /// First moment at which this process surely led; a write of an earlier leader cannot be sent after it.
    pub leading_since: Ms,
    /// When the earlier of two equal looks began that lie [`super::Timing::two_looks`] apart, if this is the later one.
    pub twin: Option<Ms>,
    pub endpoint: Sight<N>,
    /// Those that were found.
    pub deployments: Vec<(N, Deployment)>,
    /// Whether all deployments were asked for: then one that is not among them does not exist.
    pub listed: bool,
}

/// What was seen of the endpoint. What could not be read is a fact too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight<N> {
    Live(Live<N>),
    /// Azure does not know it, since then.
    Gone {
        since: Ms,
    },
    /// No answer, since then. `denied`: a person has to give access.
    Unreadable {
        since: Ms,
        denied: bool,
    },
}

/// The endpoint as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live<N> {
    pub state: State,
    pub split: Split<N>,
    /// Those that copies of requests go to. Azure gives none of them live traffic meanwhile.
    pub mirrored: Vec<N>,
    pub owner: Owner,
    /// Our tag of the last write.
    pub write: Option<Written>,
    pub roles: Roles<N>,
    /// How the operation of an open intent ended, by its own document, and that intent's number.
    pub operation: Option<(i64, Operation)>,
}

/// The tag of the last write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub seq: i64,
    /// Number of the attempt; 0 outside one.
    pub n: i64,
    /// None: a word that this version does not know.
    pub why: Option<Why>,
}

/// What the tags say that deployments are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles<N> {
    pub stable: Option<N>,
    pub canary: Option<N>,
}

/// Whose tag is on the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// No tag: never claimed, or tools dropped it.
    Absent,
    Ours,
    /// Another PromptEndpoint's. `handed_over`: a person named that owner as one to take over from.
    Other {
        handed_over: bool,
    },
}

/// Provisioning state of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Succeeded,
    Failed,
    Canceled,
    /// An operation is under way; what is shown may be old or new.
    Updating,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Succeeded,
    Failed,
}

/// One deployment of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub state: Provisioning,
    /// Whether it runs the body that the attempt would create. None: not known.
    pub same_body: Option<bool>,
    /// Our owner tag is on it.
    pub ours: bool,
    /// It ever had live traffic.
    pub served: bool,
}

/// Provisioning state of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioning {
    Succeeded,
    Failed,
    Changing,
}

impl<N> Default for Roles<N> {
    fn default() -> Self {
        Self { stable: None, canary: None }
    }
}

impl<N: Name> Live<N> {
    /// Number of the write that the endpoint shows.
    pub fn seq(&self) -> Option<i64> {
        self.write.map(|write| write.seq)
    }

    /// No operation is under way.
    pub fn at_rest(&self) -> bool {
        self.state != State::Updating
    }
}

impl<N: Name> Look<N> {
    pub fn live(&self) -> Option<&Live<N>> {
        match &self.endpoint {
            Sight::Live(live) => Some(live),
            Sight::Gone { .. } | Sight::Unreadable { .. } => None,
        }
    }

    pub fn deployment(&self, name: &N) -> Option<&Deployment> {
        self.deployments.iter().find(|(found, _)| found == name).map(|(_, deployment)| deployment)
    }

    /// All were asked for and this one was not there.
    pub fn is_missing(&self, name: &N) -> bool {
        self.listed && self.deployment(name).is_none()
    }
}

/// Whether equal looks lay far enough apart; kept by a process from look to look.
///
/// Of the looks since the sight last changed it keeps two that lie the distance apart, so an answer may be up to twice
/// the distance old, never too young.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory<N> {
    sight: Option<Live<N>>,
    /// A look that another one `two_looks` later has confirmed.
    confirmed: Option<Ms>,
    latest: Ms,
}

impl<N: Name> Memory<N> {
    /// When an equal look began, at least `two_looks` before this one, with nothing else seen in between.
    pub fn twin(&mut self, sight: &Sight<N>, begun: Ms, two_looks: Ms) -> Option<Ms> {
        let Sight::Live(live) = sight else {
            self.sight = None;
            return None;
        };
        let shown = Live { operation: None, ..live.clone() };
        if self.sight.as_ref() != Some(&shown) || begun < self.latest {
            *self = Self { sight: Some(shown), confirmed: None, latest: begun };
        } else if begun - self.latest >= two_looks {
            self.confirmed = Some(self.latest);
            self.latest = begun;
        }
        self.confirmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(seq: i64) -> Sight<u8> {
        Sight::Live(Live {
            state: State::Succeeded,
            split: Split::all(0),
            mirrored: Vec::new(),
            owner: Owner::Ours,
            write: Some(Written { seq, n: 1, why: None }),
            roles: Roles::default(),
            operation: Some((seq, Operation::Succeeded)),
        })
    }

    #[test]
    fn equal_looks_far_enough_apart_are_twins() {
        let mut memory = Memory::default();
        let twins = [0, 2, 4, 6, 8, 12].map(|t| memory.twin(&sight(1), Ms(t), Ms(5)));
        assert_eq!(twins, [None, None, None, Some(Ms(0)), Some(Ms(0)), Some(Ms(6))]);
    }

    #[test]
    fn another_sight_or_none_begins_anew() {
        let gone = Sight::Gone { since: Ms(0) };
        for other in [sight(2), gone] {
            let mut memory = Memory::default();
            assert_eq!(memory.twin(&sight(1), Ms(0), Ms(5)), None);
            assert_eq!(memory.twin(&sight(1), Ms(5), Ms(5)), Some(Ms(0)));
            assert_eq!(memory.twin(&other, Ms(6), Ms(5)), None);
            assert_eq!(memory.twin(&sight(1), Ms(11), Ms(5)), None, "not the look before the other");
        }
    }

    #[test]
    fn the_operations_document_is_no_part_of_the_sight() {
        let mut memory = Memory::default();
        let Sight::Live(live) = sight(1) else { unreachable!() };
        memory.twin(&Sight::Live(live.clone()), Ms(0), Ms(5));
        assert_eq!(memory.twin(&Sight::Live(Live { operation: None, ..live }), Ms(5), Ms(5)), Some(Ms(0)));
    }
}
