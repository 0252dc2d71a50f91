"""Reading images: sources, safe decoding, fitting to a size, labelled folders, perturbations, views, batches."""
