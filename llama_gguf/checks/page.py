"""The page docs/families.md: python -m llama_gguf.checks.page > docs/families.md"""

from llama_gguf.checks.families import FAMILIES

INTRODUCTION = """\
# Families

What is known of model families when it comes to files, conversion and quantizing. `llama-gguf check` shows what applies
to a file. This page is made from `llama_gguf/checks/families.py` by `python -m llama_gguf.checks.page >
docs/families.md`; to add something, add an entry there.
"""


def page():
    return "\n".join([INTRODUCTION, *(line for family in FAMILIES for line in section(family))])


def section(family):
    yield f"## {family.title}\n"
    yield f"`general.architecture`: {', '.join(family.archs)}\n"
    for trait in family.traits:
        more = sentence("Elsewhere", trait.workaround) + sentence("Here", trait.handled)
        yield f"* **{trait.id}**: {trait.text}.{more}"
    if not family.traits:
        yield "Nothing unusual is known."
    yield ""


def sentence(where, text):
    return f" {where}: {text}." if text else ""


if __name__ == "__main__":
    print(page(), end="")
