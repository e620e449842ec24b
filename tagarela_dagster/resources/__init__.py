"""What assets are handed: the home folder, the road with its lake, the trainer."""
