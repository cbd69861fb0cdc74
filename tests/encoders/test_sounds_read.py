"""Sounds: any of three formats, any rate and number of channels; damaged ones say why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from content_made import RATE_HZ, samples, sound
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.encoders.trained.audio import read_sound
from headrace.encoders.trained.log_mel import NUM_BANDS, gated, log_mel, mask_and_shift, mel_power
from headrace.encoders.trained.waveform import LENGTH, read_waveform, resampled

TONE = samples(0)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_a_tone_is_the_same_tone_in_every_format_and_rate(form: str, rate_hz: int) -> None:
    mono = samples(0, rate_hz=rate_hz)
    stereo = np.stack([mono, mono], axis=1)
    bands = [
        int(mel_power(read_waveform(sound(s, rate_hz, form))).mean(1).argmax())
        for s in (mono, stereo)
    ]
    assert bands == [int(mel_power(read_waveform(sound(TONE))).mean(1).argmax())] * 2


@given(st.integers(2, 3_000), st.sampled_from([4_000, 11_025, 48_000]))
@settings(max_examples=30, deadline=None)
def test_resampling_keeps_the_length_in_seconds_and_the_mean(num: int, rate_hz: int) -> None:
    made = np.random.default_rng(num).normal(0.3, 1, num).astype(np.float32)
    changed = resampled(made, rate_hz)
    assert len(changed) == max(1, round(num * RATE_HZ / rate_hz))
    assert changed.mean() == pytest.approx(made.mean(), abs=1e-4)


def test_silent_edges_are_cut_and_a_short_sound_is_repeated() -> None:
    quiet = np.zeros(RATE_HZ, dtype=np.float32)
    edged = read_waveform(sound(np.concatenate([quiet, TONE, quiet])))
    assert len(edged) == LENGTH
    assert np.abs(edged.reshape(-1, RATE_HZ // 10)).max(axis=1).min() > 0.4


def test_of_a_long_sound_the_beginning_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    path.write_bytes(sound(np.tile(samples(1), 90), form="FLAC"))
    assert read_sound(path).shape == read_sound(sound(TONE)).shape == (2, NUM_BANDS, 155)


def test_what_is_no_sound_says_so(tmp_path: Path) -> None:
    whole = sound(samples(1), form="OGG")
    odd = {
        "there is no file": tmp_path / "none.wav",
        "not a sound that can be read": b"RIFF no sound",
        "silent": sound(np.zeros(RATE_HZ, dtype=np.float32)),
        "less than 10 ms": sound(TONE[:50]),
        "no numbers": _float_wav(np.full(RATE_HZ, np.nan, dtype=np.float32)),
        "samples/s": sound(TONE, 100),
        "channels": sound(np.tile(TONE[:100, None], 20)),
    }
    for reason, value in odd.items():
        with pytest.raises(ValueError, match=reason):
            read_sound(value)
    for cut in range(0, len(whole), len(whole) // 12):
        try:
            assert np.isfinite(read_sound(whole[:cut])).all()  # its beginning can be read
        except ValueError as error:
            assert str(error)


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_a_sound_or_a_value_error(noise: bytes) -> None:
    for value in (noise, sound(TONE[:400])[:44] + noise):
        try:
            assert np.isfinite(read_sound(value)).all()
        except ValueError as error:
            assert str(error)


def test_the_gate_lets_clicks_pass_and_turns_steady_noise_down() -> None:
    noise = np.resize(samples(1), LENGTH)
    clicks = np.resize(samples(2), LENGTH)
    passed = [gated(mel_power(one)).sum() / mel_power(one).sum() for one in (noise, clicks)]
    assert passed[0] < 0.35 < 0.9 < passed[1]


def test_a_spectrogram_does_not_depend_on_loudness() -> None:
    loud, quiet = log_mel(np.resize(TONE, LENGTH)), log_mel(np.resize(0.1 * TONE, LENGTH))
    assert np.abs(loud - quiet).mean() < 0.02 and loud.max() == 1 and loud.min() >= -1


def test_masks_are_bands_and_frames_as_loud_as_the_mean() -> None:
    made = torch.from_numpy(np.stack([read_sound(sound(samples(kind))) for kind in (0, 1)]))
    varied = mask_and_shift(made, torch.Generator().manual_seed(3))
    mean = made.mean(dim=(1, 2, 3))[:, None, None, None]
    share = (varied == mean).float().mean(dim=(1, 2, 3))
    assert (share > 0).all() and (share < 0.6).all()


def _float_wav(made: np.ndarray) -> bytes:
    import io

    import soundfile

    file = io.BytesIO()
    soundfile.write(file, made, RATE_HZ, format="WAV", subtype="FLOAT")
    return file.getvalue()
