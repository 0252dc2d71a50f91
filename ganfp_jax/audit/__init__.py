"""Does anything but a fingerprint give the classes of a labelled folder away?

`facts` reads facts of files and their values, `verdict` tests each kind of fact as a classifier, and `quick` is a cheap
version of that. `duplicates` finds repeated images, and `equalise` writes a copy whose files are written alike. The job
`audit` puts them together.
"""
