"""The solved exercises. ``npseq exercise start`` leaves out what follows the equals sign in lines with "#:"."""
