from promptflow.core import tool


@tool
def answer(question: str) -> str:
    return f"The answer to {question}"
