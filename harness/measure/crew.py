"""Work on several boards at once, one thread each, and Ctrl-C for all of them.

Python hands Ctrl-C to its main thread alone. Here that thread passes it on: KeyboardInterrupt is raised once in every thread that works, which then
leaves its `with` blocks as any program does and so ends what it started on its board. While they do, a second Ctrl-C is answered and not obeyed.
"""

from __future__ import annotations

import contextlib
import ctypes
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

Say = Callable[[str], None]
Waiting = queue.SimpleQueue[tuple[str, Callable[[], None]]]
LOOK_S = 0.5
"""How often the main thread looks for Ctrl-C while it waits [s]; a lock without a timeout may not be interruptible on every platform."""


class Crew:
    """Runs jobs, each with a name to call it by; `jobs` of them at once."""

    def __init__(self, jobs: int, say: Say) -> None:
        self.jobs, self.say = jobs, say
        self._working: dict[int, str] = {}
        self._interrupted: set[int] = set()
        self._lock = threading.Lock()
        self.stopped = False
        """Whether jobs that can are to end."""
        self._left = 0

    @property
    def busy(self) -> bool:
        """Whether any job is still to be ended."""
        return self._left > 0

    def run(self, work: Sequence[tuple[str, Callable[[], None]]], meanwhile: Callable[[], None] = lambda: None) -> None:
        """Carry out all of `work`, in any order, and `meanwhile` in this thread.

        When nothing runs any more, raises KeyboardInterrupt after Ctrl-C, or what `meanwhile` raised, or what a job first raised. A job that
        waits for `meanwhile` looks at `stopped`.
        """
        waiting: Waiting = queue.SimpleQueue()
        for one in work:
            waiting.put(one)
        self._left = len(work)
        failed: list[BaseException] = []
        done = [threading.Event() for _ in range(min(self.jobs, len(work)))]
        threads = [threading.Thread(target=self._worker, args=(waiting, failed, one)) for one in done]
        with self._interrupts():
            try:
                for thread in threads:
                    thread.start()
                meanwhile()
                _wait(threads, done)
            except BaseException as error:
                if interrupted := isinstance(error, KeyboardInterrupt):
                    self.say(f"ending what runs on {self._names()} ...")
                self._stop(interrupted)
                _wait(threads, done)
                raise
        if failed:
            raise failed[0]

    def _worker(self, waiting: Waiting, failed: list[BaseException], done: threading.Event) -> None:
        """What each thread does. An interrupt may come at any line until `_leave` is through."""
        try:
            with contextlib.suppress(KeyboardInterrupt):
                self._work(waiting, failed)
        finally:
            done.set()

    def _work(self, waiting: Waiting, failed: list[BaseException]) -> None:
        while True:
            try:
                name, job = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                with self._lock:
                    if self.stopped:
                        return
                    self._working[threading.get_ident()] = name
                job()
            except Exception as error:  # noqa: BLE001 - it is raised again in the main thread, when the others have had their time
                failed.append(error)
            finally:
                self._leave()

    def _leave(self) -> None:
        """No interrupt is meant for this thread any more; one that was on its way is called back."""
        with self._lock:
            if self._working.pop(threading.get_ident(), None) is not None:
                self._left -= 1
            if threading.get_ident() in self._interrupted:  # only then: to call back nothing slows the interpreter down from there on
                self._interrupted.remove(threading.get_ident())
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.get_ident()), None)

    def _names(self) -> str:
        """Where work is going on."""
        return ", ".join(sorted(self._working.copy().values())) or "the boards"

    def _stop(self, interrupt: bool) -> None:
        """Begin no more jobs; `interrupt` those that run, or leave it to them to see that they are to stop."""
        with self._lock:
            self.stopped = True
            for ident in self._working if interrupt else ():
                self._interrupted.add(ident)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt))

    @contextlib.contextmanager
    def _interrupts(self) -> Iterator[None]:
        """The first Ctrl-C interrupts; those after it are told what is still being cleaned up."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
            yield  # started in the background of a shell, or by a program: it is not ours to decide
            return
        seen = False

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            nonlocal seen
            if not seen:
                seen = True
                raise KeyboardInterrupt
            self.say(f"still ending what runs on {self._names()}; Ctrl-\\ leaves at once: then see socbench restore")

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _wait(threads: Sequence[threading.Thread], done: Sequence[threading.Event]) -> None:
    """Until all threads are done. Not by `Thread.join`: where Ctrl-C interrupts that, Python 3.11 takes the thread for ended (its bpo-45274)."""
    for thread, one in zip(threads, done, strict=True):
        while thread.ident is not None and not one.wait(LOOK_S):  # one that has not begun by now finds that it need not
            pass
