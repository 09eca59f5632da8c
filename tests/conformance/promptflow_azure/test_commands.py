"""The command line `pfazure`: what a person types to evaluate a flow."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from promptflow_azure.runs import WHERE, ended, flows_in, pf_client, pfazure


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.flows = flows_in(folder.name)

    def create(self, name: str, flow: str, *more: str) -> list:
        data = ["--flow", str(self.flows / flow), "--data", str(self.flows / "questions.jsonl")]
        return ["run", "create", *data, "--name", name, *more]

    def test_a_run_and_its_judge_are_made_followed_and_read(self):
        mapping = ["--column-mapping", "question=${data.question}"]
        command = ["pfazure", *self.create("cli-base", "answer", *mapping), "--stream", *WHERE]
        made = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertIn('Run status: "Completed"', made.stdout)
        run = json.loads(made.stdout[made.stdout.rindex("\n{") :])
        self.assertEqual((run["name"], run["status"]), ("cli-base", "Completed"))
        self.assertNotIn("error", run)

        judged = ["--run", "cli-base", "--column-mapping", "question=${data.question}",
                  "predicted_answer=${run.outputs.answer}"]
        pfazure(*self.create("cli-judge", "judge", *judged))
        self.assertEqual(ended(pf_client(), "cli-judge").status, "Completed")
        self.assertIn('Run status: "Completed"', pfazure("run", "stream", "--name", "cli-judge"))

        details = pfazure("run", "show-details", "--name", "cli-judge")
        self.assertRegex(details, r"\|\s+2 \|\s+2 \|")
        self.assertNotIn("(Failed)", details)
        metrics = pfazure("run", "show-metrics", "--name", "cli-judge")
        self.assertEqual(json.loads(metrics), {}, "a flow without aggregation has no metrics of its own")
        shown = json.loads(pfazure("run", "show", "--name", "cli-judge"))
        self.assertEqual((shown["run"], shown["status"]), ("cli-base", "Completed"))
        self.assertIn("cli-judge", pfazure("run", "list"))

    def test_a_run_is_downloaded_and_resumed(self):
        pfazure(*self.create("cli-whole", "answer", "--column-mapping", "question=${data.question}"))
        self.assertEqual(ended(pf_client(), "cli-whole").status, "Completed")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        pfazure("run", "download", "--name", "cli-whole", "--output", folder.name)
        run = Path(folder.name) / "cli-whole"
        self.assertEqual(json.loads((run / "run_metadata.json").read_text())["status"], "Completed")
        answers = [json.loads(line) for line in (run / "flow_outputs/output.jsonl").read_text().splitlines()]
        self.assertEqual([answer["line_number"] for answer in answers], [0, 1, 2])
        artifact = (run / "flow_artifacts/000000000_000000024.jsonl").read_text().splitlines()
        outputs = [json.loads(line)["run_info"]["output"]["answer"] for line in artifact]
        self.assertEqual(outputs, [answer["answer"] for answer in answers])
        for name in ["flow.dag.yaml", "answer.py"]:
            uploaded = self.flows / "answer" / name
            self.assertEqual((run / "snapshot" / name).read_text(), uploaded.read_text(), name)
        self.assertIn("cli-whole", (run / "logs.txt").read_text())

        pfazure("run", "create", "--resume-from", "cli-whole", "--name", "cli-goes-on")
        self.assertEqual(ended(pf_client(), "cli-goes-on").status, "Completed")

    def test_a_mapping_that_names_no_column_fails_the_run(self):
        pfazure(*self.create("cli-wrong", "answer", "--column-mapping", "question=${data.query}"))
        self.assertEqual(ended(pf_client(), "cli-wrong").status, "Failed")
        with self.assertRaises(SystemExit) as caught:
            pfazure("run", "stream", "--name", "cli-wrong")
        self.assertEqual(caught.exception.code, 1)
