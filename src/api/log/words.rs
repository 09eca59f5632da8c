//! The words of the log that logic depends on, each in one table.

macro_rules! words {
    (@word $word:ident) => { stringify!($word) };
    (@word $word:ident $said:literal) => { $said };
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $word:ident $(= $said:literal)?,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$each])* $word,)* }

        impl $name {
            pub const ALL: [Self; [$($name::$word,)*].len()] = [$($name::$word,)*];

            /// As it is stored.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => words!(@word $word $($said)?),)* }
            }

            /// None for a word of another version.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|known| known.as_str() == word)
            }
        }
    };
}

words! {
    /// What an attempt is.
    Kind {
        /// A new revision, step by step; the first one of an endpoint without steps.
        Canary,
        /// Back to what served before and is still up: one write.
        Fast,
        /// A person takes back what was promoted. It begins with a withdrawal.
        Undo,
        /// Traffic that no record describes is taken back.
        Orphan,
    }
}

words! {
    /// Which way an attempt goes. It only rises.
    Course {
        Promote,
        Withdraw,
    }
}

words! {
    /// Why a split is written.
    Why {
        /// The split as it is, with our tags.
        Claim,
        Raise,
        Promote,
        Withdraw,
        /// Back to what it was, without more for a canary.
        Repair,
    }
}

words! {
    /// What became of a write. Where nobody knows there is none.
    Reply {
        /// Azure works on it.
        Accepted = "accepted",
        /// Another operation was under way, or Azure throttles.
        Busy = "busy",
        /// Azure does not want it.
        Refused = "refused",
        /// It never left the process.
        NotSent = "notSent",
        /// It was accepted and came to nothing, or can no longer land.
        Failed = "failed",
    }
}

impl Why {
    /// Whether it gives a canary traffic: such a write never runs without its record.
    pub fn increases(self) -> bool {
        matches!(self, Self::Raise | Self::Promote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_no_other_does() {
        assert!(Kind::ALL.iter().all(|kind| Kind::parse(kind.as_str()) == Some(*kind)));
        assert!(Course::ALL.iter().all(|course| Course::parse(course.as_str()) == Some(*course)));
        assert!(Why::ALL.iter().all(|why| Why::parse(why.as_str()) == Some(*why)));
        assert!(Reply::ALL.iter().all(|reply| Reply::parse(reply.as_str()) == Some(*reply)));
        assert_eq!((Reply::NotSent.as_str(), Reply::parse("NotSent")), ("notSent", None), "as it is stored");
        assert_eq!((Kind::parse("canary"), Course::parse(""), Why::parse("NotKnownYet")), (None, None, None));
    }

    #[test]
    fn a_decision_only_rises() {
        assert!(Course::Promote < Course::Withdraw);
    }
}
