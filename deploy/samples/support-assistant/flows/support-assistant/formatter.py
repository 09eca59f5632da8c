"""Gives the answer its final form."""

from promptflow.core import tool

# The evaluation flow knows a refusal by this opening.
REFUSAL = "I need more detail before I can answer:"
WITHHELD = "This answer was withheld by the safety check. Please open a ticket."
CLARIFY = "CLARIFY:"


@tool
def formatter(answer: str, citations: list, safety_verdict: str) -> dict:
    if safety_verdict != "safe":
        return {"answer": WITHHELD, "citations": []}
    if answer.startswith(CLARIFY):
        return {"answer": f"{REFUSAL} {answer[len(CLARIFY):].strip()}", "citations": []}
    return {"answer": answer, "citations": citations}
