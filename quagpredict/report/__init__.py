"""Results for people and for other programs; computes nothing itself."""
