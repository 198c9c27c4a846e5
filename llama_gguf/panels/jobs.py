"""Work beside the notebook: a thread for each action, and what it shows at most twenty times a second."""

import atexit
import threading
import time
import weakref

from llama_gguf.errors import Cancelled

RATE = 20
"""Messages of one job to the browser, per second and widget."""

RUNNING = weakref.WeakSet()


class Job:
    """One action on its thread. `work(job)` calls `job.check()` between steps and `job.show(...)` for what it made.

    `done(end, outcome)` is called on the thread at last: "done" with what `work` returned, "stopped" or "error" with
    the exception.
    """

    def __init__(self, work, done, clock=time.monotonic):
        self._work, self._done, self._clock = work, done, clock
        self._held, self._due = {}, {}
        self._cancelled, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="llama-gguf panel", daemon=True)

    def start(self):
        RUNNING.add(self)
        self._thread.start()

    def cancel(self):
        self._cancelled.set()

    @property
    def cancelled(self):
        return self._cancelled.is_set()

    def check(self):
        """Raise Cancelled if somebody wants this job to stop."""
        if self.cancelled:
            raise Cancelled("stopped")

    def show(self, widget, **traits):
        """Set traits of a widget, now or, where the last time is less than 1/RATE seconds ago, with a later call."""
        self._held.setdefault(widget, {}).update(traits)
        now = self._clock()
        if now >= self._due.get(widget, now):
            self._due[widget] = now + 1 / RATE
            self._send(widget)

    def flush(self):
        """Show what is still held back."""
        for widget in list(self._held):
            self._send(widget)

    def _send(self, widget):
        for name, value in self._held.pop(widget).items():
            setattr(widget, name, value)

    def join(self, timeout=None):
        """Wait for the end; False if it did not come."""
        return self._over.wait(timeout)  # Thread.join, when interrupted, may take a thread for ended (Python < 3.13)

    def _run(self):
        try:
            try:
                end, outcome = "done", self._work(self)
            finally:
                self.flush()
        except (Cancelled, KeyboardInterrupt) as stop:
            end, outcome = "stopped", stop
        except BaseException as wrong:  # nothing may vanish in a thread: the panel shows it
            end, outcome = "error", wrong
        finally:
            RUNNING.discard(self)
            try:
                self._done(end, outcome)
            finally:
                self._over.set()


@atexit.register
def stop_all(seconds=5.0):
    """The interpreter ends: engines that still run are told so and waited for."""
    jobs = list(RUNNING)
    for job in jobs:
        job.cancel()
    for job in jobs:
        job.join(seconds)
