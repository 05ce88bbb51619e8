"""Generated soundscapes: Background-known ESC-50 and pairs with a known difference."""
