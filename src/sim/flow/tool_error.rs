//! The error of a line, as Prompt flow's runtime writes it: in a shape of its own, with what it knows of the exception.

use serde_json::{Value, json};

use super::fault::Root;

/// In `childRuns`. `node` is the one that failed, if it was one.
pub(super) fn of_line(root: &Root, node: Option<&str>) -> Value {
    let mut error = root.to_json();
    if let Some(fields) = error.as_object_mut() {
        for of_services in ["severity", "detailsUri", "target", "details", "additionalInfo"] {
            fields.remove(of_services);
        }
    }
    let mut debug = exception(root);
    if let Some(node) = node {
        error["additionalInfo"] = json!([details(root, node)]);
        debug["innerException"] = json!({"type": "Exception", "message": root.message(), "stackTrace": "",
            "innerException": null});
    }
    error["debugInfo"] = debug;
    error
}

/// In the state of a run, that of its first line that failed.
pub(super) fn explain(error: &mut Value, root: &Root, node: &str) {
    let exception = |type_: &str, inner: Value| {
        json!({"type": type_, "message": root.message(), "stackTrace": "", "innerException": inner, "data": null,
            "errorResponse": null})
    };
    error["additionalInfo"] = json!([details(root, node)]);
    error["debugInfo"] = exception("ToolExecutionError", exception("Exception", Value::Null));
}

fn exception(root: &Root) -> Value {
    json!({"type": root.codes.last(), "message": root.message(), "stackTrace": "", "innerException": null})
}

fn details(root: &Root, node: &str) -> Value {
    json!({"type": "ToolExecutionErrorDetails", "info": {"type": "Exception", "message": root.message(),
        "traceback": "", "filename": "", "lineno": 0, "name": node}})
}
