"""Question sheets: what each kind of subject is asked, and the file in which a person may change it."""
