"""The forms of the operators: lines are added by subject, and read back when the form is submitted."""
