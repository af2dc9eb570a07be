"""`headstart bench`: measuring a running Headstart from outside, as its users see it.

It talks to the server over HTTP and nothing else, so that whatever stands between a question and its first word is in the
numbers. It decides nothing about how the product works.
"""


class BenchFailed(Exception):
    """A measurement that cannot be made; the message says why and what to do."""
