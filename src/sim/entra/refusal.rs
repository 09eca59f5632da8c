//! How each API says that it does not accept a token.

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::sim::{clock, http::Response};

/// Whose words a refusal is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    Arm,
    Flow,
    Insights,
    Storage,
    Scoring,
}

/// What is wrong with the token of a request.
#[derive(Debug)]
pub(super) enum Why {
    Missing,
    Malformed,
    Signature,
    Expired { at: i64 },
    Audience { got: String },
}

impl Why {
    /// The code of Azure Resource Manager.
    fn arm_code(&self) -> &'static str {
        match self {
            Self::Missing => "AuthenticationFailed",
            Self::Malformed | Self::Signature => "InvalidAuthenticationToken",
            Self::Expired { .. } => "ExpiredAuthenticationToken",
            Self::Audience { .. } => "InvalidAuthenticationTokenAudience",
        }
    }

    fn message(&self, audience: &str, now: Timestamp) -> String {
        match self {
            Self::Missing => "Authentication failed. The 'Authorization' header is missing.".into(),
            Self::Malformed => "The access token is invalid.".into(),
            Self::Signature => "The access token signature is invalid.".into(),
            Self::Expired { at } => {
                let at = Timestamp::from_second(*at).unwrap_or(Timestamp::MIN);
                format!("The access token expiry UTC time '{at}' is earlier than current UTC time '{now}'.")
            }
            Self::Audience { got } => format!(
                "The access token has been obtained for wrong audience or resource '{got}'. It should exactly match \
                 with one of the allowed audiences '{audience}/','{audience}'."
            ),
        }
    }
}

pub(super) fn response(why: &Why, flavour: Flavour, tenant: &str, audience: &str, now: Timestamp) -> Response {
    let message = why.message(audience, now);
    let authority = format!("https://login.microsoftonline.com/{tenant}");
    match flavour {
        Flavour::Arm => Response::json(401, &json!({"error": {"code": why.arm_code(), "message": message}})).with(
            "www-authenticate",
            format!(
                "Bearer authorization_uri=\"{authority}\", error=\"invalid_token\", error_description=\"{message}\""
            ),
        ),
        Flavour::Flow => Response::json(
            401,
            &json!({
                "error": {"code": "UserError", "severity": null, "message": message, "messageFormat": null,
                    "messageParameters": {}, "referenceCode": null, "detailsUri": null, "target": null, "details": [],
                    "innerError": {"code": "Unauthorized", "innerError": null}, "debugInfo": null,
                    "additionalInfo": null},
                "correlation": {"operation": Uuid::new_v4().simple().to_string(),
                    "request": Uuid::new_v4().simple().to_string()[..16]},
                "environment": null, "location": null, "time": clock::iso(now), "componentName": "Gateway",
                "statusCode": 401,
            }),
        ),
        // The query API documents 401 for a missing token and 403 for one that it cannot accept.
        Flavour::Insights => {
            let (status, code) = match why {
                Why::Missing => (401, "AuthorizationRequiredError"),
                Why::Audience { .. } => (403, "InvalidAuthenticationTokenAudience"),
                _ => (403, "InvalidAuthenticationToken"),
            };
            Response::json(status, &json!({"error": {"code": code, "message": message}}))
        }
        Flavour::Storage => storage(why, &message, &authority, now),
        Flavour::Scoring => Response::json(401, &json!({"error": {"code": "Unauthorized", "message": message}})),
    }
}

fn storage(why: &Why, message: &str, authority: &str, now: Timestamp) -> Response {
    let code = if matches!(why, Why::Missing) { "NoAuthenticationInformation" } else { "InvalidAuthenticationInfo" };
    let (id, time) = (Uuid::new_v4(), clock::iso(now));
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>Server failed to authenticate \
         the request. See the WWW-Authenticate header.\nRequestId:{id}\nTime:{time}</Message>\
         <AuthenticationErrorDetail>{message}</AuthenticationErrorDetail></Error>"
    );
    let mut response = Response::text(401, text);
    response.headers = vec![("content-type".into(), "application/xml".into())];
    response.with("x-ms-error-code", code).with("x-ms-request-id", id.to_string()).with(
        "www-authenticate",
        format!("Bearer authorization_uri={authority}/oauth2/authorize resource_id=https://storage.azure.com"),
    )
}
