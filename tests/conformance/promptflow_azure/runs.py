"""What the cases about runs share: flows on the disk, the client, the command line, and a look at a run until it is over."""

import contextlib
import io
import shutil
import sys
import time
from pathlib import Path
from unittest import mock

from azure.identity import DefaultAzureCredential
from promptflow.azure import PFClient
from promptflow.azure._cli.entry import main as pfazure_main

from workspace import WORKSPACE

FLOWS = Path(__file__).parent / "flows"
QUESTIONS = {"question": "${data.question}"}
JUDGED = {"question": "${data.question}", "predicted_answer": "${run.outputs.answer}"}
OVER = {"Completed", "Failed", "Canceled"}
# Of the workspace, as each command of `pfazure` takes them.
WHERE = ["--subscription", WORKSPACE["subscription_id"], "--resource-group", WORKSPACE["resource_group_name"],
         "--workspace-name", WORKSPACE["workspace_name"]]


def pf_client() -> PFClient:
    return PFClient(DefaultAzureCredential(), **WORKSPACE)


def flows_in(folder: str) -> Path:
    """A copy of the flows: the client writes into a flow's folder."""
    return Path(shutil.copytree(FLOWS, Path(folder) / "flows"))


def pfazure(*arguments: str) -> str:
    """What `pfazure` prints; its code runs in this process, which saves the seconds that Python needs to load it."""
    printed = io.StringIO()
    with mock.patch.object(sys, "argv", ["pfazure", *arguments, *WHERE]), contextlib.redirect_stdout(printed):
        pfazure_main()
    return printed.getvalue()


def ended(client: PFClient, name: str, *, within: float = 120):
    """The run when it is over. The client's own `stream` looks once in 10 s; this looks all the time."""
    deadline = time.monotonic() + within
    while True:
        run = client.runs.get(name)
        if run.status in OVER:
            return run
        if time.monotonic() > deadline:
            raise AssertionError(f"{name} is {run.status} after {within} s")
