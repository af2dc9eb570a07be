"""The Messages API, as Headstart speaks it: bytes out, events in, typed errors.

It sends the bytes it is given through the SDK's client, with the SDK's retries, timeouts and authentication, and hands
back usage, raw events, and one exception for everything that can go wrong. It knows nothing of sessions or turns.
"""
