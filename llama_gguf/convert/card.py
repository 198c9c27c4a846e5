"""`general.*`: what a model is called and by whom, from its card (README.md), config.json and the folder's name.

Names on the Hub are taken apart as llama.cpp does, so that "SmolLM2-135M-Instruct" gives a basename, a size and a
finetune. The rules are those of gguf-py/gguf/metadata.py, b11434.
"""

import re

from ..gguf import Typed
from .keys import FLOATS

VERSION = re.compile(r"(v|iter)?\d+([.]\d+)*", re.IGNORECASE)
TYPE = re.compile(r"i?q\d(_\w)*|b?fp?(16|32)", re.IGNORECASE)
SIZE = re.compile(r"(([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl)", re.IGNORECASE)
TUNED = re.compile(r"chat|instruct|vision|lora", re.IGNORECASE)

TEXTS = {  # key of general.* -> keys of the card, the first that is there
    "name": "name model_name", "author": "author model_author model_creator", "version": "version model_version",
    "organization": "organization model_organization", "description": "description model_description",
    "finetune": "finetune model_finetune", "basename": "basename model_basename model_type",
    "size_label": "size_label model_size_label", "source.url": "url model_url", "source.doi": "doi model_doi",
    "source.uuid": "uuid model_uuid", "source.repo_url": "repo_url model_repo_url", "license": "license",
    "license.name": "license_name", "license.link": "license_link",
}
LISTS = {"tags": ("tags", "pipeline_tag"), "languages": ("languages", "language")}
SAMPLING = {"top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "temp": "temperature",
            "penalty_repeat": "repetition_penalty", "penalty_last_n": "penalty_last_n",
            "xtc_probability": "xtc_probability", "xtc_threshold": "xtc_threshold", "mirostat": "mirostat",
            "mirostat_tau": "mirostat_tau", "mirostat_eta": "mirostat_eta", "sequence": "sequence"}


def metadata(folder, config, parameters, name=None):
    """`general.*` keys. `parameters`: (all, shared, of one expert, experts), for names and sizes; `name`: instead of
    what the folder says."""
    card, total = read_card(folder), parameters[0]
    found = {f"general.sampling.{key}": folder.dict("generation_config.json").get(names)
             for key, names in SAMPLING.items()}
    said = {key: next((card[k] for k in names.split() if card.get(k) is not None), None)
            for key, names in TEXTS.items()}
    for source in (config.raw.get("_name_or_path"), folder.path.resolve().name):
        for key, value in from_name(source, total).items():
            if said.get(key) is None:
                said[key] = value
    said["name"] = name or said.get("name") or folder.path.resolve().name
    said["size_label"] = said.get("size_label") or size_label(*parameters)
    said |= {key: _joined([card.get(k) for k in names]) for key, names in LISTS.items()}
    if isinstance(said["license"], list):
        said["license"] = ",".join(map(str, said["license"]))
    found |= {f"general.{key}": value for key, value in said.items()}
    found |= _sources(card, "base_model", ("base_model", "base_models", "base_model_sources"), total)
    found |= _sources(card, "dataset", ("datasets", "dataset", "dataset_sources"), total)
    return {key: value if isinstance(value, list) else _plain(key, value) for key, value in found.items()
            if value is not None and value != []}


def _plain(key, value):
    if isinstance(value, Typed):
        return value
    if key.startswith("general.sampling."):
        return Typed(value, "i32") if type(value) is int and key not in FLOATS else value
    return str(value)


def _joined(parts):
    """A list of texts from texts and lists; None from nothing."""
    values = [part for part in parts if part is not None]
    return [str(v) for part in values for v in (part if isinstance(part, list) else [part])] if values else None


def read_card(folder):
    """The YAML between the first two lines of dashes of README.md, as a dict."""
    lines = (folder.text("README.md") or "").splitlines()
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        return {}
    import yaml  # huggingface_hub brings it

    text = "\n".join(lines[1 : lines.index("---", 1)]) + "\n"
    text = text.replace("- no\n", '- "no"\n').replace("\t", "  ")  # Norwegian is a language, not false
    try:
        card = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        folder.note("the card in README.md is not YAML and is left out")
        return {}
    return card if isinstance(card, dict) else {}


def title(text):
    """"my-model-v2" as "My Model v2": words begin with a capital, but for versions and what has capitals already."""
    words = text.strip().replace("-", " ").split()
    return " ".join(w.title() if w.islower() and not re.match(r"(v\d+(?:\.\d+)*|\d.*)$", w) else w for w in words)


def from_name(source, total):
    """What an id or path says: name, organization, basename, finetune, version, size_label, where it does."""
    if not source or source.count("/") > 1:
        return {}
    organization, _, name = source.rpartition("/")
    if " " in source:
        return {"name": title(source)}
    found = {"name": title(name), **parts_of(name, total)}
    if organization and not organization.startswith("."):
        found["organization"] = title(organization)
    return found


