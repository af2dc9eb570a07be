"""The sandbox judged by the public documentation's sentences, over real sockets and on a clock that tests turn."""
