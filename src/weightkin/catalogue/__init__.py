"""One entry per architecture: a file in ``entries/`` holds everything that is known about it.

`entry` says what an entry is; `table` reads all files and finds an entry by name, model type or
GGUF architecture; `config` is the words of configs. Library classes that were traced are no files
of ``entries/``: `traced` says what they are, and `store` reads them from ``traced.bin``, which
``make catalogue`` writes. Whoever adds an architecture adds one file; no other source file names
one. All fields, each left out where there is nothing to say:

==================  ===========================================================================
``about``           one sentence for people
``like``            the entry from which every field is taken that is not given here, but for
                    those that say which architecture it is (up to ``gguf_reordered``)
``model_types``     values of ``model_type`` in its config.json
``classes``         library classes that prove it, as ``library.Class``
``gguf``            names of the architecture in GGUF files
``gguf_reordered``  conversion to GGUF puts rows of queries and keys in another order
``gguf_names``      name of a module in GGUF: its name in safetensors (beside those of the entry
                    that it is like, most often ``llama-like``)
``stack``           name of its stack of blocks, where the prefix says nothing else
``blocks``          how the numbered list of its blocks is called
``depth``           key of the config that says how many blocks there are
``positions``       ``relative`` (rotary, biased or none) or ``stored`` tables keep the residual
                    width exchangeable; ``unsure`` does not
``stored``          ``in out`` where matrices are stored transposed
``joins``           name of the residual stream that all its stacks share
``towers``          modules that name the stack beside which they stand
``labels``          the units that its dimensions run along, see below
``norms``           ``attn``, ``mlp``, ``last``: how the norm is called that attention, the MLP and
                    the head read through, the first that is there (an MLP without one reads
                    through that of attention); ``centred``: whether they subtract the mean;
                    ``in_front``: what embeddings pass on their way into the stream;
                    ``on_stream``: those whose gains the stream itself goes through
``gain_offset``     what the code adds to the stored gains: 1 where it multiplies by 1 + weight
                    (Gemma); ``last_gain_offset``: the same for the last norm, where it differs
``tensors``         the modules: role and dimensions, see below
==================  ===========================================================================

**Tensors.** A key is a pattern of a module (or bare parameter) without its prefix; the leaf
``.weight`` or ``.bias`` is left out, and what begins with ``#.`` stands inside a block. ``.`` is a
dot, ``#`` a number, ``*`` any run of letters, digits and underscores, ``(a|b)`` a choice. The value
is ``role: dimensions``, or ``group role: dimensions`` where a block has several attentions or MLPs
(``cross``, ``shared``; ``#`` is the number of an expert). Further facts stand beside it, which is
``is`` then: ``fixed`` (why V/O dimensions and heads of its attention are not relabelled freely),
``heads_fixed`` (the same for heads alone), ``stack`` (the only one it belongs to), ``fused`` (``by
head``: the queries of a key head, the key and the value stand together; ``one key head``: they do
where there is a single one, and else nobody knows; ``by quarter``: queries, values and keys of a
quarter of the heads after those of another), ``behind`` (a module that feeds it, if present,
instead of the residual stream). Dimensions, one word each in the
order of the stored shape:

=========  =============================================================================
``d``      residual width
``g u h``  MLP units: gate rows, up rows, and the same units where ``down`` reads them
``q k v``  query, key and value dimensions; ``o``: the same as ``v``, repeated for every query head
``qkv``    queries, keys and values in an order that names and shapes do not settle
``gu``     gate and up in such an order
``H``      one entry for each query head
``Dq Dk``  a norm of queries or keys: one entry for each dimension of a head, or of all heads
``e``      experts
``a+b``    several of them, one after the other
``-``      anything else; ``...`` any number of such dimensions
=========  =============================================================================

**Labels**: ``d`` residual width, ``u`` MLP units, ``kv`` key-value heads, ``r`` query heads that
read one of them, ``v`` value dimensions and ``p`` query and key dimensions of a head. ``[i]`` after
the name: every block has labels of its own. Each has ``n`` (key of the config that says how many;
``a/b`` is a ratio), ``in`` (free inside of each of those), ``sign`` (places that flip together),
``turn`` (``half`` or ``interleaved``: which dimensions of a head are a rotary plane), ``rot`` (key
of the config that says which share of them), ``when`` (tensors that must be there for that, or
``not`` be there), ``fixed`` (why it is not free). Where ``turn`` and ``sign`` are both given, the
config says whether positions are rotary or ALiBi. Where other keys are read from a latent space,
``n``, ``beside`` and ``latent`` are the keys of the config for rotary dimensions, other dimensions
of a query, and those of the latent space.
"""

from weightkin.catalogue.entry import Entry, TensorPart
from weightkin.catalogue.table import by_gguf, by_model_type, entries, layouts, norm_names

__all__ = ["Entry", "TensorPart", "by_gguf", "by_model_type", "entries", "layouts", "norm_names"]
