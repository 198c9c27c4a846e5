"""llama-gguf bench: tokens per second of prompt and answer."""

import time

import click

from llama_gguf.cli import _model
from llama_gguf.cli._output import emit_json, json_option, table


@click.command()
@_model.default_model
@click.option("-p", "--prompt-tokens", default=512, type=click.IntRange(1), show_default=True)
@click.option("-n", "--max-tokens", default=64, type=click.IntRange(1), show_default=True)
@click.option("-r", "--rounds", default=3, type=click.IntRange(1), show_default=True)
@_model.threads
@_model.kv_type
@_model.force
@click.option("--ops", is_flag=True, help="Time each kind of operation, too.")
@json_option
def bench(model, prompt_tokens, max_tokens, rounds, threads, kv_type, ops, as_json):
    """Time a prompt, and tokens decoded one by one.

    Tokens are random. Both start from an empty context. A first round warms up and is not counted; figures are
    medians, with the lowest and highest round.

    \b
    Example:
      llama-gguf bench smollm2 -p 512 -n 64 -r 3 --json
    """
    n_ctx = prompt_tokens + max_tokens + 8
    with _model.open_model(model, n_ctx=n_ctx, kv_type=kv_type, n_threads=threads) as m:
        ids = _random_ids(m.tokenizer.n_tokens, max(prompt_tokens, max_tokens + 1))
        session = m.session()
        rates = [_round(session, ids, prompt_tokens, max_tokens) for _ in range(rounds + 1)]
        prompt, decode = zip(*rates[1:], strict=True)
        result = {
            "model": model,
            "prompt_tokens": prompt_tokens,
            "decoded_tokens": max_tokens,
            "rounds": rounds,
            "kv_type": getattr(m, "kv_type", kv_type),
            "threads": threads or getattr(m, "n_threads", None),
            "prompt_tokens_per_second": _spread(prompt),
            "decode_tokens_per_second": _spread(decode),
        }
        if ops:
            result["ops"] = _ops(m, max_tokens)
    emit_json(result) if as_json else _show(result)


def _random_ids(n_vocab, count):
    import random

    choose = random.Random(0)
    return [choose.randrange(n_vocab) for _ in range(count)]


def _round(session, ids, n_prompt, n_decode):
    """(prompt, decode) tokens per second. The tokens are given, so no answer can end early."""
    session.reset()
    start = time.perf_counter()
    session.forward(ids[:n_prompt])
    prompt_seconds = time.perf_counter() - start
    session.reset()
    session.forward(ids[:1])
    start = time.perf_counter()
    for token in ids[1 : n_decode + 1]:
        session.forward([token])
    return n_prompt / prompt_seconds, n_decode / (time.perf_counter() - start)


def _spread(rates):
    from statistics import median

    return {
        "median": round(median(rates), 2),
        "lowest": round(min(rates), 2),
        "highest": round(max(rates), 2),
    }


def _ops(m, n_decode):
    """Milliseconds per decoded token of each kind of operation, the slowest first."""
    kinds = {}
    for _, kind, seconds in m.bench_ops(n_decode=n_decode):
        count, total = kinds.get(kind, (0, 0.0))
        kinds[kind] = count + 1, total + seconds
    whole = sum(total for _, total in kinds.values()) or 1.0
    return [
        {
            "kind": kind,
            "count": count,
            "ms_per_token": round(1e3 * total / n_decode, 4),
            "share": round(total / whole, 4),
        }
        for kind, (count, total) in sorted(kinds.items(), key=lambda item: -item[1][1])
    ]


def _show(result):
    prompt = f"prompt of {result['prompt_tokens']} tokens"
    decode = f"decode of {result['decoded_tokens']} tokens"
    rows = [
        (prompt, *result["prompt_tokens_per_second"].values()),
        (decode, *result["decode_tokens_per_second"].values()),
    ]
    table(rows, (f"{result['threads']} THREADS", "TOKENS/S", "LOWEST", "HIGHEST"), right=(1, 2, 3))
    if "ops" in result:
        click.echo()
        rows = [
            (op["kind"], op["count"], f"{op['ms_per_token']:.3f}", f"{op['share']:.1%}")
            for op in result["ops"]
        ]
        table(rows, ("DECODE BY KIND", "COUNT", "MS/TOKEN", "SHARE"), right=(1, 2, 3))
