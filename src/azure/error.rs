//! What can go wrong with a call, by what the caller has to do about it.

use std::time::Duration;

use super::{
    Fault, Service,
    troubles::{self, roles},
};

/// Why a call has no result. `call` names it for people, e.g. `PUT onlineEndpoints/qa-prod`; it holds no query string,
/// so no signature of a SAS, and nothing that changes from one attempt to the next.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// No reply, a time-out, 408, 5xx, or an answer without the service's error body (a proxy's, a cut one): the
    /// request may have been carried out.
    #[error(
        "{call}: {reason}; whether it was carried out is not known, read the resource before trying again{}",
        told(troubles::of_unknown(*status, reason))
    )]
    Unknown { call: String, status: Option<u16>, reason: String, retry_after: Option<Duration> },
    /// The service understood and declined.
    #[error("{call}: refused with {status}, {}", refusal(*status, fault))]
    Refused { call: String, status: u16, fault: Fault },
    #[error("{call}: not found, {}", refusal(404, fault))]
    NotFound { call: String, fault: Fault },
    /// 403. `action` is empty where the service names none; `scope` then says in words on what a role is missing.
    #[error("{call}: not allowed, {}", forbidden(*service, action, scope, message))]
    Forbidden { call: String, service: Service, action: String, scope: String, message: String },
    /// The service did not take the token that Entra ID gave us: 401, or what the service says in its place.
    #[error("{call}: the token was not accepted by {}, {}{}", service.name(), bare(message), told(troubles::of_denial(401, *service, message)))]
    Unauthorized { call: String, service: Service, message: String },
    /// Entra ID refused a token, or the assertion for it could not be had. Nothing was sent to the service. (Entra ID out
    /// of reach is [`Error::Unreachable`].)
    #[error("no token for {scope}: {}", refused_exchange(message))]
    Token { scope: String, message: String },
    /// There is nobody to ask for a token as.
    #[error("{0}")]
    NoIdentity(String),
    /// 429.
    #[error("{call}: throttled, {}{}", wait(*retry_after), troubles::throttled().told())]
    Throttled { call: String, retry_after: Option<Duration> },
    /// The certificate of the host (or of the proxy before it) is not trusted. Nothing was sent.
    #[error(
        "{host}: its TLS certificate is not trusted ({reason}); if a proxy inspects traffic, put its CA certificate into \
         a PEM file together with the public ones and name that file in SSL_CERT_FILE"
    )]
    Certificate { host: String, reason: String },
    /// There is no connection. Nothing was sent.
    #[error("{host}: no connection ({reason}); check DNS, egress rules and HTTPS_PROXY")]
    Unreachable { host: String, reason: String },
    /// The address is not one that a token of this cloud may be sent to. Nothing was sent.
    #[error(
        "{host}: not a host of {cloud:?}, so no token is sent to it; allowed are https addresses of that cloud's services"
    )]
    ForeignHost { host: String, cloud: super::CloudName },
    /// The call names nothing that may be sent. Nothing was.
    #[error("{call}: not sent, {reason}")]
    NotSent { call: String, reason: String },
    /// What was to be fetched is larger than the caller takes.
    #[error("{call}: larger than the {limit} bytes that are taken{}", troubles::too_large().told())]
    TooLarge { call: String, limit: usize },
    /// A reply that is not what the service documents.
    #[error("{call}: the reply is not understood, {reason}")]
    Malformed { call: String, reason: String },
    /// A query that succeeded in part; its rows are incomplete and are not handed out.
    #[error("{call}: the result is incomplete ({message}), so it counts as none")]
    Partial { call: String, message: String },
}

/// What an error means for what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A write may have been applied, or a read gave no answer.
    Unknown,
    /// Asking again changes nothing.
    Refused,
    NotFound,
    /// A person has to grant or repair something: 401, 403, a token refused.
    Denied,
    /// Later.
    Throttled,
    /// It never left this process.
    NotSent,
}

impl Error {
    pub fn class(&self) -> Class {
        match self {
            Self::Unknown { .. } | Self::Malformed { .. } | Self::Partial { .. } => Class::Unknown,
            Self::Refused { .. } | Self::TooLarge { .. } => Class::Refused,
            Self::NotFound { .. } => Class::NotFound,
            Self::Forbidden { .. } | Self::Unauthorized { .. } | Self::Token { .. } | Self::NoIdentity(_) => {
                Class::Denied
            }
            Self::Throttled { .. } => Class::Throttled,
            Self::Certificate { .. } | Self::Unreachable { .. } | Self::ForeignHost { .. } | Self::NotSent { .. } => {
                Class::NotSent
            }
        }
    }

    /// Whether a write that ended in this error may have been applied, now or later.
    pub fn may_have_landed(&self) -> bool {
        self.class() == Class::Unknown
    }

    pub fn is_not_found(&self) -> bool {
        self.class() == Class::NotFound
    }

