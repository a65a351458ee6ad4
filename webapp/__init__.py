"""The page: it shows what `kdphys` measured, and computes nothing of its own."""
