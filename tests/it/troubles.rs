//! Every row of the table of troubles: the simulator produces it, the real client meets it, the row is recognised, and what
//! is told of it holds the remedy even in the shortest place that it is kept in.

mod bench;

use std::collections::BTreeSet;

use bench::{Bench, Evaluated};
use promptrelease::{
    api::Cause,
    azure::{
        Error,
        troubles::{self, Trouble},
    },
    sim::entra::Misissue,
    view::sentence,
};
use serde_json::{Value, json};

/// What was told of a trouble that was produced, and which row it was taken for.
struct Told {
    wanted: &'static str,
    row: Option<&'static Trouble>,
    text: String,
}

fn call(wanted: &'static str, error: &Error) -> Told {
    Told { wanted, row: error.trouble(), text: error.to_string() }
}

/// What a row says of itself, without what is filled in.
fn parts(row: &Trouble) -> impl Iterator<Item = &str> {
    let remedy = row.remedy.split(['{', '}']).step_by(2);
    remedy.chain([row.meaning]).map(str::trim).filter(|part| !part.is_empty())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_is_produced_recognised_and_told_with_its_remedy() {
    let bench = Bench::start().await;
    let mut all = tokens(&bench).await;
    all.extend(denials(&bench).await);
    all.extend(refusals(&bench).await);
    all.extend(operations(&bench).await);
    all.extend(runs(&bench).await);
    let produced: BTreeSet<&str> = all.iter().map(|told| told.wanted).collect();
    let missing: Vec<&str> = troubles::all().map(|row| row.name).filter(|name| !produced.contains(name)).collect();
    assert_eq!(missing, [""; 0], "rows that nothing produces");
    for Told { wanted, row, text } in &all {
        assert_eq!(row.map(|row| row.name), Some(*wanted), "{text}");
        // What is in the way of a build is told with its time before it, and is evidence once that is over.
        let evidence = sentence::evidence(&format!("the evaluation did not end within 30m: {text}"));
        for part in row.iter().flat_map(|row| parts(row)) {
            assert!(evidence.contains(part), "{wanted}: {evidence}\ndoes not say {part}");
        }
    }
}

/// Entra ID's own refusals, by an assertion that is wrong in one way each.
async fn tokens(bench: &Bench) -> Vec<Told> {
    let mut all = Vec::new();
    for (wanted, assertion) in [
        ("NoFederatedCredential", bench.assertion().of("system:serviceaccount:team:other")),
        ("ClusterClock", bench.assertion().expired()),
        ("IssuerKeys", bench.assertion().signed_by_another()),
        ("ClientUnknown", bench.assertion().for_client("00000000-0000-4000-8000-000000000001")),
        ("TenantUnknown", bench.assertion().for_tenant("00000000-0000-4000-8000-000000000002")),
    ] {
        let error = bench.federated(&assertion).get_endpoint("qa-prod").await.expect_err(wanted);
        assert!(matches!(error, Error::Token { .. }), "{error:?}");
        all.push(call(wanted, &error));
    }
    all
}

/// Tokens that are not taken, and roles that are missing.
async fn denials(bench: &Bench) -> Vec<Told> {
    let forged = || Misissue { forged: true, ..Misissue::default() };
    let mut all = Vec::new();
    for (wanted, resource, how) in [
        ("TokenExpired", bench::ARM, Misissue { lifetime: Some(-60), ..Misissue::default() }),
        ("TokenRefused", bench::ARM, forged()),
        ("FlowTokenRefused", bench::MACHINE_LEARNING, forged()),
    ] {
        bench.misissue(resource, Some(how));
        let azure = bench.azure();
        let error = match resource {
            bench::ARM => azure.get_endpoint("qa-prod").await.map(|_| ()),
            _ => bench.submit(&azure, "refused").await,
        };
        bench.misissue(resource, None);
        all.push(call(wanted, &error.expect_err(wanted)));
    }
    for (wanted, resource, scope) in [
        ("FlowForbidden", bench::MACHINE_LEARNING, "on workspace mlw-assistant-prod"),
        ("StorageForbidden", bench::STORAGE, " of storage account stassistantprodeus2, and "),
        ("InsightsForbidden", bench::INSIGHTS, "on the Application Insights component with app id 3f8d2c64-"),
        ("IngestionForbidden", bench::INGESTION, "Monitoring Metrics Publisher on the Application Insights component"),
    ] {
        bench.deny(Some(resource));
        let azure = bench.azure();
        let error = match resource {
            bench::MACHINE_LEARNING => bench.submit(&azure, "denied").await,
            bench::STORAGE => bench.put_blob(&azure).await,
            bench::INGESTION => bench.track(&azure).await,
            _ => bench.query(&azure).await,
        };
        bench.deny(None);
        let told = call(wanted, &error.expect_err(wanted));
        assert!(told.text.contains(scope), "{} does not say {scope}", told.text);
        all.push(told);
    }
    bench.play(&json!({"runs": {"userToken": "personOnly"}}));
    let application = bench.submit(&bench.azure(), "application").await.expect_err("a person is wanted");
    bench.play(&json!({}));
    all.push(call("ApplicationTokenRefused", &application));
    let endpoint = json!({"service": "arm", "path": "/onlineEndpoints/qa-prod"});
    let forbidden = bench.spoilt(endpoint, json!({"forbid": true}), bench.get_endpoint()).await;
    let text = forbidden.to_string();
    for part in [
        "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/read on /subscriptions/",
        "/onlineEndpoints/qa-prod; grant the identity the role AzureML Data Scientist there",
    ] {
        assert!(text.contains(part), "{text}");
    }
    all.push(call("Forbidden", &forbidden));
    let answer = json!({"answer": {"status": 403, "body": "<html>signature not valid</html>"}});
    let signed = bench.spoilt(json!({"service": "blob"}), answer, bench.fetch_signed()).await;
    all.push(call("ArchiveForbidden", &signed));
    all
}

fn canned(status: u16, code: &str, message: &str) -> Value {
    json!({"answer": {"status": status, "body": {"error": {"code": code, "message": message}}}})
}

/// As the front end nests what the service behind it says.
fn nested(status: u16, text: &str) -> Value {
    let inner = json!({"errors": {"": [text]}, "title": "One or more validation errors occurred."}).to_string();
    json!({"answer": {"status": status, "body": {"error": {
        "code": "BadRequest", "message": "The request is invalid.", "target": null,
        "details": [{"code": "InferencingClientCallFailed", "message": inner, "details": [], "additionalInfo": []}],
        "additionalInfo": [{"type": "ComponentName", "info": {"value": "managementfrontend"}}],
    }}}})
}

/// Calls that are understood and declined.
async fn refusals(bench: &Bench) -> Vec<Told> {
    let mut all = Vec::new();
    let arm = || json!({"service": "arm", "path": "/onlineEndpoints/qa-prod"});
    let article = "UserError: The endpoint is in 'Updating' state. Retry after the operation completes.";
    let not_created = "Specified endpoint [qa-prod] has not been created successfully. Please recreate the endpoint.";
    for (wanted, effect) in [
        ("RequestDisallowedByPolicy", canned(403, "RequestDisallowedByPolicy", "Tag cost-centre is missing.")),
        ("TooManyRequests", canned(429, "SubscriptionRequestsThrottled", "Number of requests exceeded the limit.")),
        ("EndpointUpdating", json!({"busy": true})),
        ("EndpointUpdating", canned(400, "UserError", article)),
        ("EndpointUnrecoverable", nested(400, not_created)),
        ("Conflict", canned(409, "AnotherOperationInProgress", "Another operation is in progress.")),
        (
            "SubscriptionNotRegistered",
            canned(409, "SubscriptionNotRegistered", "Resource provider [N/A] isn't registered."),
        ),
        ("OutOfQuota", canned(400, "OutOfQuota", "Not enough quota available.")),
        ("AzureFailed", canned(500, "ServiceError", "Received 500 from a service request")),
    ] {
        let error = bench.spoilt(arm(), effect, bench.put_deployment("d-9")).await;
        all.push(call(wanted, &error));
    }
    all.push(call("NotFound", &bench.azure().get_endpoint("other").await.expect_err("there is none")));
    all.push(call("AssetPathChanged", &bench.registers_twice().await));
    let body = "<?xml version=\"1.0\"?><Error><Code>RequestBodyTooLarge</Code><Message>The request body is too large and \
                exceeds the maximum permissible limit.</Message></Error>";
    let headers = json!({"x-ms-error-code": "RequestBodyTooLarge", "content-type": "application/xml"});
    let too_large = json!({"answer": {"status": 413, "headers": headers, "body": body}});
    let azure = bench.azure();
    let put = async { bench.put_blob(&azure).await };
    all.push(call("ArtifactTooLarge", &bench.spoilt(json!({"service": "blob"}), too_large, put).await));
    let archive = bench.fetch_more_than_is_taken().await;
    assert!(matches!(archive, Error::TooLarge { .. }), "{archive:?}");
    all.push(call("ArtifactTooLarge", &archive));
    all
}

/// Deployments whose operation fails; the last one is written to again.
async fn operations(bench: &Bench) -> Vec<Told> {
    let mut all = Vec::new();
    let unhealthy = "Deployment 'd-1428' transitioned to state Unhealthy";
    let full = "Collecting torch\nOSError: [Errno 28] No space left on device\n";
    for (wanted, fault, released) in [
        (
            "ResourceNotReady",
            json!({"code": "ResourceNotReady", "log": "start\nModuleNotFoundError: No module 'kb'"}),
            true,
        ),
        ("ImageTooLarge", json!({"code": "ResourceNotReady", "log": full}), true),
        ("Unhealthy", json!({"code": "OperationFailed", "message": unhealthy}), true),
        ("ImageBuildFailure", json!({"code": "ImageBuildFailure"}), true),
        ("BadArgument", json!({"code": "BadArgument", "message": "Startup probe is invalid."}), true),
        ("SecretsInjectionError", json!({"code": "SecretsInjectionError", "message": "No secret."}), true),
        ("ResourceNotFound", json!({"code": "ResourceNotFound", "message": "No such model."}), true),
        ("OutOfQuota", json!({"code": "OutOfQuota"}), false),
        ("OperationCanceled", json!({"canceled": true}), false),
        ("InternalServerError", json!({"code": "InternalServerError"}), false),
        ("InternalServerError", json!({"code": "ServiceError"}), false),
        (
            "WorkspaceManagedNetworkNotReady",
            json!({"code": "WorkspaceManagedNetworkNotReady", "message": "No."}),
            false,
        ),
        ("SubscriptionNotRegistered", json!({"code": "SubscriptionNotRegistered", "message": "No provider."}), false),
        ("AuthorizationFailed", json!({"code": "AuthorizationFailed", "message": "No role."}), false),
    ] {
        let name = format!("d-{}", all.len() + 10);
        let failed = bench.deploys(&name, fault).await;
        let cause = if released { Cause::DeploymentFailed } else { Cause::DeploymentUnavailable };
        assert_eq!(failed.cause, cause, "{wanted}: {}", failed.text);
        if wanted == "ResourceNotReady" {
            assert!(failed.text.contains(" | start | ModuleNotFoundError: No module 'kb'"), "{}", failed.text);
        }
        let again = bench.put_deployment(&name).await.expect_err("its first provisioning failed");
        all.push(Told { wanted, row: failed.row, text: failed.text });
        if wanted == "AuthorizationFailed" {
            all.push(call("DeploymentUnrecoverable", &again));
        }
    }
    all
}

/// Evaluations, submitted and looked at as the operator does it.
async fn runs(bench: &Bench) -> Vec<Told> {
    let mut all = Vec::new();
    let fails = |code: &str| json!({"runs": {"base": {"fail": {"code": code, "message": "It says so."}}}});
    let lines = |said: &str| json!({"default": {"classes": {"*": {"failedLines": 1.0, "lineError": said}}}});
    let run = |scenario: Value| Evaluated { scenario, ..Evaluated::default() };
    for (wanted, evaluated) in [
        ("ConnectionNotFound", Evaluated { connection: "nowhere", ..Evaluated::default() }),
        ("ConnectionNotFound", run(fails("OpenURLNotFoundError"))),
        ("ConnectionForbidden", run(fails("OpenURLUserAuthenticationError"))),
        ("InvalidConnectionOverride", Evaluated { overrides: "other", ..Evaluated::default() }),
        ("ApplyInputMappingError", Evaluated { from: "${data.gold_answer}", ..Evaluated::default() }),
        ("NoCompleteLine", Evaluated { judges: true, ..run(lines("(Exception) no")) }),
        ("EmptyInputsData", run(fails("EmptyInputsData"))),
        ("EmptyInputsData", run(fails("InputMappingError"))),
        ("AutomaticRuntimeFailed", run(json!({"runs": {"base": {"fail": {}}}}))),
        ("ContentSafetyTooManyRequests", run(lines("(HttpResponseError) 429 ContentSafetyTooManyRequests"))),
        ("LineThrottled", run(lines("(RateLimitError) Error code: 429"))),
        ("LineFailed", run(lines("(KeyError) 'citations'"))),
    ] {
        let text = bench.evaluates(&format!("run-{}", all.len()), &evaluated).await;
        if wanted == "ApplyInputMappingError" {
            for part in
                ["there is no data.gold_answer", "column `gold_answer` of the data set", "there are class, question"]
            {
                assert!(text.contains(part), "{text}");
            }
        }
        let row =
            troubles::all().find(|row| text.contains(&row.told().split('{').next().unwrap_or_default().to_owned()));
        all.push(Told { wanted, row, text });
    }
    all
}
