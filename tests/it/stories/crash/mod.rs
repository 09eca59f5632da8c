//! A crash before and after every call to the outside: the operator is killed with SIGKILL, all that it knew is lost, and
//! another one is started. The release ends as if nothing had been.
//!
//! Nobody lists the calls. A release that is taken back is run once undisturbed, and what comes out of the operator on its
//! two ways to the outside is recorded: writes to the API server by [`Tap`](crate::ground::Tap), writes to Azure and pages
//! by the simulator. Then, for each call of the record, the release is run anew, that call is held (not let through, or
//! carried out and its reply kept back), the process that waits for it is killed, and another is started.
//!
//! A release that is promoted does the same up to its canary's verdict, so of its record only what comes from then on is
//! tried: the notes of the promotion and of its ending, and the split that is written.
//!
//! The writes that note an intent or how far the attempt is are tried in one more way: the operator lives on, and the network
//! to the API server is cut from that write on. It has to give up by itself when its lease runs out.
//!
//! Each run has a namespace, a simulator and an operator of its own on one API server, so that many run at the same time.

mod call;
mod case;

use std::{any::Any, collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc};

use call::{Call, Ending};
use case::{Case, Fate, Given};
use futures::{FutureExt, StreamExt, stream};

use crate::ground::{Moment, place};

/// Runs at the same time. A run waits most of its time for Azure's operations and for the end of a window.
const AT_ONCE: usize = 6;

/// What happens to the operator while a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    Killed,
    CutOff,
}

/// A run with one blow.
#[derive(Clone, Debug)]
struct Run {
    fate: Fate,
    call: Call,
    moment: Moment,
    blow: Blow,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_call_is_the_last_of_an_operator_the_release_ends_as_if_nothing_had_been() {
    let _place = place().await;
    let given = Arc::new(Given::new().await);
    let (taken_back, promoted) = futures::join!(recorded(&given, Fate::TakenBack), recorded(&given, Fate::Promoted));
    let promotion = promotion(&promoted.0);
    let runs = [runs(Fate::TakenBack, &taken_back.0), runs(Fate::Promoted, &promotion)].concat();
    eprintln!("crash: {} and {} calls are recorded, {} runs", taken_back.0.len(), promotion.len(), runs.len());
    let tried = stream::iter(runs).map(async |run| {
        let ending = AssertUnwindSafe(interrupted(given.clone(), &run)).catch_unwind().await;
        (run, ending.map_err(said))
    });
    let tried: Vec<_> = tried.buffer_unordered(AT_ONCE).collect().await;

    let (mut wrong, mut missed) = (Vec::new(), Vec::new());
    for (Run { fate, call, moment, blow }, result) in &tried {
        let what = format!("{fate:?}, {blow:?} {moment:?} {call}");
        let undisturbed = match fate {
            Fate::TakenBack => &taken_back.1,
            Fate::Promoted => &promoted.1,
        };
        match result {
            Err(problem) => wrong.push(format!("{what}: {problem}")),
            Ok((_, ending)) if ending != undisturbed => wrong.push(format!("{what}: {ending:#?} not {undisturbed:#?}")),
            Ok((false, _)) if call.notes() || call.puts() => wrong.push(format!("{what}: it never came")),
            Ok((came, _)) => missed.extend((!came).then_some(what)),
        }
    }
    let all = tried.len();
    assert!(wrong.is_empty(), "{} of {all} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
    // How often people are told something differs from run to run, so the last calls of the record may not come.
    assert!(missed.len() <= all / 10, "{} of {all} were over before it came: {missed:#?}", missed.len());
}

/// From the verdict on, what notes something or writes to Azure.
fn promotion(calls: &[Call]) -> Vec<Call> {
    let (kubernetes, outside): (Vec<&Call>, Vec<&Call>) =
        calls.iter().partition(|call| matches!(call, Call::Kubernetes { .. }));
    let promotion = [kubernetes, outside].into_iter().flat_map(|way| {
        let from_the_verdict = way.into_iter().skip_while(|call| !call.promotes());
        from_the_verdict.filter(|call| call.notes() || call.puts())
    });
    let promotion: Vec<Call> = promotion.cloned().collect();
    let (notes, puts) = (promotion.iter().filter(|c| c.notes()).count(), promotion.iter().filter(|c| c.puts()).count());
    assert!(notes >= 2 && puts >= 1, "the promotion, its ending and its split: {promotion:#?}");
    promotion
}

/// Before and after each call. Of the calls that only tell, the first of a kind, and only after it: before it the outside is
/// as it is after the call before.
fn runs(fate: Fate, calls: &[Call]) -> Vec<Run> {
    let mut told = BTreeSet::new();
    let mut runs = Vec::new();
    for call in calls {
        let mut add = |moment, blow| runs.push(Run { fate, call: call.clone(), moment, blow });
        if call.only_tells() {
            if told.insert(call.name()) {
                add(Moment::After, Blow::Killed);
            }
            continue;
        }
        add(Moment::Before, Blow::Killed);
        add(Moment::After, Blow::Killed);
        if call.notes() {
            add(Moment::After, Blow::CutOff);
        }
    }
    runs
}

/// What a panic said.
fn said(panic: Box<dyn Any + Send>) -> String {
    panic.downcast::<String>().map_or_else(|_| "it panicked".to_owned(), |said| *said)
}

/// The calls of a release that nothing happens to, and how it ends.
async fn recorded(given: &Arc<Given>, fate: Fate) -> (Vec<Call>, Ending) {
    let mut case = Case::begin(given.clone(), fate, "undisturbed").await;
    case.start_operator().await;
    case.rests().await;
    let ending = case.ending(None).await;
    ending.is_as_it_should_be(fate);
    (call::calls(&case), ending)
}

/// The same with a blow. Whether the call came, and how the release ended.
async fn interrupted(given: Arc<Given>, run: &Run) -> (bool, Ending) {
    let Run { fate, call, moment, blow } = run;
    let mut case = Case::begin(given, *fate, "crash").await;
    call.hold(&case, *moment);
    if *blow == Blow::CutOff {
        case.lay_cable().await;
    }
    case.start_operator().await;
    let came = case.holds_or_rests(call).await;
    eprintln!("{}: {fate:?}, {blow:?} {moment:?} {call}", case.namespace);
    if came && *blow == Blow::CutOff {
        case.cut_cable().await;
    }
    if came {
        case.start_operator().await;
    }
    case.rests().await;
    eprintln!("{}: ended", case.namespace);
    let ending = case.ending((*moment == Moment::After).then_some(call)).await;
    (came, ending)
}
