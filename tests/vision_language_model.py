"""A small LLaVA with random weights, saved to a folder as real ones are."""

from pathlib import Path

TEXT = "USER ASSISTANT : . , the face skin light moves rests dark bright shadow even"
MARKS = ["<unk>", "<s>", "</s>", "<image>"]
SIDE_PX, PATCH_PX = 28, 14
TEMPLATE = (
    "{% for message in messages %}USER: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %} {{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %} ASSISTANT:"
)


def save_llava(folder: Path) -> Path:
    """Two layers each of sight and language, and a processor; no padding token."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    vocabulary = {word: number for number, word in enumerate([*MARKS, *TEXT.split()])}
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2}
    sight = CLIPVisionConfig(image_size=SIDE_PX, patch_size=PATCH_PX, projection_dim=16, **sizes)
    language = LlamaConfig(vocab_size=len(vocabulary), eos_token_id=None, **sizes)
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=sight,
            text_config=language,
            image_token_index=vocabulary["<image>"],
            image_seq_length=(SIDE_PX // PATCH_PX) ** 2,
        )
    )
    model.save_pretrained(folder)
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )
    square = {"height": SIDE_PX, "width": SIDE_PX}
    LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_size=square),
        tokenizer,
        patch_size=PATCH_PX,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    return folder
