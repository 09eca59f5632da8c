//! The rules that the protocol rests on, each of which a test can leave out to see what it is for.

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A withdrawal is written, never inferred from a look.
    WrittenWithdrawal,
    /// A write is read back by its number, not by the split alone.
    CompareBySeq,
    /// A page is in the write that holds the verdict.
    OutboxInVerdict,
    /// An ending waits until nothing of ours can land any more.
    EndingWaits,
    /// The looking does not stop with the ending.
    StandingWatch,
    /// A number on Azure that is higher than the log's is adopted.
    AdoptHigherSeq,
}

/// Which rules hold. Outside tests it is always [`Rules::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    left_out: Option<Rule>,
}

impl Rules {
    pub const ALL: Self = Self { left_out: None };

    /// All but one.
    pub const fn without(rule: Rule) -> Self {
        Self { left_out: Some(rule) }
    }

    pub(super) fn hold(&self, rule: Rule) -> bool {
        self.left_out != Some(rule)
    }
}

impl Rule {
    pub const ALL: [Self; 6] = [
        Self::WrittenWithdrawal,
        Self::CompareBySeq,
        Self::OutboxInVerdict,
        Self::EndingWaits,
        Self::StandingWatch,
        Self::AdoptHigherSeq,
    ];
}
