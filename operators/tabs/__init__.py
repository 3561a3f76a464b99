"""The tabs of the panel: one file a tab, each a class that the panel inherits."""
