//! What is known to go wrong in Azure: how it shows, what it means, what to do about it, and who can. One table, from which
//! messages are made and `docs/troubleshooting.md` is written.

mod calls;
mod deployments;
pub mod roles;
mod row;
mod runs;

use super::{Fault, Service};
pub use row::{Blame, Place, Sign, Trouble, Who};

/// All that is known. The first row that fits counts, so what says more comes first.
pub fn all() -> impl Iterator<Item = &'static Trouble> {
    [calls::ROWS, deployments::ROWS, runs::ROWS].into_iter().flatten()
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
struct Seen<'a> {
    place: Place,
    service: Option<Service>,
    status: Option<u16>,
    codes: &'a [String],
    text: &'a str,
}

impl Sign {
    fn fits(&self, seen: &Seen<'_>) -> bool {
        let text = seen.text.to_lowercase();
        let known = |code: &&str| seen.codes.iter().any(|seen| seen.eq_ignore_ascii_case(code));
        (self.service.is_none() || self.service == seen.service)
            && (self.statuses.is_empty() || seen.status.is_some_and(|status| self.statuses.contains(&status)))
            && (self.codes.is_empty() || self.codes.iter().any(known))
            && (self.texts.is_empty() || self.texts.iter().any(|part| text.contains(part)))
    }
}

fn find(seen: &Seen<'_>) -> Option<&'static Trouble> {
    all().find(|row| row.places.contains(&seen.place) && row.sign.fits(seen))
}

/// The row of this name.
///
/// # Panics
/// If there is none.
pub fn named(name: &str) -> &'static Trouble {
    let found = all().find(|row| row.name == name);
    found.unwrap_or_else(|| panic!("the table of troubles has no row {name:?}"))
}

const CALL: Seen<'static> = Seen { place: Place::Call, service: None, status: None, codes: &[], text: "" };

pub(super) fn of_refusal(status: u16, fault: &Fault) -> Option<&'static Trouble> {
    find(&Seen { status: Some(status), codes: &fault.codes, text: &fault.sentence(), ..CALL })
}

pub(super) fn of_unknown(status: Option<u16>, reason: &str) -> Option<&'static Trouble> {
    find(&Seen { status, text: reason, ..CALL })
}

/// 401 or 403, whatever the service made of them. One that is not listed does not exist: the last rows take any.
pub(super) fn of_denial(status: u16, service: Service, text: &str) -> Option<&'static Trouble> {
    find(&Seen { service: Some(service), status: Some(status), text, ..CALL })
}

pub(super) fn of_token(text: &str) -> Option<&'static Trouble> {
    find(&Seen { place: Place::Token, text, ..CALL })
}

pub(super) fn throttled() -> &'static Trouble {
    named("TooManyRequests")
}

/// What a release consists of is larger than is taken, by Azure or by us.
pub fn too_large() -> &'static Trouble {
    named("ArtifactTooLarge")
}

/// What an operation on a deployment came to; `log` is the end of its container's log.
pub fn of_operation(fault: &Fault, log: Option<&str>) -> Option<&'static Trouble> {
    let text = format!("{} {} {}", fault.message, fault.sentence(), log.unwrap_or_default());
    find(&Seen { place: Place::Operation, codes: &fault.codes, text: &text, ..CALL })
}

/// What ended a bulk run.
pub fn of_run(fault: &Fault) -> Option<&'static Trouble> {
    find(&Seen { place: Place::Run, codes: &fault.codes, text: &fault.sentence(), ..CALL })
}

/// What most lines of a bulk run failed of.
pub fn of_line(cause: &str) -> Option<&'static Trouble> {
    find(&Seen { place: Place::Line, text: cause, ..CALL })
}

/// Puts values in place of `{name}`.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Characters kept of what Azure says where more follows: a condition, and the evidence in a log, hold only so much.
const BRIEF: usize = 180;

/// Code and words, short enough for a remedy to fit behind them.
pub fn brief(fault: &Fault) -> String {
    cut(&fault.to_string(), BRIEF)
}

/// At most so many characters; a cut is shown.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.trim_end_matches('.').to_owned(),
    }
}

/// The sources that no line has, of a run that ended for them: `data.gold_answer`.
pub fn missing_sources(fault: &Fault) -> Vec<String> {
    let sentence = fault.sentence();
    let Some((_, rest)) = sentence.split_once("mapping relations: ") else { return Vec::new() };
    let parts = rest.split("${").skip(1).filter_map(|part| part.split_once('}'));
    parts.map(|(source, _)| source.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::azure::service::EXPIRED;

    #[test]
    fn every_row_has_a_name_of_its_own_and_says_what_to_do() {
        let names: BTreeSet<&str> = all().map(|row| row.name).collect();
        assert_eq!(names.len(), all().count());
        for row in all() {
            assert!(!row.places.is_empty() && !row.remedy.is_empty() && !row.says.is_empty(), "{row:?}");
            let lower = |text: &&str| text.to_lowercase() == **text;
            assert!(row.sign.texts.iter().all(lower), "{row:?}");
            // What Azure says, this, and the words around it have to fit into 512 bytes of evidence.
            assert!(row.told().len() <= 270, "{}: {}", row.name, row.told().len());
        }
    }

    #[test]
    fn no_row_hides_behind_another() {
        for (at, row) in all().enumerate() {
            let hides = |first: &&Trouble| {
                let (a, b) = (&first.sign, &row.sign);
                row.places.iter().all(|place| first.places.contains(place))
                    && (a.service.is_none() || a.service == b.service)
                    && (a.statuses.is_empty()
                        || !b.statuses.is_empty() && b.statuses.iter().all(|s| a.statuses.contains(s)))
                    && (a.codes.is_empty() || !b.codes.is_empty() && b.codes.iter().all(|c| a.codes.contains(c)))
                    && (a.texts.is_empty() || !b.texts.is_empty() && b.texts.iter().all(|t| a.texts.contains(t)))
            };
            let hidden = all().take(at).find(hides);
            assert!(hidden.is_none(), "{} is never found: {} takes all of it", row.name, hidden.unwrap().name);
        }
    }

    #[test]
    fn what_is_cut_leaves_room_and_shows_it() {
        assert_eq!(brief(&Fault::new("C", "No.")), "C: No");
        let long = brief(&Fault::new("C", "é".repeat(500)));
        assert!(long.chars().count() <= BRIEF + 1 && long.ends_with('…'));
    }

    #[test]
    fn the_sources_that_a_mapping_lacks_are_read_from_its_error() {
        let text = "The input for batch run is incorrect. Couldn't find these mapping relations: ${data.gold_answer}, \
                    ${run.outputs.answer}. Please make sure your input mapping keys and values match.";
        assert_eq!(missing_sources(&Fault::new("UserError", text)), ["data.gold_answer", "run.outputs.answer"]);
        assert_eq!(missing_sources(&Fault::new("UserError", "something else")), [""; 0]);
    }

    #[test]
    fn an_expired_token_is_known_by_our_own_word_for_it() {
        let row = of_denial(401, Service::Arm, &format!("X: {EXPIRED}")).expect("a row");
        assert_eq!(row.name, "TokenExpired");
    }
}
