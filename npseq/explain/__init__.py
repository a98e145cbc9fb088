"""Material to learn from, computed by the code itself: the worked example, the interactive page, the
flow of the gradient, what neurons follow, and exercises that are graded."""
