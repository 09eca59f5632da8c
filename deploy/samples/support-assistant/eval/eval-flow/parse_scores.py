"""Reads the judge's reply. What is no whole number from 0 to 3 fails the line: a guess would be a score nobody gave."""

import json

from promptflow.core import tool

AXES = ("groundedness", "citation", "refusal")
HIGHEST = 3


@tool
def parse_scores(reply: str) -> dict:
    try:
        scores = json.loads(reply)
    except ValueError as error:
        raise ValueError(f"the judge's reply must be a JSON object, got: {reply[:200]}") from error
    if not isinstance(scores, dict):
        raise ValueError(f"the judge's reply must be a JSON object, got: {reply[:200]}")
    for axis in AXES:
        score = scores.get(axis)
        # A bool is an int in Python, and true is not a score.
        if isinstance(score, bool) or not isinstance(score, int) or not 0 <= score <= HIGHEST:
            raise ValueError(f"`{axis}` must be a whole number from 0 to {HIGHEST}, got {score!r}")
    return {
        "groundedness": scores["groundedness"],
        # A share, as the thresholds of this metric are written.
        "citation_correctness": scores["citation"] / HIGHEST,
        "refusal": scores["refusal"],
    }
