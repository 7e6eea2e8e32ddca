"""For tests of your own parts: contracts that anyone can run, and synthetic worlds whose truth is known."""
