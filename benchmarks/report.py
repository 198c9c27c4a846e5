"""The figures of peers.py as Markdown."""

from benchmarks.measure import OURS, figure, markdown, spread_text


def peers(found):
    """Every table that there are figures for, under a line that says what ran where."""
    tables = [machine(found), rates(found), shares(found), starts(found), accuracy(found)]
    return "\n\n".join([headline(found), *(table for table in tables if table)])


def headline(found):
    m, versions = found["machine"], found["loads"]
    others = ", ".join(v["version"] for name, v in versions.items() if name != OURS) or "no peer"
    return (
        f"{found['model']}, {megabytes(found['model_bytes'])} MB; {m['processor']}, "
        f"{m['cores']} cores, {m['instruction_set']}; {m['system']}; Python {m['python']}; "
        f"llama-gguf {m['llama-gguf']} beside {others}."
    )


def megabytes(n_bytes):
    return "-" if n_bytes is None else f"{n_bytes / 1e6:.0f}"


def machine(found):
    rows = [
        (n, spread_text(f["read_gb_s"]), spread_text(f["peak_gflop_s"]))
        for n, f in found["figures"].items()
    ]
    return markdown(("threads", "reads memory, GB/s", "FP32 FMA peak, GFLOP/s"), rows)


def rates(found):
    """Tokens per second, and how many times ours is each peer's."""
    names = list(found["loads"])
    others = [name for name in names if name != OURS]
    against = [f"/ {name}" for name in others] + ["/ faster peer"] * bool(others)
    rows = []
    for result in found["rates"]:
        cells = [cell(result["engines"].get(name)) for name in names]
        ratios = [cell(result["ratios"].get(name)) for name in (*others, "faster peer") if others]
        rows.append((label(result), *cells, *ratios))
    return markdown(("tokens/s: median (low..high)", *names, *against), rows)


def cell(found):
    return spread_text(found) if found else "failed"


def label(result):
    n = result["case"]["threads"]
    return f"{result['name']}, {n} thread{'s' * (n > 1)}"


def shares(found):
    """What the plain cases make of the machine: bytes per second and operations per second."""
    names, rows = list(found["loads"]), []
    for result in found["rates"]:
        case = result["case"]
        plain = not case["deep"] and case["sequences"] == 1
        if plain:
            best = found["figures"][case["threads"]]
            rows.append(share(result, best, found["work"], names))
    titles = ("share of what the machine gives", *names)
    return markdown(titles, rows) if rows else ""


def share(result, best, work, names):
    """A row: decode as part of the read bandwidth, prompt as part of the FP32 peak."""
    decode = result["rate"] == "decode"
    each = work["bytes_per_token"] if decode else work["operations_per_token"]
    unit, top = ("GB/s", "read_gb_s") if decode else ("GFLOP/s", "peak_gflop_s")
    medians = [result["engines"].get(name, {"median": 0})["median"] for name in names]
    amounts = [median * each / 1e9 for median in medians]
    cells = [f"{figure(a)} {unit}, {a / best[top]['median']:.0%}" for a in amounts]
    return (label(result), *cells)


def starts(found):
    if not found["starts"]:
        return ""
    size, rows = found["model_bytes"], []
    for label, s in found["starts"].items():
        times = [spread_text(s[what]) for what in ("load", "first", "whole")]
        peak = s["peak_bytes"]
        rows.append((label, *times, megabytes(peak), f"{peak / size:.2f}" if peak else "-"))
    titles = ("whole program, -c 2048", "model loaded, s", "to first token, s", "to its end, s")
    return markdown((*titles, "peak memory, MB", "of the file"), rows)


def accuracy(found):
    rows = [
        (
            f"{a['engine']}, {a['cache']} cache",
            f"{a['nmse']:.2e}",
            f"{a['kl']:.2e}",
            f"{a['same_top']:.1%}",
        )
        for a in found.get("accuracy", ())
    ]
    titles = ("logits against float activations", "NMSE", "KL, nats", "same first")
    return markdown(titles, rows) if rows else ""
