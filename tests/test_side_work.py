"""Work done between other work: all of it, once, with its errors, also where the threads are gone."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config

from arwkv_core import Tagger
from arwkv_core.side_work import SideWork, each_by


def test_threads_do_it_before_what_else_waits() -> None:
    side, done, hold = SideWork(), [], threading.Event()

    def own(number: int) -> None:
        side.do_one()
        hold.wait()
        done.append(number)

    with ThreadPoolExecutor(1) as pool:
        own_work = [pool.submit(own, number) for number in range(3)]
        asked = [threading.Thread(target=side.ask, args=(pool.submit, lambda: done.append("asked")))]
        asked[0].start()
        while not side._waiting and "asked" not in done:
            pass
        hold.set()
        asked[0].join(10)
        for future in own_work:
            future.result(10)
    assert done in (["asked", 0, 1, 2], [0, "asked", 1, 2])


def test_results_and_errors_come_back() -> None:
    side = SideWork()
    with ThreadPoolExecutor(2) as pool:
        assert side.ask(pool.submit, lambda: 3) == 3
        with pytest.raises(KeyError, match="gone"):
            side.ask(pool.submit, lambda: {}["gone"])
    assert side.ask(pool.submit, lambda: 4) == 4  # the threads have ended


def test_many_ask_at_once() -> None:
    side = SideWork()
    with ThreadPoolExecutor(3) as pool, ThreadPoolExecutor(8) as askers:
        found = askers.map(lambda number: side.ask(pool.submit, lambda: number * number), range(500))
        assert list(found) == [number * number for number in range(500)]


def test_items_are_made_by_another() -> None:
    made_in, closed = set(), []

    def items() -> Iterator[int | None]:
        try:
            for number in (1, None, 3):
                made_in.add(threading.current_thread().name)
                yield number
        finally:
            closed.append(True)

    with ThreadPoolExecutor(1, thread_name_prefix="maker") as pool:

        def run(work: Any) -> Any:
            return pool.submit(work).result()

        assert list(each_by(run, items())) == [1, None, 3]
        assert made_in == {"maker_0"}
        assert closed == [True]
        for item in each_by(run, items()):
            assert item == 1
            break
    assert closed == [True, True]  # an end before the last item is one too


def test_a_model_at_work_does_it_in_the_threads_of_its_windows() -> None:
    tagger = Tagger(random_model(THREE_CLASSES), three_class_config(), THREE_LABELS)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert tagger.beside(lambda: threading.current_thread().name) == threading.current_thread().name
        tagger.scores(np.zeros((4, tagger.window_frames, 128), np.float32))
        assert tagger.beside(lambda: threading.current_thread().name).startswith("arwkv-window")
    finally:
        torch.set_num_threads(threads)
