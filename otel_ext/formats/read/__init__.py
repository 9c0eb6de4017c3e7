"""Readers of the formats of other tools, which make records of them."""
