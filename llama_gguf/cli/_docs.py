"""The page docs/cli.md, from --help: python -m llama_gguf.cli._docs > docs/cli.md"""

import click

from llama_gguf.cli import cli

INTRODUCTION = """\
# Command line

`llama-gguf` and `python -m llama_gguf` are the same program. stdout holds the payload only;
progress, timings, hints and errors go to stderr. Exit codes: 0 done, 1 failed (one line says why),
2 wrong usage, 130 Ctrl-C (the text so far is kept).

| variable | meaning |
|---|---|
| `LLAMA_GGUF_CACHE` | where models from Python packages are kept (default: the platform's cache) |
| `LLAMA_GGUF_ISA` | force an instruction set: `generic`, `avx2`, `avxvnni`, `avx512`, `amx`, `neon` |
| `LLAMA_GGUF_DEBUG` | `1`: errors come with their traceback |
| `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_ENDPOINT` | as in huggingface_hub |
| `HF_HUB_OFFLINE` | `1`: no network at all, cached models only |
| `NO_COLOR` | no bold headings on terminals |

This page is made from `--help` by `python -m llama_gguf.cli._docs`.
"""


def page():
    """The whole page as Markdown."""
    settings = {**cli.context_settings, "max_content_width": 80, "terminal_width": 80}
    root = click.Context(cli, info_name="llama-gguf", **settings)
    return "\n".join([INTRODUCTION, *_sections(root)])


def _sections(ctx):
    yield f"## {ctx.command_path}\n\n```text\n{ctx.get_help()}\n```\n"
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            command = ctx.command.get_command(ctx, name)
            settings = {**command.context_settings, "terminal_width": 80}
            yield from _sections(click.Context(command, parent=ctx, info_name=name, **settings))


if __name__ == "__main__":
    print(page(), end="")
