"""A file of the Hub into its cache, from where the last attempt left off.

huggingface_hub goes on after a cut as long as the process lives, but keeps nothing for the next one. Here the part that
has come stays beside the blob it will become, until the whole has come and has the SHA-256 that the Hub tells.
"""

import hashlib
import logging
import os
import shutil
import time
from contextlib import contextmanager, suppress

from llama_gguf.errors import FormatError, LlamaGGUFError

log = logging.getLogger(__name__)

OTHER = "what arrived is not what the Hub holds (SHA-256 differs); try again"
BLOCK = 1 << 18
ATTEMPTS = 5  # that bring nothing, until it is given up
PAUSE = 1.0  # seconds, doubled after each of them
BUSY = (408, 429, 500, 502, 503, 504)  # answers that another attempt may change
TIMEOUT = 10.0  # seconds without a byte
MOST = 50 << 30  # bytes that the Hub sends by plain HTTP


def fetch_blob(url, blob, size, sha256, progress=False):
    """Download `url` to the path `blob`, whole and with this SHA-256; False where that is there already.

    FormatError where it has another one. Other errors leave what has come in `blob`.part, to go on from.
    """
    from huggingface_hub.utils import WeakFileLock

    if blob.exists():
        return False
    blob.parent.mkdir(parents=True, exist_ok=True)
    part = blob.with_name(f"{blob.name}.part")
    with WeakFileLock(f"{part}.lock"):
        if not blob.exists():
            _fetch(url, part, size, sha256, progress)
            os.replace(part, blob)
    part.with_name(f"{part.name}.lock").unlink(missing_ok=True)
    return True


def give_up(part):
    """Remove the part of a download, unless it is still going on."""
    from huggingface_hub.utils import WeakFileLock

    lock = part.with_name(f"{part.name}.lock")
    with suppress(TimeoutError):
        with WeakFileLock(lock, timeout=0.1):
            part.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)


def _fetch(url, part, size, sha256, progress):
    with open(part, "ab+") as file:
        if file.tell() > size:
            file.truncate(0)
        _check_space(part, size - file.tell())
        digest = _digest(file)
        with _bar(part.name, size, file.tell(), progress) as bar:
            _until_whole(url, file, size, digest, bar)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != sha256:
        part.unlink()
        raise FormatError(f"{url}: {OTHER}")


def check(path, sha256):
    """FormatError unless a cached file has this SHA-256 (huggingface_hub compares sizes); it leaves the cache then."""
    with open(path, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise FormatError(f"{path.name}: {OTHER}")


def _digest(file):
    """The hash of what has come so far; the file stands at its end again."""
    digest = hashlib.sha256()
    if file.tell():
        log.info("going on after %.1f MB", file.tell() / 1e6)
    file.seek(0)
    while block := file.read(BLOCK):
        digest.update(block)
    return digest


def _check_space(part, needed):
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise LlamaGGUFError(f"{needed:,} bytes are needed in {part.parent}, but only {free:,} are free")


def _until_whole(url, file, size, digest, bar):
    """Ask for what is missing until it is there; several attempts in a row may bring nothing."""
    from huggingface_hub.errors import HfHubHTTPError

    vain = 0
    while file.tell() < size:
        before = file.tell()
        try:
            _receive(url, file, size, digest, bar)
        except Exception as error:
            disk = isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError | TimeoutError)
            told = isinstance(error, HfHubHTTPError) and error.response.status_code not in BUSY
            if told or disk or isinstance(error, LlamaGGUFError):
                raise
            vain = vain + 1 if file.tell() == before else 0
            if vain == ATTEMPTS:
                raise
            log.info("the transfer was cut after %.1f MB (%s); going on", file.tell() / 1e6, type(error).__name__)
            time.sleep(PAUSE * 2**vain)


def _receive(url, file, size, digest, bar):
    with opened(url, file.tell(), size) as (response, blocks):
        for block in _after(blocks, 0 if response.status_code == 206 else file.tell()):
            if file.tell() + len(block) > size:
                raise FormatError(f"{url}: more than the {size:,} bytes arrive that the Hub tells; try again")
            file.write(block)
            digest.update(block)
            bar.update(len(block))
    if file.tell() < size:
        raise ConnectionError(f"the transfer ended after {file.tell():,} of {size:,} bytes")


@contextmanager
def opened(url, start, end):
    """(response, its blocks as they come) of bytes `start` to `end` of a file of the Hub, asked for with its token."""
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    headers = {**build_hf_headers(), "Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
    session = get_session()
    if hasattr(session, "stream"):  # httpx, since huggingface_hub 1.0
        with session.stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
            hf_raise_for_status(response)
            yield response, response.iter_bytes(BLOCK)
    else:
        with session.get(url, headers=headers, timeout=TIMEOUT, stream=True) as response:
            hf_raise_for_status(response)
            yield response, response.iter_content(BLOCK)


def read_range(url, start, end):
    """Bytes `start` to `end` of a file of the Hub; shorter only where the file is."""
    found = bytearray()
    with opened(url, start, end) as (response, blocks):
        for block in _after(blocks, 0 if response.status_code == 206 else start):
            found += block
            if len(found) >= end - start:
                break
    return bytes(found[: end - start])


def _after(blocks, skip):
    """Blocks without their first `skip` bytes: a server that knows no ranges sends everything."""
    for block in blocks:
        if skip < len(block):
            yield block[skip:]
        skip = max(0, skip - len(block))


@contextmanager
def _bar(name, size, done, show):
    from tqdm import tqdm

    disable = not show or bool(os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS"))
    with tqdm(desc=name[:40], total=size, initial=done, unit="B", unit_scale=True, disable=disable) as bar:
        yield bar
