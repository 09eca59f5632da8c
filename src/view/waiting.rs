//! What a wait of the traffic's protocol is called. Sentences change with the facts, and with minutes where one counts
//! down, not with every pass: each change of a status starts the next one.

use jiff::SignedDuration;

use super::sentence::{count, shown, span};
use crate::api::At;

/// An operation runs on the endpoint that takes no other write beside it. `ours`: why we asked for it, if we did.
pub fn updating(ours: Option<&str>) -> String {
    match ours {
        Some(why) => format!("endpoint is Updating, by our {why}"),
        None => "endpoint is Updating, tried again when it rests".into(),
    }
}

/// Memory is full of other endpoints' archives.
pub fn crowded() -> String {
    "waits until archives of other endpoints are uploaded, since memory holds no more at once".into()
}

/// A write was accepted and is not live yet.
pub fn read_back(seq: i64, split: &str) -> String {
    format!("write {seq} was sent, waits until {} is read back", shown(split))
}

/// The reply to a write was lost.
pub fn unanswered(seq: i64, split: &str, until: At) -> String {
    format!("no reply came to write {seq} ({}), which may land until {}", shown(split), until.clock())
}

/// A write of traffic came to nothing. `refusal`: Azure's words.
pub fn retry(why: &str, tries: i64, refusal: Option<&str>) -> String {
    failed(why, tries, refusal)
}

/// A write to a deployment came to nothing.
pub fn retry_deployment(deployment: &str, tries: i64, refusal: Option<&str>) -> String {
    failed(&format!("the write to {deployment}"), tries, refusal)
}

fn failed(what: &str, tries: i64, refusal: Option<&str>) -> String {
    let because = refusal.map_or_else(String::new, |refusal| format!(" ({refusal})"));
    format!("{what} failed {}{because}, tried again", count(tries, "time"))
}

/// `traffic is back on d-1427; watching 4m more for a lost write`
pub fn lost_write(back_on: Option<&str>, until: At, now: At) -> String {
    let back = back_on.map_or_else(|| shown("").to_owned(), |deployment| format!("traffic is back on {deployment}"));
    format!("{back}; watching {} more for a lost write", left(until, now))
}

/// Nothing is raised while a lost write may land.
pub fn unsettled(until: At, now: At) -> String {
    format!("gets no traffic for {} more, since a write without a reply may still land", left(until, now))
}

/// Another claimant's write would show until then.
pub fn claimed(until: At, now: At) -> String {
    format!(
        "the endpoint is claimed; gets no traffic for {} more, until another claimant would have shown",
        left(until, now)
    )
}

/// Azure asks for a pause.
pub fn throttled(until: At) -> String {
    format!("Azure throttles writes: the next one goes out at {}", until.clock())
}

/// What was seen has to be seen again.
pub fn looking_again() -> String {
    "looks at Azure once more".into()
}

pub fn no_deployment() -> String {
    "its deployment does not show in Azure yet".into()
}

pub fn not_ready(deployment: &str) -> String {
    format!("{deployment} is not ready for traffic")
}

pub fn name_taken(deployment: &str) -> String {
    format!("{deployment} exists with another body, another name is taken")
}

/// A write to the deployment may still be under way.
pub fn name_held(deployment: &str, until: At, now: At) -> String {
    format!("an earlier write to {deployment} may be under way for {} more", left(until, now))
}

/// What ends a first release waits for its promotion.
pub fn first_promotion() -> String {
    "the first release here is being promoted and there is nothing to return to: what ends it waits for that".into()
}

/// Rounded up, so that it changes with the minutes and, at the end, with tens of seconds.
fn left(until: At, now: At) -> String {
    let seconds = until.since(now).as_secs().max(1);
    let step = if seconds > 60 { 60 } else { 10 };
    span(SignedDuration::from_secs((seconds + step - 1) / step * step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> At {
        jiff::Timestamp::from_second(second).expect("in range").into()
    }

    #[test]
    fn a_countdown_moves_with_the_minutes() {
        let told = |now: i64| lost_write(Some("d-1427"), at(300), at(now));
        assert_eq!(told(61), "traffic is back on d-1427; watching 4m more for a lost write");
        assert_eq!(told(61), told(119));
        assert_eq!(told(245), "traffic is back on d-1427; watching 1m more for a lost write");
        assert_eq!(told(291), "traffic is back on d-1427; watching 10s more for a lost write");
        assert_eq!(told(299), told(400), "never less than that");
    }

    #[test]
    fn a_first_release_has_nothing_to_be_back_on() {
        assert_eq!(lost_write(None, at(300), at(0)), "no deployment has traffic; watching 5m more for a lost write");
    }

    #[test]
    fn a_refusal_is_told_in_azures_words() {
        let told = retry("Withdraw", 6, Some("Forbidden on onlineEndpoints/write"));
        assert_eq!(told, "Withdraw failed 6 times (Forbidden on onlineEndpoints/write), tried again");
    }
}
