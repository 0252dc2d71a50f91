"""A network with a spectral branch, trained on images in the forms that people send, beside the shipped one."""
