"""Bulk runs through PFClient: submitted, watched, read, cancelled, refused."""

import contextlib
import tempfile
import unittest

from promptflow._sdk._constants import ListViewType
from promptflow._sdk._errors import RunOperationError
from promptflow.azure._restclient.flow_service_caller import FlowRequestException
from promptflow.azure.operations._run_operations import RunRequestException
from promptflow.exceptions import UserErrorException

from promptflow_azure.runs import JUDGED, QUESTIONS, ended, flows_in, pf_client
from workspace import blobs_written, control, denied, refused, requests_so_far


@contextlib.contextmanager
def runs_that(**how):
    """Runs submitted inside the `with` go on as the scenario says; afterwards they end at the first look again."""
    control("POST", "/scenario", {"runs": {"looks": 1} | how})
    try:
        yield
    finally:
        control("POST", "/scenario", {"runs": {"looks": 0}})


class Runs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.flows = flows_in(folder.name)
        cls.client = pf_client()

    def submit(self, name: str, flow: str = "answer", mapping: dict = QUESTIONS, **more):
        data = self.flows / "questions.jsonl"
        return self.client.run(flow=self.flows / flow, data=data, column_mapping=mapping, name=name, **more)

    def test_a_run_goes_through_its_states_to_the_end(self):
        with runs_that():
            seen = [self.submit("states").status]
        while seen[-1] != "Completed":
            self.assertLess(len(seen), 50, seen)
            seen.append(self.client.runs.get("states").status)
        self.assertEqual(seen[0], "NotStarted")
        in_order = [status for n, status in enumerate(seen) if n == 0 or status != seen[n - 1]]
        self.assertEqual(in_order, ["NotStarted", "Preparing", "Running", "Completed"])

    def test_a_judge_reads_the_answers_of_another_run(self):
        self.submit("base", tags={"release": "1428"})
        base = ended(self.client, "base")
        self.assertIsNone(base._error)
        answers = self.client.get_details("base")
        self.assertEqual(sorted(answers["inputs.line_number"]), [0, 1, 2])
        self.assertTrue(all(isinstance(answer, str) for answer in answers["outputs.answer"]))

        judge = self.submit("judge", "judge", JUDGED, run="base")
        self.assertEqual(judge._properties["azureml.promptflow.inputs_mapping"].count("${run.outputs.answer}"), 1)
        self.assertEqual(ended(self.client, "judge").status, "Completed")
        scores = self.client.get_details("judge")
        self.assertEqual(list(scores["outputs.groundedness"]), [3, 3, 3])
        self.assertEqual(
            sorted(scores["inputs.predicted_answer"]), sorted(answers["outputs.answer"]), "it judged other answers"
        )
        self.assertEqual(self.client.get_metrics("judge"), {})
        self.assertIn("/run/judge?wsid=/subscriptions/", self.client.runs.get("judge")._to_dict()["portal_url"])

    def test_a_failed_line_is_counted_though_the_run_is_completed(self):
        some = {"default": {"classes": {"*": {"failedLines": 0.5}}}, "runs": {"looks": 0}}
        control("POST", "/scenario", some)
        self.addCleanup(control, "POST", "/scenario", {"runs": {"looks": 0}})
        self.submit("partial")
        run = ended(self.client, "partial")
        self.assertEqual(run.status, "Completed")
        self.assertIn('"userErrorChildRuns"', run._error["error"]["messageFormat"].replace("'", '"'))
        details = self.client.get_details("partial")
        self.assertEqual(len(details), 3)
        self.assertTrue(details["outputs.answer"].isna().any())

    def test_connections_are_put_in_place_of_the_flows_own(self):
        self.submit("connected", "ask", connections={"ask": {"connection": "azure-openai-eval"}})
        self.assertEqual(ended(self.client, "connected").status, "Completed")
        self.submit("unconnected", "ask", connections={"ask": {"connection": "nowhere"}})
        run = ended(self.client, "unconnected")
        self.assertEqual(run.status, "Failed")
        self.assertIn("nowhere", run._error["error"]["message"])

    def test_a_run_is_cancelled(self):
        with runs_that(base="stick"):
            self.submit("long")
            self.client.runs.cancel("long")
            self.assertEqual(self.client.runs.get("long").status, "CancelRequested")
            self.assertEqual(ended(self.client, "long").status, "Canceled")

    def test_a_flow_and_its_data_are_uploaded_once(self):
        (self.flows / "answer" / "uploaded.txt").write_text("this makes its content one that nobody uploaded")
        before = requests_so_far()
        self.submit("uploads")
        paths = blobs_written(before)
        for name in ["/answer/flow.dag.yaml", "/answer/answer.py", "/answer/uploaded.txt"]:
            self.assertTrue(any("/LocalUpload/" in path and path.endswith(name) for path in paths), (name, paths))
        before = requests_so_far()
        self.submit("uploads-nothing")
        self.assertEqual(blobs_written(before), [], "the same files were uploaded again")
        self.assertEqual(ended(self.client, "uploads-nothing").status, "Completed")

    def test_a_run_goes_on_where_another_ended(self):
        some = {"default": {"classes": {"*": {"failedLines": 0.5}}}, "runs": {"looks": 0}}
        control("POST", "/scenario", some)
        self.addCleanup(control, "POST", "/scenario", {"runs": {"looks": 0}})
        self.submit("cut-short", display_name="as it was")
        ended(self.client, "cut-short")
        before = self.client.get_details("cut-short").sort_values("inputs.line_number")["outputs.answer"]
        self.assertTrue(before.isna().any() and before.notna().any(), before)

        control("POST", "/scenario", {"runs": {"looks": 0}})
        self.client.run(resume_from="cut-short", name="goes-on")
        run = ended(self.client, "goes-on")
        self.assertEqual((run.status, run._error, run.display_name), ("Completed", None, "as it was"))
        self.assertEqual(run._properties["azureml.promptflow.resume_from_run_id"], "cut-short")
        after = self.client.get_details("goes-on").sort_values("inputs.line_number")["outputs.answer"]
        self.assertTrue(after.notna().all(), after)
        kept = [new for old, new in zip(before, after) if old == new]
        self.assertEqual(len(kept), before.notna().sum(), "lines that were completed are kept")

    def test_what_is_not_over_or_not_there_is_not_resumed(self):
        with runs_that(base="stick"):
            self.submit("under-way")
            for name, status in [("under-way", 400), ("nobody", 404)]:
                with self.assertRaises(FlowRequestException) as caught:
                    self.client.run(resume_from=name, name="too-early")
                self.assertIn(f"Status code: {status}", str(caught.exception))
            self.client.runs.cancel("under-way")

    def test_who_has_no_role_is_told_so(self):
        self.submit("allowed")
        with denied("https://ml.azure.com"):
            # The first call of a submission asks for traces, and is not wrapped by the client as the others are.
            with refused(self, status=403, saying="does not have authorization to perform this action"):
                self.submit("forbidden")
            with self.assertRaises(RunRequestException) as caught:
                self.client.runs.get("allowed")
            self.assertIn("Code: 403", str(caught.exception))
        ended(self.client, "allowed")
        with tempfile.TemporaryDirectory() as folder, denied("https://storage.azure.com"):
            with self.assertRaises(RunOperationError) as caught:
                self.client.runs.download("allowed", output=folder)
        self.assertIn("User does not have permission to perform this operation on storage account", str(caught.exception))

    def test_runs_are_listed_renamed_archived_and_restored(self):
        self.submit("listed", display_name="as it was", tags={"a": "1"})

        def named(view):
            return [run.name for run in self.client.runs.list(list_view_type=view)]

        self.assertEqual(named(ListViewType.ACTIVE_ONLY)[0], "listed", "the newest comes first")
        renamed = self.client.runs.update("listed", display_name="renamed", description="why", tags={"b": "2"})
        self.assertEqual((renamed.display_name, renamed.description), ("renamed", "why"))
        self.assertEqual(renamed.tags, {"a": "1", "b": "2"})
        self.client.runs.archive("listed")
        self.assertNotIn("listed", named(ListViewType.ACTIVE_ONLY))
        self.assertIn("listed", named(ListViewType.ARCHIVED_ONLY))
        self.client.runs.restore("listed")
        self.assertIn("listed", named(ListViewType.ACTIVE_ONLY))

    def test_a_name_is_used_once(self):
        self.submit("once")
        with self.assertRaises(FlowRequestException) as caught:
            self.submit("once")
        self.assertIn("Status code: 409", str(caught.exception))

    def test_a_run_that_nobody_submitted_is_not_found(self):
        with self.assertRaises(UserErrorException) as caught:
            self.client.runs.get("nobody")
        self.assertIn("'nobody' not found", str(caught.exception))
