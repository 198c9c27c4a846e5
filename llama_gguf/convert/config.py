"""config.json, read as transformers reads it: text models inside others, old and new names, what may be left out."""

from functools import cached_property

from ..errors import ModelError

NESTED = ("text_config", "llm_config", "lm_config", "language_config", "thinker_config")
GLOBAL_BASE = ("global_rope_theta", "rope_global_theta", "rope_theta_global", "rope_theta", "rotary_emb_base")
LOCAL_BASE = ("local_rope_theta", "rope_local_theta", "rope_theta_local", "swa_rope_theta", "rope_local_base_freq")
FILLED_IN = ("num_key_value_heads",)
"""What config classes fill in although it is `null`."""
PARTIAL = ("partial_rotary_factor", "rope_pct", "rope_percent", "rotary_pct")


class Config:
    """Hyperparameters by the names of config.json. `null` there is none, and no default either.

    `text`: the part about the language model, with the outer keys below it. `classes`: candidates for the model's
    class, the inner one first. `defaults`: what the config class takes, values or functions of the Config. `tokenizer`
    and `generation`: tokenizer_config.json and generation_config.json. `pooling`: of sentence-transformers, a number.
    `vocabulary`: the kind that was read, `tokens`: the Vocabulary.
    """

    def __init__(self, raw, path):
        self.path, self.raw, self.defaults, self.tokenizer, self.generation = path, raw, {}, {}, {}
        self.pooling = self.vocabulary = self.tokens = None
        inner = next((raw[key] for key in NESTED if isinstance(raw.get(key), dict)), {})
        inner = inner.get("text_config", inner)
        self.nested = bool(inner)
        merged = {**raw, **inner}
        self.text = {k: v for k, v in merged.items() if v is not None}
        self._nulls = merged.keys() - self.text.keys()
        lists = [inner.get("architectures"), raw.get("architectures")]
        self.classes = [name for names in lists if isinstance(names, list) for name in names[:1]]

    def with_defaults(self, defaults):
        self.defaults = defaults
        return self

    def get(self, *names, default=None):
        """The first of these keys that config.json has, else the default of the config class, else `default`."""
        for name in names:
            if name in self.text:
                return self.text[name]
        for name in names:
            value = self.defaults.get(name)
            if value is not None and (name not in self._nulls or name in FILLED_IN):
                return value(self) if callable(value) else value
        return default

    def need(self, *names):
        value = self.get(*names)
        if value is None:
            raise ModelError(f"config.json lacks {' or '.join(names)}", path=self.path)
        return value

    def int(self, *names):
        """A positive integer that there must be."""
        value = self.need(*names)
        if type(value) is not int or not 0 < value < 1 << 31:
            raise ModelError(f"{names[0]} in config.json is {value!r}; it must be a positive integer", path=self.path)
        return value

    @cached_property
    def layers(self):
        return self.int("n_layers", "num_hidden_layers", "n_layer", "num_layers")

    @cached_property
    def width(self):
        return self.int("hidden_size", "n_embd", "d_model", "n_embed", "dim")

    @cached_property
    def heads(self):
        return self.int("num_attention_heads", "n_head", "n_heads")

    @cached_property
    def kv_heads(self):
        value = self.get("num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", default=self.heads)
        return max(value) if isinstance(value, list) else value

    @cached_property
    def head_dim(self):
        return self.get("head_dim", default=None) or self.width // self.heads

    @property
    def q_rows(self):
        return self.heads * self.head_dim

    @property
    def kv_rows(self):
        return self.kv_heads * self.head_dim

    @property
    def ssm_groups(self):
        return self.get("n_groups", "mamba_n_groups", default=1)

    @property
    def n_tokens(self):
        return len(self.tokens.texts)

    @property
    def adds_space(self):
        return self.tokens.adds_space

    def token_id(self, text):
        """The id of a token, or None."""
        return self.tokens.id(text)

    @cached_property
    def rope(self):
        """The rope parameters of transformers 5 (`rope_type`, `rope_theta`, ...), from whichever keys say them.

        With layers of two kinds it holds one such dict each under "full_attention" and "sliding_attention".
        """
        given = self.get("rope_parameters", "rope_scaling", default={})
        given = dict(given) if isinstance(given, dict) else {}
        if "full_attention" in given or "sliding_attention" in given:
            return given
        local = self.get(*LOCAL_BASE)
        if local is not None:
            given["sliding_attention"] = {"rope_theta": local}
        for key, names in (("rope_theta", GLOBAL_BASE), ("partial_rotary_factor", PARTIAL),
                           ("original_max_position_embeddings", ("original_max_position_embeddings",))):
            if given.get(key) is None and self.get(*names) is not None:
                given[key] = self.get(*names)
        if "rope_type" not in given and "type" in given:
            given["rope_type"] = given["type"]
        return given

    @cached_property
    def main_rope(self):
        """`rope` of the layers that see everything."""
        return self.rope.get("full_attention", self.rope)

    @property
    def rope_type(self):
        return str(self.main_rope.get("rope_type", "default")).lower()

    def rope_dim(self, default=1.0):
        """Dimensions of a head that turn."""
        return int(self.head_dim * self.main_rope.get("partial_rotary_factor", default))

    def error(self, what):
        """A ModelError about config.json, to raise."""
        return ModelError(f"config.json: {what}", path=self.path)
