"""What quantize and its neighbours share: KEY=TYPE:VALUE, REGEX=TYPE, warnings."""

from contextlib import contextmanager

import click

from llama_gguf.cli._output import note


class Override(click.ParamType):
    """KEY=TYPE:VALUE, as llama-quantize has it; TYPE int, float, bool or str."""

    name = "key=type:value"
    kinds = {"int": int, "float": float, "str": str, "bool": {"true": True, "false": False}.__getitem__}

    def convert(self, value, param, ctx):
        key, _, typed = str(value).partition("=")
        kind, _, text = typed.partition(":")
        try:
            return key, kind, self.kinds[kind](text)
        except (KeyError, ValueError):
            self.fail(f"{value!r} is not KEY=TYPE:VALUE with TYPE int, float, bool or str", param, ctx)


class TensorTypes(click.ParamType):
    """REGEX=TYPE."""

    name = "regex=type"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        pattern, _, kind = str(value).rpartition("=")
        if not pattern or not kind:
            self.fail(f"{value!r} is not REGEX=TYPE", param, ctx)
        return pattern, kind


@contextmanager
def usage():
    """A type or a pattern that cannot be is wrong usage, as every other value of an option."""
    from llama_gguf.errors import ModelError

    try:
        yield
    except ModelError as error:
        raise click.UsageError(str(error)) from None


def warn(path, recipe=None, matrix=None):
    """The findings of `llama-gguf check` that cost quality; what cannot work is refused anyway."""
    from llama_gguf.checks import compatibility_issues

    for issue in compatibility_issues(path, recipe, matrix, weights=False):
        if issue.severity == "warning":
            note(f"Warning: {issue.summary} [{issue.id}]")
