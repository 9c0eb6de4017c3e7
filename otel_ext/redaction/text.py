"""Finds and marks the secrets in one text, whatever rule they fall under."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from otel_ext.record.model import META_KEY
from otel_ext.record.sanitise.judge import ALLOWED
from otel_ext.record.sanitise.scalars import MAX_TEXT, is_utf8
from otel_ext.redaction.automaton import Automaton
from otel_ext.redaction.masks import MARK, MARK_BEGIN, Marker
from otel_ext.redaction.patterns import parse_pattern
from otel_ext.redaction.rules.names import rule_for_name, split_words
from otel_ext.redaction.rules.row import Span
from otel_ext.redaction.scan.prefilter import compiled_prefilter, is_suspicious
from otel_ext.redaction.scan.scanner import find_secrets
from otel_ext.runtime.counters import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_ext.redaction.settings import RedactionSettings

__all__ = ["CLEAN", "SHORTEST", "TextRedactor", "Verdict"]

SHORTEST: Final = 5
"""The fewest characters that can be a secret by their form."""

_MAX_KNOWN: Final = 4_096
_LONGEST_KNOWN: Final = 512
# Mostly stack traces: exceptions from one location have the same.
_MAX_LONG_KNOWN: Final = 64
# Searched beyond the cut, so that a secret across it is found whole.
_MARGIN: Final = 1_024
_MARGIN_BEFORE: Final = 2_048
_NOTE_ROOM: Final = 64
# The end matters most here: it shows where an exception was raised.
_KEPT_FROM_END: Final = frozenset({"stacktrace", "traceback", "stack", "exception"})


class Verdict(NamedTuple):
    """The result for a key: the rule that applies to its value, and the key, redacted."""

    rule: str
    name: str


CLEAN: Final = Verdict("", "")
"""No rule applies to the key."""

_ALLOWED: Final = Verdict(ALLOWED, "")


class TextRedactor:
    """Judges keys and redacts texts; remembers those without secrets.

    Raises:
        PatternError: One of the patterns cannot be used.

    >>> from otel_ext.redaction.settings import RedactionSettings
    >>> texts = TextRedactor(RedactionSettings())
    >>> texts.redact("GET https://api.example/items?token=abc&page=2")
    'GET https://api.example/items?token=[redacted: token]&page=2'
    """

    def __init__(self, settings: RedactionSettings) -> None:
        self._strict = settings.mode == "strict"
        self._keys = _automata(
            f"(?i)(^|[^a-z0-9])({_bare(key)})([^a-z0-9]|$)" for key in settings.keys
        )
        self._allow = _automata(f"(?i)^({_bare(key)})$" for key in settings.allow)
        self._values = _automata(settings.values)
        self.scan_limit = settings.scan_limit
        self.scans_everything = self._strict or bool(self._values) or bool(self._keys)
        # By which rule the value after a name in a text is a secret; "" if by none.
        self.rule_in_text = lru_cache(_MAX_KNOWN)(self._rule_in_text)
        self._judges_all = self._strict or bool(self._keys)
        self.marker = Marker(settings.hmac_key)
        self._is_harmless = compiled_prefilter()
        self.verdicts: dict[str, Verdict] = {}
        self.clean: set[str] = set()
        self._long_clean: set[str] = set()
        # Compiles what only these rules need, before any span.
        rule_for_name("name", strict=self._strict)
        if self._judges_all:
            list(self._find("name=value"))

    def verdict(self, path: str) -> Verdict:
        """Return the verdict on the value under `path`, cached."""
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
            return _ALLOWED
        name = self.redact(path)
        rule = self._rule_for(MARK.sub("", path) if MARK_BEGIN in path else path)
        if not rule and name == path:
            # Others need a walk, though no rule applies to them.
            return CLEAN if path != META_KEY and is_utf8(path) else Verdict("", "")
        return Verdict(rule, name)

    def _rule_for(self, name: str) -> str:
        words = split_words(name) if self._keys else ""
        # Both as it is and split into words: `customer.name` matches `customerName`.
        if any(one.matches(name) or one.matches(words) for one in self._keys):
            return "custom-key"
        return rule_for_name(name, strict=self._strict)

    def _rule_in_text(self, name: str) -> str:
        return "" if any(one.matches(name) for one in self._allow) else self._rule_for(name)

    def is_clean(self, text: str) -> bool:
        """Prefilter: whether `text` surely holds no secret and is short enough."""
        if len(text) < SHORTEST or text in self.clean or text in self._long_clean:
            return True
        # A longer text is cut, even if the prefilter finds nothing.
        if self.scans_everything or len(text) > MAX_TEXT:
            return False
        if self._is_harmless is not None and self._is_harmless(text):
            return True
        # These are searched anyway, so another check would be wasted.
        if _LONGEST_KNOWN < len(text) <= self.scan_limit:
            return False
        return is_suspicious(text) is None

    def remember_if_clean(self, text: str) -> bool:
        """Return `is_clean`, and remember clean texts: for texts that recur."""
        if not self.is_clean(text):
            return False
        self.remember(text)
        return True

    def is_clean_by_search(self, text: str) -> bool:
        """Whether a search finds no secret in `text`; remembered if so."""
        if text in self._long_clean:
            return True
        return len(text) <= self.scan_limit and not self._search(text)

    def redact(self, text: str, path: str = "") -> str:
        """Return `text` without secrets, cut if it is longer than the scan limit.

        Args:
            text: Any text.
            path: The keys that lead to it, with dots between.
        """
        if self.is_clean(text):
            return text
        if len(text) <= self.scan_limit:
            spans = self._search(text)
            return self.marker.mark_spans(text, spans) if spans else text
        return self._cut(text, from_end=path.rpartition(".")[2] in _KEPT_FROM_END)

    def _search(self, text: str) -> list[Span]:
        """Return the secrets in `text`; remember it if there are none."""
        spans = list(self._find(text))
        if not spans:
            self.remember(text)
        return spans

    def _cut(self, text: str, *, from_end: bool) -> str:
        """Return the searched part of the text, without the secrets across its ends."""
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
        yield from find_secrets(
            text, self.rule_in_text, strict=self._strict, judges_all=self._judges_all
        )
        for automaton in self._values:
            yield from (Span(start, end, "custom-value") for start, end in automaton.spans(text))

    def remember(self, text: str) -> None:
        """Remember that `text` holds no secret."""
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
    """Return a pattern of keys without its `(?i)`, which all of them get anyway."""
    return pattern.removeprefix("(?i)")
