"""The tables of the own mp3 decoder: what defines them, whoever printed them."""

from itertools import pairwise, product

import numpy as np
import pytest

from arwkv_core.mp3 import bands, filters
from arwkv_core.mp3.codes import QUAD_BITS, code_words, pair_tables, quad_tables, quad_values


@pytest.mark.parametrize("table", sorted(code_words()))
def test_code_words_are_complete(table: str) -> None:
    words = code_words()[table]
    assert sum(2.0 ** -len(code) for code, _ in words) == 1  # Kraft's equality: all bits lead somewhere
    codes = sorted(code for code, _ in words)
    assert not any(later.startswith(code) for code, later in pairwise(codes))
    largest = max(max(values) for _, values in words)
    size = len(words[0][1])
    assert sorted(values for _, values in words) == sorted(np.ndindex((largest + 1,) * size))


def test_tables_give_each_word_and_what_follows_does_not_matter() -> None:
    rows, codes = pair_tables()
    for number, row in enumerate(rows):
        start, width, linbits, at_once, _ = (int(value) for value in row)
        if not width:
            assert number in (0, 4, 14)
            continue
        for code, (x, y) in code_words()[str(number if number < 16 else 16 if number < 24 else 24)]:
            for rest in ("0" * 32, "1" * 32):
                text = code + rest
                entry = int(codes[start + int(text[:width], 2)])
                if entry < 0:
                    first, bits = -entry >> 5, -entry & 31
                    entry = int(codes[first + int(text[width : width + bits], 2)])
                signs = (x > 0) + (y > 0)
                assert (entry & 63, entry >> 6 & 31) == (len(code) + signs, len(code))
                escape = number >= 16 and 15 in (x, y)
                flags = (x > 0) + 2 * (y > 0) + 4 * escape
                assert (entry >> 12 & 15, entry >> 16 & 15, entry >> 20) == (x, y, flags)
                # as many words as are read from 56 bits fit into them
                assert at_once * (len(code) + signs) <= 56
                assert len(code) + signs + 2 * linbits <= 56
    lines = quad_values()
    for name, table in zip("AB", quad_tables(), strict=True):
        for code, magnitudes in code_words()[name]:
            for negative in product((0, 1), repeat=sum(magnitudes)):
                word = code + "".join(map(str, negative))
                signs = iter(negative)
                values = [magnitude * (-1) ** next(signs) if magnitude else 0 for magnitude in magnitudes]
                for rest in range(1 << QUAD_BITS - len(word)):
                    entry = int(table[int(word, 2) << QUAD_BITS - len(word) | rest])
                    assert entry & 31 == len(word)
                    assert list(lines.ravel()[(entry >> 5) // 4 :][:4]) == values


@pytest.mark.parametrize("rate", sorted(bands.LONG_BANDS))
def test_bands_cover_all_lines(rate: int) -> None:
    assert sum(bands.long_bands(rate)) == sum(bands.short_bands(rate)) == bands.LINES
    assert sorted(bands.short_order(rate, 0)) == list(range(bands.LINES))
    if rate != 8_000:  # whose mixed blocks are left to FFmpeg
        assert sum(bands.mixed_bands(rate)) == bands.LINES
        assert sorted(bands.short_order(rate, 36)) == list(range(36, bands.LINES))


def test_the_filter_bank_gives_back_what_went_in() -> None:
    shapes = filters.subband_filters()  # (32, 512)
    sound = np.random.default_rng(0).standard_normal(32 * 64)
    padded = np.concatenate([np.zeros(512), sound, np.zeros(512)])
    out = np.zeros(len(padded) + 512)
    for start in range(0, len(padded) - 511, 32):
        samples = shapes @ padded[start : start + 512]  # analysis is synthesis backwards
        out[start : start + 512] += samples @ shapes
    scale = out[512 : 512 + len(sound)] @ sound / (sound @ sound)
    error = out[512 : 512 + len(sound)] / scale - sound
    assert np.abs(error).max() < 1e-4 * np.abs(sound).max()  # more than 80 dB down, as ISO 11172-3 has it


@pytest.mark.parametrize("types", [(0, 0, 0), (0, 1, 2, 3, 0), (1, 2, 2, 2, 3, 0), (1, 3, 1, 2, 3)])
def test_blocks_of_all_types_overlap_to_what_went_in(types: tuple[int, ...]) -> None:
    sound = np.random.default_rng(1).standard_normal(18 * (len(types) + 1))
    out = np.zeros_like(sound)
    for place, block_type in enumerate(types):
        matrix = filters.block_matrix(block_type)
        lines = matrix.T @ sound[18 * place :][:36]
        if block_type == filters.SHORT:
            out[18 * place :][:36] += matrix @ lines / 3
        else:
            out[18 * place :][:36] += matrix @ lines / 9
    np.testing.assert_allclose(out[18:-18], sound[18:-18], atol=1e-12)


def test_alias_factors_turn_without_loss() -> None:
    keep, cross = filters.alias_factors()
    np.testing.assert_allclose(keep**2 + cross**2, 1)
