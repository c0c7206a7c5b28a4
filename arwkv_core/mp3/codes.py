"""Huffman code words of MPEG audio's layer III, as tables that are looked up with the next bits of a file."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files
from itertools import product

import numpy as np
from numpy.typing import NDArray

from arwkv_kernels.mp3_layout import ESCAPE, FIRST_BITS, HAS_ESCAPE, MOST_GAIN, PAIR_ROW, QUAD_BITS

LINBITS = (1, 2, 3, 4, 6, 8, 10, 13, 4, 5, 6, 7, 8, 9, 11, 13)
"""Of tables 16 to 31: bits that follow where a value is the table's largest, 15."""

WITHOUT_CODES = (0, 4, 14)  # all lines are 0; the latter two are not defined
_SHARED = {**dict.fromkeys(range(16, 24), 16), **dict.fromkeys(range(24, 32), 24)}
_CACHE_BITS = 56  # at least
_FIRST_WITH_LINBITS = 16
_QUAD_BYTES = 16

Ints = NDArray[np.int32]
Code = tuple[str, tuple[int, ...]]
"""The bits of a word, as text, and the values that it stands for."""


@lru_cache(maxsize=1)
def code_words() -> dict[str, list[Code]]:
    """The code words of each table: pairs of values, or with ``A`` and ``B`` four of them."""
    words: dict[str, list[Code]] = {}
    text = (files("arwkv_core") / "data" / "mp3_codes.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        values = tuple(int(value) for value in row["values"].split())
        words.setdefault(row["table"], []).append((row["code"], values))
    return words


def _entry(code: str, values: tuple[int, ...], escape: bool) -> int:
    """What a table says of a word for a pair.

    Bits 0 to 5: its length with its signs, by which processors shift without a mask; 6 to 10: that without; from 12 on:
    values; from 20 on: which of them have signs, and whether one is an ``escape``.
    """
    x, y = values
    signs = int(x > 0), int(y > 0)
    entry = len(code) + sum(signs) | len(code) << 6 | x << 12 | y << 16 | signs[0] << 20 | signs[1] << 21
    return entry | HAS_ESCAPE if escape and ESCAPE in values else entry


def _fill(table: list[int], start: int, bits: int, words: list[Code], skipped: int, escapes: bool) -> None:
    """Write words whose first `skipped` bits have been looked at into ``2 ** bits`` entries from `start` on."""
    for code, values in words:
        rest = code[skipped:]
        first = int(rest, 2) << bits - len(rest) if rest else 0
        for at in range(first, first + (1 << bits - len(rest))):
            table[start + at] = _entry(code, values, escapes)


def pair_tables() -> tuple[Ints, Ints]:
    """Tables of pairs.

    Returns
    -------
    rows : ndarray
        ``(32, PAIR_ROW)``: of each table number; zeros where there are no codes.
    codes : ndarray
        ``(n,)``: entries. A negative one, ``-(start << 5 | bits)``, leads to those of longer words.
    """
    codes: list[int] = []
    starts: dict[int, tuple[int, int, int]] = {}
    rows = np.zeros((32, PAIR_ROW), np.int32)
    for number in range(32):
        largest = 0
        if number not in WITHOUT_CODES:
            shared = _SHARED.get(number, number)
            words = code_words()[str(shared)]
            if shared not in starts:
                starts[shared] = _add_table(codes, words, escapes=number >= _FIRST_WITH_LINBITS)
            linbits = LINBITS[number - _FIRST_WITH_LINBITS] if number >= _FIRST_WITH_LINBITS else 0
            start, bits, longest = starts[shared]
            rows[number, :4] = start, bits, linbits, _CACHE_BITS // longest
            largest = max(max(values) for _, values in words) + (1 << linbits) - 1
        # lines of the largest value are then as far beyond full scale as lines of 1 with MOST_GAIN
        rows[number, 4] = MOST_GAIN - round(4 * 4 / 3 * np.log2(max(1, largest)))
    return rows, np.array(codes, np.int32)


def _add_table(codes: list[int], words: list[Code], escapes: bool) -> tuple[int, int, int]:
    """Append a table's entries; where they start, the bits of its first level, the longest word with its signs."""
    longest = max(len(code) for code, _ in words)
    bits = min(longest, FIRST_BITS)
    start = len(codes)
    codes += [0] * (1 << bits)
    _fill(codes, start, bits, [word for word in words if len(word[0]) <= bits], 0, escapes)
    beginnings = sorted({code[:bits] for code, _ in words if len(code) > bits})
    for beginning in beginnings:
        longer = [word for word in words if word[0].startswith(beginning)]
        rest = max(len(code) for code, _ in longer) - bits
        codes[start + int(beginning, 2)] = -(len(codes) << 5 | rest)
        at = len(codes)
        codes += [0] * (1 << rest)
        _fill(codes, at, rest, longer, bits, escapes)
    return start, bits, longest + 2


def quad_values() -> NDArray[np.float32]:
    """All fours of -1, 0 and 1, as entries of `quad_tables` number them: ``(81, 4)``."""
    return np.array(list(product((-1, 0, 1), repeat=4)), np.float32)


def quad_tables() -> Ints:
    """Entries of the two tables of fours, words with their signs: ``(2, 1024)``.

    Bits 0 to 4: the length of a word with its signs; from 5 on: where its values stand in `quad_values`, in bytes.
    """
    numbers = {tuple(values): number for number, values in enumerate(product((-1, 0, 1), repeat=4))}
    tables = np.zeros((2, 1 << QUAD_BITS), np.int32)
    for table, name in zip(tables, "AB", strict=True):
        for code, magnitudes in code_words()[name]:
            choices = [((value, "0"), (-value, "1")) if value else ((0, ""),) for value in magnitudes]
            for chosen in product(*choices):
                word = code + "".join(sign for _, sign in chosen)
                unread = QUAD_BITS - len(word)
                first = int(word, 2) << unread
                number = numbers[tuple(value for value, _ in chosen)]
                table[first : first + (1 << unread)] = len(word) | _QUAD_BYTES * number << 5
    return tables
