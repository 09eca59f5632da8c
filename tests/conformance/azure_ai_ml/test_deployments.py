"""Deployments of an online endpoint: made, failed, read, scaled, deleted."""

import tempfile
import unittest
from pathlib import Path

from azure.ai.ml.entities import (
    CodeConfiguration,
    DataCollector,
    DefaultScaleSettings,
    DeploymentCollection,
    Environment,
    ManagedOnlineDeployment,
    Model,
    OnlineRequestSettings,
    ProbeSettings,
    RequestLogging,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from workspace import blobs_written, fault, ml_client, refused, requests_so_far, write

LIVE = "qa-prod"  # d-1 takes everything, d-2 and d-3 nothing


def deployment(name: str, **more) -> ManagedOnlineDeployment:
    """One of the kind that serves a prompt flow, of the model and environment that `setUpClass` registers."""
    probe = ProbeSettings(initial_delay=30, period=10, timeout=5, failure_threshold=30, success_threshold=1)
    return ManagedOnlineDeployment(
        name=name,
        endpoint_name=LIVE,
        model="azureml:qa-flow:7",
        environment="azureml:qa-env:7",
        instance_type="Standard_DS3_v2",
        instance_count=1,
        app_insights_enabled=True,
        environment_variables={"PROMPTFLOW_RUN_MODE": "serving"},
        request_settings=OnlineRequestSettings(request_timeout_ms=60000, max_concurrent_requests_per_instance=4),
        liveness_probe=probe,
        readiness_probe=probe,
        scale_settings=DefaultScaleSettings(),
        egress_public_network_access="enabled",
        data_collector=DataCollector(
            collections={name: DeploymentCollection(enabled="true") for name in ("request", "response")},
            rolling_rate="hour",
            sampling_rate=1.0,
            request_logging=RequestLogging(capture_headers=["x-ms-client-request-id"]),
        ),
        **more,
    )


class Deployments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        client = ml_client()
        cls.deployments = client.online_deployments
        image = "registry.example/qa@sha256:" + "0" * 64
        client.environments.create_or_update(Environment(name="qa-env", version="7", image=image))
        folder = "azureml://datastores/workspaceblobstore/paths/flows/7"
        client.models.create_or_update(Model(name="qa-flow", version="7", path=folder))

    def test_a_deployment_is_made_scaled_and_deleted(self):
        made = self.deployments.begin_create_or_update(deployment("d-4", tags={"release": "4"})).result()
        self.assertEqual((made.provisioning_state, made.tags), ("Succeeded", {"release": "4"}))
        self.assertTrue(made.model.endswith("/models/qa-flow/versions/7"), made.model)
        self.assertTrue(made.environment.endswith("/environments/qa-env/versions/7"), made.environment)
        self.assertEqual(made.request_settings.request_timeout_ms, 60000)
        self.assertEqual(made.environment_variables, {"PROMPTFLOW_RUN_MODE": "serving"})
        self.assertIn("d-4", [each.name for each in self.deployments.list(LIVE)])

        # What was read cannot be written: the client does not read a data collector's data as it wants it to be written.
        bigger = deployment("d-4", tags={"release": "4"})
        bigger.instance_count = 2
        self.deployments.begin_create_or_update(bigger).result()
        self.assertEqual(self.deployments.get("d-4", LIVE).instance_count, 2)

        self.deployments.begin_delete("d-4", LIVE).result()
        with self.assertRaises(ResourceNotFoundError):
            self.deployments.get("d-4", LIVE)

    def test_the_code_of_a_deployment_is_uploaded_and_registered_once(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        source = write(Path(temporary.name) / "scoring", {"score.py": "def run(data):\n    return data\n"})

        def coded(name: str) -> ManagedOnlineDeployment:
            code = CodeConfiguration(code=str(source), scoring_script="score.py")
            return deployment(name, code_configuration=code)

        before = requests_so_far()
        made = self.deployments.begin_create_or_update(coded("d-7")).result()
        self.assertTrue(any(path.endswith("/score.py") for path in blobs_written(before)), blobs_written(before))
        self.assertRegex(made.code_configuration.code, r"/codes/[0-9a-f-]+/versions/\w+$")
        self.assertEqual(made.code_configuration.scoring_script, "score.py")

        before = requests_so_far()
        again = self.deployments.begin_create_or_update(coded("d-8")).result()
        self.assertEqual(blobs_written(before), [], "the same code was uploaded again")
        self.assertEqual(again.code_configuration.code, made.code_configuration.code)
        for name in ["d-7", "d-8"]:
            self.deployments.begin_delete(name, LIVE).result()

    def test_a_failed_operation_brings_its_error_and_the_name_is_burnt(self):
        failure = {"operation": {"code": "ResourceNotReady"}}
        with fault({"path": "/deployments/d-5", "method": "PUT"}, failure):
            with self.assertRaises(HttpResponseError) as caught:
                self.deployments.begin_create_or_update(deployment("d-5")).result()
        self.assertEqual(caught.exception.error.code, "ResourceNotReady")
        self.assertIn("User container has crashed or terminated", str(caught.exception))
        self.assertEqual(self.deployments.get("d-5", LIVE).provisioning_state, "Failed")

        with refused(self, status=400, saying="is in an unrecoverable state. Delete and re-create."):
            self.deployments.begin_create_or_update(deployment("d-5")).result()
        self.deployments.begin_delete("d-5", LIVE).result()

    def test_the_containers_log_is_read(self):
        log = self.deployments.get_logs("d-1", LIVE, lines=50)
        self.assertTrue(log.strip(), "no log")
        self.assertTrue(self.deployments.get_logs("d-1", LIVE, lines=50, container_type="storage-initializer").strip())

    def test_a_deployment_with_traffic_is_not_deleted(self):
        with refused(self, status=400, saying="The request is invalid."):
            self.deployments.begin_delete("d-1", LIVE).result()

    def test_an_unknown_endpoint_takes_no_deployment(self):
        lost = deployment("d-6")
        lost.endpoint_name = "qa-none"
        with refused(self, status=404, saying="The specified resource was not found."):
            self.deployments.begin_create_or_update(lost)
