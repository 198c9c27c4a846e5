"""The card of files that were made: README.md for people and the Hub, card.json for programs."""

import datetime
import hashlib
import json
import re
from collections import Counter

from . import __version__
from .gguf import GGUFFile, replacing

SHA256 = re.compile(r"[0-9a-f]{64}")


def plain_name(text):
    """A model's name as the beginning of a file's."""
    return re.sub(r"[^\w.]+", "-", str(text)).strip("-.") or "model"


def described(path):
    """{"file", "size_bytes", "sha256"}; a blob of the Hub's cache is named by its SHA-256, which was checked."""
    real = path.resolve()
    found = real.name if SHA256.fullmatch(real.name) and real.parent.name == "blobs" else None
    if found is None:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "size_bytes": path.stat().st_size, "sha256": found}


def types_of(path):
    """{type: number of tensors} of a file, the most first."""
    with GGUFFile(path) as file:
        return dict(Counter(t.type.name for t in file.tensors.values()).most_common())


def write(job, kept=False):
    """Write both files into the folder of a make.Making; the card as a dict."""
    card = {
        "name": job.name,
        "made_with": {"llama_gguf": __version__, "date": datetime.datetime.now(datetime.UTC).date().isoformat()},
        "source": job.origin,
        "importance": _importance(job),
        "files": [_file(f, job.issues[f["type"]]) for f in job.files],
    }
    if kept:
        card["original"] = f"{job.name}-{job.origin['converted_to']}.gguf"
    for name, text in (("card.json", json.dumps(card, indent=2) + "\n"), ("README.md", readme(card, _facts(job)))):
        with replacing(job.folder / name, force=job.force) as out:
            out.write(text.encode())
    return card


def _importance(job):
    if job.imatrix is None:
        return None
    known = {"chunks": job.imatrix.n_chunks, "chunk_tokens": job.imatrix.chunk_size, "texts": job.imatrix.datasets}
    return known | (job.measured or {"file": str(job.imatrix.path).rpartition("/")[2]})


def _file(made, issues):
    with GGUFFile(made["paths"][0]) as file:
        weights = sum(t.n_elements for t in file.tensors.values())
        bits = 8 * sum(t.n_bytes for t in file.tensors.values()) / weights
    parts = [described(path) for path in made["paths"]]
    size = sum(part["size_bytes"] for part in parts)
    more = {"shards": parts} if len(parts) > 1 else {"sha256": parts[0]["sha256"]}
    told = {"file": parts[0]["file"], "type": made["type"], "size_bytes": size, "bits_per_weight": round(bits, 3)}
    return told | more | {"tensor_types": made["types"], "check": made["check"], "issues": issues}


def _facts(job):
    """What the files say of the model, for the card's head."""
    with GGUFFile(job.files[0]["paths"][0]) as file:
        meta = file.metadata
        return {key: meta.get(f"general.{key}") for key in ("license", "architecture", "basename", "size_label")}


def readme(card, facts):
    """The Markdown page; its head is what the Hub reads."""
    source = card["source"]
    head = {"license": facts["license"], "base_model": source.get("repository"), "library_name": "gguf"}
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in head.items() if value), "tags:", "- gguf", "---"]
    lines += ["", f"# {card['name']} in GGUF", ""]
    lines += [f"A model of the architecture `{facts['architecture']}`, made of `{source['name']}` with "
              f"llama-gguf {card['made_with']['llama_gguf']} on {card['made_with']['date']}.", ""]
    lines += [*_table(card["files"]), "", *_explained(card["files"]), "## How it was made", "", *_steps(card), ""]
    lines += _issues(card["files"])
    first = card["files"][0]["file"]
    return "\n".join([*lines, "## To run it", "", "```sh", f"llama-gguf run {first}", "```", ""])


def _table(files):
    encoder = "cosine" in files[0]["check"]
    measures = ("cosine",) if encoder else ("KL", "same token")
    rows = [f"| file | type | size | bits per weight | {' | '.join(measures)} |"]
    rows.append("|---|---|---:|---:|" + "---:|" * len(measures))
    for file in files:
        check = file["check"]
        found = [f"{check['cosine']:.5f}"] if encoder else [f"{check['kl']:.5f}", f"{check['same_top']:.1%}"]
        count = f" ({len(file['shards'])} files)" if "shards" in file else ""
        rows.append(f"| {file['file']}{count} | {file['type']} | {_size(file['size_bytes'])} | "
                    f"{file['bits_per_weight']:.2f} | {' | '.join(found)} |")
    return rows


def _explained(files):
    check = files[0]["check"]
    if "cosine" in check:
        return ["cosine: between the vectors that the file and the original give of one text.", ""]
    return [
        "KL: mean divergence (nats) of the file's predictions from the original's, over "
        f"{check['tokens']} tokens of prose, facts and code; same token: how often both think one likeliest.",
        "",
    ]


def _issues(files):
    """What checks warned of, each once."""
    found = {i["summary"]: i["workaround"] for file in files for i in file["issues"] if i["severity"] != "note"}
    if not found:
        return []
    return ["## Worth knowing", "", *(f"* {what}{f' ({how})' if how else ''}" for what, how in found.items()), ""]


def _steps(card):
    source, importance = card["source"], card["importance"]
    if "revision" in source:
        yield f"* Source: `{source['repository']}`, revision `{source['revision']}`"
    else:
        yield f"* Source: `{source['name']}`"
    for file in source["files"]:
        yield f"  * {file['file']}, {file['size_bytes']:,} bytes, SHA-256 `{file['sha256']}`"
    if "converted_to" in source:
        yield f"* Converted to GGUF as {source['converted_to']}"
        yield from (f"  * {note}" for note in source["notes"])
    if importance:
        texts = ", ".join(f"`{text}`" for text in importance["texts"]) or "a text it does not name"
        yield (f"* Importance matrix `{importance['file']}`: {importance['chunks']} chunks of "
               f"{importance['chunk_tokens']} tokens of {texts}")
        if "text" in importance:
            yield f"  * SHA-256 of the text: `{importance['text']['sha256']}`"
    else:
        yield "* No importance matrix"
    for file in card["files"]:
        kinds = ", ".join(f"{n} {kind}" for kind, n in file["tensor_types"].items())
        shards = file.get("shards", [file])
        yield f"* {file['file']}: {kinds} tensors; SHA-256 " + ", ".join(f"`{s['sha256']}`" for s in shards)


def _size(n_bytes):
    unit, factor = next((u for u in (("GB", 1e9), ("MB", 1e6)) if n_bytes >= u[1]), ("kB", 1e3))
    return f"{n_bytes / factor:.2f} {unit}"
