//! The ingestion API: `POST /v2/track` and `/v2.1/track`.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use super::envelope::Rejected;
use crate::sim::{clock, cloud::Sim, entra::Flavour, http, mutex::lock};

/// For senders that do not rely on the instrumentation key alone.
const AUDIENCE: &str = "https://monitor.azure.com";

/// Bytes of a request when unpacked; the service takes 64,000 items.
const LARGEST: u64 = 64 << 20;

pub fn handle(sim: &Sim, req: &http::Request) -> http::Response {
    if !matches!(req.path.as_str(), "/v2/track" | "/v2.1/track") {
        return http::Response::empty(404);
    }
    if req.method != "POST" {
        return http::Response::empty(405).with("allow", "POST");
    }
    if req.header("authorization").is_some() {
        match sim.entra.check(req, AUDIENCE, Flavour::Insights) {
            Err(refusal) => return refusal,
            Ok(who) if sim.entra.denies(&who, AUDIENCE) => return forbidden(),
            Ok(_) => {}
        }
    }
    match envelopes(req) {
        Ok(envelopes) => {
            let visible = clock::after(sim.clock.now(), sim.settings.ingestion_delay.get());
            let rejected = lock(&sim.insights).receive(&envelopes, &sim.settings.instrumentation_key, visible);
            reply(envelopes.len(), &rejected)
        }
        Err(message) => reply(1, &[Rejected { index: 0, status: 400, message }]),
    }
}

/// That it is 403 is documented, the body is not.
fn forbidden() -> http::Response {
    let text = "The provided credentials do not grant access to ingest telemetry into the component.";
    http::Response::json(403, &json!({"error": {"code": "Forbidden", "message": text}}))
}

/// An array, or one envelope a line.
fn envelopes(req: &http::Request) -> Result<Vec<Value>, String> {
    let body = unpacked(req)?;
    let text = std::str::from_utf8(&body).map_err(|e| format!("The body is not UTF-8: {e}"))?;
    let json = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| format!("Invalid JSON: {e}"));
    if text.trim_start().starts_with('[') {
        return Ok(json(text)?.as_array().cloned().unwrap_or_default());
    }
    text.lines().filter(|line| !line.trim().is_empty()).map(json).collect()
}

fn unpacked(req: &http::Request) -> Result<Vec<u8>, String> {
    let packed = req.header("content-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
    if !packed {
        return Ok(req.body.to_vec());
    }
    let mut body = Vec::new();
    let mut reader = MultiGzDecoder::new(req.body.as_ref()).take(LARGEST + 1);
    reader.read_to_end(&mut body).map_err(|e| format!("The body is not gzip: {e}"))?;
    if body.len() as u64 > LARGEST {
        return Err(format!("The body is larger than {LARGEST} bytes"));
    }
    Ok(body)
}

/// 200 if all were taken, 206 if some, 400 if none.
fn reply(received: usize, rejected: &[Rejected]) -> http::Response {
    let accepted = received - rejected.len().min(received);
    let status = match (accepted, rejected.len()) {
        (_, 0) => 200,
        (0, _) => 400,
        _ => 206,
    };
    let errors = rejected.iter().map(|r| json!({"index": r.index, "statusCode": r.status, "message": r.message}));
    let errors: Vec<Value> = errors.collect();
    http::Response::json(
        status,
        &json!({"itemsReceived": received, "itemsAccepted": accepted, "appId": null, "errors": errors}),
    )
    .with("server", "Microsoft-HTTPAPI/2.0")
    .with("strict-transport-security", "max-age=31536000")
    .with("x-content-type-options", "nosniff")
}
