"""The trained modules of a PhysLLM, each by itself."""

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from physkit.models.physllm.attention import Attention
from physkit.models.physllm.config import AttentionConfig, DDSConfig, PrototypesConfig
from physkit.models.physllm.cue_text import repetitions, statistics_cue
from physkit.models.physllm.dds import DDS, running_average
from physkit.models.physllm.prompts import Compressor, PromptWeights, averaged
from physkit.models.physllm.prototypes import PrototypeGuidance, Prototypes
from physkit.models.physllm.tokens import Patches, VisionAggregator

NARROW = AttentionConfig(heads=2, width=8)


@pytest.mark.parametrize("t", [64, 100, 128, 160, 300])
def test_without_smoothing_dds_gives_the_standardised_pulse_back(t: int) -> None:
    x = torch.randn(3, t, generator=torch.Generator().manual_seed(t), dtype=torch.float64)
    out = DDS(DDSConfig(alpha=1.0)).double()(x)
    expected = (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True, correction=0)
    torch.testing.assert_close(out, expected, atol=2e-4, rtol=0)  # 1e-5 is added to deviations
    assert (out - expected * (out * expected).sum() / expected.square().sum()).abs().max() < 1e-5


@pytest.mark.parametrize("restore_bands", [True, False])
def test_dds_is_what_its_formula_says_by_pywavelets_and_a_loop(restore_bands: bool) -> None:
    config = DDSConfig(restore_bands=restore_bands, border="zero")
    rng = np.random.default_rng(3)
    x = rng.normal(size=128)

    def standardised(v: np.ndarray) -> np.ndarray:
        return (v - v.mean()) / (v.std() + 1e-5)

    def smoothed(v: np.ndarray) -> np.ndarray:
        out = [v[0]]
        for value in v[1:]:
            out.append(config.alpha * value + (1 - config.alpha) * out[-1])
        return np.array(out)

    even = standardised(x)
    bands = [
        smoothed(standardised(band)) * (band.std() + 1e-5 if restore_bands else 1)
        + (band.mean() if restore_bands else 0)
        for band in pywt.wavedec(even, config.wavelet, mode="zero", level=config.levels)
    ]
    expected = (smoothed(even) + pywt.waverec(bands, config.wavelet, mode="zero")[:128]) / 2
    out = DDS(config).double()(torch.from_numpy(x)[None])[0].detach().numpy()
    np.testing.assert_allclose(out, expected, atol=1e-9)


def test_dds_has_exact_gradients_and_clips_do_not_touch_each_other() -> None:
    dds = DDS(DDSConfig(wavelet="db4", levels=2, alpha=0.3)).double()
    x = torch.randn(2, 24, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(dds, (x,))
    dds(x)[0].sum().backward()
    assert x.grad is not None
    assert (x.grad[1] == 0).all()
    assert dds.mix.grad is not None
    assert dds.mix.grad.abs() > 0


def test_a_running_average_is_the_recurrence() -> None:
    x = torch.randn(2, 50, dtype=torch.float64)
    expected = [x[:, 0]]
    for at in range(1, 50):
        expected.append(0.3 * x[:, at] + 0.7 * expected[-1])
    torch.testing.assert_close(running_average(x, share=0.3), torch.stack(expected, dim=1))


@pytest.mark.parametrize(("t", "n"), [(128, 32), (160, 40)])
def test_patches_are_as_many_as_the_published(t: int, n: int) -> None:
    patches = Patches(16, patch=8, stride=4)
    pulse = torch.randn(2, t)
    tokens = patches(pulse)
    assert tokens.shape == (2, n, 16)
    later = pulse.clone()
    later[:, 40:44] += 1  # in the patches that begin at 36 and 40; each token sees its neighbours
    changed = (patches(later) - tokens).abs().amax(dim=(0, 2)) > 0
    assert changed.nonzero().flatten().tolist() == [8, 9, 10, 11]


def test_visual_tokens_begin_as_the_deepest_features_and_then_read_the_others() -> None:
    vision = VisionAggregator(12, NARROW, n_tokens=32, channels=(64, 64, 64))
    features = [torch.randn(2, t, 64) for t in (128, 64, 32)]
    tokens = vision(features)
    torch.testing.assert_close(tokens, vision.project[-1](features[-1]))
    with torch.no_grad():
        vision.gamma_all.fill_(0.5)
        vision.gamma_own.fill_(0.5)
    other = [features[0] + torch.randn(2, 128, 64), *features[1:]]
    assert (vision(other) - vision(features)).abs().max() > 1e-3


def test_a_compressor_reads_words_and_never_padding() -> None:
    compress = Compressor(16, 4, NARROW)
    text = torch.randn(2, 9, 16)
    mask = torch.arange(9) < torch.tensor([[6], [9]])
    tokens = compress(text, mask)
    assert tokens.shape == (2, 4, 16)
    noise = torch.where(mask[..., None], text, 100.0)
    torch.testing.assert_close(compress(noise, mask), tokens)
    torch.testing.assert_close(compress(text[:1, :6], mask[:1, :6]), tokens[:1])
    torch.testing.assert_close(averaged(noise, mask, 4), averaged(text, mask, 4))


def test_shares_of_cues_sum_up_and_follow_their_weights() -> None:
    weigh = PromptWeights(16, 4, 3, scale=0.5)
    cues = torch.randn(3, 2, 4, 16)
    tokens, shares = weigh(cues)
    torch.testing.assert_close(tokens, cues.mean(dim=0) * 0.5)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2))
    with torch.no_grad():
        weigh.weights[1] *= 10
    assert (weigh(cues)[1][:, 1] > 0.7).all()


