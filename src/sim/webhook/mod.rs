//! The receiver of pages: any host below `example.com` and `example.net`. It keeps what it was sent, and checks the
//! signature where it was told the secret.

use std::sync::Arc;

use super::{cloud::Sim, http, mutex::lock};

mod inbox;
mod signature;

pub use inbox::{Delivery, Inbox};
pub use signature::Signature;

/// Answers 204 to what it accepts.
pub async fn handle(sim: &Arc<Sim>, req: &http::Request) -> http::Response {
    let now = sim.clock.now();
    match lock(&sim.webhook).receive(req, now) {
        204 => http::Response::empty(204),
        405 => http::Response::empty(405).with("allow", "POST"),
        status => http::Response::text(status, "the message is not signed as agreed"),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use hmac::{Hmac, KeyInit, Mac};
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::sim::testing::{request, sim};

    const SECRET: &str = "on-call-secret";

    fn page(host: &str, path: &str, id: &str, now: Timestamp) -> http::Request {
        let body = r#"{"type": "rollback"}"#;
        let mut req = request(host, "POST", path, body);
        let seconds = now.as_second();
        let mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        let mac = mac.chain_update(format!("{id}.{seconds}.{body}")).finalize().into_bytes();
        req.headers = vec![
            ("webhook-id".into(), id.into()),
            ("webhook-timestamp".into(), seconds.to_string()),
            ("webhook-signature".into(), format!("v1,{}", STANDARD.encode(mac))),
        ];
        req
    }

    #[tokio::test]
    async fn a_page_is_kept_as_it_came_and_its_second_copy_is_told() {
        let sim = sim("{}");
        let mut req = page("pager.example.com", "/hooks/assistant", "assistant/1428.7", sim.clock.now());
        assert_eq!(handle(&sim, &req).await.status, 204);
        assert_eq!(handle(&sim, &req).await.status, 204);
        req.method = "GET".into();
        assert_eq!(handle(&sim, &req).await.status, 405);
        let inbox = lock(&sim.webhook);
        assert_eq!(inbox.accepted("assistant/1428.7"), 2);
        let shown = inbox.describe();
        let last = &shown["deliveries"][1];
        assert_eq!((&last["host"], &last["path"]), (&json!("pager.example.com"), &json!("/hooks/assistant")));
        assert_eq!((&last["body"], &last["signature"]), (&json!({"type": "rollback"}), &json!("unchecked")));
        assert_eq!((&last["id"], &last["repeats"]), (&json!("assistant/1428.7"), &json!(1)));
        assert_eq!(last["headers"]["webhook-id"], "assistant/1428.7");
        assert_eq!(shown["accepted"], json!([{"host": "pager.example.com", "id": "assistant/1428.7", "times": 2}]));
    }

    #[tokio::test]
    async fn a_receiver_that_knows_the_secret_refuses_what_is_not_signed_with_it() {
        let sim = sim("{}");
        lock(&sim.webhook).set_secret("pager.example.com", SECRET).unwrap();
        let good = page("pager.example.com", "/hooks", "a", sim.clock.now());
        assert_eq!(handle(&sim, &good).await.status, 204);
        let mut forged = good.clone();
        forged.body = r#"{"type": "promoted"}"#.into();
        assert_eq!(handle(&sim, &forged).await.status, 401);
        let mut unsigned = good.clone();
        unsigned.headers.clear();
        assert_eq!(handle(&sim, &unsigned).await.status, 400);
        assert_eq!(lock(&sim.webhook).accepted("a"), 1, "refused copies do not count");
        unsigned.host = "chat.example.net".into();
        assert_eq!(handle(&sim, &unsigned).await.status, 204, "another receiver knows no secret");
    }

    #[test]
    fn the_most_specific_place_decides_which_secret_counts() {
        let mut inbox = Inbox::default();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        inbox.set_secret("pager.example.com", "another").unwrap();
        inbox.set_secret("pager.example.com/assistant/", SECRET).unwrap();
        let mut status = |path: &str| inbox.receive(&page("pager.example.com", path, "a", now), now);
        assert_eq!(["/assistant", "/assistant/x", "/assistants", "/"].map(&mut status), [204, 204, 401, 401]);
        inbox.forget_secret("pager.example.com");
        assert_eq!(inbox.receive(&page("pager.example.com", "/", "a", now), now), 204);
    }
}
