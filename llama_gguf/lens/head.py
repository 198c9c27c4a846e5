"""What a residual would say: the final norm and the output matrix, applied to any of them."""

import numpy as np

from ..session import Session


class Head:
    """`logits(x)`: float32 (rows, n_vocab) of residuals (rows, width), by the model's own head."""

    def __init__(self, model):
        model._need_weights()
        model._need_decoder()
        layers = model.h.layers
        self._session = Session(model, n_ctx=256, layers=range(layers, layers))

    def logits(self, x):
        x = np.ascontiguousarray(x, np.float32)
        out = np.empty((len(x), self._session.width), np.float32)
        for at in range(0, len(x), self._session.batch):
            self._session.reset()
            self._session.forward(x[at : at + self._session.batch], every=True, out=out[at : at + self._session.batch])
        return out


def read(model, text_or_ids):
    """Token ids for a model that can run them."""
    model._need_weights()
    return model.ids(text_or_ids)


def log_softmax(logits):
    """float64, along the last axis."""
    x = np.asarray(logits, np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def entropy(log_p):
    """In nats."""
    return -(np.exp(log_p) * np.where(np.isfinite(log_p), log_p, 0)).sum(-1)


def divergence(log_p, log_q):
    """KL(p || q) in nats."""
    seen = np.isfinite(log_p)
    return (np.exp(log_p) * np.where(seen, log_p - np.where(seen, log_q, 0), 0)).sum(-1)


def best(values, k):
    """Indices of the k largest along the last axis, the largest first; the lower index of equals."""
    k = min(k, values.shape[-1])
    some = np.argpartition(-values, k - 1, axis=-1)[..., :k]
    some.sort(-1)
    order = np.argsort(-np.take_along_axis(values, some, -1), axis=-1, kind="stable")
    return np.take_along_axis(some, order, -1)


def piece(model, token):
    """A token's text as a label: quoted, so that spaces and line ends show."""
    return repr(model.detokenize([int(token)]))[1:-1].replace(" ", "·") or f"<{token}>"


def pieces(model, ids):
    return [piece(model, i) for i in ids]


def one_token(model, token):
    """The id of a token that is given as id or text."""
    if not isinstance(token, str):
        return model.ids([token])[0]
    ids = model.tokenize(token, bos=False, special=True)
    if len(ids) != 1:
        raise ValueError(f"{token!r} is {len(ids)} tokens {pieces(model, ids)}, but one is wanted")
    return ids[0]
