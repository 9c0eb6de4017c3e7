"""The functions that answer, one for each tool."""
