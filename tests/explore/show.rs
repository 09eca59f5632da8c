//! Steps as a trace shows them.

use std::fmt;

use promptrelease::endpoint::Why;

use crate::{
    step::Step,
    world::{Share, Shown, View, Write},
};

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |process: &u8| if *process == 0 { "A" } else { "B" };
        match self {
            Self::Looks { process, view, pass } => {
                let act = if pass.writes { "a write" } else { "a record" };
                write!(f, "{} looks: {view}; decides on {act}", name(process))
            }
            Self::Stores { process, .. } => write!(f, "{} stores its log, and sends what it notes", name(process)),
            Self::GivesUp { process } => write!(f, "{} gives up waiting; the write is still under way", name(process)),
            Self::StoresReply { process, reply } => write!(f, "{} stores the reply {reply:?}", name(process)),
            Self::Forgets { process } => write!(f, "{} does not lead any more, so it sends nothing", name(process)),
            Self::Delivers { process } => write!(f, "{} delivers a page", name(process)),
            Self::Crashes { process } => write!(f, "{} crashes", name(process)),
            Self::TakesOver { process } => write!(f, "{} takes over", name(process)),
            Self::Aborts => f.write_str("a person aborts"),
            Self::TimeIsOver => f.write_str("what is to give the canary more has taken too long"),
            Self::Accepts(write) => write!(f, "Azure accepts {write}"),
            Self::Refuses { write, reply } => write!(f, "Azure refuses {write}, told as {reply:?}"),
            Self::Loses(write) => write!(f, "the network loses {write}"),
            Self::Overdue(write) => write!(f, "time goes by, and {write} is still under way"),
            Self::Completes(write) => write!(f, "Azure completes {write}"),
            Self::Fails { write, shown } => write!(f, "Azure fails {write}, shows {shown}"),
            Self::Hand(write) => write!(f, "a person writes {write}"),
            Self::BacksUp => f.write_str("a backup is taken"),
            Self::Restores => f.write_str("the backup is restored"),
            Self::Ticks => f.write_str("time goes by"),
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let split = match self.share {
            Share::Nobody => "{}",
            Share::Stable => "{stable:100}",
            Share::Both => "{stable:90,canary:10}",
            Share::Canary => "{canary:100}",
        };
        write!(f, "{} {split} seq {}", self.why.map_or("", Why::as_str), self.seq)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.write, if self.failed { ", Failed" } else { "" })
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shown {
            None => f.write_str("Updating")?,
            Some(shown) => write!(f, "{shown}")?,
        }
        f.write_str(if self.stale { " (a lagging read)" } else { "" })
    }
}
