//! Two receivers, of which one does not take what it is sent: the other is told, once, and people see which is which.

use std::collections::BTreeMap;

use promptrelease::{api::PromptRelease, sim};
use serde_json::json;

use super::{
    steps::{classes, condition, kubectl, play, served_already, told},
    team::Team,
};
use crate::ground::{Setup, wait_for};

const ONCALL: &str = "oncall.example.com";
const CHAT: &str = "chat.example.com";

/// The endpoint's notices go to a chat room too.
async fn chat_is_told_too(team: &Team) {
    let url = json!({"stringData": {"chat": format!("https://{CHAT}/hooks/releases")}}).to_string();
    kubectl(team, &["patch", "secret", "oncall-webhook", "-p", &url]).await;
    let key = |key: &str| json!({"name": "oncall-webhook", "key": key});
    let chat = json!({"name": "chat", "webhook": {"urlSecretRef": key("chat"), "hmacSecretRef": key("hmac")}});
    let add = json!([{"op": "add", "path": "/spec/notifications/-", "value": chat}]).to_string();
    kubectl(team, &["patch", "promptendpoint", "--type=json", "support-assistant-prod", "-p", &add]).await;
}

/// What a receiver got, by id, and how often.
fn got(team: &Team, host: &str) -> BTreeMap<String, usize> {
    let mut got = BTreeMap::new();
    let inbox = sim::lock(&team.story.azure().sim().webhook);
    for delivery in inbox.deliveries().filter(|delivery| delivery.request.host == host) {
        *got.entry(delivery.id().unwrap_or_default().to_owned()).or_default() += 1;
    }
    got
}

/// Returns when the condition Notified says this of a page that on-call has and chat has not.
async fn chat_lacks(team: &Team, why: &str) -> PromptRelease {
    team.until(&format!("chat lacks a page: {why}"), |release| {
        let (reason, message) = condition(release, "Notified");
        let begins = "oncall accepted assistant/support-assistant/";
        let ends = format!(", chat did not; it is tried again: {why}");
        reason == "PartlyDelivered" && message.starts_with(begins) && message.ends_with(&ends)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_or_refuses_hides_nothing_of_the_one_that_accepts_which_is_paged_once() {
    let team = served_already("receivers", Setup::default()).await;
    chat_is_told_too(&team).await;
    let at_chat = json!({"service": "webhook", "host": CHAT});
    let hangs = json!({"match": at_chat, "times": 0, "do": {"holdUntilReleased": true}});
    let hangs = team.story.azure().fault(hangs);
    play(&team, |scenario| classes(scenario, "1428")["*"]["serverErrors"] = json!(1.0));
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "AvailabilityFailed".into()));
    let release = chat_lacks(&team, "chat: no answer within 3 s").await;
    assert!(told(&release, "oncall paged"), "{:#?}", release.status);
    assert!(!told(&release, "chat"), "{:#?}", release.status);

    let hung = team.story.azure().struck(&hangs);
    team.story.azure().heal();
    let refuses = json!({"match": at_chat, "times": 0, "do": {"answer": {"status": 503}}});
    let refuses = team.story.azure().fault(refuses);
    chat_lacks(&team, "chat answered 503").await;
    let tries = hung + team.story.azure().struck(&refuses);
    let oncall = got(&team, ONCALL);
    assert!(tries > oncall.len(), "some of {oncall:?} were tried again: {tries}");
    assert!(oncall.values().all(|times| *times == 1), "{oncall:?}");

    team.story.azure().heal();
    wait_for("nothing is owed", async || {
        let outbox = team.endpoint().await.status.and_then(|status| status.log).unwrap_or_default().outbox;
        if outbox.is_empty() { Ok(()) } else { Err(format!("{outbox:#?}")) }
    })
    .await;
    let all = team.until("all have it", |release| condition(release, "Notified").0 == "Delivered").await;
    let (_, message) = condition(&all, "Notified");
    assert!(message.starts_with("oncall and chat accepted assistant/support-assistant/"), "{message}");
    assert!(told(&all, "chat paged"), "{:#?}", all.status);
    let (oncall, chat) = (got(&team, ONCALL), got(&team, CHAT));
    assert_eq!(oncall.keys().collect::<Vec<_>>(), chat.keys().collect::<Vec<_>>());
    assert!(oncall.values().all(|times| *times == 1), "{oncall:?}");
}
