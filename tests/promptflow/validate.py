"""What Prompt flow says of every folder in a folder, as JSON by name: `validate`, what `pf flow validate` says, and `load`,
what its executor says when it prepares a run. "" for a flow that is taken, else the first complaint."""

import json
import os
import sys
from pathlib import Path

from promptflow._sdk._pf_client import PFClient
from promptflow.executor import FlowExecutor


def connection(kind, **value):
    return {"type": kind, "module": "promptflow.connections", "value": value}


# Never used: nothing runs.
CONNECTIONS = {
    "azure-openai-prod": connection("AzureOpenAIConnection", api_key="x", api_base="http://127.0.0.1:1"),
    "search-prod": connection("CustomConnection", place="x"),
    "serp-prod": connection("SerpConnection", api_key="x"),
}


def validate(flows, folder):
    result = flows.validate(flow=folder)
    if not result.passed:
        first = next(iter(result._errors), None)
        raise ValueError(f"{first.yaml_path}: {first.message}" if first else "it failed")


def load(folder):
    FlowExecutor.create(Path("flow.dag.yaml"), CONNECTIONS, folder)


def complaint(check, *args):
    try:
        check(*args)
    except Exception as error:  # `pf` prints it and exits with 1
        return f"{type(error).__name__}: {error}"
    finally:
        os.chdir("/")
    return ""


flows = PFClient().flows
everything = {
    case.name: {
        "validate": complaint(validate, flows, case / "flow"),
        "load": complaint(load, case / "flow"),
    }
    for case in sorted(Path(sys.argv[1]).iterdir())
}
print()
json.dump(everything, sys.stdout, ensure_ascii=False)
