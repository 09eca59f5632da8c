"""Turns the draft's marks, as in [vpn-errors], into a list of citations.

A mark that names no retrieved document is the drafter's invention: it is taken out of the text and out of the list, so
that nobody follows it.
"""

import re

from promptflow.core import tool

MARK = re.compile(r"\s*\[([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)\]")


@tool
def citation_linker(draft: str, hits: list) -> dict:
    known = {hit["id"] for hit in hits}
    citations = []

    def keep_known(match):
        names = [name.strip() for name in match.group(1).split(",")]
        found = [name for name in names if name in known]
        citations.extend(name for name in found if name not in citations)
        return f" [{', '.join(found)}]" if found else ""

    answer = MARK.sub(keep_known, draft).strip()
    return {"answer": answer, "citations": citations}
