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