    /// How long the service asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Unknown { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What it is known as.
    pub fn trouble(&self) -> Option<&'static troubles::Trouble> {
        match self {
            Self::Refused { status, fault, .. } => troubles::of_refusal(*status, fault),
            Self::NotFound { fault, .. } => troubles::of_refusal(404, fault),
            Self::Unknown { status, reason, .. } => troubles::of_unknown(*status, reason),
            Self::Forbidden { service, message, .. } => troubles::of_denial(403, *service, message),
            Self::Unauthorized { service, message, .. } => troubles::of_denial(401, *service, message),
            Self::Token { message, .. } => troubles::of_token(message),
            Self::Throttled { .. } => Some(troubles::throttled()),
            Self::TooLarge { .. } => Some(troubles::too_large()),
            _ => None,
        }
    }

    /// What the service said, where it said something.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Refused { fault, .. } | Self::NotFound { fault, .. } => Some(fault),
            _ => None,
        }
    }
}

/// Absence as a value.
pub fn optional<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn wait(retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(time) => format!("the service asks to wait {} s", time.as_secs_f64().ceil()),
        None => "the service does not say for how long".to_owned(),
    }
}

/// Of what is not in the table, nothing.
fn told(trouble: Option<&troubles::Trouble>) -> String {
    trouble.map(troubles::Trouble::told).unwrap_or_default()
}

/// The service's words, in full only where the table has none to add.
fn refusal(status: u16, fault: &Fault) -> String {
    match troubles::of_refusal(status, fault) {
        Some(known) => format!("{}{}", troubles::brief(fault), known.told()),
        None => fault.to_string(),
    }
}

/// A refusal of Entra ID, and what to do about it where its own text does not say it.
fn refused_exchange(message: &str) -> String {
    match troubles::of_token(message) {
        Some(known) => format!("{}{}", bare(message), known.told()),
        None => message.to_owned(),
    }
}

/// A sentence that goes on.
fn bare(message: &str) -> &str {
    message.trim_end_matches('.')
}

fn forbidden(service: Service, action: &str, scope: &str, message: &str) -> String {
    let remedy = told(troubles::of_denial(403, service, message));
    let role =
        roles::with(action).map_or_else(|| "a role with this action".to_owned(), |role| format!("the role {role}"));
    let known = !action.is_empty() && !scope.is_empty();
    let place = match scope {
        _ if known => "there".to_owned(),
        "" => "on the workspace".to_owned(),
        scope => format!("on {scope}"),
    };
    let remedy = troubles::fill(&remedy, &[("role", &role), ("where", &place)]);
    if known { format!("{action} on {scope}{remedy}") } else { format!("{}{remedy}", bare(message)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Error {
        Error::Refused { call: "PUT x".into(), status: 409, fault: Fault::new("Conflict", "busy") }
    }

    #[test]
    fn only_what_is_unknown_may_have_landed() {
        let call = || "PUT x".to_owned();
        let text = String::new;
        let all = [
            (Error::Unknown { call: call(), status: None, reason: text(), retry_after: None }, Class::Unknown),
            (Error::Malformed { call: call(), reason: text() }, Class::Unknown),
            (Error::Partial { call: call(), message: text() }, Class::Unknown),
            (refused(), Class::Refused),
            (Error::TooLarge { call: call(), limit: 1 }, Class::Refused),
            (Error::NotFound { call: call(), fault: Fault::default() }, Class::NotFound),
            (
                Error::Forbidden {
                    call: call(),
                    service: Service::Arm,
                    action: text(),
                    scope: text(),
                    message: text(),
                },
                Class::Denied,
            ),
            (Error::Unauthorized { call: call(), service: Service::Flow, message: text() }, Class::Denied),
            (Error::Token { scope: text(), message: text() }, Class::Denied),
            (Error::Throttled { call: call(), retry_after: None }, Class::Throttled),
            (Error::Certificate { host: text(), reason: text() }, Class::NotSent),
            (Error::Unreachable { host: text(), reason: text() }, Class::NotSent),
            (Error::ForeignHost { host: text(), cloud: crate::azure::CloudName::AzurePublic }, Class::NotSent),
            (Error::NotSent { call: call(), reason: text() }, Class::NotSent),
        ];
        for (error, class) in all {
            assert_eq!(error.class(), class, "{error:?}");
            assert_eq!(error.may_have_landed(), class == Class::Unknown, "{error:?}");
        }
    }

    #[test]
    fn absence_is_a_value_and_no_other_error_is() {
        let absent = Error::NotFound { call: "GET x".into(), fault: Fault::new("NotFound", "no") };
        assert_eq!(optional(Ok(1)), Ok(Some(1)));
        assert_eq!(optional::<u8>(Err(absent)), Ok(None));
        assert_eq!(optional::<u8>(Err(refused())), Err(refused()));
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds() {
        let throttled = |retry_after| Error::Throttled { call: "GET x".into(), retry_after }.to_string();
        let said = |text: &str| format!("{text}{}", troubles::throttled().told());
        let wait = Duration::from_millis(1_500);
        assert_eq!(throttled(Some(wait)), said("GET x: throttled, the service asks to wait 2 s"));
        assert_eq!(throttled(None), said("GET x: throttled, the service does not say for how long"));
    }
}
