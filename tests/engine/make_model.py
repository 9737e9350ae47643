#!/usr/bin/env python3
"""Writes a tiny chat model with random weights, so that a real engine runs where no model can be had.

    make_model.py OUT.gguf

The architecture is Qwen3's with four small layers. The text it makes is noise, but tokens, streaming,
counters and timings are the engine's own. The vocabulary is the 256 bytes and all pairs of lower-case
letters: no corpus, so the same file comes out on every machine.

One hidden dimension is a constant, which gives the output layer a bias per token. With it every
token is printable ASCII, text of its own, and an answer never ends by itself: its length is exactly
what was asked for.
"""
import string
import sys

import gguf
import numpy as np

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FFN, CONTEXT = 256, 4, 4, 1, 64, 512, 8192
SEED = 7
START, END = "<|im_start|>", "<|im_end|>"
TEMPLATE = """\
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""


def byte_names():
    """The characters by which byte-level BPE writes the 256 bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) if b in plain else chr(256 + rest.index(b)) for b in range(256)]


def vocabulary():
    """Token names, their kinds, and the merges that make pairs of letters."""
    pairs = [(a, b) for a in string.ascii_lowercase for b in string.ascii_lowercase]
    names = byte_names() + [a + b for a, b in pairs] + [START, END]
    kinds = [gguf.TokenType.NORMAL] * (len(names) - 2) + [gguf.TokenType.CONTROL] * 2
    return names, kinds, [f"{a} {b}" for a, b in pairs]


def tensors(vocab):
    """Random weights whose hidden dimension 0 stays constant through all layers."""
    random = np.random.default_rng(SEED)

    def weights(*shape, scale):
        return (random.standard_normal(shape) * scale).astype(np.float32)

    def ones(n):
        return np.ones(n, np.float32)

    embedding = weights(vocab, HIDDEN, scale=1.0)
    embedding[:, 0] = 1.0
    head = weights(vocab, HIDDEN, scale=0.13)
    head[:, 0] = -20.0
    head[0x20:0x7F, 0] = 0.0
    head[256:-2, 0] = 0.0
    yield "token_embd", embedding
    yield "output_norm", ones(HIDDEN)
    yield "output", head
    for i in range(LAYERS):
        attention = weights(HIDDEN, HEADS * HEAD_DIM, scale=0.05)
        down = weights(HIDDEN, FFN, scale=0.05)
        attention[0] = down[0] = 0
        yield f"blk.{i}.attn_norm", ones(HIDDEN)
        yield f"blk.{i}.attn_q", weights(HEADS * HEAD_DIM, HIDDEN, scale=0.1)
        yield f"blk.{i}.attn_k", weights(KV_HEADS * HEAD_DIM, HIDDEN, scale=0.1)
        yield f"blk.{i}.attn_v", weights(KV_HEADS * HEAD_DIM, HIDDEN, scale=0.05)
        yield f"blk.{i}.attn_q_norm", ones(HEAD_DIM)
        yield f"blk.{i}.attn_k_norm", ones(HEAD_DIM)
        yield f"blk.{i}.attn_output", attention
        yield f"blk.{i}.ffn_norm", ones(HIDDEN)
        yield f"blk.{i}.ffn_gate", weights(FFN, HIDDEN, scale=0.05)
        yield f"blk.{i}.ffn_up", weights(FFN, HIDDEN, scale=0.05)
        yield f"blk.{i}.ffn_down", down


def main(path):
    names, kinds, merges = vocabulary()
    out = gguf.GGUFWriter(path, "qwen3")
    out.add_name("tiny random")
    out.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    out.add_context_length(CONTEXT)
    out.add_embedding_length(HIDDEN)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(FFN)
    out.add_head_count(HEADS)
    out.add_head_count_kv(KV_HEADS)
    out.add_key_length(HEAD_DIM)
    out.add_value_length(HEAD_DIM)
    out.add_rope_freq_base(1e6)
    out.add_layer_norm_rms_eps(1e-6)
    out.add_vocab_size(len(names))
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list(names)
    out.add_token_types(kinds)
    out.add_token_merges(merges)
    out.add_eos_token_id(len(names) - 1)
    out.add_add_bos_token(False)
    out.add_chat_template(TEMPLATE)
    for name, tensor in tensors(len(names)):
        out.add_tensor(name + ".weight", tensor.astype(np.float16) if tensor.ndim == 2 else tensor)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


main(sys.argv[1])
