"""Does it tell mistakes from right answers how a verdict stands up to processing?"""
