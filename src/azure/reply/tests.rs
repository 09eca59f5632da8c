use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::azure::Class;

fn reply(service: Service, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    let header = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
    };
    Reply {
        service,
        call: "PUT onlineEndpoints/qa".into(),
        scope: String::new(),
        status: StatusCode::from_u16(status).expect("a status"),
        headers: headers.iter().map(header).collect(),
        body: body.into(),
        cut: None,
    }
}

fn arm(status: u16, body: &Value) -> Error {
    reply(Service::Arm, status, &[], body.to_string()).into_error()
}

/// ARM's own form.
fn error(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

/// The form of the Azure ML front end: what the service behind it said is JSON in a detail.
fn front_end(code: &str, message: &str, inner: &Value) -> Value {
    let info = |kind: &str, value: Value| json!({"type": kind, "info": {"value": value}});
    json!({"error": {
        "code": code, "message": message, "target": null,
        "details": [{"code": "InferencingClientCallFailed", "message": inner.to_string()}],
        "additionalInfo": [
            info("ComponentName", json!("managementfrontend")),
            info("Correlation", json!({"operation": "1b2c", "request": "3d4e"})),
            info("Location", json!("eastus2")),
        ],
    }})
}

fn invalid(text: &str) -> Value {
    let inner = json!({"errors": {"": [text]}, "title": "One or more validation errors occurred."});
    front_end("BadRequest", "The request is invalid.", &inner)
}

/// Every refusal of the management API that is known, by when it comes.
#[test]
fn what_a_reply_of_the_management_api_means() {
    use Class::*;
    let updating = "Cannot create a deployment in endpoint qa because it is in Updating provisioning state.";
    let latched = "Specified deployment [d-1] failed during initial provisioning and is in an unrecoverable state. \
                   Delete and re-create.";
    let not_created = "Specified endpoint [qa] has not been created successfully. Please recreate the endpoint.";
    for (when, status, body, class, says) in [
        (
            "no such deployment",
            404,
            front_end("NotFound", "The specified resource was not found.", &json!({"title": "Not Found"})),
            NotFound,
            "NotFound: Not Found",
        ),
        (
            "no such workspace",
            404,
            error("ResourceNotFound", "The Resource was not found."),
            NotFound,
            "ResourceNotFound",
        ),
        ("an operation runs, 400", 400, invalid(updating), Refused, updating),
        (
            "an operation runs, 409",
            409,
            front_end("Conflict", updating, &json!({"title": updating})),
            Refused,
            updating,
        ),
        ("an operation runs, ARM", 409, error("AnotherOperationInProgress", "Another one."), Refused, "Another one."),
        ("first provisioning failed", 400, invalid(latched), Refused, latched),
        ("the endpoint failed", 400, invalid(not_created), Refused, not_created),
        ("providers are missing", 409, error("SubscriptionNotRegistered", "Register."), Refused, "Register."),
        ("no quota", 400, error("OutOfQuota", "Not enough quota."), Refused, "OutOfQuota: Not enough quota."),
        ("a setting", 400, error("BadArgument", "No such instance type."), Refused, "BadArgument"),
        ("another path", 400, error("UserError", "Asset paths cannot be updated."), Refused, "cannot be updated"),
        ("a policy", 403, error("RequestDisallowedByPolicy", "Tag owner is missing."), Refused, "Tag owner"),
        ("no role", 403, error("AuthorizationFailed", "The client does not."), Denied, "The client does not."),
        ("a bad token", 401, error("InvalidAuthenticationToken", "The access token is bad."), Denied, "is bad"),
        ("an old token", 401, error("ExpiredAuthenticationToken", "It has expired."), Denied, "has expired"),
        ("too many", 429, error("TooManyRequests", "Slow down."), Throttled, "does not say for how long"),
        ("too many, ARM", 429, error("SubscriptionRequestsThrottled", "Slow down."), Throttled, "throttled"),
        ("its fault", 500, error("ServiceError", "Received 500 from a service request"), Unknown, "failed with 500"),
        ("its fault inside", 500, error("InternalServerError", "Oops."), Unknown, "InternalServerError: Oops."),
        ("away", 503, error("ServerTimeout", "Busy."), Unknown, "failed with 503"),
        ("late", 408, error("RequestTimeout", "Late."), Unknown, "failed with 408"),
        ("late behind the gateway", 504, error("GatewayTimeout", "Late."), Unknown, "failed with 504"),
    ] {
        let error = arm(status, &body);
        assert_eq!(error.class(), class, "{when}: {error}");
        assert!(error.to_string().contains(says.trim_end_matches('.')), "{when}: {error}\ndoes not say {says}");
        assert_eq!(error.may_have_landed(), class == Unknown, "{when}");
    }
}

/// A gateway's status says nothing about what the service did before or after.
#[test]
fn without_the_services_error_body_no_status_is_a_refusal() {
    for status in [302, 400, 401, 403, 404, 405, 408, 409, 410, 413, 429, 500, 502, 503] {
        for body in [
            "",
            "null",
            "[]",
            "\"error\"",
            "<html><title>Access denied</title></html>",
            r#"{"message": "Forbidden"}"#,
            r#"{"code": "Conflict", "message": "no"}"#,
            r#"{"error": "invalid_client", "error_description": "AADSTS7000"}"#,
            r#"{"error": {"message": "upstream request timeout"}}"#,
            r#"{"error": {"code": ""}}"#,
            r#"{"error": {"code": 17, "message": "no"}}"#,
        ] {
            let challenge = [("www-authenticate", "Bearer authorization_uri=\"https://login.windows.net/t\"")];
            let error = reply(Service::Arm, status, &challenge, body).into_error();
            assert!(error.may_have_landed(), "{status} {body}: {error}");
        }
    }
}

#[test]
fn a_throttled_call_says_for_how_long_even_if_it_is_unknown() {
    let waits = [("retry-after", "17")];
    let error = reply(Service::Arm, 429, &waits, error("TooManyRequests", "no").to_string()).into_error();
    assert_eq!(
        error.to_string(),
        "PUT onlineEndpoints/qa: throttled, the service asks to wait 17 s; it is tried again then; if it goes on, find \
         who else uses up this subscription's limit"
    );
    for (status, body) in [(429, "slow down"), (503, "")] {
        let error = reply(Service::Arm, status, &waits, body).into_error();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(17)), "{error}");
    }
}

