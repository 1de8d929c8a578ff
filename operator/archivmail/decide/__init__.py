"""Pure rules: values in, values out, `now` an argument.

They never log, wait, read a clock or raise for an expected case: they return a value for it.
"""
