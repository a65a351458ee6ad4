"""The two networks: the 3D teacher and the streaming 2D student (both need torch)."""
