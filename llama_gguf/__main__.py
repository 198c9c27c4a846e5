"""`python -m llama_gguf` is `llama-gguf`; llama.cpp installs another program of that name."""

from llama_gguf.cli import main

if __name__ == "__main__":
    main(prog_name="llama-gguf")
