//! The way of one request: fault, log, service, reply.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    arm, blob, clock,
    cloud::Sim,
    entra,
    faults::{Canned, Effect, Lose},
    flow, http, insights, model,
    mutex::lock,
    registry, scoring,
    service::Service,
    webhook,
};

/// What becomes of a request; `None` if the client gets no reply. Runs to its end whether or not the client waits.
pub async fn answer(
    sim: Arc<Sim>,
    service: Service,
    req: http::Request,
    received: Timestamp,
) -> Option<http::Response> {
    let strike = lock(&sim.faults).strike(service, &req, sim.clock.now());
    let (rule, effect, mut released) = match strike {
        Some(strike) => (Some(strike.rule), strike.effect, Some(strike.released)),
        None => (None, Effect::default(), None),
    };
    let n = lock(&sim.requests).begin(service, &req, received, rule);
    wait_ms(effect.hold_ms).await;
    if let Some(released) = released.as_mut().filter(|_| effect.hold_until_released) {
        // A rule that is gone holds nothing.
        let _released_or_gone = released.wait_for(|released| *released).await;
    }
    let reply = serve(&sim, service, &req, &effect).await;
    wait_ms(effect.hold_reply_ms).await;
    let now = sim.clock.now();
    let reply = reply.map(|reply| reply.with("date", clock::http_date(now)));
    lock(&sim.requests).end(n, reply.as_ref().map(|r| r.status), now);
    reply
}

async fn serve(sim: &Arc<Sim>, service: Service, req: &http::Request, effect: &Effect) -> Option<http::Response> {
    if effect.lose == Some(Lose::Request) {
        return None;
    }
    let reply = match &effect.answer {
        Some(canned) => canned_reply(canned),
        None => dispatch(sim, service, req, effect).await,
    };
    (effect.lose != Some(Lose::Reply)).then_some(reply)
}

async fn wait_ms(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

fn canned_reply(canned: &Canned) -> http::Response {
    let reply = match &canned.body {
        serde_json::Value::Null => http::Response::empty(canned.status),
        serde_json::Value::String(text) => http::Response::text(canned.status, text.clone()),
        json => http::Response::json(canned.status, json),
    };
    canned.headers.iter().fold(reply, |mut reply, (name, value)| {
        reply.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        reply.with(name, value.clone())
    })
}

/// What the service itself says: no fault, no entry in the log.
pub async fn dispatch(sim: &Arc<Sim>, service: Service, req: &http::Request, effect: &Effect) -> http::Response {
    match service {
        Service::Entra => entra::handle(sim, req).await,
        Service::Arm => arm::handle(sim, req, effect).await,
        Service::Blob => blob::handle(sim, req).await,
        Service::Flow => flow::handle(sim, req).await,
        Service::Insights => insights::handle(sim, req).await,
        Service::Registry => registry::handle(sim, req).await,
        Service::Scoring => scoring::handle(sim, req).await,
        Service::OpenAi => model::openai(sim, req).await,
        Service::ContentSafety => model::content_safety(sim, req).await,
        Service::Webhook => webhook::handle(sim, req).await,
    }
}
