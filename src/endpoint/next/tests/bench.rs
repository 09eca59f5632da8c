//! An endpoint, a log and a clock to try passes on.

use crate::{
    api::Cause,
    endpoint::{
        Decision, Deployment, Live, Log, Look, Ms, Operation, Owed, Owner, Provisioning, Reply, Roles, Rules, Sight,
        State, Timing, Waiting, Why, Wish, Written,
        log::{Attempt, Course, Decided, Ended, Intent, Kind, Raised, Target, Unsettled, Verified},
        next,
    },
    policy::split::Split,
};

pub type Name = &'static str;
pub const OLD: Name = "d-1";
pub const NEW: Name = "d-2";
pub const T: Timing = Timing::DEFAULT;
/// Long after whatever a bench begins with.
pub const START: Ms = Ms::from_secs(100_000);

/// One endpoint. Passes are made with `look` as it is; fields are changed to change the world.
#[derive(Clone, Debug)]
pub struct Bench {
    pub log: Log<Name>,
    pub look: Look<Name>,
    pub now: Ms,
}

pub fn runs() -> Deployment {
    Deployment { state: Provisioning::Succeeded, same_body: Some(true), ours: true, served: false }
}

pub fn ten() -> Split<Name> {
    Split::canary(OLD, NEW, 10).expect("a split")
}

fn attempt(kind: Kind) -> Attempt<Name> {
    Attempt {
        content: 42,
        deployment: Some(NEW),
        return_to: Some(OLD),
        window: Ms::from_secs(60),
        keep_previous: Ms::from_secs(3600),
        ..Attempt::new(7, kind)
    }
}

impl Bench {
    /// Claimed long ago, `d-1` has all traffic, no attempt.
    pub fn steady() -> Self {
        let long_ago = START - Ms::from_secs(5_000);
        let verified = Verified { split: Split::all(OLD), seq: 40, at: long_ago, why: Some(Why::Promote) };
        let log =
            Log { seq: 40, verified: Some(verified), claimed: Some(long_ago), stable: Some(OLD), ..Log::default() };
        let live = Live {
            state: State::Succeeded,
            split: Split::all(OLD),
            mirrored: Vec::new(),
            owner: Owner::Ours,
            write: Some(Written { seq: 40, n: 6, why: Some(Why::Promote) }),
            roles: Roles { stable: Some(OLD), canary: None },
            operation: None,
        };
        let look = Look {
            begun: START,
            leading_since: long_ago,
            twin: None,
            endpoint: Sight::Live(live),
            deployments: vec![(OLD, Deployment { served: true, ..runs() }), (NEW, runs())],
            listed: true,
        };
        Self { log, look, now: START + Ms(100) }
    }

    /// An attempt is open, its deployment runs without traffic.
    pub fn dark() -> Self {
        let mut bench = Self::steady();
        bench.log.attempt = Some(attempt(Kind::Canary));
        bench
    }

    /// Ten percent, read back five minutes ago.
    pub fn exposed() -> Self {
        let mut bench = Self::dark();
        bench.log.seq = 41;
        let at = START - Ms::from_secs(300);
        bench.log.verified = Some(Verified { split: ten(), seq: 41, at, why: Some(Why::Raise) });
        bench.attempt().raised =
            vec![Raised { step: 1, weight: 10, seq: 41, noted_at: Some(at), verified_at: Some(at) }];
        bench.shows(41, Why::Raise, ten());
        bench
    }

    /// Nothing ever served here: the attempt's deployment is the only one.
    pub fn first() -> Self {
        let mut bench = Self::dark();
        (bench.log.stable, bench.attempt().return_to) = (None, None);
        bench.log.verified.as_mut().expect("verified").split = Split::none();
        bench.live().split = Split::none();
        bench.look.deployments = vec![(NEW, runs())];
        bench
    }

    pub fn attempt(&mut self) -> &mut Attempt<Name> {
        self.log.attempt.as_mut().expect("an attempt")
    }

