"""Where things live, how they become visible, what they are."""
