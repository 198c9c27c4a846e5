"""What the Quantize panel says before anything is done: what is odd about a file, what can be done, what is advised."""

from llama_gguf.gguf.reprs import size
from llama_gguf.panels.parts import escaped
from llama_gguf.pictures import share, table

ADVISED = "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS"
"""In the order of less and less; the last three are what most people want."""


MARKS = {"error": "✕", "warning": "▲", "note": "•"}


def of(issues, plans, imatrix, press="Use"):
    """HTML: how many types are possible, why not all, what else is odd, and what to do; `press`: the button that takes
    an importance matrix.
    """
    problems = {name: plan.problems for name, plan in plans.items() if plan.problems}
    able = [name for name in ADVISED if name not in problems]
    lines = [f"<b>{len(plans) - len(problems)} of {len(plans)} types are possible.</b>"]
    lines += [f"<b>{', '.join(names)}</b>: {escaped(reason)}" for reason, names in reasons(problems).items()]
    if imatrix is None and any("importance" in told[0] for told in problems.values()):
        lines.append(f"Here: name a matrix, or a text file to collect one from, under Importance, and press {press}.")
    if imatrix is not None:
        lines.append(f"Importance of {len(imatrix):,} weights is used, from {imatrix.n_chunks:,} chunks of text.")
    if able:
        named = ", ".join(f"{name} ({size(plans[name].n_bytes)})" for name in able)
        lines.append(f"Good choices here: {named}.")
    bad = not able or any(issue.severity == "error" for issue in issues)
    items = "".join(f'<div style="margin:2px 0">{line}</div>' for line in [*lines, *map(about, issues)])
    return f'<div role="note" class="lg-{"error" if bad else "note"}-text">{items}</div>'


def about(issue):
    """One finding; what it is about, and what to do, unfold."""
    more = [issue.handled and f"Here: {issue.handled}.", issue.workaround and f"What to do: {issue.workaround}."]
    if issue.affected:
        rest = f" and {len(issue.affected) - 8:,} more" if len(issue.affected) > 8 else ""
        more.append(f"It is about {', '.join(issue.affected[:8])}{rest}.")
    told = " ".join(escaped(m) for m in more if m)
    mark = f'<span title="{issue.severity}">{MARKS.get(issue.severity, "•")}</span>'
    return f"<details><summary>{mark} {escaped(issue.summary)}</summary><div>{told}</div></details>"


def reasons(problems):
    """{what stands against some types: their names}; the same about another tensor or type is not told again."""
    found = {}
    for name, told in problems.items():
        key = next((k for k in found if alike(k, told[0])), told[0])
        found.setdefault(key, []).append(name)
    return found


def alike(a, b):
    a, b = a.split(), b.split()
    return len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) <= 2


def plan_table(plan):
    """What becomes of the tensors, by type."""
    rows = {}
    for t in plan.tensors:
        row = rows.setdefault((t.source, t.target), [0, 0, 0])
        for i, n in enumerate((1, t.bytes_before, t.bytes_after)):
            row[i] += n
    total = max(1, plan.n_bytes)
    cells = [
        (a, b if a != b else f"{b} (as it is)", n, size(before), size(after), share(after / total))
        for (a, b), (n, before, after) in sorted(rows.items(), key=lambda item: -item[1][2])
    ]
    return str(table(cells, ("from", "to", "tensors", "before", "after", "share of the file")))
