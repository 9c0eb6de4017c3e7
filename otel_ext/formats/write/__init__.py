"""Writers of the formats of other tools."""
