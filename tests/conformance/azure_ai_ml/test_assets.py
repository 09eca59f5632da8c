"""Models, environments and data: what is on the disk is uploaded, and the version registered."""

import tempfile
import unittest
from pathlib import Path

from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import BuildContext, Data, Environment, Model
from azure.core.exceptions import ResourceNotFoundError

from workspace import blobs_written, fault, ml_client, refused, requests_so_far, write

FLOW = {"flow.dag.yaml": "inputs: {}\noutputs: {}\nnodes: []\n", "prompts/answer.jinja2": "system:\nBe kind.\n"}


class Assets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = ml_client()
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = Path(cls.temporary.name)

    def test_a_model_is_uploaded_once_and_registered(self):
        flow = write(self.folder / "flow", FLOW)
        model = Model(
            name="support-flow",
            version="1",
            path=str(flow),
            type=AssetTypes.CUSTOM_MODEL,
            properties={"azureml.promptflow.source_flow_id": "support-flow"},
            tags={"release": "1"},
        )
        made = self.client.models.create_or_update(model)
        self.assertRegex(made.path, r"/datastores/workspaceblobstore/paths/LocalUpload/[0-9a-f]+/flow/?$")
        self.assertEqual(made.properties, {"azureml.promptflow.source_flow_id": "support-flow"})
        self.assertEqual(self.client.models.get("support-flow", "1").tags, {"release": "1"})
        self.assertEqual([each.version for each in self.client.models.list("support-flow")], ["1"])

        before = requests_so_far()
        again = Model(name="support-flow", version="2", path=str(flow), type=AssetTypes.CUSTOM_MODEL)
        self.assertEqual(self.client.models.create_or_update(again).path, made.path)
        self.assertEqual(blobs_written(before), [], "the same content was uploaded again")

    def test_a_version_is_not_overwritten(self):
        one = write(self.folder / "one", FLOW)
        other = write(self.folder / "other", FLOW | {"flow.dag.yaml": "inputs: {q: {type: string}}\n"})
        self.client.models.create_or_update(Model(name="fixed", version="1", path=str(one)))
        with refused(self, status=400, saying="(UserError) Asset paths cannot be updated."):
            self.client.models.create_or_update(Model(name="fixed", version="1", path=str(other)))

    def test_an_environment_of_an_image_is_registered(self):
        ports = {name: {"path": path, "port": 8080} for name, path in
                 [("liveness_route", "/health"), ("readiness_route", "/health"), ("scoring_route", "/score")]}
        image = "registry.example/support@sha256:" + "a" * 64
        self.client.environments.create_or_update(
            Environment(name="support-env", version="1", image=image, inference_config=ports, tags={"release": "1"})
        )
        read = self.client.environments.get("support-env", "1")
        self.assertEqual((read.image, read.inference_config.scoring_route.path), (image, "/score"))

    def test_the_build_context_of_an_environment_is_uploaded(self):
        context = write(self.folder / "context", {"Dockerfile": "FROM scratch\n", "requirements.txt": "promptflow\n"})
        made = self.client.environments.create_or_update(
            Environment(name="built-env", version="1", build=BuildContext(path=str(context)))
        )
        self.assertIn("/LocalUpload/", made.build.path)

    def test_data_is_uploaded_and_registered(self):
        rows = write(self.folder / "data", {"questions.jsonl": '{"question": "a"}\n'})
        made = self.client.data.create_or_update(
            Data(name="questions", version="1", path=str(rows / "questions.jsonl"), type=AssetTypes.URI_FILE)
        )
        self.assertTrue(made.path.endswith("/questions.jsonl"), made.path)
        self.assertEqual(self.client.data.get("questions", "1").type, "uri_file")

    def test_a_storage_that_is_closed_to_the_caller_is_named(self):
        closed = write(self.folder / "closed", FLOW | {"flow.dag.yaml": "inputs: {closed: {type: string}}\n"})
        code = "AuthorizationPermissionMismatch"
        answer = {"answer": {"status": 403, "headers": {"x-ms-error-code": code}, "body": ""}}
        with fault({"service": "blob", "method": "PUT"}, answer):
            with self.assertRaises(Exception) as caught:
                self.client.models.create_or_update(Model(name="closed", version="1", path=str(closed)))
        self.assertIn(code, str(caught.exception))
        with self.assertRaises(ResourceNotFoundError):
            self.client.models.get("closed", "1")

    def test_an_asset_that_nobody_registered_is_not_found(self):
        for kind in [self.client.models, self.client.environments, self.client.data]:
            with self.assertRaises(ResourceNotFoundError):
                kind.get("nobody", "1")
