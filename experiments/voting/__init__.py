"""What voting over views does to attribution: sets of views, rules, damage, trainings, seeds and two tasks."""
