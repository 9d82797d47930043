"""What the world sends: one test or more for each row of docs/faults/, with inputs written at test time."""
