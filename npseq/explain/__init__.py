"""Material to learn from, computed by the code itself: the worked example and the flow of the gradient."""
