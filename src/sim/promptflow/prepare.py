"""Makes the workspace's connections in a new home of Prompt flow, read as JSON from standard input.

One process instead of `pf connection create` for each: a start of `pf` takes two seconds.
"""

import json
import sys

from promptflow.client import PFClient
from promptflow.entities import AzureContentSafetyConnection, AzureOpenAIConnection, CustomConnection

client = PFClient()
for wanted in json.load(sys.stdin):
    name, target, key = wanted["name"], wanted["target"], wanted["key"]
    if wanted["category"] == "AzureOpenAI":
        made = AzureOpenAIConnection(
            name=name, api_base=target, api_key=key, api_type="azure", api_version="2024-10-21"
        )
    elif wanted["category"] == "CognitiveService":
        made = AzureContentSafetyConnection(name=name, endpoint=target, api_key=key, api_version="2023-10-01")
    else:
        made = CustomConnection(name=name, configs={"target": target}, secrets={"key": key})
    client.connections.create_or_update(made)
