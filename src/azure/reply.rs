//! One reply in: what it says, and what it means if it is not a success.

use std::{fmt, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::de::DeserializeOwned;
use url::Url;

use super::{Accepted, Audience, Cloud, Error, Fault, Result, Seen, Service, fault::shorten, service::EXPIRED};

const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// A service that asks for more is asked again after this; a spent daily quota is a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A reply, read whole.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub service: Service,
    pub call: String,
    /// On what the caller needs a role, where the service does not say it: [`Service::scope`].
    pub scope: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Why the body is not whole: the status and headers of such a reply still count.
    pub cut: Option<Cut>,
}

/// Why a body is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It has more bytes than this.
    TooLarge(usize),
    /// The connection ended, or the call's time.
    Broken(String),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(limit) => write!(f, "it is larger than {limit} bytes"),
            Self::Broken(reason) => write!(f, "it breaks off ({reason})"),
        }
    }
}

impl Reply {
    pub fn successful(self) -> Result<Self> {
        if self.status.is_success() { Ok(self) } else { Err(self.into_error()) }
    }

    /// The body as `T`, with the time of the reply.
    pub fn seen<T: DeserializeOwned>(&self) -> Result<Seen<T>> {
        if let Some(cut) = &self.cut {
            return Err(self.malformed(&cut.to_string()));
        }
        let value = serde_json::from_slice(&self.body).map_err(|e| self.malformed(&e.to_string()))?;
        Ok(Seen { value, date: self.date() })
    }

    pub fn malformed(&self, reason: &str) -> Error {
        Error::Malformed { call: self.call.clone(), reason: reason.to_owned() }
    }

    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.headers.get(DATE)?)
    }

    /// Seconds or a date, as RFC 9110 has it; a date is taken relative to the reply's own. At most a day.
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.headers.get(RETRY_AFTER)?;
        let seconds = value.to_str().ok().and_then(|v| v.trim().parse().ok()).map(Duration::from_secs);
        let wait = match seconds {
            Some(wait) => wait,
            None => Duration::try_from(http_date(value)?.duration_since(self.date()?)).ok()?,
        };
        Some(wait.min(LONGEST_WAIT))
    }

    /// `Azure-AsyncOperation`, else `Location`; `None` if it is not an address that our token may go to.
    pub fn accepted(&self, cloud: &Cloud) -> Accepted {
        let address = |name| Url::parse(self.headers.get(name)?.to_str().ok()?).ok();
        let ours = |url: &Url| cloud.admits(Audience::Arm, url);
        let operation = [ASYNC_OPERATION, LOCATION].into_iter().find_map(|name| address(name).filter(ours));
        Accepted { operation, date: self.date() }
    }

    /// The service's own account: its JSON, or a blob's header and XML (a HEAD has the header only).
    fn fault(&self) -> Option<Fault> {
        if self.service == Service::Web {
            return Some(Fault::new(self.status.to_string(), ""));
        }
        if let Some(code) = self.headers.get(ERROR_CODE).filter(|_| self.service == Service::Blob) {
            let xml = String::from_utf8_lossy(&self.body);
            let element = |name: &str| {
                let (_, rest) = xml.split_once(&format!("<{name}>"))?;
                // The lines after the first hold a request id and the time.
                Some(rest.split_once("</")?.0.lines().next().unwrap_or_default().trim())
            };
            // What is wrong with a token; the message above it only points to a header.
            let message = element("AuthenticationErrorDetail").or_else(|| element("Message")).unwrap_or_default();
            return Some(Fault::new(String::from_utf8_lossy(code.as_bytes()), shorten(message)));
        }
        if self.cut.is_some() { None } else { Fault::from_slice(&self.body) }
    }

    /// What a reply without success means.
    ///
    /// Only the service itself can say that it declined, and it says so in its own error body: a status without one may
    /// be a proxy's, after the request went through. ARM always has one. Of the other services, whose calls are reads or
    /// are named by content, a challenge and a 429 are believed without.
    pub fn into_error(self) -> Error {
        let (status, retry_after, fault) = (self.status.as_u16(), self.retry_after(), self.fault());
        let challenged = self.headers.contains_key(WWW_AUTHENTICATE);
        let believed = fault.is_some() || self.service != Service::Arm;
        let (call, service, scope) = (self.call, self.service, self.scope);
        let unknown = |reason| Error::Unknown { call: call.clone(), status: Some(status), reason, retry_after };
        match (status, fault) {
            (429, _) if believed => Error::Throttled { call, retry_after },
            (401, None) if believed && challenged => {
                Error::Unauthorized { call, service, message: "the service gave no reason".to_owned() }
            }
            (408 | 500..=599, Some(fault)) => unknown(format!("the service failed with {status}, {fault}")),
            (401 | 403, Some(fault)) if service == Service::Web => forbidden(call, service, scope, &fault),
            (401, Some(fault)) => Error::Unauthorized { call, service, message: mistrust(&fault) },
            (403, Some(fault)) if is_about_the_token(&fault) => {
                Error::Unauthorized { call, service, message: mistrust(&fault) }
            }
            (403, Some(fault)) if !fault.has_code("RequestDisallowedByPolicy") => {
                forbidden(call, service, scope, &fault)
            }
            (404, Some(fault)) => Error::NotFound { call, fault },
            (400..=499, Some(fault)) => Error::Refused { call, status, fault },
            (300..=399, _) => unknown(format!("answered with a redirect ({status}), which is not followed")),
            _ => unknown(format!("answered {status} without the service's error body, perhaps by a proxy")),
        }
    }
}

/// Application Insights says 403 of a token that it cannot accept, which no role would mend.
fn is_about_the_token(fault: &Fault) -> bool {
    let codes = ["InvalidTokenError", "InvalidAuthenticationToken", "InvalidAuthenticationTokenAudience", CODE_EXPIRED];
    codes.iter().any(|code| fault.has_code(code))
}

const CODE_EXPIRED: &str = "ExpiredAuthenticationToken";

/// The service's words about a token, but for times.
fn mistrust(fault: &Fault) -> String {
    let expired = fault.has_code(CODE_EXPIRED) || fault.sentence().contains("expiry UTC time");
    if expired { format!("{}: {EXPIRED}", fault.innermost()) } else { fault.to_string() }
}

/// ARM: `… does not have authorization to perform action '<action>' over scope '<scope>' or the scope is invalid. …`; of
/// another resource that the request names: `… has permission to perform action '…' on scope '…'; however, it does not
/// have permission to perform action(s) '<action>' on the linked scope(s) '<scope>' …`.
fn forbidden(call: String, service: Service, scope: String, fault: &Fault) -> Error {
    let sentence = fault.sentence();
    let quoted = |after: &str| -> Option<String> {
        let (_, rest) = sentence.split_once(after)?;
        rest.split_once('\'').map(|(value, _)| value.to_owned())
    };
    let action = quoted("perform action(s) '").or_else(|| quoted("perform action '")).unwrap_or_default();
    let scope = quoted("linked scope(s) '").or_else(|| quoted("over scope '")).unwrap_or(scope);
    Error::Forbidden { call, service, action, scope, message: fault.to_string() }
}

fn http_date(value: &HeaderValue) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.as_bytes()).ok()
}

#[cfg(test)]
mod tests;
