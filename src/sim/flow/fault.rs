//! Errors in the shape that all these services share: of a call, of a run, of a line. The code that tells is the
//! innermost one.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::sim::{clock, http::Response};

/// What went wrong, with codes from the outermost to the innermost.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Root {
    pub codes: Vec<String>,
    /// With `{names}` for the parameters.
    pub format: String,
    /// None: the format with its parameters.
    pub said: Option<String>,
    pub parameters: Vec<(String, String)>,
    pub reference: String,
}

impl Root {
    pub fn new(codes: &[&str], format: &str, parameters: &[(&str, &str)], reference: &str) -> Self {
        Self {
            codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            format: format.to_owned(),
            said: None,
            parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            reference: reference.to_owned(),
        }
    }

    /// An error as Prompt flow writes it.
    pub fn of_json(error: &Value) -> Self {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        let codes = std::iter::successors(Some(error), |error| error.get("innerError"));
        let codes = codes.map_while(|error| error["code"].as_str().map(str::to_owned)).collect();
        let parameters = error["messageParameters"].as_object().into_iter().flatten();
        let parameters = parameters
            .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        Self {
            codes,
            format: text("messageFormat"),
            said: Some(text("message")),
            parameters: parameters.collect(),
            reference: text("referenceCode"),
        }
    }

    pub fn message(&self) -> String {
        let put = |text: String, (name, value): &(String, String)| text.replace(&format!("{{{name}}}"), value);
        self.said.clone().unwrap_or_else(|| self.parameters.iter().fold(self.format.clone(), put))
    }

    /// `UserError/ToolExecutionError`: the outermost and the innermost code.
    pub fn path(&self) -> String {
        match self.codes.as_slice() {
            [first, .., last] => format!("{first}/{last}"),
            [only] => only.clone(),
            [] => String::new(),
        }
    }

    pub fn to_json(&self) -> Value {
        let inner =
            self.codes.iter().skip(1).rev().fold(Value::Null, |inner, code| json!({"code": code, "innerError": inner}));
        let parameters: Map<String, Value> =
            self.parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "code": self.codes.first(), "severity": null, "message": self.message(), "messageFormat": self.format,
            "messageParameters": parameters, "referenceCode": self.reference, "detailsUri": null, "target": null,
            "details": [], "innerError": inner, "debugInfo": null, "additionalInfo": null,
        })
    }
}

/// The refusal of a call.
#[derive(Debug)]
pub(super) enum Fault {
    Said {
        status: u16,
        component: &'static str,
        root: Box<Root>,
    },
    /// The reply is made already.
    Ready(Response),
}

const HISTORY: &str = "run-history";
const SERVICE: &str = "PromptFlowOrchestrator";

impl Fault {
    fn user(status: u16, component: &'static str, code: &str, text: &str) -> Self {
        Self::Said { status, component, root: Box::new(Root::new(&["UserError", code], text, &[], "")) }
    }

    pub fn no_run(id: &str) -> Self {
        Self::user(404, HISTORY, "NotFoundError", &format!("Run runId={id} was not found"))
    }

    /// Microsoft's client names 409 for this; the body is not documented.
    pub fn run_exists(id: &str) -> Self {
        Self::user(409, SERVICE, "RunAlreadyExists", &format!("Run {id} already exists."))
    }

    pub fn bad_request(why: &str) -> Self {
        Self::user(400, SERVICE, "BadArgument", &format!("The request is not valid: {why}"))
    }

    /// What the service says to this is not documented.
    pub fn no_flow(path: &str) -> Self {
        let text = format!("The flow definition {path} was not found in datastore workspaceblobstore.");
        Self::user(400, SERVICE, "FlowDefinitionNotFound", &text)
    }

    /// The wording is not documented.
    pub fn no_asset(id: &str) -> Self {
        Self::user(404, SERVICE, "NotFoundError", &format!("{id} was not found."))
    }

    pub fn no_workspace(path: &str) -> Self {
        Self::user(404, SERVICE, "WorkspaceNotFound", &format!("The workspace of {path} was not found."))
    }

    pub fn no_user_token() -> Self {
        Self::user(401, SERVICE, "Unauthorized", "The header aml-user-token is missing.")
    }

    /// Whether the service asks for this is not documented.
    pub fn person_only() -> Self {
        let text = "The token in aml-user-token is that of an application; a bulk run needs that of a user.";
        Self::user(403, SERVICE, "Forbidden", text)
    }

    /// The wording is not documented.
    pub fn no_role(object: &str) -> Self {
        let text = format!("The identity with object id {object} does not have authorization to perform this action.");
        Self::user(403, SERVICE, "Forbidden", &text)
    }

    pub fn no_route(method: &str, service: &str, path: &str) -> Self {
        let text = format!("{method} {path} is not simulated (service {service:?}).");
        Self::user(404, SERVICE, "NotFound", &text)
    }

    pub fn reply(self, location: &str, now: Timestamp) -> Response {
        let (status, component, root) = match self {
            Self::Ready(reply) => return reply,
            Self::Said { status, component, root } => (status, component, root),
        };
        let id = || Uuid::new_v4().simple().to_string();
        Response::json(
            status,
            &json!({
                "error": root.to_json(),
                "correlation": {"operation": id(), "request": &id()[..16]},
                "environment": location, "location": location, "time": clock::iso(now),
                "componentName": component, "statusCode": status,
            }),
        )
    }
}
