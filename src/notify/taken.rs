//! Which receivers have taken an entry that others have not. Pure.

use std::collections::BTreeMap;

use crate::api::log::Owed;

/// Names of receivers, by the key of the entry. The log's bound leaves no room for them, so they are kept in memory: what is
/// lost with it costs a receiver a repeat, under the key that it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken(BTreeMap<String, Vec<String>>);

impl Taken {
    /// Those who have taken the entry and are not sent it again.
    pub fn by(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Notes who has taken an entry by now, and forgets the entries that are owed no more.
    pub fn note(&mut self, key: &str, by: &[String], outbox: &[Owed]) {
        self.0.insert(key.to_owned(), by.to_vec());
        self.0.retain(|key, by| !by.is_empty() && outbox.iter().any(|owed| owed.key == *key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_took_an_entry_is_known_for_as_long_as_it_is_owed() {
        let owed = |key: &str| Owed { key: key.into(), ..Owed::default() };
        let mut taken = Taken::default();
        taken.note("a", &["oncall".into()], &[owed("a"), owed("b")]);
        taken.note("b", &[], &[owed("a"), owed("b")]);
        assert_eq!((taken.by("a"), taken.by("b")), (&["oncall".to_owned()][..], &[][..]));
        taken.note("b", &["chat".into()], &[owed("b")]);
        assert_eq!((taken.by("a"), taken.by("b")), (&[][..], &["chat".to_owned()][..]));
        taken.note("b", &["chat".into(), "oncall".into()], &[]);
        assert_eq!(taken, Taken::default(), "nothing is kept for ever");
    }
}
