"""Drawing on replicas elsewhere: which replica gets which picture, the replicas, and the worker that asks them."""