#[test]
fn other_services_are_believed_a_challenge_and_a_429() {
    for service in [Service::Flow, Service::Blob, Service::Insights, Service::Ingestion] {
        assert_eq!(reply(service, 429, &[], "").into_error().class(), Class::Throttled);
        let challenged = reply(service, 401, &[("www-authenticate", "Bearer")], "").into_error();
        assert!(matches!(challenged, Error::Unauthorized { .. }), "{challenged:?}");
        assert_eq!(reply(service, 401, &[], "").into_error().class(), Class::Unknown);
        assert_eq!(reply(service, 403, &[], "").into_error().class(), Class::Unknown);
    }
}

/// A message that differs with each try would make every pass the cause of the next.
#[test]
fn a_token_that_is_not_accepted_is_told_without_times_and_by_whom() {
    let late = "The access token expiry UTC time '2026-11-23T05:00:00Z' is earlier than current UTC time \
                '2026-11-23T06:00:00Z'.";
    let xml = format!("<Error><Message>See.</Message><AuthenticationErrorDetail>{late}</AuthenticationErrorDetail>");
    let blob = reply(Service::Blob, 401, &[("x-ms-error-code", "InvalidAuthenticationInfo")], xml).into_error();
    let insights = error("InvalidAuthenticationToken", "The access token signature is invalid.").to_string();
    for (error, says) in [
        (
            arm(401, &error("ExpiredAuthenticationToken", late)),
            "by Azure Resource Manager, ExpiredAuthenticationToken: it has expired; check the clocks of the \
             cluster's nodes",
        ),
        (blob, "by Blob storage, InvalidAuthenticationInfo: it has expired; check the clocks of the cluster's nodes"),
        (
            reply(Service::Insights, 403, &[], insights).into_error(),
            "by Application Insights, InvalidAuthenticationToken: The access token signature is invalid; check \
             that cloud and tenant are those of the resource",
        ),
    ] {
        assert_eq!(error.to_string(), format!("PUT onlineEndpoints/qa: the token was not accepted {says}"));
        assert!(matches!(error, Error::Unauthorized { .. }), "no role would mend it: {error:?}");
    }
}

