"""How long a batch that failed waits before the next try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_ext.protocols import SignalSender

if TYPE_CHECKING:
    from otel_ext.protocols import RecordSender

__all__ = ["Pause", "pauses_for"]

_FIRST: Final = 0.5
_LONGEST: Final = 30.0
_LONGEST_ASKED: Final = 3_600.0
_DOUBLINGS: Final = 10


class Pause:
    """A pause that doubles with each failure; times are of one monotonic clock, in seconds.

    >>> pause = Pause()
    >>> pause.begin(100.0, 0.0), pause.begin(100.0, 0.0)
    (0.5, 1.0)
    >>> pause.is_over(100.9), pause.is_over(100.9, hurried=True), pause.is_over(101.0)
    (False, True, True)
    """

    __slots__ = ("_asked_until", "_failures", "_until")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Note that a batch went well: there is no pause."""
        self._failures = 0
        self._until = 0.0
        self._asked_until = 0.0

    def begin(self, now: float, asked: float) -> float:
        """Note a failure; return for how many seconds the pause lasts.

        Args:
            now: The time.
            asked: Seconds that the destination asks to be left alone; 0 if it does not.
        """
        self._failures += 1
        seconds = min(_FIRST * 2.0 ** min(self._failures - 1, _DOUBLINGS), _LONGEST)
        self._until = now + seconds
        self._asked_until = now + min(asked, _LONGEST_ASKED)
        return seconds

    def is_over(self, now: float, *, hurried: bool = False) -> bool:
        """Whether the next try may be made.

        Args:
            now: The time.
            hurried: Whether only the pause that the destination asks for counts, as in a flush.
        """
        return now >= self._asked_until and (hurried or now >= self._until)


def pauses_for(sender: RecordSender) -> dict[bool, Pause]:
    """Return the pauses of final records (True) and of events: one each, or one for both.

    Where signals fail apart, events that fail do not hold up final records.

    Args:
        sender: Sends both.
    """
    finals = Pause()
    apart = isinstance(sender, SignalSender) and len(sender.signals) > 1
    return {True: finals, False: Pause() if apart else finals}
