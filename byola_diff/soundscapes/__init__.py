"""Generated soundscapes: Background-known ESC-50 and pairs with a known difference.

Rooms, each on those before it: `render`, `production`, `sources`, `bgknown` and `pairs`;
beside them `tone_scenes`, of the kind of A-COAT.
"""
