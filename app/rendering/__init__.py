"""Answers as they are read: Markdown in, sanitized HTML out, a block at a time. Pure: no I/O, no clock, no Redis.

What is raw stays elsewhere: the journal keeps the Messages API's own events, and everything here can be derived again.
"""