@pytest.mark.parametrize("source", ["words", "free"])
def test_prototypes_of_words_ask_and_get_gradients(source: str) -> None:
    words = 0.03 * torch.randn(500, 16)
    config = PrototypesConfig(heads=2, width=8, source=source)  # type: ignore[arg-type]
    prototypes = Prototypes(6, words, config)
    guide = PrototypeGuidance(16, config)
    mixed = prototypes(words)
    assert mixed.shape == (6, 16)
    if source == "words":
        assert 0.6 < float(mixed.std()) < 1.5
    tokens: Tensor = torch.randn(2, 6, 16, requires_grad=True)
    out = guide(tokens, mixed)
    out[0].square().mul(torch.arange(16)).sum().backward()
    assert tokens.grad is not None
    assert (tokens.grad[1] == 0).all()
    for parameter in (*prototypes.parameters(), *guide.parameters()):
        assert parameter.grad is not None
    assert prototypes.mix.grad is not None
    assert prototypes.mix.grad.abs().sum() > 0


def test_attention_is_torchs_own_in_its_bottleneck() -> None:
    attention = Attention(16, NARROW).double()
    asking, asked = torch.randn(2, 5, 16).double(), torch.randn(2, 7, 16).double()
    own = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        own.in_proj_weight.copy_(torch.eye(8).repeat(3, 1))
        own.in_proj_bias.zero_()
        own.out_proj.weight.copy_(torch.eye(8))
        own.out_proj.bias.zero_()
    parts = attention.query(asking), attention.key(asked), attention.value(asked)
    expected = attention.out(own(*parts, need_weights=False)[0])
    torch.testing.assert_close(attention(asking, asked), expected)


@pytest.mark.parametrize("bpm", [45.0, 72.0, 110.0, 180.0])
def test_the_statistics_cue_finds_the_heart_rate(bpm: float) -> None:
    times_s = np.arange(128) / 30
    rng = np.random.default_rng(int(bpm))
    pulse = np.sin(2 * np.pi * bpm / 60 * times_s) + 0.3 * rng.normal(size=128)
    lag_s = repetitions(pulse, fps=30.0)[0]
    assert min(abs(k * 60 / bpm - lag_s) for k in (1, 2, 3)) < 0.05
    told = statistics_cue(pulse, fps=30.0, lags="heart_rate")
    assert f"{lag_s:.2f} s" in told
    assert "minimum" in told
    assert "beats a minute" in told


def test_the_papers_lags_are_zero_and_its_neighbours() -> None:
    pulse = np.sin(2 * np.pi * 1.2 * np.arange(128) / 30)
    told = statistics_cue(pulse, fps=30.0, lags="all")
    assert told.endswith("samples.")
    lags = {int(word) for word in told.split("lags: ")[1].removesuffix(" samples.").split(", ")}
    assert 0 in lags
    assert len(lags) == 5


def test_a_still_pulse_has_no_repetition() -> None:
    assert "No repetition" in statistics_cue(np.zeros(128), fps=30.0, lags="heart_rate")
