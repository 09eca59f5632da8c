//! What is not known of Azure is a knob of the simulator. The operator must not depend on it: every story is told with each
//! knob the other way.
//!
//! That is more than a run of the tests has time for, so each takes a part, and another one every day; see [`of_day`].
//! `make knobs` (`KNOBS=all`, or names) tells all stories with each knob. One by hand: `KNOB=busyStatus cargo test …`.

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use jiff::Timestamp;
use promptrelease::sim;
use serde_json::{Value, json};

use crate::ground::{
    file,
    knobs::{self, ALL, Knob},
    place,
};

/// The product's main story meets so many knobs in every run.
const FEW: usize = 2;
/// Of the other stories one in so many meets a knob in a run.
const ONE_IN: usize = 3;

const MAIN: &str = "stories::release::a_first_release_gets_all_traffic_and_a_bad_one_after_it_is_taken_back";
const CRASH: &str = "stories::crash::whichever_call_is_the_last_of_an_operator_the_release_ends_as_if_nothing_had_been";

/// Stories that are about what a knob changes, and so are not told with it: knobs, stories, why.
const EXCEPT: [(&[&str], &[&str], &str); 5] = [
    (
        &["newDeployment"],
        &[
            "stories::in_the_way::an_azure_that_gives_a_new_deployment_all_traffic_has_it_taken_back_and_on_call_is_paged",
        ],
        "it is about that knob's third value",
    ),
    (
        &["readLagMs", "unsteadyReadsMs"],
        &[
            CRASH,
            "stories::people::a_revert_in_mid_canary_to_what_serves_needs_only_the_way_back",
            "stories::people::a_split_of_another_hand_in_mid_canary_is_taken_back_and_never_raised_again",
        ],
        "a withdrawal that the next read does not show yet is written once more, and they count how often it is",
    ),
    (
        &["repeatedSubmit"],
        &[CRASH],
        "a submission that is made once more is accepted then, and it counts what is accepted",
    ),
    (
        &["putInFailed"],
        &["stories::in_the_way::a_raise_that_azure_never_takes_ends_by_a_withdrawal_and_a_page"],
        "an endpoint that failed takes no write any more, so nothing can be taken back",
    ),
    (
        &["operationLifetime"],
        &[
            "stories::ending::a_deployment_that_does_not_start_is_explained",
            "stories::troubles::a_container_that_crashed_is_told_with_the_end_of_its_log_and_what_to_do",
        ],
        "why the operation failed stands in its document only, and that is gone",
    ),
];

/// Stories that are told with one knob.
struct Told {
    knob: &'static Knob,
    stories: Vec<String>,
}

/// How that went.
struct Outcome {
    failed: Vec<String>,
    /// What the stories that failed have shown.
    shown: String,
    seconds: u64,
}

/// Names of all stories, sorted.
fn stories() -> Vec<String> {
    let exe = env::current_exe().expect("this program");
    let listed = Command::new(exe).args(["stories::", "--list", "--format", "terse"]).output().expect("it lists");
    let text = String::from_utf8(listed.stdout).expect("text");
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    let mut names: Vec<String> =
        names.filter(|name| !name.starts_with("stories::knobs::")).map(str::to_owned).collect();
    names.sort_unstable();
    names
}

fn is_told(knob: &Knob, story: &str) -> bool {
    !EXCEPT.iter().any(|(knobs, excepted, _)| knobs.contains(&knob.name) && excepted.contains(&story))
}

/// A day's part. The main story meets [`FEW`] knobs, and all of them within `ALL.len() / FEW` days. Of the others one in
/// [`ONE_IN`] meets one, each another; every pair comes within `ALL.len() * ONE_IN` days. The crashes are not among them:
/// they take as long as a dozen stories.
fn of_day(day: usize, stories: &[String]) -> Vec<Told> {
    let few = (0..FEW).map(|n| ((day * FEW + n) % ALL.len(), MAIN));
    let others = stories.iter().map(String::as_str).filter(|story| ![MAIN, CRASH].contains(story)).enumerate();
    let others = others.filter(|(n, _)| n % ONE_IN == day % ONE_IN);
    let others = others.map(|(n, story)| ((day / ONE_IN + n) % ALL.len(), story));
    let pairs: Vec<(usize, &str)> = few.chain(others).collect();
    let told = ALL.iter().enumerate().map(|(k, knob)| {
        let with_it = pairs.iter().filter(|(of, story)| *of == k && is_told(knob, story));
        Told { knob, stories: with_it.map(|(_, story)| (*story).to_owned()).collect() }
    });
    told.filter(|told| !told.stories.is_empty()).collect()
}

/// All stories with these knobs; `all`, or names with commas.
fn asked(which: &str, stories: &[String]) -> Vec<Told> {
    let with = |knob| stories.iter().filter(|story| is_told(knob, story)).cloned().collect();
    knobs::chosen(which).into_iter().map(|knob| Told { knob, stories: with(knob) }).collect()
}

