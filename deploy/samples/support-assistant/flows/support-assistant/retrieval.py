"""Finds the documents of the knowledge base that bear on a question.

The knowledge base is small, so it travels with the flow and is ranked here with BM25. In a larger installation this
node asks a search index, and the rest of the flow stays as it is.
"""

import math
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

from promptflow.core import tool

FOLDER = Path(__file__).parent / "kb"
# Usual values of BM25: how fast repeated words stop counting, and how much long documents are held back.
K1, B = 1.2, 0.75
STOP_WORDS = frozenset(
    "a an and any are as at be been by can did do does for from get had has have he her him his how i if in is it its "
    "me mine more my no not now of on or our out she should so some than that the their them then there they this to "
    "up us was we what when where which who why will with you your".split()
)


def words(text):
    found = (word.strip("-") for word in re.findall(r"[a-z0-9-]+", text.lower()))
    return [stem(word) for word in found if word and word not in STOP_WORDS]


def stem(word):
    """Good enough for this corpus: certificates and certificate, locked and lock are the same word."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e") if len(word) > 4 else word


@lru_cache(maxsize=1)
def corpus():
    documents = []
    for path in sorted(FOLDER.glob("*.md")):
        text = path.read_text(encoding="utf-8").strip()
        title = text.splitlines()[0]
        # The title and the id say what a document is about, so they count three times.
        counts = Counter(words(text)) + Counter((words(title) + words(path.stem.replace("-", " "))) * 2)
        documents.append({"id": path.stem, "text": text, "counts": counts, "length": sum(counts.values())})
    return documents


def rank(query, documents):
    average = sum(document["length"] for document in documents) / len(documents)
    scores = Counter()
    for word in set(query):
        having = [document for document in documents if word in document["counts"]]
        weight = math.log(1 + (len(documents) - len(having) + 0.5) / (len(having) + 0.5))
        for document in having:
            count = document["counts"][word]
            held_back = K1 * (1 - B + B * document["length"] / average)
            scores[document["id"]] += weight * count * (K1 + 1) / (count + held_back)
    return scores


@tool
def retrieval(question: str, conversation_history: list, intent: str, top_k: int) -> list:
    if intent.strip() == "ambiguous":
        return []
    earlier = conversation_history[-1]["inputs"]["question"] if conversation_history else ""
    documents = corpus()
    scores = rank(words(f"{earlier} {question}"), documents)
    by_id = {document["id"]: document for document in documents}
    return [
        {"id": name, "text": by_id[name]["text"], "score": round(score, 4)}
        for name, score in sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:top_k]
    ]
