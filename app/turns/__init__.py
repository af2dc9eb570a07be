"""Turns: from a question, over a journal that every client tails, to an answer that the transcript keeps.

Promises that an event reaches a client only after Redis has it, that every turn that was accepted ends, and that an
answer enters the transcript verbatim and once. Works the same for a client on any process.
"""
