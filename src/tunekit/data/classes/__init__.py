"""The classes of classification-like data: telling them, counting them, and how they are spelled."""
