"""Follow a stream of chunks: show the text, keep what was said, survive Ctrl-C."""

from llama_gguf.cli._output import note


class Answer:
    """What a stream has said so far."""

    def __init__(self):
        self.chunks, self.interrupted = [], False

    def follow(self, chunks, show=None):
        """Take in every chunk and `show` its text. Ctrl-C ends it and keeps the text so far."""
        try:
            for chunk in chunks:
                self.chunks.append(chunk)
                if show:
                    show(chunk.text)
        except KeyboardInterrupt:
            self.interrupted = True
            chunks.close()
        return self

    @property
    def text(self):
        return "".join(chunk.text for chunk in self.chunks)

    def result(self):
        """A generation.Result, of what there is if interrupted."""
        from llama_gguf.generation import Result, collect

        result = collect(self.chunks) if self.chunks else Result()
        if self.interrupted:
            result.finish_reason = "interrupted"
        return result

    def report(self, load_seconds):
        """Timings on stderr."""
        r = self.result()
        known = f" ({r.reused_tokens} known already)" if r.reused_tokens else ""
        note(
            f"load {load_seconds:.2f} s; prompt {r.prompt_tokens} tokens{known}, "
            f"{r.prompt_tokens_per_second:.1f} tokens/s; answer {len(r.tokens)} tokens, "
            f"{r.tokens_per_second:.1f} tokens/s; ended by {r.finish_reason}"
        )
