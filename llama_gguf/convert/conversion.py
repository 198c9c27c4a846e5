"""One folder to one file: read, plan, check, write."""

import os
from contextlib import contextmanager
from pathlib import Path

from ..errors import LlamaGGUFError, ModelError
from ..gguf import GGUFWriter, Typed
from ..quantize.files import quantize_file
from ..vocab.pretokenizers import BY_NAME
from . import card, checking, rules, sources, tokens, writing
from .config import Config
from .family import choose
from .folder import Folder
from .keys import metadata, scaling_type, typed
from .tokens import special
from .tokens.pretokenizer import recognize

POOLINGS = {"mean": 1, "cls": 2, "lasttoken": 3}
SCALINGS = ("default", "linear", "yarn", "llama3", "longrope", "su", "mrope", "none")
MODES = {"pooling_mode_mean_tokens": 1, "pooling_mode_cls_token": 2, "pooling_mode_lasttoken": 3}


class Conversion:
    """A conversion that is planned, but not written.

    `metadata` and `tensors` are what the file will have, `notes` what its reader should know (parts left out, numbers
    that do not fit). `type` is F32, F16, BF16, Q8_0 for the matrices, or a recipe of quantize/; "auto" keeps BF16
    and makes all else F16. `pre` names the pre-tokenizer, `name` the model; `check` that llama-gguf could
    run the file. Raises ModelError or FormatError for what cannot be converted, before anything is written.
    """

    def __init__(self, folder, type="auto", pre=None, name=None, check=True):
        self.folder = Folder(folder)
        with _reading(self.folder):
            self._plan(type, pre, name, check)

    def _plan(self, type, pre, name, check):
        self.config = _config(self.folder)
        self.family = choose(self.config)
        self.config.defaults = self.family.defaults
        self._note_what_gguf_cannot_say()
        self.sources = self._sources()
        self.vocabulary = self._vocabulary(pre)
        self.tensors = self._tensors()
        self.type, self.recipe = ("auto", None) if type == "auto" else writing.checked(type)
        if self.type == "auto":
            self.type = writing.automatic(self.tensors)
        self.metadata = self._metadata(name, pre)
        if check:
            checking.check(self.metadata, self.shapes(), self.folder)

    @property
    def notes(self):
        return self.folder.notes

    @property
    def arch(self):
        return self.family.arch

    def shapes(self):
        """{name: object with name, shape, type} of the tensors as the file will have them."""
        return {p.name: checking.Shape(p, writing.kind_of(p, self.type)) for p in self.tensors}

    def summary(self):
        """What the file is or would be, ready for JSON."""
        return {
            "architecture": self.arch, "name": self.metadata["general.name"].value, "type": self.recipe or self.type,
            "tensors": len(self.tensors), "parameters": self.parameters[0],
            "tokenizer": self.vocabulary.model, "pre_tokenizer": self.vocabulary.pre,
            "tokens": len(self.vocabulary.texts), "size_bytes": self._writer("", writing.Writer(self.type)).size,
            "notes": self.notes,
        }

    def _writer(self, path, writer, force=False):
        return GGUFWriter(path, self.metadata, [writer.entry(p) for p in self.tensors], force=force,
                          inputs=[s.path for s in self.sources.values()])

    def write(self, path, force=False, progress=None):
        """Write the file and return its path; `progress(done, total)` is called with counts of numbers.

        A folder as `path` gets a file named after the model.
        """
        path = Path(path)
        if path.is_dir():
            path = path / self.file_name()
        total, done = self.parameters[0], 0

        def advance(n):
            nonlocal done
            done += n
            if progress:
                progress(done, total)

        writer = writing.Writer(self.type, advance)
        if self.recipe:
            self._write_quantized(path, writer, force)
        else:
            self._writer(path, writer, force).write()
        for tensor in writer.overflows:
            self.folder.note(f"{tensor} has numbers beyond 65504, which F16 cannot hold; use BF16 or F32")
        return path

    def _write_quantized(self, path, writer, force):
        """By way of a file of the source's precision beside the output, which goes when the output is there."""
        if path.exists() and not force:
            raise FileExistsError(17, "it exists already; --force (force=True) replaces it", str(path))
        plain = path.with_name(f".{path.name}.{os.getpid()}.{self.type.lower()}")
        try:
            self._writer(plain, writer).write()
            quantize_file(plain, path, self.recipe, force=force)
        finally:
            plain.unlink(missing_ok=True)

    def file_name(self):
        """model-TYPE.gguf, with the name that the metadata have."""
        name = self.metadata["general.name"].value.replace(" ", "-").replace(os.sep, "-")
        return f"{name}-{self.recipe or self.type}.gguf"

    @property
    def parameters(self):
        shapes = {}
        for p in self.tensors:
            shapes[p.name] = (*p.shape[:-1], p.shape[-1] // 17 * 32) if p.dtype == "MXFP4" else p.shape
        return card.parameters(shapes)

    def _note_what_gguf_cannot_say(self):
        kind, own = self.config.rope_type, self.family.keys.get(".rope.scaling.type", scaling_type)
        if kind not in SCALINGS and own is scaling_type:
            self.folder.note(f"positions are stretched by {kind!r}, which GGUF cannot say: left out")
        if self.family.remark and (remark := self.family.remark(self.config)):
            self.folder.note(remark)

    def _sources(self):
        found = sources.of_folder(self.folder, self.config)
        if not self.family.renamed:
            return found
        names = {name: self.family.renamed(name, self.config) for name in found}
        return {names[name]: source for name, source in found.items() if names[name]}

    def _vocabulary(self, pre):
        kind, vocabulary = tokens.read(self.folder, self.family.vocabulary, self.config, pre)
        self.config.vocabulary, self.config.tokens = kind, vocabulary
        rows, stated = self._embedding_rows(), self.config.get("vocab_size", default=0)
        wanted = rows or stated
        if wanted and len(vocabulary.texts) > wanted:
            raise ModelError(f"its tokenizer has {len(vocabulary.texts)} tokens, but the model only {wanted} rows "
                             "for them", path=self.folder.path)
        vocabulary.pad(wanted)
        return vocabulary

    def _embedding_rows(self):
        """Rows of the embedding that the folder holds; 0 where a step of the family cuts them."""
        for name, source in self.sources.items():
            found = rules.find(self.family.tensors, name)
            if found and found[0] == "token_embd":
                return source.shape[0]
        return 0

    def _tensors(self):
        planned = rules.plan(self.sources, self.family.tensors, self.config, self.folder, self.family.ignored)
        extra = self.family.extra(self.config) if self.family.extra else {}
        made = [rules.Planned(name, values.shape, [Made(name, values)]) for name, values in extra.items()]
        if not any(p.name == "token_embd.weight" for p in planned):
            raise ModelError("has no token embeddings: this is not the whole model", path=self.folder.path)
        return made + planned

    def _metadata(self, name, pre):
        arch, config = self.arch, self.config
        found = {"general.architecture": arch, "general.type": "model"}
        found |= card.metadata(self.folder, config, self.parameters, name)
        found |= metadata(self.family.keys, arch, config)
        if self.family.from_tensors:
            found |= self.family.from_tensors(self.sources, config)
        found |= {"general.file_type": self._file_type(), "general.quantization_version": 2}
        found |= self._tokenizer_keys(pre)
        return {key: typed(key.removeprefix(arch), value, config) for key, value in found.items()}

    def _file_type(self):
        mxfp4 = any(p.dtype == "MXFP4" for p in self.tensors)
        return 38 if mxfp4 else writing.FILE_TYPES.get(self.type, 1)

    def _tokenizer_keys(self, pre):
        v, config = self.vocabulary, self.config
        found = {"tokenizer.ggml.tokens": Typed(v.texts, "str"), "tokenizer.ggml.token_type": Typed(v.types, "i32")}
        if v.scores is not None:
            found["tokenizer.ggml.scores"] = Typed(v.scores, "f32")
        if v.merges:
            found["tokenizer.ggml.merges"] = Typed(v.merges, "str")
        own = special.keys(self.folder, config, len(v.texts)) | v.keys
        found |= metadata(self.family.tokens, self.arch, config) | own
        found |= metadata(self.family.tokens_anyway, self.arch, config)
        found |= templates(self.folder)
        if pre and v.model == "gpt2" and pre not in BY_NAME:
            raise ModelError(f"{pre!r} is not the name of a pre-tokenizer; there are {', '.join(BY_NAME)}")
        if v.pre is None:
            v.pre = recognize(self.folder, v, own, self.arch)
        return {"tokenizer.ggml.model": v.model, "tokenizer.ggml.pre": v.pre} | found


class Made:
    """A tensor that no folder has, such as the factors of a rope."""

    dtype, path = "F32", None

    def __init__(self, name, values):
        self.name, self.values, self.shape = name, values, values.shape

    def array(self):
        return self.values

    float32 = array

    def forget(self):
        pass


def convert(folder, out, type="auto", *, pre=None, name=None, check=True, force=False, progress=None):
    """Convert a model folder to the GGUF file `out`; returns the Conversion, whose `path` is the file.

    Options as of Conversion and its `write`.
    """
    conversion = Conversion(folder, type, pre, name, check)
    conversion.path = conversion.write(out, force, progress)
    return conversion


@contextmanager
def _reading(folder):
    """What a file says in a form that nobody expects is an error of that file, not of the program."""
    try:
        yield
    except LlamaGGUFError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelError(f"a JSON file says something in an unexpected form ({error.__class__.__name__}: {error}; "
                         "LLAMA_GGUF_DEBUG=1 shows where)", path=folder.path) from error


def _config(folder):
    config = Config(folder.config, folder.path / "config.json")
    config.tokenizer = folder.dict("tokenizer_config.json")
    config.generation = folder.dict("generation_config.json")
    config.pooling = pooling(folder)
    return config


def pooling(folder):
    """`pooling_type` by the modules of sentence-transformers; other modules than a pooling are told about."""
    modules, found = folder.json("modules.json", []), None
    for module in modules if isinstance(modules, list) else ():
        kind, path = str(module.get("type", "")).rpartition(".")[2], str(module.get("path", ""))
        if kind == "Pooling" and path and os.path.basename(path) == path:
            given = folder.dict(f"{path}/config.json")
            found = next((n for mode, n in MODES.items() if given.get(mode)), POOLINGS.get(given.get("pooling_mode")))
        elif kind in ("Dense", "CNN", "LSTM", "WeightedLayerPooling"):
            folder.note(f"the {kind} module of sentence-transformers ({path}) is left out: embeddings end before it")
    return found


def templates(folder):
    """`tokenizer.chat_template`, and named ones where the folder has several."""
    given = folder.dict("tokenizer_config.json").get("chat_template")
    if given is None and (text := folder.text("chat_template.jinja")) is not None:
        more = folder.path / "additional_chat_templates"
        names = sorted(path.stem for path in more.glob("*.jinja")) if more.is_dir() else []
        given = [{"name": "default", "template": text}, *(
            {"name": name, "template": folder.text(f"additional_chat_templates/{name}.jinja")} for name in names)]
    if given is None:
        given = folder.dict("chat_template.json").get("chat_template")
    if isinstance(given, str):
        return {"tokenizer.chat_template": given}
    if not isinstance(given, list):
        return {}
    named = {"".join(c if c.isascii() and c.isalnum() else "_" for c in entry.get("name") or ""): entry.get("template")
             for entry in given if isinstance(entry, dict) and isinstance(entry.get("template"), str)}
    found = {"tokenizer.chat_template" + (f".{name}" if name != "default" else ""): template
             for name, template in named.items() if name}
    others = [name for name in named if name and name != "default"]
    return found | ({"tokenizer.chat_templates": others} if others else {})
