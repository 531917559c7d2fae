"""Small language models with random weights, saved to folders as real ones are."""

from pathlib import Path

TEXT = (
    "task recover the blood volume pulse of a person from video face skin light rough minimum "
    "maximum median trend upward downward strongest repetitions beats minute seconds tone bright "
    "dark even moves rests and in is no . , : ; - 0 1 2 3 4 5 6 7 8 9"
)
FAMILIES = ("qwen2", "llama", "gemma3_text", "gpt2", "bert")


def save_language_model(folder: Path, family: str = "qwen2", *, width: int = 32) -> Path:
    """A model of two layers and its tokenizer, without a padding token."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    words = ["[UNK]", *TEXT.split()]
    sizes: dict[str, int] = {"vocab_size": len(words), "hidden_size": width}
    sizes |= {"num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 160}
    if family == "gpt2":
        sizes = {"vocab_size": len(words), "n_embd": width, "n_layer": 2, "n_head": 4}
        sizes["n_positions"] = 160
    elif family != "bert":
        sizes |= {"num_key_value_heads": 2, "intermediate_size": 2 * width}
        sizes |= {"head_dim": width // 4}
    else:
        sizes |= {"intermediate_size": 2 * width}
    torch.manual_seed(7)
    AutoModel.from_config(AutoConfig.for_model(family, **sizes)).save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(words)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]").save_pretrained(folder)
    return folder


def save_gguf(path: Path, *, width: int = 32) -> Path:
    """A Llama of two layers with its tokenizer, as a GGUF file."""
    import gguf
    import numpy as np

    words = ["<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz", "ab"]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_block_count(2)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([1] * len(words))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    square, half, wide = (width, width), (width // 2, width), (2 * width, width)
    shapes: dict[str, tuple[int, ...]] = {"attn_q": square, "attn_k": half, "attn_v": half}
    shapes |= {"attn_output": square, "ffn_gate": wide, "ffn_up": wide, "ffn_down": wide[::-1]}
    shapes |= {"attn_norm": (width,), "ffn_norm": (width,)}
    tensors = {f"blk.{i}.{name}": shape for i in range(2) for name, shape in shapes.items()}
    tensors |= {"token_embd": (len(words), width), "output_norm": (width,)}
    rng = np.random.default_rng(0)
    for name, shape in tensors.items():
        writer.add_tensor(f"{name}.weight", rng.normal(0, 0.1, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
