//! The Prompt flow cloud service: bulk runs, their state, their lines. They are executed by the real Prompt flow where the
//! simulator was given one; else a scripted executor stands in: it reads the uploaded flow and data, and the scenario says
//! how the answers turn out.
//!
//! Paths are `/<service>/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.MachineLearningServices/workspaces/{w}/…`
//! with the services `flow/api`, `history/v1.0`, `index/v1.0`, `metric/v2.0`, `data/v1.0` and `content/v2.0`. Their shapes are
//! those of Microsoft's client (promptflow-azure 1.18) and of recorded traffic.
//!
//! | call                                       | answer                                                     |
//! |--------------------------------------------|------------------------------------------------------------|
//! | `POST flow/api/…/BulkRuns/submit`          | the run's id, which the client chose                       |
//! | `POST flow/api/…/BulkRuns/resume`          | the same: it goes on where another run ended               |
//! | `POST flow/api/…/BulkRuns/{id}/cancel`     | nothing                                                    |
//! | `GET flow/api/…/BulkRuns/{id}`             | graph, data, mapping; no state                             |
//! | `GET flow/api/…/BulkRuns/{id}/childRuns`   | lines `startIndex` to `endIndex`, in no order              |
//! | `GET flow/api/…/BulkRuns/{id}/logContent`  | the run's log                                              |
//! | `GET flow/api/…/TraceSessions`             | that there are none                                        |
//! | `POST history/v1.0/…/rundata`              | the run's state and error                                  |
//! | `PATCH history/v1.0/…/runs/{id}/modify`   | the run, with the name, words and tags that it was given   |
//! | `POST index/v1.0/…/entities`               | runs, the newest first                                     |
//! | `POST metric/v2.0/…/runs/{id}/lastvalues`  | counts of lines, and what the flow logged                  |
//! | `POST data/v1.0/…/dataversion/getByAssetId` | where an output of a run is in the datastore              |
//! | `POST content/v2.0/…/snapshots/sas`        | the files of a run's flow                                  |

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    cloud::Sim,
    entra,
    http::{Request, Response},
    mutex::lock,
    scenario::{RepeatedSubmit, UserToken},
};

mod annotations;
mod artifacts;
mod call;
mod connections;
mod documents;
mod execute;
mod fault;
mod listing;
mod mapping;
mod resume;
mod rows;
mod run;
mod scripted;
mod store;
mod submission;
#[cfg(test)]
mod tests;
mod tool_error;

use call::Call;
use fault::Fault;
use run::Run;
pub use store::Flow;
use submission::Submission;

/// The token of every call is one for the management API; that of a submission's `aml-user-token` is for the other.
const AUDIENCE: &str = "https://management.azure.com";
const USER_AUDIENCE: &str = "https://ml.azure.com";

type Answer = Result<Response, Fault>;

/// Answers for `<region>.api.azureml.ms`.
pub async fn handle(sim: &Arc<Sim>, req: &Request) -> Response {
    let now = sim.clock.now();
    let caller = match sim.entra.check(req, AUDIENCE, entra::Flavour::Flow) {
        Ok(caller) => caller,
        Err(refusal) => return refusal,
    };
    let scenario = lock(&sim.scenario).clone();
    let connections = lock(&sim.arm).connections();
    let call = Call { sim, req, caller, now, scenario: &scenario, connections: &connections };
    let reply = answer(&call).unwrap_or_else(|fault| fault.reply(&sim.settings.location, now));
    reply
        .with("x-request-time", "0.050")
        .with("x-content-type-options", "nosniff")
        .with("strict-transport-security", "max-age=15724800; includeSubDomains; preload")
}

fn answer(call: &Call<'_>) -> Answer {
    let (service, rest) = split(call)?;
    if call.sim.entra.denies(&call.caller, USER_AUDIENCE) {
        return Err(Fault::no_role(&call.caller.oid));
    }
    let rest: Vec<&str> = rest.split('/').collect();
    let mut flow = lock(&call.sim.flow);
    match (call.req.method.as_str(), service, rest.as_slice()) {
        ("POST", "flow/api", ["BulkRuns", "submit"]) => flow.submit(call),
        ("POST", "flow/api", ["BulkRuns", "resume"]) => flow.resume(call),
        ("GET", "flow/api", ["BulkRuns", id]) => Ok(Response::json(200, &documents::info(call, flow.run(id)?))),
        ("POST", "flow/api", ["BulkRuns", id, "cancel"]) => {
            flow.run_mut(id)?.cancel();
            Ok(Response::empty(200))
        }
        ("GET", "flow/api", ["BulkRuns", id, "childRuns"]) => flow.lines(call, id),
        ("GET", "flow/api", ["BulkRuns", id, "logContent"]) => {
            Ok(Response::json(200, &json!(documents::log(flow.run(id)?))))
        }
        ("GET", "flow/api", ["TraceSessions"]) => Ok(Response::json(200, &documents::no_traces(call))),
        ("POST", "history/v1.0", ["rundata"]) => flow.state(call),
        ("PATCH", "history/v1.0", ["runs", id, "modify"]) => flow.modify(call, id),
        ("POST", "index/v1.0", ["entities"]) => flow.entities(call),
        ("POST", "metric/v2.0", ["runs", id, "lastvalues"]) => {
            Ok(Response::json(200, &documents::metrics(flow.run(id)?)))
        }
        ("POST", "data/v1.0", ["dataversion", "getByAssetId"]) => flow.asset(call),
        ("POST", "content/v2.0", ["snapshots", "sas"]) => flow.snapshot(call),
        (method, service, _) => Err(Fault::no_route(method, service, &call.req.path)),
    }
}

