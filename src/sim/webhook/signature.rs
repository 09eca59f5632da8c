//! The check that a receiver makes, from the text of the Standard Webhooks specification 1.0.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Sha256;

use crate::sim::http::Request;

/// Seconds that the timestamp of a message may be from the receiver's own, either way.
const TOLERANCE: i64 = 300;

/// What is known about a message's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Signature {
    /// The receiver knows no secret.
    Unchecked,
    Valid,
    /// A header is missing or cannot be read.
    Missing,
    /// Too old, or of the future.
    Stale,
    /// Signed with another secret, or something was changed on the way.
    Wrong,
}

/// A secret as it is configured: `whsec_` and base64, or plain text.
///
/// # Errors
/// It is empty, or not base64 after `whsec_`.
pub fn secret(text: &str) -> Result<Vec<u8>, String> {
    let bytes = match text.strip_prefix("whsec_") {
        Some(encoded) => {
            STANDARD.decode(encoded).map_err(|e| format!("the secret after `whsec_` is not base64: {e}"))?
        }
        None => text.as_bytes().to_vec(),
    };
    if bytes.is_empty() { Err("the secret is empty".into()) } else { Ok(bytes) }
}

/// `webhook-signature` lists `v1,<base64>` signatures, any of which may be the one.
pub fn check(req: &Request, secret: &[u8], now: Timestamp) -> Signature {
    let headers = (req.header("webhook-id"), req.header("webhook-timestamp"), req.header("webhook-signature"));
    let (Some(id), Some(timestamp), Some(signatures)) = headers else { return Signature::Missing };
    let Ok(seconds) = timestamp.parse::<i64>() else { return Signature::Missing };
    let given = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    // What is signed is what was sent, not what was understood: the header's text.
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &req.body].concat();
    let fits = |given: &[u8]| {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
        mac.chain_update(&signed).verify_slice(given).is_ok()
    };
    if !given.into_iter().any(|given| fits(&given)) {
        return Signature::Wrong;
    }
    if seconds.abs_diff(now.as_second()) > TOLERANCE.unsigned_abs() { Signature::Stale } else { Signature::Valid }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::testing::request;

    const AT: i64 = 1_614_265_330;

    /// The example of the specification.
    fn example() -> (Request, Vec<u8>) {
        let mut req = request("pager.example.com", "POST", "/hook", r#"{"test": 2432232314}"#);
        req.headers = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,AAAA v1a,x v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        (req, secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let (req, secret) = example();
        assert_eq!(check(&req, &secret, at(AT)), Signature::Valid);
        assert_eq!(check(&req, b"another secret", at(AT)), Signature::Wrong);
    }

    #[test]
    fn whatever_is_changed_breaks_it() {
        for change in 0..3 {
            let (mut req, secret) = example();
            match change {
                0 => req.body = r#"{"test": 2432232315}"#.into(),
                1 => req.headers[0].1 = "msg_other".into(),
                _ => req.headers[1].1 = "1614265331".into(),
            }
            assert_eq!(check(&req, &secret, at(AT)), Signature::Wrong, "change {change}");
        }
    }

    #[test]
    fn old_messages_and_those_without_headers_are_told_apart() {
        let (req, secret) = example();
        assert_eq!(check(&req, &secret, at(AT + TOLERANCE)), Signature::Valid);
        assert_eq!(check(&req, &secret, at(AT + TOLERANCE + 1)), Signature::Stale);
        for missing in 0..3 {
            let (mut req, _) = example();
            req.headers.remove(missing);
            assert_eq!(check(&req, &secret, at(AT)), Signature::Missing);
        }
    }

    #[test]
    fn secrets_are_base64_or_plain() {
        assert_eq!(secret("whsec_aGk="), Ok(b"hi".to_vec()));
        assert_eq!(secret("hi"), Ok(b"hi".to_vec()));
        assert!(secret("whsec_***").is_err() && secret("whsec_").is_err() && secret("").is_err());
    }
}