impl Told {
    /// Tells them in a process of their own, with as many threads as libtest takes, or one by one.
    fn tell(&self, one_by_one: bool) -> Outcome {
        let began = Instant::now();
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.arg("--exact").args(&self.stories).args(one_by_one.then_some("--test-threads=1"));
        let child = command.env(knobs::TURNED, self.knob.name).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("it starts");
        let (mut failed, mut shown, mut failures) = (Vec::new(), String::new(), 0);
        for line in BufReader::new(child.stdout.take().expect("its words")).lines() {
            let line = line.expect("text");
            failures += usize::from(line == "failures:");
            match (failures, line.strip_prefix("    ").filter(|name| self.stories.iter().any(|story| story == name))) {
                (0, _) if line.starts_with("test ") => println!("{line}"),
                (0, _) => {}
                // What they have shown comes first, then their names.
                (2, Some(name)) => failed.push(name.to_owned()),
                _ => shown.extend([line.as_str(), "\n"]),
            }
        }
        let ended = child.wait().expect("it ends");
        if !ended.success() && failed.is_empty() {
            failed.push(format!("the tests' process: {ended}"));
        }
        Outcome { failed, shown, seconds: began.elapsed().as_secs() }
    }
}

#[test]
fn what_is_not_known_of_azure_makes_no_difference_to_the_stories() {
    if !knobs::turned().is_empty() {
        // Some are turned already, for all that runs here.
        return;
    }
    let (stories, which) = (stories(), env::var("KNOBS").unwrap_or_default());
    let all = match which.as_str() {
        "" => of_day(usize::try_from(Timestamp::now().as_second() / 86_400).expect("after 1970"), &stories),
        which => asked(which, &stories),
    };
    // Beside other tests it is one story after the other, in the place of one.
    let beside = which.is_empty().then(|| futures::executor::block_on(place()));
    let (count, mut wrong) = (all.len(), Vec::new());
    for (n, told) in all.iter().enumerate() {
        let Knob { name, other, .. } = told.knob;
        println!("knob {} of {count}: {name} is {other}, {} stories", n + 1, told.stories.len());
        let Outcome { failed, shown, seconds } = told.tell(beside.is_some());
        println!("{shown}knob {} of {count}: {name}: {} failed, {seconds} s", n + 1, failed.len());
        wrong.extend(failed.into_iter().map(|story| format!("{name} is {other}: {story}")));
    }
    assert!(wrong.is_empty(), "{} are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whoever wonders finds it on the page.
#[test]
fn every_knob_is_on_the_page_with_its_default() {
    let page = std::fs::read_to_string(file("docs/fidelity.md")).expect("docs/fidelity.md");
    let defaults = [json!(sim::arm::Knobs::default()), json!(sim::insights::Knobs::default())];
    for Knob { name, .. } in &ALL {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not on the page"));
        let default = defaults.iter().find_map(|knobs| knobs.get(name));
        let shown = default.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        assert!(shown.is_none_or(|shown| row.contains(&format!("| {shown} |"))), "{row} has another default");
    }
}

/// A knob that nobody turns tests nothing.
#[test]
fn every_knob_of_the_simulator_is_turned() {
    let names = |knobs: Value| knobs.as_object().expect("an object").keys().cloned().collect::<Vec<String>>();
    let of_arm = names(json!(sim::arm::Knobs::default()));
    let of_insights = names(json!(sim::insights::Knobs::default()));
    for name in of_arm.iter().chain(&of_insights) {
        assert!(ALL.iter().any(|knob| knob.name == name), "{name} is turned by no story");
    }
}

/// An exception for a story or knob of another name would be for nothing.
#[test]
fn every_exception_is_of_a_story_and_a_knob_that_are_there() {
    let stories = stories();
    for name in [MAIN, CRASH].into_iter().chain(EXCEPT.iter().flat_map(|(_, stories, _)| *stories).copied()) {
        assert!(stories.iter().any(|story| story == name), "there is no story {name}");
    }
    for knob in EXCEPT.iter().flat_map(|(knobs, ..)| *knobs) {
        assert!(ALL.iter().any(|known| known.name == *knob), "there is no knob {knob}");
    }
}

/// The days' parts leave nothing out but the crashes, whatever the day on which one begins to count.
#[test]
fn every_story_meets_every_knob_within_the_days_that_the_page_says() {
    let stories = stories();
    let met: BTreeSet<(&str, String)> = (20_000..20_000 + ALL.len() * ONE_IN)
        .flat_map(|day| of_day(day, &stories))
        .flat_map(|told| told.stories.into_iter().map(move |story| (told.knob.name, story)))
        .collect();
    let wanted = asked("all", &stories).into_iter();
    let wanted = wanted.flat_map(|told| told.stories.into_iter().map(move |story| (told.knob.name, story)));
    let missed: Vec<_> = wanted.filter(|(_, story)| story != CRASH).filter(|pair| !met.contains(pair)).collect();
    assert!(missed.is_empty(), "{missed:?}");
    let page = std::fs::read_to_string(file("docs/fidelity.md")).expect("docs/fidelity.md");
    let days = format!("within {} days", ALL.len() * ONE_IN);
    assert!(page.contains(&days), "docs/fidelity.md does not say {days:?}");
}
