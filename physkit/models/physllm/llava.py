"""A vision-language model of the LLaVA family that describes pictures of a face."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8

from physkit.core.causes import first_line
from physkit.core.errors import InputError
from physkit.models.physllm.language import check_extra, check_whole

PROMPT = (
    "The picture shows one face at {n} moments of a video, row by row in order of time. Describe "
    "it for somebody who measures the pulse by the colour of the skin, in one short sentence for "
    "each of three themes. First, anatomy and skin: the regions of the face that are seen, the "
    "tone of the skin, where it differs, and the texture. Second, the moment: the expression, and "
    "what of the face or the head moves. Third, the light: where it comes from, how bright and of "
    "which colour it is, and what it spoils, such as shadows, glare, flicker or noise."
)
"""The question, with the three themes of the paper in our words."""


class Describer:
    """Answers a question on each picture, the likeliest words first: the same every time."""

    def __init__(self, model: Any, processor: Any) -> None:
        self._model, self._processor = model, processor
        tokenizer = processor.tokenizer
        tokenizer.padding_side = "left"  # an answer goes on where its question ends
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.revision: str | None = getattr(model.config, "_commit_hash", None)

    @classmethod
    def load(
        cls,
        name: str,
        *,
        revision: str | None = None,
        dtype: Literal["bfloat16", "float32"] = "bfloat16",
        device: torch.device,
    ) -> "Describer":
        """By a local folder or a name on the model hub.

        Raises InputError, with the fix, for a model that is not to be had or lacks weights;
        MissingExtraError without transformers.
        """
        check_extra()
        from transformers import AutoModelForImageTextToText, AutoProcessor

        if name.startswith((".", "/", "~")) and not Path(name).is_dir():
            raise InputError(f"{name}: no such folder; give that of a LLaVA as --model")
        place = {"revision": revision, "trust_remote_code": False}
        try:
            processor = AutoProcessor.from_pretrained(name, **place)
            model, found = AutoModelForImageTextToText.from_pretrained(
                name, dtype=getattr(torch, dtype), output_loading_info=True, **place
            )
        except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
            cause = first_line(error)
            raise InputError(
                f"{name}: no vision-language model could be read ({cause}); give the folder of a "
                "LLaVA as --model, or take --source measured"
            ) from error
        check_whole(Path(name), found)
        return cls(model.eval().to(device), processor)

    def describe(
        self, pictures: Sequence[UInt8[np.ndarray, "h w 3"]], prompt: str, *, most_tokens: int
    ) -> list[str]:
        """An answer for each picture, RGB."""
        asked = [{"type": "image"}, {"type": "text", "text": prompt}]
        chat = [{"role": "user", "content": asked}]
        text = self._processor.apply_chat_template(chat, add_generation_prompt=True)
        inputs = self._processor(
            images=list(pictures), text=[text] * len(pictures), return_tensors="pt", padding=True
        ).to(self._model.device, self._model.dtype)
        with torch.inference_mode():
            answers = self._model.generate(**inputs, max_new_tokens=most_tokens, do_sample=False)
        only = answers[:, inputs["input_ids"].shape[1] :]
        return [
            " ".join(answer.split())
            for answer in self._processor.batch_decode(only, skip_special_tokens=True)
        ]


def tiled(frames: UInt8[np.ndarray, "n h w 3"], side: int) -> UInt8[np.ndarray, "h w 3"]:
    """side x side frames as one picture, row by row."""
    return rearrange(frames, "(rows columns) h w c -> (rows h) (columns w) c", rows=side)
