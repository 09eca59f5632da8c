"""The workspace that the clients work in, as the environment names it, and the way to the simulator's control API."""

import json
import os
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from azure.ai.ml import MLClient
from azure.core.exceptions import HttpResponseError
from azure.identity import DefaultAzureCredential

WORKSPACE = {
    "subscription_id": os.environ["AZURE_SUBSCRIPTION_ID"],
    "resource_group_name": os.environ["AZURE_RESOURCE_GROUP"],
    "workspace_name": os.environ["AZURE_WORKSPACE"],
}


def ml_client() -> MLClient:
    """As a user makes one; with AZURE_FEDERATED_TOKEN_FILE the credential is workload identity."""
    return MLClient(DefaultAzureCredential(), **WORKSPACE, enable_telemetry=False)


def control(method: str, path: str, body=None):
    """One request to the simulator's control API, past the proxy."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["SIMULATOR"] + path, data, method=method)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request) as reply:
        return json.load(reply)


@contextmanager
def fault(match: dict, do: dict):
    """A fault rule that is in force inside the `with`."""
    control("POST", "/faults", {"name": "conformance", "match": match, "do": do})
    try:
        yield
    finally:
        control("DELETE", "/faults")


@contextmanager
def denied(resource: str):
    """Inside the `with` nobody has a role in this API, such as https://storage.azure.com."""
    control("POST", "/entra/denied", {"resources": [resource]})
    try:
        yield
    finally:
        control("POST", "/entra/denied", {"resources": []})


@contextmanager
def without(action: str):
    """Inside the `with` nobody has this action of Azure's, in which `*` stands for anything."""
    control("POST", "/world/role", {"notActions": [action]})
    try:
        yield
    finally:
        control("POST", "/world/role", {})


@contextmanager
def refused(test, *, status: int, saying: str):
    """The block fails with Azure's error of this status and these words; the error is in the result's `error`."""
    with test.assertRaises(HttpResponseError) as caught:
        yield caught
    test.assertEqual(caught.exception.status_code, status, caught.exception)
    test.assertIn(saying, str(caught.exception))


def blobs_written(since: int) -> list:
    """Paths of the blobs that were written since request number `since`, contents or metadata."""
    log = control("GET", f"/requests?since={since}")["requests"]
    return [entry["path"] for entry in log if (entry["service"], entry["method"]) == ("blob", "PUT")]


def requests_so_far() -> int:
    return control("GET", "/requests?since=0")["last"]


def write(folder: Path, files: dict) -> Path:
    """Files by path below `folder`, which is returned."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder
