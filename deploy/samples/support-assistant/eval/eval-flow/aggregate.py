"""Means per class, as `pf run show-metrics` prints them."""

from collections import defaultdict
from statistics import fmean

from promptflow.core import log_metric, tool


@tool
def aggregate(classes: list, groundedness: list, citation_correctness: list, refusal_correct: list) -> dict:
    rows = defaultdict(list)
    for name, *scores in zip(classes, groundedness, citation_correctness, refusal_correct):
        rows[name or "unlabelled"].append(scores)
    means = {}
    for name, scores in sorted(rows.items()):
        for metric, values in zip(("groundedness", "citation_correctness", "refusal_rate"), zip(*scores)):
            means[f"{name}.{metric}"] = fmean(values)
        means[f"{name}.rows"] = len(scores)
    for key, value in means.items():
        log_metric(key, value)
    return means
