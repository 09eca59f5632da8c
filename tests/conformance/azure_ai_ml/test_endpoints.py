"""Online endpoints, as a script with azure-ai-ml reads and writes them."""

import json
import tempfile
import unittest
from pathlib import Path

from azure.ai.ml.entities import ManagedOnlineEndpoint
from azure.core.exceptions import ResourceNotFoundError

from workspace import control, fault, ml_client, refused, without, write

LIVE = "qa-prod"  # d-1 takes everything, d-2 and d-3 nothing


class Endpoints(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.endpoints = ml_client().online_endpoints

    def test_an_endpoint_is_read(self):
        endpoint = self.endpoints.get(LIVE)
        self.assertEqual(endpoint.name, LIVE)
        self.assertEqual(endpoint.auth_mode, "aad_token")
        self.assertEqual(endpoint.provisioning_state, "Succeeded")
        self.assertRegex(endpoint.scoring_uri, rf"^https://{LIVE}\.\w+\.inference\.ml\.azure\.com/score$")
        self.assertRegex(endpoint.openapi_uri, rf"^https://{LIVE}\.\w+\.inference\.ml\.azure\.com/swagger\.json$")
        self.assertTrue(endpoint.id.endswith(f"/onlineEndpoints/{LIVE}"), endpoint.id)
        self.assertEqual(endpoint.identity.type, "system_assigned")

    def test_endpoints_are_listed(self):
        names = [endpoint.name for endpoint in self.endpoints.list()]
        self.assertIn(LIVE, names)

    def test_an_endpoint_is_made_changed_and_deleted(self):
        new = ManagedOnlineEndpoint(name="qa-new", auth_mode="key", description="made here", tags={"team": "a"})
        made = self.endpoints.begin_create_or_update(new).result()
        self.assertEqual((made.provisioning_state, made.description, made.tags), ("Succeeded", "made here", {"team": "a"}))
        keys = self.endpoints.get_keys("qa-new")
        self.assertTrue(keys.primary_key and keys.secondary_key)

        made.tags["team"] = "b"
        changed = self.endpoints.begin_create_or_update(made).result()
        self.assertEqual(changed.tags["team"], "b")

        self.endpoints.begin_delete("qa-new").result()
        with self.assertRaises(ResourceNotFoundError):
            self.endpoints.get("qa-new")

    def test_traffic_is_moved_and_mirrored(self):
        endpoint = self.endpoints.get(LIVE)
        self.assertEqual({name: share for name, share in endpoint.traffic.items() if share}, {"d-1": 100})

        endpoint.traffic, endpoint.tags = {"d-1": 90, "d-2": 10}, {"release": "2"}
        moved = self.endpoints.begin_create_or_update(endpoint).result()
        self.assertEqual({name: share for name, share in moved.traffic.items() if share}, {"d-1": 90, "d-2": 10})
        self.assertEqual(moved.tags, {"release": "2"})

        endpoint.traffic, endpoint.mirror_traffic = {"d-1": 100}, {"d-2": 10}
        mirrored = self.endpoints.begin_create_or_update(endpoint).result()
        self.assertEqual(mirrored.mirror_traffic, {"d-2": 10})
        [served] = [each for each in control("GET", "/state")["endpoints"] if each["name"] == LIVE]
        self.assertEqual((served["serving"], served["mirror"]), ({"d-1": 100}, {"d-2": 10}))

        endpoint.mirror_traffic = {}
        self.endpoints.begin_create_or_update(endpoint).result()
        self.assertEqual(self.endpoints.get(LIVE).mirror_traffic, {})

    def test_a_split_that_azure_would_not_have_is_refused(self):
        for traffic in [{"d-1": 90}, {"d-1": 50, "d-9": 50}]:
            endpoint = self.endpoints.get(LIVE)
            endpoint.traffic = traffic
            with refused(self, status=400, saying="The request is invalid."):
                self.endpoints.begin_create_or_update(endpoint).result()

    def test_an_unknown_endpoint_is_not_found(self):
        with refused(self, status=404, saying="The specified resource was not found."):
            self.endpoints.get("qa-none")

    def test_an_endpoint_is_asked_by_whoever_may_score(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        question = write(Path(temporary.name), {"question.json": '{"question": "Why?"}'}) / "question.json"
        answer = json.loads(self.endpoints.invoke(LIVE, request_file=str(question), deployment_name="d-2"))
        self.assertIn("answer", answer)
        with without("*/onlineEndpoints/score/action"):
            with refused(self, status=401, saying="onlineEndpoints/score/action"):
                self.endpoints.invoke(LIVE, request_file=str(question))

    def test_a_role_that_may_not_write_is_named(self):
        endpoint = self.endpoints.get(LIVE)
        with fault({"path": "/onlineEndpoints/", "method": "PUT"}, {"forbid": True}):
            with refused(self, status=403, saying="(AuthorizationFailed)") as caught:
                self.endpoints.begin_create_or_update(endpoint).result()
        self.assertIn("onlineEndpoints/write", str(caught.exception))
