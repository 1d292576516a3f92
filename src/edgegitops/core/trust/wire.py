"""Law: SSH wire data (RFC 4251, section 5) has one reading; what is short, long or not minimal is a ValueError.

Minimal matters for numbers: two encodings of one key would be two key ids, and count as two signers.
"""


class Wire:
    """A reader over wire bytes; every method moves on. ValueError: the bytes do not hold what was asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._at + size
        if end > len(self._data):
            raise ValueError("it ends too early")
        found = self._data[self._at : end]
        self._at = end
        return found

    def number(self) -> int:
        """A uint32."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """A string: a length and that many bytes."""
        data, at = self._data, self._at + 4
        end = at + int.from_bytes(data[at - 4 : at], "big")
        if at > len(data) or end > len(data):
            raise ValueError("it ends too early")
        self._at = end
        return data[at:end]

    def positive(self) -> int:
        """An mpint that is greater than zero, in its shortest form."""
        raw = self.string()
        value = int.from_bytes(raw, "big", signed=True)
        if value <= 0:
            raise ValueError("a number that is not positive")
        if len(raw) != value.bit_length() // 8 + 1:
            raise ValueError("a number that is not in its shortest form")
        return value

    @property
    def left(self) -> int:
        """How many bytes were not read yet."""
        return len(self._data) - self._at

    def end(self) -> None:
        """Nothing is left."""
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes too many")


def string(data: bytes) -> bytes:
    """The wire form of a string."""
    return len(data).to_bytes(4, "big") + data