#[test]
fn what_is_forbidden_names_action_scope_and_remedy() {
    let text = "The client 'a' with object id 'b' does not have authorization to perform action \
                'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write' over scope \
                '/subscriptions/s/onlineEndpoints/qa' or the scope is invalid. If access was recently granted, \
                please refresh your credentials.";
    assert_eq!(
        arm(403, &error("AuthorizationFailed", text)).to_string(),
        "PUT onlineEndpoints/qa: not allowed, Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write on \
         /subscriptions/s/onlineEndpoints/qa; grant the identity the role AzureML Data Scientist there (a change of \
         roles takes up to an hour)"
    );
}

/// The first action in this text is one that the identity has.
#[test]
fn what_is_forbidden_on_a_linked_resource_names_that_one() {
    let text = "The client 'a' with object id 'b' has permission to perform action 'x/onlineEndpoints/write' on \
                scope '/s/onlineEndpoints/qa'; however, it does not have permission to perform action(s) \
                'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) \
                '/s/userAssignedIdentities/u' or the linked scope(s) are invalid.";
    let Error::Forbidden { action, scope, .. } = arm(403, &error("LinkedAuthorizationFailed", text)) else {
        panic!("not forbidden")
    };
    assert_eq!(action, "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action");
    assert_eq!(scope, "/s/userAssignedIdentities/u");
}

#[test]
fn a_service_that_names_no_action_gets_the_role_that_helps() {
    let denied = |service| reply(service, 403, &[], error("Forbidden", "no").to_string()).into_error().to_string();
    for (service, role) in [
        (Service::Arm, "a role with this action on the workspace"),
        (Service::Flow, "AzureML Data Scientist"),
        (Service::Blob, "Storage Blob Data Contributor"),
        (Service::Insights, "Monitoring Reader"),
        (Service::Ingestion, "Monitoring Metrics Publisher"),
        (Service::Web, "no token is sent to a host outside this cloud"),
    ] {
        assert!(denied(service).contains(role), "{}", denied(service));
    }
}

