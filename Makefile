PYTHON ?= .venv/bin/python

.PHONY: build test lint annotate bench docs
build: ; $(PYTHON) setup.py build_ext --inplace
test: ; $(PYTHON) -m pytest
lint: ; PATH="$(dir $(PYTHON)):$$PATH" && ruff check . && cython-lint pyx llama_gguf
annotate: ; LLAMA_GGUF_ANNOTATE=1 $(PYTHON) setup.py build_ext --inplace --force && ls build/cython/pyx/*.html
bench: ; $(PYTHON) -m llama_gguf bench smollm2 -p 512 -n 64
docs: ; $(PYTHON) -m pip install --quiet pdoc && $(PYTHON) -m pdoc llama_gguf --output-directory docs/_build
