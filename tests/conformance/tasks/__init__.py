"""The door of guarded operations as tests of a server from outside: plain HTTP, and nothing of the server's own code.

    pytest tests/conformance/tasks                                  our own server, on both databases
    pytest tests/conformance/tasks --tasks-url URL --tasks-tenant UUID --tasks-agent-key KEY --tasks-reviewer-key KEY

The keys are of a tenant that the suite may fill with tasks; the reviewer's may be an admin's. The server's policy must
require a person for `repo.commit`, as the shipped one does. What policies can say is not here, but in the tests of
`core.guard`.
"""
