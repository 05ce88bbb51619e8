"""Generated soundscapes: Background-known ESC-50 and pairs with a known difference.

Rooms, each on those before it: `render`, `production`, `sources`, `bgknown` and `pairs`.
"""
