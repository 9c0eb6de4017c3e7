"""Finds and marks the secrets in one text, whatever rule they fall under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext._accel import load_speed
from otel_ext.config.patterns import parse_pattern
from otel_ext.redaction.automaton import Automaton
from otel_ext.redaction.masks import MARK_BEGIN, Marker
from otel_ext.redaction.rules.names import rule_for_name, split_words
from otel_ext.redaction.rules.row import MARK, Span
from otel_ext.redaction.scan.assignments import Finder
from otel_ext.redaction.scan.cards import CARD_DIGITS
from otel_ext.redaction.scan.scanner import TRIGGERS, find_secrets, is_suspicious
from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ALLOWED", "CLEAN", "MAX_TEXT", "SHORTEST", "RedactionRules", "TextRedactor", "Verdict"]

SHORTEST: Final = 5
"""What is shorter is no secret by its form."""

MAX_TEXT: Final = 65_536
"""What is longer is cut, even where a glance finds nothing in it."""

_SCAN_LIMIT: Final = 8 * 1024
_MAX_KNOWN: Final = 4_096
_LONGEST_KNOWN: Final = 512
# Stack traces, above all: the same one comes with each exception from a place.
_MAX_LONG_KNOWN: Final = 64
# A secret across the end of what is looked at is still found whole.
_MARGIN: Final = 1_024
_MARGIN_BEFORE: Final = 2_048
_NOTE_ROOM: Final = 64
# What is told last says most here: where an exception was raised.
_TOLD_FROM_THE_END: Final = frozenset({"stacktrace", "traceback", "stack", "exception"})


class RedactionRules(NamedTuple):
    """What is redacted, beside the callback of a program.

    Attributes:
        strict: Whether what only tells of a person counts too.
        keys: Patterns of keys whose values are secrets.
        values: Patterns of texts, or parts of texts, that are secrets.
        allow: Patterns of whole keys whose values stay as they are.
        hmac_key: With one, marks tell which values are equal.
        scan_limit: Characters of a text that are looked at; the rest is cut.
    """

    strict: bool = False
    keys: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    hmac_key: str = ""
    scan_limit: int = _SCAN_LIMIT


class Verdict(NamedTuple):
    """What becomes of the value under a key: the rule it falls under, and the key itself."""

    rule: str
    name: str


CLEAN: Final = Verdict("", "")
"""Nothing is wrong with the key."""

ALLOWED: Final = Verdict("allowed", "")
"""The value stays as it is, whatever it is."""


class TextRedactor:
    """Judges keys and redacts texts; remembers what it found clean.

    Raises:
        PatternError: One of the patterns cannot be used.

    >>> texts = TextRedactor(RedactionRules())
    >>> texts.redact("GET https://api.example/items?token=abc&page=2")
    'GET https://api.example/items?token=[redacted: token]&page=2'
    """

    def __init__(self, rules: RedactionRules) -> None:
        self._strict = rules.strict
        self._keys = _automata(
            f"(?i)(^|[^a-z0-9])({_bare(key)})([^a-z0-9]|$)" for key in rules.keys
        )
        self._allow = _automata(f"(?i)^({_bare(key)})$" for key in rules.allow)
        self._values = _automata(rules.values)
        self.scan_limit = rules.scan_limit
        self.looks_at_all = rules.strict or bool(self._values) or bool(self._keys)
        self._finder = Finder(self.rule_in_text, finds_all=rules.strict or bool(self._keys))
        self.marker = Marker(rules.hmac_key)
        self._is_harmless: Callable[[str], bool] | None = None
        speed = load_speed()
        if speed is not None:
            speed.learn_triggers(TRIGGERS, CARD_DIGITS)
            self._is_harmless = speed.is_harmless
        self._names: dict[str, str] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.clean: set[str] = set()
        self._long_clean: set[str] = set()
        is_suspicious("")  # compiles what only pure Python needs: not within a span
        if self._finder.finds_all:
            list(self._find("name=value"))  # compiles what only these rules need: not within a span

    def verdict(self, path: str) -> Verdict:
        """Return what becomes of the value under `path`; asked for once for each."""
        found = self.verdicts.get(path)
        if found is None:
            found = self._judge(path)
            if len(path) <= _LONGEST_KNOWN:
                if len(self.verdicts) >= _MAX_KNOWN:
                    self.verdicts.clear()
                self.verdicts[path] = found
        return found

    def _judge(self, path: str) -> Verdict:
        if any(one.matches(path) for one in self._allow):
            return ALLOWED
        name = self.redact(path)
        rule = self._rule_for(MARK.sub("", path) if MARK_BEGIN in path else path)
        return CLEAN if not rule and name == path else Verdict(rule, name)

    def _rule_for(self, name: str) -> str:
        words = split_words(name) if self._keys else ""
        # Both as it stands and with its words apart: `customerName` is found by `customer.name`.
        if any(one.matches(name) or one.matches(words) for one in self._keys):
            return "custom-key"
        return rule_for_name(name, strict=self._strict)

    def rule_in_text(self, name: str) -> str:
        """Return the rule by which what stands behind `name` in a text is a secret, or none."""
        found = self._names.get(name)
        if found is None:
            allowed = any(one.matches(name) for one in self._allow)
            found = "" if allowed else self._rule_for(name)
            if len(self._names) >= _MAX_KNOWN:
                self._names.clear()
            self._names[name] = found
        return found

    def is_clean(self, text: str) -> bool:
        """Whether `text` surely holds no secret and is short enough, at a glance."""
        if len(text) < SHORTEST or text in self.clean or text in self._long_clean:
            return True
        if self.looks_at_all or len(text) > MAX_TEXT:
            return False
        if self._is_harmless is not None and self._is_harmless(text):
            return True
        # What is searched anyway needs no look before.
        if _LONGEST_KNOWN < len(text) <= self.scan_limit:
            return False
        return is_suspicious(text) is None

    def glance(self, text: str) -> bool:
        """Tell what `is_clean` tells, and remember it: for texts that come again and again."""
        if not self.is_clean(text):
            return False
        self.remember(text)
        return True

    def search(self, text: str) -> bool:
        """Whether `text`, which is no longer than a URL or so, is found clean; remembered if so."""
        if len(text) > min(_LONGEST_KNOWN, self.scan_limit):
            return False
        if any(True for _ in self._find(text)):
            return False
        self.remember(text)
        return True

    def redact(self, text: str, path: str = "") -> str:
        """Return `text` without secrets, cut where it is longer than what is looked at.

        Args:
            text: Any text.
            path: The keys that lead to it, with dots between.
        """
        if self.is_clean(text):
            return text
        limit = self.scan_limit
        if len(text) <= limit:
            spans = list(self._find(text))
            if not spans:
                self.remember(text)
                return text
            return self.marker.mark_spans(text, spans)
        return self._cut(text, from_end=path.rpartition(".")[2] in _TOLD_FROM_THE_END)

    def _cut(self, text: str, *, from_end: bool) -> str:
        """Return so much of the text as is looked at, without the secrets across its ends."""
        COUNTERS.add("redacted.truncated")
        size = self.scan_limit - _NOTE_ROOM  # so that it is not cut again
        start, end = 0, size
        if from_end:
            start, end = len(text) - size, len(text)
            start = text.find("\n", start) + 1 or start
        before = max(start - _MARGIN_BEFORE, 0)
        spans = [
            Span(first + before, stop + before, rule)
            for first, stop, rule in sorted(self._find(text[before : end + _MARGIN]))
        ]
        for first, stop, _ in spans:
            start = stop if first < start < stop else start
            end = stop if first < end < stop else end
        inside = [one for one in spans if start <= one.start and one.end <= end]
        kept = self.marker.mark_spans(
            text[start:end],
            (Span(first - start, stop - start, rule) for first, stop, rule in inside),
        )
        head = f"[{start} characters+]…" if start else ""
        return f"{head}{kept}…[+{len(text) - end} characters]" if end < len(text) else head + kept

    def _find(self, text: str) -> Iterable[Span]:
        yield from find_secrets(text, self._finder, strict=self._strict)
        for automaton in self._values:
            yield from (Span(start, end, "custom-value") for start, end in automaton.spans(text))

    def remember(self, text: str) -> None:
        """Take note that `text` holds no secret."""
        if len(text) <= _LONGEST_KNOWN:
            if len(self.clean) >= _MAX_KNOWN:
                self.clean.clear()
            self.clean.add(text)
        elif len(text) <= self.scan_limit:
            if len(self._long_clean) >= _MAX_LONG_KNOWN:
                self._long_clean.clear()
            self._long_clean.add(text)


def _automata(patterns: Iterable[str]) -> tuple[Automaton, ...]:
    return tuple(Automaton(parse_pattern(pattern)) for pattern in patterns)


def _bare(pattern: str) -> str:
    """Return a pattern of keys without what all of them have: capitals do not matter."""
    return pattern.removeprefix("(?i)")
