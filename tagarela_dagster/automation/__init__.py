"""What runs by itself: the drive along the road, jobs, the nightly schedule, the sensor."""