    pub fn live(&mut self) -> &mut Live<Name> {
        match &mut self.look.endpoint {
            Sight::Live(live) => live,
            other => panic!("{other:?}"),
        }
    }

    /// From now on looks show this write, at rest.
    pub fn shows(&mut self, seq: i64, why: Why, split: Split<Name>) {
        let live = self.live();
        live.write = Some(Written { seq, n: 7, why: Some(why) });
        (live.split, live.state) = (split, State::Succeeded);
    }

    pub fn later(&mut self, seconds: i64) -> &mut Self {
        self.now = self.now + Ms::from_secs(seconds);
        self.look.begun = self.look.begun + Ms::from_secs(seconds);
        self
    }

    /// An equal look was made so long before this one.
    pub fn twin(&mut self, seconds: i64) -> &mut Self {
        self.look.twin = Some(self.look.begun - Ms::from_secs(seconds));
        self
    }

    pub fn decide(&self, wish: &Wish<Name>) -> Decision<Name> {
        next(&self.log, &self.look, wish, &T, &Rules::ALL, self.now)
    }

    /// A pass that stores something: what it sends, and whom it tells.
    pub fn pass(&mut self, wish: &Wish<Name>) -> (Option<Intent<Name>>, Vec<Owed>) {
        match self.decide(wish) {
            Decision::Record { log, pages } => {
                self.log = log;
                (None, pages)
            }
            Decision::Write { log, pages } => {
                self.log = log;
                (self.log.intent.clone(), pages)
            }
            Decision::Wait { why, .. } => panic!("waits: {why:?}"),
        }
    }

    /// A pass that sends a write of the split.
    pub fn writes(&mut self, wish: &Wish<Name>) -> (Why, Split<Name>) {
        let (intent, _) = self.pass(wish);
        match intent.map(|intent| (intent.why, intent.target)) {
            Some((Some(why), Target::Traffic(split))) => (why, split),
            other => panic!("{other:?}"),
        }
    }

    /// A pass that only stores.
    pub fn records(&mut self, wish: &Wish<Name>) -> Vec<Owed> {
        let (intent, pages) = self.pass(wish);
        assert_eq!(intent, None);
        pages
    }

    pub fn waits(&self, wish: &Wish<Name>) -> Waiting<Name> {
        self.wait(wish).1
    }

    pub fn wait(&self, wish: &Wish<Name>) -> (Ms, Waiting<Name>) {
        match self.decide(wish) {
            Decision::Wait { until, why } => (until - self.now, why),
            other => panic!("{other:?}"),
        }
    }

    pub fn replied(&mut self, reply: Reply) -> &mut Self {
        self.log.intent.as_mut().expect("an intent").outcome = Some(reply);
        self
    }

    /// Azure has applied the write that is open.
    pub fn lands(&mut self) -> &mut Self {
        let intent = self.log.intent.clone().expect("an intent");
        let Target::Traffic(split) = intent.target else { panic!("a deployment") };
        self.shows(intent.seq, intent.why.expect("why"), split);
        self
    }

    /// The operation of the open write failed, and left nothing behind.
    pub fn fails(&mut self) -> &mut Self {
        let seq = self.log.seq;
        self.replied(Reply::Accepted).live().operation = Some((seq, Operation::Failed));
        self
    }

    pub fn decided(&self) -> Option<(Course, Cause)> {
        self.log.attempt.as_ref()?.decision.map(|Decided { course, cause, .. }| (course, cause))
    }

    pub fn ended(&self) -> Option<Cause> {
        self.log.attempt.as_ref()?.ending.map(|Ended { cause, .. }| cause)
    }

    /// A write of the split that may land until so many seconds from the start.
    pub fn lost(&mut self, seconds: i64) -> &mut Self {
        let (target, until) = (Target::Traffic(ten()), START + Ms::from_secs(seconds));
        self.log.unsettled.push(Unsettled { seq: 41, target, until });
        self
    }
}
