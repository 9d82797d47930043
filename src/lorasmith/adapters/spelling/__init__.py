"""How tools spell an adapter file: names of layers, of tensors, and what stands beside the tensors."""
