//! A person is needed though nothing has ended: what fails, and what to do by hand, in the same words for the condition
//! and the page.

use crate::{
    api::{
        Cause,
        endpoint::AzureEndpoint,
        log::{Attempt, Log},
    },
    endpoint::{Observed, Sight, Waiting},
    view::trouble,
};

/// What an alarm's words are made of.
pub struct Around<'a> {
    pub azure: &'a AzureEndpoint,
    pub log: &'a Log,
    pub observed: &'a Observed,
    /// What Azure said to the last write, if it refused it.
    pub refusal: Option<&'a str>,
}

impl Around<'_> {
    /// The alarm that stands now, if one does: Azure can be read again, traffic gets back, and then nobody is needed.
    pub fn standing(&self, attempt: &Attempt, waits: Option<&Waiting<String>>) -> Option<(Cause, String)> {
        let stands = |cause: &Cause| match cause {
            Cause::Unreadable => matches!(self.observed.look.endpoint, Sight::Unreadable { .. }),
            _ => !matches!(waits, Some(Waiting::LostWrite { .. })),
        };
        let mut alarms = attempt.alarms.iter().rev().filter_map(|alarm| alarm.parse().ok());
        let cause = alarms.find(stands).filter(|_| attempt.ending.is_none())?;
        Some((cause, self.words(cause)?))
    }

    /// None for what is no alarm.
    pub fn words(&self, cause: Cause) -> Option<String> {
        let azure = self.azure;
        let back_to = self.log.attempt.as_ref().and_then(|attempt| attempt.return_to.as_deref());
        match (cause, &self.observed.look.endpoint) {
            (Cause::RollbackFailed, _) => Some(trouble::rollback_failed(self.tries(), &self.why(), azure, back_to)),
            (Cause::StableLost, _) => back_to.map(|stable| trouble::stable_lost(stable, azure).message),
            (Cause::Unreadable, Sight::Unreadable { since, .. }) => {
                Some(trouble::unreadable(&self.why(), (*since).into()).message)
            }
            _ => None,
        }
    }

    /// Of the withdrawal's write.
    fn tries(&self) -> i64 {
        self.log.withdrawal().map_or(0, |withdrawal| withdrawal.tries)
    }

    fn why(&self) -> String {
        let problem = self.observed.problem.as_ref().map(ToString::to_string);
        let refusal = || self.refusal.map(str::to_owned);
        problem.or_else(refusal).unwrap_or_else(|| "the split is not read back".to_owned())
    }
}
