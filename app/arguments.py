"""What a command's arguments may be: each takes the text that was given, and raises `ArgumentTypeError` with a sentence."""

from argparse import ArgumentTypeError
from pathlib import Path


def port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")
    return int(text)


def path(text: str) -> Path:
    # To pathlib that is the current folder, which a variable that is not set would have everyone read.
    if not text:
        raise ArgumentTypeError("the path is empty")
    return Path(text)


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def usd(text: str) -> float:
    try:
        usd = float(text)
    except ValueError:
        usd = -1
    if not 0 <= usd < 1e9:
        raise ArgumentTypeError(f"{text!r} is no amount in USD")
    return usd


def times(text: str) -> tuple[float, ...]:
    try:
        times = tuple(float(part) for part in text.split(","))
    except ValueError:
        times = ()
    if not times or not all(0 <= one <= 3600 for one in times):
        raise ArgumentTypeError(f"{text!r} is not a list of seconds, such as 0,1.5,10")
    return times
