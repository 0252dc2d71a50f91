"""How good generated images are: SWD and MS-SSIM, and FID and KID where the Inception weights are at hand."""
