"""What a file that is not GGUF is instead, said in one helpful clause."""

import struct

AGAIN = "download it again"

_HEADS = (
    (b"version https://git-lfs", "a git-lfs pointer, not the model itself; run `git lfs pull`"
     " in its repository, or " + AGAIN),
    (b"PK\x03\x04", "a zip archive (perhaps a PyTorch checkpoint), not GGUF; look for a GGUF"
     " version of the model"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\x89HDF", "an HDF5 file, not GGUF"),
    (b"FUGG", "a byte-swapped (big-endian) GGUF file; only little-endian files are supported"),
    (b"lmgg", "an old GGML file of 2023; look for a GGUF version of the model"),
    (b"fmgg", "an old GGMF file of 2023; look for a GGUF version of the model"),
    (b"tjgg", "an old GGJT file of 2023; look for a GGUF version of the model"),
    (b"algg", "an old GGLA adapter of 2023; look for a GGUF version"),
)


def explain(head, size):
    """Why a file of `size` bytes that starts with `head` (up to 4 KiB) is not GGUF."""
    if size == 0:
        return f"the file is empty; {AGAIN}"
    for magic, what in _HEADS:
        if head.startswith(magic):
            return f"this is {what}"
    if b"GGUF".startswith(head[:4]):
        return f"the file ends after {size} of the 24 header bytes; {AGAIN}"
    if _is_pickle(head):
        return ("this is a Python pickle (perhaps a PyTorch checkpoint), which is never opened"
                " here because it can run code; look for a GGUF version of the model")
    if _is_safetensors(head, size):
        return "this is a safetensors file; look for a GGUF version of the model"
    return _explain_text(head) or (
        f"this is not a GGUF file: it starts with {head[:4]!r}, not with b'GGUF'")


def _is_pickle(head):
    return head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def _is_safetensors(head, size):
    if len(head) < 9 or head[8:9] != b"{":
        return False
    return struct.unpack("<Q", head[:8])[0] <= size - 8


def _explain_text(head):
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return ("this is a web page (an error or log-in page saved in place of the model);"
                f" {AGAIN}")
    if text[:1] in (b"{", b"["):
        return f"this is JSON text, perhaps a server's error message; {AGAIN}"
    if not head.strip(b"\0"):
        return f"the file starts with zeros, as an unfinished download does; {AGAIN}"
    return None
