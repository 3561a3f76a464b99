"""The tabs of the panel, one file a tab, and the strip of running work above each of them."""
