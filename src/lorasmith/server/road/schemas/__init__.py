"""The shapes of the road's requests and answers, a module a screen."""
