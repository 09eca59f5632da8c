//! Standard Webhooks: id, timestamp, and an HMAC-SHA256 over both and the body.

use std::{io, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

/// One receiver, its secrets read.
#[derive(Clone)]
pub struct Receiver {
    /// Name in the PromptEndpoint, for conditions and Events.
    pub name: String,
    /// https.
    pub url: String,
    secret: Vec<u8>,
}

/// Why a receiver cannot be used. A person has to mend it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReceiverError {
    #[error("notification `{0}`: the URL in the Secret must be an https URL")]
    Url(String),
    #[error(
        "notification `{0}`: the signing secret in the Secret must be `whsec_` and base64, or plain text, and not empty"
    )]
    Secret(String),
}

/// What became of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver answered 2xx.
    Accepted,
    /// It answered, but not so.
    Refused(u16),
    /// No answer; it may have been received all the same.
    NoAnswer(String),
}

impl Receiver {
    /// # Errors
    /// An URL that is not https, or an empty or malformed secret.
    pub fn new(name: &str, url: &str, secret: &str) -> Result<Self, ReceiverError> {
        let url = url.trim();
        let https = url::Url::parse(url).is_ok_and(|u| u.scheme() == "https" && u.has_host());
        if !https {
            return Err(ReceiverError::Url(name.to_owned()));
        }
        let wrong = || ReceiverError::Secret(name.to_owned());
        let secret = match secret.trim().strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| wrong())?,
            None => secret.trim().as_bytes().to_vec(),
        };
        if secret.is_empty() {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), url: url.to_owned(), secret })
    }

    /// `v1,<base64>` as in Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`.
    pub fn signature(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        // A key of any length is a key: HMAC hashes long ones and pads short ones.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return String::new() };
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// One request, no retry: the outbox knows when the next one is due. `key` is the receiver's de-duplication key.
    pub async fn deliver(
        &self,
        http: &reqwest::Client,
        key: &str,
        body: Vec<u8>,
        now: Timestamp,
        limit: Duration,
    ) -> Delivery {
        let seconds = now.as_second();
        let request = http
            .post(&self.url)
            .timeout(limit)
            .header("content-type", "application/json")
            .header("webhook-id", key)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", self.signature(key, seconds, &body))
            .body(body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Delivery::Accepted,
            Ok(answer) => Delivery::Refused(answer.status().as_u16()),
            Err(error) => Delivery::NoAnswer(reason(&error)),
        }
    }
}

/// The innermost cause: reqwest's own text says only that sending failed. The URL may carry a token, so it stays out.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let closed = cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::UnexpectedEof);
    match (error.is_timeout(), closed) {
        (true, _) => "no answer in time".to_owned(),
        (_, true) => "the connection was closed without an answer".to_owned(),
        _ => cause.to_string(),
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_in_the_specification() {
        // The example of standardwebhooks.com.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let receiver = Receiver::new("oncall", "https://pager.example.com/hook", secret).expect("receiver");
        let signature = receiver.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn says_what_a_receiver_needs() {
        for url in ["http://pager.example.com", "pager", ""] {
            let error = Receiver::new("oncall", url, "s").expect_err(url);
            assert_eq!(error.to_string(), "notification `oncall`: the URL in the Secret must be an https URL");
        }
        for secret in ["", "whsec_", "whsec_***"] {
            let error = Receiver::new("oncall", "https://a.example.com", secret).expect_err(secret);
            assert!(error.to_string().contains("must be `whsec_` and base64"), "{error}");
        }
    }

    #[test]
    fn secrets_are_never_printed() {
        let receiver = Receiver::new("oncall", "https://a.example.com/secret-path", "hush").expect("receiver");
        assert_eq!(format!("{receiver:?}"), "Receiver(oncall)");
    }
}
