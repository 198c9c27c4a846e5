"""What people ask of a model that is to be judged; Model inherits it."""

from functools import partial


class Evaluation:
    """Methods of Model. `progress`, where there is one, is called after each piece of work with the result so far and
    how many pieces there are in all; whatever it raises ends the work.
    """

    def perplexity(self, text_or_ids, n_ctx=None, chunks=None, progress=None):
        """Perplexity of a text, as llama-perplexity has it: a float with `error`, `nll` and more, see Perplexity.

        n_ctx: tokens of a window, of which the second half is scored; None: 512, or all of a shorter text, which is
        then scored from its second token on. chunks: windows at most.
        """
        from .perplexity import last, stream
        from .windows import Windows

        total = len(Windows(self, text_or_ids, n_ctx, chunks)) if progress else None
        return last(stream(self, text_or_ids, n_ctx, chunks), total, progress)

    def kl_divergence(self, base, text_or_ids=None, n_ctx=None, chunks=None, progress=None):
        """How far this model's predictions are from those of `base`: a Divergence.

        base: a Model of the same vocabulary, or the path of a file that llama-perplexity (or save_base) wrote, which
        holds its text and n_ctx itself. Windows as in `perplexity`.
        """
        from . import base_file, divergence
        from .perplexity import last
        from .windows import Windows

        if not hasattr(base, "tensors"):
            if text_or_ids is not None or n_ctx is not None:
                raise ValueError(f"{base} holds its text and its windows itself: neither a text nor n_ctx is wanted")
            results, count = base_file.stream(self, base, chunks), base_file.BaseFile(base).count
            return last(results, min(count, chunks or count), progress)
        if text_or_ids is None:
            raise ValueError("a text is wanted, on which to compare the two models")
        total = len(Windows(base, text_or_ids, n_ctx, chunks)) if progress else None
        return last(divergence.stream(self, base, text_or_ids, n_ctx, chunks), total, progress)

    def save_base(self, text_or_ids, path, n_ctx=None, chunks=None, force=False, progress=None):
        """Write this model's log probabilities as llama-perplexity's base file: 2 bytes for each scored token and
        token of the vocabulary. Of a text shorter than a window the second half is scored too. progress(windows done,
        of how many).
        """
        from . import base_file

        for done, total in base_file.write(self, text_or_ids, path, n_ctx, chunks, force):
            if progress is not None:
                progress(done, total)

    def score(self, text_or_ids, top=5):
        """What the model thinks of each token of a text: Scores, with log p, rank, entropy, likeliest tokens."""
        from .scores import score

        return score(self, text_or_ids, top)

    def quant_damage(self, base, text_or_ids, lens=True):
        """This model and `base` in lock-step on one text, layer by layer: a QuantDamage; see evaluate.damage."""
        from .damage import quant_damage

        return quant_damage(self, base, text_or_ids, lens)

    def with_tensor(self, name, type=None, values=None, weights=None):
        """A model that differs from this one in one tensor, in its type or its values; see evaluate.swap.

        Everything else is shared, this model stays as it is, and making the new one costs what that tensor costs.
        """
        from .swap import with_tensor

        return with_tensor(self, name, type, values, weights)

    def sensitivity(self, type, text_or_ids=None, measure="kl", pattern=None, tokens=128, weights=None, progress=None):
        """The damage when each matrix alone is stored as `type`: a Sensitivity; see evaluate.sensitivity."""
        from .perplexity import last
        from .sensitivity import candidates, stream

        work = partial(stream, self, type, text_or_ids, measure, pattern, tokens, weights)
        return last(work(), len(candidates(self, type, pattern)[0]), progress)
