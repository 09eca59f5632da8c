//! A way to the API server on which every write can be seen, and one of them held.

use std::{
    collections::{BTreeSet, HashMap},
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use kube::Client;
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::Ground;

/// More than any object.
const MOST_BODY: usize = 4 << 20;

/// Fields of a status that repeat for people what others say: they are not in names.
const FOR_PEOPLE: [&str; 5] = ["conditions", "observedGeneration", "stage", "stageStartedAt", "timeline"];
/// Fields further down are named by those that they are in.
const DEPTH: usize = 3;

/// Whether a request that is held gets to its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It does not.
    Before,
    /// It is carried out, and its reply is never seen.
    After,
}

/// An HTTP proxy in front of the API server, for one operator. It has two tasks.
///
/// - It shows the operator one namespace as if it were the cluster: where both kinds are listed and watched in all
///   namespaces, this one is asked instead. So operators that know nothing of each other work on one control plane.
///   Everything else goes through as it is.
/// - It notes each write under a name (see [`name`]), and holds one of them for ever if it is told so: see [`Tap::hold`].
///   Writes of the Lease are passed over: they are the process's own.
#[derive(Debug)]
pub struct Tap {
    port: u16,
    line: Arc<Line>,
    task: JoinHandle<()>,
}

struct Line {
    to: Client,
    namespace: String,
    state: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    writes: Vec<String>,
    /// What was last sent to a path: what is new in a status is a part of its name.
    written: HashMap<String, Value>,
    trap: Option<Trap>,
}

/// Whether a write is the one, by the names of those before it and its own.
type IsIt = dyn Fn(&[String], &str) -> bool + Send;

struct Trap {
    is_it: Box<IsIt>,
    moment: Moment,
    sprung: bool,
}

impl Tap {
    /// For an operator that is to see this namespace only, and to have the rights of `to`.
    pub async fn open(to: Client, namespace: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let line = Arc::new(Line { to, namespace: namespace.to_owned(), state: Mutex::default() });
        let router = Router::new().fallback(pass_on).with_state(line.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self { port, line, task }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig(&self, ground: &Ground) -> PathBuf {
        let path = ground.folder().join(format!("{}.kubeconfig", self.line.namespace));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tap", "cluster": {"server": format!("http://127.0.0.1:{}", self.port)}}],
            "users": [{"name": "tap", "user": {}}],
            "contexts": [{"name": "tap", "context": {"cluster": "tap", "user": "tap"}}],
            "current-context": "tap",
        });
        std::fs::write(&path, config.to_string()).expect("written");
        path
    }

    /// Names of all writes so far, in their order.
    pub fn writes(&self) -> Vec<String> {
        self.line.seen().writes.clone()
    }

    /// The object of this kind (`promptreleases`) with the status that was last sent for it.
    pub fn told(&self, kind: &str) -> Option<Value> {
        let seen = self.line.seen();
        let mut told = seen.written.iter().filter(|(path, _)| path.ends_with("/status") && path.contains(kind));
        told.next().map(|(_, object)| object.clone())
    }

    /// Holds the one write of which `is_it` says so, by the names of the writes before it and its own.
    pub fn hold(&self, is_it: impl Fn(&[String], &str) -> bool + Send + 'static, moment: Moment) {
        self.line.seen().trap = Some(Trap { is_it: Box::new(is_it), moment, sprung: false });
    }

    /// Whether that write has come and is held.
    pub fn holds(&self) -> bool {
        self.line.seen().trap.as_ref().is_some_and(|trap| trap.sprung)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Line {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never returns: whoever waits for the reply is to be killed.
    async fn hold(&self) -> Response {
        if let Some(trap) = self.seen().trap.as_mut() {
            trap.sprung = true;
        }
        std::future::pending().await
    }
}

impl Seen {
    /// Notes a write, and says whether it is to be held.
    fn note(&mut self, method: &Method, path: &str, body: &[u8]) -> Option<Moment> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = name(method, path, self.written.get(path).unwrap_or(&Value::Null), &body);
        self.written.insert(path.to_owned(), body);
        let trap = self.trap.as_ref().filter(|trap| (trap.is_it)(&self.writes, &name)).map(|trap| trap.moment);
        self.writes.push(name);
        trap
    }
}

async fn pass_on(State(line): State<Arc<Line>>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let body = to_bytes(body, MOST_BODY).await.unwrap_or_default();
    let path = head.uri.path().to_owned();
    let writes = !matches!(head.method, Method::GET | Method::HEAD) && !path.contains("/leases");
    let held = writes.then(|| line.seen().note(&head.method, &path, &body)).flatten();
    if held == Some(Moment::Before) {
        return line.hold().await;
    }
    head.uri = within(&line.namespace, &head.uri);
    head.headers.remove("host");
    let sent = line.to.send(axum::http::Request::from_parts(head, kube::client::Body::from(body))).await;
    if held == Some(Moment::After) {
        return line.hold().await;
    }
    match sent {
        Ok(reply) => reply.map(Body::new),
        Err(problem) => (StatusCode::BAD_GATEWAY, problem.to_string()).into_response(),
    }
}

/// The address that is asked instead.
fn within(namespace: &str, uri: &Uri) -> Uri {
    const GROUP: &str = "/apis/promptrelease.io/v1alpha1/";
    let Some(rest) = uri.path().strip_prefix(GROUP).filter(|rest| !rest.contains('/')) else { return uri.clone() };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{GROUP}namespaces/{namespace}/{rest}{query}").parse().expect("a URI")
}

/// What is written: method and resource, and of a status what it says that the one before it did not, without times,
/// numbers and texts.
fn name(method: &Method, path: &str, before: &Value, body: &Value) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|part| *part == "namespaces").map_or(0, |at| at + 2);
    let resource = match parts.get(at..) {
        Some([resource, _, sub]) => format!("{resource}/{sub}"),
        Some([resource, ..]) => (*resource).to_owned(),
        _ => path.to_owned(),
    };
    let mut new = Vec::new();
    news("", &facts(before), &facts(body), &mut new);
    new.sort_unstable();
    new.dedup();
    [vec![method.to_string(), resource], new].concat().join(" ")
}

/// The status without what repeats for people what the rest says.
fn facts(object: &Value) -> Value {
    let fields = object["status"].as_object().cloned().unwrap_or_default();
    fields.into_iter().filter(|(field, _)| !FOR_PEOPLE.contains(&field.as_str())).collect::<Map<_, _>>().into()
}

/// Fields that differ or are gone, by their paths, with the words (such as `Raise`) that stand there now.
fn news(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        _ if before == after => {}
        (_, Value::Object(fields)) => {
            let gone = before.as_object().into_iter().flatten().map(|(field, _)| field);
            let all: BTreeSet<&String> = fields.iter().map(|(field, _)| field).chain(gone).collect();
            for field in all {
                let inner = match path {
                    "" => field.clone(),
                    deep if deep.split('.').count() >= DEPTH => deep.to_owned(),
                    path => format!("{path}.{field}"),
                };
                news(&inner, &before[field], &after[field], found);
            }
        }
        (_, Value::Array(items)) => {
            let old = before.as_array().map_or(&[][..], Vec::as_slice);
            found.extend(old.iter().any(|item| !items.contains(item)).then(|| path.to_owned()));
            for item in items.iter().filter(|item| !old.contains(item)) {
                news(path, &Value::Null, item, found);
            }
        }
        (_, Value::String(word)) if word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphanumeric) => {
            found.push(format!("{path}={word}"));
        }
        _ => found.push(path.to_owned()),
    }
}
