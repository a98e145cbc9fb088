"""What a wrong gradient is: the variable, the line of code, or what its numbers look like."""
