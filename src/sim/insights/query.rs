//! The query API: `GET` and `POST /v1/apps/{appId}/query`.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    kql::{self, Encoding, Refusal, Table},
    table,
    timespan::Timespan,
};
use crate::sim::{cloud::Sim, entra::Flavour, http, mutex::lock};

pub const HOST: &str = "api.applicationinsights.io";
const AUDIENCE: &str = "https://api.applicationinsights.io";

pub fn handle(sim: &Sim, req: &http::Request) -> http::Response {
    match sim.entra.check(req, AUDIENCE, Flavour::Insights) {
        Err(refusal) => return refusal,
        Ok(who) if sim.entra.denies(&who, AUDIENCE) => {
            let text = "The provided credentials have insufficient access to perform the requested operation";
            return error(403, "InsufficientAccessError", text, None);
        }
        Ok(_) => {}
    }
    let app = match req.path.split('/').collect::<Vec<_>>()[..] {
        ["", "v1", "apps", app, "query"] => app,
        _ => return error(404, "PathNotFoundError", "The requested path does not exist", None),
    };
    if !app.eq_ignore_ascii_case(&sim.settings.insights_app_id) {
        let text = format!("The application {app} could not be found.");
        return error(404, "ResourceNotFoundError", &text, None);
    }
    let asked = match Asked::read(req, sim.clock.now()) {
        Ok(Some(asked)) => asked,
        // Documented: without a body, or with one of another type, there is an answer, and nothing in it.
        Ok(None) => return http::Response::empty(200),
        Err(refusal) => return refusal,
    };
    answer(sim, &asked)
}

fn answer(sim: &Sim, asked: &Asked) -> http::Response {
    let store = lock(&sim.insights);
    let now = sim.clock.now();
    let query = match kql::parse(&asked.query) {
        Ok(query) => query,
        Err(refusal) => return refused(&refusal),
    };
    if store.knobs.empty_is_no_content && store.visible(now).next().is_none() {
        return http::Response::empty(204);
    }
    let events = store.visible(now).filter(|event| asked.timespan.contains(event.timestamp));
    let encoding =
        Encoding { numbers_as_text: store.knobs.numbers_as_text, dynamic_as_json: store.knobs.dynamic_as_json };
    match query.run(table::custom_events(events, &sim.settings)) {
        Ok(found) => http::Response::json(200, &render(&found, encoding)),
        Err(refusal) => refused(&refusal),
    }
}

fn render(found: &Table, encoding: Encoding) -> Value {
    let columns: Vec<Value> =
        found.columns.iter().map(|column| json!({"name": column.name, "type": column.kind.name()})).collect();
    let rows: Vec<Value> =
        found.rows.iter().map(|row| row.cells.iter().map(|cell| cell.render(encoding)).collect()).collect();
    json!({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]})
}

/// What a request asks for.
struct Asked {
    query: String,
    timespan: Timespan,
}

impl Asked {
    /// None: there is no query to be read.
    fn read(req: &http::Request, now: Timestamp) -> Result<Option<Self>, http::Response> {
        let body = match req.method.as_str() {
            "GET" => json!({"query": req.param("query")}),
            "POST" => {
                let json = req.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
                if !json || req.body.is_empty() {
                    return Ok(None);
                }
                serde_json::from_slice(&req.body).map_err(|e| invalid(&format!("The body is not JSON: {e}")))?
            }
            _ => return Err(http::Response::empty(405).with("allow", "GET, POST")),
        };
        let text = |field: &str| body.get(field).and_then(Value::as_str);
        let query = text("query").ok_or_else(|| invalid("The query is missing."))?;
        let span = |text: Option<&str>| match text {
            None => Ok(Timespan::ALL),
            Some(text) => Timespan::parse(text, now).ok_or_else(|| invalid(&format!("Invalid timespan: {text}"))),
        };
        // If both are given, what both cover.
        let timespan = span(text("timespan"))?.and(span(req.param("timespan"))?);
        Ok(Some(Self { query: query.to_owned(), timespan }))
    }
}

fn invalid(message: &str) -> http::Response {
    let inner = json!({"code": "QueryValidationError", "message": message});
    error(400, "BadArgumentError", "The request had some invalid properties", Some(inner))
}

fn refused(refusal: &Refusal) -> http::Response {
    let inner = match refusal {
        Refusal::Syntax { message, token, place } => json!({
            "code": "SyntaxError",
            "message": "A recognition error occurred in the query.",
            "innererror": {"code": "SYN0002", "message": message, "line": place.line, "pos": place.pos, "token": token},
        }),
        Refusal::Semantic { code, message } => json!({
            "code": "SemanticError",
            "message": "A semantic error occurred.",
            "innererror": {"code": code, "message": message},
        }),
    };
    error(400, "BadArgumentError", "The request had some invalid properties", Some(inner))
}

fn error(status: u16, code: &str, message: &str, inner: Option<Value>) -> http::Response {
    let mut error = json!({"message": message, "code": code, "correlationId": Uuid::new_v4().to_string()});
    if let Some(inner) = inner {
        error["innererror"] = inner;
    }
    http::Response::json(status, &json!({"error": error}))
}
