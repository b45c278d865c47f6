"""Ctrl-C: a wish the first time, an exception the second, and nothing is left behind."""

import signal
import threading
from collections.abc import Iterator

import pytest

from openpoint.twostage import interrupt
from openpoint.twostage.interrupt import finishing, listening


@pytest.fixture(autouse=True)
def _handlers_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(interrupt, "_of_command", False)
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)
    interrupt._early = None


def test_the_first_ctrl_c_is_a_wish() -> None:
    with listening() as wish:
        assert not wish.requested
        signal.raise_signal(signal.SIGINT)
        assert wish.requested


def test_the_second_ctrl_c_raises() -> None:
    with listening() as wish:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert wish.requested


def test_the_handler_before_is_back_afterwards() -> None:
    def mine(_signum: int, _frame: object) -> None: ...

    signal.signal(signal.SIGINT, mine)
    with listening():
        assert signal.getsignal(signal.SIGINT) is not mine
    assert signal.getsignal(signal.SIGINT) is mine


def test_the_handler_is_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError), listening():
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) is before


def test_a_wish_from_before_the_method_is_heard() -> None:
    interrupt.install()
    signal.raise_signal(signal.SIGINT)
    with listening() as wish:
        assert wish.requested
    with listening() as fresh:
        assert not fresh.requested


def test_a_wish_between_two_methods_is_heard_by_the_second() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what started the tests may have told them to ignore it
    try:
        _two_methods()
    finally:
        signal.signal(signal.SIGHUP, before)


def _two_methods() -> None:
    interrupt.install()
    with listening():
        with listening():
            pass
        signal.raise_signal(signal.SIGTERM)
    with listening() as later:
        assert not later.requested
    signal.raise_signal(signal.SIGHUP)
    with listening() as later:
        assert later.requested


def test_a_signal_does_not_end_what_is_being_written() -> None:
    before = signal.getsignal(signal.SIGTERM)
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with finishing():
            signal.raise_signal(each)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_under_nohup_goes_on() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupt.install()
    with listening() as wish:
        signal.raise_signal(signal.SIGHUP)
        assert not wish.requested


def test_for_a_command_sigterm_is_the_same_wish() -> None:
    interrupt.install()
    signal.raise_signal(signal.SIGTERM)
    with listening() as wish:
        assert wish.requested
    with listening() as later:
        signal.raise_signal(signal.SIGTERM)
        assert later.requested


def test_sigterm_belongs_to_the_program_in_python() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with listening():
        assert signal.getsignal(signal.SIGTERM) is before


def test_outside_the_main_thread_nothing_is_caught() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[bool] = []

    def work() -> None:
        with listening() as wish:
            seen.append(wish.requested)
            seen.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False, True]
