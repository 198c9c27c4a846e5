"""Folders of safetensors in shards: written by size, and written anew with other sizes."""

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from ..errors import ModelError
from ..gguf.atomic import move_all
from .folder import Folder
from .safetensors import header_of

DEFAULT = 5_000_000_000
"""Bytes of a shard, as transformers writes them."""
TEXTS = (".json", ".txt", ".model", ".jinja", ".md", ".tiktoken")
"""Ends of the files that go along. Code and pickles do not."""


@contextmanager
def new_folder(folder, force=False):
    """A temporary folder that becomes `folder` when the block ends without an error.

    One that has files is refused without `force`; with it, files are replaced, old weights are removed and files of
    other names stay. An error leaves it as it was.
    """
    folder = Path(folder).resolve()
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(17, "it is a file", str(folder))
    if folder.exists() and any(folder.iterdir()) and not force:
        raise FileExistsError(17, "it is not empty; --force (force=True) replaces what is in it", str(folder))
    beside = folder if folder.exists() else folder.parent  # a folder that is there may be a disk of its own
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temp = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=beside))
    except OSError as error:  # it names the temporary folder
        raise OSError(error.errno, error.strerror, str(folder)) from error
    try:
        yield temp
        _replace(temp, folder)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def _replace(temp, folder):
    os.chmod(temp, 0o755)
    if not folder.exists():
        os.rename(temp, folder)
        return
    moves = [(path, folder / path.relative_to(temp)) for path in temp.rglob("*") if path.is_file()]
    targets = {target for _, target in moves}
    for target in targets:
        target.parent.mkdir(exist_ok=True)
    away = Path(tempfile.mkdtemp(dir=temp))
    stale = [path for path in folder.glob("model*.safetensors*") if path not in targets]
    move_all([*moves, *((path, away / path.name) for path in stale)])


def write(folder, tensors, max_shard_bytes=DEFAULT, progress=None):
    """model.safetensors, or shards and their index. `tensors`: objects with name, dtype, shape, n_bytes, data()."""
    shards, total, index, done = _by_size(tensors, max_shard_bytes), sum(t.n_bytes for t in tensors), {}, 0
    for i, shard in enumerate(shards, 1):
        name = "model.safetensors" if len(shards) == 1 else f"model-{i:05}-of-{len(shards):05}.safetensors"
        with open(folder / name, "xb") as file:
            file.write(header_of([(t.name, t.dtype, t.shape) for t in shard]))
            for tensor in shard:
                file.write(tensor.data())
                index[tensor.name], done = name, done + tensor.n_bytes
                if progress:
                    progress(done, total)
            os.fsync(file.fileno())
    if len(shards) > 1:
        text = json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=2)
        (folder / "model.safetensors.index.json").write_text(text + "\n", "utf-8")


def _by_size(tensors, limit):
    shards, size = [[]], 0
    for tensor in tensors:
        if shards[-1] and size + tensor.n_bytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.n_bytes
    return shards


def resplit(folder, out, max_shard_bytes=DEFAULT, *, force=False, progress=None):
    """Write a folder of safetensors anew, in shards of at most `max_shard_bytes` (of one tensor at least).

    A limit beyond the model's size merges. Tensors are copied byte by byte, configuration and tokenizer go along.
    """
    source = Folder(folder)
    if Path(out).resolve() == source.path.resolve():
        raise ModelError("the output is also the input", path=out)
    with new_folder(out, force) as temp:
        write(temp, [Copied(t) for t in source.tensors.values()], max_shard_bytes, progress)
        for name in sorted(os.listdir(source.path)):
            path = source.file(name) if name.endswith(TEXTS) and "safetensors" not in name else None
            if path:
                shutil.copyfile(path, temp / name)
    return Path(out)


class Copied:
    """A tensor of a folder, as `write` takes it."""

    def __init__(self, stored):
        self.stored, self.name, self.dtype, self.shape = stored, stored.name, stored.dtype, stored.shape
        self.n_bytes = stored.n_bytes

    def data(self):
        return self.stored.raw
