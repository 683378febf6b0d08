"""Parts of `benches/soak.py` and `benches/kills.py`."""
