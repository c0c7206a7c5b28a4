"""``arwkv doctor``: whether all that arwkv needs is there and computes rightly, and what it chooses here.

``doctor()`` gives a `Diagnosis`: a `Check` for each thing that was looked at, in sections. One that fails says the way
out.
"""
