"""Does anything but a fingerprint give the classes of a labelled folder away?

`facts` reads what files and their values say, `verdict` tests each kind of it as a classifier, `quick` is the cheap
part of that, `duplicates` finds images that are there twice, `equalise` writes a copy that is written alike. The job
`audit` puts them together.
"""
