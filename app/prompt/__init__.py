"""The prompt's bytes: contexts and turns in, prefixes and tails out.

Everything here is pure: values in, values out, no I/O and no clock. It promises that whatever `warm` and `ask` send for
one prefix starts with the same bytes, that these bytes are valid JSON of the Messages API once a tail is added, and that
they decode to exactly the texts that went in. It does not decide when to send them.
"""
