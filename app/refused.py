"""The exception for a command that cannot be carried out."""


class Refused(Exception):
    """The message says why, and what to do."""
