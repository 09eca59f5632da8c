"""What `pf flow validate` says of every folder in a folder: as JSON, by name, "" or its first complaint."""

import json
import sys
from pathlib import Path

from promptflow._sdk._pf_client import PFClient


def verdict(flows, folder):
    try:
        result = flows.validate(flow=folder)
    except Exception as error:  # `pf` prints it and exits with 1
        return f"{type(error).__name__}: {error}"
    if result.passed:
        return ""
    first = next(iter(result._errors), None)
    return f"{first.yaml_path}: {first.message}" if first else "it failed"


flows = PFClient().flows
everything = {folder.name: verdict(flows, folder / "flow") for folder in sorted(Path(sys.argv[1]).iterdir())}
print()
json.dump(everything, sys.stdout, ensure_ascii=False)
