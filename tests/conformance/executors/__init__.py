"""The executors' door as tests of a server from outside: plain HTTP, and nothing of the server's own code.

    pytest tests/conformance/executors                                             our own server, on both databases
    pytest tests/conformance/executors --executors-url URL --executors-key KEY     a server that runs already

KEY is an admin's key of a tenant that the suite may fill with sources and tasks. What takes longer than a test may wait
(archiving after a week) is not here; `tests/integration` moves the clock for it.
"""
