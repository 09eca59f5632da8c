//! Who may do what: an Entra token, a shared access signature, or nothing at all in a public container.

use jiff::Timestamp;

use super::{refusal::Refusal, store};
use crate::sim::{cloud::Sim, entra::Flavour, http::Request, mutex::lock};

/// What tokens must be for.
pub(super) const AUDIENCE: &str = "https://storage.azure.com";
/// What the management API signs with.
const SIGNATURE: &str = "c2ltdWxhdGVk";
/// Tokens of Entra are taken by requests of this version or a later one.
const FIRST_WITH_TOKENS: &str = "2017-11-09";

pub(super) fn check(sim: &Sim, req: &Request, account: &str, container: &str, now: Timestamp) -> Result<(), Refusal> {
    let reads = matches!(req.method.as_str(), "GET" | "HEAD");
    match req.header("authorization") {
        Some(_) => token(sim, req),
        None if req.param("sig").is_some() => signature(req, now),
        None if reads && !lists(req) && is_public(sim, account, container) => Ok(()),
        None => token(sim, req),
    }
}

fn lists(req: &Request) -> bool {
    req.param("restype").is_some()
}

fn is_public(sim: &Sim, account: &str, container: &str) -> bool {
    container == store::PUBLIC || lock(&sim.blobs).is_public(account, container)
}

fn token(sim: &Sim, req: &Request) -> Result<(), Refusal> {
    let who = sim.entra.check(req, AUDIENCE, Flavour::Storage).map_err(Refusal::Ready)?;
    match req.header("x-ms-version") {
        // Versions are dates, so they compare as text.
        Some(version) if version >= FIRST_WITH_TOKENS => {}
        Some(_) => return Err(Refusal::header("x-ms-version", "tokens of Entra need 2017-11-09 or later")),
        None => return Err(Refusal::missing_header("x-ms-version")),
    }
    if sim.entra.denies(&who, AUDIENCE) { Err(Refusal::permission()) } else { Ok(()) }
}

fn signature(req: &Request, now: Timestamp) -> Result<(), Refusal> {
    let wrong = |detail: &str| Refusal::authentication(detail);
    if req.param("sig") != Some(SIGNATURE) {
        return Err(wrong("Signature did not match."));
    }
    let until = req.param("se").and_then(|text| text.parse::<Timestamp>().ok());
    let until = until.ok_or_else(|| wrong("se is mandatory. Cannot be empty"))?;
    if until <= now {
        return Err(wrong("Signature not valid in the specified time frame"));
    }
    let allowed = req.param("sp").unwrap_or_default();
    let needed: &[char] = match req.method.as_str() {
        "GET" if lists(req) => &['l'],
        "GET" | "HEAD" => &['r'],
        "DELETE" => &['d'],
        _ => &['w', 'c'],
    };
    if allowed.contains(needed) { Ok(()) } else { Err(Refusal::permission()) }
}
