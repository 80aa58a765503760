"""The HITL Protocol v0.8 as tests of a server from outside: plain HTTP, and nothing of the server's own code.

    pytest tests/conformance/hitl                                      our own server, on both databases
    pytest tests/conformance/hitl --hitl-url URL --hitl-key KEY        a server that runs already
    python -m tests.conformance.hitl --url URL --key KEY               the same as a report, requirement by requirement

`requirements.py` lists every sentence of the specification that binds a service, with the test that shows it, or why
nobody can see it from outside. How a case is opened, and what a review page sends, is each implementation's own affair:
`target.Target` does both as our server wants it, and is the only class to write anew for another one. What the
specification leaves to the service and the service does not offer is skipped, with the reason.
"""
