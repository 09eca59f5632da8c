//! A crash before and after every call to the outside: the operator is killed with SIGKILL, all that it knew is lost, and
//! another one is started. The release ends as if nothing had been.
//!
//! Nobody lists the calls. A release that is taken back is run once undisturbed, and what comes out of the operator on its
//! two ways to the outside is recorded: writes to the API server by [`Tap`](crate::ground::Tap), writes to Azure and pages
//! by the simulator. Then, for each call of the record, the release is run anew, that call is held (not let through, or
//! carried out and its reply kept back), the process that waits for it is killed, and another is started.
//!
//! Each run has a namespace, a simulator and an operator of its own on one API server, so that many run at the same time.

mod call;
mod case;

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc};

use call::{Call, Ending};
use case::{Case, Given};
use futures::{FutureExt, StreamExt, stream};

use crate::ground::{Moment, place};

/// Runs at the same time. A run waits most of its time for Azure's operations and for the end of a window.
const AT_ONCE: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_call_is_the_last_of_an_operator_the_release_ends_as_if_nothing_had_been() {
    let _place = place().await;
    let given = Arc::new(Given::new().await);
    let (calls, undisturbed) = recorded(&given).await;
    eprintln!("crash: {} calls are recorded", calls.len());
    let deaths = deaths(calls);
    let limit = std::env::var("LIMIT").map_or(1000, |l| l.parse().unwrap());
    let runs = stream::iter(deaths.into_iter().take(limit)).map(async |(call, moment)| {
        let what = format!("{moment:?} {call}");
        let run = AssertUnwindSafe(interrupted(given.clone(), call, moment)).catch_unwind().await;
        (what, run.map_err(said))
    });
    let runs: Vec<_> = runs.buffer_unordered(AT_ONCE).collect().await;
    let mut wrong = Vec::new();
    for (what, run) in &runs {
        match run {
            Err(problem) => wrong.push(format!("{what}: {problem}")),
            Ok((_, ending)) if *ending != undisturbed => wrong.push(format!("{what}: {ending:#?}")),
            Ok((false, _)) => eprintln!("crash: over before it: {what}"),
            Ok((true, _)) => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {}, not {undisturbed:#?}:\n{}", wrong.len(), runs.len(), wrong.join("\n"));
}

/// When operators die: before and after each call. Before one that only tells the outside is as it is after the one before
/// it, and a run more would show nothing.
fn deaths(calls: Vec<Call>) -> Vec<(Call, Moment)> {
    let before = calls.iter().filter(|call| !call.only_tells()).map(|call| (call.clone(), Moment::Before));
    before.collect::<Vec<_>>().into_iter().chain(calls.iter().map(|call| (call.clone(), Moment::After))).collect()
}

/// What a panic said.
fn said(panic: Box<dyn Any + Send>) -> String {
    panic.downcast::<String>().map_or_else(|_| "it panicked".to_owned(), |said| *said)
}

/// The calls of a release that nothing happens to, and how it ends.
async fn recorded(given: &Arc<Given>) -> (Vec<Call>, Ending) {
    let mut case = Case::begin(given.clone(), "undisturbed").await;
    case.start_operator().await;
    case.rests().await;
    let ending = case.ending(None).await;
    ending.is_as_it_should_be();
    (call::calls(&case), ending)
}

/// The same, but an operator dies at this call. Whether it came, and how the release ended.
async fn interrupted(given: Arc<Given>, call: Call, moment: Moment) -> (bool, Ending) {
    let began = std::time::Instant::now();
    let mut case = Case::begin(given, "crash").await;
    call.hold(&case, moment);
    case.start_operator().await;
    let came = case.holds_or_rests(&call).await;
    if came {
        case.start_operator().await;
    }
    eprintln!("crash: {} {moment:?} {call} at {:?}", case.namespace, began.elapsed());
    case.rests().await;
    eprintln!("crash: {} rests at {:?}", case.namespace, began.elapsed());
    let ending = case.ending((moment == Moment::After).then_some(&call)).await;
    (came, ending)
}
