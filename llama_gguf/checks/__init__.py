"""What may go wrong with a model file, said before work starts.

    for issue in compatibility_issues("model.gguf", type="IQ2_XXS"):
        print(issue.severity, issue.summary, issue.workaround)

A check is a generator of Issues that takes a Subject; it stands in CHECKS. What is known of families is in families.py.
"""

import os

from llama_gguf.checks import model, quantizing, vocabulary
from llama_gguf.checks.issue import SEVERITIES, Issue
from llama_gguf.checks.subject import Subject
from llama_gguf.gguf import GGUFFile

__all__ = ["CHECKS", "SEVERITIES", "Issue", "compatibility_issues", "has_tied_embeddings"]

CHECKS = (
    model.structure, model.extra_tensors, model.family, model.memory, model.not_finite,
    vocabulary.tokenizer, vocabulary.special_tokens, vocabulary.template,
    quantizing.tied_embeddings, quantizing.odd_widths, quantizing.requantizing, quantizing.importance,
)


def has_tied_embeddings(path):
    """Does the table of tokens serve as the output matrix too? `path` or an open GGUFFile; only the header is read."""
    if not isinstance(path, GGUFFile):
        with GGUFFile(os.fspath(path)) as file:
            return has_tied_embeddings(file)
    return quantizing.tied(path)


def compatibility_issues(path, type=None, imatrix=None, weights=True):
    """Issues of a model file (path or open GGUFFile), the gravest first.

    type: a file type or Recipe that the file is to be quantized to. imatrix: the Imatrix for that. weights: look for
    NaN and infinity too, which reads the whole file.
    """
    if not isinstance(path, GGUFFile):
        with GGUFFile(os.fspath(path)) as file:
            return compatibility_issues(file, type, imatrix, weights)
    subject = Subject(path, type, imatrix, weights)
    found = [issue for check in CHECKS for issue in check(subject)]
    return sorted(found, key=lambda issue: -SEVERITIES.index(issue.severity))
