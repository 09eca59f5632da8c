"""Whether the assistant refused exactly where it should. No model is asked: a refusal has a fixed opening."""

from promptflow.core import tool

# As the formatter of the support assistant writes it.
REFUSAL = "I need more detail before I can answer:"


@tool
def refusal_check(predicted_answer: str, should_refuse: bool) -> bool:
    return predicted_answer.startswith(REFUSAL) == should_refuse
