"""The front of loss and what faults do: how much loss it takes for how few interruptions or unrestorable faults."""
