//! Why a call got no reply, out of an error's causes.

use super::fault::shorten;

/// The reason why a certificate was refused, if that is what happened. An `io::Error` hides what it wraps from
/// `source()`, so it is asked itself.
pub(super) fn untrusted(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() {
            return Some(rustls::Error::InvalidCertificate(reason.clone()).to_string());
        }
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(reason) = wrapped.and_then(|inner| untrusted(inner)) {
            return Some(reason);
        }
        at = error.source();
    }
    None
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = String::new();
    let mut at = Some(error);
    while let Some(error) = at {
        // reqwest puts the URL, and with it the query, into its own text.
        let text = match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.url().is_some() => "request failed".to_owned(),
            _ => error.to_string(),
        };
        if !said.contains(&text) {
            said.push_str(if said.is_empty() { "" } else { ": " });
            said.push_str(&text);
        }
        at = error.source();
    }
    shorten(&said)
}
