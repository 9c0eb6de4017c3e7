"""Traces as the analyses take them: spans, their trees and times, read from records."""
