//! What is known of each window that has not been told of: its counts, and what they still wait for.

use std::{collections::BTreeMap, mem};

use jiff::Timestamp;

use super::super::traffic::windows::{Counts, Window};

/// Windows by when they end, with their endpoint and deployment.
#[derive(Debug, Default)]
pub struct Book {
    pages: BTreeMap<(Window, String, String), Page>,
    /// Requests that wait for an answer, in a window or not.
    waiting: u64,
}

#[derive(Debug, Default)]
struct Page {
    counts: Counts,
    /// Requests without an answer, and samples without a verdict.
    open: u64,
}

/// How a request or a sample came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    Asked,
    /// With this status.
    Answered(u16),
    Sampled,
    Judged,
    JudgeFailed,
}

impl Book {
    /// From now on the window is told of, even if nothing happens in it.
    pub fn begin(&mut self, endpoint: &str, window: Window, deployment: &str) {
        self.pages.entry((window, endpoint.to_owned(), deployment.to_owned())).or_default();
    }

    pub fn note(&mut self, endpoint: &str, window: Option<Window>, deployment: &str, note: Note) {
        match note {
            Note::Asked => self.waiting += 1,
            Note::Answered(_) => self.waiting = self.waiting.saturating_sub(1),
            _ => {}
        }
        let Some(window) = window else { return };
        let page = self.pages.entry((window, endpoint.to_owned(), deployment.to_owned())).or_default();
        match note {
            Note::Asked => page.open += 1,
            Note::Answered(status) => {
                page.open = page.open.saturating_sub(1);
                page.counts.answered(status);
            }
            Note::Sampled => {
                page.open += 1;
                page.counts.sampled += 1;
            }
            Note::Judged => {
                page.open = page.open.saturating_sub(1);
                page.counts.judged += 1;
            }
            Note::JudgeFailed => {
                page.open = page.open.saturating_sub(1);
                page.counts.errors += 1;
            }
        }
    }

    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Takes out the windows that have ended and wait for nothing.
    pub fn close(&mut self, now: Timestamp) -> Vec<(String, Window, String, Counts)> {
        let done = |window: &Window, page: &Page| window.end() <= now && page.open == 0;
        let (ended, open) = mem::take(&mut self.pages).into_iter().partition(|((window, ..), page)| done(window, page));
        self.pages = open;
        let ended: BTreeMap<_, Page> = ended;
        ended.into_iter().map(|((window, endpoint, name), page)| (endpoint, window, name, page.counts)).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_window_is_told_of_when_its_last_sample_is_judged() {
        let at: Timestamp = "2026-11-20T17:11:00Z".parse().unwrap();
        let window = Window::around(at, SignedDuration::from_secs(2));
        let later = at + SignedDuration::from_secs(10);
        let mut book = Book::default();
        let mut note = |note| {
            book.note("qa", Some(window), "d-1", note);
            book.close(later)
        };
        for open in [Note::Asked, Note::Sampled, Note::Answered(200)] {
            assert_eq!(note(open), [], "{open:?}");
        }
        let told = note(Note::Judged);
        let counts = Counts { seen: 1, sampled: 1, judged: 1, by_status: [0, 1, 0, 0, 0], ..Counts::default() };
        assert_eq!(told, [("qa".into(), window, "d-1".into(), counts)]);
        assert_eq!(book.waiting(), 0);
    }
}