/// The service, and what comes after the workspace, which must be ours.
fn split<'a>(call: &Call<'a>) -> Result<(&'a str, &'a str), Fault> {
    let path = call.req.path.trim_matches('/');
    let (service, rest) =
        path.split_once("/subscriptions/").ok_or_else(|| Fault::no_route(&call.req.method, "", &call.req.path))?;
    let s = &call.sim.settings;
    let ours = format!(
        "{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces/{}/",
        s.subscription, s.resource_group, s.workspace
    );
    match rest.split_at_checked(ours.len()) {
        Some((workspace, rest)) if workspace.eq_ignore_ascii_case(&ours) => Ok((service, rest)),
        _ => Err(Fault::no_workspace(&call.req.path)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunData {
    run_id: String,
}

impl Flow {
    fn submit(&mut self, call: &Call<'_>) -> Answer {
        check_user(call)?;
        let submission = Submission::parse(&call.req.body)?;
        let id = submission.run_id.clone();
        if self.runs.contains_key(&id) {
            return match call.scenario.runs.repeated_submit {
                RepeatedSubmit::Conflict => Err(Fault::run_exists(&id)),
                RepeatedSubmit::Same => Ok(Response::json(200, &json!(id))),
            };
        }
        if let Some(base) = &submission.variant_run_id {
            self.run(base)?;
        }
        let settings = &call.sim.settings;
        let graph = submission.graph(settings)?;
        if lock(&call.sim.blobs).get(&graph).is_none() {
            return Err(Fault::no_flow(&submission.flow_definition_blob_path));
        }
        let run = Run::new(submission, graph, &call.caller, &call.scenario.runs, call.now);
        artifacts::keep_flow(call, &mut lock(&call.sim.blobs), &run);
        self.runs.insert(id.clone(), run);
        Ok(Response::json(200, &json!(id)))
    }

    /// A look at the run, with which it goes on.
    fn state(&mut self, call: &Call<'_>) -> Answer {
        let RunData { run_id: id } =
            serde_json::from_slice(&call.req.body).map_err(|e| Fault::bad_request(&e.to_string()))?;
        let base = self.run(&id)?.submission.variant_run_id.clone();
        let base = base.and_then(|base| self.runs.get(&base).cloned());
        let run = self.run_mut(&id)?;
        let was_over = run.is_over();
        run.look(call.now, |run| execute::begin(call, run, base.as_ref()));
        if run.is_over() && !was_over {
            artifacts::write(call, run);
        }
        Ok(Response::json(200, &documents::state(call, run)))
    }

    fn lines(&mut self, call: &Call<'_>, id: &str) -> Answer {
        let index = |name: &str| -> Result<Option<usize>, Fault> {
            let text = call.req.param(name);
            text.map(|n| n.parse().map_err(|_| Fault::bad_request(&format!("{name} must be a number")))).transpose()
        };
        let (first, last) = (index("startIndex")?.unwrap_or(0), index("endIndex")?);
        let most = last.map_or(usize::MAX, |last| last.saturating_add(1).saturating_sub(first));
        let run = self.run_mut(id)?;
        let times = run.times();
        let page = run.read_lines(first == 0).into_iter().skip(first).take(most);
        let page: Vec<Value> = page.map(|line| documents::line(id, &times, line)).collect();
        Ok(Response::json(200, &json!(page)))
    }
}

fn check_user(call: &Call<'_>) -> Result<(), Fault> {
    let token = call.req.header("aml-user-token").ok_or_else(Fault::no_user_token)?;
    let mut as_user = call.req.clone();
    as_user.headers = vec![("authorization".into(), format!("Bearer {token}"))];
    call.sim.entra.check(&as_user, USER_AUDIENCE, entra::Flavour::Flow).map_err(Fault::Ready)?;
    match call.scenario.runs.user_token {
        UserToken::Application => Ok(()),
        UserToken::PersonOnly => Err(Fault::person_only()),
    }
}
