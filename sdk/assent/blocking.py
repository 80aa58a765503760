"""The face for programs without an event loop, made from the asynchronous one: no method is written twice.

One daemon thread with one event loop serves all blocking clients of the process. So a blocking call works from any
thread, also from within a running event loop; a stop or Ctrl-C ends a long poll at once; and what runs is the very code
that the asynchronous face runs. What the program hands over to be called (a handler) is called back in the thread that
waits, as it would be by a plain function.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from functools import wraps
from queue import SimpleQueue
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")

END_SECONDS = 10.0  # how long an interrupted call may take to put things away


class _Loop:
    """The thread with the event loop; started by the first call, and anew in a process that was forked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id: int | None = None

    def submit(self, work: Coroutine[Any, Any, R]) -> Future[R]:
        with self._lock:
            if self._loop is None:
                self._loop = self._started()
        if threading.get_ident() == self._thread_id:
            work.close()
            raise RuntimeError(
                "a blocking call was made from an async handler of a blocking client; use the asynchronous client there"
            )
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _started(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        ready = threading.Event()

        def serve() -> None:
            asyncio.set_event_loop(loop)
            self._thread_id = threading.get_ident()
            loop.call_soon(ready.set)
            loop.run_forever()

        threading.Thread(target=serve, name="assent", daemon=True).start()
        ready.wait()
        return loop


_loop = _Loop()


def _forget_the_loop() -> None:
    """In a forked process the thread is not there any more, and its connections belong to the parent."""
    global _loop
    _loop = _Loop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_loop)


class _Job:
    """A call that the waiting thread shall make. `answer` belongs to the loop and is only touched there."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._call = lambda: function(*args)
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self._loop.create_future()

    def run(self) -> None:
        try:
            result = self._context.run(self._call)
        except Exception as error:  # noqa: BLE001 - handed on to where it is awaited
            self._settle(self.answer.set_exception, error)
        except BaseException:  # Ctrl-C: nobody knows how far the function came
            self.drop()
            raise
        else:
            self._settle(self.answer.set_result, result)

    def drop(self) -> None:
        """Whoever awaits it is cancelled."""
        self._settle(self.answer.cancel)

    def _settle(self, set_it: Callable[..., Any], *value: Any) -> None:
        self._loop.call_soon_threadsafe(lambda: None if self.answer.done() else set_it(*value))


class _Caller:
    """The thread that waits for a blocking call, and makes the calls that are handed to it meanwhile."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()  # None: the call is over
        self._gone = False
        self._over = threading.Event()

    async def run(self, work: Coroutine[Any, Any, R]) -> R:
        """In the loop's thread: the work, which may hand calls to this caller."""
        _caller.set(self)
        try:
            return await work
        finally:
            self._over.set()

    def wait(self, future: Future[R]) -> R:
        future.add_done_callback(lambda _: self._jobs.put(None))
        try:
            while (job := self._jobs.get()) is not None:
                job.run()
        except BaseException:
            # Ctrl-C, or an exit out of a handler: the work is called off, and puts away what it has begun.
            self._gone = True
            future.cancel()
            while not self._jobs.empty():
                if job := self._jobs.get():
                    job.drop()
            self._over.wait(END_SECONDS)
            raise
        return future.result()

    async def call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if self._gone:
            raise asyncio.CancelledError
        job = _Job(function, args)
        self._jobs.put(job)
        return await job.answer


_caller: ContextVar[_Caller | None] = ContextVar("assent_caller", default=None)


def wait_for(work: Coroutine[Any, Any, R]) -> R:
    """Run it in the loop's thread, and whatever it hands over in this one; what it returns or raises."""
    caller = _Caller()
    return caller.wait(_loop.submit(caller.run(work)))


def in_the_loop(work: Coroutine[Any, Any, R]) -> Future[R]:
    """Run it in the loop's thread, and do not wait for it."""
    return _loop.submit(work)


async def call_theirs(function: Callable[..., Any], *args: Any, own_thread: bool = False) -> Any:
    """Call a function of the program, plain or async, where it can block nobody else: async ones here, plain ones in
    the thread that waits for this call, else (or with `own_thread`) in one of their own.
    """
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004 - an object with an async __call__
        return await function(*args)
    caller = _caller.get()
    result = await (asyncio.to_thread(function, *args) if caller is None or own_thread else caller.call(function, args))
    return await result if inspect.isawaitable(result) else result


class _Face(Protocol):
    """A blocking client: `asynchronous` is what it is a face of."""

    @property
    def asynchronous(self) -> Any: ...


class Blocking(Generic[P, R]):
    """A blocking method from an asynchronous one, with the same parameters: `open = Blocking(AsyncAgent.open)`."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, face: None, owner: type) -> Blocking[P, R]: ...

    @overload
    def __get__(self, face: _Face, owner: type) -> Callable[P, R]: ...

    def __get__(self, face: _Face | None, owner: type) -> Blocking[P, R] | Callable[P, R]:
        if face is None:
            return self
        method = self._method

        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return wait_for(method(face.asynchronous, *args, **kwargs))

        return call


class Passed(Generic[P, R]):
    """A method that waits for nothing, passed on as it is."""

    def __init__(self, method: Callable[Concatenate[Any, P], R]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, face: None, owner: type) -> Passed[P, R]: ...

    @overload
    def __get__(self, face: _Face, owner: type) -> Callable[P, R]: ...

    def __get__(self, face: _Face | None, owner: type) -> Passed[P, R] | Callable[P, R]:
        if face is None:
            return self
        method = self._method

        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return method(face.asynchronous, *args, **kwargs)

        return call