#[test]
fn a_blobs_error_is_in_a_header_and_in_xml() {
    let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthorizationPermissionMismatch</Code>\
               <Message>This request is not authorized to perform this operation using this permission.\n\
               RequestId:1\nTime:2026-11-23T05:00:00Z</Message></Error>";
    let code = [("x-ms-error-code", "AuthorizationPermissionMismatch")];
    let error = reply(Service::Blob, 403, &code, xml).into_error();
    let Error::Forbidden { message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(
        message,
        "AuthorizationPermissionMismatch: This request is not authorized to perform this operation using this \
         permission."
    );
    let head = reply(Service::Blob, 404, &[("x-ms-error-code", "BlobNotFound")], "").into_error();
    assert!(head.is_not_found(), "{head}");
    assert!(reply(Service::Blob, 404, &[], xml).into_error().may_have_landed(), "a proxy's page");
}

#[test]
fn an_archives_host_is_nobodys_service() {
    for (status, class) in [
        (401, Class::Denied),
        (403, Class::Denied),
        (404, Class::NotFound),
        (410, Class::Refused),
        (429, Class::Throttled),
        (500, Class::Unknown),
    ] {
        let error = reply(Service::Web, status, &[], "<html>").into_error();
        assert_eq!(error.class(), class, "{error}");
        assert!(!error.to_string().contains("check that cloud and tenant"), "no token was sent: {error}");
    }
}

#[test]
fn a_wait_is_in_seconds_or_until_a_date_of_the_same_clock() {
    let date = ("date", "Mon, 23 Nov 2026 05:16:32 GMT");
    let wait = |value, date: &[(&str, &str)]| {
        reply(Service::Arm, 202, &[&[("retry-after", value)], date].concat(), "").retry_after().map(|d| d.as_secs())
    };
    assert_eq!(wait("5", &[]), Some(5));
    assert_eq!(wait(" 5 ", &[]), Some(5));
    assert_eq!(wait("Mon, 23 Nov 2026 05:17:02 GMT", &[date]), Some(30));
    assert_eq!(wait("Mon, 23 Nov 2026 05:17:02 GMT", &[]), None);
    assert_eq!(wait("Mon, 23 Nov 2026 05:00:00 GMT", &[date]), None);
    assert_eq!(wait("18446744073709551615", &[]), Some(86_400));
    for nothing in ["", "-1", "soon", "18446744073709551616"] {
        assert_eq!(wait(nothing, &[date]), None, "{nothing}");
    }
}

#[test]
fn the_date_is_azures() {
    let seen = reply(Service::Arm, 200, &[("date", "Mon, 23 Nov 2026 05:16:32 GMT")], "7").seen::<u8>();
    let seen = seen.expect("a number");
    assert_eq!((seen.value, seen.date), (7, "2026-11-23T05:16:32Z".parse().ok()));
    assert_eq!(reply(Service::Arm, 200, &[("date", "yesterday")], "7").date(), None);
}

#[test]
fn an_accepted_write_is_polled_where_the_token_may_go() {
    let cloud = crate::azure::CloudName::AzurePublic.cloud();
    let operation = |headers: &[(&str, &str)]| {
        let accepted = reply(Service::Arm, 201, headers, "").accepted(cloud);
        accepted.operation.map(|url| url.to_string())
    };
    let ours = "https://management.azure.com/subscriptions/s/providers/p/mfeOperationsStatus/oeidp:a:b?api-version=1";
    let other = "https://management.azure.com/subscriptions/s/providers/p/mfeOperationResults/oeidp:a:b?api-version=1";
    let foreign = "https://management.azure.com.evil.example.com/x";
    assert_eq!(operation(&[("azure-asyncoperation", ours), ("location", other)]).as_deref(), Some(ours));
    assert_eq!(operation(&[("location", other)]).as_deref(), Some(other));
    assert_eq!(operation(&[("azure-asyncoperation", foreign), ("location", other)]).as_deref(), Some(other));
    assert_eq!(operation(&[("azure-asyncoperation", "/relative")]), None);
    assert_eq!(operation(&[("location", foreign)]), None);
    assert_eq!(operation(&[]), None);
    let long = format!("{ours}&t={}", "x".repeat(4096));
    assert_eq!(operation(&[("azure-asyncoperation", &long)]), Some(long));
}

proptest! {
    #[test]
    fn no_reply_is_too_strange(
        service in prop::sample::select(&[Service::Arm, Service::Flow, Service::Blob, Service::Insights, Service::Web][..]),
        status in 100u16..1000,
        name in prop::sample::select(&["retry-after", "date", "location", "azure-asyncoperation", "x-ms-error-code"][..]),
        value in "[ -~]{0,40}",
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let reply = reply(service, status, &[(name, &value)], body);
        let _ = (reply.date(), reply.retry_after(), reply.seen::<Value>());
        let _ = reply.accepted(crate::azure::CloudName::AzurePublic.cloud());
        let error = reply.into_error();
        prop_assert!(!error.to_string().is_empty());
    }
}
