"""llama-gguf run: one prompt, one answer."""

import os
import time

import click

from llama_gguf.cli import _model
from llama_gguf.cli._answer import Answer
from llama_gguf.cli._output import emit_json, json_option, note, write


@click.command()
@_model.default_model
@click.option("-p", "--prompt", metavar="TEXT", help="The prompt; - reads it from stdin.")
@click.option("-n", "--max-tokens", default=256, type=click.IntRange(0), show_default=True)
@_model.sampling
@_model.machine
@click.option("--system", metavar="TEXT", help="System prompt, where the chat template is used.")
@click.option(
    "--chat/--no-chat",
    default=None,
    help="Put the prompt through the model's chat template, or continue it as plain text."
    " Default: chat where the file has a template.",
)
@click.option(
    "--echo/--no-echo",
    default=None,
    help="Print the prompt before the answer. Default: only where it is continued as plain text.",
)
@json_option
@_model.verbose
def run(
    model, prompt, max_tokens, threads, ctx, kv_type, system, chat, echo, as_json, verbose, **sampling
):
    """Answer or continue a prompt, streaming the text to stdout.

    MODEL defaults to smollm2. Text piped in follows the prompt given with -p.

    \b
    Examples:
      llama-gguf run -p "The capital of France is" -n 16 --no-chat
      llama-gguf run user/repo:Q4_K_M -p "Summarize:" < letter.txt
      llama-gguf run model.gguf -p - --temperature 0.8 --seed 7 --json
    """
    if prompt is None and " " in model and not os.path.exists(model):
        raise click.UsageError(f"{model!r} is no model; a prompt is given with -p")
    text = _model.read_prompt(prompt)
    start = time.perf_counter()
    with _model.open_model(model, n_ctx=ctx, kv_type=kv_type, n_threads=threads) as m:
        load_seconds = time.perf_counter() - start
        sampling |= {"max_tokens": max_tokens}
        chat = _wants_chat(m, chat, system)
        chunks = m.stream_chat(_messages(system, text), **sampling) if chat else None
        chunks = chunks or m.stream(text, **sampling)
        if (not chat if echo is None else echo) and not as_json:
            write(f"{text}\n" if chat else text)
        answer = Answer().follow(chunks, None if as_json else write)
        _finish(answer, model, text, load_seconds, as_json, verbose)


def _wants_chat(m, chat, system):
    if chat is False and system:
        raise click.UsageError("--system needs the chat template; leave --no-chat out")
    return "tokenizer.chat_template" in m.metadata or bool(system) if chat is None else chat


def _messages(system, text):
    messages = [{"role": "system", "content": system}] if system else []
    return [*messages, {"role": "user", "content": text}]


def _finish(answer, model, prompt, load_seconds, as_json, verbose):
    if as_json:
        from dataclasses import asdict

        told = {"model": model, "prompt": prompt, "load_seconds": round(load_seconds, 4)}
        emit_json(told | asdict(answer.result()))
    else:
        write("\n")
    if answer.result().finish_reason == "context":
        note("the context is full; a larger one (--ctx) leaves room for more")
    if verbose:
        answer.report(load_seconds)
    if answer.interrupted:
        raise click.Abort