def parts_of(name, total):
    """basename, finetune, version and size_label of the last part of a Hub name."""
    parts = [part for part in name.split("-") if part]
    kinds = [set() for _ in parts]
    for i, part in enumerate(parts):
        parts[i] = _classify(i, part, kinds[i], total)
    if any(c.isdecimal() for part, kind in zip(parts, kinds, strict=True) if "size_label" in kind for c in part):
        for part, kind in zip(parts, kinds, strict=True):
            if part.isalpha():
                kind.discard("size_label")
    _mark_basename(parts, kinds)
    found = {key: "-".join(dict.fromkeys(p) if key == "size_label" else p) or None for key in
             ("basename", "size_label", "finetune", "version")
             for p in [[part for part, kind in zip(parts, kinds, strict=True) if key in kind
                        and not (key == "version" and "basename" in kind)]]}
    if not (found["size_label"] or found["finetune"] or found["version"]):
        found["basename"] = None
    return found


def _classify(i, part, kind, total):
    """Adds to `kind` what a part of a name is; returns it as it is written in GGUF."""
    if VERSION.fullmatch(part):
        kind.add("version")
    elif TYPE.fullmatch(part):
        kind.add("type")
        return part.upper()
    elif i > 0 and SIZE.fullmatch(part):
        return _size(part.replace("_", "."), kind, total)
    elif i > 0 and TUNED.fullmatch(part):
        kind.add("finetune")
    return part


def _size(part, kind, total):
    """A size such as 7B; it counts as a finetune (a context length) where the model is far from that large."""
    if part[-1].isdecimal():
        part = part[:-2] + "." + part[-1] + part[-2]  # 7b1 is 7.1b
    if len(part) > 1 and part[-2].isdecimal() and part[-1] in "kmbt":
        part = part[:-1] + part[-1].upper()
    try:
        said = float(part[:-1]) * 1000 ** " KMBT".find(part[-1])
        if total and abs(said - total) > 7 * total // 8:
            kind.add("finetune")
            return part[:-1] + part[-1].lower()
    except ValueError:
        pass  # "small", or 8x7B: taken at its word
    kind.add("size_label")
    return part


def _mark_basename(parts, kinds):
    at_start = True
    for part, kind in zip(parts, kinds, strict=True):
        if at_start and ((not kind and part[0].isalpha()) or "version" in kind):
            kind.add("basename")
        else:
            at_start = False
            if not kind:
                kind.add("finetune")
    for kind in reversed(kinds):
        if "basename" not in kind or len(kind) == 1:
            break
        kind.remove("basename")


def size_label(total, shared, of_one_expert, experts):
    """"123K", "7.0B", "8x1.2B": parameters in thousands, millions and so on, of one expert where there are several."""
    return f"{experts}x{rounded(shared + of_one_expert)}" if experts else rounded(total) if total else None


def rounded(n):
    """At least two digits and the letter of a power of thousand."""
    factor, letter = next((pair for pair in ((1e12, "T"), (1e9, "B"), (1e6, "M")) if n > pair[0]), (1e3, "K"))
    scaled = n / factor
    places = max(2 - len(str(round(scaled)).lstrip("0")), 0)
    return f"{scaled:.{places}f}{letter}"


def parameters(shapes):
    """(all, shared, of one expert, experts) for {name: shape}."""
    total = shared = of_one = counted = tensors = 0
    for name, shape in shapes.items():
        size = 1
        for n in shape:
            size *= n
        total += size
        if "_exps." in name and len(shape) > 2:
            experts = shape[-3]
            of_one, counted, tensors = of_one + size // experts, counted + experts, tensors + 1
        else:
            shared += size
    return total, shared, of_one, counted // tensors if tensors else 0


def _sources(card, prefix, keys, total):
    """`general.base_model.*` and `general.dataset.*` from names, addresses or objects of the card."""
    given = next((card[k] for k in keys if k in card), None)
    entries = [] if given is None else given if isinstance(given, list) else [given]
    if not entries:
        return {}
    found = {f"general.{prefix}.count": Typed(len(entries), "u32")}
    for i, entry in enumerate(entries):
        for key, value in (entry if isinstance(entry, dict) else _source(str(entry), total)).items():
            if value is not None:
                found[f"general.{prefix}.{i}.{key}"] = str(value)
    return found


def _source(text, total):
    is_address = text.startswith(("http://", "https://", "ssh://"))
    hub = re.match(r"https?://huggingface.co/([^/]+/[^/]+)$", text) if is_address else None
    parts = from_name(hub[1] if hub else "" if is_address else text, total)
    found = {key: parts.get(key) for key in ("name", "organization", "version")}
    if is_address:
        return found | {"repo_url": text}
    return found | ({"repo_url": f"https://huggingface.co/{text}"} if text.count("/") == 1 else {})
