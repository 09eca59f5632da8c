//! How the storage service refuses: XML, with the code in a header too.

use jiff::Timestamp;

use crate::sim::{
    clock,
    http::{Request, Response},
};

#[derive(Debug)]
pub(super) enum Refusal {
    /// Status, code, message, and what is added to the body.
    Said { status: u16, code: &'static str, message: String, more: String },
    /// The reply is made already.
    Ready(Response),
}

impl Refusal {
    pub fn plain(status: u16, code: &'static str, message: &str) -> Self {
        Self::Said { status, code, message: message.to_owned(), more: String::new() }
    }

    pub fn no_blob() -> Self {
        Self::plain(404, "BlobNotFound", "The specified blob does not exist.")
    }

    pub fn no_container() -> Self {
        Self::plain(404, "ContainerNotFound", "The specified container does not exist.")
    }

    pub fn condition() -> Self {
        let text = "The condition specified using HTTP conditional header(s) is not met.";
        Self::plain(412, "ConditionNotMet", text)
    }

    pub fn permission() -> Self {
        let text = "This request is not authorized to perform this operation using this permission.";
        Self::plain(403, "AuthorizationPermissionMismatch", text)
    }

    pub fn authentication(detail: &str) -> Self {
        let text = "Server failed to authenticate the request. Make sure the value of Authorization header is formed \
                    correctly including the signature.";
        let more = element("AuthenticationErrorDetail", detail);
        Self::Said { status: 403, code: "AuthenticationFailed", message: text.into(), more }
    }

    pub fn missing_header(name: &str) -> Self {
        let text = "An HTTP header that's mandatory for this request is not specified.";
        let (message, more) = (text.to_owned(), element("HeaderName", name));
        Self::Said { status: 400, code: "MissingRequiredHeader", message, more }
    }

    pub fn header(name: &str, why: &str) -> Self {
        let message = format!("The value for one of the HTTP headers is not in the correct format. ({why})");
        Self::Said { status: 400, code: "InvalidHeaderValue", message, more: element("HeaderName", name) }
    }

    pub fn unsupported(req: &Request) -> Self {
        let message = format!(
            "The resource doesn't support specified Http Verb. ({} with restype={:?} comp={:?} is not simulated)",
            req.method,
            req.param("restype").unwrap_or_default(),
            req.param("comp").unwrap_or_default()
        );
        Self::Said { status: 405, code: "UnsupportedHttpVerb", message, more: String::new() }
    }

    pub fn reply(self, req: &Request, now: Timestamp) -> Response {
        let (status, code, message, more) = match self {
            Self::Ready(reply) => return reply,
            Self::Said { status, code, message, more } => (status, code, message, more),
        };
        if req.method == "HEAD" {
            return Response::empty(status).with("x-ms-error-code", code);
        }
        let message = escaped(&format!("{message}\nRequestId:{}\nTime:{}", uuid::Uuid::new_v4(), clock::iso(now)));
        xml(status, &format!("<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"))
            .with("x-ms-error-code", code)
    }
}

pub(super) fn xml(status: u16, content: &str) -> Response {
    let mut reply = Response::text(status, format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>{content}"));
    reply.headers = vec![("content-type".into(), "application/xml".into())];
    reply
}

pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
