"""Images in: sources, safe decoding, fitting to a size, labelled folders, perturbations, batches."""
